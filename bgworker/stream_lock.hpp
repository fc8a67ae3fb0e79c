// The lock that keeps runs of one stream from overlapping: an advisory lock of the session, which vanishes with its
// holder.
#pragma once

#include "extension/pg/guard.hpp"

extern "C" {
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/wait_event.h"
}

namespace insync {

class StreamLock {
  public:
    // Tries to take the lock; tries again for `patience_ms`, as who waited for a run to end can be faster than the
    // worker that lets go of it.
    explicit StreamLock(int stream_id, long patience_ms = 0) : tag_{}, held_(false) {
        SET_LOCKTAG_ADVISORY(tag_, MyDatabaseId, lock_class, static_cast<uint32>(stream_id), 2);
        for (long waited = 0; !held_; waited += step_ms) {
            held_ = pg::call([&] { return LockAcquire(&tag_, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL; });
            if (held_ || waited >= patience_ms) break;
            pg::call([] {
                (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, step_ms, PG_WAIT_EXTENSION);
                ResetLatch(MyLatch);
                CHECK_FOR_INTERRUPTS();
            });
        }
    }
    ~StreamLock() {
        if (held_) LockRelease(&tag_, ExclusiveLock, true);
    }
    StreamLock(const StreamLock&) = delete;
    StreamLock& operator=(const StreamLock&) = delete;

    bool held() const { return held_; }

    // For functions that a user calls.
    static constexpr long short_patience_ms = 1000;

  private:
    static constexpr long step_ms = 20;
    static constexpr uint32 lock_class = 0x696e7379;  // "insy": the first of pg_advisory_lock's two numbers
    LOCKTAG tag_;
    bool held_;
};

}  // namespace insync
