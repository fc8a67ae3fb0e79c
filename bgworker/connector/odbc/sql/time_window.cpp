// Conditions on times; see time_window.hpp.
#include "bgworker/connector/odbc/sql/time_window.hpp"

#include <cstdint>
#include <cstdio>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/output/failure.hpp"

namespace insync::odbc {

namespace {

constexpr std::int64_t second_ns = 1000000000;
constexpr std::int64_t day_seconds = 86400;

// A moment of the calendar, in UTC or as a clock somewhere showed it.
struct Moment {
    std::int64_t seconds = 0;  // from 2000-01-01
    std::int64_t nanoseconds = 0;
};

std::int64_t remainder_of(std::int64_t value, std::int64_t step) {
    const std::int64_t rest = value % step;
    return rest < 0 ? rest + step : rest;
}

Moment moment_of(const std::string& text) {
    const std::optional<CivilTime> time = parse_civil_time(text);
    if (!time) {
        throw Failure(FailureClass::config, "invalid time \"" + text + "\"", "",
                      "A window's bounds are written as YYYY-MM-DD HH:MM:SS.");
    }
    return {time->seconds_from_2000(), time->nanoseconds};
}

// The next moment that is a whole number of `step` seconds; itself if it is one.
Moment up_to_seconds(Moment moment, std::int64_t step) {
    if (moment.nanoseconds > 0) moment.seconds++;
    if (const std::int64_t rest = remainder_of(moment.seconds, step); rest != 0) moment.seconds += step - rest;
    return {moment.seconds, 0};
}

Moment up_to_digits(Moment moment, int digits) {
    std::int64_t step = second_ns;
    for (int i = 0; i < digits; i++) step /= 10;
    const std::int64_t rest = moment.nanoseconds % step;
    if (rest != 0) moment.nanoseconds += step - rest;
    if (moment.nanoseconds == second_ns) return {moment.seconds + 1, 0};
    return moment;
}

// SQL Server's datetime counts 1/300 of a second and shows thousandths that end in 0, 3 and 7.
Moment up_to_datetime_tick(Moment moment) {
    moment = up_to_digits(moment, 3);
    constexpr std::int64_t millisecond_ns = 1000000;
    constexpr int up[] = {0, 2, 1, 0, 3, 2, 1, 0, 2, 1};
    moment.nanoseconds += up[moment.nanoseconds / millisecond_ns % 10] * millisecond_ns;
    if (moment.nanoseconds >= second_ns) return {moment.seconds + 1, 0};
    return moment;
}

std::string date_text(const Moment& moment) {
    int year = 0, month = 0, day = 0;
    const std::int64_t days = (moment.seconds - remainder_of(moment.seconds, day_seconds)) / day_seconds;
    date_from_days(static_cast<std::int32_t>(days), year, month, day);
    char text[48];
    std::snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
    return text;
}

std::string time_text(const Moment& moment, int digits) {
    const int of_day = static_cast<int>(remainder_of(moment.seconds, day_seconds));
    char text[48];
    std::snprintf(text, sizeof text, " %02d:%02d:%02d.%09d", of_day / 3600, of_day / 60 % 60, of_day % 60,
                  static_cast<int>(moment.nanoseconds));
    std::string clock = text;
    clock.resize(digits == 0 ? 9 : 10 + static_cast<std::size_t>(digits));
    return date_text(moment) + clock;
}

// The shortest text of a moment, as sqlite_time_text() has them: those of the same moment in longer layouts sort
// behind.
std::string shortest_text(const Moment& moment) {
    std::string text = time_text(moment, 9);
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
    if (text.size() == 19 && text.ends_with(":00")) text.resize(16);
    if (text.ends_with(" 00:00")) text.resize(11);
    return text;
}

bool is_midnight(const Moment& moment) {
    return moment.nanoseconds == 0 && remainder_of(moment.seconds, day_seconds) == 0;
}

std::string sqlserver_literal(const SourceColumn& column, Moment moment) {
    const TypeName type = parse_type_name(column.source_type);
    const bool coarse = type.base == "smalldatetime";
    if (coarse || type.base == "datetime") {
        // Earlier bounds aren't of the type, and below all of its values.
        const Moment first = moment_of(coarse ? "1900-01-01" : "1753-01-01");
        if (moment.seconds < first.seconds) moment = first;
        return coarse ? time_text(up_to_seconds(moment, 60), 0) : time_text(up_to_datetime_tick(moment), 3);
    }
    const int digits = type.first >= 0 && type.first <= 7 ? type.first : 7;
    const std::string zone = column.type == Transport::timestamptz ? " +00:00" : "";
    return time_text(up_to_digits(moment, digits), digits) + zone;
}

// SQLite keeps texts as they were written. Whole days bound every layout: a date is the beginning of all its times.
Fragment sqlite_condition(const PlanWindow& window) {
    const std::string& reference = window.time.reference;
    const std::string exact = sqlite_time_text(window.time);
    Fragment condition;
    auto add = [&](const std::string& left, const char* compare, const std::string& bound) {
        if (!condition.sql.empty()) condition.sql += " AND ";
        condition.sql += left + " " + compare + " ?";
        condition.parameters.push_back(bound);
    };
    // An offset moves a time to the day before or behind.
    const bool moved = window.time.has_offsets;
    auto add_bound = [&](const std::string& text, const char* compare, std::int64_t days_outwards) {
        const Moment moment = moment_of(text);
        if (!moved && is_midnight(moment)) return add(reference, compare, date_text(moment));
        // The days around it, for which an index is of use, and then what it is exactly.
        add(reference, compare, date_text({moment.seconds + days_outwards * day_seconds, 0}));
        add(exact, compare, shortest_text(moment));
    };
    if (window.from) add_bound(*window.from, ">=", moved ? -1 : 0);
    if (window.to) add_bound(*window.to, "<", moved ? 2 : 1);
    return condition;
}

// Fails for what doesn't sort as text: the second and later fields stand where they stand in YYYY-MM-DD.
void require_sortable(const SourceColumn& column, const std::optional<std::string>& value) {
    const std::optional<CivilTime> time = value ? parse_civil_time(*value) : std::nullopt;
    const bool is_plain = time && time->date_separator == '-' && (!time->has_time || time->time_separator != '\0');
    const bool has_known_zone =
        is_plain && (time->offset_seconds.value_or(0) == 0 || (time->zone.size() == 6 && time->zone[3] == ':'));
    if (has_known_zone) return;
    throw Failure(
        FailureClass::config,
        "column \"" + column.name + "\" of type " + column.source_type + " cannot be compared with times",
        "It holds \"" + value.value_or("a number or a blob") + "\", which is not written as YYYY-MM-DD HH:MM:SS.",
        "Choose another column, or read a query that converts it.");
}

}  // namespace

TimeColumn time_column(Dialect dialect, const SourceColumn& column, std::string reference) {
    const bool is_time =
        column.type == Transport::date || column.type == Transport::timestamp || column.type == Transport::timestamptz;
    const bool may_be_time = dialect == Dialect::sqlite && column.type == Transport::text;
    if (!is_time && !may_be_time) {
        throw Failure(FailureClass::config,
                      "column \"" + column.name + "\" of type " + column.source_type + " holds neither dates nor times",
                      "", "Name a column of dates or times, or read a query that converts this one.");
    }
    return {column, std::move(reference)};
}

std::string bound_literal(Dialect dialect, const SourceColumn& column, const std::string& time) {
    const Moment moment = moment_of(time);
    if (column.type == Transport::date) return date_text(up_to_seconds(moment, day_seconds));
    const bool zoned = column.type == Transport::timestamptz;
    switch (dialect) {
        case Dialect::sqlserver:
            return sqlserver_literal(column, moment);
        case Dialect::oracle:
            if (parse_type_name(column.source_type).base == "date") return time_text(up_to_seconds(moment, 1), 0);
            return time_text(moment, 9) + (zoned ? " +00:00" : "");
        case Dialect::postgresql:
            return time_text(up_to_digits(moment, 6), 6) + (zoned ? "+00" : "");
        case Dialect::generic:
            return time_text(up_to_digits(moment, column.fraction_digits), column.fraction_digits);
        default:
            return time_text(up_to_digits(moment, 6), 6);
    }
}

Fragment window_condition(Dialect dialect, const PlanWindow& window) {
    const std::string& reference = window.time.reference;
    const SourceColumn& column = window.time.column;
    if (window.only_null) {
        // What has a zero month or day is no date for anybody else; MySQL's order has them all below this one.
        if (dialect != Dialect::mysql) return {reference + " IS NULL", {}};
        return {"(" + reference + " IS NULL OR " + reference + " < " + column.parameter + ")", {"0001-01-01"}};
    }
    if (dialect == Dialect::sqlite) return sqlite_condition(window);
    Fragment condition;
    auto add = [&](const char* compare, const std::string& bound) {
        if (!condition.sql.empty()) condition.sql += " AND ";
        condition.sql += reference + compare + column.parameter;
        condition.parameters.push_back(bound_literal(dialect, column, bound));
    };
    if (window.from) add(" >= ", *window.from);
    if (window.to) add(" < ", *window.to);
    return condition;
}

std::string sqlite_time_text(const TimeColumn& time) {
    const std::string& c = time.reference;
    const std::string plain =
        "substr(" + c + ", 1, 10) || ' ' || replace(rtrim(substr(" + c + ", 12), 'Zz '), ',', '.')";
    if (!time.has_offsets) return plain;
    // The offset is taken off the whole seconds, as SQLite rounds finer ones to thousandths.
    return "CASE WHEN length(" + c + ") > 21 AND substr(" + c + ", -6, 1) IN ('+', '-') THEN datetime(substr(" + c +
           ", 1, CASE length(" + c + ") WHEN 22 THEN 16 ELSE 19 END), CASE substr(" + c +
           ", -6, 1) WHEN '+' THEN '-' ELSE '+' END || substr(" + c + ", -5)) || substr(" + c + ", 20, max(0, length(" +
           c + ") - 25)) ELSE " + plain + " END";
}

bool sqlite_has_offsets(const SourceColumn& column, const std::vector<std::optional<std::string>>& values) {
    bool found = false;
    for (const std::optional<std::string>& value : values) {
        require_sortable(column, value);
        found = found || parse_civil_time(*value)->offset_seconds.value_or(0) != 0;
    }
    return found;
}

}  // namespace insync::odbc
