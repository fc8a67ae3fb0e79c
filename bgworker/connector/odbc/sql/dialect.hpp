// What differs between the engines' SQL: quoting, pages, clocks, session settings, snapshots. Text only, no driver.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace insync::odbc {

// `generic` is an engine that we don't know: ANSI SQL and the ODBC catalog functions.
enum class Dialect { sqlite, mysql, postgresql, sqlserver, oracle, generic };

std::string_view name_of(Dialect dialect);

// The dialect of a connection, by what its driver calls the engine and itself.
Dialect dialect_of(std::string_view dbms_name, std::string_view driver_name);

// The dialect that a registered driver's name promises before there is a connection ("MariaDB Unicode").
Dialect dialect_of_driver(std::string_view driver);

// The name quoted; quotes inside are doubled.
std::string quote_name(Dialect dialect, std::string_view name);

// schema.table, each part quoted.
std::string quote_path(Dialect dialect, const std::vector<std::string>& parts);

// What limits a SELECT to `rows` rows: text behind SELECT, and text at the end. Either may be empty.
std::string page_prefix(Dialect dialect, std::size_t rows);
std::string page_suffix(Dialect dialect, std::size_t rows);

// The source's clock as text, as an expression: of UTC, or of the zone in which naive values are written there.
std::optional<std::string> clock_expression(Dialect dialect, bool utc);

// SELECT of expressions without a table.
std::string select_expressions(Dialect dialect, const std::string& expressions);

// Sent once after connecting; `required` ones fail the connection, others are tried. The timeout (0: none) is set here
// for engines whose drivers ignore SQL_ATTR_QUERY_TIMEOUT. `lock_timeout_ms` is how long a lock is waited for.
struct SessionStatement {
    std::string sql;
    bool required = true;
};
std::vector<SessionStatement> session_statements(Dialect dialect, int query_timeout_seconds, int lock_timeout_ms);

// Sent before each statement with a query that a user wrote, where no read-only transaction is open: sessions are
// read-only, but a function that the query calls may have changed that for the statement behind it.
std::vector<std::string> read_only_statements(Dialect dialect);

// What does the same as an expression of an earlier SELECT; empty where there is none.
std::string read_only_expression(Dialect dialect);

// Begin and end a read-only transaction in which all statements see one state. Empty where the engine reads page by
// page. SQL Server's isolation is chosen at run time, see sqlserver_isolation().
std::vector<std::string> begin_snapshot(Dialect dialect);
std::vector<std::string> end_snapshot(Dialect dialect);

// Selects two numbers: whether the database allows SNAPSHOT isolation, and whether READ COMMITTED reads versions there.
std::string sqlserver_isolation_statement();

// What to send before a SQL Server read, given those two; `warning` is set where rows may be missed or seen twice.
struct Isolation {
    std::vector<std::string> begin;
    std::string warning;
};
Isolation sqlserver_isolation(bool snapshot_allowed, bool read_committed_snapshot);

// The horizon below which no transaction is open, as a number.
std::string rowversion_horizon_expression();

}  // namespace insync::odbc
