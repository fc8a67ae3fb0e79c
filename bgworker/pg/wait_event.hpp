// What processes wait for, as pg_stat_activity.wait_event shows it: by name from PostgreSQL 17 on, before as
// "Extension".
#pragma once

#include <cstdint>

namespace insync::pg {

enum class Wait {
    launcher,       // InsyncLauncherMain: for the next due time
    worker,         // InsyncWorkerMain: for the next run of its server
    source,         // InsyncSource: for the connector's next rows or answer
    connector_end,  // InsyncConnectorExit: for the end of a connector
    stream_lock,    // InsyncStreamLock: for a run, a verification or a backfill of the same stream to end
    retry,          // InsyncRetry: before a batch is tried again
    run_end,        // InsyncRunEnd: in sync_wait() and its like, for a run of another process to end
};

// The event's number. May ereport: call it inside pg::call.
std::uint32_t wait_event(Wait wait);

}  // namespace insync::pg
