// Checks expressions; see expression_check.hpp.
#include "bgworker/target/expression_check.hpp"

#include "bgworker/pg/spi.hpp"

extern "C" {
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/builtins.h"
}

#include <algorithm>

namespace insync {

namespace {

// One expression and nothing else: no second statement, no FROM or WHERE of its own.
bool is_single_expression(const char* statement) {
    return pg::call([&] {
        List* parsed = raw_parser(statement, RAW_PARSE_DEFAULT);
        if (list_length(parsed) != 1) return false;
        Node* node = linitial_node(RawStmt, parsed)->stmt;
        if (!IsA(node, SelectStmt)) return false;
        auto* select = reinterpret_cast<SelectStmt*>(node);
        return list_length(select->targetList) == 1 && select->op == SETOP_NONE && select->fromClause == NIL &&
               select->whereClause == nullptr && select->withClause == nullptr && select->intoClause == nullptr;
    });
}

}  // namespace

std::string check_expression(const std::string& what, const std::string& expression, const ExpressionScope& scope) {
    const std::string head = "SELECT (";
    try {
        std::string alone = head + expression + "\n)";
        if (!is_single_expression(alone.c_str()))
            throw pg::Error(ERRCODE_SYNTAX_ERROR, "it is not a single expression");
        pg::Plan plan(head + expression + "\n) FROM " + scope.relation);
        TupleDesc descriptor = plan.descriptor();
        return pg::call([&] {
            Form_pg_attribute column = TupleDescAttr(descriptor, 0);
            // An untyped literal becomes text, as in a table that a SELECT makes.
            return format_type_extended(column->atttypid, column->atttypmod,
                                        FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
        });
    } catch (pg::Error& error) {
        if (error.is_interrupt()) throw;
        int position = error.position - static_cast<int>(head.size());
        pg::Error explained(error.sqlstate, "invalid " + what + ": " + error.message, error.detail,
                            !error.hint.empty() ? error.hint : std::string(scope.hint));
        explained.query = expression;
        explained.position = std::max(position, 0);
        throw explained;
    }
}

void check_condition(const std::string& what, const std::string& condition, const ExpressionScope& scope) {
    std::string type = check_expression(what, condition, scope);
    if (type == "boolean") return;
    throw pg::Error(ERRCODE_DATATYPE_MISMATCH, what + " must be boolean, not " + type, "In: " + condition + ".");
}

}  // namespace insync
