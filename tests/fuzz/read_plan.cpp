// The statements that read a source, in every dialect: names stay in their quotes, whatever they are; each parameter
// has its marker; a page begins behind the row that it is told.
#include "bgworker/connector/odbc/sql/read_plan.hpp"

#include <map>
#include <set>

#include "bgworker/connector/output/failure.hpp"
#include "tests/fuzz/support/sql_tokens.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync::odbc {
namespace {

constexpr Dialect dialects[] = {Dialect::sqlite,    Dialect::mysql,  Dialect::postgresql,
                                Dialect::sqlserver, Dialect::oracle, Dialect::generic};
constexpr const char* types[] = {"int",  "bigint", "varchar(20)", "datetime2(7)", "decimal(10,2)", "rowversion",
                                 "date", "number", "json",        "uuid",         "blob",          "timestamp",
                                 "text", "time",   "boolean",     "raw"};

struct Request {
    Dialect dialect;
    std::vector<std::size_t> types;
    std::vector<bool> nullable;
    std::size_t keys, watermarks;  // how many columns, from the front and from the back
    bool is_query, full_bounds, only_some, has_window;
    std::size_t statement;
};

StatementText make_statement(const Request& request, const std::vector<std::string>& names) {
    Relation relation;
    for (std::size_t i = 0; i < request.types.size(); i++) {
        ResultColumn result;
        result.name = names[i];
        result.nullable = request.nullable[i];
        relation.columns.push_back(resolve_column(request.dialect, result, types[request.types[i]]));
    }
    relation.is_query = request.is_query;
    if (request.is_query) {
        relation.query = parse_source_query(request.dialect, "SELECT * FROM t WHERE a > :watermark OR b > :watermark");
    }
    relation.has_marker = request.is_query;
    relation.from = quote_path(request.dialect, {names.back(), names.front()});
    ReadRequest read;
    read.key.assign(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(request.keys));
    read.watermark.assign(names.end() - 1 - static_cast<std::ptrdiff_t>(request.watermarks), names.end() - 1);
    if (request.only_some) read.columns = std::vector<std::string>{names[0]};
    if (request.has_window) read.window = Window{names[0], "2026-01-05 10:00:00.5", "2026-01-06"};
    ReadPlan plan = make_read_plan(request.dialect, relation, read);
    Bounds bounds;
    bounds.marker = "m";
    if (request.full_bounds && plan.watermark) bounds.low = "l", bounds.high = "h";
    After after{"w", std::vector<std::string>(plan.key.size(), "k")};
    switch (request.statement) {
        case 0:
            if (request.has_window && !plan.key.empty())
                return rows_of_keys(plan, {after.key, after.key}, after, bounds);
            return key_page(plan, plan.key.empty() ? std::nullopt : std::optional(after), false, bounds);
        case 1:
            return plan.has_nullable_key() ? null_key_rows(plan, bounds) : preview_rows(plan, 10);
        case 2:
            return plan.key.empty() ? storage_classes(plan, 0) : duplicate_key(plan, plan.key);
        default:
            break;
    }
    if (!plan.watermark) return key_page(plan, std::nullopt, false, bounds);
    switch (request.statement) {
        case 3:
            return changes_page(plan, std::nullopt, bounds);
        case 4:
            return changes_page(plan, after, bounds);
        case 5:
            return max_watermark(plan, "c", bounds);
        case 6:
            return key_page(plan, after, true, bounds);
        default:
            return count_null_watermarks(plan, bounds);
    }
}

FUZZ_TARGET(read_plan) {
    Request request{};
    request.dialect = dialects[input.below(std::size(dialects))];
    request.types.resize(1 + input.below(4));
    for (auto& type : request.types) type = input.below(std::size(types));
    std::uint8_t bits = input.byte();
    for (std::size_t i = 0; i < request.types.size(); i++) request.nullable.push_back((bits >> i & 1) != 0);
    request.keys = input.below(request.types.size() + 1);
    request.watermarks = input.below(request.types.size() + 1);
    bits = input.byte();
    request.is_query = (bits & 1) != 0;
    request.full_bounds = (bits & 2) != 0;
    request.only_some = (bits & 4) != 0;
    request.has_window = (bits & 8) != 0;
    request.statement = input.below(8);
    std::vector<std::string> names, plain;
    std::set<std::string> taken{"insync_watermark"};
    std::map<std::string, std::string> stand_ins;
    for (std::size_t i = 0; i <= request.types.size(); i++) {
        std::string name(input.line());
        // As a table has them: each once, and none empty.
        while (name.empty() || !taken.insert(name).second) name += std::to_string(i);
        plain.push_back("name" + std::to_string(i));
        stand_ins[name] = plain.back();
        names.push_back(std::move(name));
    }
    StatementText hostile, harmless;
    bool refused = false;
    try {
        harmless = make_statement(request, plain);
    } catch (const Failure&) {
        refused = true;  // SQLite's blobs can't be keys, nor what is no time bound a window
    }
    try {
        hostile = make_statement(request, names);
        REQUIRE(!refused);
    } catch (const Failure&) {
        REQUIRE(refused);
    }
    char open = quote_name(request.dialect, "").front(), close = quote_name(request.dialect, "").back();
    auto tokens = fuzz::sql_tokens(hostile.sql, open, close);
    REQUIRE(fuzz::depth_of_parentheses(tokens) == 0);
    REQUIRE(fuzz::with_names(tokens, stand_ins) == fuzz::sql_tokens(harmless.sql, open, close));
    REQUIRE(hostile.parameters == harmless.parameters);
    auto markers = std::count(tokens.begin(), tokens.end(), fuzz::Token{fuzz::Token::Kind::other, "?"});
    REQUIRE(static_cast<std::size_t>(markers) == hostile.parameters.size());
}

}  // namespace
}  // namespace insync::odbc
