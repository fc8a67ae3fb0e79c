// Describing, creating and mapping the target; see target.hpp.
#include "bgworker/target/target.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
}

#include <algorithm>

#include "bgworker/clock/zone_name.hpp"
#include "bgworker/options/near_miss.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/pg/compat.hpp"
#include "bgworker/target/key_moves.hpp"
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

std::vector<std::string> sorted(std::vector<std::string> items) {
    std::sort(items.begin(), items.end());
    return items;
}

std::string list(const std::vector<std::string>& items) {
    std::string text;
    for (const auto& item : items) text += (text.empty() ? "" : ", ") + item;
    return text;
}

bool is_hashable(Oid type) {
    return pg::call(
        [&] { return OidIsValid(lookup_type_cache(type, TYPECACHE_HASH_EXTENDED_PROC)->hash_extended_proc); });
}

bool is_naive_time(const SourceColumn& column) {
    return column.transport == Transport::timestamp;
}

bool gains_zone(const SourceColumn& source, const TargetColumn& target) {
    return is_naive_time(source) && target.base_type == "timestamp with time zone";
}

// Does the target keep apart whatever the batch does, byte by byte? Numbers that round and texts that are cut, padded
// or compared by other rules than their bytes don't.
bool keeps_apart(Transport source, const TargetColumn& target) {
    if (target.type != target.base_type || target.compare_as_text) return false;
    switch (source) {
        case Transport::int2:
        case Transport::int4:
        case Transport::int8:
            return target.type == "smallint" || target.type == "integer" || target.type == "bigint" ||
                   target.type == "numeric" || target.type == "text";
        case Transport::date:
        case Transport::uuid:
        case Transport::text:
            return target.type == name_of(source);
        case Transport::timestamp:
            return target.type == "timestamp without time zone";
        case Transport::timestamptz:
            return target.type == "timestamp with time zone";
        default:
            return false;
    }
}

MappedColumn map_column(const TargetColumn& target, std::string expression, bool key) {
    MappedColumn mapped;
    mapped.name = pg::quote_identifier(target.name);
    mapped.plain_name = target.name;
    mapped.type = target.type;
    mapped.base_type = target.base_type;
    mapped.expression = std::move(expression);
    mapped.length_function = target.length_function;
    mapped.length_type = target.length_type;
    mapped.length_modifier = target.length_modifier;
    mapped.key = key;
    mapped.equality = target.equality;
    mapped.compare_as_text = target.compare_as_text;
    mapped.collation = target.collation;
    mapped.is_hashable = target.is_hashable;
    return mapped;
}

void require_unique_key(const Stream& stream, const Target& target) {
    auto key = sorted(stream.key);
    bool unique = std::any_of(target.unique_keys.begin(), target.unique_keys.end(),
                              [&](const auto& k) { return sorted(k) == key; });
    if (unique) return;
    std::string columns;
    for (const auto& name : stream.key) columns += (columns.empty() ? "" : ", ") + pg::quote_identifier(name);
    auto wider = std::find_if(target.unique_keys.begin(), target.unique_keys.end(), [&](const auto& columns_of_index) {
        const auto all = sorted(columns_of_index);
        return std::includes(all.begin(), all.end(), key.begin(), key.end());
    });
    if (wider != target.unique_keys.end()) {
        throw pg::Error(ERRCODE_INVALID_TABLE_DEFINITION,
                        "target " + target.qualified() + " has no unique index on its key (" + list(stream.key) + ")",
                        "It has one on " + list(*wider) + ".",
                        "Name all of that as the key: key => " + pg::quote_literal(list(*wider)) +
                            ". A row moves when another column of it changes.");
    }
    throw pg::Error(ERRCODE_INVALID_TABLE_DEFINITION,
                    "target " + target.qualified() + " has no unique index on its key (" + list(stream.key) + ")", "",
                    "ALTER TABLE " + target.qualified() + " ADD PRIMARY KEY (" + columns + ");");
}

// PostgreSQL lets such a column be inserted, and then never changed but to its default.
void require_updatable(const Target& target, const ApplyShape& shape) {
    for (const auto& column : shape.columns) {
        const TargetColumn* found = target.find(column.plain_name);
        if (found == nullptr || !found->identity_always || (column.key && !column.moves)) continue;
        throw pg::Error(ERRCODE_GENERATED_ALWAYS,
                        "column \"" + found->name + "\" of target " + target.qualified() +
                            " is GENERATED ALWAYS AS IDENTITY and cannot be updated",
                        "The source's values could be inserted, but later changes of them could not be applied.",
                        "ALTER TABLE " + target.qualified() + " ALTER COLUMN " + column.name +
                            " SET GENERATED BY DEFAULT; or have the target number its rows by itself: option "
                            "columns_only leaves out all columns that option columns does not name.");
    }
}

void map_deletes(const Stream& stream, const std::vector<SourceColumn>& columns, const Target& target,
                 ApplyShape& shape) {
    shape.deletes = stream.options.deletes;
    if (shape.deletes == DeleteMode::soft) {
        std::string name = stream.options.deleted_column.text;
        const TargetColumn* column = target.find(name);
        if (column == nullptr) {
            throw pg::Error(
                ERRCODE_UNDEFINED_COLUMN,
                "target " + target.qualified() + " has no column \"" + name + "\" (option deleted_column)", "",
                "ALTER TABLE " + target.qualified() + " ADD COLUMN " + pg::quote_identifier(name) + " timestamptz;");
        }
        shape.deleted_column = pg::quote_identifier(name);
        bool flag = column->base_type == "boolean";
        shape.deleted_value = flag ? "true" : "pg_catalog.now()";
        shape.living_value = flag ? "false" : "NULL";
    }
    if (shape.deletes == DeleteMode::ignore) return;
    shape.delete_condition = stream.options.deleted_when.text;
    std::string operation = stream.options.operation_column.text;
    if (operation.empty()) return;
    const SourceColumn* column = find_field(columns, fold_name(operation));
    if (column == nullptr) {
        throw pg::Error(ERRCODE_UNDEFINED_COLUMN,
                        "the source has no column \"" + operation + "\" (option operation_column)");
    }
    // Values are compared as trimmed text without regard to case: D, d, 'DELETE ' of a CHAR(10).
    std::string values;
    for (std::string rest = stream.options.delete_values.text; !rest.empty();) {
        auto comma = rest.find(',');
        std::string value(trim(rest.substr(0, comma)));
        if (!value.empty()) values += (values.empty() ? "" : ", ") + pg::quote_literal(to_lower(value));
        rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
    }
    if (!shape.delete_condition.empty()) shape.delete_condition = "(" + shape.delete_condition + "\n) OR ";
    shape.delete_condition += "pg_catalog.lower(pg_catalog.btrim(batch." + pg::quote_identifier(column->field) +
                              "::text)) IN (" + values + ")";
}

// Rows that don't pass the filter are left out, or deleted where they are in the target.
void map_filter(const Stream& stream, ApplyShape& shape) {
    shape.filter = stream.options.filter.text;
    const std::optional<LeavePolicy> leaves = stream.options.filter_leaves;
    shape.filter_keeps = leaves == LeavePolicy::keep;
    if (leaves != LeavePolicy::remove || shape.filter.empty()) return;
    shape.leave_condition = "(" + shape.filter + "\n) IS NOT TRUE";
    shape.filter.clear();
    if (shape.deletes == DeleteMode::ignore) shape.deletes = DeleteMode::hard;
    shape.delete_condition =
        (shape.delete_condition.empty() ? "" : "(" + shape.delete_condition + "\n) OR ") + shape.leave_condition;
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

ApplyShape build_shape(const Stream& stream, const std::vector<SourceColumn>& columns, const Target& target) {
    ApplyShape shape;
    shape.target = target.qualified();
    std::string zone = server_zone(stream.options.source_time_zone.text);
    std::string operation = fold_name(stream.options.operation_column.text),
                deleted = stream.options.deleted_column.text;
    bool only_named = stream.options.columns_only;
    const nlohmann::json& named = stream.options.columns.value;

    for (const auto& [name, expression] : named.items()) {
        const TargetColumn* column = target.find(name);
        if (column == nullptr) {
            std::vector<std::string_view> names;
            for (const auto& item : target.columns) names.push_back(item.name);
            std::string near = closest(name, names);
            throw pg::Error(ERRCODE_UNDEFINED_COLUMN,
                            "target " + shape.target + " has no column \"" + name + "\" (option columns)", "",
                            near.empty() ? "" : "Perhaps you meant the column \"" + near + "\".");
        }
        if (column->generated) {
            throw pg::Error(ERRCODE_GENERATED_ALWAYS, "column \"" + name + "\" of target " + shape.target +
                                                          " is generated and cannot be written");
        }
    }
    for (const auto& column : target.columns) {
        bool key = std::find(stream.key.begin(), stream.key.end(), column.name) != stream.key.end();
        if (auto expression = named.find(column.name); expression != named.end()) {
            shape.columns.push_back(map_column(column, expression->get<std::string>(), key));
        } else if (const SourceColumn* source = find_field(columns, fold_name(column.name));
                   source != nullptr && source->mapped && !only_named && !column.generated && column.name != deleted) {
            auto& mapped = shape.columns.emplace_back(
                map_column(column, default_expression(*source, column, zone, shape.target), key));
            if (!gains_zone(*source, column)) mapped.field = source->field;
            mapped.source = pg::quote_identifier(source->field);
            mapped.keeps_apart = keeps_apart(source->transport, column);
            mapped.fit = fit_condition(*source, column, mapped, zone);
        } else {
            continue;
        }
        if (column.identity_always) shape.override_identity = true;
    }
    for (const auto& name : stream.key) {
        bool mapped = std::any_of(shape.columns.begin(), shape.columns.end(),
                                  [&](const auto& c) { return c.name == pg::quote_identifier(name); });
        if (!mapped) {
            throw pg::Error(
                ERRCODE_UNDEFINED_COLUMN,
                target.find(name) == nullptr ? "target " + shape.target + " has no key column \"" + name + "\""
                                             : "no source column fills the key column \"" + name + "\"",
                "", "Option key names the columns that identify a row in the target; option columns can fill them.");
        }
    }
    require_unique_key(stream, target);
    mark_moving(stream, columns, target, shape);
    require_updatable(target, shape);
    shape.source_key = contested_key(stream, columns, target, shape);
    map_deletes(stream, columns, target, shape);
    map_filter(stream, shape);
    return shape;
}

}  // namespace insync
