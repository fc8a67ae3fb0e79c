// What is due; see agenda.hpp.
#include "bgworker/shmem/agenda.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
}

#include <algorithm>
#include <bit>

#include "bgworker/pg/compat.hpp"
#include "bgworker/pg/guard.hpp"
#include "bgworker/shmem/shared_memory.hpp"

namespace insync::shared {

Agenda* find_agenda(Oid database, Oid server) {
    auto* end = agenda_items() + state->agenda_count;
    auto* found = std::find_if(agenda_items(), end,
                               [&](const Agenda& item) { return item.database == database && item.server == server; });
    return found != end ? found : nullptr;
}

int workers_of(const Agenda& item) {
    return std::popcount(item.starting | item.running);
}

namespace {

constexpr TimestampTz first_backoff = 5 * USECS_PER_SEC;
constexpr TimestampTz longest_backoff = 5 * USECS_PER_MINUTE;

// Of the entries without a worker the one that is due last; nullptr if all have one.
Agenda* latest_idle() {
    Agenda* latest = nullptr;
    for (int i = 0; i < state->agenda_count; i++) {
        Agenda& item = agenda_items()[i];
        if (workers_of(item) == 0 && (latest == nullptr || item.due > latest->due)) latest = &item;
    }
    return latest;
}

// Its last attempt to connect failed; see reach.hpp.
bool is_suspect(const Agenda& item) {
    return item.reach.failures > 0;
}

int workers_at_suspects() {
    int workers = 0;
    for (int i = 0; i < state->agenda_count; i++) {
        if (is_suspect(agenda_items()[i])) workers += workers_of(agenda_items()[i]);
    }
    return workers;
}

bool lacks_worker(const Agenda& item, TimestampTz now) {
    return workers_of(item) == 0 && item.due <= now && item.not_before <= now;
}

// Due, without a worker, and not because its source can't be reached.
bool waits(const Agenda& item, TimestampTz now) {
    return lacks_worker(item, now) && !is_suspect(item);
}

std::uint64_t bit(Place place) {
    return std::uint64_t{1} << place.number;
}

}  // namespace

bool make_due(Oid database, Oid server, TimestampTz due) {
    if (state == nullptr) return true;
    bool crowded = false;
    {
        Locked locked;
        Agenda* item = find_agenda(database, server);
        if (item == nullptr) {
            // A slot of a server that is gone for good, or a new one, or that of whoever is due the latest.
            auto* end = agenda_items() + state->agenda_count;
            item = std::find_if(agenda_items(), end,
                                [](const Agenda& a) { return workers_of(a) == 0 && a.due == DT_NOEND; });
            if (item == end && state->agenda_count < state->capacity) {
                state->agenda_count++;
            } else if (item == end) {
                crowded = true;
                item = latest_idle();
                if (item == nullptr || item->due <= due) return false;
            }
            *item = Agenda{database, server, {}, DT_NOEND, DT_NOBEGIN, 1, 0, -1, 0, 0, {}};
        }
        item->due = std::min(item->due, due);
        if (item->lingering >= 0) {
            SetLatch(compat::process_latch(item->lingering));
            item->due = DT_NOEND;  // it looks for itself what is due
        }
    }
    wake_launcher();
    return !crowded;
}

std::optional<Place> take_due(TimestampTz now, int max_workers, TimestampTz* next) {
    Locked locked;
    *next = DT_NOEND;
    int busy = 0;
    for (int i = 0; i < state->agenda_count; i++) busy += workers_of(agenda_items()[i]);
    if (busy >= max_workers) return std::nullopt;  // whoever ends wakes the launcher
    const bool suspects_too = workers_at_suspects() < std::max(1, max_workers / 4);
    int chosen = -1;
    TimestampTz earliest = DT_NOEND;
    for (int i = 0; i < state->agenda_count; i++) {
        const Agenda& item = agenda_items()[i];
        if (workers_of(item) >= item.wanted) continue;
        // One attempt at a time, and not more of them than leave room for the others.
        if (is_suspect(item) && (!suspects_too || workers_of(item) > 0)) continue;
        TimestampTz at = std::max(item.due, item.not_before);
        if (at < earliest) {
            earliest = at;
            chosen = i;
        }
    }
    if (chosen < 0 || earliest > now) {
        *next = earliest;
        return std::nullopt;
    }
    Agenda& item = agenda_items()[chosen];
    Place place{chosen, std::countr_one(item.starting | item.running)};
    item.starting |= bit(place);
    item.due = DT_NOEND;
    return place;
}

Agenda read_agenda(int index) {
    Locked locked;
    return agenda_items()[index];
}

void start_failed(Place place, TimestampTz retry) {
    Locked locked;
    Agenda& item = agenda_items()[place.agenda];
    item.starting &= ~bit(place);
    item.due = std::min(item.due, retry);
}

void worker_began(Place place) {
    Locked locked;
    Agenda& item = agenda_items()[place.agenda];
    item.starting &= ~bit(place);
    item.running |= bit(place);
}

void name_server(int index, const char* name) {
    Locked locked;
    strlcpy(NameStr(agenda_items()[index].name), name, NAMEDATALEN);
}

namespace {

void back_off(Agenda& item) {
    item.crashes = std::min(item.crashes + 1, 20);
    TimestampTz backoff = std::min<TimestampTz>(longest_backoff, first_backoff << std::min(item.crashes - 1, 10));
    item.not_before = GetCurrentTimestamp() + backoff;
}

}  // namespace

void worker_ended(Place place, TimestampTz next_due, bool crashed) {
    {
        Locked locked;
        Agenda& item = agenda_items()[place.agenda];
        item.running &= ~bit(place);
        item.reach.connecting &= ~bit(place);
        item.lingering = -1;
        item.due = std::min(item.due, next_due);
        if (crashed) {
            back_off(item);
        } else {
            item.crashes = 0;
            item.not_before = DT_NOBEGIN;
        }
    }
    wake_launcher();
}

void worker_reaped(Place place) {
    Locked locked;
    Agenda& item = agenda_items()[place.agenda];
    if ((item.starting & bit(place)) == 0) return;
    item.starting &= ~bit(place);
    item.due = std::min(item.due, GetCurrentTimestamp());
    back_off(item);
}

void set_wanted(int index, int workers) {
    Locked locked;
    agenda_items()[index].wanted = std::min(workers, max_places);
}

void forget_database(Oid database) {
    Locked locked;
    for (int i = 0; i < state->agenda_count; i++) {
        if (agenda_items()[i].database == database) agenda_items()[i].due = DT_NOEND;
    }
    for (int i = state->live_count - 1; i >= 0; i--) {
        if (state->live[i].database == database && state->live[i].pid == 0)
            state->live[i] = state->live[--state->live_count];
    }
}

void adopt_agenda() {
    Locked locked;
    for (int i = 0; i < state->agenda_count; i++) agenda_items()[i].starting = 0;
}

bool somebody_waits() {
    TimestampTz now = GetCurrentTimestamp();
    Locked locked;
    return std::any_of(agenda_items(), agenda_items() + state->agenda_count,
                       [&](const Agenda& item) { return waits(item, now); });
}

bool suspect_waits() {
    TimestampTz now = GetCurrentTimestamp();
    Locked locked;
    return std::any_of(agenda_items(), agenda_items() + state->agenda_count,
                       [&](const Agenda& item) { return lacks_worker(item, now) && is_suspect(item); });
}

Load read_load() {
    Load load{0, 0, 0, DT_NOEND, DT_NOBEGIN};
    if (state == nullptr) return load;
    TimestampTz now = GetCurrentTimestamp();
    Locked locked;
    load.slotless_since = state->slotless_since;
    for (int i = 0; i < state->agenda_count; i++) {
        const Agenda& item = agenda_items()[i];
        load.workers += workers_of(item);
        load.crashes = std::max(load.crashes, item.crashes);
        if (!waits(item, now)) continue;
        load.waiting++;
        load.longest_due = std::min(load.longest_due, item.due);
    }
    return load;
}

void note_slot(bool free) {
    TimestampTz now = GetCurrentTimestamp();
    Locked locked;
    if (free) state->slotless_since = DT_NOBEGIN;
    if (!free && state->slotless_since == DT_NOBEGIN) state->slotless_since = now;
}

void clear_due(int index) {
    Locked locked;
    agenda_items()[index].due = DT_NOEND;
}

bool begin_lingering(int index) {
    Locked locked;
    if (agenda_items()[index].due != DT_NOEND) return false;
    agenda_items()[index].lingering = compat::process_number();
    return true;
}

void end_lingering(int index) {
    Locked locked;
    agenda_items()[index].lingering = -1;
}

void set_launcher(bool is) {
    Locked locked;
    state->launcher = is ? compat::process_number() : -1;
}

int count_launcher() {
    Locked locked;
    return state->launchers++;
}

void launcher_is_well() {
    Locked locked;
    state->launchers = 0;
}

bool has_launcher() {
    if (state == nullptr) return false;
    Locked locked;
    return state->launcher >= 0;
}

void wake_launcher() {
    if (state == nullptr) return;
    Locked locked;
    if (state->launcher >= 0) SetLatch(compat::process_latch(state->launcher));
}

}  // namespace insync::shared
