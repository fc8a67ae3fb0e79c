// A run from the first connection to its record in the history.
#pragma once

#include "bgworker/run/run.hpp"
#include "bgworker/source/session.hpp"

namespace insync {

// Runs a stream, whose lock the caller holds, from opening its server to the end of the run. Throws pg::Error after the
// failure was recorded; `retry_at` says when it is to be tried again.
RunCounts run_stream(const Stream& stream, const RunRequest& request, SourceSession& session,
                     Transactions& transactions);

}  // namespace insync
