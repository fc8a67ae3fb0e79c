// Which rows of a target that several streams write are a stream's own.
#pragma once

#include <string>
#include <vector>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/target/statement.hpp"

namespace insync {

// SQL over t: the rows that have the constants which the stream's mapping gives to columns of the key; empty: it gives
// none, so that nothing tells its rows from others'.
std::string stream_scope(const ApplyShape& shape, const std::vector<SourceColumn>& columns);

// True if another stream has the same target. Asked when it matters: one may have been made meanwhile.
bool target_is_shared(const Stream& stream);

}  // namespace insync
