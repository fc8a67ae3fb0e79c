// Runs pieces of work; see job_run.hpp.
#include "bgworker/job_run.hpp"

#include "bgworker/backfill.hpp"
#include "bgworker/profile.hpp"
#include "bgworker/shared_state.hpp"
#include "bgworker/stream_lock.hpp"

namespace insync {

namespace {

void backfill(const Stream& stream, const Job& job, SourceSession& session, Transactions& transactions) {
    StreamLock lock(stream.id, 0, StreamLock::Until::scope_end, StreamLock::Sharing::backfills);
    if (!lock.held()) throw pg::Error(ERRCODE_LOCK_NOT_AVAILABLE, "stream \"" + stream.name + "\" is running");
    ConnectorProcess& connector = session.open(stream, transactions);
    try {
        Backfill(stream, job, transactions).execute(connector);
    } catch (...) {
        // In the middle of an answer, or dead.
        session.close();
        throw;
    }
}

void run_kind(const Stream& stream, const Job& job, SourceSession& session, Transactions& transactions) {
    switch (job.kind) {
        case JobKind::profile:
            profile_target(stream, job, transactions);
            return;
        case JobKind::backfill:
            return backfill(stream, job, session, transactions);
        case JobKind::verify:
            break;
    }
    throw pg::Error(ERRCODE_FEATURE_NOT_SUPPORTED, "unknown kind of work");
}

}  // namespace

void run_job(const Stream& stream, const Job& job, SourceSession& session, Transactions& transactions) {
    try {
        transactions.run([&] { begin_job(job); });
        run_kind(stream, job, session, transactions);
        shared::announce_run_end();
    } catch (pg::Error& error) {
        transactions.rollback();
        error.context = "stream " + stream.name + ", " + name_of(job.kind) + " " + std::to_string(job.run_id);
        transactions.run([&] {
            // Dropped streams took their work with them.
            if (!load_stream(stream.id)) return;
            if (error.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE) {
                postpone_job(job);
            } else {
                fail_job(stream, job, error);
            }
        });
        shared::announce_run_end();
        error.recorded = true;
        throw;
    }
}

}  // namespace insync
