// Finds columns and keys of a relation; see relation.hpp.
#include "bgworker/connector/odbc/sql/relation.hpp"

#include <algorithm>
#include <strings.h>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/options/near_miss.hpp"
#include "bgworker/options/source_name.hpp"

namespace insync::odbc {

std::string source_text(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) {
        if (!text.empty()) text += '.';
        // Blanks around a name would be lost, and a comment could hide where it ends.
        const bool plain = !part.empty() && part.find_first_of(".\"`[]'*;\t\n\v\f\r") == std::string::npos &&
                           part.front() != ' ' && part.back() != ' ' && !is_query(part);
        text += plain ? part : quote_name(Dialect::generic, part);
    }
    return text;
}

std::size_t find_column(const std::vector<SourceColumn>& columns, const std::string& name, const std::string& role) {
    std::vector<std::string> names;
    std::vector<std::size_t> similar;
    for (std::size_t i = 0; i < columns.size(); i++) {
        if (columns[i].name == name) return i;
        if (strcasecmp(columns[i].name.c_str(), name.c_str()) == 0) similar.push_back(i);
        names.push_back(columns[i].name);
    }
    if (similar.size() == 1) return similar[0];
    const std::string near = closest(name, names);
    std::string list;
    for (const std::string& column : names) list += (list.empty() ? "" : ", ") + column;
    throw Failure(FailureClass::config, role + " column \"" + name + "\" does not exist in the source",
                  "The source has the columns " + list + ".",
                  near.empty() ? "" : "Perhaps you meant \"" + near + "\".");
}

bool is_unique_key(const Relation& relation, const std::vector<std::string>& columns) {
    auto is_within = [&](const std::vector<std::string>& key) {
        return !key.empty() && std::all_of(key.begin(), key.end(), [&](const std::string& name) {
            return std::find(columns.begin(), columns.end(), name) != columns.end();
        });
    };
    return is_within(relation.primary_key) ||
           std::any_of(relation.unique_keys.begin(), relation.unique_keys.end(), is_within);
}

}  // namespace insync::odbc
