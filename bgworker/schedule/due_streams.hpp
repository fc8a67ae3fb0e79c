// Which streams of a server are due, and when the next one is: from the tables and, for polls that left no row, from
// shared memory.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bgworker/run/run.hpp"
#include "bgworker/shmem/shared_state.hpp"

namespace insync {

struct DueStream {
    int stream_id = 0;
    std::string server;
    TimestampTz due = DT_NOEND;
    TimestampTz last = DT_NOBEGIN;  // when it last ran
    RunRequest request;
};

// True if this database is the one whose streams may run: not a copy of it, however it was made, and not one that is
// still being restored.
bool is_home_database();
// Makes it so.
void claim_home_database();
// True if the home of the streams is in this system at least: roles have the numbers that they had there.
bool is_home_system();
// Throws in a restored copy: what reads sources there is asked for first.
void require_home_database();

// Every stream that has a next run, soonest first, and of those that are due already the one that has waited for
// longest since its last run; of one server, or of all. `polled`: when the caller itself last ran them, for polls that
// found no room in shared memory. Needs a transaction.
std::vector<DueStream> due_streams(const std::string& server, const std::map<int, TimestampTz>& polled);

}  // namespace insync
