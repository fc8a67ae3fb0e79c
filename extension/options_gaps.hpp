// The rows of the options table that say what is expected to be there, and how grave it is if it isn't; see
// options.hpp.
#pragma once

#include "extension/options.hpp"

namespace insync::gap_rows {

inline constexpr unsigned stream = static_cast<unsigned>(Where::stream);
inline constexpr unsigned any = static_cast<unsigned>(Kind::odbc) | static_cast<unsigned>(Kind::rest);

inline constexpr Option table[] = {
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
     .description = "Number of slices from which on a gap is a warning; those that are empty on most weeks don't "
                    "count."},
    {.name = "gap_critical",
     .type = ValueType::integer,
     .default_text = "3",
     .where = stream,
     .kinds = any,
     .min = 1,
     .max = 1'000'000,
     .description = "Number of slices from which on a gap is critical; those that are empty on most weeks don't "
                    "count."},
};

}  // namespace insync::gap_rows
