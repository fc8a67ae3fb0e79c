// The pace that all requests to a server keep together: when the next of them may go out.
//
// Slots are plain data that begin as zeros, in shared memory or, where there is none, in the process. One whose time
// has come holds nothing that anybody has to know, and is free for another server. Times are microseconds of a clock
// that never steps back and that all processes share.
#pragma once

#include <cstdint>
#include <span>

namespace insync {

struct RequestSlot {
    std::uint32_t database, server;
    std::int64_t free_at;  // when the next request may go out
};

// Takes the next turn at a server: requests follow each other at `interval`, and none goes out before now + `hold`.
// Returns when the request may go out. Where every slot is taken, the one that is free soonest is given up.
std::int64_t next_slot(std::span<RequestSlot> slots, std::uint32_t database, std::uint32_t server, std::int64_t now,
                       std::int64_t interval, std::int64_t hold);

}  // namespace insync
