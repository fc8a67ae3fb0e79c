// Sizes of slices, and the arithmetic of the calendar that goes with them.
//
// Pure. Times are naive: microseconds since 1970-01-01 00:00 as a wall clock in the slices' zone shows it, whatever its
// distance from UTC is then. Weeks begin on Monday (ISO 8601).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace insync {

enum class SliceUnit { hour, day, week, month };

std::string_view name_of(SliceUnit unit);
std::optional<SliceUnit> slice_unit_of(std::string_view name);

using WallUs = std::int64_t;
inline constexpr WallUs wall_hour = 3'600'000'000;
inline constexpr WallUs wall_day = 24 * wall_hour;

// Within these (years -9999 to 9999) the functions below are right; times beyond are taken for them.
inline constexpr WallUs earliest_wall = -377'705'116'800'000'000;
inline constexpr WallUs latest_wall = 253'402'300'799'000'000;

// The beginning of the slice that holds `time`, and of the next one.
WallUs slice_of(WallUs time, SliceUnit unit);
WallUs next_slice(WallUs slice, SliceUnit unit);

// The weekday of a time, 0 for Sunday to 6 for Saturday; its hour.
int weekday_of(WallUs time);
int hour_of(WallUs time);

}  // namespace insync
