// How many rows a slice usually holds, learned from the stream's own slices, and which slices are usually empty.
//
// Slices are compared with those of their group: the same weekday for days, the same hour of the same weekday for
// hours, all for weeks and months. Only the dozen nearest in time count, so that seasons and growth move what is usual
// along. Medians of logarithms, and deviations measured by medians, aren't moved by outliers, nor by the very gaps that
// are looked for. What is judged is never part of what it is measured by.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "bgworker/clock/slice.hpp"

namespace insync {

// The group of a slice; below group_count(unit).
std::size_t group_of(WallUs slice, SliceUnit unit);
std::size_t group_count(SliceUnit unit);

// The median; 0 of none.
double median(std::vector<double> values);

// Longer stretches of empty slices than this don't belong to the rhythm of a week, a month of weeks, or a year of
// months.
std::size_t longest_rhythm(SliceUnit unit);

struct Band {
    double median = 0;  // rows that are usual
    double lower = 0;   // fewer are short
};

class ExpectedVolume {
  public:
    struct Sample {
        WallUs slice;
        double rows;  // more than 0
    };

    // `samples` in order of time. `short_below`: what share of the median is short at the most, 0 to 1.
    ExpectedVolume(SliceUnit unit, const std::vector<Sample>& samples, double short_below);

    // What a slice may be expected to hold by those around it; nothing where too few are known: 4 of its group, or 8.
    std::optional<Band> band(WallUs slice) const;

  private:
    struct Point {
        WallUs slice;
        double log_rows;
    };
    using Points = std::vector<Point>;

    std::optional<double> usual_log(WallUs slice) const;
    bool is_stranger(WallUs slice) const;  // too few others are of its group

    SliceUnit unit_;
    double short_below_;
    std::vector<Points> groups_;
    Points all_;
    double deviation_ = 0;                  // of all slices from what is usual for them
    std::vector<double> group_deviations_;  // where a group deviates more than all do; else 0
};

// Which groups are more often empty than not, as Sundays of a shop that is closed on Sundays. Long stretches without
// rows are holes, and say nothing of habits, unless such stretches are the habit. What was empty a year before is
// usually empty, too, as a shop that closes in August.
class WeekdayPattern {
  public:
    // Whether each slice holds rows, from the first one that does to the last, in order of time.
    struct Day {
        WallUs slice;
        bool empty;
    };
    WeekdayPattern(SliceUnit unit, const std::vector<Day>& days);

    bool usually_empty(WallUs slice) const;
    // So many slices in a row may be empty by chance, where some are empty now and then, or those that aren't hold few
    // rows: this many, usually. 0: no empty slice is usual.
    std::size_t usual_stretch(double rows) const;

  private:
    bool empty_by_group(WallUs slice) const;
    bool empty_a_year_before(WallUs slice) const;

    SliceUnit unit_;
    std::vector<std::size_t> held_, empty_;
    std::vector<WallUs> empty_slices_;  // in order of time
    double expected_ = 1;               // slices that aren't empty by habit
    std::size_t usual_stretch_ = 0;     // as far as empty ones tell
};

}  // namespace insync
