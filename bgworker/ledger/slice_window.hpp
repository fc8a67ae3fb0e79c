// A stretch of slices in the words of the source, which is asked for it, and of the target, whose rows it holds.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bgworker/catalog/job.hpp"
#include "bgworker/catalog/stream.hpp"
#include "bgworker/ledger/ledger.hpp"
#include "bgworker/protocol/request.hpp"
#include "bgworker/target/target.hpp"

namespace insync {

// The source column that fills the ledger's column as it is, but for its type; nullptr: it is computed, so that the
// source can't be asked for a slice.
const SourceColumn* slice_source(const Stream& stream, const Ledger& ledger);
// The same; throws (config) where there is none, with what to do.
const SourceColumn& require_slice_source(const Stream& stream, const Ledger& ledger);

// True if the source takes a question for a stretch of that column: each database does, of APIs those whose requests
// can say so. Makes its own Spi.
bool can_ask_for_windows(const Stream& stream, const SourceColumn& column);

// The member `window` of a read request: what the source has in these slices, and where its times are of another zone
// than the ledger's, up to an hour around them. Needs an Spi in scope.
Window source_window(const Stream& stream, const Ledger& ledger, const TargetColumn& column, const SliceWindow& window);

// SQL over t: the target's rows in these slices, such that an index on the column can be used.
std::string target_window(const Ledger& ledger, const TargetColumn& column, const SliceWindow& window);

// The same window with bounds at whole slices: "from" moved to the beginning of its slice, "to" to the end. Makes its
// own Spi.
SliceWindow whole_slices(const std::optional<Ledger>& ledger, const SliceWindow& window);

}  // namespace insync
