// Keeps insync.dependency; see dependencies.hpp.
#include "bgworker/catalog/dependencies.hpp"

extern "C" {
#include "access/xlog.h"
}

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/streams.hpp"

namespace insync {

namespace {

std::string this_system() {
    return std::to_string(GetSystemIdentifier());
}

// OIDs of another system mean nothing here.
void forget_other_systems() {
    pg::query("DELETE FROM insync.dependency AS d WHERE d.system_identifier <> $1", {this_system()});
}

std::vector<DependentStream> to_streams(const pg::Rows& rows) {
    std::vector<DependentStream> streams;
    for (const auto& row : rows.rows) streams.push_back({std::stoi(*row[0]), *row[1], *row[2]});
    return streams;
}

}  // namespace

void bind_objects(std::optional<int> stream_id) {
    Bookkeeping bookkeeping;
    forget_other_systems();
    pg::query(
        "INSERT INTO insync.dependency AS d (stream_id, system_identifier, server_oid, target_oid)"
        " SELECT s.id, $1, f.oid, t.oid FROM insync.stream AS s LEFT JOIN pg_foreign_server AS f ON f.srvname = "
        "s.server"
        " LEFT JOIN (pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace) ON n.nspname = s.target_schema AND"
        " t.relname = s.target_table WHERE s.id = $2::integer OR $2 IS NULL ON CONFLICT (stream_id) DO UPDATE SET"
        " server_oid = coalesce(d.server_oid, excluded.server_oid), target_oid = coalesce(d.target_oid, "
        "excluded.target_oid) WHERE d.server_oid IS NULL OR d.target_oid IS NULL",
        {this_system(), stream_id ? pg::Value(std::to_string(*stream_id)) : std::nullopt});
}

void rebind_objects(int stream_id) {
    {
        Bookkeeping bookkeeping;
        pg::query("DELETE FROM insync.dependency AS d WHERE d.stream_id = $1::integer", {std::to_string(stream_id)});
    }
    bind_objects(stream_id);
}

void rebind_server(int stream_id) {
    {
        Bookkeeping bookkeeping;
        pg::query("UPDATE insync.dependency AS d SET server_oid = NULL WHERE d.stream_id = $1::integer",
                  {std::to_string(stream_id)});
    }
    bind_objects(stream_id);
}

void rebind_target(int stream_id) {
    {
        Bookkeeping bookkeeping;
        // A target that is still there under this name stays as it is, and with it who has made it.
        pg::query(
            "UPDATE insync.dependency AS d SET target_oid = NULL, created_target = false FROM insync.stream AS s WHERE"
            " d.stream_id = $1::integer AND s.id = d.stream_id AND NOT EXISTS (SELECT FROM pg_class AS t JOIN "
            "pg_namespace AS n ON n.oid = t.relnamespace WHERE t.oid = d.target_oid AND t.relname = s.target_table AND "
            "n.nspname = s.target_schema)",
            {std::to_string(stream_id)});
    }
    bind_objects(stream_id);
}

void record_created_target(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.dependency AS d SET created_target = true WHERE d.stream_id = $1::integer",
              {std::to_string(stream_id)});
}

void record_shared_target(const Stream& stream) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.dependency AS d SET created_target = false FROM insync.stream AS s WHERE s.id = d.stream_id AND"
        " s.target_schema = $1 AND s.target_table = $2 AND d.created_target AND EXISTS (SELECT FROM insync.stream AS o"
        " WHERE o.target_schema = $1 AND o.target_table = $2 AND o.id <> s.id)",
        {stream.target_schema, stream.target_table});
}

bool owns_target(const Stream& stream) {
    Bookkeeping bookkeeping;
    return !pg::query(
                "SELECT FROM insync.dependency AS d JOIN pg_class AS t ON t.oid = d.target_oid JOIN pg_namespace AS n"
                " ON n.oid = t.relnamespace WHERE d.stream_id = $1::integer AND d.system_identifier = $2 AND"
                " d.created_target AND n.nspname = $3 AND t.relname = $4",
                {std::to_string(stream.id), this_system(), stream.target_schema, stream.target_table})
                .empty();
}

void require_same_target(const Stream& stream, bool starts_over) {
    pg::Rows rows;
    {
        Bookkeeping bookkeeping;
        rows = pg::query(
            "SELECT d.target_oid, (SELECT t.oid FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace"
            " WHERE n.nspname = $2 AND t.relname = $3), d.server_oid FROM (SELECT $1::integer AS id) AS x LEFT JOIN"
            " insync.dependency AS d ON d.stream_id = x.id AND d.system_identifier = $4",
            {std::to_string(stream.id), stream.target_schema, stream.target_table, this_system()});
    }
    const auto &known = rows.first()[0], &found = rows.first()[1];
    if (!known || !rows.first()[2]) bind_objects(stream.id);
    if (!known || !found || known == found) return;
    if (starts_over) return rebind_target(stream.id);
    const std::string target =
        pg::quote_identifier(stream.target_schema) + "." + pg::quote_identifier(stream.target_table);
    pg::Error error(
        ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "target " + target + " is not the table that stream \"" + stream.name + "\" has filled",
        "The table was dropped, and another one has its name. The rows that the stream read before are "
        "not in it.",
        "SELECT sync_reset(" + pg::quote_literal(stream.name) + "); lets the next run read all rows again.");
    error.error_class = pg::ErrorClass::config;
    throw error;
}

bool follow_renames() {
    return Streams::follow_renames(this_system());
}

std::vector<DependentStream> streams_of_dropped_servers() {
    Bookkeeping bookkeeping;
    return to_streams(
        pg::query("SELECT s.id, s.name, s.server FROM pg_event_trigger_dropped_objects() AS o JOIN"
                  " insync.dependency AS d ON d.server_oid = o.objid AND d.system_identifier = $1 JOIN insync.stream"
                  " AS s ON s.id = d.stream_id WHERE o.classid = 'pg_foreign_server'::regclass ORDER BY s.name",
                  {this_system()}));
}

std::vector<DependentStream> record_dropped_targets() {
    Bookkeeping bookkeeping;
    return to_streams(
        pg::query("UPDATE insync.dependency AS d SET target_oid = 0, created_target = false FROM"
                  " pg_event_trigger_dropped_objects() AS o, insync.stream AS s WHERE o.classid = 'pg_class'::regclass"
                  " AND o.objsubid = 0 AND d.target_oid = o.objid AND d.system_identifier = $1 AND s.id = d.stream_id"
                  " RETURNING s.id, s.name, s.server",
                  {this_system()}));
}

}  // namespace insync
