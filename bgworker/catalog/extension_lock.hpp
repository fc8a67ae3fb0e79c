// The extension as this database has it: its owner, its version, and the lock that keeps both as they are.
//
// ALTER EXTENSION … UPDATE and DROP EXTENSION change many tables at once. Whoever writes takes this lock first and
// tables after it, so that they wait for a transaction's end before they begin, or it for theirs, and nobody deadlocks.
#pragma once

#include "bgworker/pg/guard.hpp"

namespace insync {

// Nothing can be done here until an administrator changes what the database has of the extension.
struct UnusableExtension : pg::Error {
    using pg::Error::Error;
    bool missing = false;  // not installed at all; else in another version than this library's
};

// The role that owns the extension; InvalidOid where it isn't installed in this database.
Oid extension_owner();

// The role that owns the extension. Throws UnusableExtension where the library can't work with what is installed.
Oid usable_extension();

// The same under the lock, which is held until the transaction ends.
void lock_extension();

// What an SQL function does first that changes something: refuses in a read-only transaction, as on a standby, and
// takes the lock. `function` as in "sync_pause()".
void begin_change(const char* function);

}  // namespace insync
