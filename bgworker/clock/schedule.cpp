// Parsing of schedules, and the search for the next match on the wall clock and in real time; see schedule.hpp.
#include "bgworker/clock/schedule.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "bgworker/clock/durations.hpp"

namespace insync {

namespace {
constexpr std::int64_t patience_us = 15 * minute_us;
constexpr std::uint32_t every_hour = (1u << 24) - 1;

constexpr std::string_view month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                            "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
    std::string_view name;
    int min;
    int max;
    std::span<const std::string_view> names;  // of min, min + 1, …
};

constexpr std::array<Field, 5> fields{{
    {"minute", 0, 59, {}},
    {"hour", 0, 23, {}},
    {"day of month", 1, 31, {}},
    {"month", 1, 12, month_names},
    {"day of week", 0, 7, weekday_names},
}};

constexpr std::pair<std::string_view, std::string_view> macros[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};

std::vector<std::string_view> split_words(std::string_view text) {
    std::vector<std::string_view> words;
    for (text = trim(text); !text.empty(); text = trim(text)) {
        std::size_t end = std::min(text.find_first_of(" \t\n\v\f\r"), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

std::string field_error(const Field& field, std::string_view what) {
    return "The " + std::string(field.name) + " field of the cron expression " + std::string(what) + ".";
}

Parsed<int> parse_field_value(const Field& field, std::string_view text) {
    std::string lower = to_lower(text);
    auto named = std::find(field.names.begin(), field.names.end(), lower);
    if (named != field.names.end()) {
        return {field.min + static_cast<int>(named - field.names.begin()), {}};
    }
    bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
    if (digits) {
        auto number = parse_integer(text);
        if (number && *number >= field.min && *number <= field.max) {
            return {static_cast<int>(*number), {}};
        }
        return {{},
                field_error(field, "takes " + std::to_string(field.min) + " to " + std::to_string(field.max) +
                                       ", which " + quote_for_message(text) + " is not")};
    }
    std::string names = field.names.empty() ? ""
                                            : ", or names from " + std::string(field.names.front()) + " to " +
                                                  std::string(field.names.back());
    return {{},
            field_error(field, "takes numbers, ranges and steps such as */5" + names + ", which " +
                                   quote_for_message(text) + " is not")};
}

// One item of a field's list: '*', 'value' or 'value-value', and a step after the first and the last of these.
Parsed<std::uint64_t> parse_field_item(const Field& field, std::string_view item) {
    if (item.empty()) {
        return {{}, field_error(field, "has an empty item in its list")};
    }
    std::size_t slash = item.find('/');
    std::string_view range = item.substr(0, slash);
    std::size_t dash = range.find('-');
    int first = field.min;
    int last = field.max;
    if (range != "*") {
        auto low = parse_field_value(field, range.substr(0, dash));
        auto high = dash == std::string_view::npos ? low : parse_field_value(field, range.substr(dash + 1));
        if (!low || !high) {
            return {{}, !low ? low.error : high.error};
        }
        first = *low;
        last = *high;
        if (field.max == 7 && last == 0 && first > 0) {
            last = 7;  // fri-sun
        }
        if (first > last) {
            return {{},
                    field_error(field, "has the range " + quote_for_message(range) + ", which ends before it begins")};
        }
    }
    int step = 1;
    if (slash != std::string_view::npos) {
        if (range != "*" && dash == std::string_view::npos) {
            return {{},
                    field_error(field, "has a step without a range: " + quote_for_message(item) + ", which may mean " +
                                           quote_for_message(std::to_string(first) + "-" + std::to_string(field.max) +
                                                             std::string(item.substr(slash))))};
        }
        std::string_view step_text = item.substr(slash + 1);
        bool digits = step_text.find_first_not_of("0123456789") == std::string_view::npos;
        auto number = parse_integer(step_text);
        int values = field.max - field.min + 1;
        if (!digits || !number || *number < 1 || *number > values) {
            return {{},
                    field_error(field, "takes steps from 1 to " + std::to_string(values) + ", which " +
                                           quote_for_message(step_text) + " is not")};
        }
        step = static_cast<int>(*number);
    }
    std::uint64_t bits = 0;
    for (int value = first; value <= last; value += step) {
        bits |= std::uint64_t{1} << value;
    }
    return {bits, {}};
}

Parsed<std::uint64_t> parse_field(const Field& field, std::string_view text) {
    std::uint64_t bits = 0;
    for (;;) {
        std::size_t comma = text.find(',');
        auto item = parse_field_item(field, text.substr(0, comma));
        if (!item) {
            return item;
        }
        bits |= *item;
        if (comma == std::string_view::npos) {
            return {bits, {}};
        }
        text.remove_prefix(comma + 1);
    }
}

std::chrono::sys_days date_of(const LocalTime& time) {
    return std::chrono::sys_days(std::chrono::year(time.year) / time.month / time.day);
}

bool matches_day(const Cron& cron, const LocalTime& time) {
    bool day = (cron.days >> time.day & 1) != 0;
    bool weekday = (cron.weekdays >> std::chrono::weekday(date_of(time)).c_encoding() & 1) != 0;
    return cron.days_star || cron.weekdays_star ? day && weekday : day || weekday;
}

int days_in_month(const LocalTime& time) {
    auto last = std::chrono::year(time.year) / time.month / std::chrono::last;
    return static_cast<int>(static_cast<unsigned>(last.day()));
}

// Each sets the time to the beginning of the next of its units.
void to_next_month(LocalTime& time) {
    time =
        time.month == 12 ? LocalTime{time.year + 1, 1, 1, 0, 0, 0} : LocalTime{time.year, time.month + 1, 1, 0, 0, 0};
}
void to_next_day(LocalTime& time) {
    if (time.day == days_in_month(time)) {
        to_next_month(time);
    } else {
        time = LocalTime{time.year, time.month, time.day + 1, 0, 0, 0};
    }
}
void to_next_hour(LocalTime& time) {
    if (time.hour == 23) {
        to_next_day(time);
    } else {
        time = LocalTime{time.year, time.month, time.day, time.hour + 1, 0, 0};
    }
}
void to_next_minute(LocalTime& time) {
    if (time.minute == 59) {
        to_next_hour(time);
    } else {
        time.minute++;
        time.second = 0;
    }
}

bool is_valid(const LocalTime& time) {
    // The years of std::chrono end at 32767.
    return time.year >= 0 && time.year < 32000 && time.month >= 1 && time.month <= 12 && time.day >= 1 &&
           time.day <= days_in_month(time) && time.hour >= 0 && time.hour < 24 && time.minute >= 0 &&
           time.minute < 60 && time.second >= 0 && time.second <= 60;
}

// The whole minute before the one that `count` (as count_us) is in: what to search after to find that minute itself.
LocalTime minute_before(std::int64_t count) {
    LocalTime time = local_time_of(count - minute_us);
    time.second = 0;
    return time;
}

// For a cron with every hour: the first match in the hour that is repeated soon after `after`, if it is before `until`.
std::optional<std::int64_t> match_in_repeated_hour(const Cron& cron, std::int64_t after, std::int64_t until,
                                                   const ToLocal& to_local) {
    const std::int64_t to = std::min(until, after + 3 * hour_us);  // clocks are set back by less
    const std::int64_t old_offset = offset_at(after, to_local);
    const std::int64_t new_offset = offset_at(to, to_local);
    if (new_offset >= old_offset) {
        return std::nullopt;
    }
    const std::int64_t change = find_change(after, to, to_local);
    auto match = next_match(cron, minute_before(change + new_offset));
    // Behind the repeated time the clock may have changed again before the match.
    if (!match || count_us(*match) >= change + old_offset || count_us(*match) - new_offset >= until) {
        return std::nullopt;
    }
    return count_us(*match) - new_offset;
}

std::optional<std::int64_t> next_instant(const Cron& cron, std::int64_t after, const ToLocal& to_local) {
    LocalTime wall = to_local(after);
    for (;;) {
        auto match = next_match(cron, wall);
        if (!match) {
            return std::nullopt;
        }
        std::int64_t instant = first_instant_of(*match, to_local);
        if (cron.hours == every_hour) {
            if (instant <= after) {  // `after` is in the repeated hour
                instant = count_us(*match) - offset_at(after, to_local);
            }
            return match_in_repeated_hour(cron, after, instant, to_local).value_or(instant);
        }
        if (instant > after) {
            return instant;
        }
        wall = *match;  // it happened in the hour that is now repeated
    }
}
}  // namespace

Parsed<Cron> parse_cron(std::string_view text) {
    std::string lower = to_lower(trim(text));
    if (lower.starts_with('@')) {
        for (const auto& [name, expression] : macros) {
            if (lower == name) {
                return parse_cron(expression);
            }
        }
        return {{},
                quote_for_message(lower) +
                    " is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and "
                    "@annually."};
    }
    std::vector<std::string_view> words = split_words(text);
    if (words.size() != fields.size()) {
        return {{},
                "A cron expression has five fields (minute, hour, day of month, month, day of week); this one has " +
                    std::to_string(words.size()) + "."};
    }
    std::array<std::uint64_t, fields.size()> bits{};
    for (std::size_t i = 0; i < fields.size(); i++) {
        auto parsed = parse_field(fields[i], words[i]);
        if (!parsed) {
            return {{}, parsed.error};
        }
        bits[i] = *parsed;
    }
    Cron cron;
    cron.minutes = bits[0];
    cron.hours = static_cast<std::uint32_t>(bits[1]);
    cron.days = static_cast<std::uint32_t>(bits[2]);
    cron.months = static_cast<std::uint32_t>(bits[3]);
    cron.weekdays = static_cast<std::uint32_t>((bits[4] | bits[4] >> 7) & 0x7F);
    cron.days_star = words[2].front() == '*';
    cron.weekdays_star = words[4].front() == '*';
    if (!next_match(cron, LocalTime{2000, 1, 1, 0, 0, 0})) {
        return {{}, "The cron expression names days that no month has."};
    }
    return {cron, {}};
}

Parsed<Schedule> parse_schedule(std::string_view text) {
    text = trim(text);
    auto interval = parse_duration(text);
    if (interval) {
        if (*interval < std::chrono::seconds(1)) {
            return {{}, "An interval is at least one second."};
        }
        return {Schedule{*interval, {}}, {}};
    }
    // What has no unit of time, or what an interval can't have, was meant as cron; its errors are then the useful ones.
    bool meant_as_cron = text.starts_with('@') || text.find_first_of("*,/?") != std::string_view::npos ||
                         split_words(text).size() == fields.size();
    if (!meant_as_cron) {
        return {{}, interval.error};
    }
    auto cron = parse_cron(text);
    return cron ? Parsed<Schedule>{Schedule{{}, *cron}, {}} : Parsed<Schedule>{{}, cron.error};
}

std::optional<LocalTime> next_match(const Cron& cron, const LocalTime& after) {
    if (!is_valid(after)) {
        return std::nullopt;
    }
    LocalTime time = after;
    to_next_minute(time);
    while (time.year <= after.year + 9) {
        if ((cron.months >> time.month & 1) == 0) {
            to_next_month(time);
        } else if (!matches_day(cron, time)) {
            to_next_day(time);
        } else if ((cron.hours >> time.hour & 1) == 0) {
            to_next_hour(time);
        } else if ((cron.minutes >> time.minute & 1) == 0) {
            to_next_minute(time);
        } else {
            return time;
        }
    }
    return std::nullopt;
}

std::optional<std::int64_t> next_run(const Schedule& schedule, std::optional<std::int64_t> last_start_us,
                                     std::int64_t since_us, std::int64_t now_us, const ToLocal& to_local) {
    const std::int64_t last = std::min(last_start_us.value_or(since_us), now_us);
    if (schedule.interval) {
        if (!last_start_us) {
            return now_us;
        }
        std::int64_t next = 0;
        std::int64_t interval_us = std::chrono::microseconds(*schedule.interval).count();
        bool overflow = __builtin_add_overflow(last, interval_us, &next);
        return overflow ? std::numeric_limits<std::int64_t>::max() : std::max(next, now_us);
    }
    auto next = next_instant(schedule.cron, std::max(last, std::min(since_us, now_us)), to_local);
    return next ? std::optional(std::max(*next, now_us)) : std::nullopt;
}

std::chrono::microseconds period_of(const Schedule& schedule, std::int64_t now_us, const ToLocal& to_local) {
    if (schedule.interval) return *schedule.interval;
    auto first = next_instant(schedule.cron, now_us, to_local);
    auto second = first ? next_instant(schedule.cron, *first, to_local) : std::nullopt;
    return second ? std::chrono::microseconds(*second - *first) : std::chrono::years(1);
}

std::optional<std::int64_t> last_due(const Schedule& schedule, std::int64_t now_us, const ToLocal& to_local) {
    if (schedule.interval) {
        std::int64_t due = 0;
        bool overflow =
            __builtin_sub_overflow(now_us, std::int64_t{std::chrono::microseconds(*schedule.interval).count()}, &due);
        return overflow ? std::nullopt : std::optional(due);
    }
    // What comes next after an instant never lies before what comes next after an earlier one: the last instant whose
    // next match isn't in the future is searched for, second by second, by halves.
    auto is_due = [&](std::int64_t second) {
        auto next = next_instant(schedule.cron, second * second_us, to_local);
        return next && *next <= now_us;
    };
    std::int64_t high = std::chrono::floor<std::chrono::seconds>(std::chrono::microseconds(now_us)).count() + 1;
    std::int64_t low = high - std::int64_t{9 * 366} * 86400;
    if (!is_due(low)) return std::nullopt;
    while (high - low > 1) {
        std::int64_t middle = low + (high - low) / 2;
        (is_due(middle) ? low : high) = middle;
    }
    return next_instant(schedule.cron, low * second_us, to_local);
}

std::optional<std::int64_t> first_due(const Schedule& schedule, std::int64_t since_us, const ToLocal& to_local) {
    return next_run(schedule, since_us, since_us, since_us, to_local);
}

std::optional<std::int64_t> data_due(const Schedule& schedule, std::int64_t now_us, bool is_running,
                                     const ToLocal& to_local) {
    auto due = last_due(schedule, now_us, to_local);
    if (due && is_running) due = last_due(schedule, *due - 1, to_local);
    if (due && *due > now_us - patience_us) due = last_due(schedule, now_us - patience_us, to_local);
    return due;
}

}  // namespace insync
