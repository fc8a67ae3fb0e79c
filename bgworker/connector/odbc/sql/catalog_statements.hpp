// The engines' catalogs as SQL: which tables there are, their columns and keys. Text only, no driver.
//
// An empty statement means that the engine has none here and the ODBC catalog functions have to do.
#pragma once

#include <string>
#include <vector>

#include "bgworker/connector/odbc/sql/dialect.hpp"

namespace insync::odbc {

struct Query {
    std::string sql;
    std::vector<std::string> parameters;
};

// Rows of (schema or NULL, table, 'table' or 'view', estimated rows or NULL) whose name matches the LIKE pattern.
Query list_tables_query(Dialect dialect, const std::string& pattern);

// One row of (schema or NULL, table, kind, estimated rows or NULL) for the table that `parts` names, or none.
Query find_table_query(Dialect dialect, const std::vector<std::string>& parts);

// Rows of (column, full type name, 1 if nullable) in the table's order.
Query columns_query(Dialect dialect, const std::vector<std::string>& parts);

// Rows of (column) that the user may read, in the table's order.
Query readable_columns_query(Dialect dialect, const std::vector<std::string>& parts);

// Rows of (key name, 1 if primary, column) of primary and unique keys, in key and position order. A NULL column stands
// for an expression.
Query keys_query(Dialect dialect, const std::vector<std::string>& parts);

// An expression, without a FROM of its own, that has another value once the columns or keys of the table are altered,
// or the name means another table. Cheap enough for every poll.
Query definition_mark(Dialect dialect, const std::vector<std::string>& parts);

// Rows of (column): columns that hold JSON though their type says text. Empty where the engine has no such columns.
Query json_columns_query(Dialect dialect, const std::vector<std::string>& parts);

}  // namespace insync::odbc
