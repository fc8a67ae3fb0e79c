// What one grouped query tells of a source's rows: counts, sums, hashes. Statements as text only, no driver.
//
// Nothing is selected that wasn't asked for, so that a count costs what the engine's own GROUP BY costs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/connector/odbc/sql/read_plan.hpp"
#include "bgworker/connector/odbc/sql/row_hash_text.hpp"

namespace insync::odbc {

struct Measures {
    std::optional<TimeColumn> time;  // by which rows are grouped
    MeasureRequest::Unit unit = MeasureRequest::Unit::day;
    std::size_t blocks = 0;
    std::vector<HashedColumn> key;  // of the blocks
    std::vector<SourceColumn> sums;
    std::vector<HashedColumn> hash;
    std::optional<std::string> unsettled_from;
};

// Resolves the columns. Raises Failure (config) for those that are unknown or can't be grouped, added up or hashed.
Measures make_measures(const ReadPlan& plan, const MeasureRequest& request);

// Selects the group (where there are groups), the number of rows, those that move (where asked for), each sum (SQLite:
// of its high and its low 32 bits) and the sum of the hashes (where asked for).
StatementText measure_statement(const ReadPlan& plan, const Measures& measures, const Bounds& bounds);

// MySQL: selects the character sets of the texts that are hashed. Without any an empty text.
StatementText charsets_statement(const ReadPlan& plan, const Measures& measures, const Bounds& bounds);

// A group as the statement selects it, as the beginning of its time: YYYY-MM-DD HH:MM:SS; nothing for MySQL's dates
// with a zero month or day.
std::optional<std::string> time_of_group(const std::string& group);

// A number as text, with a digit in front of the point.
std::string number_text(const std::string& number);

// high * 2^32 + low, exactly.
std::string sum_of_halves(const std::string& high, const std::string& low);

}  // namespace insync::odbc
