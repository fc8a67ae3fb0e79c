// Making, changing and dropping streams: sync_create, sync_alter, sync_drop.
#include "extension/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/builtins.h"
}

#include <algorithm>

#include "bgworker/apply.hpp"
#include "bgworker/bookkeeping.hpp"
#include "bgworker/due.hpp"
#include "bgworker/installation.hpp"
#include "bgworker/job.hpp"
#include "bgworker/key_rows.hpp"
#include "bgworker/ledger.hpp"
#include "bgworker/outcome.hpp"
#include "bgworker/shared_state.hpp"
#include "bgworker/target_rights.hpp"
#include "bgworker/stream_lock.hpp"
#include "extension/define.hpp"
#include "extension/notices.hpp"
#include "extension/pg/compat.hpp"
#include "extension/result_set.hpp"
#include "extension/stream_options.hpp"
#include "extension/wake.hpp"
#include "extension/watermark_check.hpp"

using namespace insync;

namespace {

nlohmann::json json_argument(FunctionCallInfo call, int index) {
    if (call->args[index].isnull) return nlohmann::json::object();
    Datum value = call->args[index].value;
    char* text = pg::call([&] { return DatumGetCString(DirectFunctionCall1(jsonb_out, value)); });
    return nlohmann::json::parse(text);
}

std::string join(const std::vector<std::string>& items) {
    std::string text;
    for (const auto& item : items) text += (text.empty() ? "" : ", ") + item;
    return text;
}

std::string current_role() {
    return pg::call([] { return GetUserNameFromId(GetUserId(), false); });
}

int insert_stream(const Stream& stream) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "INSERT INTO insync.stream AS s (name, owner, server, source, target_schema, target_table, key, watermark, "
        "mode, schedule, options,"
        " source_key, source_key_unique, source_columns, watermark_kind) VALUES ($1, $2, $3, $4, $5, $6, $7::text[], "
        "$8::text[], $9, $10,"
        " $11::jsonb, $12::text[], $13::boolean, $14::jsonb, nullif($15, '')) RETURNING s.id",
        {stream.name, stream.owner, stream.server, stream.source, stream.target_schema, stream.target_table,
         to_array(stream.key), to_array(stream.watermark), stream.mode, stream.schedule, stream.options.dump(),
         to_array(stream.source_key), stream.source_key_unique ? "true" : "false",
         to_json(stream.source_columns).dump(), stream.watermark_kind});
    const int id = std::stoi(*rows.first()[0]);
    // Numbers begin again with the extension: what shared memory has of this one is an earlier extension's.
    shared::forget_stream(id);
    return id;
}

void require_new_name(const std::string& name) {
    Bookkeeping bookkeeping;
    if (pg::query("SELECT FROM insync.stream AS s WHERE s.name = $1", {name}).empty()) return;
    throw pg::Error(ERRCODE_DUPLICATE_OBJECT, "stream \"" + name + "\" already exists", "",
                    "Change it with sync_alter(), or drop it: SELECT sync_drop(" + pg::quote_literal(name) + ").");
}

// What the source says; nothing where it is away, and what it would say was given: then the first run asks.
std::optional<SourceDescription> describe_or_later(const Server& server, const Stream& stream,
                                                   const std::string& target_name) {
    // What a connection that fails has opened is closed with it.
    pg::Subtransaction subtransaction;
    try {
        auto description = describe_source(server, stream);
        subtransaction.commit();
        return description;
    } catch (pg::Error& error) {
        if (error.is_interrupt() || error.error_class != pg::ErrorClass::transient) throw;
        subtransaction.rollback();
        const bool is_complete = !target_name.empty() && !stream.key.empty() &&
                                 (!stream.watermark.empty() || stream.option("mode") == "full");
        if (!is_complete) {
            error.hint += (error.hint.empty() ? "" : " ") +
                          std::string(
                              "While the source is away, a stream can be made if target (a table that "
                              "exists), key, and watermark or mode full are given.");
            throw;
        }
        notice("the source of stream \"" + stream.name + "\" cannot be reached: " + error.message,
               "The stream is made by what was given, and checked at its first run.");
        return std::nullopt;
    }
}

// Whose times were altered begins to count them now: it doesn't make up for those before. In an Spi.
void restart_schedules(const Stream& stream, const Stream& before) {
    auto differs = [&](const char* option) { return stream.option(option) != before.option(option); };
    const bool zone = differs("time_zone");
    if (stream.schedule != before.schedule || zone)
        pg::query("UPDATE insync.stream AS s SET schedule_since = clock_timestamp() WHERE s.id = $1::integer",
                  {std::to_string(stream.id)});
    if (stream.has_option("verify_schedule") && (zone || differs("verify_schedule")))
        pg::query(
            "INSERT INTO insync.watermark AS w (stream_id, verify_planned_at) VALUES ($1::integer, clock_timestamp()) "
            "ON "
            "CONFLICT (stream_id) DO UPDATE SET verify_planned_at = excluded.verify_planned_at",
            {std::to_string(stream.id)});
}

// Tells who runs the stream, where that isn't the workers by a schedule.
void tell_how_it_runs(const Stream& stream) {
    const std::string name = pg::quote_literal(stream.name);
    if (!stream.schedule)
        notice("stream \"" + stream.name + "\" has no schedule and runs only when asked",
               "SELECT sync_alter(" + name + ", '{\"schedule\": \"10 minutes\"}') sets one; CALL sync_run(" + name +
                   ") runs it now.");
    tell_missing_workers();
}

// Tells at creation what would surprise later.
void tell_findings(const Stream& stream, const SourceDescription& description, const std::optional<Target>& existing,
                   bool is_table) {
    if (description.null_watermarks > 0) {
        notice(std::to_string(description.null_watermarks) + " rows of the source have no watermark (" +
                   join(stream.watermark) + " is null)",
               "Option null_watermark, now " + stream.option("null_watermark") + ", says what happens to them.");
    }
    for (const auto& column : stream.source_columns) {
        const bool follows =
            std::find(stream.watermark.begin(), stream.watermark.end(), column.name) != stream.watermark.end();
        const bool is_text = description.watermark_kind == "text" || (is_table && column.transport == Transport::text);
        if (!follows || !is_text) continue;
        notice("watermark column \"" + column.name + "\" is a text, and is compared as the source sorts texts",
               "Each change must give it a text that sorts behind all others; a time or a number is safer.");
    }
    if (stream.mode == "full" && !description.watermark_candidates.empty() && stream.option("mode") != "full") {
        notice("stream \"" + stream.name + "\" reads the whole source each time, as it has no watermark",
               "These columns could be one: " + join(description.watermark_candidates) +
                   ". A watermark must change whenever its row does.");
    }
    if (!existing || stream.is_on("columns_only")) return;
    std::vector<std::string> ignored;
    auto named = stream.has_option("columns") ? stream.options["columns"] : nlohmann::json::object();
    for (const auto& column : stream.source_columns) {
        if (existing->find(column.field) == nullptr && !named.contains(column.field)) ignored.push_back(column.field);
    }
    if (!ignored.empty()) notice("the target has no columns for " + join(ignored) + " of the source; they are ignored");
}

void tell_moves(const Stream& stream, const Applier& applier) {
    const std::string moving = applier.moving_columns();
    if (moving.empty()) return;
    notice("the source identifies a row by " + join(stream.source_key) + ": where " + moving +
               " changes, the row gets another key in the target",
           applier.finds_moved() ? ""
                                 : "No index of the target begins with the source's key; without one, new rows cost "
                                   "a scan of the table.");
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_create);
INSYNC_SQL_FUNCTION(sync_alter);
INSYNC_SQL_FUNCTION(sync_drop);

Datum sync_create(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_create()");
        Stream stream;
        stream.name = required_text(fcinfo, 0, "name");
        stream.server = required_text(fcinfo, 1, "server");
        stream.source = required_text(fcinfo, 2, "source");
        std::string target_name = text_argument(fcinfo, 3).value_or("");
        if (auto key = text_argument(fcinfo, 4)) stream.key = parse_name_list(*key);
        if (auto watermark = text_argument(fcinfo, 5)) stream.watermark = parse_name_list(*watermark);
        stream.schedule = text_argument(fcinfo, 6);
        stream.options = json_argument(fcinfo, 7);
        stream.owner = current_role();
        stream.owner_oid = GetUserId();

        // Everything is checked before anything is stored.
        if (int encoding = GetDatabaseEncoding(); encoding != PG_UTF8) {
            throw pg::Error(
                ERRCODE_FEATURE_NOT_SUPPORTED,
                std::string("streams need a database with encoding UTF8, not ") + pg_encoding_to_char(encoding));
        }
        require_new_name(stream.name);
        Server server = load_server(stream.server, GetUserId());
        check_stream_options(stream.options, server.kind);
        if (stream.schedule) check_schedule(*stream.schedule);
        const auto described = describe_or_later(server, stream, target_name);
        const SourceDescription description = described.value_or(SourceDescription{});
        stream.source_columns = description.columns;
        stream.watermark_kind = description.watermark_kind;
        resolve_target(stream, target_name, server.kind);
        std::optional<Target> existing;
        {
            pg::PinnedSettings settings;
            pg::Spi spi;
            existing = describe_target(stream.target_schema, stream.target_table);
        }
        if (!described) {
            if (!existing)
                throw pg::Error(ERRCODE_UNDEFINED_TABLE,
                                "target \"" + stream.target_table +
                                    "\" does not exist, and its columns are not known while the source is away",
                                "", "Create the table first.");
            stream.mode = stream.option("mode") == "full" ? "full" : "incremental";
            stream.source_key = stream.key;
        } else {
            complete_stream(stream, description, existing, stream.option("mode"));
        }
        if (stream.watermark == std::vector<std::string>{description.rowversion}) stream.watermark_kind = "rowversion";
        if (stream.has_option("initial_watermark") && described)
            check_watermark(stream, stream.option("initial_watermark"), description);
        std::map<std::string, std::string> types;
        if (described) types = check_expressions(stream);
        if (!existing) {
            pg::PinnedSettings settings;
            pg::RunAs identity(stream.owner_oid, false);
            pg::Spi spi;
            create_stream_target(stream, types);
        }
        for (auto& column : stream.source_columns) {
            column.made = !existing && !types.contains(column.field) && !stream.is_on("columns_only");
            column.mapped = !existing || existing->find(column.field) != nullptr;
        }
        bool home = is_home_database();
        stream.id = insert_stream(stream);
        record_owner(stream.id);
        const bool uncounted = described && settle_ledger(stream);
        require_target_rights(stream);
        if (described) {
            Applier applier(stream, stream.source_columns, false);
            applier.check();
            applier.save_names();
            check_key_rows(stream);
            tell_findings(stream, description, existing, server.kind != Kind::rest);
            tell_moves(stream, applier);
        }
        if (uncounted) queue_profile(stream);
        if (home) settle_home_database();
        tell_how_it_runs(stream);
        if (stream.schedule) wake_at_commit(stream.server);
        if (uncounted) wake_all_at_commit();
        return record_result(
            fcinfo,
            {stream.name, pg::quote_identifier(stream.target_schema) + "." + pg::quote_identifier(stream.target_table),
             join(stream.key), stream.watermark.empty() ? pg::Value() : pg::Value(join(stream.watermark)), stream.mode,
             std::to_string(stream.source_columns.size()), existing ? "false" : "true"});
    });
}

Datum sync_alter(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_alter()");
        Stream stream = load_stream(required_text(fcinfo, 0, "name"));
        nlohmann::json changes = json_argument(fcinfo, 1);
        if (!changes.is_object()) throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "options must be a JSON object");
        auto kind = kind_of_server(stream.server);
        auto check_options = [&](const nlohmann::json& options) {
            if (kind) return check_stream_options(options, *kind);
            // Where the server is gone, its kind is, too.
            try {
                check_stream_options(options, Kind::odbc);
            } catch (const pg::Error&) {
                check_stream_options(options, Kind::rest);
            }
        };
        const Stream before = stream;
        std::string new_name = stream.name;
        std::optional<std::string> new_owner;
        auto text = [&](const char* member, const nlohmann::json& value) {
            if (!value.is_string() || value.get<std::string>().empty())
                throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, std::string(member) + " must be a text");
            return value.get<std::string>();
        };
        for (const auto& [name, value] : changes.items()) {
            if (name == "schedule") {
                stream.schedule = value.is_null() ? std::nullopt : std::optional(text("schedule", value));
                if (stream.schedule) check_schedule(*stream.schedule);
            } else if (name == "name") {
                new_name = text("name", value);
                if (new_name != stream.name) require_new_name(new_name);
            } else if (name == "owner") {
                new_owner = text("owner", value);
            } else if (value.is_null()) {
                if (find_option(Where::stream, name) == nullptr) check_options({{name, ""}});
                stream.options.erase(name);
            } else {
                stream.options[name] = value;
            }
        }
        check_options(stream.options);
        if (new_owner) {
            const char* role = new_owner->c_str();
            stream.owner_oid = pg::call([&] {
                Oid oid = get_role_oid(role, false);
                compat::check_may_become(GetUserId(), oid);
                return oid;
            });
            stream.owner = *new_owner;
        }
        std::string mode = stream.option("mode");
        stream.mode = mode == "full" || !can_read_changes(stream) ? "full" : "incremental";
        if (mode == "incremental" && !can_read_changes(stream))
            throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                            "stream \"" + stream.name + "\" has no watermark, so it can't be incremental");
        if (changes.contains("initial_watermark") && stream.has_option("initial_watermark") && is_described(stream))
            check_watermark(stream, stream.option("initial_watermark"));
        if (is_described(stream)) (void)check_expressions(stream);
        {
            Bookkeeping bookkeeping;
            pg::query(
                "UPDATE insync.stream AS s SET name = $2, owner = $3, schedule = $4, options = $5::jsonb, mode = $6 "
                "WHERE s.id = $1::integer",
                {std::to_string(stream.id), new_name, stream.owner, stream.schedule, stream.options.dump(),
                 stream.mode});
            restart_schedules(stream, before);
            if (new_name != stream.name) {
                pg::query("UPDATE insync.error AS e SET stream = $2 WHERE e.stream_id = $1::integer",
                          {std::to_string(stream.id), new_name});
                pg::query("UPDATE insync.run AS r SET stream = $2 WHERE r.stream_id = $1::integer",
                          {std::to_string(stream.id), new_name});
            }
        }
        forget_failures(stream.id, stream.schedule.has_value());
        stream.name = new_name;
        if (changes.contains("schedule")) tell_how_it_runs(stream);
        if (new_owner) record_owner(stream.id);
        if (is_described(stream)) {
            if (settle_ledger(stream)) {
                queue_profile(stream);
                wake_all_at_commit();
            }
            require_target_rights(stream);
            Applier applier(stream, stream.source_columns, false);
            applier.check();
            applier.save_names();
            check_key_rows(stream);
        }
        wake_at_commit(stream.server);
        return Datum(0);
    });
}

Datum sync_drop(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_drop()");
        Stream stream = load_stream(required_text(fcinfo, 0, "name"));
        if (PG_GETARG_BOOL(1)) {
            pg::PinnedSettings settings;
            pg::RunAs identity(OidIsValid(stream.owner_oid) ? stream.owner_oid : GetUserId(), false);
            pg::Spi spi;
            pg::query("DROP TABLE IF EXISTS " + pg::quote_identifier(stream.target_schema) + "." +
                      pg::quote_identifier(stream.target_table));
        }
        Bookkeeping bookkeeping;
        std::string id = std::to_string(stream.id);
        // First with its runs, which waits for a batch that is being committed: what that leaves is seen below.
        pg::query("DELETE FROM insync.stream AS s WHERE s.id = $1::integer", {id});
        for (const char* table : {"watermark", "error", "mended", "ledger", "slice", "job", "difference", "origin"})
            pg::query(std::string("DELETE FROM insync.") + table + " AS x WHERE x.stream_id = $1::integer", {id});
        return Datum(0);
    });
}
}
