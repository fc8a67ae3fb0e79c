// Gives out slots; see rate_limiter.hpp.
#include "bgworker/clock/rate_limiter.hpp"

#include <algorithm>

namespace insync {

std::int64_t next_slot(std::span<RequestSlot> slots, std::uint32_t database, std::uint32_t server, std::int64_t now,
                       std::int64_t interval, std::int64_t hold) {
    RequestSlot* own = nullptr;
    RequestSlot* soonest = &slots.front();
    for (RequestSlot& slot : slots) {
        if (slot.database == database && slot.server == server) own = &slot;
        if (slot.free_at < soonest->free_at) soonest = &slot;
    }
    if (own == nullptr) {
        own = soonest;
        *own = {database, server, now};
    }
    std::int64_t turn = std::max({own->free_at, now, now + hold});
    own->free_at = turn + interval;
    return turn;
}

}  // namespace insync
