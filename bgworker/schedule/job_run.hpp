// Does a job of work that was taken: whatever its kind, its failure ends up in the books.
#pragma once

#include "bgworker/catalog/job.hpp"
#include "bgworker/catalog/transactions.hpp"
#include "bgworker/source/session.hpp"

namespace insync {

// Throws pg::Error after the failure was recorded.
void run_job(const Stream& stream, const Job& job, SourceSession& session, Transactions& transactions);

}  // namespace insync
