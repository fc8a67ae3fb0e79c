// What launcher, workers and sessions tell each other: shared memory, valid while the server runs, derived from the
// tables.
//
// Three arrays of plain data under one LWLock, held for a few field copies: the servers that have something to do in
// each database (the launcher's agenda), the streams' live state (what insync.status and insync.progress show, and the
// quiet polls that leave no row), and the pace of each server's requests. Where the library isn't preloaded, nothing of
// it exists and every function here does nothing, but that a process keeps the pace by itself.
#pragma once

extern "C" {
#include "postgres.h"

#include "datatype/timestamp.h"
}

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace insync {

enum class LiveState : std::uint8_t { idle, starting, running, processing };
const char* live_state_name(LiveState state);

// One stream's live state. Times are microseconds since 2000-01-01, as PostgreSQL's.
struct LiveStream {
    Oid database;
    std::int32_t stream_id;
    LiveState state;
    int pid;  // of the process that runs it; 0: none
    std::int64_t run_id;
    TimestampTz started_at, last_poll, quiet_since, next_run;
    std::int64_t batches, rows_read, written, bytes, polls;
    TimestampTz wanted_until;  // until then no slice of a backfill begins, as somebody waits for the stream
    double lag_seconds;        // NaN: unknown
    char message[256];
};

namespace shared {

// Asks for memory and hooks the start-up; called from _PG_init in the postmaster.
void request();
bool available();

// As much of a message as an entry holds, cut between letters: it is shown as text.
std::string clip_message(const std::string& message);
// So much of a text as fits into `size` bytes with its end, cut between letters.
std::string clip_text(const std::string& text, std::size_t size);
// Live state: calls `change` with the stream's entry under the lock, making one if needed and if there is room: streams
// beyond insync.max_streams have none, and leave a row of history for each poll.
void update_live(int stream_id, const std::function<void(LiveStream&)>& change);
std::optional<LiveStream> read_live(int stream_id);
std::vector<LiveStream> all_live();
// Forgets what there is of a stream that nobody runs.
void forget_stream(int stream_id);
// For so long no slice of a backfill of the stream begins.
void want_stream(int stream_id, long ms);
bool is_wanted(int stream_id);
// Marks what this process was running as idle; safe in an exit callback.
void release_live() noexcept;

// Takes this database's next turn at a server (see RequestSlot); returns how long to wait for it.
std::chrono::milliseconds next_slot(Oid server, std::chrono::milliseconds interval, std::chrono::milliseconds hold);

// Wakes and is woken by the end of runs.
void announce_run_end();
// Sleeps until some run ended, at most `timeout_ms`.
void wait_for_run_end(long timeout_ms);

}  // namespace shared
}  // namespace insync
