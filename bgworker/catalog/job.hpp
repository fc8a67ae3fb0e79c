// Work beside the scheduled runs, in jobs that workers take one by one when nothing is due: the slices of a backfill,
// verifications, profiles. Each job can be begun again at any time: what it writes is idempotent, and that it is done
// is recorded in the transaction of its last rows. The jobs of one request share a run, which ends with the last one.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bgworker/catalog/job_lock.hpp"
#include "bgworker/catalog/runs.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace insync {

enum class JobKind { profile, backfill, verify };
std::string name_of(JobKind kind);

// A stretch of slices, [from, to), in local times of the ledger's zone as PostgreSQL writes them; nothing: no bound.
struct SliceWindow {
    std::optional<std::string> from, to;
};

struct Job {
    std::int64_t id = 0, run_id = 0;
    int stream_id = 0;
    JobKind kind = JobKind::profile;
    SliceWindow window;
    nlohmann::json options = nlohmann::json::object();
    int attempts = 0;  // this one included
};

// Each of these makes its own Spi, as the extension's owner, in the caller's transaction.

// A run of `windows.size()` jobs, to be taken in this order. Returns its number.
std::int64_t queue_jobs(const Stream& stream, JobKind kind, const std::vector<SliceWindow>& windows,
                        const nlohmann::json& options, const std::string& trigger);
// A run of one job that this process does at once.
Job begin_own_job(const Stream& stream, JobKind kind, const SliceWindow& window, const nlohmann::json& options);
// The run of this kind that is under way or waiting already; nothing: none.
std::optional<std::int64_t> open_run(const Stream& stream, JobKind kind);
// The target's rows are to be counted, unless they are going to be already. Returns the run.
std::int64_t queue_profile(const Stream& stream);

// What waits on each server, or on one: how many jobs, and from when on the next can be taken. A profile needs no
// source, nor does it keep a server's worker from its runs: it waits on none.
struct OpenJobs {
    std::string server;  // empty: on none
    std::int64_t count = 0;
    TimestampTz due = DT_NOEND;
};
std::vector<OpenJobs> open_jobs(const std::string& server);
// Takes the next job on this server (on none, where it is empty), not of the streams in `but`, and locks it.
std::optional<Job> take_job(const std::string& server, const std::vector<int>& but, JobLock& lock);
// In a transaction of its own, after that of take_job(): the run has begun. Throws (cancelled) where it has ended.
void begin_job(const Job& job);
// Somebody is in the way: the job is tried again in a moment, which is no failure.
void postpone_job(const Job& job);
// Adds to the counts of the run of a job. Throws (cancelled) where the run was cancelled, or is gone.
void add_progress(const Job& job, const RunCounts& counts);
// The job is done; the run ends with its last.
void finish_job(const Job& job, std::int64_t rows, const std::string& message);
// The job is done, but for what the guard of deletes refused; the others go on, and the run fails at its end.
void refuse_job(const Job& job, const pg::Error& error);
// The job failed: it waits and is tried again, or the run fails with it. Returns true if it is tried again.
bool fail_job(const Stream& stream, const Job& job, const pg::Error& error);
// Ends the open runs of the stream that consist of jobs; returns their numbers.
std::vector<std::int64_t> cancel_jobs(int stream_id, const std::string& reason = "cancelled");

}  // namespace insync
