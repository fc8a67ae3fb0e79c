// Whether the slices of a date or time are filled so steadily that one without rows means something.
//
// Pure. A business date is; a delivery day, a birthday, or the time of the last change of a few rows isn't: what it
// leaves empty says nothing, and an alarm about that would be false.
#pragma once

#include <cstdint>
#include <string>

#include "bgworker/gaps/gaps.hpp"

namespace insync {

struct Steadiness {
    enum class Kind {
        steady,
        unsteady,
        too_few,  // not enough slices to tell
    };
    Kind kind = Kind::too_few;
    std::string reason;    // why it isn't steady, as a clause; otherwise empty
    double empty = 0;      // share of the slices that are empty, without those that are empty by habit
    std::int64_t lag = 0;  // slices before now that nothing has come for yet
};

// `series`: slices, unit and now are looked at. `without_time`: rows of the same stream that are in no slice.
Steadiness judge_steadiness(const Series& series, std::int64_t without_time);

// Rows that were moved from one slice to another, of all rows there are: too many for a ledger, whose slices are to
// keep what they hold. Of a watermark each is, as it shows that the watermark is the time of the last change.
bool moves_too_much(std::int64_t moved, std::int64_t rows, bool is_watermark);

}  // namespace insync
