// Shared memory; see shared_state.hpp.
#include "bgworker/shared_state.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "bgworker/pace.hpp"
#include "extension/pg/compat.hpp"
#include "extension/pg/guard.hpp"
#include "extension/settings.hpp"

namespace insync {

const char* live_state_name(LiveState state) {
    static constexpr const char* names[] = {"idle", "starting", "running", "processing"};
    return names[static_cast<int>(state)];
}

namespace shared {

namespace {

constexpr TimestampTz first_backoff = 5 * USECS_PER_SEC;
constexpr TimestampTz longest_backoff = 5 * USECS_PER_MINUTE;

struct State {
    LWLock* lock;
    ConditionVariable run_ended;
    int launcher;  // number of its process; -1: none
    int capacity;  // of each of the three arrays: insync.max_streams
    int agenda_count;
    int live_count;
    LiveStream live[FLEXIBLE_ARRAY_MEMBER];
    // and behind it the agenda and the paces: a stream more makes at most a server more
};

State* state;

Agenda* agenda_items() {
    return reinterpret_cast<Agenda*>(state->live + state->capacity);
}

std::span<Pace> paces() {
    return {reinterpret_cast<Pace*>(agenda_items() + state->capacity), static_cast<std::size_t>(state->capacity)};
}

shmem_request_hook_type next_request;
shmem_startup_hook_type next_startup;

Size state_size() {
    return add_size(offsetof(State, live),
                    mul_size(sizeof(LiveStream) + sizeof(Agenda) + sizeof(Pace), settings::max_streams()));
}

void on_request() {
    if (next_request != nullptr) next_request();
    RequestAddinShmemSpace(state_size());
    RequestNamedLWLockTranche("pg_insync", 1);
}

void on_startup() {
    if (next_startup != nullptr) next_startup();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found = false;
    state = static_cast<State*>(ShmemInitStruct("pg_insync", state_size(), &found));
    if (!found) {
        std::memset(static_cast<void*>(state), 0, state_size());
        state->lock = &GetNamedLWLockTranche("pg_insync")->lock;
        state->capacity = settings::max_streams();
        state->launcher = -1;
        ConditionVariableInit(&state->run_ended);
    }
    LWLockRelease(AddinShmemInitLock);
}

// The lock for a scope in which nothing can raise an error.
class Locked {
  public:
    Locked() { LWLockAcquire(state->lock, LW_EXCLUSIVE); }
    ~Locked() { LWLockRelease(state->lock); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
};

Agenda* find_agenda(Oid database, Oid server) {
    auto* end = agenda_items() + state->agenda_count;
    auto* found = std::find_if(agenda_items(), end,
                               [&](const Agenda& item) { return item.database == database && item.server == server; });
    return found != end ? found : nullptr;
}

int workers_of(const Agenda& item) {
    return std::popcount(item.starting | item.running);
}

// Of the entries without a worker the one that is due last; nullptr if all have one.
Agenda* latest_idle() {
    Agenda* latest = nullptr;
    for (int i = 0; i < state->agenda_count; i++) {
        Agenda& item = agenda_items()[i];
        if (workers_of(item) == 0 && (latest == nullptr || item.due > latest->due)) latest = &item;
    }
    return latest;
}

LiveStream* find_live(int stream_id) {
    auto* end = state->live + state->live_count;
    auto* found = std::find_if(state->live, end, [&](const LiveStream& item) {
        return item.database == MyDatabaseId && item.stream_id == stream_id;
    });
    return found != end ? found : nullptr;
}

// An entry for another stream: a new one, or the one that was polled the longest ago of those that nobody runs and that
// hold nothing which the tables don't have.
LiveStream* free_live() {
    if (state->live_count < state->capacity) return &state->live[state->live_count++];
    LiveStream* oldest = nullptr;
    for (int i = 0; i < state->live_count; i++) {
        LiveStream& item = state->live[i];
        if (item.pid == 0 && item.polls == 0 && (oldest == nullptr || item.last_poll < oldest->last_poll))
            oldest = &item;
    }
    return oldest;
}

std::uint64_t bit(Place place) {
    return std::uint64_t{1} << place.number;
}

}  // namespace

void request() {
    next_request = shmem_request_hook;
    shmem_request_hook = on_request;
    next_startup = shmem_startup_hook;
    shmem_startup_hook = on_startup;
}

bool available() {
    return state != nullptr;
}

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
            *item = Agenda{database, server, DT_NOEND, DT_NOBEGIN, 1, 0, -1, 0, 0};
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
    int chosen = -1;
    TimestampTz earliest = DT_NOEND;
    for (int i = 0; i < state->agenda_count; i++) {
        const Agenda& item = agenda_items()[i];
        if (workers_of(item) >= item.wanted) continue;
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
    return std::any_of(agenda_items(), agenda_items() + state->agenda_count, [&](const Agenda& item) {
        return workers_of(item) == 0 && item.due <= now && item.not_before <= now;
    });
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

void wake_launcher() {
    if (state == nullptr) return;
    Locked locked;
    if (state->launcher >= 0) SetLatch(compat::process_latch(state->launcher));
}

std::string clip_message(const std::string& message) {
    int size = static_cast<int>(message.size());
    return message.substr(0, pg_mbcliplen(message.data(), size, sizeof(LiveStream::message) - 1));
}

void update_live(int stream_id, const std::function<void(LiveStream&)>& change) {
    if (state == nullptr) return;
    Locked locked;
    LiveStream* item = find_live(stream_id);
    if (item == nullptr) {
        item = free_live();
        if (item == nullptr) return;
        std::memset(static_cast<void*>(item), 0, sizeof *item);
        item->database = MyDatabaseId;
        item->stream_id = stream_id;
        item->lag_seconds = NAN;
        item->last_poll = item->quiet_since = item->next_run = DT_NOBEGIN;
    }
    change(*item);
}

std::optional<LiveStream> read_live(int stream_id) {
    if (state == nullptr) return std::nullopt;
    Locked locked;
    LiveStream* item = find_live(stream_id);
    if (item == nullptr) return std::nullopt;
    return *item;
}

void want_stream(int stream_id, long ms) {
    const TimestampTz until = GetCurrentTimestamp() + ms * 1000;
    update_live(stream_id, [&](LiveStream& live) { live.wanted_until = until; });
}

bool is_wanted(int stream_id) {
    const auto live = read_live(stream_id);
    return live && live->wanted_until > GetCurrentTimestamp();
}

std::vector<LiveStream> all_live() {
    std::vector<LiveStream> result;
    if (state == nullptr) return result;
    std::size_t count = 0;
    {
        Locked locked;
        count = static_cast<std::size_t>(state->live_count);
    }
    result.reserve(count);  // no allocation under the lock
    Locked locked;
    for (int i = 0; i < state->live_count; i++) {
        if (state->live[i].database == MyDatabaseId && result.size() < count) result.push_back(state->live[i]);
    }
    return result;
}

void release_live() noexcept {
    if (state == nullptr) return;
    Locked locked;
    for (int i = 0; i < state->live_count; i++) {
        LiveStream& item = state->live[i];
        if (item.pid == MyProcPid) {
            item.pid = 0;
            item.state = LiveState::idle;
        }
    }
}

std::chrono::milliseconds take_turn(Oid server, std::chrono::milliseconds interval, std::chrono::milliseconds hold) {
    using std::chrono::microseconds;
    static Pace own_paces[64];
    // Since the machine's start, for every process alike.
    std::int64_t now =
        std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
    auto take = [&](std::span<Pace> slots) {
        return insync::take_turn(slots, MyDatabaseId, server, now, microseconds(interval).count(),
                                 microseconds(hold).count());
    };
    std::int64_t turn;
    if (state == nullptr) {
        turn = take(own_paces);
    } else {
        Locked locked;
        turn = take(paces());
    }
    return std::chrono::ceil<std::chrono::milliseconds>(microseconds(turn - now));
}

void announce_run_end() {
    if (state != nullptr) ConditionVariableBroadcast(&state->run_ended);
}

void wait_for_run_end(long timeout_ms) {
    if (state == nullptr) {
        pg::call([&] {
            (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms, PG_WAIT_EXTENSION);
            ResetLatch(MyLatch);
            CHECK_FOR_INTERRUPTS();
        });
        return;
    }
    pg::call([&] {
        ConditionVariablePrepareToSleep(&state->run_ended);
        (void)ConditionVariableTimedSleep(&state->run_ended, timeout_ms, PG_WAIT_EXTENSION);
        ConditionVariableCancelSleep();
    });
}

}  // namespace shared
}  // namespace insync
