// The ODBC functions of a driver that misbehaves on command: a fixture of the tests, never installed.
//
// It serves one small table (table.hpp) as a driver should, fetches into arrays of the caller's, and does what the
// connection string orders it to do wrong (misbehaviour.hpp). Only what the connector calls is there.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <sql.h>
#include <sqlext.h>

#include "tests/driver/misbehaviour.hpp"
#include "tests/driver/table.hpp"

using namespace misbehaving;

namespace {

// Where "late-fetch" begins: some pages and batches have passed by then.
constexpr std::int64_t late_row = 1000;

struct Connection {
    Orders orders;
    std::string error;
};

struct Binding {
    SQLSMALLINT type;
    char* target;
    SQLLEN room;
    SQLLEN* indicator;
};

struct Statement {
    explicit Statement(Connection* owner) : connection(owner) {}

    Connection* connection;
    std::string error;
    Result result;
    std::int64_t row = 0;  // the current one
    std::map<std::size_t, Binding> bindings;
    std::map<std::size_t, std::size_t> sent;  // bytes of the current row's columns that SQLGetData has given
    struct Parameter {
        SQLSMALLINT c_type, sql_type;
        SQLULEN size;
        char* value;
        SQLLEN* length;

        // Wide texts with a question mark for what isn't ASCII.
        std::string text() const {
            const auto bytes = static_cast<std::size_t>(*length);
            if (c_type != SQL_C_WCHAR) return {value, bytes};
            std::string narrow;
            for (std::size_t at = 0; at < bytes; at += 2) narrow += value[at + 1] == 0 ? value[at] : '?';
            return narrow;
        }
    };
    std::map<int, Parameter> parameters;
    SQLULEN array_size = 1;
    SQLULEN* fetched = nullptr;
    SQLUSMALLINT* status = nullptr;

    const Orders& orders() const { return connection->orders; }
};

Statement& statement_of(SQLHSTMT handle) {
    return *static_cast<Statement*>(handle);
}

SQLRETURN fail(std::string& error, const std::string& message) {
    error = message;
    return SQL_ERROR;
}

SQLRETURN start(Statement& statement, Result result, const char* place = "execute") {
    if (!commit(statement.orders(), place)) return fail(statement.error, "out of memory or of ideas");
    statement.result = std::move(result);
    statement.row = 0;
    return SQL_SUCCESS;
}

std::string text_of(SQLCHAR* text, SQLINTEGER length) {
    if (text == nullptr) return "";
    const auto* chars = reinterpret_cast<const char*>(text);
    return length == SQL_NTS ? chars : std::string(chars, static_cast<std::size_t>(length));
}

// Copies a text as ODBC does it: cut to the buffer, always with a terminator, the whole length told.
template <typename Length>
SQLRETURN copy_text(const std::string& text, SQLPOINTER target, SQLLEN room, Length* length) {
    if (length != nullptr) *length = static_cast<Length>(text.size());
    if (target == nullptr || room <= 0) return SQL_SUCCESS;
    const std::size_t count = std::min(text.size(), static_cast<std::size_t>(room - 1));
    std::memcpy(target, text.data(), count);
    static_cast<char*>(target)[count] = '\0';
    return count < text.size() ? SQL_SUCCESS_WITH_INFO : SQL_SUCCESS;
}

SQL_TIMESTAMP_STRUCT timestamp_of(const std::string& text) {
    SQL_TIMESTAMP_STRUCT value{};
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    std::sscanf(text.c_str(), "%d-%d-%d %d:%d:%d", &year, &month, &day, &hour, &minute, &second);
    value.year = static_cast<SQLSMALLINT>(year);
    value.month = static_cast<SQLUSMALLINT>(month);
    value.day = static_cast<SQLUSMALLINT>(day);
    value.hour = static_cast<SQLUSMALLINT>(hour);
    value.minute = static_cast<SQLUSMALLINT>(minute);
    value.second = static_cast<SQLUSMALLINT>(second);
    value.fraction = text.size() > 20 ? 123000000 : 0;
    return value;
}

// Dates as no calendar has them: VALUE is one of month, year, hour, fraction.
void damage(const Orders& orders, SQL_TIMESTAMP_STRUCT& value) {
    if (!orders.is("date")) return;
    if (orders.value == "month") value.month = 99;
    if (orders.value == "year") value.year = -32768;
    if (orders.value == "hour") value.hour = 65535;
    if (orders.value == "fraction") value.fraction = 4294967295u;
}

// Puts a value into one place of the caller's. `sent`, where given, is what earlier calls for this value have handed
// over; it is advanced.
SQLRETURN store(const Statement& statement, std::int64_t row, std::size_t column, SQLSMALLINT type, char* target,
                SQLLEN room, SQLLEN* indicator, std::size_t* sent) {
    const Orders& orders = statement.orders();
    const Value value = statement.result.value(row, column);
    SQLLEN ignored = 0;
    if (indicator == nullptr) indicator = &ignored;
    if (!value) {
        *indicator = SQL_NULL_DATA;
        return SQL_SUCCESS;
    }
    const bool damaged =
        row == damaged_row && statement.result.columns.size() > 1 && statement.result.columns[0].name == "id";
    switch (type) {
        case SQL_C_SBIGINT: {
            const std::int64_t number = std::strtoll(value->c_str(), nullptr, 10);
            std::memcpy(target, &number, sizeof number);
            *indicator = sizeof number;
            return SQL_SUCCESS;
        }
        case SQL_C_DOUBLE: {
            const double number = std::strtod(value->c_str(), nullptr);
            std::memcpy(target, &number, sizeof number);
            *indicator = sizeof number;
            return SQL_SUCCESS;
        }
        case SQL_C_TYPE_DATE: {
            SQL_TIMESTAMP_STRUCT time = timestamp_of(*value);
            if (damaged) damage(orders, time);
            const SQL_DATE_STRUCT date{time.year, time.month, time.day};
            std::memcpy(target, &date, sizeof date);
            *indicator = sizeof date;
            return SQL_SUCCESS;
        }
        case SQL_C_TYPE_TIMESTAMP: {
            SQL_TIMESTAMP_STRUCT time = timestamp_of(*value);
            if (damaged) damage(orders, time);
            std::memcpy(target, &time, sizeof time);
            *indicator = sizeof time;
            return SQL_SUCCESS;
        }
        default:
            break;
    }
    if (damaged && column == 1 && orders.is("endless-chunks")) {
        std::memset(target, 'x', static_cast<std::size_t>(room - 1));
        target[room - 1] = '\0';
        *indicator = SQL_NO_TOTAL;
        return SQL_SUCCESS_WITH_INFO;
    }
    const std::size_t start = sent != nullptr ? *sent : 0;
    if (start > value->size()) return SQL_NO_DATA;
    const SQLRETURN result = copy_text(value->substr(start), target, room, indicator);
    if (sent != nullptr) {
        *sent = result == SQL_SUCCESS ? value->size() + 1 : start + static_cast<std::size_t>(room - 1);
    }
    if (damaged && column == 1 && orders.is("indicator")) *indicator = orders.number();
    return result;
}

}  // namespace

extern "C" {

SQLRETURN SQL_API SQLAllocHandle(SQLSMALLINT type, SQLHANDLE input, SQLHANDLE* output) {
    static int environment;
    if (type == SQL_HANDLE_ENV) *output = &environment;
    if (type == SQL_HANDLE_DBC) *output = new Connection();
    if (type == SQL_HANDLE_STMT) *output = new Statement(static_cast<Connection*>(input));
    return type == SQL_HANDLE_DESC ? SQL_ERROR : SQL_SUCCESS;
}

SQLRETURN SQL_API SQLFreeHandle(SQLSMALLINT type, SQLHANDLE handle) {
    if (type == SQL_HANDLE_DBC) delete static_cast<Connection*>(handle);
    if (type == SQL_HANDLE_STMT) delete static_cast<Statement*>(handle);
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLFreeStmt(SQLHSTMT, SQLUSMALLINT) {
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLSetEnvAttr(SQLHENV, SQLINTEGER, SQLPOINTER, SQLINTEGER) {
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLSetConnectAttr(SQLHDBC, SQLINTEGER, SQLPOINTER, SQLINTEGER) {
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLGetConnectAttr(SQLHDBC, SQLINTEGER, SQLPOINTER value, SQLINTEGER, SQLINTEGER*) {
    *static_cast<SQLUINTEGER*>(value) = SQL_CD_FALSE;
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLDriverConnect(SQLHDBC handle, SQLHWND, SQLCHAR* input, SQLSMALLINT length, SQLCHAR*, SQLSMALLINT,
                                   SQLSMALLINT*, SQLUSMALLINT) {
    auto& connection = *static_cast<Connection*>(handle);
    connection.orders = parse_orders(text_of(input, length));
    if (!commit(connection.orders, "connect")) return fail(connection.error, "out of memory or of ideas");
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLDisconnect(SQLHDBC handle) {
    commit(static_cast<Connection*>(handle)->orders, "disconnect");
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLGetInfo(SQLHDBC handle, SQLUSMALLINT type, SQLPOINTER value, SQLSMALLINT room,
                             SQLSMALLINT* length) {
    switch (type) {
        case SQL_DRIVER_ODBC_VER:
            return copy_text("03.52", value, room, length);
        case SQL_DBMS_NAME:
            if (const Orders& orders = static_cast<Connection*>(handle)->orders; orders.is("dbms")) {
                return copy_text(orders.value, value, room, length);
            }
            return copy_text("Misbehaving", value, room, length);
        case SQL_DBMS_VER:
            return copy_text("1.0", value, room, length);
        case SQL_GETDATA_EXTENSIONS:
            *static_cast<SQLUINTEGER*>(value) = SQL_GD_ANY_COLUMN | SQL_GD_ANY_ORDER;
            return SQL_SUCCESS;
        default:
            return SQL_ERROR;
    }
}

SQLRETURN SQL_API SQLSetStmtAttr(SQLHSTMT handle, SQLINTEGER attribute, SQLPOINTER value, SQLINTEGER) {
    Statement& statement = statement_of(handle);
    if (attribute == SQL_ATTR_ROW_ARRAY_SIZE) statement.array_size = reinterpret_cast<SQLULEN>(value);
    if (attribute == SQL_ATTR_ROWS_FETCHED_PTR) statement.fetched = static_cast<SQLULEN*>(value);
    if (attribute == SQL_ATTR_ROW_STATUS_PTR) statement.status = static_cast<SQLUSMALLINT*>(value);
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLGetStmtAttr(SQLHSTMT, SQLINTEGER, SQLPOINTER, SQLINTEGER, SQLINTEGER*) {
    return SQL_ERROR;
}

SQLRETURN SQL_API SQLBindParameter(SQLHSTMT handle, SQLUSMALLINT number, SQLSMALLINT, SQLSMALLINT c_type,
                                   SQLSMALLINT sql_type, SQLULEN size, SQLSMALLINT, SQLPOINTER value, SQLLEN,
                                   SQLLEN* length) {
    statement_of(handle).parameters[number] = {c_type, sql_type, size, static_cast<char*>(value), length};
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLExecDirect(SQLHSTMT handle, SQLCHAR* sql, SQLINTEGER length) {
    Statement& statement = statement_of(handle);
    std::string first;
    if (!statement.parameters.empty()) first = statement.parameters.begin()->second.text();
    if (!statement.orders().trace.empty()) {
        std::ofstream trace(statement.orders().trace, std::ios::app);
        trace << text_of(sql, length) << "\n";
        for (const auto& [number, parameter] : statement.parameters) {
            trace << "  C type " << parameter.c_type << ", SQL type " << parameter.sql_type << ", size "
                  << parameter.size << ": " << parameter.text() << "\n";
        }
    }
    return start(statement, run_statement(statement.orders(), text_of(sql, length), first));
}

SQLRETURN SQL_API SQLTables(SQLHSTMT handle, SQLCHAR*, SQLSMALLINT, SQLCHAR*, SQLSMALLINT, SQLCHAR*, SQLSMALLINT,
                            SQLCHAR*, SQLSMALLINT) {
    Statement& statement = statement_of(handle);
    return start(statement, tables_result(statement.orders()), "catalog");
}

SQLRETURN SQL_API SQLColumns(SQLHSTMT handle, SQLCHAR*, SQLSMALLINT, SQLCHAR*, SQLSMALLINT, SQLCHAR*, SQLSMALLINT,
                             SQLCHAR*, SQLSMALLINT) {
    Statement& statement = statement_of(handle);
    return start(statement, columns_result(statement.orders()), "catalog");
}

SQLRETURN SQL_API SQLPrimaryKeys(SQLHSTMT handle, SQLCHAR*, SQLSMALLINT, SQLCHAR*, SQLSMALLINT, SQLCHAR*, SQLSMALLINT) {
    return start(statement_of(handle), primary_keys_result(), "catalog");
}

SQLRETURN SQL_API SQLStatistics(SQLHSTMT handle, SQLCHAR*, SQLSMALLINT, SQLCHAR*, SQLSMALLINT, SQLCHAR*, SQLSMALLINT,
                                SQLUSMALLINT, SQLUSMALLINT) {
    return start(statement_of(handle), statistics_result(), "catalog");
}

SQLRETURN SQL_API SQLNumResultCols(SQLHSTMT handle, SQLSMALLINT* count) {
    const Statement& statement = statement_of(handle);
    const bool negative = statement.orders().is("columns") && statement.orders().number() < 0;
    *count = negative ? static_cast<SQLSMALLINT>(statement.orders().number())
                      : static_cast<SQLSMALLINT>(statement.result.columns.size());
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLDescribeCol(SQLHSTMT handle, SQLUSMALLINT number, SQLCHAR* name, SQLSMALLINT room,
                                 SQLSMALLINT* length, SQLSMALLINT* type, SQLULEN* size, SQLSMALLINT* digits,
                                 SQLSMALLINT* nullable) {
    const Column& column = statement_of(handle).result.columns[number - 1u];
    *type = column.type;
    *size = column.size;
    *digits = column.digits;
    *nullable = SQL_NULLABLE;
    return copy_text(column.name, name, room, length);
}

SQLRETURN SQL_API SQLColAttribute(SQLHSTMT, SQLUSMALLINT, SQLUSMALLINT field, SQLPOINTER text, SQLSMALLINT room,
                                  SQLSMALLINT* length, SQLLEN* number) {
    if (field == SQL_DESC_TYPE_NAME) return copy_text("THING", text, room, length);
    if (number != nullptr) *number = 0;
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLBindCol(SQLHSTMT handle, SQLUSMALLINT number, SQLSMALLINT type, SQLPOINTER target, SQLLEN room,
                             SQLLEN* indicator) {
    statement_of(handle).bindings[number - 1u] = {type, static_cast<char*>(target), room, indicator};
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLFetch(SQLHSTMT handle) {
    Statement& statement = statement_of(handle);
    const bool table = statement.result.columns.size() > 1 && statement.result.columns[0].name == "id";
    if (table && !commit(statement.orders(), "fetch")) return fail(statement.error, "out of memory or of ideas");
    Result& result = statement.result;
    if (table && result.next > late_row && !commit(statement.orders(), "late-fetch")) {
        return fail(statement.error, "out of memory or of ideas");
    }
    SQLULEN count = 0;
    SQLRETURN worst = SQL_SUCCESS;
    while (count < statement.array_size && result.next <= result.last) {
        statement.row = result.next++;
        for (const auto& [column, binding] : statement.bindings) {
            const bool text = binding.type == SQL_C_CHAR || binding.type == SQL_C_BINARY;
            const SQLLEN step = text                                   ? binding.room
                                : binding.type == SQL_C_TYPE_DATE      ? SQLLEN{sizeof(SQL_DATE_STRUCT)}
                                : binding.type == SQL_C_TYPE_TIMESTAMP ? SQLLEN{sizeof(SQL_TIMESTAMP_STRUCT)}
                                                                       : SQLLEN{8};
            const SQLRETURN stored = store(statement, statement.row, column, binding.type,
                                           binding.target + static_cast<SQLLEN>(count) * step, binding.room,
                                           binding.indicator + count, nullptr);
            if (stored == SQL_SUCCESS_WITH_INFO) worst = stored;
        }
        if (statement.status != nullptr) statement.status[count] = SQL_ROW_SUCCESS;
        count++;
    }
    statement.sent.clear();
    if (statement.fetched != nullptr) *statement.fetched = count;
    if (count == 0) return SQL_NO_DATA;
    if (statement.orders().is("row-count") && statement.fetched != nullptr)
        *statement.fetched = statement.array_size + 1000;
    return worst;
}

SQLRETURN SQL_API SQLGetData(SQLHSTMT handle, SQLUSMALLINT number, SQLSMALLINT type, SQLPOINTER target, SQLLEN room,
                             SQLLEN* indicator) {
    Statement& statement = statement_of(handle);
    return store(statement, statement.row, number - 1u, type, static_cast<char*>(target), room, indicator,
                 &statement.sent[number - 1u]);
}

SQLRETURN SQL_API SQLCancel(SQLHSTMT) {
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLEndTran(SQLSMALLINT, SQLHANDLE, SQLSMALLINT) {
    return SQL_SUCCESS;
}

// The driver manager asks for it before it believes that there is SQLGetDiagRec.
SQLRETURN SQL_API SQLGetDiagField(SQLSMALLINT, SQLHANDLE, SQLSMALLINT, SQLSMALLINT, SQLPOINTER, SQLSMALLINT,
                                  SQLSMALLINT*) {
    return SQL_ERROR;
}

SQLRETURN SQL_API SQLGetDiagRec(SQLSMALLINT type, SQLHANDLE handle, SQLSMALLINT number, SQLCHAR* state,
                                SQLINTEGER* native, SQLCHAR* text, SQLSMALLINT room, SQLSMALLINT* length) {
    const Orders* orders = nullptr;
    const std::string* error = nullptr;
    if (type == SQL_HANDLE_DBC) {
        const auto& connection = *static_cast<Connection*>(handle);
        orders = &connection.orders, error = &connection.error;
    } else if (type == SQL_HANDLE_STMT) {
        orders = &statement_of(handle).orders(), error = &statement_of(handle).error;
    }
    if (error == nullptr || error->empty()) return SQL_NO_DATA;
    if (number > 1 && orders->value != "endless") return SQL_NO_DATA;
    std::memcpy(state, "HY000", 6);
    if (native != nullptr) *native = 42;
    std::string message = "[Misbehaving] " + *error;
    // A secret everywhere, so that one stands across the end of any buffer.
    if (orders->value == "long") {
        while (message.size() < (1u << 20)) message += " " + orders->password;
    }
    return copy_text(message, text, room, length);
}
}
