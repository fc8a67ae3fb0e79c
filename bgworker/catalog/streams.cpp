// Writes insync.stream; see streams.hpp.
#include "bgworker/catalog/streams.hpp"

#include "bgworker/catalog/catalog_scope.hpp"

namespace insync {

int Streams::insert(const Stream& stream) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "INSERT INTO insync.stream AS s (name, owner, server, source, target_schema, target_table, key, watermark, "
        "mode, schedule, options,"
        " source_key, source_key_unique, source_columns, watermark_kind) VALUES ($1, $2, $3, $4, $5, $6, $7::text[], "
        "$8::text[], $9, $10,"
        " $11::jsonb, $12::text[], $13::boolean, $14::jsonb, nullif($15, '')) RETURNING s.id",
        {stream.name, stream.owner, stream.server, stream.source, stream.target_schema, stream.target_table,
         to_array(stream.key), to_array(stream.watermark), stream.mode, stream.schedule, stream.options.map().dump(),
         to_array(stream.source_key), stream.source_key_unique ? "true" : "false",
         to_json(stream.source_columns).dump(), stream.watermark_kind});
    return std::stoi(*rows.first()[0]);
}

void Streams::update(const Stream& stream, const std::string& new_name) {
    Bookkeeping bookkeeping;
    const std::string id = std::to_string(stream.id);
    pg::query(
        "UPDATE insync.stream AS s SET name = $2, owner = $3, schedule = $4, options = $5::jsonb, mode = $6, server = "
        "$7, source = $8, target_schema = $9, target_table = $10, key = $11::text[], watermark = $12::text[], "
        "source_key "
        "= $13::text[], source_key_unique = $14::boolean, source_columns = $15::jsonb, watermark_kind = nullif($16, "
        "'') "
        "WHERE s.id = $1::integer",
        {id, new_name, stream.owner, stream.schedule, stream.options.map().dump(), stream.mode, stream.server,
         stream.source, stream.target_schema, stream.target_table, to_array(stream.key), to_array(stream.watermark),
         to_array(stream.source_key), stream.source_key_unique ? "true" : "false",
         to_json(stream.source_columns).dump(), stream.watermark_kind});
    if (new_name == stream.name) return;
    for (const char* table : {"error", "run"})
        pg::query(std::string("UPDATE insync.") + table + " AS x SET stream = $2 WHERE x.stream_id = $1::integer",
                  {id, new_name});
}

void Streams::save_description(const Stream& stream) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.stream AS s SET key = $2::text[], watermark = $3::text[], mode = $4, source_key = $5::text[],"
        " source_key_unique = $6::boolean, source_columns = $7::jsonb, watermark_kind = nullif($8, '')"
        " WHERE s.id = $1::integer",
        {std::to_string(stream.id), to_array(stream.key), to_array(stream.watermark), stream.mode,
         to_array(stream.source_key), stream.source_key_unique ? "true" : "false",
         to_json(stream.source_columns).dump(), stream.watermark_kind});
}

void Streams::save_source_columns(int stream_id, const std::vector<SourceColumn>& columns) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.stream AS s SET source_columns = $2::jsonb WHERE s.id = $1::integer",
              {std::to_string(stream_id), to_json(columns).dump()});
}

void Streams::save_target_columns(int stream_id, const nlohmann::json& columns) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.stream AS s SET target_columns = $2::jsonb WHERE s.id = $1::integer",
              {std::to_string(stream_id), columns.dump()});
}

void Streams::forget(int stream_id) {
    Bookkeeping bookkeeping;
    const std::string id = std::to_string(stream_id);
    // First with its runs, which waits for a batch that is being committed: what that leaves is seen below.
    pg::query("DELETE FROM insync.stream AS s WHERE s.id = $1::integer", {id});
    for (const char* table :
         {"watermark", "error", "mended", "ledger", "slice", "job", "difference", "dependency", "origin"})
        pg::query(std::string("DELETE FROM insync.") + table + " AS x WHERE x.stream_id = $1::integer", {id});
}

void Streams::set_paused(const std::vector<std::string>& names, bool paused) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.stream AS s SET paused = $2::boolean, schedule_since = CASE WHEN $2::boolean THEN "
        "s.schedule_since ELSE clock_timestamp() END WHERE s.name = ANY ($1::text[]) AND s.paused <> $2::boolean",
        {to_array(names), paused ? "true" : "false"});
}

void Streams::restart_schedule(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.stream AS s SET schedule_since = clock_timestamp() WHERE s.id = $1::integer",
              {std::to_string(stream_id)});
}

void Streams::restart_schedules() {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.stream AS s SET schedule_since = clock_timestamp()");
}

void Streams::settle_clock() {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.stream AS s SET schedule_since = clock_timestamp() WHERE s.id IN (SELECT x.id FROM "
        "insync.stream AS x WHERE x.schedule_since > clock_timestamp() FOR UPDATE SKIP LOCKED)");
}

void Streams::record_owner(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.stream AS s SET owner_id = r.oid FROM pg_roles AS r WHERE r.rolname = s.owner AND s.id = "
        "$1::integer",
        {std::to_string(stream_id)});
}

void Streams::adopt(bool from_another_system) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.stream AS s SET owner_id = r.oid FROM pg_roles AS r WHERE r.rolname = s.owner"
        " AND s.owner_id <> r.oid AND (s.owner_id = 0 OR $1::boolean)",
        {from_another_system ? "true" : "false"});
}

bool Streams::follow_renames(const std::string& system) {
    Bookkeeping bookkeeping;
    return pg::query(
               "UPDATE insync.stream AS s SET server = x.server, target_schema = x.target_schema, target_table = "
               "x.target_table FROM (SELECT o.id, coalesce(f.srvname, o.server) AS server, coalesce(n.nspname, "
               "o.target_schema) AS target_schema, coalesce(t.relname, o.target_table) AS target_table"
               " FROM insync.stream AS o JOIN insync.dependency AS d ON d.stream_id = o.id AND d.system_identifier = $1"
               " LEFT JOIN pg_foreign_server AS f ON f.oid = d.server_oid LEFT JOIN pg_class AS t ON t.oid = "
               "d.target_oid LEFT JOIN pg_namespace AS n ON n.oid = t.relnamespace) AS x WHERE x.id = s.id AND"
               " (x.server <> s.server OR x.target_schema <> s.target_schema OR x.target_table <> s.target_table)",
               {system})
               .processed > 0;
}

}  // namespace insync
