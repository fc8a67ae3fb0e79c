// What one read selects and how it pages, and the statements for it. Text only, no driver: everything here is a pure
// function of the plan and a position, so it can be tested for engines that aren't at hand.
//
// Pages are key-set pages: each is a statement of its own that starts behind the last row of the page before, so a read
// can stop and resume after any row and no statement stays open at the source for long.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bgworker/clock/watermark_literal.hpp"
#include "bgworker/connector/odbc/sql/dialect.hpp"
#include "bgworker/connector/odbc/sql/relation.hpp"
#include "bgworker/connector/odbc/sql/time_window.hpp"
#include "bgworker/connector/odbc/sql/types.hpp"
#include "bgworker/connector/output/source.hpp"

namespace insync::odbc {

// One part of the order of pages.
struct PagePart {
    std::size_t column = 0;  // whose literal a position keeps
    std::string reference;   // what stands in ORDER BY and in conditions
};

struct ReadPlan {
    Dialect dialect = Dialect::generic;
    Relation relation;
    std::vector<SourceColumn> columns;    // as selected: first those that are sent, then those only read for paging
    std::vector<std::string> references;  // each column in an expression: s."id", COALESCE(s."a", s."b")
    std::size_t sent = 0;
    std::vector<std::size_t> key;      // indexes into columns
    std::vector<PagePart> page_order;  // as many parts as the key has
    std::optional<std::size_t> watermark;
    WatermarkKind kind = WatermarkKind::none;
    std::optional<SourceColumn> full_marker;  // what a query's :watermark is compared with, in a read without watermark
    std::string lowest_marker;                // what :watermark is to be where all rows are meant
    std::optional<PlanWindow> window;         // of pages in key order
    std::size_t page_rows = 50000;            // 0: no pages, one statement reads everything

    bool has_nullable_key() const;
    // The column with which a query's :watermark is compared; none where nobody said which.
    const SourceColumn* marker() const;
    bool has_nullable_watermark() const { return watermark && columns[*watermark].nullable; }
};

// The plan for a request over a relation. Raises Failure (config) for unknown columns.
ReadPlan make_read_plan(Dialect dialect, Relation relation, const ReadRequest& request);

// The kind of a watermark column, and of its literals where one is known: a text column may hold times.
WatermarkKind watermark_kind(const SourceColumn& column, const std::optional<std::string>& literal);

// A literal below all others of the column, where a query's :watermark has no earlier value.
std::string lowest_literal(Dialect dialect, const SourceColumn& column, WatermarkKind kind);

struct StatementText {
    std::string purpose;
    std::string sql;
    std::vector<std::string> parameters;
};

// Where a page starts: behind the row with this watermark and key.
struct After {
    std::string watermark;
    std::vector<std::string> key;
};

// What a read of changes is bounded by. `low` is inclusive, unless it is known, and `high` exclusive; either may be
// missing. `marker` is the value of a query's :watermark.
struct Bounds {
    std::optional<std::string> low = {};
    std::optional<std::string> high = {};
    std::optional<std::string> marker = {};
    bool low_is_known = false;  // the rows at `low` were read and can't have changed
    // Where texts are compared: a condition that is true of those written like `low`. Others are read from
    // `others_from` on, as they may sort below it and mean more.
    std::string alike = {};
    std::string others_from = {};
};

// A page in key order; `only_null_watermarks` restricts it to rows without a watermark.
StatementText key_page(const ReadPlan& plan, const std::optional<After>& after, bool only_null_watermarks,
                       const Bounds& bounds);

// A page in key order of the rows with these keys.
using Keys = std::vector<std::vector<std::string>>;
StatementText rows_of_keys(const ReadPlan& plan, const Keys& keys, const std::optional<After>& after,
                           const Bounds& bounds);

// A page in the order of watermark and key.
StatementText changes_page(const ReadPlan& plan, const std::optional<After>& after, const Bounds& bounds);

// Everything that a read of changes reads, in one statement: at most `rows` rows, without a watermark or a key too.
// Those without a watermark come first.
StatementText poll_page(const ReadPlan& plan, const Bounds& bounds, std::size_t rows);

// The rows whose key has a NULL, which no page can hold. With a low bound: those at or above it.
StatementText null_key_rows(const ReadPlan& plan, const Bounds& bounds);

// Selects the highest watermark as a literal, of those at or below `cap` where one is given.
StatementText max_watermark(const ReadPlan& plan, const std::optional<std::string>& cap, const Bounds& bounds);

StatementText count_null_watermarks(const ReadPlan& plan, const Bounds& bounds);

// How many rows there are from the low bound to `last`, that one included.
StatementText count_overlap(const ReadPlan& plan, const std::string& last, const Bounds& bounds);

// The watermarks of some rows, as literals.
StatementText some_watermarks(const ReadPlan& plan, std::size_t rows, const Bounds& bounds);

// Selects one value of these columns (indexes in plan.columns) that several rows share, or nothing.
StatementText duplicate_key(const ReadPlan& plan, const std::vector<std::size_t>& key);

// Selects the storage classes of the lowest and the highest value of a column (SQLite).
StatementText storage_classes(const ReadPlan& plan, std::size_t column);

// Some values of an expression that aren't NULL, or NULL where one isn't a text (SQLite).
StatementText some_values(const ReadPlan& plan, const std::string& expression, std::size_t rows);

// The first rows, in no order.
StatementText preview_rows(const ReadPlan& plan, std::size_t rows);

}  // namespace insync::odbc
