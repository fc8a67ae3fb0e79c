// The engines' differences; see dialect.hpp.
#include "bgworker/connector/odbc/sql/dialect.hpp"

#include <algorithm>
#include <cctype>

#include "bgworker/protocol/text.hpp"

namespace insync::odbc {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
    return out;
}

}  // namespace

std::string_view name_of(Dialect dialect) {
    switch (dialect) {
        case Dialect::sqlite:
            return "sqlite";
        case Dialect::mysql:
            return "mysql";
        case Dialect::postgresql:
            return "postgresql";
        case Dialect::sqlserver:
            return "sqlserver";
        case Dialect::oracle:
            return "oracle";
        case Dialect::generic:
            break;
    }
    return "generic";
}

Dialect dialect_of(std::string_view dbms_name, std::string_view driver_name) {
    const std::string dbms = lower(dbms_name);
    if (contains(dbms, "sqlite")) return Dialect::sqlite;
    if (contains(dbms, "mysql") || contains(dbms, "mariadb")) return Dialect::mysql;
    if (contains(dbms, "postgres")) return Dialect::postgresql;
    if (contains(dbms, "sql server")) return Dialect::sqlserver;
    if (contains(dbms, "oracle")) return Dialect::oracle;
    return dialect_of_driver(driver_name);
}

Dialect dialect_of_driver(std::string_view driver) {
    const std::string name = lower(driver);
    if (contains(name, "sqlite")) return Dialect::sqlite;
    if (contains(name, "maria") || contains(name, "mysql") || contains(name, "maodbc") || contains(name, "myodbc")) {
        return Dialect::mysql;
    }
    if (contains(name, "postgres") || contains(name, "psqlodbc")) return Dialect::postgresql;
    if (contains(name, "freetds") || contains(name, "tdsodbc") || contains(name, "sql server") ||
        contains(name, "msodbcsql")) {
        return Dialect::sqlserver;
    }
    if (contains(name, "oracle") || contains(name, "sqora")) return Dialect::oracle;
    return Dialect::generic;
}

std::string quote_name(Dialect dialect, std::string_view name) {
    char open = '"';
    char close = '"';
    if (dialect == Dialect::mysql) open = close = '`';
    if (dialect == Dialect::sqlserver) {
        open = '[';
        close = ']';
    }
    std::string quoted(1, open);
    for (char c : name) {
        if (c == close) quoted += c;
        quoted += c;
    }
    return quoted += close;
}

std::string quote_path(Dialect dialect, const std::vector<std::string>& parts) {
    std::string path;
    for (const std::string& part : parts) {
        if (!path.empty()) path += '.';
        path += quote_name(dialect, part);
    }
    return path;
}

std::string page_prefix(Dialect dialect, std::size_t rows) {
    return dialect == Dialect::sqlserver ? "TOP (" + std::to_string(rows) + ") " : "";
}

std::string page_suffix(Dialect dialect, std::size_t rows) {
    switch (dialect) {
        case Dialect::sqlite:
        case Dialect::mysql:
        case Dialect::postgresql:
            return " LIMIT " + std::to_string(rows);
        case Dialect::oracle:
            return " FETCH FIRST " + std::to_string(rows) + " ROWS ONLY";
        default:
            // An unknown engine may know none of these words; its pages end by closing the cursor.
            return "";
    }
}

std::optional<std::string> clock_expression(Dialect dialect, bool utc) {
    switch (dialect) {
        case Dialect::sqlite:
            return "strftime('%Y-%m-%d %H:%M:%f', 'now')";
        case Dialect::mysql:
            // The session runs in UTC; naive values were most likely written in the server's zone.
            return utc ? "CAST(UTC_TIMESTAMP(6) AS CHAR)"
                       : "CAST(COALESCE(CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', @@global.time_zone), "
                         "UTC_TIMESTAMP(6)) AS CHAR)";
        case Dialect::postgresql:
            return utc ? "CAST(pg_catalog.clock_timestamp() AS text)"
                       : "CAST(pg_catalog.clock_timestamp() AT TIME ZONE "
                         "(SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'TimeZone') AS text)";
        case Dialect::sqlserver:
            return utc ? "CONVERT(varchar(27), SYSUTCDATETIME(), 121)" : "CONVERT(varchar(27), SYSDATETIME(), 121)";
        case Dialect::oracle:
            return utc ? "TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP), 'YYYY-MM-DD HH24:MI:SS.FF6')"
                       : "TO_CHAR(SYSTIMESTAMP, 'YYYY-MM-DD HH24:MI:SS.FF6')";
        case Dialect::generic:
            break;
    }
    return std::nullopt;
}

std::string select_expressions(Dialect dialect, const std::string& expressions) {
    return "SELECT " + expressions + (dialect == Dialect::oracle ? " FROM DUAL" : "");
}

std::vector<SessionStatement> session_statements(Dialect dialect, int query_timeout_seconds, int lock_timeout_ms) {
    const std::string lock_ms = std::to_string(lock_timeout_ms);
    const std::string lock_s = std::to_string((lock_timeout_ms + 999) / 1000);
    switch (dialect) {
        case Dialect::sqlite:
            // Views of the file must not call what the driver adds: blob_export() writes files of this machine.
            return {{"PRAGMA trusted_schema = OFF"}, {"PRAGMA query_only = ON"}};
        case Dialect::mysql:
            // The character set is the connection string's business: the driver refuses SET NAMES. A double quote must
            // not turn into a text quote, nor a backslash into itself, under odd modes. What is there compares as it
            // is: dates like 2024-02-31, and texts longer than 1024 bytes.
            return {{"SET SESSION time_zone = '+00:00', SESSION sql_mode = 'ALLOW_INVALID_DATES', SESSION "
                     "max_sort_length = 32768, SESSION lock_wait_timeout = " +
                     lock_s},
                    {"SET SESSION TRANSACTION READ ONLY"},
                    {"SET SESSION net_write_timeout = 600, SESSION innodb_lock_wait_timeout = " + lock_s, false},
                    // MariaDB knows one of the two timeouts, MySQL the other.
                    {"SET SESSION max_statement_time = " + std::to_string(query_timeout_seconds), false},
                    {"SET SESSION max_execution_time = " + std::to_string(query_timeout_seconds * 1000LL), false}};
        case Dialect::postgresql:
            return {{"SET client_encoding TO 'UTF8'"},
                    {"SELECT pg_catalog.set_config(n, v, false) FROM (VALUES ('DateStyle', 'ISO, YMD'), "
                     "('IntervalStyle', 'postgres'), ('bytea_output', 'hex'), ('extra_float_digits', '3'), "
                     "('standard_conforming_strings', 'on'), ('TimeZone', 'UTC'), ('lock_timeout', '" +
                     lock_ms + "'), ('default_transaction_read_only', 'on')) AS s (n, v)"}};
        case Dialect::sqlserver:
            return {{"SET TEXTSIZE 2147483647"},        {"SET ANSI_NULLS ON"},
                    {"SET QUOTED_IDENTIFIER ON"},       {"SET DATEFORMAT ymd"},
                    {"SET LANGUAGE us_english", false}, {"SET LOCK_TIMEOUT " + lock_ms, false}};
        case Dialect::oracle:
            return {{"ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS'"},
                    {"ALTER SESSION SET NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9'"},
                    {"ALTER SESSION SET NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM'"},
                    {"ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,'"},
                    // Sorted by one language and compared by another rule, rows would be lost between two pages.
                    {"ALTER SESSION SET NLS_SORT = BINARY"},
                    {"ALTER SESSION SET NLS_COMP = BINARY"},
                    {"ALTER SESSION SET TIME_ZONE = '+00:00'", false}};
        default:
            return {};
    }
}

std::string read_only_expression(Dialect dialect) {
    return dialect == Dialect::postgresql ? "pg_catalog.set_config('default_transaction_read_only', 'on', false)" : "";
}

std::vector<std::string> read_only_statements(Dialect dialect) {
    switch (dialect) {
        case Dialect::postgresql:
            return {"SELECT " + read_only_expression(dialect)};
        case Dialect::oracle:
            return {"COMMIT", "SET TRANSACTION READ ONLY"};  // it can be said at the beginning of a transaction only
        default:
            return {};
    }
}

std::vector<std::string> begin_snapshot(Dialect dialect) {
    switch (dialect) {
        case Dialect::mysql:
            return {"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"};
        case Dialect::postgresql:
            return {"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"};
        default:
            return {};
    }
}

std::vector<std::string> end_snapshot(Dialect dialect) {
    switch (dialect) {
        case Dialect::mysql:
        case Dialect::postgresql:
            return {"COMMIT"};
        case Dialect::sqlserver:
            return {"IF @@TRANCOUNT > 0 COMMIT"};  // the isolation is the session's: see load_relation()
        default:
            return {};
    }
}

std::string sqlserver_isolation_statement() {
    return "SELECT CASE WHEN snapshot_isolation_state = 1 THEN 1 ELSE 0 END, "
           "CAST(is_read_committed_snapshot_on AS int) FROM sys.databases WHERE database_id = DB_ID()";
}

Isolation sqlserver_isolation(bool snapshot_allowed, bool read_committed_snapshot) {
    if (snapshot_allowed) {
        return {{"SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "BEGIN TRANSACTION"}, ""};
    }
    Isolation isolation{{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED"}, ""};
    if (!read_committed_snapshot) {
        isolation.warning =
            "the source database allows neither SNAPSHOT isolation nor READ_COMMITTED_SNAPSHOT: rows that move while "
            "they are read may be missed until they change again";
    }
    return isolation;
}

std::string rowversion_horizon_expression() {
    // How binary values become hexadecimal digits isn't known to every server that speaks this language.
    return "CAST(MIN_ACTIVE_ROWVERSION() AS bigint)";
}

}  // namespace insync::odbc
