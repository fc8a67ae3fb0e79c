// What the source's catalog says of one table's keys and columns, and the driver of the columns of a result.
#pragma once

#include <string>
#include <vector>

#include "bgworker/connector/odbc/connection.hpp"
#include "bgworker/connector/odbc/sql/relation.hpp"

namespace insync::odbc {

struct DeclaredColumn {
    std::string name;
    std::string type;
    bool nullable = true;
    std::string note;  // hidden: not part of SELECT *; loose: values that differ may be equal; enum: a domain over one
};

// A catalog's value as text; empty for NULL.
inline std::string text_of(const std::optional<std::string>& value) {
    return value.value_or("");
}

// An argument of a catalog function; NULL for an empty name, which means any.
SQLCHAR* name_argument(const std::string& name);

// The rows of an ODBC catalog function that has just been called on `statement`; none where the driver does not have
// it.
std::vector<TextRow> catalog_rows(Connection& connection, Statement& statement, SQLRETURN result, int columns);

// Adds the primary key and the unique keys of a table to `relation`.
void load_keys(Connection& connection, const std::vector<std::string>& parts, Relation& relation);

// The declared columns of a table, from the engine's catalog or from SQLColumns.
std::vector<DeclaredColumn> load_declared(Connection& connection, const std::vector<std::string>& parts);
DeclaredColumn* find_declared(std::vector<DeclaredColumn>& declared, const std::string& name);

// The columns that a statement returns, as the driver describes them. `source` is what messages call it. Raises Failure
// (config) where a table cannot have these columns.
std::vector<ResultColumn> describe_result(Connection& connection, const std::string& source, const std::string& sql);

}  // namespace insync::odbc
