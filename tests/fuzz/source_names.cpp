// Names of sources and queries with :watermark: names come back as they were written, and markers are replaced outside
// quotes and comments only.
#include "bgworker/connector/source_name.hpp"

#include <algorithm>

#include "bgworker/connector/odbc/catalog.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

// For each byte, whether it stands in a quoted text, a quoted name or a comment: SQL's rules, written once more.
std::string mask_of(std::string_view sql) {
    std::string mask(sql.size(), 'c');
    for (std::size_t at = 0; at < sql.size();) {
        std::size_t start = at;
        if (sql.substr(at, 2) == "--") {
            at = std::min(sql.find('\n', at), sql.size() - 1) + 1;
        } else if (sql.substr(at, 2) == "/*") {
            at = std::min(sql.find("*/", at + 2), sql.size() - 2) + 2;
        } else if (std::string_view("'\"`[").find(sql[at]) != std::string_view::npos) {
            char close = sql[at] == '[' ? ']' : sql[at];
            // A doubled quote ends one quoted part and begins the next, which comes to the same; not so a bracket.
            do {
                at = std::min(sql.find(close, at + 1), sql.size() - 1) + 1;
            } while (close == ']' && at < sql.size() && sql[at] == ']');
        } else {
            at++;
            continue;
        }
        std::fill(mask.begin() + static_cast<std::ptrdiff_t>(start), mask.begin() + static_cast<std::ptrdiff_t>(at),
                  'q');
    }
    return mask;
}

void check_query(std::string_view text) {
    auto same = replace_watermark_markers(text, ":watermark");
    auto again = replace_watermark_markers(same.sql, ":watermark");
    REQUIRE(again.sql == same.sql && again.markers == same.markers);
    std::string lower = same.sql;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    // All but the markers stays as it was, apart from what is cut off at the end.
    REQUIRE(same.sql.size() <= text.size());
    for (std::size_t i = 0; i < same.sql.size(); i++) {
        REQUIRE(same.sql[i] == text[i] || std::tolower(static_cast<unsigned char>(text[i])) == same.sql[i]);
    }
    std::string mask = mask_of(same.sql);
    int markers = 0;
    for (auto at = lower.find(":watermark"); at != std::string::npos; at = lower.find(":watermark", at + 1)) {
        unsigned char behind = at + 10 < lower.size() ? static_cast<unsigned char>(lower[at + 10]) : ' ';
        bool word_goes_on = std::isalnum(behind) != 0 || behind == '_' || behind == '$' || behind >= 0x80;
        bool cast = at > 0 && lower[at - 1] == ':';
        markers += mask[at] == 'c' && !cast && !word_goes_on;
    }
    REQUIRE(same.markers == markers);
    auto bound = replace_watermark_markers(text, "?");
    REQUIRE(bound.markers == markers);
    REQUIRE(bound.sql.size() == same.sql.size() - 9 * static_cast<std::size_t>(markers));
}

FUZZ_TARGET(source_names) {
    bool as_parts = input.flag();
    if (as_parts) {
        // What discovery offers must be understood as the same table, whatever it is called.
        std::vector<std::string> parts(1 + input.below(3));
        for (auto& part : parts) part = input.line();
        if (std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.empty(); })) return;
        std::string text = odbc::source_text(parts);
        REQUIRE(parse_source_name(text) == parts);
        REQUIRE(!is_query(text));
        return;
    }
    auto text = input.rest();
    if (is_query(text)) {
        check_query(text);
        REQUIRE(is_query(" \n" + std::string(text)));
    } else if (auto parts = parse_source_name(text)) {
        REQUIRE(!parts->empty() && parts->size() <= 3);
        for (const auto& part : *parts) REQUIRE(!part.empty());
        REQUIRE(parse_source_name(odbc::source_text(*parts)) == parts);
    }
}

}  // namespace
}  // namespace insync
