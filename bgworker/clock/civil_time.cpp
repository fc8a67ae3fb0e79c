// Reads and writes dates and times; see civil_time.hpp. parse_civil_time is on the hot path of text-typed sources.
#include "bgworker/clock/civil_time.hpp"

#include <cstdio>

#include "bgworker/protocol/text.hpp"

namespace insync {

namespace {

constexpr std::int32_t days_1970_to_2000 = 10957;

// Reads exactly `count` digits at `at`.
bool read_digits(std::string_view text, std::size_t at, std::size_t count, int& value) {
    if (at + count > text.size()) return false;
    value = 0;
    for (std::size_t i = 0; i < count; i++) {
        if (!is_digit(text[at + i])) return false;
        value = value * 10 + (text[at + i] - '0');
    }
    return true;
}

// Reads a fraction behind its mark; more than nine digits are read and forgotten (they are below a nanosecond).
std::size_t read_fraction(std::string_view text, std::size_t at, std::int32_t& nanoseconds, int& digits) {
    digits = 0;
    nanoseconds = 0;
    while (at < text.size() && is_digit(text[at])) {
        if (digits < 9) {
            nanoseconds = nanoseconds * 10 + (text[at] - '0');
            digits++;
        }
        at++;
    }
    for (int i = digits; i < 9; i++) nanoseconds *= 10;
    return at;
}

// Reads "Z", "+HH", "+HHMM", "+HH:MM" or "+HH:MM:SS", a space before it allowed, up to the end of the text.
bool read_zone(std::string_view text, std::size_t at, CivilTime& time) {
    time.zone = text.substr(at);
    if (at < text.size() && text[at] == ' ') at++;
    if (at >= text.size()) return false;
    if (text[at] == 'Z' || text[at] == 'z') {
        time.offset_seconds = 0;
        return at + 1 == text.size();
    }
    if (text[at] != '+' && text[at] != '-') {
        if (text.substr(at) != "UTC") return false;
        time.offset_seconds = 0;
        return true;
    }
    const int sign = text[at] == '-' ? -1 : 1;
    int hours = 0, minutes = 0, seconds = 0;
    if (!read_digits(text, at + 1, 2, hours)) return false;
    at += 3;
    if (at < text.size()) {
        if (text[at] == ':') at++;
        if (!read_digits(text, at, 2, minutes)) return false;
        at += 2;
    }
    if (at < text.size()) {
        if (text[at] != ':' || !read_digits(text, at + 1, 2, seconds)) return false;
        at += 3;
    }
    if (at != text.size() || hours > 15 || minutes > 59 || seconds > 59) return false;
    time.offset_seconds = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

}  // namespace

// Howard Hinnant's days_from_civil, shifted to PostgreSQL's epoch.
std::int32_t days_from_2000(int year, int month, int day) {
    year -= month <= 2;
    const int era = (year >= 0 ? year : year - 399) / 400;
    const int year_of_era = year - era * 400;
    const int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468 - days_1970_to_2000;
}

void date_from_days(std::int32_t days, int& year, int& month, int& day) {
    const std::int32_t z = days + days_1970_to_2000 + 719468;
    const std::int32_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int day_of_era = static_cast<int>(z - era * 146097);
    const int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int shifted_month = (5 * day_of_year + 2) / 153;
    day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    month = shifted_month + (shifted_month < 10 ? 3 : -9);
    year = year_of_era + era * 400 + (month <= 2);
}

bool is_date(int year, int month, int day) {
    static constexpr int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1 || day > month_days[month - 1]) return false;
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month != 2 || day != 29 || leap;
}

std::int64_t CivilTime::seconds_from_2000() const {
    return days_from_2000(year, month, day) * std::int64_t{86400} + hour * 3600 + minute * 60 + second -
           offset_seconds.value_or(0);
}

std::optional<CivilTime> parse_civil_time(std::string_view text) {
    CivilTime time;
    std::size_t at = 0;
    if (text.size() < 8 || !read_digits(text, 0, 4, time.year)) return std::nullopt;
    if (is_digit(text[4])) {
        time.date_separator = '\0';
        if (!read_digits(text, 4, 2, time.month) || !read_digits(text, 6, 2, time.day)) return std::nullopt;
        at = 8;
    } else {
        time.date_separator = text[4];
        if (text[4] != '-' && text[4] != '/' && text[4] != '.') return std::nullopt;
        if (text.size() < 10 || text[7] != text[4]) return std::nullopt;
        if (!read_digits(text, 5, 2, time.month) || !read_digits(text, 8, 2, time.day)) return std::nullopt;
        at = 10;
    }
    if (!is_date(time.year, time.month, time.day) || time.year == 0) return std::nullopt;
    if (at == text.size()) return time;

    const bool compact = time.date_separator == '\0' && is_digit(text[at]);
    if (compact) {
        time.time_separator = '\0';
    } else {
        time.time_separator = text[at++];
        if (time.time_separator != ' ' && time.time_separator != 'T' && time.time_separator != 't') {
            return std::nullopt;
        }
    }
    const std::size_t gap = compact ? 0 : 1;
    auto next_field = [&](int& value) {
        if (gap == 1 && (at >= text.size() || text[at] != ':')) return false;
        if (!read_digits(text, at + gap, 2, value)) return false;
        at += gap + 2;
        return true;
    };
    if (!read_digits(text, at, 2, time.hour)) return std::nullopt;
    at += 2;
    if (!next_field(time.minute)) return std::nullopt;
    time.has_time = true;
    time.has_seconds = next_field(time.second);
    if (time.hour > 23 || time.minute > 59 || time.second > 59) return std::nullopt;
    if (time.has_seconds && at + 1 < text.size() && (text[at] == '.' || text[at] == ',') && is_digit(text[at + 1])) {
        time.fraction_mark = text[at];
        at = read_fraction(text, at + 1, time.nanoseconds, time.fraction_digits);
    }
    if (at < text.size() && !read_zone(text, at, time)) return std::nullopt;
    return time;
}

std::optional<std::int64_t> parse_time_of_day(std::string_view text) {
    int hour = 0, minute = 0, second = 0, digits = 0;
    std::int32_t nanoseconds = 0;
    if (text.size() < 5 || text[2] != ':' || !read_digits(text, 0, 2, hour) || !read_digits(text, 3, 2, minute)) {
        return std::nullopt;
    }
    std::size_t at = 5;
    if (at < text.size()) {
        if (text[at] != ':' || !read_digits(text, at + 1, 2, second)) return std::nullopt;
        at += 3;
    }
    if (at + 1 < text.size() && text[at] == '.') at = read_fraction(text, at + 1, nanoseconds, digits);
    if (at != text.size() || minute > 59 || second > 59) return std::nullopt;
    const std::int64_t value = (hour * 3600 + minute * 60 + second) * std::int64_t{1000000} + nanoseconds / 1000;
    if (value > std::int64_t{86400} * 1000000) return std::nullopt;
    return value;
}

std::string format_moved(const CivilTime& time, std::int64_t microseconds) {
    // Reckoned on the clock face, not in UTC: the zone is written back as it was.
    const std::int64_t face_seconds = time.seconds_from_2000() + time.offset_seconds.value_or(0);
    std::int64_t seconds = microseconds / 1000000;
    std::int64_t nanoseconds = time.nanoseconds + (microseconds - seconds * 1000000) * 1000;
    seconds += face_seconds;
    if (nanoseconds < 0) {
        nanoseconds += 1000000000;
        seconds--;
    } else if (nanoseconds >= 1000000000) {
        nanoseconds -= 1000000000;
        seconds++;
    }
    std::int64_t days = seconds / 86400;
    if (seconds % 86400 < 0) days--;
    int of_day = static_cast<int>(seconds - days * 86400);
    int year = 0, month = 0, day = 0;
    date_from_days(static_cast<std::int32_t>(days), year, month, day);
    if (year < 1) {
        // No source knows an earlier moment in this layout.
        year = month = day = 1;
        of_day = 0;
        nanoseconds = 0;
    }

    char buffer[64];
    std::string out;
    auto print = [&](const char* format, auto... values) {
        std::snprintf(buffer, sizeof buffer, format, values...);
        out += buffer;
    };
    if (time.date_separator == '\0') {
        print("%04d%02d%02d", year, month, day);
    } else {
        print("%04d%c%02d%c%02d", year, time.date_separator, month, time.date_separator, day);
    }
    if (!time.has_time) return out;
    const char* colon = time.time_separator == '\0' ? "" : ":";
    if (time.time_separator != '\0') out += time.time_separator;
    print("%02d%s%02d", of_day / 3600, colon, of_day / 60 % 60);
    if (time.has_seconds) print("%s%02d", colon, of_day % 60);
    if (time.fraction_digits > 0) {
        print("%09d", static_cast<int>(nanoseconds));
        out.insert(out.size() - 9, 1, time.fraction_mark);
        out.resize(out.size() - static_cast<std::size_t>(9 - time.fraction_digits));
    }
    out += time.zone;
    return out;
}

}  // namespace insync
