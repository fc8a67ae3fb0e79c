// Handles, errors and session settings; see connection.hpp.
#include "bgworker/connector/odbc/connection.hpp"

#include <algorithm>
#include <utility>

#include "bgworker/connector/odbc/connect_string.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::odbc {

namespace {

SQLPOINTER as_pointer(std::uintptr_t value) {
    return reinterpret_cast<SQLPOINTER>(value);
}

SQLCHAR* as_text(const std::string& text) {
    return reinterpret_cast<SQLCHAR*>(const_cast<char*>(text.data()));
}

std::vector<Diagnostic> diagnostics_of(SQLSMALLINT type, SQLHANDLE handle) {
    std::vector<Diagnostic> records;
    for (SQLSMALLINT i = 1; i <= 8; i++) {  // a driver may have them without an end
        SQLCHAR state[6] = {};
        SQLINTEGER native = 0;
        SQLCHAR text[2048] = {};
        SQLSMALLINT length = 0;
        const SQLRETURN result = SQLGetDiagRec(type, handle, i, state, &native, text, sizeof text, &length);
        if (!SQL_SUCCEEDED(result)) break;
        records.push_back({reinterpret_cast<char*>(state), native, reinterpret_cast<char*>(text)});
    }
    return records;
}

// Tables, columns or keys that a catalog may have. A driver's list may have no end.
constexpr std::size_t max_text_rows = 250000;

int seconds_from(int milliseconds) {
    return milliseconds <= 0 ? 0 : (milliseconds + 999) / 1000;
}

}  // namespace

Connection::Connection(const OpenRequest& request)
    : dialect_(dialect_of_driver(option_text(request.server, "driver"))),
      max_value_bytes_(request.max_value_bytes),
      query_timeout_seconds_(seconds_from(request.query_timeout_ms)),
      lock_timeout_ms_(request.lock_timeout_ms),
      tls_(tls_of(request.server)) {
    const std::string connect_string = build_connect_string(request);
    secrets_ = {request.password(), escape_value(request.password()), connect_string};
    const std::string given = option_text(request.server, "connection_string");
    if (!given.empty()) secrets_.push_back(given);
    if (!request.server.value("driver_options", nlohmann::json()).is_null()) {
        secrets_.push_back(option_text(request.server, "driver_options"));
    }

    for (std::string& password : passwords_in(connect_string)) secrets_.push_back(std::move(password));
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &environment_))) {
        throw Failure(FailureClass::source, "could not allocate an ODBC environment");
    }
    SQLSetEnvAttr(environment_, SQL_ATTR_ODBC_VERSION, as_pointer(SQL_OV_ODBC3), 0);
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_DBC, environment_, &connection_))) {
        const Failure error = failure(SQL_HANDLE_ENV, environment_, "could not allocate an ODBC connection");
        SQLFreeHandle(SQL_HANDLE_ENV, environment_);
        throw error;
    }
    SQLSetConnectAttr(connection_, SQL_ATTR_LOGIN_TIMEOUT,
                      as_pointer(static_cast<std::uintptr_t>(seconds_from(request.connect_timeout_ms))), 0);
    SQLCHAR completed[16];
    SQLSMALLINT completed_length = 0;
    const SQLRETURN result =
        SQLDriverConnect(connection_, nullptr, as_text(connect_string), static_cast<SQLSMALLINT>(connect_string.size()),
                         completed, sizeof completed, &completed_length, SQL_DRIVER_NOPROMPT);
    if (!SQL_SUCCEEDED(result)) {
        Failure error = failure(SQL_HANDLE_DBC, connection_, "could not connect to the source");
        error.disconnected = true;
        SQLFreeHandle(SQL_HANDLE_DBC, connection_);
        SQLFreeHandle(SQL_HANDLE_ENV, environment_);
        throw error;
    }
    try {
        prepare_session();
    } catch (...) {
        SQLDisconnect(connection_);
        SQLFreeHandle(SQL_HANDLE_DBC, connection_);
        SQLFreeHandle(SQL_HANDLE_ENV, environment_);
        throw;
    }
}

void Connection::prepare_session() {
    dialect_ = dialect_of(info(SQL_DBMS_NAME), info(SQL_DRIVER_NAME));
    SQLUINTEGER extensions = 0;
    SQLGetInfo(connection_, SQL_GETDATA_EXTENSIONS, &extensions, sizeof extensions, nullptr);
    constexpr SQLUINTEGER wanted = SQL_GD_ANY_COLUMN | SQL_GD_BLOCK | SQL_GD_BOUND;
    can_reread_in_block_ = (extensions & wanted) == wanted;
    // SQLite's driver can, but says nothing about blocks.
    if (dialect_ == Dialect::sqlite) can_reread_in_block_ = true;
    require_encryption();
    if (dialect_ == Dialect::oracle) {
        // A read-only transaction lasts longer than the statement that begins it.
        SQLSetConnectAttr(connection_, SQL_ATTR_AUTOCOMMIT, as_pointer(SQL_AUTOCOMMIT_OFF), 0);
    }
    for (const SessionStatement& statement : session_statements(dialect_, query_timeout_seconds_, lock_timeout_ms_)) {
        try {
            execute(statement.sql);
        } catch (const Failure& error) {
            if (statement.required || error.disconnected) throw;
        }
    }
}

std::optional<std::string> Connection::cipher() {
    const auto statement = tls_statement(dialect_);
    if (!statement) return std::nullopt;
    try {
        const std::vector<TextRow> rows = query(*statement);
        return rows.empty() || rows[0].empty() ? std::nullopt : std::optional(rows[0].back().value_or(""));
    } catch (const Failure& error) {
        if (error.disconnected) throw;
        return std::nullopt;  // for want of a right at the source
    }
}

// The driver was told to encrypt; whether it did, the source knows.
void Connection::require_encryption() {
    if (tls_ != Tls::require && tls_ != Tls::verify) return;
    if (const auto used = cipher(); used && used->empty()) {
        throw Failure(FailureClass::config, "the session is not encrypted, though option \"tls\" demands it",
                      "The driver or the source does without.", "Check the TLS settings of the source.");
    }
}

Connection::~Connection() {
    SQLDisconnect(connection_);
    SQLFreeHandle(SQL_HANDLE_DBC, connection_);
    SQLFreeHandle(SQL_HANDLE_ENV, environment_);
}

std::string Connection::info(SQLUSMALLINT type) const {
    char text[256] = {};
    SQLSMALLINT length = 0;
    if (!SQL_SUCCEEDED(SQLGetInfo(connection_, type, text, sizeof text, &length))) return "";
    return std::string(
        text, std::clamp<std::size_t>(static_cast<std::size_t>(std::max<SQLSMALLINT>(length, 0)), 0, sizeof text - 1));
}

void Connection::make_read_only() {
    if (std::exchange(is_read_only_, false) || !std::exchange(guarded_, false)) return;
    for (const std::string& statement : read_only_statements(dialect_)) execute(statement);
    guarded_ = true;
}

void Connection::execute(const std::string& sql) {
    Statement statement(*this);
    statement.execute(sql);
}

std::vector<TextRow> Connection::query(const std::string& sql, const std::vector<std::string>& parameters) {
    Statement statement(*this);
    statement.execute(sql, parameters);
    SQLSMALLINT columns = 0;
    statement.require(SQLNumResultCols(statement.handle(), &columns), "could not read the result");
    return statement.text_rows(columns);
}

std::optional<std::string> Connection::query_value(const std::string& sql, const std::vector<std::string>& parameters) {
    const std::vector<TextRow> rows = query(sql, parameters);
    if (rows.empty() || rows[0].empty()) return std::nullopt;
    return rows[0][0];
}

Failure Connection::failure(SQLSMALLINT handle_type, SQLHANDLE handle, const std::string& action) {
    const std::vector<Diagnostic> records = diagnostics_of(handle_type, handle);
    Failure error = failure_from(records, dialect_, action, secrets_);
    if (error.disconnected) dead_ = true;
    if (handle_type == SQL_HANDLE_STMT && is_dead()) {
        // Drivers find it out in the middle of their own business, and name that: "internal SAVEPOINT failed".
        if (error.sqlstate != "HYT00")
            error = failure_from(records, dialect_, "the connection to the source was lost", secrets_);
        error.disconnected = true;
        if (error.kind == FailureClass::source) error.kind = FailureClass::transient;
    }
    return error;
}

bool Connection::is_dead() {
    if (!dead_) {
        SQLUINTEGER state = SQL_CD_FALSE;
        const SQLRETURN result =
            SQLGetConnectAttr(connection_, SQL_ATTR_CONNECTION_DEAD, &state, sizeof state, nullptr);
        dead_ = SQL_SUCCEEDED(result) && state == SQL_CD_TRUE;
    }
    return dead_;
}

Statement::Statement(Connection& connection) : connection_(connection) {
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_STMT, connection.handle(), &statement_))) {
        throw connection.failure(SQL_HANDLE_DBC, connection.handle(), "could not allocate a statement");
    }
    if (connection.query_timeout_seconds() > 0) {
        // Drivers without timeouts refuse this; the worker's own timeout stands behind it.
        SQLSetStmtAttr(statement_, SQL_ATTR_QUERY_TIMEOUT,
                       as_pointer(static_cast<std::uintptr_t>(connection.query_timeout_seconds())), 0);
    }
}

Statement::~Statement() {
    SQLFreeHandle(SQL_HANDLE_STMT, statement_);
}

void Statement::require(SQLRETURN result, const std::string& action) {
    if (SQL_SUCCEEDED(result)) return;
    throw connection_.failure(SQL_HANDLE_STMT, statement_, action);
}

void Statement::execute(const std::string& sql, const std::vector<std::string>& parameters) {
    static const std::string action = "could not run a statement at the source";
    connection_.make_read_only();
    connection_.statements_sent++;
    parameters_ = parameters;
    lengths_.assign(parameters_.size(), 0);
    wide_.assign(parameters_.size(), {});
    for (std::size_t i = 0; i < parameters_.size(); i++) bind(i, action);
    const SQLRETURN result = SQLExecDirect(statement_, as_text(sql), static_cast<SQLINTEGER>(sql.size()));
    if (result != SQL_NO_DATA) require(result, action);
}

void Statement::bind(std::size_t parameter, const std::string& action) {
    constexpr std::size_t longest_wide = 4000;
    std::string& text = parameters_[parameter];
    const bool ascii =
        std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    SQLSMALLINT c_type = SQL_C_CHAR, sql_type = SQL_VARCHAR;
    SQLPOINTER value = as_text(text);
    std::size_t units = text.size(), bytes = text.size();
    if (!ascii && connection_.dialect() == Dialect::sqlserver) {
        std::u16string& wide = wide_[parameter] = utf16_of(text);
        c_type = SQL_C_WCHAR;
        sql_type = wide.size() > longest_wide ? SQL_WLONGVARCHAR : SQL_WVARCHAR;
        value = wide.data();
        units = wide.size();
        bytes = 2 * units;
    }
    lengths_[parameter] = static_cast<SQLLEN>(bytes);
    require(SQLBindParameter(statement_, static_cast<SQLUSMALLINT>(parameter + 1), SQL_PARAM_INPUT, c_type, sql_type,
                             std::max<SQLULEN>(1, units), 0, value, static_cast<SQLLEN>(bytes), &lengths_[parameter]),
            action);
}

std::vector<TextRow> Statement::text_rows(int columns) {
    std::vector<TextRow> rows;
    while (true) {
        const SQLRETURN result = SQLFetch(statement_);
        if (result == SQL_NO_DATA) return rows;
        require(result, "could not read from the source");
        if (rows.size() == max_text_rows) {
            throw Failure(FailureClass::source, "the source returned a list without an end",
                          "It has more than " + std::to_string(max_text_rows) +
                              " rows, where names or a few values were asked for.");
        }
        TextRow row;
        for (int column = 1; column <= columns; column++) {
            std::string value;
            bool too_long = false;
            const bool present =
                get_data(static_cast<SQLUSMALLINT>(column), false, connection_.max_value_bytes(), value, too_long);
            row.push_back(present ? std::optional<std::string>(value) : std::nullopt);
        }
        rows.push_back(std::move(row));
    }
}

bool Statement::get_data(SQLUSMALLINT column, bool binary, std::size_t max_bytes, std::string& value, bool& too_long) {
    static const std::string action = "could not read a value from the source";
    const SQLSMALLINT type = binary ? SQL_C_BINARY : SQL_C_CHAR;
    const std::size_t terminator = binary ? 0 : 1;
    too_long = false;
    // The string keeps its capacity between rows, so that reading a column allocates only when values grow.
    if (value.capacity() < 256) value.reserve(256);
    value.resize(value.capacity());
    std::size_t used = 0;
    while (true) {
        SQLLEN indicator = 0;
        const std::size_t room = value.size() - used;
        const SQLRETURN result =
            SQLGetData(statement_, column, type, value.data() + used, static_cast<SQLLEN>(room), &indicator);
        if (result == SQL_NO_DATA) break;
        require(result, action);
        if (indicator == SQL_NULL_DATA) {
            value.clear();
            return false;
        }
        if (indicator < 0 && indicator != SQL_NO_TOTAL) {
            throw Failure(FailureClass::source, "the ODBC driver returned a value of " + std::to_string(indicator) +
                                                    " bytes in column " + std::to_string(column));
        }
        const bool more = indicator == SQL_NO_TOTAL || static_cast<std::size_t>(indicator) + terminator > room;
        if (!more) {
            used += static_cast<std::size_t>(indicator);
            break;
        }
        used += room - terminator;
        if (used > max_bytes || (indicator != SQL_NO_TOTAL && static_cast<std::size_t>(indicator) > max_bytes)) {
            too_long = true;
            break;
        }
        const std::size_t rest =
            indicator == SQL_NO_TOTAL ? value.size() : static_cast<std::size_t>(indicator) - (room - terminator);
        value.resize(used + rest + terminator + 1);
    }
    value.resize(used);
    if (used > max_bytes) too_long = true;
    return true;
}

}  // namespace insync::odbc
