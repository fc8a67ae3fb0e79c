// Catalog queries; see catalog_statements.hpp.
#include "bgworker/connector/odbc/sql/catalog_statements.hpp"

namespace insync::odbc {

namespace {

// MySQL: "schema.table" or "table" in the connection's database.
struct MysqlName {
    std::string condition;
    std::vector<std::string> parameters;
};

MysqlName mysql_name(const std::vector<std::string>& parts) {
    if (parts.size() < 2) return {"table_schema = DATABASE() AND table_name = ?", {parts.back()}};
    return {"table_schema = ? AND table_name = ?", {parts[parts.size() - 2], parts.back()}};
}

// SQL Server's catalog views of another database stand behind that database's name.
std::string sqlserver_catalog(const std::vector<std::string>& parts) {
    return parts.size() == 3 ? quote_name(Dialect::sqlserver, parts[0]) + "." : "";
}

constexpr const char* postgresql_kind =
    "CASE WHEN c.relkind IN ('r', 'p', 'f') THEN 'table' ELSE 'view' END, "
    "CASE WHEN c.reltuples >= 0 AND c.relkind IN ('r', 'm') THEN CAST(c.reltuples AS bigint) END";

}  // namespace

Query list_tables_query(Dialect dialect, const std::string& pattern) {
    switch (dialect) {
        case Dialect::sqlite:
            return {
                "SELECT NULL, name, type, NULL FROM sqlite_master WHERE type IN ('table', 'view') AND "
                "name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name LIKE ? ORDER BY name",
                {pattern}};
        case Dialect::mysql: {
            // Without a dot the pattern means tables of the connection's database.
            const bool qualified = pattern.find('.') != std::string::npos;
            return {
                std::string("SELECT table_schema, table_name, CASE WHEN table_type LIKE '%VIEW' THEN 'view' ELSE "
                            "'table' END, CAST(table_rows AS CHAR) FROM information_schema.tables WHERE "
                            "table_schema NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys') AND ") +
                    (qualified ? "CONCAT(table_schema, '.', table_name) LIKE ?"
                               : "(table_schema = DATABASE() OR DATABASE() IS NULL) AND table_name LIKE ?") +
                    " ORDER BY table_schema, table_name",
                {pattern}};
        }
        case Dialect::postgresql:
            return {std::string("SELECT n.nspname, c.relname, ") + postgresql_kind +
                        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND "
                        "n.nspname <> 'information_schema' AND NOT c.relispartition AND "
                        "(c.relname LIKE CAST(? AS text) OR n.nspname || '.' || c.relname LIKE CAST(? AS text)) "
                        "ORDER BY 1, 2",
                    {pattern, pattern}};
        case Dialect::sqlserver:
            return {
                "SELECT s.name, o.name, CASE WHEN o.type = 'U' THEN 'table' ELSE 'view' END, "
                "CONVERT(varchar(20), (SELECT SUM(p.rows) FROM sys.partitions p "
                "WHERE p.object_id = o.object_id AND p.index_id IN (0, 1))) "
                "FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id "
                "WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 AND "
                "(o.name LIKE ? OR s.name + '.' + o.name LIKE ?) ORDER BY s.name, o.name",
                {pattern, pattern}};
        case Dialect::oracle:
            return {
                "SELECT owner, object_name, LOWER(object_type), NULL FROM all_objects WHERE object_type IN "
                "('TABLE', 'VIEW') AND owner = SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') AND "
                "(object_name LIKE ? OR owner || '.' || object_name LIKE ?) ORDER BY 1, 2",
                {pattern, pattern}};
        case Dialect::generic:
            break;
    }
    return {};
}

Query find_table_query(Dialect dialect, const std::vector<std::string>& parts) {
    switch (dialect) {
        case Dialect::sqlite:
            return {"SELECT NULL, name, type, NULL FROM " +
                        std::string(parts.size() > 1 ? quote_name(dialect, parts[0]) + "." : "") +
                        "sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
                    {parts.back()}};
        case Dialect::mysql: {
            MysqlName name = mysql_name(parts);
            return {
                "SELECT table_schema, table_name, CASE WHEN table_type LIKE '%VIEW' THEN 'view' ELSE 'table' END, "
                "CAST(table_rows AS CHAR) FROM information_schema.tables WHERE " +
                    name.condition,
                name.parameters};
        }
        case Dialect::postgresql:
            return {std::string("SELECT n.nspname, c.relname, ") + postgresql_kind +
                        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                        "WHERE c.oid = pg_catalog.to_regclass(CAST(? AS text)) AND "
                        "c.relkind IN ('r', 'p', 'v', 'm', 'f')",
                    {quote_path(dialect, parts)}};
        case Dialect::sqlserver:
            return {
                "SELECT s.name, o.name, CASE WHEN o.type = 'U' THEN 'table' ELSE 'view' END, "
                "CONVERT(varchar(20), (SELECT SUM(p.rows) FROM " +
                    sqlserver_catalog(parts) +
                    "sys.partitions p WHERE p.object_id = o.object_id AND p.index_id IN (0, 1))) FROM " +
                    sqlserver_catalog(parts) + "sys.objects o JOIN " + sqlserver_catalog(parts) +
                    "sys.schemas s ON s.schema_id = o.schema_id WHERE o.object_id = OBJECT_ID(?) AND "
                    "o.type IN ('U', 'V')",
                {quote_path(dialect, parts)}};
        default:
            return {};
    }
}

Query columns_query(Dialect dialect, const std::vector<std::string>& parts) {
    switch (dialect) {
        case Dialect::sqlite:
            // An INTEGER PRIMARY KEY is never NULL, other primary keys of SQLite can be.
            return {
                "SELECT name, type, CASE WHEN \"notnull\" = 1 OR (pk = 1 AND upper(type) = 'INTEGER') THEN 0 ELSE "
                "1 END FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid",
                {parts.back()}};
        case Dialect::mysql: {
            MysqlName name = mysql_name(parts);
            return {
                "SELECT column_name, column_type, CASE WHEN is_nullable = 'YES' THEN 1 ELSE 0 END, CASE WHEN extra "
                "LIKE '%INVISIBLE%' THEN 'hidden' END FROM information_schema.columns WHERE " +
                    name.condition + " ORDER BY ordinal_position",
                name.parameters};
        }
        case Dialect::postgresql:
            // A domain is shown as the type below it.
            return {
                "SELECT a.attname, CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, "
                "t.typtypmod) ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END, CASE WHEN a.attnotnull "
                "THEN 0 ELSE 1 END, CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_collation c WHERE c.oid = "
                "a.attcollation AND pg_catalog.to_jsonb(c) ->> 'collisdeterministic' = 'false') THEN 'loose' WHEN "
                "t.typtype = 'd' AND "
                "EXISTS (SELECT FROM pg_catalog.pg_type b WHERE b.oid = t.typbasetype AND b.typtype = 'e') THEN 'enum' "
                "END FROM "
                "pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid WHERE a.attrelid = "
                "pg_catalog.to_regclass(CAST(? AS text)) AND a.attnum > 0 AND NOT "
                "a.attisdropped ORDER BY a.attnum",
                {quote_path(dialect, parts)}};
        case Dialect::sqlserver:
            return {
                "SELECT c.name, CASE WHEN t.name IN ('decimal', 'numeric') THEN t.name + '(' + CAST(c.precision AS "
                "varchar(3)) + ',' + CAST(c.scale AS varchar(3)) + ')' WHEN t.name IN ('datetime2', "
                "'datetimeoffset', 'time') THEN t.name + '(' + CAST(c.scale AS varchar(3)) + ')' WHEN t.name IN "
                "('char', 'varchar', 'binary', 'varbinary') AND c.max_length > 0 THEN t.name + '(' + "
                "CAST(c.max_length AS varchar(5)) + ')' WHEN t.name IN ('nchar', 'nvarchar') AND c.max_length > 0 "
                "THEN t.name + '(' + CAST(c.max_length / 2 AS varchar(5)) + ')' ELSE t.name END, CASE WHEN "
                "c.is_nullable = 1 THEN 1 ELSE 0 END FROM " +
                    sqlserver_catalog(parts) + "sys.columns c JOIN " + sqlserver_catalog(parts) +
                    "sys.types t ON t.user_type_id = CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE "
                    "c.system_type_id END WHERE c.object_id = OBJECT_ID(?) ORDER BY c.column_id",
                {quote_path(dialect, parts)}};
        default:
            return {};
    }
}

Query readable_columns_query(Dialect dialect, const std::vector<std::string>& parts) {
    switch (dialect) {
        case Dialect::mysql: {
            MysqlName name = mysql_name(parts);
            return {
                "SELECT column_name FROM information_schema.columns WHERE FIND_IN_SET('select', privileges) > 0 AND " +
                    name.condition + " ORDER BY ordinal_position",
                name.parameters};
        }
        case Dialect::postgresql:
            return {
                "SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = "
                "pg_catalog.to_regclass(CAST(? AS text)) AND a.attnum > 0 AND NOT a.attisdropped AND "
                "pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') ORDER BY a.attnum",
                {quote_path(dialect, parts)}};
        case Dialect::sqlserver:
            return {"SELECT c.name FROM " + sqlserver_catalog(parts) +
                        "sys.columns c WHERE c.object_id = OBJECT_ID(?) AND HAS_PERMS_BY_NAME(?, 'OBJECT', 'SELECT', "
                        "c.name, 'COLUMN') = 1 ORDER BY c.column_id",
                    {quote_path(dialect, parts), quote_path(dialect, parts)}};
        default:
            return {};
    }
}

Query keys_query(Dialect dialect, const std::vector<std::string>& parts) {
    switch (dialect) {
        case Dialect::sqlite:
            return {// The number of the row is a primary key without an index, and so without a collation.
                    "SELECT 'primary', 1, t.name, t.pk, (SELECT i.coll FROM pragma_index_list(?) l, "
                    "pragma_index_xinfo(l.name) i WHERE l.origin = 'pk' AND i.key = 1 AND i.cid = t.cid) FROM "
                    "pragma_table_xinfo(?) t WHERE t.pk > 0 UNION ALL SELECT l.name, 0, i.name, i.seqno, i.coll FROM "
                    "pragma_index_list(?) l, pragma_index_xinfo(l.name) i WHERE l.\"unique\" = 1 AND l.partial = 0 AND "
                    "l.origin <> 'pk' AND i.key = 1 ORDER BY 2 DESC, 1, 4",
                    {parts.back(), parts.back(), parts.back()}};
        case Dialect::mysql: {
            MysqlName name = mysql_name(parts);
            return {// Where the first characters are unique (sub_part), the whole is.
                    "SELECT index_name, CASE WHEN index_name = 'PRIMARY' THEN 1 ELSE 0 END, column_name FROM "
                    "information_schema.statistics WHERE non_unique = 0 AND " +
                        name.condition + " ORDER BY 2 DESC, 1, seq_in_index",
                    name.parameters};
        }
        case Dialect::postgresql:
            return {
                "SELECT CAST(i.indexrelid AS text), CASE WHEN i.indisprimary THEN 1 ELSE 0 END, a.attname "
                "FROM pg_catalog.pg_index i CROSS JOIN LATERAL unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY "
                "AS k(attnum, position) LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND "
                "a.attnum = k.attnum AND k.attnum > 0 WHERE i.indrelid = pg_catalog.to_regclass(CAST(? AS text)) "
                "AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND k.position <= i.indnkeyatts "
                "ORDER BY 2 DESC, 1, k.position",
                {quote_path(dialect, parts)}};
        case Dialect::sqlserver:
            return {"SELECT i.name, CAST(i.is_primary_key AS int), c.name FROM " + sqlserver_catalog(parts) +
                        "sys.indexes i JOIN " + sqlserver_catalog(parts) +
                        "sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id JOIN " +
                        sqlserver_catalog(parts) +
                        "sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id WHERE i.object_id = "
                        "OBJECT_ID(?) AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0 AND "
                        "k.is_included_column = 0 ORDER BY 2 DESC, 1, k.key_ordinal",
                    {quote_path(dialect, parts)}};
        default:
            return {};
    }
}

Query definition_mark(Dialect dialect, const std::vector<std::string>& parts) {
    switch (dialect) {
        case Dialect::mysql: {
            const MysqlName name = mysql_name(parts);
            Query mark{
                "CONCAT_WS(',', (SELECT SUM(CRC32(CONCAT_WS(',', ordinal_position, column_name, column_type, "
                "is_nullable, collation_name, extra))) FROM information_schema.columns WHERE " +
                    name.condition +
                    "), (SELECT SUM(CRC32(CONCAT_WS(',', index_name, seq_in_index, column_name, sub_part))) FROM "
                    "information_schema.statistics WHERE non_unique = 0 AND " +
                    name.condition + "))",
                name.parameters};
            mark.parameters.insert(mark.parameters.end(), name.parameters.begin(), name.parameters.end());
            return mark;
        }
        case Dialect::postgresql:
            return {
                "(SELECT pg_catalog.concat_ws(',', CAST(r.id AS bigint), (SELECT "
                "pg_catalog.sum(CAST(pg_catalog.hashtext(pg_catalog.concat_ws(',', a.attnum, a.attname, a.atttypid, "
                "a.atttypmod, a.attnotnull, a.attcollation)) AS bigint)) FROM pg_catalog.pg_attribute a WHERE "
                "a.attrelid = r.id AND a.attnum > 0 AND NOT a.attisdropped), (SELECT "
                "pg_catalog.sum(CAST(pg_catalog.hashtext(pg_catalog.concat_ws(',', i.indexrelid, i.indisprimary, "
                "CAST(i.indkey AS text))) AS bigint)) FROM pg_catalog.pg_index i WHERE i.indrelid = r.id AND "
                "i.indisunique AND i.indisvalid)) FROM (SELECT CAST(pg_catalog.to_regclass(CAST(? AS text)) AS oid) "
                "AS id) r)",
                {quote_path(dialect, parts)}};
        case Dialect::sqlserver:
            return {"(SELECT CONVERT(varchar(23), o.modify_date, 121) + ' ' + CAST(o.object_id AS varchar(11)) FROM " +
                        sqlserver_catalog(parts) + "sys.objects o WHERE o.object_id = OBJECT_ID(?))",
                    {quote_path(dialect, parts)}};
        default:
            return {};
    }
}

Query json_columns_query(Dialect dialect, const std::vector<std::string>& parts) {
    if (dialect != Dialect::mysql) return {};
    // MariaDB's JSON is longtext with a check of json_valid().
    MysqlName name = mysql_name(parts);
    std::string condition = name.condition;
    const std::size_t at = condition.find("table_schema");
    condition.replace(at, 12, "constraint_schema");
    return {
        "SELECT SUBSTRING_INDEX(SUBSTRING_INDEX(check_clause, '`', 2), '`', -1) FROM "
        "information_schema.check_constraints WHERE check_clause LIKE 'json!_valid(`%' ESCAPE '!' AND " +
            condition,
        name.parameters};
}

}  // namespace insync::odbc
