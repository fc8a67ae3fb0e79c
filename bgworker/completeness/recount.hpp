// Counts the rows that a target held before its stream did, or that others have changed since: a profile.
//
// All rows are counted in one statement, whose snapshot is taken while nothing of the stream is being applied. What is
// applied later adds to the ledger by itself, so that both together are exact, and runs go on meanwhile. A profile that
// is interrupted begins again.
#pragma once

#include "bgworker/catalog/job.hpp"
#include "bgworker/catalog/transactions.hpp"

namespace insync {

// Returns the number of rows counted. Throws pg::Error; (lock not available) where the stream is running.
std::int64_t profile_target(const Stream& stream, const Job& job, Transactions& transactions);

}  // namespace insync
