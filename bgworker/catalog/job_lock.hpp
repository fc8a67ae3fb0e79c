// Tells that a job of work is at hand: an advisory lock of the session that took it, which vanishes with it.
#pragma once

#include "bgworker/pg/guard.hpp"

extern "C" {
#include "storage/lock.h"
}

#include <optional>

namespace insync {

class JobLock {
  public:
    JobLock() : tag_{} {}
    ~JobLock() { release(); }
    JobLock(const JobLock&) = delete;
    JobLock& operator=(const JobLock&) = delete;

    // False where another process is at it.
    bool take(std::int64_t job_id) {
        release();
        // The number's halves; class and kind keep it from others' advisory locks.
        SET_LOCKTAG_ADVISORY(tag_, MyDatabaseId, static_cast<uint32>(job_id >> 32), static_cast<uint32>(job_id), kind);
        held_ = pg::call([&] { return LockAcquire(&tag_, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL; });
        return held_;
    }
    void release() {
        if (held_) LockRelease(&tag_, ExclusiveLock, true);
        held_ = false;
    }

  private:
    static constexpr uint16 kind = 4;  // pg_advisory_lock() makes 1 and 2, a stream's lock is 3
    LOCKTAG tag_;
    bool held_ = false;
};

}  // namespace insync
