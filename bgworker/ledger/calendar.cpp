// Reads calendars; see calendar.hpp.
#include "bgworker/ledger/calendar.hpp"

extern "C" {
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/varlena.h"
}

#include <algorithm>

#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/expression_check.hpp"

namespace insync {

namespace {

constexpr ExpressionScope over_days{
    "(SELECT NULL::timestamp, NULL::date WHERE false) AS slice (bucket, day)",
    "It is SQL over the columns bucket (timestamp) and day (date); tables and functions outside pg_catalog need their "
    "schema's name."};

constexpr const char* epoch = "'1970-01-01'::timestamp";

// What option `name` of the stream came to grief with; the rest of the error is as PostgreSQL told it.
[[noreturn]] void rethrow(const Stream& stream, const std::string& name, pg::Error error) {
    if (!error.is_interrupt())
        error.message = "option " + name + " of stream \"" + stream.name + "\": " + error.message;
    throw error;
}

struct Holidays {
    std::string table, column;  // quoted
};

std::vector<std::string> name_parts(const std::string& text) {
    const char* raw = text.c_str();
    List* parts = pg::call([&] { return textToQualifiedNameList(cstring_to_text(raw)); });
    std::vector<std::string> names;
    for (int i = 0; i < list_length(parts); i++) names.emplace_back(strVal(list_nth(parts, i)));
    return names;
}

// 'schema.table' or 'schema.table(column)'; without a column, the only date of the table.
Holidays find_holidays(const std::string& option) {
    std::string table(trim(option)), column;
    if (auto open = table.rfind('('); table.ends_with(')') && open != std::string::npos) {
        column = table.substr(open + 1, table.size() - open - 2);
        table.resize(open);
    }
    auto table_parts = name_parts(table);
    auto column_parts = column.empty() ? std::vector<std::string>() : name_parts(column);
    if (table_parts.size() != 2 || column_parts.size() > 1) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE, quote_for_message(option) + " names no table", "",
                        "Write it as schema.table or schema.table(column).");
    }
    Holidays found{pg::quote_identifier(table_parts[0]) + "." + pg::quote_identifier(table_parts[1]), ""};
    if (!pg::query("SELECT to_regclass($1)", {found.table}).first()[0])
        throw pg::Error(ERRCODE_UNDEFINED_TABLE, "relation " + found.table + " does not exist");
    auto dates = pg::query(
        "SELECT a.attname, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL)"
        " FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid"
        " WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND coalesce(a.attname = $2,"
        " coalesce(nullif(t.typbasetype, 0), t.oid) = 'date'::regtype)",
        {found.table, column_parts.empty() ? pg::Value() : pg::Value(column_parts[0])});
    if (!column_parts.empty() && dates.empty()) {
        throw pg::Error(ERRCODE_UNDEFINED_COLUMN,
                        "column \"" + column_parts[0] + "\" of " + found.table + " does not exist");
    }
    if (!dates.empty() && *dates.first()[1] != "date") {
        throw pg::Error(ERRCODE_DATATYPE_MISMATCH, "column \"" + *dates.first()[0] + "\" of " + found.table +
                                                       " is not a date but " + *dates.first()[1]);
    }
    if (dates.rows.size() != 1) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                        found.table + (dates.empty() ? " has no column of type date" : " has several dates"), "",
                        "Name the column with the holidays: schema.table(column).");
    }
    found.column = pg::quote_identifier(*dates.first()[0]);
    return found;
}

std::string interval_of(WallUs time) {
    return "(" + std::to_string(time / 1'000'000) + " * interval '1 second')";
}

}  // namespace

Calendar::Calendar(const Stream& stream, SliceUnit unit, WallUs begin, WallUs end)
    : unit_(unit), begin_(begin), end_(end), step_(unit == SliceUnit::hour ? wall_hour : wall_day) {
    closed_.resize(static_cast<std::size_t>(std::max<WallUs>((end - begin + step_ - 1) / step_, 0)));
    const Weekdays& open_days = stream.options.open_days;
    if (!open_days.all()) {
        for (WallUs step = begin_; step < end_; step += step_) {
            if (!open_days.test(static_cast<std::size_t>(weekday_of(step)))) close(step);
        }
    }
    if (!stream.options.holidays.is_given && !stream.options.calendar.is_given) return;
    require_owner(stream);
    const pg::OwnerScope scope(stream.owner_oid);
    if (stream.options.holidays.is_given) read_holidays(stream);
    if (stream.options.calendar.is_given) ask_calendar(stream);
}

void Calendar::close(WallUs step) {
    if (step >= begin_ && step < end_) closed_[static_cast<std::size_t>((step - begin_) / step_)] = true;
}

void Calendar::read_holidays(const Stream& stream) {
    try {
        auto holidays = find_holidays(stream.options.holidays.text);
        std::string day = "h." + holidays.column;
        auto days =
            pg::query("SELECT DISTINCT " + day + "::date - '1970-01-01'::date FROM " + holidays.table +
                          " AS h WHERE isfinite(" + day + ") AND " + day + " >= (" + epoch + " + " +
                          interval_of(begin_) + ")::date AND " + day + " < " + epoch + " + " + interval_of(end_),
                      {});
        for (const auto& row : days.rows) {
            WallUs date = std::stoll(*row[0]) * wall_day;
            for (WallUs step = date; step < date + wall_day; step += step_) close(step);
        }
    } catch (const pg::Error& error) {
        rethrow(stream, "holidays", error);
    }
}

void Calendar::ask_calendar(const Stream& stream) {
    try {
        // A week's or month's days are asked about one by one, each with the slice that it is in.
        std::string bucket = "s.step";
        if (unit_ == SliceUnit::week || unit_ == SliceUnit::month)
            bucket = "date_trunc('" + std::string(name_of(unit_)) + "', s.step)";
        auto steps = pg::query(
            "SELECT slice.number FROM (SELECT " + bucket + ", s.step::date, s.number FROM (SELECT " + epoch + " + " +
                interval_of(begin_) + " + n.number * interval '" + std::to_string(step_ / wall_hour) +
                " hours', n.number FROM generate_series(0, " + std::to_string(closed_.size()) +
                " - 1) AS n (number)) AS s (step, number)) AS slice (bucket, day, number) WHERE NOT coalesce((" +
                stream.options.calendar.text + "\n), false)",
            {});
        for (const auto& row : steps.rows) closed_[std::stoul(*row[0])] = true;
    } catch (const pg::Error& error) {
        rethrow(stream, "calendar", error);
    }
}

bool Calendar::leaves_out(WallUs slice) const {
    WallUs end = std::min(next_slice(slice, unit_), end_);
    if (slice < begin_ || slice >= end) return false;
    for (WallUs step = slice; step < end; step += step_) {
        if (!closed_[static_cast<std::size_t>((step - begin_) / step_)]) return false;
    }
    return true;
}

void check_calendar(const Stream& stream) {
    if (stream.options.holidays.is_given) {
        try {
            auto holidays = find_holidays(stream.options.holidays.text);
            pg::query("SELECT FROM " + holidays.table + " AS h WHERE h." + holidays.column + " IS NULL LIMIT 0");
        } catch (const pg::Error& error) {
            rethrow(stream, "holidays", error);
        }
    }
    if (!stream.options.calendar.is_given) return;
    std::string condition = stream.options.calendar.text;
    check_condition("option calendar", condition, over_days);
    try {
        // Over no rows: whether the owner may read what it names is seen when it is run.
        pg::query("SELECT (" + condition + "\n) FROM " + over_days.relation);
    } catch (const pg::Error& error) {
        rethrow(stream, "calendar", error);
    }
}

}  // namespace insync
