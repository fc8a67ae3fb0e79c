// A worker's life; see worker.hpp.
#include "bgworker/schedule/worker.hpp"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "libpq/pqsignal.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

#include <algorithm>
#include <map>
#include <utility>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/extension_lock.hpp"
#include "bgworker/catalog/outcome.hpp"
#include "bgworker/catalog/runs.hpp"
#include "bgworker/catalog/server.hpp"
#include "bgworker/catalog/stream_lock.hpp"
#include "bgworker/completeness/maintenance.hpp"
#include "bgworker/pg/compat.hpp"
#include "bgworker/pg/settings.hpp"
#include "bgworker/pg/wait_event.hpp"
#include "bgworker/run/run.hpp"
#include "bgworker/run/run_stream.hpp"
#include "bgworker/schedule/due_streams.hpp"
#include "bgworker/schedule/job_run.hpp"
#include "bgworker/shmem/agenda.hpp"
#include "bgworker/shmem/shared_state.hpp"

namespace insync {

namespace {

// How long a worker may stay in all: whatever grows in it, or in a driver, is gone now and then.
constexpr TimestampTz longest_stay = 10 * USECS_PER_MINUTE;
// While a server that gave no answer waits for a worker: else, with all at others, nobody would find that it is back.
constexpr TimestampTz short_stay = 4 * USECS_PER_SEC;
// How often a worker that lingers looks whether it is in the way. DROP DATABASE waits five seconds for all who are
// connected.
constexpr long look_around_ms = 1000;
// When to look again for servers that found no room on the agenda.
constexpr TimestampTz crowded_pause = USECS_PER_MINUTE;

// For the exit callback, which may come at any moment.
Place own_place{-1, 0};
TimestampTz next_due;
bool clean_exit;

void on_worker_exit(int, Datum) {
    shared::release_live();
    if (own_place.agenda >= 0)
        shared::worker_ended(own_place, clean_exit ? next_due : GetCurrentTimestamp(), !clean_exit);
}

// Whether somebody drops, renames or copies this database: he has its lock then, and waits for all others to leave.
bool is_database_wanted() {
    return pg::call([] {
        LOCKTAG tag;
        SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
        // What every new session takes for a moment.
        if (LockAcquire(&tag, RowExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL) return true;
        LockRelease(&tag, RowExclusiveLock, true);
        return false;
    });
}

// Others may wait for a worker, or for all workers to leave the database.
bool is_in_the_way() {
    return shared::somebody_waits() || is_database_wanted();
}

void log_failure(const std::string& stream, const pg::Error& error) {
    // The detail may quote data of the source: it stands in insync.run, for the stream's owner.
    std::string context = error.context.empty() ? "stream " + stream : error.context;
    const char *message = error.message.c_str(), *hint = error.hint.c_str(), *where = context.c_str();
    int code = error.sqlstate;
    pg::call([&] {
        ereport(LOG, (errcode(code), errmsg_internal("%s", message), *hint != '\0' ? errhint("%s", hint) : 0,
                      errcontext_msg("%s", where)));
    });
}

class Worker {
  public:
    explicit Worker(const Agenda& agenda) : agenda_(agenda), session_(own_place) {}

    // Works until nothing is near; returns when the next run is due.
    TimestampTz work();

  private:
    bool may_run();
    void show_server();
    TimestampTz survey();
    std::vector<DueStream> due_now_and_later();
    void run(const DueStream& due);
    bool run_job(const std::string& server, const std::vector<int>& but);
    TimestampTz plan_due_upkeep();
    void idle_until(TimestampTz time);

    Agenda agenda_;
    std::string server_, shown_server_;
    std::uint64_t definition_ = 0;  // of the server, as it is now
    WorkerTransactions transactions_;
    SourceSession session_;
    std::map<int, TimestampTz> polled_;  // when this worker last ran each stream
};

// Whether the server is still there and the database is not a copy of the one whose streams these are.
bool Worker::may_run() {
    return transactions_.run([&] {
        if (OidIsValid(agenda_.server)) {
            ForeignServer* server = pg::call([&] { return GetForeignServerExtended(agenda_.server, FSV_MISSING_OK); });
            if (server == nullptr) {
                // What was scheduled on it is for the survey to find.
                shared::make_due(agenda_.database, InvalidOid, GetCurrentTimestamp());
                return false;
            }
            server_ = server->servername;
            definition_ = definition_of_server(agenda_.server);
        }
        return is_home_database();
    });
}

void Worker::show_server() {
    if (std::exchange(shown_server_, server_) == server_) return;
    const std::string application = "pg_insync worker: " + server_;
    if (OidIsValid(agenda_.server)) shared::name_server(own_place.agenda, server_.c_str());
    pg::call([&] { SetConfigOption("application_name", application.c_str(), PGC_USERSET, PGC_S_SESSION); });
}

// Puts each server of the database on the launcher's agenda; where that is full, comes back for the rest. Streams whose
// server was dropped have no worker of their own: their runs fail here, which tells their owners.
TimestampTz Worker::survey() {
    auto due = transactions_.run([&] { return due_streams("", {}); });
    TimestampTz profiles = DT_NOEND;
    for (const auto& jobs : transactions_.run([&] { return open_jobs(""); })) {
        if (jobs.server.empty()) profiles = jobs.due;
        if (!jobs.server.empty()) due.push_back({0, jobs.server, jobs.due, DT_NOBEGIN, {}});
    }
    for (const auto& item : transactions_.run([&] { return coming_upkeep(""); }))
        due.push_back({0, item.server, item.due, DT_NOBEGIN, {}});
    bool all = true;
    TimestampTz next = DT_NOEND, now = GetCurrentTimestamp();
    for (const auto& item : due) {
        const char* name = item.server.c_str();
        Oid server = transactions_.run([&] { return pg::call([&] { return get_foreign_server_oid(name, true); }); });
        if (OidIsValid(server)) {
            all &= shared::make_due(agenda_.database, server, item.due);
        } else if (item.stream_id == 0) {
            continue;  // it fails with the stream's next run
        } else if (item.due > now) {
            next = std::min(next, item.due);
        } else if (StreamLock lock(item.stream_id); lock.held()) {
            run(item);
        } else {
            next = now + USECS_PER_SEC;
        }
    }
    // Those that count targets need no source: here they keep no server's runs waiting.
    while (profiles <= GetCurrentTimestamp() && run_job("", {})) {
        profiles = DT_NOEND;
        for (const auto& jobs : transactions_.run([&] { return open_jobs(""); })) {
            if (jobs.server.empty()) profiles = jobs.due;
        }
    }
    next = std::min(next, std::max(profiles, now));
    if (all) return next;
    pg::call([] {
        ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                          errmsg("more servers are due than pg_insync has room for"),
                          errhint("You might need to increase insync.max_streams.")));
    });
    return GetCurrentTimestamp() + crowded_pause;
}

// The server's streams, soonest due first. Where the server gives no answer, all but those that somebody asked for wait
// together for the next attempt.
std::vector<DueStream> Worker::due_now_and_later() {
    auto due = transactions_.run([&] { return due_streams(server_, polled_); });
    const auto breaker = shared::open_breaker(agenda_.server, definition_);
    if (!breaker) return due;
    for (auto& item : due) {
        if (item.request.run_id != 0) continue;
        item.due = std::max(item.due, breaker->next_attempt);
        shared::update_live(item.stream_id, [&](LiveStream& entry) { entry.next_run = item.due; });
    }
    std::stable_sort(due.begin(), due.end(), [](const auto& a, const auto& b) { return a.due < b.due; });
    return due;
}

TimestampTz Worker::work() {
    if (!may_run()) return DT_NOEND;
    if (!OidIsValid(agenda_.server)) return survey();
    TimestampTz arrived = GetCurrentTimestamp();
    for (bool worked = false;; worked = true) {
        reload_settings();
        if (!may_run()) return DT_NOEND;
        show_server();
        const int connections = transactions_.run([&] { return connections_of(agenda_.server); });
        shared::set_wanted(own_place.agenda, connections);
        shared::clear_due(own_place.agenda);  // what was asked for until now is in the tables
        auto due = due_now_and_later();
        TimestampTz now = GetCurrentTimestamp();
        // Nor does one stay that would wait for a source that hangs: the launcher keeps those to their share.
        const TimestampTz stay = shared::suspect_waits() ? short_stay : longest_stay;
        bool may_stay =
            now < arrived + stay && !is_in_the_way() && !shared::open_breaker(agenda_.server, definition_).has_value();
        TimestampTz next = due.empty() ? DT_NOEND : due.front().due;
        TimestampTz upkeep = plan_due_upkeep();
        next = std::min(next, upkeep);
        auto jobs = transactions_.run([&] { return open_jobs(server_); });
        if (const auto breaker = shared::open_breaker(agenda_.server, definition_); breaker && !jobs.empty())
            jobs.front().due = std::max(jobs.front().due, breaker->next_attempt);
        if (!jobs.empty()) next = std::min(next, std::max(jobs.front().due, now));
        if (worked && !may_stay) return next;
        auto ready = std::count_if(due.begin(), due.end(), [&](const auto& item) { return item.due <= now; });
        if (!jobs.empty() && jobs.front().due <= now) ready += jobs.front().count;
        if (ready > 1 && connections > 1) shared::make_due(agenda_.database, agenda_.server, now);
        if (ready == 0) {
            if (!may_stay || next > now + settings::linger().count() * 1000) return next;
            idle_until(std::min(next, arrived + longest_stay));
            continue;
        }
        bool ran = false;
        for (const auto& item : due) {
            if (item.due > now) break;
            StreamLock lock(item.stream_id);
            if (!lock.held()) continue;  // somebody else is at it, and will see what we saw
            if (item.request.run_id == 0 && !shared::take_attempt(agenda_.server, definition_)) break;
            run(item);
            ran = true;
            break;  // what is due may have changed meanwhile
        }
        // Streams that are due come first, and those that somebody else is at after the job of work that keeps them.
        std::vector<int> waiting;
        for (const auto& item : due) {
            if (item.due <= now) waiting.push_back(item.stream_id);
        }
        const bool jobs_due = !jobs.empty() && jobs.front().due <= now;
        if (!ran && (!shared::open_breaker(agenda_.server, definition_) ||
                     (jobs_due && shared::take_attempt(agenda_.server, definition_))))
            ran = run_job(server_, waiting);
        if (!ran) return now + USECS_PER_SEC;
    }
}

void Worker::run(const DueStream& due) {
    std::string name;
    polled_[due.stream_id] = GetCurrentTimestamp();
    const bool was_silent = shared::open_breaker(agenda_.server, definition_).has_value();
    try {
        auto stream = transactions_.run([&] {
            Runs::close_interrupted(due.stream_id);
            return load_stream(due.stream_id);
        });
        if (!stream) return;
        name = stream->name;
        run_stream(*stream, due.request, session_, transactions_);
    } catch (const pg::Error& error) {
        transactions_.rollback();
        log_failure(name, error);
        // What couldn't be recorded would be due again at once: leave, and come back after the launcher's back-off.
        if (!error.recorded) throw;
    }
    // The others that failed for want of a connection needn't wait for the end of their own pauses.
    if (was_silent && !shared::open_breaker(agenda_.server, definition_))
        transactions_.run([&] { retry_unconnected(server_); });
    pg::call([] { pgstat_report_activity(STATE_IDLE, nullptr); });
}

// Has verifications and repairs queued that are due; returns when the next ones are.
TimestampTz Worker::plan_due_upkeep() {
    auto coming = transactions_.run([&] { return coming_upkeep(server_); });
    for (const auto& item : coming) {
        if (item.due > GetCurrentTimestamp()) return item.due;
        try {
            transactions_.run([&] { plan_upkeep(item); });
        } catch (const pg::Error& error) {
            // It mustn't keep the others from their runs; it is tried again when this worker comes next.
            if (error.is_interrupt()) throw;
            log_failure("", error);
        }
    }
    if (coming.empty()) return DT_NOEND;
    coming = transactions_.run([&] { return coming_upkeep(server_); });
    return coming.empty() ? DT_NOEND : std::max(coming.front().due, GetCurrentTimestamp() + USECS_PER_SEC);
}

// Does the next job of work of a stream that isn't waiting to run; false: there is none.
bool Worker::run_job(const std::string& server, const std::vector<int>& but) {
    JobLock lock;
    auto job = transactions_.run([&] { return take_job(server, but, lock); });
    if (!job) return false;
    try {
        auto stream = transactions_.run([&] { return load_stream(job->stream_id); });
        if (stream) insync::run_job(*stream, *job, session_, transactions_);
    } catch (const pg::Error& error) {
        transactions_.rollback();
        if (error.sqlstate != ERRCODE_LOCK_NOT_AVAILABLE) log_failure("", error);
        if (!error.recorded) throw;
    }
    pg::call([] { pgstat_report_activity(STATE_IDLE, nullptr); });
    return true;
}

// Waits for the next run; not to the end where something becomes due before, or somebody is in need of this worker.
void Worker::idle_until(TimestampTz time) {
    bool is_woken = false;
    for (TimestampTz now = GetCurrentTimestamp(); !is_woken && now < time; now = GetCurrentTimestamp()) {
        if (!shared::begin_lingering(own_place.agenda)) break;
        is_woken = pg::call([&] {
            const long wait = std::clamp(TimestampDifferenceMilliseconds(now, time), 1L, look_around_ms);
            const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait,
                                         pg::wait_event(pg::Wait::worker));
            ResetLatch(MyLatch);
            CHECK_FOR_INTERRUPTS();
            return (events & WL_LATCH_SET) != 0;
        });
        is_woken = is_woken || is_in_the_way();
    }
    shared::end_lingering(own_place.agenda);
}

}  // namespace
}  // namespace insync

void insync_worker_main(Datum argument) {
    using namespace insync;
    pg::entry([&] {
        pqsignal(SIGTERM, die);
        pqsignal(SIGINT, StatementCancelHandler);
        pqsignal(SIGHUP, SignalHandlerForConfigReload);
        own_place = Place::decode(DatumGetInt32(argument));
        next_due = DT_NOEND;
        pg::call([] {
            before_shmem_exit(on_worker_exit, 0);
            shared::worker_began(own_place);
            BackgroundWorkerUnblockSignals();
        });
        Agenda agenda = shared::read_agenda(own_place.agenda);
        pg::call([&] {
            BackgroundWorkerInitializeConnectionByOid(agenda.database, InvalidOid, 0);
            SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
            SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
            SetConfigOption("statement_timeout", "0", PGC_USERSET, PGC_S_SESSION);
            SetConfigOption("lock_timeout", "0", PGC_USERSET, PGC_S_SESSION);
            compat::disable_transaction_timeout();
        });
        try {
            Worker worker(agenda);
            next_due = worker.work();
        } catch (const UnusableExtension& error) {
            // Said once, not at every due time: ALTER EXTENSION … UPDATE wakes a worker again.
            WorkerTransactions().rollback();
            if (!error.missing) log_failure("", error);
            next_due = DT_NOEND;
        } catch (const pg::Error& error) {
            // A cancel between two runs ends nothing but this round.
            if (error.sqlstate != ERRCODE_QUERY_CANCELED) throw;
            WorkerTransactions().rollback();
            next_due = GetCurrentTimestamp();
        }
        clean_exit = true;
        return 0;
    });
    proc_exit(0);
}
