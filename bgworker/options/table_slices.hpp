// The rows of the options table about slices: how rows are counted, what is expected to be there, and how it is
// verified and repaired; see table.hpp.
#pragma once

#include "bgworker/options/table.hpp"

namespace insync::gap_rows {

inline constexpr unsigned stream = static_cast<unsigned>(Where::stream);
inline constexpr unsigned any = static_cast<unsigned>(Kind::odbc) | static_cast<unsigned>(Kind::rest);

inline constexpr std::string_view slice_units[] = {"hour", "day", "week", "month", "none"};
inline constexpr std::string_view depths[] = {"counts", "keys", "rows"};

inline constexpr Option table[] = {
    {.name = "slice",
     .type = ValueType::enumeration,
     .default_text = "day",
     .where = stream,
     .kinds = any,
     .values = slice_units,
     .description = "Size of the slices in which the target's rows are counted, to find what is missing; none: they "
                    "are not."},
    {.name = "slice_column",
     .type = ValueType::name,
     .where = stream,
     .kinds = any,
     .description = "Date or time of the target by which rows are counted into slices; without it: its only date, else "
                    "the watermark, else its only time, or another one if its days are filled more steadily by the "
                    "rows of the first load."},
    {.name = "slice_time_zone",
     .type = ValueType::text,
     .where = stream,
     .kinds = any,
     .description =
         "Time zone in which a time is assigned to its day; default: source_time_zone, else time_zone, else UTC."},
    {.name = "open_days",
     .type = ValueType::weekdays,
     .default_text = "mon-sun",
     .where = stream,
     .kinds = any,
     .description = "Weekdays on which rows are expected, such as mon-sat or mon,wed,fri."},
    {.name = "holidays",
     .type = ValueType::text,
     .where = stream,
     .kinds = any,
     .description = "Table or view of this database with days on which no rows are expected, schema.table or, where "
                    "it has several dates, schema.table(column); it is read as the stream's owner."},
    {.name = "calendar",
     .type = ValueType::text,
     .where = stream,
     .kinds = any,
     .description = "SQL condition over day (date) and bucket (timestamp, the beginning of the slice); rows are "
                    "expected where it is true, so that a table of opening days can be asked."},
    {.name = "short_below",
     .type = ValueType::share,
     .default_text = "25%",
     .where = stream,
     .kinds = any,
     .description = "Share of the rows that are usual for its weekday below which a slice is short, if it is below "
                    "their normal ups and downs, too; 0%: none is."},
    {.name = "gap_warning",
     .type = ValueType::integer,
     .default_text = "1",
     .where = stream,
     .kinds = any,
     .min = 1,
     .max = 1'000'000,
     .description = "Smallest number of slices of a gap that is a warning; slices that are empty in most weeks do not "
                    "count."},
    {.name = "gap_critical",
     .type = ValueType::integer,
     .default_text = "3",
     .where = stream,
     .kinds = any,
     .min = 1,
     .max = 1'000'000,
     .description = "Smallest number of slices of a gap that is critical; slices that are empty in most weeks do not "
                    "count."},
    {.name = "min_age",
     .type = ValueType::duration,
     .default_text = "1 minute",
     .where = stream,
     .kinds = any,
     .max = 31LL * 86400 * 1000,
     .description = "Rows that the source changed within this time, by its clock, do not count as different in a "
                    "verification."},
    {.name = "verify_schedule",
     .type = ValueType::text,
     .where = stream,
     .kinds = any,
     .description = "When a part of the slices is verified, the least recently verified first: an interval or a "
                    "cron expression, in the zone of time_zone."},
    {.name = "verify_parts",
     .type = ValueType::integer,
     .default_text = "30",
     .where = stream,
     .kinds = any,
     .min = 1,
     .max = 10'000,
     .description = "Number of scheduled verifications that together cover all slices."},
    {.name = "verify_depth",
     .type = ValueType::enumeration,
     .default_text = "rows",
     .where = stream,
     .kinds = any,
     .values = depths,
     .description = "What verify_schedule compares: numbers of rows, keys, or all values."},
    {.name = "auto_repair",
     .type = ValueType::boolean,
     .default_text = "false",
     .where = stream,
     .kinds = any,
     .description = "Workers read gaps of sync_gaps() and differences of verify_schedule again, and retry "
                    "a failed run until it succeeds; they wait longer each time."},
};

}  // namespace insync::gap_rows
