// Loading the library: settings, hooks, shared memory, and the launcher where it is preloaded.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
}

#include <cstring>

#include "bgworker/apply/merge_counter.hpp"
#include "bgworker/pg/planner.hpp"
#include "bgworker/pg/settings.hpp"
#include "bgworker/pg/trigger_settings.hpp"
#include "bgworker/schedule/worker.hpp"
#include "bgworker/shmem/shared_state.hpp"
#include "bgworker/shmem/wake_at_commit.hpp"

extern "C" {
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

namespace {

void register_launcher() {
    BackgroundWorker worker;
    std::memset(&worker, 0, sizeof worker);
    snprintf(worker.bgw_name, BGW_MAXLEN, "pg_insync launcher");
    snprintf(worker.bgw_type, BGW_MAXLEN, "pg_insync launcher");
    snprintf(worker.bgw_library_name, BGW_MAXLEN, "%s", insync::library_name);
    snprintf(worker.bgw_function_name, BGW_MAXLEN, "%s", insync::launcher_function);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = 1;
    RegisterBackgroundWorker(&worker);
}

}  // namespace

void _PG_init(void) {
    insync::pg::entry([] {
        bool preloaded = process_shared_preload_libraries_in_progress;
        insync::pg::call([&] {
            insync::settings::define(preloaded);
            insync::install_merge_counter();
            insync::install_trigger_settings();
            insync::pg::install_planner();
            insync::install_wake();
            if (!preloaded) return;
            insync::shared::request();
            // While pg_upgrade runs, a transaction of ours would be lost, and its number used a second time.
            if (!IsBinaryUpgrade) register_launcher();
        });
        return 0;
    });
}
