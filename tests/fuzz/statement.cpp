// The statements that apply a batch: whatever the names are, each stays in its quotes and the rest of the statement is
// the same as with harmless names; no expression, comments in it included, swallows what follows it.
#include "bgworker/target/statement.hpp"

#include <map>
#include <set>

#include "tests/fuzz/support/sql_tokens.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

using Names = std::map<std::string, std::string>;

std::string quoted(const std::string& name) {
    std::string text = "\"";
    for (char c : name) text += c == '"' ? "\"\"" : std::string(1, c);
    return text + "\"";
}

// Expressions as their owners write them: whole ones, some of which end in a comment.
constexpr const char* expressions[] = {"batch.a",      "a + 1 -- sum",        "coalesce(b, 'it''s /* not */ --')",
                                       "/* c */ NULL", "(SELECT \"x\"\"y\")", "a -- ' \" ) ("};

struct Choices {
    bool length, key, fixed, equality, as_text;
    std::size_t expression;
};

ApplyShape make_shape(const std::vector<std::string>& names, const std::vector<Choices>& choices, DeleteMode deletes,
                      bool filtered, bool marked) {
    ApplyShape shape;
    shape.target = quoted(names[0]) + "." + quoted(names[1]);
    for (std::size_t i = 0; i < choices.size(); i++) {
        MappedColumn column;
        column.name = quoted(names[2 + i]);
        column.type =
            "pg_catalog.\""
            "int4\"";
        if (choices[i].length) {
            column.length_type = column.length_function = "pg_catalog.varchar";
            column.length_modifier = 14;
        }
        column.expression = expressions[choices[i].expression];
        column.key = choices[i].key;
        column.moves = column.key && choices[i].fixed;
        if (choices[i].equality) column.equality = "OPERATOR(pg_catalog.=)";
        column.compare_as_text = choices[i].as_text;
        shape.columns.push_back(column);
        shape.override_identity = shape.override_identity || choices[i].fixed;
    }
    if (filtered) shape.filter = "a > 0 -- positive";
    if (marked) shape.delete_condition = "batch.op IN ('d', 'it''s')";
    shape.deletes = deletes;
    if (deletes == DeleteMode::soft) {
        shape.deleted_column = quoted(names.back());
        shape.deleted_value = "pg_catalog.now()";
        shape.living_value = "NULL";
    }
    return shape;
}

constexpr std::size_t statement_count = 9;

std::string make_statement(const ApplyShape& shape, std::size_t which) {
    switch (which) {
        case 0:
            return merge_statement(shape);
        case 1:
            return insert_statement(shape);
        case 2:
            return mapped_rows(shape);
        case 3:
            return check_statement(shape);
        case 4:
            return check_statement(shape, shape.columns.back());
        case 5:
            return keys_statement(shape);
        case 6:
            return count_vanished_statement(shape, "t.x = 1");
        case 7:
            return count_scope_statement(shape, "");
        default:
            return delete_vanished_statement(shape, "");
    }
}

FUZZ_TARGET(statement) {
    std::size_t which = input.below(statement_count);
    std::vector<Choices> choices(1 + input.below(4));
    for (auto& choice : choices) {
        std::uint8_t bits = input.byte();
        choice = {(bits & 1) != 0, (bits & 2) != 0,  (bits & 4) != 0,
                  (bits & 8) != 0, (bits & 16) != 0, input.below(std::size(expressions))};
    }
    choices[0].key = true;
    auto deletes = static_cast<DeleteMode>(input.below(3));
    bool filtered = input.flag(), marked = input.flag();
    std::vector<std::string> names, plain;
    std::set<std::string> taken{"int4", "x\"y"};
    Names stand_ins;
    for (std::size_t i = 0; i < choices.size() + 3; i++) {
        std::string name(input.line());
        // As a table has them: each once, and none empty.
        while (name.empty() || !taken.insert(name).second) name += std::to_string(i);
        plain.push_back("name" + std::to_string(i));
        stand_ins[name] = plain.back();
        names.push_back(std::move(name));
    }
    std::string hostile = make_statement(make_shape(names, choices, deletes, filtered, marked), which);
    std::string harmless = make_statement(make_shape(plain, choices, deletes, filtered, marked), which);
    auto tokens = fuzz::sql_tokens(hostile);
    REQUIRE(fuzz::depth_of_parentheses(tokens) == 0);
    REQUIRE(fuzz::with_names(tokens, stand_ins) == fuzz::sql_tokens(harmless));
}

}  // namespace
}  // namespace insync
