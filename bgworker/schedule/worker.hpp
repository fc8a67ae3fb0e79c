// A worker: one source connection of one database. It runs that server's due streams one after the other, then leaves;
// it lingers, with its connector, only while the next run is near. Without a server it looks through the whole database
// and tells the launcher when each server's streams are due.
#pragma once

extern "C" {
#include "postgres.h"
}

namespace insync {

// The names under which the postmaster finds the entry points in the library.
inline constexpr const char* library_name = "pg_insync";
inline constexpr const char* worker_function = "insync_worker_main";
inline constexpr const char* launcher_function = "insync_launcher_main";

}  // namespace insync

extern "C" PGDLLEXPORT void insync_worker_main(Datum argument);
extern "C" PGDLLEXPORT void insync_launcher_main(Datum argument);
