// Makes streams; see create_stream.hpp.
#include "extension/create_stream.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/builtins.h"
}

#include <algorithm>

#include "bgworker/apply/applier.hpp"
#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/dependencies.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/job.hpp"
#include "bgworker/catalog/outcome.hpp"
#include "bgworker/catalog/stream_lock.hpp"
#include "bgworker/catalog/stream_checks.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/definition/define_stream.hpp"
#include "bgworker/definition/target_choice.hpp"
#include "bgworker/definition/watermark_check.hpp"
#include "bgworker/ledger/ledger.hpp"
#include "bgworker/pg/compat.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/schedule/due_streams.hpp"
#include "bgworker/shmem/shared_state.hpp"
#include "bgworker/shmem/wake_at_commit.hpp"
#include "bgworker/target/target_rights.hpp"
#include "extension/notices.hpp"

namespace insync {

namespace {

std::string current_role() {
    return pg::call([] { return GetUserNameFromId(GetUserId(), false); });
}

int insert_stream(const Stream& stream) {
    const int id = Streams::insert(stream);
    // Numbers begin again with the extension: what shared memory has of this one is an earlier extension's.
    shared::forget_stream(id);
    return id;
}

// What the source says; nothing where it is away, and what it would say was given: then the first run asks.
std::optional<SourceDescription> describe_or_later(const Server& server, const Stream& stream,
                                                   const std::string& target_name, ConnectorProcess* connector) {
    if (connector != nullptr) return describe_source(*connector, server.kind, stream);
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
                                 (!stream.watermark.empty() || stream.options.mode == ReadMode::full);
        if (!is_complete) {
            error.hint += (error.hint.empty() ? "" : " ") +
                          std::string(
                              "While the source cannot be reached, a stream can be created if target (a table that "
                              "exists), key, and watermark or mode full are given.");
            throw;
        }
        notice("the source of stream \"" + stream.name + "\" cannot be reached: " + error.message,
               "The stream is created from the given arguments, and its first run checks them.");
        return std::nullopt;
    }
}

// Tells at creation what would surprise later.
void tell_findings(const Stream& stream, const SourceDescription& description, const std::optional<Target>& existing,
                   bool is_table) {
    if (!description.watermark_format.empty()) {
        notice("the numbers of watermark \"" + join(stream.watermark) + "\" are taken for times (" +
                   description.watermark_format + ")",
               "If they are none: SELECT sync_alter(" + pg::quote_literal(stream.name) +
                   ", '{\"watermark_format\": \"number\"}').");
    }
    if (description.null_watermarks > 0) {
        notice(std::to_string(description.null_watermarks) + " rows of the source have no watermark (" +
                   join(stream.watermark) + " is null)",
               "Option null_watermark, now " + stream.options.null_watermark.text + ", says what happens to them.");
    }
    for (const auto& column : stream.source_columns) {
        const bool follows =
            std::find(stream.watermark.begin(), stream.watermark.end(), column.name) != stream.watermark.end();
        const bool is_text = description.watermark_kind == "text" || (is_table && column.transport == Transport::text);
        if (!follows || !is_text) continue;
        notice("watermark column \"" + column.name + "\" is a text, and is compared as the source sorts texts",
               "Each change must give it a text that sorts behind all others; a time or a number is safer.");
    }
    if (stream.compares_whole_rows()) {
        notice("the source has no key, so stream \"" + stream.name + "\" compares whole rows",
               "Each run reads all of them; row_hash and row_copy distinguish them. If some columns identify a row, "
               "make it "
               "again with key => '...'.");
    } else if (stream.mode == "full" && !description.watermark_candidates.empty() &&
               stream.options.mode != ReadMode::full) {
        notice("stream \"" + stream.name + "\" reads the whole source each time, as it has no watermark",
               "These columns could be one: " + join(description.watermark_candidates) +
                   ". A watermark must change whenever its row does.");
    }
    if (!existing || stream.options.columns_only) return;
    std::vector<std::string> ignored;
    const nlohmann::json& named = stream.options.columns.value;
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

bool create_stream(Stream& stream, const Server& server, const std::string& target_name, bool is_named,
                   ConnectorProcess* connector) {
    stream.owner = current_role();
    stream.owner_oid = GetUserId();

    // Everything is checked before anything is stored.
    if (int encoding = GetDatabaseEncoding(); encoding != PG_UTF8) {
        throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, std::string("streams need a database with encoding UTF8, not ") +
                                                           pg_encoding_to_char(encoding));
    }
    require_new_name(stream.name);
    check_stream_options(stream.options.map(), server.kind);
    if (stream.schedule) check_schedule(*stream.schedule);
    const auto described = describe_or_later(server, stream, target_name, connector);
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
    if (existing) lock_target(*existing);
    if (!described) {
        if (!existing)
            throw pg::Error(ERRCODE_UNDEFINED_TABLE,
                            "target \"" + stream.target_table +
                                "\" does not exist, and its columns are not known while the source cannot be reached",
                            "", "Create the table first.");
        stream.mode = stream.options.mode == ReadMode::full ? "full" : "incremental";
        stream.source_key = stream.key;
    } else {
        complete_stream(stream, description, existing);
    }
    if (!is_named && existing) check_default_target(stream, *existing);
    if (stream.options.initial_watermark.is_given && described)
        check_watermark(stream, stream.options.initial_watermark.text, description);
    std::map<std::string, std::string> types;
    if (described) types = check_expressions(stream);
    if (!existing) {
        const pg::OwnerScope scope(stream.owner_oid, pg::Plans::any, false);
        create_stream_target(stream, types);
    }
    note_filled_columns(stream, types, existing, {});
    bool home = is_home_database();
    stream.id = insert_stream(stream);
    Streams::record_owner(stream.id);
    bind_objects(stream.id);
    if (existing) {
        record_shared_target(stream);
    } else {
        record_created_target(stream.id);
    }
    const bool uncounted = described && ensure_ledger(stream);
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
    if (home) claim_home_database();
    if (existing && is_named) warn_of_shared_rows(stream);
    if (stream.schedule) wake_at_commit(stream.server);
    if (uncounted) wake_all_at_commit();
    return !existing;
}

}  // namespace insync
