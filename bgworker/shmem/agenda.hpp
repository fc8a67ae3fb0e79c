// What is due in each database: the servers that have something to do, and the workers that are at it.
//
// The launcher picks from it, workers and sessions put servers on it. Part of shared memory, see shared_state.hpp;
// where the library isn't preloaded every function here does nothing.
#pragma once

extern "C" {
#include "postgres.h"

#include "datatype/timestamp.h"
}

#include <cstdint>
#include <optional>

#include "bgworker/shmem/reach.hpp"

namespace insync {

// One source connection's agenda: a server of a database. server = InvalidOid: the whole database is to be looked
// through.
struct Agenda {
    Oid database, server;
    NameData name;           // the server's, as its last worker knew it; empty: none has come yet
    TimestampTz due;         // when a worker is next needed; DT_NOEND: not by itself
    TimestampTz not_before;  // back-off after workers that died
    int wanted;              // workers that may be at it at the same time, at most max_places
    int crashes;             // in a row
    int lingering;           // number of the process that waits for the next run; -1: none
    // A bit a worker. The launcher takes a place for one that it starts; the worker makes it its own when it begins,
    // and gives it back as it ends, whatever became of the launcher.
    std::uint64_t starting, running;
    Reach reach;
};

constexpr int max_places = 64;

// A worker's place on the agenda: what the launcher hands it as its argument.
struct Place {
    int agenda, number;
    int encoded() const { return agenda * max_places + number; }
    static Place decode(int encoded) { return {encoded / max_places, encoded % max_places}; }
};

namespace shared {

// `due` moves a server's due time to at most this; the launcher is woken. False where there is no room for all:
// another server, or this one, has to be put there again later, by a survey of its database.
bool make_due(Oid database, Oid server, TimestampTz due);
// What the launcher does: picks what is longest due and takes a worker's place there; sets `next` to the next due time.
std::optional<Place> take_due(TimestampTz now, int max_workers, TimestampTz* next);
Agenda read_agenda(int index);
// The worker of a place that take_due took was not started after all; it is due again at `retry`.
void start_failed(Place place, TimestampTz retry);
// A worker begins.
void worker_began(Place place);
// It tells the name of its server.
void name_server(int index, const char* name);
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
// The same of a server that gave no answer: it waits for a worker to make the next attempt.
bool suspect_waits();

// How the workers keep up. Workers: those that have a place, or are being started. Waiting: servers that are due and
// have no worker; since when the one has waited that has waited longest, else DT_NOEND. slotless_since: since when the
// server has had no background worker slot for us, else DT_NOBEGIN. crashes: the most of workers in a row at one
// server.
struct Load {
    int workers, waiting, crashes;
    TimestampTz longest_due, slotless_since;
};
Load read_load();
// There was (no) slot for a background worker.
void note_slot(bool free);
// A worker is about to look for itself what is due.
void clear_due(int index);
// The worker of an agenda begins or ends to wait for its next run: make_due() wakes it. It is not to wait (false) if
// something became due since it looked.
bool begin_lingering(int index);
void end_lingering(int index);

bool has_launcher();
// This process is the launcher, or is it no more.
void set_launcher(bool is);
// A launcher begins: how many before it ended one after the other without having worked for a while.
int count_launcher();
// It has worked for a while.
void launcher_is_well();
void wake_launcher();

}  // namespace shared
}  // namespace insync
