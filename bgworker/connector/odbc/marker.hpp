// The value of a query's :watermark with which it returns all of its rows.
#pragma once

#include "bgworker/connector/odbc/connection.hpp"
#include "bgworker/connector/odbc/sql/read_plan.hpp"

namespace insync::odbc {

// Sets the plan's lowest_marker, and how :watermark is written, by what the query returns: SQLite's types are promises.
// Raises Failure (config) where a query has :watermark and nobody said which column is compared with it.
void resolve_marker(Connection& connection, ReadPlan& plan);

}  // namespace insync::odbc
