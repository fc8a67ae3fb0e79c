// When a stream's rows are expected: its options open_days, holidays and calendar.
//
// Days, or hours where slices are hours, are left out if any of the three leaves them out; a week or month is if all
// of its days are. What the options read of this database, they read as the stream's owner.
#pragma once

#include <vector>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/clock/slice.hpp"
#include "bgworker/options/weekdays.hpp"

namespace insync {

class Calendar {
  public:
    // Reads what is needed for the slices from `begin` to before `end`. Throws pg::Error that names option and stream.
    Calendar(const Stream& stream, SliceUnit unit, WallUs begin, WallUs end);

    bool leaves_out(WallUs slice) const;

  private:
    void close(WallUs step);
    void read_holidays(const Stream& stream);
    void ask_calendar(const Stream& stream);

    SliceUnit unit_;
    WallUs begin_, end_, step_;
    std::vector<bool> closed_;  // each step from begin_ on
};

// Throws pg::Error where an option names what isn't there, or isn't what it should be. Needs an Spi in scope, as the
// stream's owner with pinned settings.
void check_calendar(const Stream& stream);

}  // namespace insync
