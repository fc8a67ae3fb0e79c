// The lock that keeps runs of one stream from overlapping: an advisory lock of the session, which vanishes with its holder.
#pragma once

#include "extension/pg/guard.hpp"

extern "C" {
#include "storage/lock.h"
}

namespace insync {

class StreamLock {
  public:
    // Tries to take the lock, without waiting.
    explicit StreamLock(int stream_id) : tag_{}, held_(false) {
        SET_LOCKTAG_ADVISORY(tag_, MyDatabaseId, lock_class, static_cast<uint32>(stream_id), 2);
        held_ = pg::call([&] { return LockAcquire(&tag_, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL; });
    }
    ~StreamLock() {
        if (held_) LockRelease(&tag_, ExclusiveLock, true);
    }
    StreamLock(const StreamLock&) = delete;
    StreamLock& operator=(const StreamLock&) = delete;

    bool held() const { return held_; }

  private:
    static constexpr uint32 lock_class = 0x696e7379;  // "insy": the first of pg_advisory_lock's two numbers
    LOCKTAG tag_;
    bool held_;
};

}  // namespace insync
