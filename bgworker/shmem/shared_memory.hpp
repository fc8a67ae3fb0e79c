// The block of shared memory itself, for the files that implement it: shared_state, agenda, reach.
#pragma once

extern "C" {
#include "postgres.h"

#include "storage/condition_variable.h"
#include "storage/lwlock.h"
}

#include "bgworker/shmem/agenda.hpp"
#include "bgworker/shmem/shared_state.hpp"

namespace insync::shared {

struct State {
    LWLock* lock;
    ConditionVariable run_ended;
    int launcher;   // number of its process; -1: none
    int launchers;  // that have begun since one was well
    int capacity;   // of each of the three arrays: insync.max_streams
    int agenda_count;
    int live_count;
    TimestampTz slotless_since;  // since when no background worker slot was free; DT_NOBEGIN: there was one
    LiveStream live[FLEXIBLE_ARRAY_MEMBER];
    // and behind it the agenda and the paces: a stream more makes at most a server more
};

extern State* state;  // nullptr: the library isn't preloaded

inline Agenda* agenda_items() {
    return reinterpret_cast<Agenda*>(state->live + state->capacity);
}

// The lock for a scope in which nothing can raise an error.
class Locked {
  public:
    Locked() { LWLockAcquire(state->lock, LW_EXCLUSIVE); }
    ~Locked() { LWLockRelease(state->lock); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
};

// nullptr: the server isn't on the agenda.
Agenda* find_agenda(Oid database, Oid server);
int workers_of(const Agenda& item);

}  // namespace insync::shared
