// The calendar's arithmetic; see slice.hpp.
#include "bgworker/clock/slice.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace insync {

namespace {

constexpr std::array<std::string_view, 4> units = {"hour", "day", "week", "month"};
constexpr WallUs first_monday = 4 * wall_day;  // 1970-01-05

WallUs floor_to(WallUs value, WallUs step) {
    WallUs rest = value % step;
    return value - (rest < 0 ? rest + step : rest);
}

WallUs clip(WallUs time) {
    return std::clamp(time, earliest_wall, latest_wall);
}

std::chrono::year_month month_of(WallUs time) {
    std::chrono::year_month_day date{
        std::chrono::sys_days(std::chrono::days(static_cast<int>(floor_to(time, wall_day) / wall_day)))};
    return {date.year(), date.month()};
}

WallUs begin_of(std::chrono::year_month month) {
    return std::chrono::sys_days(month / 1).time_since_epoch().count() * wall_day;
}

}  // namespace

std::string_view name_of(SliceUnit unit) {
    return units[static_cast<std::size_t>(unit)];
}

std::optional<SliceUnit> slice_unit_of(std::string_view name) {
    auto found = std::find(units.begin(), units.end(), name);
    if (found == units.end()) return std::nullopt;
    return static_cast<SliceUnit>(found - units.begin());
}

WallUs slice_of(WallUs time, SliceUnit unit) {
    time = clip(time);
    switch (unit) {
        case SliceUnit::hour:
            return floor_to(time, wall_hour);
        case SliceUnit::day:
            return floor_to(time, wall_day);
        case SliceUnit::week:
            return floor_to(time - first_monday, 7 * wall_day) + first_monday;
        case SliceUnit::month:
            return begin_of(month_of(time));
    }
    return time;
}

WallUs next_slice(WallUs slice, SliceUnit unit) {
    slice = clip(slice);
    switch (unit) {
        case SliceUnit::hour:
            return slice + wall_hour;
        case SliceUnit::day:
            return slice + wall_day;
        case SliceUnit::week:
            return slice + 7 * wall_day;
        case SliceUnit::month:
            return begin_of(month_of(slice) + std::chrono::months(1));
    }
    return slice + wall_day;
}

int weekday_of(WallUs time) {
    auto days = floor_to(clip(time), wall_day) / wall_day;
    return static_cast<int>(((days + 4) % 7 + 7) % 7);  // 1970-01-01 was a Thursday
}

int hour_of(WallUs time) {
    time = clip(time);
    return static_cast<int>((time - floor_to(time, wall_day)) / wall_hour);
}

}  // namespace insync
