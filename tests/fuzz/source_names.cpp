// Names of sources and queries: names come back as they were written, and no query ends before the end that it is
// given.
#include "bgworker/options/source_name.hpp"

#include <algorithm>

#include "bgworker/connector/odbc/catalog.hpp"
#include "bgworker/connector/odbc/sql/sql_tokens.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

constexpr odbc::Dialect dialects[] = {odbc::Dialect::sqlite,    odbc::Dialect::mysql,  odbc::Dialect::postgresql,
                                      odbc::Dialect::sqlserver, odbc::Dialect::oracle, odbc::Dialect::generic};

// What is taken as a query stays between the parentheses that are put around it, and means the same when it is read
// again.
void check_query(std::string_view text) {
    for (odbc::Dialect dialect : dialects) {
        odbc::SourceQuery query;
        try {
            query = odbc::parse_source_query(dialect, std::string(text));
        } catch (const Failure&) {
            continue;
        }
        const std::string select = query.select.with(":watermark"), inner = "(" + select + ")";
        const auto tokens = odbc::sql_tokens(dialect, inner);
        REQUIRE(tokens.size() > 2 && tokens.front().is('(') && tokens.back().is(')'));
        for (std::size_t i = 1; i + 1 < tokens.size(); i++) {
            REQUIRE(tokens[i].depth > 0 && !tokens[i].is(';'));
        }
        if (dialect == odbc::Dialect::postgresql && select.find("--\r") != std::string::npos) continue;
        const auto again = odbc::parse_source_query(dialect, select);
        REQUIRE(again.select.with(":watermark") == select && again.select.markers() == query.select.markers());
    }
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
