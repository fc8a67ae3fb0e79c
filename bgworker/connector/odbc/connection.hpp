// One ODBC connection and its statements: handles, errors, session settings.
//
// A Connection knows its engine's dialect and turns every failed call into a Failure. Only one statement is open at a
// time: SQL Server's drivers refuse a second one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sql.h>
#include <sqlext.h>

#include "bgworker/connector/odbc/diagnostics.hpp"
#include "bgworker/connector/odbc/sql/dialect.hpp"
#include "bgworker/connector/odbc/tls.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/output/source.hpp"

namespace insync::odbc {

using TextRow = std::vector<std::optional<std::string>>;

class Connection {
  public:
    // Connects and prepares the session, or raises Failure.
    explicit Connection(const OpenRequest& request);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    Dialect dialect() const { return dialect_; }
    std::size_t max_value_bytes() const { return max_value_bytes_; }

    // True if SQLSetPos and SQLGetData reach any column of any row of a bound block, so that a value which didn't fit
    // its buffer can be read again.
    bool can_reread_in_block() const { return can_reread_in_block_; }

    // A text that SQLGetInfo knows, such as SQL_DBMS_NAME; empty where the driver doesn't.
    std::string info(SQLUSMALLINT type) const;

    // Runs a statement that returns nothing of interest.
    void execute(const std::string& sql);

    // All rows of a small result as text.
    std::vector<TextRow> query(const std::string& sql, const std::vector<std::string>& parameters = {});

    // The first value of a small result; nothing where it is NULL or there is no row.
    std::optional<std::string> query_value(const std::string& sql, const std::vector<std::string>& parameters = {});

    // The failure that the diagnostics of a handle tell of. Marks the connection as dead where they say so.
    Failure failure(SQLSMALLINT handle_type, SQLHANDLE handle, const std::string& action);

    // True once an error or the driver has said that the connection is gone.
    bool is_dead();

    SQLHDBC handle() const { return connection_; }
    int query_timeout_seconds() const { return query_timeout_seconds_; }
    // The session's cipher as the source tells it, empty where it is in clear; nothing where it doesn't tell.
    std::optional<std::string> cipher();

    // While `on`, what is sent may hold a query that a user wrote: each statement is made to run read-only.
    void guard(bool on) { guarded_ = on; }

    // Says that the last statement has made the session read-only for the next one.
    void skip_next_guard() { is_read_only_ = guarded_; }

    // SQL Server: whether this session's statements read in SNAPSHOT isolation, which is set and left once.
    bool snapshot_isolation = false;

    // Statements sent so far, for the progress frames.
    std::uint64_t statements_sent = 0;

  private:
    friend class Statement;
    void prepare_session();
    void require_encryption();
    void make_read_only();

    SQLHENV environment_ = SQL_NULL_HENV;
    SQLHDBC connection_ = SQL_NULL_HDBC;
    Dialect dialect_ = Dialect::generic;
    std::vector<std::string> secrets_;
    std::size_t max_value_bytes_;
    int query_timeout_seconds_;
    int lock_timeout_ms_;
    Tls tls_;
    bool can_reread_in_block_ = false;
    bool dead_ = false;
    bool guarded_ = false;
    bool is_read_only_ = false;  // for the next statement
};

// A statement handle, closed with its scope.
class Statement {
  public:
    explicit Statement(Connection& connection);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    // Executes `sql` with text parameters. SQL Server's drivers convert narrow texts to the code page of its database,
    // so those that aren't ASCII are sent as wide ones there.
    void execute(const std::string& sql, const std::vector<std::string>& parameters = {});

    // Raises Failure unless `result` is a success.
    void require(SQLRETURN result, const std::string& action);

    SQLHSTMT handle() const { return statement_; }
    Connection& connection() { return connection_; }

    // All rows of a small result, the first `columns` of each as text.
    std::vector<TextRow> text_rows(int columns);

    // The whole of a text or binary column of the current row, by SQLGetData; nothing for NULL. Reading stops, with
    // `too_long` set, when the value passes `max_bytes`.
    bool get_data(SQLUSMALLINT column, bool binary, std::size_t max_bytes, std::string& value, bool& too_long);

  private:
    Connection& connection_;
    SQLHSTMT statement_ = SQL_NULL_HSTMT;
    void bind(std::size_t parameter, const std::string& action);

    std::vector<std::string> parameters_;
    std::vector<std::u16string> wide_;  // those that aren't sent as bytes
    std::vector<SQLLEN> lengths_;
};

}  // namespace insync::odbc
