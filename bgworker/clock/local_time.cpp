// Clocks and their changes; see local_time.hpp.
#include "bgworker/clock/local_time.hpp"

#include <algorithm>
#include <chrono>

#include "bgworker/clock/durations.hpp"

namespace insync {

std::int64_t count_us(const LocalTime& wall) {
    std::chrono::sys_days date(std::chrono::year(wall.year) / wall.month / wall.day);
    auto days = static_cast<std::int64_t>(date.time_since_epoch().count());
    return (((days * 24 + wall.hour) * 60 + wall.minute) * 60 + wall.second) * second_us;
}

LocalTime local_time_of(std::int64_t count) {
    auto seconds = std::chrono::floor<std::chrono::seconds>(std::chrono::microseconds(count));
    auto days = std::chrono::floor<std::chrono::days>(seconds);
    std::chrono::year_month_day date{std::chrono::sys_days(days)};
    auto of_day = static_cast<int>((seconds - days).count());
    return {static_cast<int>(date.year()),
            static_cast<int>(static_cast<unsigned>(date.month())),
            static_cast<int>(static_cast<unsigned>(date.day())),
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60};
}

std::int64_t offset_at(std::int64_t utc_us, const ToLocal& to_local) {
    std::int64_t whole =
        std::chrono::floor<std::chrono::seconds>(std::chrono::microseconds(utc_us)).count() * second_us;
    return count_us(to_local(whole)) - whole;
}

std::int64_t find_change(std::int64_t from, std::int64_t to, const ToLocal& to_local) {
    const std::int64_t old_offset = offset_at(from, to_local);
    // Changes happen at whole seconds: only those are tried.
    std::int64_t low = std::chrono::floor<std::chrono::seconds>(std::chrono::microseconds(from)).count();
    std::int64_t high = std::chrono::ceil<std::chrono::seconds>(std::chrono::microseconds(to)).count();
    while (high - low > 1) {
        std::int64_t middle = low + (high - low) / 2;
        (offset_at(middle * second_us, to_local) == old_offset ? low : high) = middle;
    }
    return high * second_us;
}

// Only the function from UTC is needed, so it doesn't matter which of two instants a time-zone library would choose.
std::int64_t first_instant_of(const LocalTime& wall, const ToLocal& to_local) {
    const std::int64_t count = count_us(wall);
    const std::int64_t from = count - 26 * hour_us;  // no zone is further from UTC
    const std::int64_t to = count + 26 * hour_us;
    const std::int64_t before = offset_at(from, to_local);
    const std::int64_t after = offset_at(to, to_local);
    if (before == after) {
        return count - before;
    }
    const std::int64_t change = find_change(from, to, to_local);
    return count - before < change ? count - before : std::max(count - after, change);
}

bool is_skipped_hour(std::int64_t wall, const ToLocal& to_local) {
    // Only where the zone's distance from UTC changes round about: most hours are answered by that.
    if (offset_at(wall - 26 * hour_us, to_local) == offset_at(wall + 26 * hour_us, to_local)) return false;
    return count_us(to_local(first_instant_of(local_time_of(wall), to_local))) >= wall + hour_us;
}

}  // namespace insync
