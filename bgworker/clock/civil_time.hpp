// Dates and times as text: reads what sources write, remembers the layout, and counts in the proleptic Gregorian
// calendar without any time zone database.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace insync {

// Days from 2000-01-01 to the given date. The date must exist.
std::int32_t days_from_2000(int year, int month, int day);

// The date that lies `days` after 2000-01-01.
void date_from_days(std::int32_t days, int& year, int& month, int& day);

// True if the calendar has this date (years 1 to 9999 and beyond, no zero months or days).
bool is_date(int year, int month, int day);

// A point on the clock face with the layout in which it was written, so that another one can be written the same way.
struct CivilTime {
    int year = 0, month = 0, day = 0;
    int hour = 0, minute = 0, second = 0;
    std::int32_t nanoseconds = 0;

    char date_separator = '-';  // '\0' in the compact form 20240131
    char time_separator = 'T';  // between date and time; '\0' in the compact form 20240131235959
    bool has_time = false;
    bool has_seconds = false;
    int fraction_digits = 0;                     // as written, at most 9
    char fraction_mark = '.';                    // '.' or ','
    std::string_view zone;                       // "Z", "+02:00", " +02:00"; points into the text that was read
    std::optional<std::int32_t> offset_seconds;  // what `zone` means, east of Greenwich positive

    // Seconds from 2000-01-01 00:00:00 on the written clock face, or of UTC where a zone was written.
    std::int64_t seconds_from_2000() const;

    // The same as microseconds, truncated towards the past.
    std::int64_t microseconds_from_2000() const { return seconds_from_2000() * 1000000 + nanoseconds / 1000; }
};

// Reads a date or a date and time, in any of the layouts above; the whole text must be one. Returns nothing where the
// text has no such layout or names a date or a time that doesn't exist.
std::optional<CivilTime> parse_civil_time(std::string_view text);

// Reads "HH:MM[:SS[.fraction]]" into microseconds from midnight, at most 24:00:00.
std::optional<std::int64_t> parse_time_of_day(std::string_view text);

// `time` moved by `microseconds` (negative: to the past) and written in its own layout; digits that the layout has no
// room for are cut towards the past. The zone is kept as written.
std::string format_moved(const CivilTime& time, std::int64_t microseconds);

}  // namespace insync
