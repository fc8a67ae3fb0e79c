// The launcher: starts workers for what is due, and sleeps on its latch until the next due time.
//
// It belongs to no database (it reads pg_database alone), so nothing that it holds blocks DROP DATABASE. It knows
// nothing of streams: workers tell it, through shared memory, when their server is due next. Hard cases, each with its
// test:
//   * the server starts, or restarts after a crash: every database is looked through once by a worker without a server
//   * a stream is created, altered, triggered or resumed: the session puts its server on the agenda at commit, never
//     before, and not at all if it rolls back
//   * no worker slot is free: said once, tried again when a worker ends, or after a while
//   * a source hangs: its workers never hold more than a share of all; see reach.hpp
//   * a worker dies: its server is tried again after a back-off that doubles from 5 seconds to 5 minutes
//   * a database is dropped while its servers are on the agenda: they are forgotten
//   * a standby: the launcher starts when recovery ends
//   * pg_upgrade: there is no launcher, as what it had committed would be lost and its transaction ids used again
#include <vector>

#include "bgworker/pg/guard.hpp"
#include "bgworker/pg/settings.hpp"
#include "bgworker/pg/wait_event.hpp"
#include "bgworker/schedule/worker.hpp"
#include "bgworker/shmem/agenda.hpp"
#include "bgworker/shmem/shared_state.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "libpq/pqsignal.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

#include <algorithm>
#include <cstring>

namespace insync {

namespace {

constexpr TimestampTz retry_start = 10 * USECS_PER_SEC;

// A launcher that ends is followed by another one after a second. Where each ends as soon as it has begun, the next
// ones wait before they work: 2, 4, 8 ... seconds, a minute at most.
constexpr TimestampTz well_after = 10 * USECS_PER_SEC;
constexpr int longest_wait_s = 60;

struct Database {
    Oid oid;
    NameData name;
};

// Databases that accept connections.
std::vector<Database> list_databases() {
    // Filled by plain code inside the guard; more databases than this wait until asked for by name.
    constexpr int capacity = 4096;
    std::vector<Database> found(capacity);
    int count = pg::call([&] {
        int number = 0;
        StartTransactionCommand();
        (void)GetTransactionSnapshot();
        Relation relation = table_open(DatabaseRelationId, AccessShareLock);
        TableScanDesc scan = table_beginscan_catalog(relation, 0, nullptr);
        while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
            auto* form = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
            if (form->datallowconn && !form->datistemplate && number < capacity)
                found[static_cast<std::size_t>(number++)] = {form->oid, form->datname};
        }
        table_endscan(scan);
        table_close(relation, AccessShareLock);
        CommitTransactionCommand();
        return number;
    });
    found.resize(static_cast<std::size_t>(count));
    return found;
}

void on_launcher_exit(int, Datum) {
    shared::set_launcher(false);
}

struct RunningWorker {
    BackgroundWorkerHandle* handle;
    Place place;
};

class Launcher {
  public:
    void work();

  private:
    void survey_all();
    void start_due(TimestampTz* next);
    void reap();
    bool start(Place place);

    std::vector<RunningWorker> workers_;
    bool said_full_ = false;
    TimestampTz began_ = GetCurrentTimestamp();
    bool is_well_ = false;
};

void Launcher::survey_all() {
    auto wanted = settings::databases();
    for (const auto& database : list_databases()) {
        bool chosen = std::any_of(wanted.begin(), wanted.end(),
                                  [&](const auto& name) { return name == "*" || name == NameStr(database.name); });
        if (chosen) shared::make_due(database.oid, InvalidOid, GetCurrentTimestamp());
    }
}

bool Launcher::start(Place place) {
    Agenda agenda = shared::read_agenda(place.agenda);
    auto databases = list_databases();
    auto database =
        std::find_if(databases.begin(), databases.end(), [&](const auto& item) { return item.oid == agenda.database; });
    auto wanted = settings::databases();
    if (database == databases.end() || std::none_of(wanted.begin(), wanted.end(), [&](const auto& name) {
            return name == "*" || name == NameStr(database->name);
        })) {
        shared::forget_database(agenda.database);
        shared::start_failed(place, DT_NOEND);
        return true;
    }
    BackgroundWorkerHandle* handle = pg::call([&] {
        BackgroundWorker worker;
        std::memset(&worker, 0, sizeof worker);
        if (OidIsValid(agenda.server) && NameStr(agenda.name)[0] == '\0') {
            snprintf(worker.bgw_name, BGW_MAXLEN, "pg_insync worker: server %u", agenda.server);
        } else {
            snprintf(worker.bgw_name, BGW_MAXLEN, "pg_insync worker: %s",
                     OidIsValid(agenda.server) ? NameStr(agenda.name) : NameStr(database->name));
        }
        snprintf(worker.bgw_type, BGW_MAXLEN, "pg_insync worker");
        snprintf(worker.bgw_library_name, BGW_MAXLEN, "%s", library_name);
        snprintf(worker.bgw_function_name, BGW_MAXLEN, "%s", worker_function);
        worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
        worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
        worker.bgw_restart_time = BGW_NEVER_RESTART;
        worker.bgw_main_arg = Int32GetDatum(place.encoded());
        worker.bgw_notify_pid = MyProcPid;
        BackgroundWorkerHandle* started = nullptr;
        MemoryContext outer = MemoryContextSwitchTo(TopMemoryContext);
        bool registered = RegisterDynamicBackgroundWorker(&worker, &started);
        MemoryContextSwitchTo(outer);
        return registered ? started : nullptr;
    });
    shared::note_slot(handle != nullptr);
    if (handle == nullptr) {
        shared::start_failed(place, GetCurrentTimestamp() + retry_start);
        if (!said_full_) {
            pg::call([] {
                ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                                  errmsg("no background worker slot is free for pg_insync"),
                                  errhint("You might need to increase max_worker_processes.")));
            });
        }
        said_full_ = true;
        return false;
    }
    said_full_ = false;
    workers_.push_back({handle, place});
    return true;
}

// A worker that ended without a word (it could not be started, or lost its memory) must not count as running for ever.
void Launcher::reap() {
    for (std::size_t i = workers_.size(); i-- > 0;) {
        RunningWorker worker = workers_[i];
        bool stopped = pg::call([&] {
            pid_t pid = 0;
            return GetBackgroundWorkerPid(worker.handle, &pid) == BGWH_STOPPED;
        });
        if (!stopped) continue;
        workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(i));
        // One that gave its place back can have a successor there already, who hasn't begun yet.
        bool succeeded = std::any_of(workers_.begin(), workers_.end(), [&](const RunningWorker& other) {
            return other.place.encoded() == worker.place.encoded();
        });
        if (!succeeded) shared::worker_reaped(worker.place);
        pfree(worker.handle);
    }
}

void Launcher::start_due(TimestampTz* next) {
    reap();
    while (auto place = shared::take_due(GetCurrentTimestamp(), settings::max_workers(), next)) {
        if (!start(*place)) {
            *next = GetCurrentTimestamp() + retry_start;
            break;
        }
    }
}

void Launcher::work() {
    shared::adopt_agenda();
    shared::set_launcher(true);
    survey_all();
    for (;;) {
        TimestampTz next = DT_NOEND;
        start_due(&next);
        if (!is_well_ && GetCurrentTimestamp() - began_ > well_after) {
            shared::launcher_is_well();
            is_well_ = true;
        } else if (!is_well_) {
            next = std::min(next, began_ + well_after + USECS_PER_SEC);
        }
        pg::call([&] {
            int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;
            long wait = -1;
            if (next != DT_NOEND) {
                events |= WL_TIMEOUT;
                wait = std::max(1L, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next));
            }
            (void)WaitLatch(MyLatch, events, wait, pg::wait_event(pg::Wait::launcher));
            ResetLatch(MyLatch);
            CHECK_FOR_INTERRUPTS();
        });
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            pg::call([] { ProcessConfigFile(PGC_SIGHUP); });
            survey_all();
        }
    }
}

void wait_after_failures() {
    const int failures = shared::count_launcher();
    if (failures < 2) return;
    const int seconds = failures > 5 ? longest_wait_s : std::min(1 << (failures - 1), longest_wait_s);
    pg::call([&] {
        ereport(LOG, (errmsg("the pg_insync launcher ended %d times in a row; this one begins in %d seconds", failures,
                             seconds)));
        const TimestampTz until = GetCurrentTimestamp() + seconds * USECS_PER_SEC;
        for (long left; (left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until)) > 0;) {
            (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
                            pg::wait_event(pg::Wait::launcher));
            ResetLatch(MyLatch);
            CHECK_FOR_INTERRUPTS();
        }
    });
}

}  // namespace
}  // namespace insync

void insync_launcher_main(Datum) {
    using namespace insync;
    pg::entry([] {
        pqsignal(SIGTERM, die);
        pqsignal(SIGHUP, SignalHandlerForConfigReload);
        pg::call([] {
            before_shmem_exit(on_launcher_exit, 0);
            BackgroundWorkerUnblockSignals();
            // Shared catalogs alone: no database is held.
            BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
        });
        wait_after_failures();
        Launcher launcher;
        launcher.work();
        return 0;
    });
}
