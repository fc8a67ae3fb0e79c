// Queues, takes and finishes jobs of work; see job.hpp.
#include "bgworker/catalog/job.hpp"

#include <algorithm>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/outcome.hpp"
#include "bgworker/catalog/runs.hpp"
#include "bgworker/clock/back_off.hpp"

namespace insync {

namespace {

constexpr std::string_view kinds[] = {"profile", "backfill", "verify"};
// How many jobs are looked at for one that nobody is at.
constexpr const char* candidates = "64";
// Nobody is at it: it waits, or runs where the process that took it is gone.
constexpr const char* is_free =
    "(j.status = 'pending' OR j.status = 'running' AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid = "
    "j.pid AND a.datname = current_database() AND a.backend_start <= j.started_at))";
constexpr const char* waits_on = "CASE j.kind WHEN 'profile' THEN '' ELSE s.server::text END";

void end_pieces(std::int64_t run_id, const std::string& status) {
    pg::query(
        "UPDATE insync.job AS j SET status = $2, ended_at = clock_timestamp() WHERE j.run_id = $1::bigint AND j.status "
        "IN ('pending', 'running')",
        {std::to_string(run_id), status});
}

std::string whole_message(const pg::Error& error) {
    return error.message + (error.detail.empty() ? "" : "\nDETAIL: " + error.detail) +
           (error.hint.empty() ? "" : "\nHINT: " + error.hint);
}

void end_job(const Job& job, const std::string& status, const pg::Value& rows, const std::string& message) {
    pg::query(
        "UPDATE insync.job AS j SET status = $2, ended_at = clock_timestamp(), rows = $3::bigint, message = nullif($4, "
        "'') WHERE j.id = $1::bigint AND j.status = 'running'",
        {std::to_string(job.id), status, rows, message});
}

// Whoever finishes another job of the run at the same moment has waited for the run's lock, and sees this one ended.
void end_run_after_last(std::int64_t run_id) {
    auto open = pg::query(
        "SELECT FROM insync.job AS j WHERE j.run_id = $1::bigint AND j.status IN ('pending', 'running') LIMIT 1",
        {std::to_string(run_id)});
    if (!open.empty()) return;
    auto words = pg::query(
        "SELECT string_agg(x.message, '; '), bool_or(x.status = 'failed') FROM (SELECT j.message, j.status FROM "
        "insync.job AS j WHERE j.run_id = $1::bigint AND j.message IS NOT NULL ORDER BY j.status = 'failed' DESC, j.id "
        "LIMIT 3) AS x",
        {std::to_string(run_id)});
    Runs::end(run_id, words.first()[1] == "t" ? "failed" : "succeeded", nullptr, words.first()[0]);
}

[[noreturn]] void was_cancelled(const Job& job) {
    throw pg::Error(ERRCODE_QUERY_CANCELED, "the " + name_of(job.kind) + " was cancelled, or its stream dropped");
}

}  // namespace

std::string name_of(JobKind kind) {
    return std::string(kinds[static_cast<std::size_t>(kind)]);
}

std::int64_t queue_jobs(const Stream& stream, JobKind kind, const std::vector<SliceWindow>& windows,
                        const nlohmann::json& options, const std::string& trigger) {
    std::int64_t run_id = Runs::insert(stream, name_of(kind), "queued", trigger);
    std::vector<std::string> from, to;
    nlohmann::json bounds = nlohmann::json::array();
    for (const auto& window : windows) {
        bounds.push_back({{"f", window.from ? nlohmann::json(*window.from) : nlohmann::json()},
                          {"t", window.to ? nlohmann::json(*window.to) : nlohmann::json()}});
    }
    Bookkeeping bookkeeping;
    pg::query(
        "INSERT INTO insync.job (run_id, stream_id, kind, window_from, window_to, options)"
        " SELECT $1::bigint, $2::integer, $3, w.f, w.t, $5::jsonb FROM ROWS FROM (jsonb_to_recordset($4::jsonb)"
        " AS (f timestamp, t timestamp)) WITH ORDINALITY AS w (f, t, n) ORDER BY w.n",
        {std::to_string(run_id), std::to_string(stream.id), name_of(kind), bounds.dump(), options.dump()});
    return run_id;
}

Job begin_own_job(const Stream& stream, JobKind kind, const SliceWindow& window, const nlohmann::json& options) {
    Job job;
    job.run_id = Runs::insert(stream, name_of(kind), "running", "call");
    job.stream_id = stream.id;
    job.kind = kind;
    job.window = window;
    job.options = options;
    job.attempts = 1;
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "INSERT INTO insync.job AS j (run_id, stream_id, kind, window_from, window_to, options, status, attempts, "
        "pid, started_at) VALUES ($1::bigint, $2::integer, $3, $4::timestamp, $5::timestamp, $6::jsonb, 'running', 1, "
        "pg_backend_pid(), clock_timestamp()) RETURNING j.id",
        {std::to_string(job.run_id), std::to_string(stream.id), name_of(kind), window.from, window.to, options.dump()});
    job.id = std::stoll(*rows.first()[0]);
    return job;
}

std::optional<std::int64_t> open_run(const Stream& stream, JobKind kind) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "SELECT j.run_id FROM insync.job AS j WHERE j.stream_id = $1::integer AND j.kind = $2 AND j.status IN "
        "('pending', 'running') ORDER BY j.run_id LIMIT 1",
        {std::to_string(stream.id), name_of(kind)});
    if (rows.empty()) return std::nullopt;
    return std::stoll(*rows.first()[0]);
}

std::int64_t queue_profile(const Stream& stream) {
    if (auto run_id = open_run(stream, JobKind::profile)) return *run_id;
    return queue_jobs(stream, JobKind::profile, {{}}, nlohmann::json::object(), "request");
}

std::vector<OpenJobs> open_jobs(const std::string& server) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        std::string(
            "SELECT x.server, count(*), (extract(epoch FROM min(coalesce(j.not_before, '2000-01-01 00:00 UTC')))"
            " * 1000000)::bigint - 946684800000000 FROM insync.job AS j JOIN insync.stream AS s ON s.id = "
            "j.stream_id CROSS JOIN LATERAL (SELECT ") +
            waits_on +
            " AS server) AS x WHERE ($1 = '' OR x.server = $1) AND NOT s.paused AND j.status IN ('pending', "
            "'running') AND " +
            is_free + " GROUP BY x.server",
        {server});
    std::vector<OpenJobs> open;
    for (const auto& row : rows.rows) open.push_back({*row[0], std::stoll(*row[1]), std::stoll(*row[2])});
    return open;
}

std::optional<Job> take_job(const std::string& server, const std::vector<int>& but, JobLock& lock) {
    std::string others = "{";
    for (int id : but) others += (others.size() > 1 ? "," : "") + std::to_string(id);
    Bookkeeping bookkeeping;
    auto rows = pg::query(std::string("SELECT j.id FROM insync.job AS j JOIN insync.stream AS s ON s.id = j.stream_id"
                                      " WHERE ") +
                              waits_on +
                              " = $1 AND NOT s.paused AND j.stream_id <> ALL ($2::integer[])"
                              " AND (j.not_before IS NULL OR j.not_before <= clock_timestamp()) AND " +
                              is_free + " ORDER BY j.kind = 'backfill', j.id LIMIT " + candidates +
                              " FOR UPDATE OF j SKIP LOCKED",
                          {server, others + "}"});
    for (const auto& row : rows.rows) {
        if (!lock.take(std::stoll(*row[0]))) continue;
        auto taken = pg::query(
            "UPDATE insync.job AS j SET status = 'running', attempts = j.attempts + 1, pid = pg_backend_pid(),"
            " started_at = clock_timestamp() WHERE j.id = $1::bigint"
            " RETURNING j.id, j.run_id, j.stream_id, j.kind, j.window_from, j.window_to, j.options, j.attempts",
            {row[0]});
        const auto& found = taken.first();
        Job job;
        job.id = std::stoll(*found[0]);
        job.run_id = std::stoll(*found[1]);
        job.stream_id = std::stoi(*found[2]);
        job.kind = static_cast<JobKind>(std::find(std::begin(kinds), std::end(kinds), *found[3]) - std::begin(kinds));
        job.window = {found[4], found[5]};
        job.options = nlohmann::json::parse(*found[6]);
        job.attempts = std::stoi(*found[7]);
        return job;
    }
    return std::nullopt;
}

void begin_job(const Job& job) {
    if (!Runs::begin(job.run_id)) was_cancelled(job);
}

void postpone_job(const Job& job) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.job AS j SET status = 'pending', attempts = j.attempts - 1, not_before = clock_timestamp() + "
        "interval '1 second' WHERE j.id = $1::bigint AND j.status = 'running'",
        {std::to_string(job.id)});
}

void add_progress(const Job& job, const RunCounts& counts) {
    if (!Runs::add_progress(job.run_id, counts)) was_cancelled(job);
}

void finish_job(const Job& job, std::int64_t rows, const std::string& message) {
    Bookkeeping bookkeeping;
    Runs::lock(job.run_id);
    end_job(job, "done", std::to_string(rows), message);
    end_run_after_last(job.run_id);
}

void refuse_job(const Job& job, const pg::Error& error) {
    Bookkeeping bookkeeping;
    Runs::lock(job.run_id);
    end_job(job, "failed", std::nullopt, whole_message(error));
    end_run_after_last(job.run_id);
}

bool fail_job(const Stream& stream, const Job& job, const pg::Error& error) {
    const std::string message = whole_message(error);
    const bool cancelled = error.sqlstate == ERRCODE_QUERY_CANCELED;
    const bool again = !cancelled && !error.is_permanent() && job.attempts <= stream.options.max_retries.value;
    Bookkeeping bookkeeping;
    Runs::lock(job.run_id);
    if (error.error_class == pg::ErrorClass::auth) hold_after_refused_login(stream);
    if (!again) {
        end_job(job, cancelled ? "cancelled" : "failed", std::nullopt, message);
        end_pieces(job.run_id, "cancelled");
        Runs::end(job.run_id, cancelled ? "cancelled" : "failed", &error, message);
        return false;
    }
    const BackOff back_off{stream.options.retry_delay, stream.options.retry_backoff == RetryBackOff::doubled,
                           static_cast<long>(stream.options.max_retries)};
    const auto pause =
        error.retry_after_ms >= 0 ? asked_pause(error.retry_after_ms) : back_off.pause_after(job.attempts);
    pg::query("UPDATE insync.job AS j SET status = 'pending', message = $2 WHERE j.id = $1::bigint",
              {std::to_string(job.id), message});
    // What one job can't reach, the others can't either.
    pg::query(
        "UPDATE insync.job AS j SET not_before = clock_timestamp() + $2::bigint * interval '1 millisecond' WHERE "
        "j.run_id = $1::bigint AND j.status = 'pending'",
        {std::to_string(job.run_id), std::to_string(pause.count())});
    return true;
}

std::vector<std::int64_t> cancel_jobs(int stream_id, const std::string& reason) {
    Bookkeeping bookkeeping;
    std::vector<std::int64_t> cancelled;
    for (const auto& row : pg::query("SELECT DISTINCT j.run_id FROM insync.job AS j WHERE j.stream_id = $1::integer AND"
                                     " j.status IN ('pending', 'running') ORDER BY 1",
                                     {std::to_string(stream_id)})
                               .rows) {
        const std::int64_t run_id = std::stoll(*row[0]);
        Runs::end(run_id, "cancelled", nullptr, reason);
        end_pieces(run_id, "cancelled");
        cancelled.push_back(run_id);
    }
    return cancelled;
}

}  // namespace insync
