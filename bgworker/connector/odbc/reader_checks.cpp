// What has to be true of a source before it is read; see reader.hpp.
#include <algorithm>

#include "bgworker/connector/odbc/reader.hpp"

namespace insync::odbc {

// The source's key as it was when the stream was made has to be one still: with another, several of its rows would be
// one row of the target.
void Reader::check_key() {
    key_is_unique_ = request_.key_is_unique;
    const Relation& relation = plan_.relation;
    if (!key_is_unique_ || relation.is_query || relation.is_view) return;
    std::vector<std::string> names;
    for (std::size_t part : plan_.key) names.push_back(plan_.columns[part].name);
    if (is_unique_key(relation, names)) return;
    if (relation.primary_key.empty() && relation.unique_keys.empty()) {
        // Somebody may load in bulk and make the key again: what matters is that the rows still have one.
        key_is_unique_ = false;
        lost_key_ = true;
        return;
    }
    auto list = [](const std::vector<std::string>& columns) {
        std::string text;
        for (const std::string& column : columns) text += (text.empty() ? "" : ", ") + column;
        return "(" + text + ")";
    };
    const std::vector<std::string>& now =
        relation.primary_key.empty() ? relation.unique_keys.front() : relation.primary_key;
    throw Failure(FailureClass::config,
                  "the key of source " + quote_name(Dialect::generic, relation.text) + " has changed",
                  "The stream identifies rows by " + list(names) + ", and the source now by " + list(now) + ".",
                  request_.remake.empty() ? "Make the stream again."
                                          : "Make the stream and its target again: " + request_.remake);
}

void Reader::check_duplicate_keys() {
    if (key_is_unique_ || plan_.key.empty() || plan_.relation.has_marker || request_.only) return;
    std::vector<std::size_t> key = plan_.key;
    if (request_.is_change_log && plan_.watermark) key.push_back(*plan_.watermark);
    const StatementText probe = duplicate_key(plan_, key);
    const std::vector<TextRow> rows = connection_.query(probe.sql, probe.parameters);
    if (rows.empty()) return;
    std::string names, values;
    for (std::size_t i = 0; i < key.size(); i++) {
        names += (i > 0 ? ", " : "") + plan_.columns[key[i]].name;
        values += (i > 0 ? ", " : "") + rows[0][i].value_or("NULL");
    }
    throw Failure(FailureClass::config, "the key is not unique in the source",
                  "Several rows have (" + names + ") = (" + values + ").", "Choose a key that identifies one row.");
}

void Reader::require_no_null_watermarks() {
    if (!plan_.has_nullable_watermark() || request_.null_watermark != ReadRequest::NullWatermark::fail) return;
    Bounds bounds;
    if (plan_.relation.has_marker) bounds = changes_bounds();
    const StatementText count = count_null_watermarks(plan_, bounds);
    const std::string rows = connection_.query_value(count.sql, count.parameters).value_or("0");
    if (rows == "0") return;
    throw Failure(FailureClass::source, rows + " rows have no watermark",
                  "Column \"" + plan_.columns[*plan_.watermark].name + "\" is null there.",
                  "Set the option null_watermark to include or reject, or name a second watermark column.");
}

}  // namespace insync::odbc
