// What a clock on the wall of some zone shows, and when it does.
//
// Pure, and without a time-zone library: the caller passes a function from UTC to local time. Instants are microseconds
// since 1970-01-01 00:00 UTC.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace insync {

// Wall time in some zone; month and day count from 1.
struct LocalTime {
    int year = 1970;
    int month = 1;
    int day = 1;
    int hour = 0;
    int minute = 0;
    int second = 0;

    friend auto operator<=>(const LocalTime&, const LocalTime&) = default;
};

// UTC to the wall time of the schedule's zone; fractions of a second are cut off (towards the past).
using ToLocal = std::function<LocalTime(std::int64_t utc_us)>;

// Wall time counted as if it were UTC, in microseconds, so that it can be subtracted; and back, without fractions.
std::int64_t count_us(const LocalTime& wall);
LocalTime local_time_of(std::int64_t count);

// What the zone's clock is ahead of UTC at an instant.
std::int64_t offset_at(std::int64_t utc_us, const ToLocal& to_local);

// The instant in (from, to] at which the offset of `from` ends. The offsets of the two differ.
std::int64_t find_change(std::int64_t from, std::int64_t to, const ToLocal& to_local);

// The first instant at which the clock shows `wall`, or the first after the gap that it falls into.
std::int64_t first_instant_of(const LocalTime& wall, const ToLocal& to_local);

// Whether the clock is put forward over the whole hour that begins at `wall` (as count_us has it), so that nothing
// happens in it.
bool is_skipped_hour(std::int64_t wall, const ToLocal& to_local);

}  // namespace insync
