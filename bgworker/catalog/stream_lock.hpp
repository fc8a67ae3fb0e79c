// The lock that keeps runs of one stream from overlapping: an advisory lock of the session, which vanishes with its
// holder.
#pragma once

#include "bgworker/pg/guard.hpp"
#include "bgworker/pg/wait_event.hpp"
#include "bgworker/shmem/shared_state.hpp"

extern "C" {
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/wait_event.h"
}

namespace insync {

class StreamLock {
  public:
    // A function that changes what a run reads keeps the lock until its transaction has committed that.
    enum class Until { scope_end, transaction_end };

    // Tries to take the lock; tries again for `patience_ms`, as who waited for a run to end can be faster than the
    // worker that lets go of it.
    // Backfills share the stream among themselves, but with no run.
    enum class Sharing { none, backfills };

    explicit StreamLock(int stream_id, long patience_ms = 0, Until until = Until::scope_end,
                        Sharing sharing = Sharing::none)
        : tag_{}, held_(false), until_(until), mode_(sharing == Sharing::none ? ExclusiveLock : ShareLock) {
        SET_LOCKTAG_ADVISORY(tag_, MyDatabaseId, lock_class, static_cast<uint32>(stream_id), lock_kind);
        for (long waited = 0; !held_; waited += step_ms) {
            held_ = acquire(mode_);
            if (held_ || patience_ms == 0) break;
            // A slice of a backfill ends soon; the next one waits for who is waiting here.
            if (mode_ == ExclusiveLock) shared::want_stream(stream_id, patience_ms);
            if (waited >= (is_backfilled() ? backfill_patience_ms : patience_ms)) break;
            pg::call([] {
                (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, step_ms,
                                pg::wait_event(pg::Wait::stream_lock));
                ResetLatch(MyLatch);
                CHECK_FOR_INTERRUPTS();
            });
        }
    }
    ~StreamLock() { release(); }
    StreamLock(const StreamLock&) = delete;
    StreamLock& operator=(const StreamLock&) = delete;

    bool held() const { return held_; }
    void release() {
        if (held_ && until_ == Until::scope_end) LockRelease(&tag_, mode_, true);
        held_ = false;
    }

    // For functions that a user calls.
    static constexpr long short_patience_ms = 1000;

  private:
    bool acquire(LOCKMODE mode) {
        return pg::call(
            [&] { return LockAcquire(&tag_, mode, until_ == Until::scope_end, true) != LOCKACQUIRE_NOT_AVAIL; });
    }
    // Who holds it shares it.
    bool is_backfilled() {
        if (mode_ != ExclusiveLock || !acquire(ShareLock)) return false;
        LockRelease(&tag_, ShareLock, until_ == Until::scope_end);
        return true;
    }

    static constexpr long step_ms = 20;
    static constexpr long backfill_patience_ms = 60000;
    static constexpr uint32 lock_class = 0x696e7379;  // "insy"
    static constexpr uint16 lock_kind = 3;            // pg_advisory_lock() makes 1 and 2: nobody can take ours with it
    LOCKTAG tag_;
    bool held_;
    Until until_;
    LOCKMODE mode_;
};

}  // namespace insync
