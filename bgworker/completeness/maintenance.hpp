// What streams have coming beside their runs, by options: a part of their slices is verified (verify_schedule), and
// gaps are read again (auto_repair). Here it is decided when that is, and what; it is queued as jobs.
#pragma once

#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace insync {

struct Upkeep {
    enum class Kind { verify, repair };
    Kind kind;
    int stream_id = 0;
    std::string server;
    TimestampTz due = DT_NOEND;
};

// Of the streams on one server, or on all; soonest first. Needs a transaction.
std::vector<Upkeep> coming_upkeep(const std::string& server);
// Queues what is due, and notes that it has been. Needs a transaction.
void plan_upkeep(const Upkeep& upkeep);

}  // namespace insync
