// When a stream runs next: an interval, or a five-field cron expression in a time zone.
//
// Pure, and without a time-zone library: the caller passes a function from UTC to local time. Instants are microseconds
// since 1970-01-01 00:00 UTC.
//
// Changes of the clock: a match that a change to summer time skips happens at the first moment after the gap. A match
// that a change to winter time makes happen twice runs once, the first time; only where the hour field lets every hour
// through ('*/5 * * * *') does the repeated hour count as any other, so that no schedule pauses for an hour.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "bgworker/clock/local_time.hpp"
#include "bgworker/options/values.hpp"

namespace insync {

// The minutes at which something happens; a bit for each value that a field lets through.
struct Cron {
    std::uint64_t minutes = 0;
    std::uint32_t hours = 0;
    std::uint32_t days = 0;      // of the month; bit 0 is unused
    std::uint32_t months = 0;    // bit 0 is unused
    std::uint32_t weekdays = 0;  // bit 0 is Sunday
    // Whether the field begins with '*'. As in Vixie cron, a day must match both day fields if one of them does,
    // and otherwise it is enough that it matches either.
    bool days_star = false;
    bool weekdays_star = false;

    friend bool operator==(const Cron&, const Cron&) = default;
};

struct Schedule {
    std::optional<std::chrono::milliseconds> interval;  // if absent, `cron` holds
    Cron cron;

    friend bool operator==(const Schedule&, const Schedule&) = default;
};

// '10 seconds' (as parse_duration reads it, 1 second or more), or 'minute hour day-of-month month day-of-week' with
// lists, ranges, steps ('*/5', '10-50/20') and three-letter English names; Sunday is 0 or 7. Also @hourly, @daily,
// @midnight, @weekly, @monthly, @yearly and @annually. An expression that never happens (30 February) is an error.
Parsed<Schedule> parse_schedule(std::string_view text);

// The five fields of a cron expression, or one of the names above.
Parsed<Cron> parse_cron(std::string_view text);

// The first matching minute that begins later than `after`, on the wall clock and regardless of any change of it;
// nothing if there is none within nine years (29 February comes again after eight at most), or if `after` is no date.
std::optional<LocalTime> next_match(const Cron& cron, const LocalTime& after);

// When to start next, never before `now_us`; nothing if the schedule never happens. `since_us`: since when the schedule
// counts, which is when the stream was made or resumed, or its schedule altered.
//
// Interval: `last_start_us` plus the interval; at once if that is past, or if there was no start. Cron: the first match
// after both `last_start_us` and `since_us`; at once if that is past. So what an outage made a stream miss happens
// once, and what lies before the schedule doesn't happen. An instant in the future (a clock that was set back) counts
// as now: whoever keeps it must replace it by now, or it would stand for another now at each look.
std::optional<std::int64_t> next_run(const Schedule& schedule, std::optional<std::int64_t> last_start_us,
                                     std::int64_t since_us, std::int64_t now_us, const ToLocal& to_local);

// How far apart runs are: the interval, or the time between the next two matches after `now_us`.
std::chrono::microseconds period_of(const Schedule& schedule, std::int64_t now_us, const ToLocal& to_local);

// The last instant at or before `now_us` at which the schedule was due, regardless of whether it ran: a match of the
// cron expression, or an interval ago. Nothing if there is none within nine years.
std::optional<std::int64_t> last_due(const Schedule& schedule, std::int64_t now_us, const ToLocal& to_local);

// The first instant after `since_us` at which the schedule is due; nothing if there is none within nine years.
std::optional<std::int64_t> first_due(const Schedule& schedule, std::int64_t since_us, const ToLocal& to_local);

// The time up to which a source's data should be here: when the schedule was last due, as far as a run of then can have
// ended by now. While one is under way, and for a quarter of an hour, it is the time before.
std::optional<std::int64_t> data_due(const Schedule& schedule, std::int64_t now_us, bool is_running,
                                     const ToLocal& to_local);

}  // namespace insync
