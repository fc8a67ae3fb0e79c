// Looks at the slices of a column; see steadiness.hpp.
#include "bgworker/gaps/steadiness.hpp"

#include <algorithm>

#include "bgworker/gaps/expected_volume.hpp"

namespace insync {

namespace {

// Shares, as one of so many.
constexpr std::int64_t without_time_share = 10, future_share = 500, moved_share = 50;
constexpr std::int64_t empty_share = 5;         // more empty slices aren't steady
constexpr std::int64_t young_empty_share = 15;  // the same while habits can't be known yet
constexpr std::int64_t expected_share = 8;      // fewer slices with rows than this aren't steady, however regular
constexpr std::int64_t longest_lag = 7;         // what has had nothing for longer isn't filled any more

// From how many slices on something can be told; and from how many on habits are known.
struct Enough {
    std::int64_t some, all;
};
Enough enough_of(SliceUnit unit) {
    switch (unit) {
        case SliceUnit::hour:
            return {7 * 24, 35 * 24};
        case SliceUnit::day:
            return {14, 35};
        case SliceUnit::week:
            return {8, 12};
        case SliceUnit::month:
            break;
    }
    return {6, 12};
}

std::string share_of(std::int64_t part, std::int64_t all) {
    return std::to_string(part) + " of " + std::to_string(all);
}

Steadiness unsteady(std::string reason) {
    return {Steadiness::Kind::unsteady, std::move(reason)};
}

}  // namespace

Steadiness judge_steadiness(const Series& series, std::int64_t without_time) {
    std::int64_t rows = without_time, future = 0;
    for (const Slice& slice : series.slices) {
        rows += slice.rows;
        if (slice.begin > series.now + wall_day) future += slice.rows;
    }
    if (without_time * without_time_share > rows) return unsteady(share_of(without_time, rows) + " rows have none");
    if (future > 1 && future * future_share > rows)
        return unsteady(share_of(future, rows) + " rows are dated in the future");
    const auto first = first_slice(series);
    if (!first) return {};

    std::vector<WeekdayPattern::Day> days;
    std::size_t held = 0;  // until the last one with rows
    auto slice = series.slices.begin();
    for (WallUs begin = *first; next_slice(begin, series.unit) <= series.now; begin = next_slice(begin, series.unit)) {
        while (slice != series.slices.end() && slice->begin < begin) ++slice;
        const bool is_empty = slice == series.slices.end() || slice->begin != begin || slice->rows == 0;
        days.push_back({begin, is_empty});
        if (!is_empty) held = days.size();
    }
    const std::vector<WeekdayPattern::Day> tail(days.begin() + static_cast<std::ptrdiff_t>(held), days.end());
    days.resize(held);
    const auto count = static_cast<std::int64_t>(days.size());
    const Enough enough = enough_of(series.unit);
    const bool is_young = count < enough.all;
    if (count < enough.some) return {};

    const std::string unit(name_of(series.unit));
    const WeekdayPattern pattern(series.unit, days);
    Steadiness found;
    found.lag = std::count_if(tail.begin(), tail.end(),
                              [&](const WeekdayPattern::Day& day) { return !pattern.usually_empty(day.slice); });
    if (found.lag > longest_lag && found.lag > 2 * static_cast<std::int64_t>(pattern.usual_stretch(0)))
        return unsteady("nothing is of the last " + std::to_string(found.lag) + " " + unit + "s");
    std::int64_t expected = 0, empty = 0;
    for (const WeekdayPattern::Day& day : days) {
        if (pattern.usually_empty(day.slice)) continue;
        expected++;
        empty += day.empty ? 1 : 0;
    }
    found.empty = expected > 0 ? static_cast<double>(empty) / static_cast<double>(expected) : 1;
    const bool is_steady =
        expected * expected_share >= count && empty * (is_young ? young_empty_share : empty_share) <= expected;
    if (!is_steady && is_young) return {};
    if (!is_steady) {
        const auto all_empty =
            std::count_if(days.begin(), days.end(), [](const WeekdayPattern::Day& day) { return day.empty; });
        return unsteady(share_of(all_empty, count) + " " + unit + "s have no rows");
    }
    found.kind = Steadiness::Kind::steady;
    return found;
}

bool moves_too_much(std::int64_t moved, std::int64_t rows, bool is_watermark) {
    return is_watermark ? moved > 0 : moved * moved_share > rows;
}

}  // namespace insync
