// Circuit breakers; see reach.hpp.
#include "bgworker/shmem/reach.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/timestamp.h"
}

#include <algorithm>
#include <bit>

#include "bgworker/pg/guard.hpp"
#include "bgworker/shmem/shared_memory.hpp"

namespace insync::shared {

namespace {

// A connection that takes longer than this is slow.
constexpr TimestampTz a_moment = 3 * USECS_PER_SEC;

std::uint64_t bit_of(int number) {
    return std::uint64_t{1} << number;
}

bool is_open(const Reach& reach, std::uint64_t definition) {
    return reach.failures > 0 && reach.definition == definition;
}

}  // namespace

void begin_connecting(int agenda, int number) {
    if (state == nullptr) return;
    const TimestampTz now = GetCurrentTimestamp();
    Locked locked;
    Reach& reach = agenda_items()[agenda].reach;
    if (reach.connecting == 0) reach.connecting_since = now;
    reach.connecting |= bit_of(number);
}

void end_connecting(int agenda, int number) {
    if (state == nullptr) return;
    Locked locked;
    agenda_items()[agenda].reach.connecting &= ~bit_of(number);
}

bool must_give_up(int agenda, int number, int max_workers) {
    if (state == nullptr || !somebody_waits()) return false;
    const TimestampTz slow = GetCurrentTimestamp() - a_moment;
    Locked locked;
    const Agenda& own = agenda_items()[agenda];
    if ((own.reach.connecting & bit_of(number)) == 0 || own.reach.connecting_since > slow) return false;
    // Those who began before it give up first.
    int all = 0, before = 0;
    for (int i = 0; i < state->agenda_count; i++) {
        const Reach& reach = agenda_items()[i].reach;
        if (reach.connecting == 0 || reach.connecting_since > slow) continue;
        const int workers = std::popcount(reach.connecting);
        all += workers;
        if (reach.connecting_since < own.reach.connecting_since ||
            (reach.connecting_since == own.reach.connecting_since && i < agenda))
            before += workers;
    }
    return all - before > std::max(1, max_workers / 2);
}

bool server_answered(Oid server) {
    if (state == nullptr) return false;
    Locked locked;
    Agenda* item = find_agenda(MyDatabaseId, server);
    if (item == nullptr || item->reach.failures == 0) return false;
    item->reach.failures = 0;
    return true;
}

void server_failed(Oid server, std::uint64_t definition, const std::string& message) {
    if (state == nullptr) return;
    const std::string text = clip_text(message, sizeof(Reach::message));
    const TimestampTz now = GetCurrentTimestamp();
    Locked locked;
    Agenda* item = find_agenda(MyDatabaseId, server);
    if (item == nullptr) return;
    Reach& reach = item->reach;
    if (!is_open(reach, definition)) {
        reach.failures = 0;
        reach.failing_since = now;
    }
    reach.failures = std::min(reach.failures + 1, 1000);
    reach.definition = definition;
    reach.last_attempt = now;
    reach.next_attempt = now + attempt_pause(reach.failures);
    strlcpy(reach.message, text.c_str(), sizeof reach.message);
}

std::optional<Reach> open_breaker(Oid server, std::uint64_t definition) {
    if (state == nullptr) return std::nullopt;
    Locked locked;
    const Agenda* item = find_agenda(MyDatabaseId, server);
    if (item == nullptr || !is_open(item->reach, definition)) return std::nullopt;
    return item->reach;
}

bool take_attempt(Oid server, std::uint64_t definition) {
    if (state == nullptr) return true;
    const TimestampTz now = GetCurrentTimestamp();
    Locked locked;
    Agenda* item = find_agenda(MyDatabaseId, server);
    if (item == nullptr || !is_open(item->reach, definition)) return true;
    if (item->reach.next_attempt > now) return false;
    // Whoever comes while it lasts finds the next pause; how it ends sets the time anew.
    item->reach.next_attempt = now + attempt_pause(item->reach.failures + 1);
    return true;
}

std::vector<ServerReach> open_breakers() {
    std::vector<ServerReach> result;
    if (state == nullptr) return result;
    std::size_t count = 0;
    {
        Locked locked;
        count = static_cast<std::size_t>(state->agenda_count);
    }
    result.reserve(count);  // no allocation under the lock
    Locked locked;
    for (int i = 0; i < state->agenda_count; i++) {
        const Agenda& item = agenda_items()[i];
        if (item.database == MyDatabaseId && item.reach.failures > 0 && result.size() < count)
            result.push_back({item.server, item.reach});
    }
    return result;
}

}  // namespace insync::shared
