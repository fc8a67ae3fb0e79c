// What the apply statement needs of a stream and its target: which columns are filled by what, and what deletes a row.
#pragma once

#include <vector>

#include "bgworker/target/target.hpp"

namespace insync {

// Maps a stream's source columns to its target and builds what the apply statement needs. Throws where a mapped column
// doesn't exist or can't be updated, the key isn't unique in the target, or a naive time would meet a timestamptz
// without a zone.
ApplyShape build_shape(const Stream& stream, const std::vector<SourceColumn>& columns, const Target& target);

}  // namespace insync
