// Runs jobs of work; see job_run.hpp.
#include "bgworker/schedule/job_run.hpp"

#include "bgworker/catalog/runs.hpp"
#include "bgworker/catalog/stream_lock.hpp"
#include "bgworker/completeness/backfill.hpp"
#include "bgworker/completeness/recount.hpp"
#include "bgworker/completeness/verification.hpp"
#include "bgworker/shmem/shared_state.hpp"

namespace insync {

namespace {

// As it is once its lock is held.
Stream locked_stream(const Stream& stream, Transactions& transactions) {
    auto found = transactions.run([&] { return load_stream(stream.id); });
    if (!found) throw pg::Error(ERRCODE_LOCK_NOT_AVAILABLE, "stream \"" + stream.name + "\" was dropped");
    return std::move(*found);
}

void backfill(const Stream& asked, const Job& job, SourceSession& session, Transactions& transactions) {
    StreamLock lock(asked.id, 0, StreamLock::Until::scope_end, StreamLock::Sharing::backfills);
    if (!lock.held() || shared::is_wanted(asked.id))
        throw pg::Error(ERRCODE_LOCK_NOT_AVAILABLE, "stream \"" + asked.name + "\" is running");
    const Stream stream = locked_stream(asked, transactions);
    ConnectorProcess& connector = session.open(stream, transactions);
    try {
        Backfill(stream, job, transactions).execute(connector);
    } catch (...) {
        // In the middle of an answer, or dead.
        session.close();
        throw;
    }
}

// What differs is read again by a run of its own, if the workers are to repair.
void repair(const Stream& stream, Verification& verification, Transactions& transactions) {
    if (!stream.options.auto_repair || verification.is_whole()) return;
    const auto windows = verification.broken_windows();
    transactions.run([&] {
        if (!verification.can_read_again_by_time()) {
            Runs::insert(stream, "full", "queued", "request");
        } else if (!windows.empty()) {
            queue_jobs(stream, JobKind::backfill, windows, {{"auto", true}}, "retry");
        }
    });
}

void verify(const Stream& asked, const Job& job, SourceSession& session, Transactions& transactions) {
    StreamLock lock(asked.id);
    if (!lock.held()) throw pg::Error(ERRCODE_LOCK_NOT_AVAILABLE, "stream \"" + asked.name + "\" is running");
    const Stream stream = locked_stream(asked, transactions);
    const auto depth = depth_of(text_member(job.options, "depth")).value_or(Depth::rows);
    Verification verification(stream, job.window, depth, transactions);
    try {
        (void)verification.execute(session);
    } catch (...) {
        session.close();
        throw;
    }
    transactions.run([&] {
        verification.record(job.run_id);
        RunCounts counts;
        counts.rows_read = verification.source_rows();
        add_progress(job, counts);
        finish_job(job, counts.rows_read, verification.is_whole() ? "" : verification.message());
    });
    repair(stream, verification, transactions);
}

void run_kind(const Stream& stream, const Job& job, SourceSession& session, Transactions& transactions) {
    switch (job.kind) {
        case JobKind::profile:
            profile_target(stream, job, transactions);
            return;
        case JobKind::backfill:
            return backfill(stream, job, session, transactions);
        case JobKind::verify:
            return verify(stream, job, session, transactions);
    }
}

}  // namespace

void run_job(const Stream& stream, const Job& job, SourceSession& session, Transactions& transactions) {
    try {
        transactions.run([&] { begin_job(job); });
        run_kind(stream, job, session, transactions);
        shared::announce_run_end();
    } catch (pg::Error& error) {
        transactions.rollback();
        error.set_context("stream " + stream.name + ", " + name_of(job.kind) + " " + std::to_string(job.run_id));
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
