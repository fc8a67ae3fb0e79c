// Reads catalogs; see catalog.hpp.
#include "bgworker/connector/odbc/catalog.hpp"

#include <algorithm>
#include <charconv>
#include <strings.h>
#include <utility>

#include "bgworker/connector/odbc/catalog_columns.hpp"
#include "bgworker/connector/odbc/sql/catalog_statements.hpp"
#include "bgworker/connector/values/utf8.hpp"
#include "bgworker/options/near_miss.hpp"
#include "bgworker/options/source_name.hpp"

namespace insync::odbc {

namespace {

// The order of a PostgreSQL column in whose own collation values that differ may be equal.
constexpr const char* by_bytes = "@ COLLATE \"C\"";

std::optional<std::int64_t> number_of(const std::optional<std::string>& value) {
    std::int64_t number = 0;
    if (!value) return std::nullopt;
    const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
    if (error != std::errc()) return std::nullopt;
    return number;
}

bool equal_ignoring_case(const std::string& a, const std::string& b) {
    return strcasecmp(a.c_str(), b.c_str()) == 0;
}

std::vector<TableName> tables_of(const std::vector<TextRow>& rows) {
    std::vector<TableName> tables;
    for (const TextRow& row : rows) {
        TableName table;
        if (row[0] && !row[0]->empty()) table.parts.push_back(*row[0]);
        table.parts.push_back(text_of(row[1]));
        table.is_view = text_of(row[2]) == "view";
        table.estimated_rows = number_of(row[3]);
        tables.push_back(std::move(table));
    }
    return tables;
}

std::vector<TableName> list_tables_by_driver(Connection& connection, const std::string& pattern) {
    Statement statement(connection);
    SQLCHAR types[] = "TABLE,VIEW";
    const SQLRETURN result =
        SQLTables(statement.handle(), nullptr, 0, nullptr, 0, name_argument(pattern), SQL_NTS, types, SQL_NTS);
    std::vector<TableName> tables;
    for (const TextRow& row : catalog_rows(connection, statement, result, 4)) {
        TableName table;
        if (row[1] && !row[1]->empty()) table.parts.push_back(*row[1]);
        table.parts.push_back(text_of(row[2]));
        table.is_view = text_of(row[3]) == "VIEW";
        tables.push_back(std::move(table));
    }
    return tables;
}

// `error` is what the source said.
[[noreturn]] void fail_without_right(const std::string& source, const Failure& error) {
    Failure failure(FailureClass::config, "permission denied for source \"" + source + "\"",
                    "The source said: " + error.message + ".",
                    "Grant SELECT on it, at the source, to the user of the user mapping.");
    failure.sqlstate = error.sqlstate;
    failure.no_permission = true;
    throw failure;
}

// Where the user may read some columns only, "SELECT *" is refused.
std::vector<ResultColumn> describe_readable(Connection& connection, const std::string& source,
                                            const std::vector<std::string>& parts, const Failure& error) {
    const Query query = readable_columns_query(connection.dialect(), parts);
    std::string list;
    if (!query.sql.empty()) {
        for (const TextRow& row : connection.query(query.sql, query.parameters)) {
            list += (list.empty() ? "s." : ", s.") + quote_name(connection.dialect(), text_of(row[0]));
        }
    }
    if (list.empty()) fail_without_right(source, error);
    return describe_result(connection, source,
                           "SELECT " + list + " FROM " + quote_path(connection.dialect(), parts) + " s WHERE 1 = 0");
}

// Engines hide what a user may not read. Where they tell the difference, so do we.
void require_right(Connection& connection, const std::string& source, const std::vector<std::string>& parts) {
    try {
        connection.execute("SELECT 1 FROM " + quote_path(connection.dialect(), parts) + " s WHERE 1 = 0");
    } catch (const Failure& error) {
        if (error.disconnected) throw;
        if (error.no_permission) fail_without_right(source, error);
    }
}

[[noreturn]] void fail_unknown_source(Connection& connection, const std::string& source) {
    refuse_other_statements(source);
    std::vector<std::string> names;
    for (const TableName& table : list_tables(connection, "%")) {
        names.push_back(source_text(table.parts));
        if (table.parts.size() > 1) names.push_back(source_text({table.parts.back()}));
    }
    const std::string near = closest(source, names);
    throw Failure(
        FailureClass::config, "source \"" + source + "\" does not exist", "",
        near.empty() ? "sync_discover() lists the sources of a server." : "Perhaps you meant \"" + near + "\".");
}

// SQLite runs in this process, and its driver adds functions that read and write files and load libraries as the
// server's user. SQLite has no way to write a name but letter by letter, so one that isn't in the text isn't called.
void require_harmless_query(const std::string& source) {
    std::string lower = source;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    for (const char* name : {"blob_export", "blob_import", "load_extension", "fts3_tokenizer"}) {
        if (lower.find(name) == std::string::npos) continue;
        throw Failure(FailureClass::config, std::string("a source must not use SQLite's function ") + name + "()",
                      "It reaches files of the database server.");
    }
}

// The driver calls whatever it doesn't know a text, and what is compared as one type and sorted as another gets lost.
// The server itself knows, and also whether texts that differ may be equal somewhere.
void set_exact_types(Connection& connection, const std::string& with, const std::string& query,
                     std::vector<SourceColumn>& columns) {
    std::string types;
    for (const SourceColumn& column : columns) {
        if (column.type == Transport::text) {
            types +=
                ", (SELECT CAST(t.typtype AS text) || pg_catalog.format_type(CASE t.typtype WHEN 'd' THEN "
                "t.typbasetype ELSE t.oid END, NULL) FROM pg_catalog.pg_type t WHERE t.oid = pg_catalog.pg_typeof(s." +
                quote_name(Dialect::postgresql, column.name) + "))";
        }
    }
    if (types.empty()) return;
    const std::vector<TextRow> rows =
        connection.query(with +
                         "SELECT (SELECT count(*) FROM pg_catalog.pg_collation c WHERE pg_catalog.to_jsonb(c) ->> "
                         "'collisdeterministic' = 'false')" +
                         types + " FROM (SELECT 1) one LEFT JOIN (" + query + ") s ON false");
    if (rows.empty()) return;
    std::size_t at = 1;
    for (SourceColumn& column : columns) {
        if (column.type != Transport::text) continue;
        ResultColumn exact;
        exact.name = column.name;
        const std::string found = text_of(rows[0].at(at++));
        if (found.empty()) continue;
        exact.type_name = found.substr(1);
        const SourceColumn resolved = resolve_column(Dialect::postgresql, exact, exact.type_name);
        column.select = resolved.select;
        column.parameter = resolved.parameter;
        if (rows[0][0] != "0" && resolved.select.empty()) column.page_order = by_bytes;
        if (found[0] == 'd' && !resolved.select.empty()) column.page_order = "CAST(@ AS " + exact.type_name + ")";
    }
}

Relation load_query(Connection& connection, const std::string& source) {
    if (connection.dialect() == Dialect::sqlite) require_harmless_query(source);
    Relation relation;
    relation.is_query = true;
    relation.text = source;
    relation.query = parse_source_query(connection.dialect(), source);
    relation.has_marker = relation.query.markers() > 0;
    // Only the columns are wanted, so an untyped NULL stands in for the watermark.
    auto sql = [](const MarkedText& text) { return text.with("NULL"); };
    const std::string with = sql(relation.query.with) + (relation.query.with.empty() ? "" : " ");
    const std::string query = sql(relation.query.select);
    const std::string statement = with + "SELECT s.* FROM (" + query + ") s WHERE 1 = 0 " + sql(relation.query.options);
    for (const ResultColumn& column : describe_result(connection, relation.text, statement)) {
        relation.columns.push_back(resolve_column(connection.dialect(), column, ""));
        if (connection.dialect() == Dialect::sqlite && column.type_name == "varchar") {
            // What the driver says of a column without a declared type; its affinity is that of none.
            relation.columns.back().affinity = Affinity::none;
        }
    }
    if (connection.dialect() == Dialect::postgresql) set_exact_types(connection, with, query, relation.columns);
    for (SourceColumn& column : relation.columns) {
        // To MySQL's driver, an ENUM of a query is a CHAR: sorted by its text, which is compared as well.
        const bool may_be_enum = connection.dialect() == Dialect::mysql && column.source_type == "char";
        if (may_be_enum) column.page_order = "CAST(CONVERT(@ USING utf8mb4) AS BINARY)";
    }
    return relation;
}

}  // namespace

std::vector<TableName> list_tables(Connection& connection, const std::string& pattern) {
    connection.guard(false);
    const Query query = list_tables_query(connection.dialect(), pattern);
    if (query.sql.empty()) return list_tables_by_driver(connection, pattern);
    return tables_of(connection.query(query.sql, query.parameters));
}

Relation load_table(Connection& connection, const TableName& table) {
    connection.guard(false);
    Relation relation;
    relation.text = source_text(table.parts);
    relation.is_view = table.is_view;
    relation.estimated_rows = table.estimated_rows;
    relation.from = quote_path(connection.dialect(), table.parts);
    relation.parts = table.parts;
    std::vector<DeclaredColumn> declared = load_declared(connection, table.parts);
    // An invisible column has data like any other, and may be the key.
    std::string hidden;
    for (const DeclaredColumn& column : declared) {
        if (column.note == "hidden") hidden += ", s." + quote_name(connection.dialect(), column.name);
    }
    std::vector<ResultColumn> columns;
    try {
        columns = describe_result(connection, relation.text,
                                  "SELECT s.*" + hidden + " FROM " + relation.from + " s WHERE 1 = 0");
    } catch (const Failure& error) {
        if (!error.no_permission || error.disconnected) throw;
        columns = describe_readable(connection, relation.text, table.parts, error);
    }
    const bool is_sqlite = connection.dialect() == Dialect::sqlite;
    for (std::size_t i = 0; i < columns.size(); i++) {
        ResultColumn& column = columns[i];
        // SQLite's driver may cut a name at its dot.
        if (is_sqlite && columns.size() == declared.size()) column.name = declared[i].name;
        const DeclaredColumn* found = find_declared(declared, column.name);
        if (found != nullptr) column.nullable = found->nullable;
        // In SQLite's catalog an empty type is a fact, not a gap: the driver's "varchar" is invented.
        if (is_sqlite && found != nullptr) column.type_name = found->type;
        relation.columns.push_back(resolve_column(connection.dialect(), column, found ? found->type : ""));
        if (found != nullptr && found->note == "loose") relation.columns.back().page_order = by_bytes;
        // PostgreSQL has no operator for a domain over an enum.
        if (found != nullptr && found->note == "enum") {
            relation.columns.back().page_order = "CAST(@ AS " + found->type + ")";
        }
    }
    load_keys(connection, table.parts, relation);
    // A key with a column that can't be read is none.
    auto is_readable = [&](const std::vector<std::string>& key) {
        return std::all_of(key.begin(), key.end(), [&](const std::string& name) {
            return std::any_of(columns.begin(), columns.end(),
                               [&](const ResultColumn& column) { return column.name == name; });
        });
    };
    if (!is_readable(relation.primary_key)) relation.primary_key.clear();
    std::erase_if(relation.unique_keys, [&](const std::vector<std::string>& key) { return !is_readable(key); });
    if (const auto key = relation.collations.find(relation.primary_key); key != relation.collations.end()) {
        // The only key without an index is the number of the row, which is nothing but an integer.
        const bool is_rowid = key->second == std::vector<std::string>{""};
        if (is_rowid) relation.columns[find_column(relation.columns, key->first[0], "key")].page_select.clear();
    }
    if (!table.is_view && connection.dialect() == Dialect::sqlite && !relation.estimated_rows) {
        try {
            relation.estimated_rows = number_of(connection.query_value("SELECT MAX(rowid) FROM " + relation.from));
        } catch (const Failure& error) {
            if (error.disconnected) throw;  // a table WITHOUT ROWID has no such column
        }
    }
    return relation;
}

Relation load_relation(Connection& connection, const std::string& source) {
    connection.guard(false);
    if (std::exchange(connection.snapshot_isolation, false)) {
        // Catalogs of other databases may refuse to be read in it.
        connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
    }
    connection.guard(is_query(source));
    if (is_query(source)) return load_query(connection, source);
    const std::optional<std::vector<std::string>> parts = parse_source_name(source);
    if (!parts) {
        refuse_other_statements(source);
        throw Failure(FailureClass::config, "source \"" + source + "\" is neither a name nor a query", "",
                      "Write table, schema.table or a SELECT statement.");
    }
    const Query query = find_table_query(connection.dialect(), *parts);
    std::vector<TableName> found;
    if (!query.sql.empty()) {
        found = tables_of(connection.query(query.sql, query.parameters));
    } else {
        for (TableName& table : list_tables(connection, "%")) {
            const bool same_table = equal_ignoring_case(table.parts.back(), parts->back());
            const bool same_schema =
                parts->size() < 2 || table.parts.size() < 2 ||
                equal_ignoring_case(table.parts[table.parts.size() - 2], (*parts)[parts->size() - 2]);
            if (same_table && same_schema) found.push_back(table);
        }
    }
    if (found.empty()) {
        require_right(connection, source, *parts);
        fail_unknown_source(connection, source);
    }
    TableName table = found[0];
    // A part that the catalog doesn't name again (another database, an attached file) stays in front.
    if (parts->size() > table.parts.size()) table.parts.insert(table.parts.begin(), (*parts)[0]);
    return load_table(connection, table);
}

}  // namespace insync::odbc
