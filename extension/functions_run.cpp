// Running and stopping streams: sync_trigger, sync_run, sync_wait, sync_cancel, sync_pause, sync_resume, sync_reset.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

#include <signal.h>

#include <algorithm>

#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/dependencies.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/job.hpp"
#include "bgworker/catalog/outcome.hpp"
#include "bgworker/catalog/runs.hpp"
#include "bgworker/catalog/stream_lock.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/catalog/watermarks.hpp"
#include "bgworker/definition/watermark_check.hpp"
#include "bgworker/pg/function_call.hpp"
#include "bgworker/run/run.hpp"
#include "bgworker/run/run_stream.hpp"
#include "bgworker/schedule/due_streams.hpp"
#include "bgworker/shmem/shared_state.hpp"
#include "bgworker/shmem/wake_at_commit.hpp"
#include "bgworker/target/key_origins.hpp"
#include "extension/notices.hpp"
#include "extension/target_warnings.hpp"

using namespace insync;

namespace {

// How often sync_wait looks though nobody woke it, milliseconds.
constexpr long wait_step_ms = 1000;

void check_mode(const Stream& stream, const std::string& mode) {
    if (mode != "incremental" && mode != "full" && mode != "keys") {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "invalid mode \"" + mode + "\"", "",
                        "Valid modes are incremental, full and keys.");
    }
    if (mode == "keys") check_key_scan(stream);
    if (mode == "incremental" && !can_read_changes(stream)) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                        "stream \"" + stream.name + "\" has no watermark, so it cannot be read incrementally");
    }
}

std::vector<std::string> set_paused(const std::string& pattern, bool paused) {
    auto names = chosen_streams(pattern, Access::operate);
    Streams::set_paused(names, paused);
    return names;
}

// A foreground run that is ended with its session must not look as if it ran on.
void release_at_exit() {
    static bool registered = false;
    if (registered) return;
    registered = true;
    pg::call([] { before_shmem_exit([](int, Datum) { shared::release_live(); }, 0); });
}

}  // namespace

extern "C" {
INSYNC_SQL_FUNCTION(sync_trigger);
INSYNC_SQL_FUNCTION(sync_run);
INSYNC_SQL_FUNCTION(sync_wait);
INSYNC_SQL_FUNCTION(sync_cancel);
INSYNC_SQL_FUNCTION(sync_pause);
INSYNC_SQL_FUNCTION(sync_resume);
INSYNC_SQL_FUNCTION(sync_reset);
INSYNC_SQL_FUNCTION(insync_wake);

Datum sync_trigger(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_trigger()");
        ResultSet result(fcinfo);
        auto mode = text_argument(fcinfo, 1);
        require_workers();
        require_home_database();
        for (const auto& name : chosen_streams(text_argument(fcinfo, 0).value_or("%"), Access::operate)) {
            Stream stream = load_stream(name, Access::operate);
            if (mode) check_mode(stream, *mode);
            if (stream.paused) {
                notice("stream \"" + name + "\" is paused", "SELECT sync_resume(" + pg::quote_literal(name) + ");");
                continue;
            }
            std::string run_mode = mode.value_or(stream.mode);
            pg::Rows queued;
            {
                Bookkeeping bookkeeping;
                queued = pg::query(
                    "SELECT r.id FROM insync.run AS r WHERE r.stream_id = $1::integer AND r.status = 'queued' AND "
                    "r.mode = $2",
                    {std::to_string(stream.id), run_mode});
            }
            // One run answers everybody who asked before it began.
            std::string run_id = queued.empty() ? std::to_string(Runs::insert(stream, run_mode, "queued", "request"))
                                                : *queued.first()[0];
            wake_at_commit(stream.server);
            result.add({name, run_id});
        }
        return Datum(0);
    });
}

Datum sync_run(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        auto* context = reinterpret_cast<CallContext*>(fcinfo->context);
        if (context == nullptr || !IsA(context, CallContext) || context->atomic) {
            throw pg::Error(ERRCODE_ACTIVE_SQL_TRANSACTION,
                            "sync_run() cannot run inside a transaction block, as it commits after each batch", "",
                            "CALL it by itself, or ask the workers: SELECT sync_trigger('...').");
        }
        begin_change("sync_run()");
        std::string name = required_text(fcinfo, 0, "name");
        auto mode = text_argument(fcinfo, 1);
        Stream stream = load_stream(name);
        if (mode) check_mode(stream, *mode);
        require_home_database();
        release_at_exit();
        pg::Spi outer(true);
        pg::commit_and_chain();  // the caller's transaction has a snapshot, and so an isolation level, already
        ProcedureTransactions transactions;
        StreamLock lock(stream.id, StreamLock::short_patience_ms);
        if (!lock.held()) already_running(stream);
        transactions.run([&] {
            stream = load_stream(name);  // as who was waited for has left it
            Runs::close_interrupted(stream.id);
        });
        SourceSession session;
        RunRequest request;
        request.trigger = "call";
        request.mode = mode.value_or("");
        request.notices = true;
        RunCounts counts = run_stream(stream, request, session, transactions);
        std::string text = stream.name + ": done, " + std::to_string(counts.rows_read) + " rows read, " +
                           std::to_string(counts.inserted) + " inserted, " + std::to_string(counts.updated) +
                           " updated, " + std::to_string(counts.deleted + counts.vanished) + " deleted, " +
                           std::to_string(counts.unchanged()) + " unchanged, " + std::to_string(counts.rejected) +
                           " rejected" +
                           (counts.filtered > 0 ? ", " + std::to_string(counts.filtered) + " filtered out" : "");
        const char* message = text.c_str();
        pg::call([&] { ereport(NOTICE, (errmsg_internal("%s", message))); });
        return Datum(0);
    });
}

Datum sync_wait(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        std::string run_id = std::to_string(PG_GETARG_INT64(0));
        Datum interval = PG_GETARG_DATUM(1);
        TimestampTz deadline = pg::call([&] {
            return DatumGetTimestampTz(
                DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(GetCurrentTimestamp()), interval));
        });
        for (;;) {
            pg::Rows rows;
            {
                Bookkeeping bookkeeping;
                // Where a transaction keeps its first snapshot, that never shows the end of a run.
                pg::call([] { PushActiveSnapshot(GetLatestSnapshot()); });
                rows = pg::query(
                    "SELECT r.status, r.stream_id, r.xmin::text = pg_current_xact_id_if_assigned()::xid::text FROM "
                    "insync.run AS r WHERE r.id = $1::bigint",
                    {run_id}, pg::Sees::pushed_snapshot);
                pg::call([] { PopActiveSnapshot(); });
            }
            std::optional<Stream> stream;
            if (!rows.empty()) stream = load_stream(std::stoi(*rows.first()[1]));
            // Numbers can be guessed: a run of somebody else's stream answers as one that doesn't exist.
            if (!stream || !may_operate(*stream))
                throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "run " + run_id + " does not exist", "",
                                "SELECT id, stream, status FROM insync.run lists the runs.");
            if (rows.first()[2] == "t") {
                throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                                "run " + run_id + " begins when this transaction commits", "",
                                "Call sync_wait() in a transaction after that of sync_trigger().");
            }
            const std::string& status = *rows.first()[0];
            if (status != "queued" && status != "running") {
                const char* text = status.c_str();
                return pg::call([&] { return DirectFunctionCall1(textin, CStringGetDatum(text)); });
            }
            TimestampTz now = GetCurrentTimestamp();
            if (now >= deadline)
                throw pg::Error(ERRCODE_OBJECT_IN_USE,
                                "run " + run_id + " of stream \"" + stream->name + "\" is still " + status, "",
                                "The run goes on; sync_wait() can be called again.");
            long left = static_cast<long>((deadline - now) / 1000 + 1);
            shared::wait_for_run_end(std::min(left, wait_step_ms));
        }
    });
}

Datum sync_cancel(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_cancel()");
        ResultSet result(fcinfo);
        for (const auto& name : chosen_streams(required_text(fcinfo, 0, "pattern"), Access::operate)) {
            Stream stream = load_stream(name, Access::operate);
            for (std::int64_t run_id : Runs::cancel_queued(stream.id)) result.add({name, std::to_string(run_id)});
            for (std::int64_t run_id : cancel_jobs(stream.id)) result.add({name, std::to_string(run_id)});
            bool signalled = false;
            std::int64_t run_id = 0;
            // Under the lock the process can't be at another stream already.
            shared::update_live(stream.id, [&](LiveStream& live) {
                if (live.pid == 0 || live.state == LiveState::idle || live.pid == MyProcPid) return;
                signalled = kill(live.pid, SIGINT) == 0;
                run_id = live.run_id;
            });
            if (signalled) result.add({name, run_id != 0 ? pg::Value(std::to_string(run_id)) : std::nullopt});
        }
        return Datum(0);
    });
}

Datum sync_pause(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_pause()");
        ResultSet result(fcinfo);
        for (const auto& name : set_paused(required_text(fcinfo, 0, "pattern"), true)) {
            result.add({name});
        }
        return Datum(0);
    });
}

Datum sync_resume(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_resume()");
        ResultSet result(fcinfo);
        Oid owner = extension_owner();
        bool may_adopt = pg::call([&] { return has_privs_of_role(GetUserId(), owner); });
        bool another_system = !is_home_system();
        if (!is_home_database()) {
            if (!may_adopt) {
                throw pg::Error(ERRCODE_INSUFFICIENT_PRIVILEGE,
                                "only the owner of pg_insync may let a copy of a database run its streams");
            }
            claim_home_database();
            Streams::restart_schedules();  // those that stood still, as this is a copy, don't make up for what lies
                                           // before
        }
        if (may_adopt) Streams::adopt(another_system);
        if (may_adopt) bind_objects();
        for (const auto& name : set_paused(required_text(fcinfo, 0, "pattern"), false)) {
            Stream stream = load_stream(name, Access::operate);
            forget_failures(stream.id, false);
            wake_at_commit(stream.server);
            if (open_run(stream, JobKind::profile)) wake_all_at_commit();  // that needs no server
            result.add({name});
        }
        tell_missing_workers();
        return Datum(0);
    });
}

Datum sync_reset(PG_FUNCTION_ARGS) {
    return pg::entry([&] {
        begin_change("sync_reset()");
        Stream stream = load_stream(required_text(fcinfo, 0, "name"));
        auto watermark = text_argument(fcinfo, 1);
        if (watermark && !can_read_changes(stream))
            throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, "stream \"" + stream.name + "\" has no watermark to set");
        StreamLock lock(stream.id, StreamLock::short_patience_ms, StreamLock::Until::transaction_end);
        if (!lock.held()) already_running(stream);
        stream = load_stream(stream.name);  // as who was waited for has left it
        if (watermark) check_watermark(stream, *watermark);
        if (!watermark) {
            Bookkeeping bookkeeping;
            forget_origins(stream.id);
        }
        rebind_target(stream.id);
        Watermarks::reset(stream.id, watermark);
        forget_failures(stream.id, false);
        return Datum(0);
    });
}

// For update scripts, at their end: the workers left when they met the version before. Tells what is in their way now.
Datum insync_wake(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    return pg::entry([] {
        warn_of_targets();
        wake_all_at_commit();
        return Datum(0);
    });
}
}
