// Wakes the workers when a transaction that gave them something to do commits; if it rolls back, nothing happens.
#pragma once

#include <string>

namespace insync {

// Registers the transaction callback, and a hook by which changes of servers and user mappings wake the workers, too;
// called once from _PG_init.
void install_wake();

// At commit of the current transaction, `server`'s streams are looked at.
void wake_at_commit(const std::string& server);
// The same for every server of the database.
void wake_all_at_commit();

// Throws pg::Error where no worker could answer: the library isn't preloaded, or this database isn't among
// insync.databases.
void require_workers();
bool workers_available();

}  // namespace insync
