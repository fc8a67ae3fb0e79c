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

// One source connection's agenda: a server of a database. server = InvalidOid: the whole database is to be looked
// through.
struct Agenda {
    Oid database, server;
    TimestampTz due;         // when a worker is next needed; DT_NOEND: not by itself
    TimestampTz not_before;  // back-off after workers that died
    int wanted;              // workers that may be at it at the same time, at most max_places
    int crashes;             // in a row
    int lingering;           // number of the process that waits for the next run; -1: none
    // A bit a worker. The launcher takes a place for one that it starts; the worker makes it its own when it begins,
    // and gives it back as it ends, whatever became of the launcher.
    std::uint64_t starting, running;
};

constexpr int max_places = 64;

// A worker's place on the agenda: what the launcher hands it as its argument.
struct Place {
    int agenda, number;
    int encoded() const { return agenda * max_places + number; }
    static Place decode(int encoded) { return {encoded / max_places, encoded % max_places}; }
};

namespace shared {

// Asks for memory and hooks the start-up; called from _PG_init in the postmaster.
void request();
bool available();

// Agenda. `due` moves a server's due time to at most this; the launcher is woken. False where there is no room for all:
// another server, or this one, has to be put there again later, by a survey of its database.
bool make_due(Oid database, Oid server, TimestampTz due);
// What the launcher does: picks what is longest due and takes a worker's place there; sets `next` to the next due time.
std::optional<Place> take_due(TimestampTz now, int max_workers, TimestampTz* next);
Agenda read_agenda(int index);
// The worker of a place that take_due took was not started after all; it is due again at `retry`.
void start_failed(Place place, TimestampTz retry);
// A worker begins.
void worker_began(Place place);
// A worker is ending; `next_due` by what it found, `crashed` backs off.
void worker_ended(Place place, TimestampTz next_due, bool crashed);
// The launcher saw that a worker is gone; one that never began counts as crashed.
void worker_reaped(Place place);
void set_wanted(int index, int workers);
void forget_database(Oid database);
// A launcher begins. Workers that an earlier one started keep their places; those that have not begun lose theirs.
void adopt_agenda();
// Is a server due that has no worker, as all are busy?
bool somebody_waits();
// A worker is about to look for itself what is due.
void clear_due(int index);
// The worker of an agenda begins or ends to wait for its next run: make_due() wakes it. It is not to wait (false) if
// something became due since it looked.
bool begin_lingering(int index);
void end_lingering(int index);

// This process is the launcher, or is it no more.
void set_launcher(bool is);
void wake_launcher();

// As much of a message as an entry holds, cut between letters: it is shown as text.
std::string clip_message(const std::string& message);
// Live state: calls `change` with the stream's entry under the lock, making one if needed and if there is room: streams
// beyond insync.max_streams have none, and leave a row of history for each poll.
void update_live(int stream_id, const std::function<void(LiveStream&)>& change);
std::optional<LiveStream> read_live(int stream_id);
std::vector<LiveStream> all_live();
// For so long no slice of a backfill of the stream begins.
void want_stream(int stream_id, long ms);
bool is_wanted(int stream_id);
// Marks what this process was running as idle; safe in an exit callback.
void release_live() noexcept;

// Takes this database's next turn at a server (see Pace); returns how long to wait for it.
std::chrono::milliseconds take_turn(Oid server, std::chrono::milliseconds interval, std::chrono::milliseconds hold);

// Wakes and is woken by the end of runs.
void announce_run_end();
// Sleeps until some run ended, at most `timeout_ms`.
void wait_for_run_end(long timeout_ms);

}  // namespace shared
}  // namespace insync
