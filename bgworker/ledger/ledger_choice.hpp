// Whether a ledger's column is one whose slices are filled steadily, so that what is empty is a gap; and if not,
// whether another column of the target is.
//
// Asked when the first rows are there: at the end of a run that wrote some, and of a profile. What is found is recorded
// in insync.ledger, so that what is lost later doesn't make the column look unsteady.
#pragma once

#include "bgworker/catalog/stream.hpp"
#include "bgworker/gaps/steadiness.hpp"

namespace insync {

// Looks at the data where that hasn't been done yet, where too little was there, or where rows turned out to move from
// slice to slice; with `again`, also where no column was steady. Nothing to do for a column that option slice_column
// names. Needs a transaction. An error of the owner's objects is recorded as the reason.
void judge_ledger(const Stream& stream, bool again = false);

// Is the target's column filled by the stream's watermark? Then it may be the time of the last change.
bool is_filled_by_watermark(const Stream& stream, const std::string& column);

}  // namespace insync
