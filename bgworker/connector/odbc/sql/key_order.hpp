// One comparison for the order of pages and for where a page begins.
//
// A page begins behind the last row of the page before. If the engine sorted by one comparison and compared the last
// row's key by another, rows would be lost between two pages: MySQL sorts an ENUM by its number and compares it with a
// text as text; SQLite compares a text with a number by rules of its own; an index of another collation than its
// column's holds keys apart that the column calls equal. So each key column has one expression, which stands in ORDER
// BY and in the condition alike, and one literal, which the engine reads back as exactly the value that it was.
#pragma once

#include <string>

#include "bgworker/connector/odbc/sql/read_plan.hpp"

namespace insync::odbc {

// Fills plan.page_order from plan.key, and adds the columns that only a position needs. Raises Failure (config) for a
// key that has no such comparison.
void add_page_order(ReadPlan& plan);

// The literal of a position as it stands in a condition, beside the reference of that part of the order.
Fragment page_literal(const ReadPlan& plan, std::size_t part, const std::string& literal);

// The ways in which a key that the target holds as `text` may be stored at the source: equal to any of these.
std::vector<Fragment> stored_forms(const ReadPlan& plan, std::size_t column, const std::string& text);

// Identifies the order. A position of another order says nothing.
std::string order_text(const ReadPlan& plan);

// True if a key column is ordered by anything but its own value.
bool has_special_order(const ReadPlan& plan);

}  // namespace insync::odbc
