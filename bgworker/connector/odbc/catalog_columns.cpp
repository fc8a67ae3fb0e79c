// Reads keys and columns; see catalog_columns.hpp.
#include "bgworker/connector/odbc/catalog_columns.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "bgworker/connector/odbc/sql/catalog_statements.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::odbc {

namespace {

// What a table of PostgreSQL can have.
constexpr SQLSMALLINT max_columns = 1600;

// The columns of a key, and the collations of its index where the engine says.
struct KeyColumns {
    std::vector<std::string> names;
    std::vector<std::string> collations;
};

void add_key_column(Relation& relation, std::map<std::string, KeyColumns>& unique, const std::string& key, bool primary,
                    const std::string& column, const std::string& collation = "") {
    if (primary) relation.primary_key.push_back(column);
    KeyColumns& columns = unique[primary ? "" : key];
    columns.names.push_back(column);
    columns.collations.push_back(collation);
}

}  // namespace

std::vector<TextRow> catalog_rows(Connection& connection, Statement& statement, SQLRETURN result, int columns) {
    if (!SQL_SUCCEEDED(result)) {
        Failure error = connection.failure(SQL_HANDLE_STMT, statement.handle(), "could not read the source's catalog");
        const bool is_missing = error.sqlstate == "IM001" || error.sqlstate == "HYC00";
        if (is_missing && !error.disconnected) return {};
        throw error;
    }
    return statement.text_rows(columns);
}

SQLCHAR* name_argument(const std::string& name) {
    return name.empty() ? nullptr : reinterpret_cast<SQLCHAR*>(const_cast<char*>(name.c_str()));
}

void load_keys(Connection& connection, const std::vector<std::string>& parts, Relation& relation) {
    std::map<std::string, KeyColumns> unique;
    const Query query = keys_query(connection.dialect(), parts);
    if (!query.sql.empty()) {
        for (const TextRow& row : connection.query(query.sql, query.parameters)) {
            add_key_column(relation, unique, text_of(row[0]), text_of(row[1]) == "1", text_of(row[2]),
                           row.size() > 4 ? text_of(row[4]) : "");
        }
    } else {
        const std::string schema = parts.size() > 1 ? parts[parts.size() - 2] : "";
        {
            Statement statement(connection);
            const SQLRETURN result = SQLPrimaryKeys(statement.handle(), nullptr, 0, name_argument(schema), SQL_NTS,
                                                    name_argument(parts.back()), SQL_NTS);
            for (const TextRow& row : catalog_rows(connection, statement, result, 5)) {
                add_key_column(relation, unique, "", true, text_of(row[3]));
            }
        }
        Statement statement(connection);
        const SQLRETURN result = SQLStatistics(statement.handle(), nullptr, 0, name_argument(schema), SQL_NTS,
                                               name_argument(parts.back()), SQL_NTS, SQL_INDEX_UNIQUE, SQL_QUICK);
        for (const TextRow& row : catalog_rows(connection, statement, result, 9)) {
            if (!row[5] || text_of(row[3]) == "1") continue;
            add_key_column(relation, unique, *row[5], false, text_of(row[8]));
        }
    }
    for (auto& [name, key] : unique) {
        const bool has_expression = std::find(key.names.begin(), key.names.end(), "") != key.names.end();
        if (has_expression) continue;
        if (connection.dialect() == Dialect::sqlite) relation.collations.emplace(key.names, key.collations);
        if (key.names != relation.primary_key) relation.unique_keys.push_back(key.names);
    }
}

DeclaredColumn* find_declared(std::vector<DeclaredColumn>& declared, const std::string& name) {
    const auto found =
        std::find_if(declared.begin(), declared.end(), [&](const auto& item) { return item.name == name; });
    return found == declared.end() ? nullptr : &*found;
}

std::vector<DeclaredColumn> load_declared(Connection& connection, const std::vector<std::string>& parts) {
    std::vector<DeclaredColumn> declared;
    const Query query = columns_query(connection.dialect(), parts);
    if (!query.sql.empty()) {
        for (const TextRow& row : connection.query(query.sql, query.parameters)) {
            declared.push_back({text_of(row[0]), text_of(row[1]), text_of(row[2]) != "0",
                                row.size() > 3 ? text_of(row[3]) : std::string()});
        }
        const Query json = json_columns_query(connection.dialect(), parts);
        if (json.sql.empty()) return declared;
        try {
            for (const TextRow& row : connection.query(json.sql, json.parameters)) {
                DeclaredColumn* found = find_declared(declared, text_of(row[0]));
                if (found != nullptr && found->type == "longtext") found->type = "json";
            }
        } catch (const Failure& error) {
            if (error.disconnected) throw;  // MySQL's view has other columns, and its JSON is a type of its own
        }
        return declared;
    }
    // Some drivers call every column of a result nullable, where SQLColumns knows better.
    const std::string schema = parts.size() > 1 ? parts[parts.size() - 2] : "";
    Statement statement(connection);
    const SQLRETURN result = SQLColumns(statement.handle(), nullptr, 0, name_argument(schema), SQL_NTS,
                                        name_argument(parts.back()), SQL_NTS, nullptr, 0);
    for (const TextRow& row : catalog_rows(connection, statement, result, 11)) {
        declared.push_back({text_of(row[3]), "", text_of(row[10]) != "0", ""});
    }
    return declared;
}

std::vector<ResultColumn> describe_result(Connection& connection, const std::string& source, const std::string& sql) {
    Statement statement(connection);
    statement.execute(sql);
    SQLSMALLINT count = 0;
    statement.require(SQLNumResultCols(statement.handle(), &count), "could not describe the source");
    const std::string subject = "source " + quote_name(Dialect::generic, source) + " has ";
    if (count <= 0) throw Failure(FailureClass::config, subject + "no columns");
    if (count > max_columns) {
        throw Failure(FailureClass::config,
                      subject + std::to_string(count) + " columns, more than a table can have (" +
                          std::to_string(max_columns) + ")",
                      "", "Read a SELECT of the columns that are needed.");
    }
    std::vector<ResultColumn> columns;
    for (SQLSMALLINT i = 1; i <= count; i++) {
        ResultColumn column;
        SQLCHAR name[1024] = {};
        SQLSMALLINT length = 0, nullable = 0, digits = 0;
        SQLULEN size = 0;
        statement.require(SQLDescribeCol(statement.handle(), static_cast<SQLUSMALLINT>(i), name, sizeof name, &length,
                                         &column.sql_type, &size, &digits, &nullable),
                          "could not describe the source");
        column.name = reinterpret_cast<char*>(name);
        if (length < 0 || length >= static_cast<SQLSMALLINT>(sizeof name)) {
            throw Failure(FailureClass::config,
                          subject + "a column whose name is too long (column " + std::to_string(i) +
                              ", which begins with " +
                              quote_name(Dialect::generic, replaced_utf8(utf8_prefix(column.name, 40))) + ")",
                          "", "Read a SELECT that gives it another name.");
        }
        column.size = size > (1u << 30) ? 0 : static_cast<std::size_t>(size);
        column.digits = digits;
        column.nullable = nullable != SQL_NO_NULLS;
        char type[256] = {};
        SQLColAttribute(statement.handle(), static_cast<SQLUSMALLINT>(i), SQL_DESC_TYPE_NAME, type, sizeof type,
                        &length, nullptr);
        column.type_name = type;
        SQLLEN is_unsigned = SQL_FALSE;
        SQLColAttribute(statement.handle(), static_cast<SQLUSMALLINT>(i), SQL_DESC_UNSIGNED, nullptr, 0, nullptr,
                        &is_unsigned);
        column.is_unsigned = is_unsigned == SQL_TRUE;
        columns.push_back(std::move(column));
    }
    return columns;
}

}  // namespace insync::odbc
