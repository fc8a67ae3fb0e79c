// Which table a stream may fill without being told to: sync_create() with a default target, and tables that are shared.
#pragma once

#include "bgworker/catalog/stream.hpp"
#include "bgworker/target/target.hpp"

namespace insync {

// Keeps two sessions from making streams for one table at the same time, each without seeing the other's. Until the
// end of the transaction.
void lock_target(const Target& target);

// The user has named no target, and a table of the source's name is there: throws where another stream fills it
// already, or it has rows, unless constants in the keys tell the rows apart.
void check_default_target(const Stream& stream, const Target& target);

// The target was named: warns where other streams fill it and nothing tells the rows apart.
void warn_of_shared_rows(const Stream& stream);

}  // namespace insync
