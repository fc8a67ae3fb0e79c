// Describing and creating the target; see target.hpp.
#include "bgworker/target/target.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
}

#include <algorithm>

#include "bgworker/clock/zone_name.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/pg/compat.hpp"
#include "bgworker/target/value_fit.hpp"

namespace insync {

namespace {

// Equality of a type: IS DISTINCT FROM where its operator is in pg_catalog and means sameness; the operator by its full
// name where it lives elsewhere (the search path is pinned); comparison of the text where there is none, or where equal
// values may be spelled differently (nondeterministic collations, citext).
constexpr const char* columns_query = R"(
SELECT a.attname,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       pg_catalog.format_type(base.oid, NULL) AS base_type,
       a.attgenerated <> '' AS generated,
       a.attidentity = 'a' AS identity_always,
       CASE WHEN op.oid IS NOT NULL AND opn.nspname <> 'pg_catalog'
            THEN 'OPERATOR(' || pg_catalog.quote_ident(opn.nspname) || '.' || op.oprname || ')' ELSE '' END AS equality,
       op.oid IS NULL OR opn.nspname <> 'pg_catalog' OR coalesce(NOT c.collisdeterministic, false) AS compare_as_text,
       CASE WHEN base.modifier >= 0 AND bt.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
             AND bt.typname IN ('varchar', 'bpchar', 'bit', 'varbit') THEN bt.typname END AS length_type,
       base.modifier, a.attnum, NOT a.attnotnull, base.oid,
       CASE WHEN NOT c.collisdeterministic THEN pg_catalog.quote_ident(cn.nspname) || '.' || pg_catalog.quote_ident(c.collname) END
  FROM pg_catalog.pg_attribute AS a
  JOIN LATERAL (
        WITH RECURSIVE domain AS (
            SELECT t.oid, t.typtype, t.typbasetype, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier
              FROM pg_catalog.pg_type AS t WHERE t.oid = a.atttypid
            UNION ALL
            SELECT t.oid, t.typtype, t.typbasetype, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE d.modifier END FROM domain AS d JOIN pg_catalog.pg_type AS t ON t.oid = d.typbasetype
             WHERE d.typtype = 'd')
        SELECT d.oid, d.typtype, d.modifier FROM domain AS d WHERE d.typtype <> 'd') AS base ON true
  JOIN pg_catalog.pg_type AS bt ON bt.oid = base.oid
  LEFT JOIN pg_catalog.pg_opclass AS oc ON oc.opcmethod = 403 AND oc.opcdefault
        AND oc.opcintype = CASE WHEN bt.typtype = 'e' THEN 'pg_catalog.anyenum'::pg_catalog.regtype
                                WHEN bt.typtype = 'r' THEN 'pg_catalog.anyrange'::pg_catalog.regtype
                                WHEN bt.typtype = 'm' THEN 'pg_catalog.anymultirange'::pg_catalog.regtype
                                WHEN bt.typtype = 'c' THEN 'pg_catalog.record'::pg_catalog.regtype
                                WHEN bt.typcategory = 'A' AND bt.typelem <> 0 THEN 'pg_catalog.anyarray'::pg_catalog.regtype
                                WHEN bt.typname = 'varchar' AND bt.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
                                     THEN 'pg_catalog.text'::pg_catalog.regtype
                                ELSE bt.oid END
  LEFT JOIN pg_catalog.pg_amop AS ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
        AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
  LEFT JOIN pg_catalog.pg_operator AS op ON op.oid = ao.amopopr
  LEFT JOIN pg_catalog.pg_namespace AS opn ON opn.oid = op.oprnamespace
  LEFT JOIN pg_catalog.pg_collation AS c ON c.oid = a.attcollation
  LEFT JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.collnamespace
 WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum)";

// Unique indexes that identify rows: valid, not partial, on plain columns.
constexpr const char* unique_query = R"(
SELECT i.indisprimary, pg_catalog.array_to_json(pg_catalog.array_agg(a.attname ORDER BY k.position))
  FROM pg_catalog.pg_index AS i
  JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position) ON k.position <= i.indnkeyatts
  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
 WHERE i.indrelid = $1::pg_catalog.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
 GROUP BY i.indexrelid, i.indisprimary
HAVING pg_catalog.count(a.attname) = pg_catalog.count(*)
 ORDER BY i.indisprimary DESC)";

bool is_hashable(Oid type) {
    return pg::call(
        [&] { return OidIsValid(lookup_type_cache(type, TYPECACHE_HASH_EXTENDED_PROC)->hash_extended_proc); });
}

bool is_naive_time(const SourceColumn& column) {
    return column.transport == Transport::timestamp;
}

[[noreturn]] void refuse_temporary(const std::string& schema, const std::string& table) {
    throw pg::Error(ERRCODE_WRONG_OBJECT_TYPE,
                    "target " + pg::quote_identifier(schema) + "." + pg::quote_identifier(table) +
                        " is a temporary table, which no worker can see",
                    "", "A target is an ordinary or partitioned table.");
}

// `table` is quoted already.
[[noreturn]] void refuse_unlogged(const std::string& table) {
    throw pg::Error(ERRCODE_WRONG_OBJECT_TYPE, "target " + table + " is unlogged",
                    "A crash of the server empties an unlogged table, but not the record of how far its stream has "
                    "read: the rows would be missing.",
                    "ALTER TABLE " + table +
                        " SET LOGGED; and if a stream has filled it already, have all rows read again, as a crash may "
                        "have emptied it: sync_reset().");
}

// What the connector calls a type becomes part of a CREATE TABLE, so it has to be one of PostgreSQL's own and no more.
void require_own_type(const SourceColumn& column) {
    const char* text = column.pg_type.c_str();
    std::string reason = "It is not a built-in type of PostgreSQL.";
    try {
        if (pg::call([&] {
                Oid type = compat::parse_type(text);
                return type < FirstUnpinnedObjectId && get_typtype(type) == TYPTYPE_BASE;
            }))
            return;
    } catch (const pg::Error& error) {
        if (error.is_interrupt()) throw;
        reason = "PostgreSQL reports: " + error.message + ".";
    }
    throw pg::Error(
        ERRCODE_FDW_INVALID_DATA_TYPE,
        "the connector gave column \"" + column.name + "\" a type that no new column can have: " + column.pg_type,
        reason, "Create the target beforehand, with the type that the column is to have.");
}

}  // namespace

bool gains_zone(const SourceColumn& source, const TargetColumn& target) {
    return is_naive_time(source) && target.base_type == "timestamp with time zone";
}

const TargetColumn* Target::find(const std::string& name) const {
    auto found = std::find_if(columns.begin(), columns.end(), [&](const auto& column) { return column.name == name; });
    return found != columns.end() ? &*found : nullptr;
}

std::string Target::qualified() const {
    return pg::quote_identifier(schema) + "." + pg::quote_identifier(table);
}

std::string default_expression(const SourceColumn& source, const TargetColumn& target, const std::string& zone,
                               const std::string& table) {
    std::string field = castable_value(source, target, table);
    if (!gains_zone(source, target)) return field;
    if (zone.empty()) {
        throw pg::Error(
            ERRCODE_INVALID_PARAMETER_VALUE,
            "column \"" + target.name + "\" is timestamp with time zone, but the source's values have no zone", "",
            "Set option source_time_zone to the zone in which the source writes them, for example 'Europe/Madrid' or "
            "'UTC'.");
    }
    // One that version 0.1 took. What server_zone() made of an offset is well understood.
    if (const auto problem = zone_problem(zone); problem && !zone.starts_with('<') && !zone.starts_with("Etc/"))
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                        "time zone \"" + zone + "\" in option source_time_zone is ambiguous", problem->detail,
                        problem->hint);
    return field + " AT TIME ZONE " + pg::quote_literal(zone);
}

std::optional<Target> describe_target(const std::string& schema, const std::string& table) {
    if (schema == "pg_temp") refuse_temporary(schema, table);
    auto relation = pg::query(
        "SELECT c.oid, c.relkind, c.relpersistence, (SELECT p.relid::pg_catalog.regclass"
        " FROM pg_catalog.pg_partition_tree(c.oid) AS p JOIN pg_catalog.pg_class AS pc ON pc.oid = p.relid"
        " WHERE pc.relpersistence = 'u' LIMIT 1)"
        " FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relname = $2",
        {schema, table});
    if (relation.empty()) return std::nullopt;
    Target target;
    target.schema = schema;
    target.table = table;
    target.oid = static_cast<Oid>(std::stoul(*relation.first()[0]));
    target.kind = require_fillable(target.oid, relation.first()[1]->front(), target.qualified());
    const auto& persistence = *relation.first()[2];
    if (persistence == "t") refuse_temporary(schema, table);
    if (persistence == "u") refuse_unlogged(target.qualified());
    if (const auto& partition = relation.first()[3]) refuse_unlogged(*partition);
    for (auto& row : pg::query(columns_query, {std::to_string(target.oid)}).rows) {
        TargetColumn column;
        column.name = *row[0];
        column.type = *row[1];
        column.base_type = *row[2];
        column.generated = *row[3] == "t";
        column.identity_always = *row[4] == "t";
        column.equality = *row[5];
        column.compare_as_text = *row[6] == "t";
        column.modifier = std::stoi(*row[8]);
        column.number = std::stoi(*row[9]);
        column.nullable = *row[10] == "t";
        column.base_oid = static_cast<Oid>(std::stoul(*row[11]));
        column.collation = row[12].value_or("");
        column.is_hashable = is_hashable(column.base_oid);
        if (row[7]) {
            column.length_type = "pg_catalog." + pg::quote_identifier(*row[7]);
            column.length_function = column.length_type;
            column.length_modifier = column.modifier;
        }
        target.columns.push_back(std::move(column));
    }
    for (auto& row : pg::query(unique_query, {std::to_string(target.oid)}).rows) {
        target.unique_keys.push_back(from_array_json(*row[1]));
        if (*row[0] == "t") target.primary_key = target.unique_keys.back();
    }
    return target;
}

void create_target(const std::string& schema, const std::string& table, const std::vector<NewColumn>& columns,
                   const std::vector<std::string>& primary_key) {
    std::string sql = "CREATE TABLE " + pg::quote_identifier(schema) + "." + pg::quote_identifier(table) + " (";
    for (const auto& column : columns) sql += pg::quote_identifier(column.name) + " " + column.type + ", ";
    sql += "PRIMARY KEY (";
    for (const auto& name : primary_key)
        sql += (&name == &primary_key.front() ? "" : ", ") + pg::quote_identifier(name);
    pg::query(sql + "))");
}

std::string add_column_statement(const Target& target, const NewColumn& column) {
    return "ALTER TABLE " + target.qualified() + " ADD COLUMN " + pg::quote_identifier(column.name) + " " + column.type;
}

std::string new_column_type(const SourceColumn& column, const std::string& source_time_zone) {
    if (is_naive_time(column) && !source_time_zone.empty()) return "timestamptz";
    if (column.pg_type.empty()) return std::string(name_of(column.transport));
    require_own_type(column);
    return column.pg_type;
}

}  // namespace insync
