// Judges the slices of a stream: which are missing, short or different from the source, and how far it is behind.
//
// Pure. Every slice from the first that holds rows to the last closed one is expected, unless the calendar leaves it
// out. What the source said when it was asked last (a verification, a backfill) overrides the calendar and all guesses.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "bgworker/clock/slice.hpp"

namespace insync {

// A slice as insync.slice has it. `touched` and `verified` are instants, of any clock that they have in common.
struct Slice {
    WallUs begin = 0;
    std::int64_t rows = 0;
    std::int64_t touched = 0;
    std::optional<std::int64_t> verified;
    std::optional<std::int64_t> source_rows;
    std::int64_t differences = 0;
};

// What there is of a stream, and what it is measured by.
struct Series {
    SliceUnit unit = SliceUnit::day;
    std::vector<Slice> slices;  // in order of time, without those of rows that have no time
    WallUs now = 0;             // slices that begin later aren't judged, whatever they hold
    WallUs due = 0;             // all that ends before or then should be here
    // When the source was last read: what ends later, and is due, isn't all here. Nothing: not known.
    std::optional<WallUs> read_at;
    // The source was read to its end since the data was due: what isn't here yet, it hasn't got.
    bool read_since_due = false;
    // When the source was last read to its end, whatever is due: what lies shortly before may still come to the source.
    // Nothing: not known.
    std::optional<WallUs> settled_until;
    std::int64_t lag = 0;  // so many slices before now the source usually has nothing yet
    // Before then, long stretches without rows were there when the source was first read as a whole: a closed season.
    WallUs first_read = earliest_wall;
    // Slices that the source wasn't asked about are judged as well, by what is usual.
    bool guesses = true;
    double short_below = 0.25;  // share of the usual rows; 0: nothing is short
    std::function<bool(WallUs)> left_out = [](WallUs) { return false; };  // by the calendar
};

enum class Verdict {
    whole,
    closed,   // left out by the calendar, and empty
    missing,  // no rows
    fewer,    // than usual, or than the source has: short
    differs,  // rows that aren't the source's, or too many
    late,     // no rows, or not all, nor any after it: the data hasn't come yet, as the source wasn't read
    stopped,  // no rows, nor any after it, though the source was read: it has got none
};

struct Judged {
    WallUs begin = 0, end = 0;
    Verdict verdict = Verdict::whole;
    std::int64_t rows = 0;
    std::optional<std::int64_t> expected;  // rows; nothing where nobody knows
    std::int64_t differences = 0;
    bool verified = false;       // the verdict is the source's
    bool usually_empty = false;  // no rows, as is usual for such a slice
};

// The slice in which the stream begins: the first that holds rows, but for rows with times that are far from all
// others', such as the 1900-01-01 that stands for none. Nothing where no slice holds rows.
std::optional<WallUs> first_slice(const Series& series);

// The verdict on every slice from the first one on, in order of time. One that isn't closed yet is judged only where
// the source was asked about it.
std::vector<Judged> judge(const Series& series);

// Slices of one kind without a whole one between them.
struct Gap {
    Verdict kind = Verdict::missing;
    WallUs begin = 0, end = 0;  // of the first, and of the last
    std::int64_t slices = 0;    // without closed ones
    std::int64_t usually_empty = 0;
    std::int64_t rows = 0;
    std::optional<std::int64_t> expected;
    std::int64_t differences = 0;
    bool verified = false;  // all of them
};
std::vector<Gap> find_gaps(const std::vector<Judged>& judged);

// 'missing', 'short', 'differs', 'late', 'stopped'.
std::string_view name_of(Verdict verdict);

struct Coverage {
    std::int64_t expected = 0, whole = 0;  // slices
    std::int64_t missing = 0, fewer = 0, differing = 0, late = 0, stopped = 0;
    std::int64_t days_behind = 0;  // days of late slices, without those that are usually empty

    // Hundredths of a percent of the expected slices that are whole, rounded down; nothing where none is expected.
    std::optional<std::int64_t> completeness() const;
};
Coverage count_coverage(const std::vector<Judged>& judged);

enum class Severity { ok, info, warning, critical };
std::string_view name_of(Severity severity);

// From how many slices of a gap on it is a warning, or critical; those that are usually empty don't count, and a gap
// of only those is info.
struct Thresholds {
    std::int64_t warning = 1, critical = 3;
};
Severity severity_of(const Gap& gap, const Thresholds& thresholds);

}  // namespace insync
