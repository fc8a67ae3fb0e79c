// Columns, reject and position frames: any JSON is taken or refused with a ProtocolError, and what is taken can stand
// in SQL.
#include <set>

#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/protocol/batch.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

// The text stands between a column's name and a comma or parenthesis of CREATE TABLE.
void check_type(const std::string& type) {
    bool in_parentheses = false;
    for (char c : type) {
        if (c == '(' || c == ')') {
            REQUIRE(in_parentheses == (c == ')'));
            in_parentheses = c == '(';
        } else {
            REQUIRE(c != ',' || in_parentheses || type.find('[') != std::string::npos);
            REQUIRE(std::string_view("'\"`;$\\\n\t:-/*=").find(c) == std::string_view::npos);
        }
    }
    REQUIRE(!in_parentheses);
    for (const char* word : {" default", " check", " unique", " references", " primary", " not", " null", " collate"}) {
        REQUIRE(fold_name(type, type.size()).find(word) == std::string::npos);
    }
}

void check_columns(const std::vector<SourceColumn>& columns) {
    std::set<std::string> fields{"insync_row"};
    REQUIRE(!columns.empty());
    for (const auto& column : columns) {
        REQUIRE(!column.name.empty() && !column.field.empty());
        REQUIRE(column.field.size() <= max_name);
        REQUIRE(is_valid_utf8(column.field));
        REQUIRE(fields.insert(column.field).second);
        REQUIRE(find_field(columns, column.field) == &column);
        check_type(column.pg_type);
    }
    auto again = parse_columns(to_json(columns));
    REQUIRE(again.size() == columns.size());
    for (std::size_t i = 0; i < columns.size(); i++) {
        REQUIRE(again[i].name == columns[i].name && again[i].field == columns[i].field);
        REQUIRE(again[i].transport == columns[i].transport && again[i].pg_type == columns[i].pg_type);
        REQUIRE(again[i].source_type == columns[i].source_type && again[i].nullable == columns[i].nullable);
    }
}

void check_reject(const Batch& batch) {
    const SourceReject& reject = batch.rejects.back();
    REQUIRE(reject.record.is_object());
    REQUIRE(reject.key.is_null() || reject.key.is_object());
    REQUIRE(reject.sqlstate.size() == 5);
    REQUIRE(reject.column.size() <= max_name);
}

template <typename Body>
void allow_refusal(Body&& body) {
    try {
        body();
    } catch (const ProtocolError&) {
    }
}

FUZZ_TARGET(columns) {
    nlohmann::json value;
    try {
        value = parse_json(input.rest());
    } catch (const ProtocolError&) {
        return;
    }
    allow_refusal([&] { check_columns(parse_columns(value)); });
    Batch batch;
    allow_refusal([&] {
        batch.append_reject(value);
        check_reject(batch);
    });
    allow_refusal([&] {
        batch.set_position(value);
        REQUIRE(value.at("rows") == batch.rejects.size());
        REQUIRE(batch.position == value.at("position"));
    });
}

}  // namespace
}  // namespace insync
