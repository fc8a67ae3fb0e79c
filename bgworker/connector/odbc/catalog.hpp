// What the source has: its tables, and for one table or query the columns, keys and types.
//
// Relies on a Connection; asks the engine's catalog where the dialect is known and the ODBC catalog functions
// otherwise.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/odbc/connection.hpp"
#include "bgworker/connector/odbc/sql/relation.hpp"

namespace insync::odbc {

struct TableName {
    std::vector<std::string> parts;  // as they have to be quoted in a statement
    bool is_view = false;
    std::optional<std::int64_t> estimated_rows;
};

// Tables and views whose name matches the LIKE pattern.
std::vector<TableName> list_tables(Connection& connection, const std::string& pattern);

// Everything about one source. Raises Failure (config) for a name that isn't there, with the nearest one as a hint.
Relation load_relation(Connection& connection, const std::string& source);

// The same for a table that list_tables() found.
Relation load_table(Connection& connection, const TableName& table);

}  // namespace insync::odbc
