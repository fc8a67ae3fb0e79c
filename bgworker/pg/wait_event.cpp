// Registers names of wait events; see wait_event.hpp.
#include "bgworker/pg/wait_event.hpp"

#include "bgworker/pg/compat.hpp"

namespace insync::pg {

std::uint32_t wait_event(Wait wait) {
    struct Event {
        const char* name;
        std::uint32_t number;  // 0: not asked for yet
    };
    static Event events[] = {{"InsyncLauncherMain", 0},  {"InsyncWorkerMain", 0}, {"InsyncSource", 0},
                             {"InsyncConnectorExit", 0}, {"InsyncStreamLock", 0}, {"InsyncRetry", 0},
                             {"InsyncRunEnd", 0}};
    Event& event = events[static_cast<int>(wait)];
    if (event.number == 0) event.number = compat::named_wait_event(event.name);
    return event.number;
}

}  // namespace insync::pg
