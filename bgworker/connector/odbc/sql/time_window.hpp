// Rows of a stretch of time: the condition that selects them, in each engine's SQL. Text only, no driver.
//
// A window is closed below and open above, so that windows side by side hold each row once. Its bounds are finer than
// some columns: they are moved up to the column's next possible value, which is below none that the bound is below and
// above none that it is above. A bound that the engine rounded could lose a row to neither window.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/odbc/sql/dialect.hpp"
#include "bgworker/connector/odbc/sql/types.hpp"

namespace insync::odbc {

// A part of a statement, and its parameters in the order of their markers.
struct Fragment {
    std::string sql;
    std::vector<std::string> parameters;
};

// A column that holds dates or times, and how it stands in an expression.
struct TimeColumn {
    SourceColumn column;
    std::string reference;
    bool has_offsets = false;  // SQLite: some texts end with an offset from UTC, such as +02:00
};

// Raises Failure (config) where the column holds neither dates nor times.
TimeColumn time_column(Dialect dialect, const SourceColumn& column, std::string reference);

// What a window asks for, resolved: rows from <= column < to, or those without a time.
struct PlanWindow {
    TimeColumn time;
    std::optional<std::string> from;
    std::optional<std::string> to;
    bool only_null = false;
};

// Without any bound an empty text. Raises Failure (config) for a bound that is no time.
Fragment window_condition(Dialect dialect, const PlanWindow& window);

// The time as the column's own literal, moved up to the next value that the column can hold.
std::string bound_literal(Dialect dialect, const SourceColumn& column, const std::string& time);

// SQLite: the column's text as YYYY-MM-DD HH:MM…, of UTC where it says an offset; a date alone ends with a blank.
std::string sqlite_time_text(const TimeColumn& time);

// SQLite: looks at values of the column. True where one has an offset from UTC; raises Failure (config) where one isn't
// a time that sorts as text.
bool sqlite_has_offsets(const SourceColumn& column, const std::vector<std::optional<std::string>>& values);

}  // namespace insync::odbc
