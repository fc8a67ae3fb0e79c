// Schedules in any time zone: the next run is never before now, is a match of the cron expression or the end of a gap
// in the clock, comes no later when more time has passed, and is found in bounded time.
#include "bgworker/clock/schedule.hpp"

#include <chrono>

#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

constexpr std::int64_t second_us = 1'000'000;
constexpr std::int64_t hour_us = 3600 * second_us;
constexpr std::int64_t minute_us = 60 * second_us;

// A zone that changes its clock up to twice, by at most three hours, days apart, as real ones do.
struct Zone {
    std::int64_t offsets_s[3];
    std::int64_t changes_us[2];

    std::int64_t offset_us(std::int64_t utc_us) const {
        return (utc_us < changes_us[0]   ? offsets_s[0]
                : utc_us < changes_us[1] ? offsets_s[1]
                                         : offsets_s[2]) *
               second_us;
    }
    LocalTime operator()(std::int64_t utc_us) const {
        auto seconds = std::chrono::floor<std::chrono::seconds>(std::chrono::microseconds(utc_us + offset_us(utc_us)));
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
};

Zone take_zone(fuzz::Input& input, std::int64_t around_us) {
    Zone zone{};
    zone.offsets_s[0] = (static_cast<std::int64_t>(input.below(105)) - 48) * 900;
    for (int i : {0, 1}) {
        zone.offsets_s[i + 1] = zone.offsets_s[i] + (static_cast<std::int64_t>(input.below(25)) - 12) * 900;
        // Changes happen at whole minutes; the second one at least nine days after the first.
        zone.changes_us[i] = i == 0 ? around_us / hour_us * hour_us + (input.byte() - 128) * hour_us / 4
                                    : zone.changes_us[0] + (216 + std::int64_t{input.byte()} * 24) * hour_us;
    }
    return zone;
}

bool lets_through(const Cron& cron, const LocalTime& time) {
    auto date = std::chrono::sys_days(std::chrono::year(time.year) / time.month / time.day);
    bool day = (cron.days >> time.day & 1) != 0;
    bool weekday = (cron.weekdays >> std::chrono::weekday(date).c_encoding() & 1) != 0;
    bool either = !cron.days_star && !cron.weekdays_star;
    return (cron.minutes >> time.minute & 1) != 0 && (cron.hours >> time.hour & 1) != 0 &&
           (cron.months >> time.month & 1) != 0 && (either ? day || weekday : day && weekday);
}

// The fields as a list each, which parse_cron must read as the same minutes.
std::string print(const Cron& cron) {
    auto list = [](std::uint64_t bits, bool star, int first) {
        std::string text = star ? "*/1," : "";
        for (int value = first; bits >> value != 0; value++) {
            if ((bits >> value & 1) != 0) text += std::to_string(value) + ",";
        }
        text.pop_back();
        return text;
    };
    bool all_days = cron.days == 0xFFFFFFFE, all_weekdays = cron.weekdays == 0x7F;
    return list(cron.minutes, false, 0) + " " + list(cron.hours, false, 0) + " " +
           list(cron.days, cron.days_star && all_days, 1) + " " + list(cron.months, false, 1) + " " +
           list(cron.weekdays, cron.weekdays_star && all_weekdays, 0);
}

void check_cron(const Cron& cron) {
    auto again = parse_cron(print(cron));
    REQUIRE(again);
    REQUIRE(again->minutes == cron.minutes && again->hours == cron.hours && again->days == cron.days);
    REQUIRE(again->months == cron.months && again->weekdays == cron.weekdays);
}

FUZZ_TARGET(schedule) {
    auto text = input.line();
    auto schedule = parse_schedule(text);
    REQUIRE(schedule || !schedule.error.empty());
    if (!schedule) return;
    if (schedule->interval) {
        REQUIRE(*schedule->interval >= std::chrono::seconds(1) && *schedule->interval <= longest_duration);
        REQUIRE(parse_schedule(format_duration(*schedule->interval))->interval == schedule->interval);
    } else {
        check_cron(schedule->cron);
    }
    // Between 1970 and 2104, to the microsecond.
    std::int64_t now = static_cast<std::int64_t>(static_cast<std::uint64_t>(input.int64()) % (std::uint64_t{1} << 52));
    bool started = input.flag();
    std::int64_t last = now - input.byte() * minute_us;
    last -= input.byte() * hour_us;
    last -= input.byte() * 24 * hour_us;
    Zone zone = take_zone(input, last);
    std::optional<std::int64_t> last_start = started ? std::optional(last) : std::nullopt;
    // A schedule that counts since its last start, or since now.
    std::int64_t since = started ? last : now;
    auto next = next_run(*schedule, last_start, since, now, zone);
    REQUIRE(next);
    REQUIRE(*next >= now);
    REQUIRE(next_run(*schedule, last_start, since, now, zone) == next);
    // An instant later, and after a later start, it is no earlier.
    for (std::int64_t later : {now + 1, now + minute_us, now + 30 * hour_us}) {
        REQUIRE(*next_run(*schedule, last_start, since, later, zone) >= *next);
    }
    if (started && last + minute_us <= now) REQUIRE(*next_run(*schedule, last + minute_us, since, now, zone) >= *next);
    if (schedule->interval) {
        REQUIRE(!started || *next == std::max(now, last + std::chrono::microseconds(*schedule->interval).count()));
        return;
    }
    if (*next == now) return;  // due in the past
    // On a minute that matches, or at the first moment behind a gap that had such a minute in it.
    bool at_change = *next == zone.changes_us[0] || *next == zone.changes_us[1];
    LocalTime wall = zone(*next);
    if (!at_change) REQUIRE(wall.second == 0 && lets_through(schedule->cron, wall));
    // No match in between that was passed over: looked for minute by minute for a while.
    std::int64_t from = started ? last : now;
    std::int64_t minute = (from / minute_us + 1) * minute_us;
    for (int i = 0; i < 200 && minute < *next; i++, minute += minute_us) {
        LocalTime passed = zone(minute);
        if (!lets_through(schedule->cron, passed)) continue;
        // Only the repetition of an hour may be.
        bool repeated = false;
        for (std::int64_t back = minute - minute_us; back > minute - 4 * hour_us && !repeated; back -= minute_us) {
            repeated = zone(back) == passed;
        }
        REQUIRE(repeated && schedule->cron.hours != (1u << 24) - 1);
    }
}

}  // namespace
}  // namespace insync
