// Computes pauses; see back_off.hpp.
#include "bgworker/clock/back_off.hpp"

#include <algorithm>

namespace insync {

namespace {

constexpr std::chrono::milliseconds longest_asked_pause = std::chrono::hours(24);
constexpr std::chrono::milliseconds first_login_pause = std::chrono::minutes(15);

std::chrono::milliseconds doubled(std::chrono::milliseconds first, long times) {
    const auto longest = std::max(longest_pause, first);
    for (; times > 0 && first < longest; times--) first *= 2;
    return std::min(first, longest);
}

}  // namespace

std::chrono::milliseconds BackOff::pause_after(long failures) const {
    const long before = doubles ? 1 : std::max(max_retries, 1L);
    return doubled(first, failures - before);
}

std::chrono::milliseconds asked_pause(long asked_ms) {
    return std::min(std::chrono::milliseconds(asked_ms), longest_asked_pause);
}

std::chrono::milliseconds pause_after_refused_login(long failures) {
    return doubled(first_login_pause, failures - 1);
}

}  // namespace insync
