// Shared memory; see shared_state.hpp.
#include "bgworker/shmem/shared_state.hpp"

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
#include <cmath>
#include <cstring>
#include <span>

#include "bgworker/clock/rate_limiter.hpp"
#include "bgworker/pg/compat.hpp"
#include "bgworker/pg/guard.hpp"
#include "bgworker/pg/settings.hpp"
#include "bgworker/pg/wait_event.hpp"
#include "bgworker/shmem/agenda.hpp"
#include "bgworker/shmem/shared_memory.hpp"

namespace insync {

const char* live_state_name(LiveState state) {
    static constexpr const char* names[] = {"idle", "starting", "running", "processing"};
    return names[static_cast<int>(state)];
}

namespace shared {

State* state;

namespace {

std::span<RequestSlot> paces() {
    return {reinterpret_cast<RequestSlot*>(agenda_items() + state->capacity),
            static_cast<std::size_t>(state->capacity)};
}

shmem_request_hook_type next_request;
shmem_startup_hook_type next_startup;

Size state_size() {
    return add_size(offsetof(State, live),
                    mul_size(sizeof(LiveStream) + sizeof(Agenda) + sizeof(RequestSlot), settings::max_streams()));
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
        state->slotless_since = DT_NOBEGIN;
        ConditionVariableInit(&state->run_ended);
    }
    LWLockRelease(AddinShmemInitLock);
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

std::string clip_text(const std::string& text, std::size_t size) {
    const int length = static_cast<int>(text.size());
    return text.substr(0, static_cast<std::size_t>(pg_mbcliplen(text.data(), length, static_cast<int>(size) - 1)));
}

std::string clip_message(const std::string& message) {
    return clip_text(message, sizeof(LiveStream::message));
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

void forget_stream(int stream_id) {
    if (state == nullptr) return;
    Locked locked;
    LiveStream* item = find_live(stream_id);
    if (item != nullptr && item->pid == 0) *item = state->live[--state->live_count];
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

std::chrono::milliseconds next_slot(Oid server, std::chrono::milliseconds interval, std::chrono::milliseconds hold) {
    using std::chrono::microseconds;
    static RequestSlot own_paces[64];
    // Since the machine's start, for every process alike.
    std::int64_t now =
        std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
    auto take = [&](std::span<RequestSlot> slots) {
        return insync::next_slot(slots, MyDatabaseId, server, now, microseconds(interval).count(),
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
            (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms,
                            pg::wait_event(pg::Wait::run_end));
            ResetLatch(MyLatch);
            CHECK_FOR_INTERRUPTS();
        });
        return;
    }
    pg::call([&] {
        ConditionVariablePrepareToSleep(&state->run_ended);
        (void)ConditionVariableTimedSleep(&state->run_ended, timeout_ms, pg::wait_event(pg::Wait::run_end));
        ConditionVariableCancelSleep();
    });
}

}  // namespace shared
}  // namespace insync
