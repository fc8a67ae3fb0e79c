// Writes insync.run; see runs.hpp.
#include "bgworker/catalog/runs.hpp"

#include "bgworker/catalog/catalog_scope.hpp"

namespace insync {

void RunCounts::add(const RunCounts& other) {
    batches += other.batches;
    rows_read += other.rows_read;
    inserted += other.inserted;
    updated += other.updated;
    deleted += other.deleted;
    vanished += other.vanished;
    rejected += other.rejected;
    filtered += other.filtered;
    bytes += other.bytes;
}

std::int64_t Runs::insert(const Stream& stream, const std::string& mode, const std::string& status,
                          const std::string& trigger, std::optional<std::int64_t> began_us) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "INSERT INTO insync.run AS r (stream_id, stream, mode, status, trigger, queued_at, started_at)"
        " VALUES ($1::integer, $2, $3, $4, $5, CASE WHEN $4 = 'queued' THEN clock_timestamp() END,"
        " CASE WHEN $4 = 'running' THEN coalesce(to_timestamp($6::bigint / 1000000.0), clock_timestamp()) END) "
        "RETURNING r.id",
        {std::to_string(stream.id), stream.name, mode, status, trigger,
         began_us ? pg::Value(std::to_string(*began_us)) : std::nullopt});
    return std::stoll(*rows.first()[0]);
}

void Runs::start_queued(std::int64_t run_id, const std::string& mode, std::int64_t began_us) {
    Bookkeeping bookkeeping;
    auto started = pg::query(
        "UPDATE insync.run AS r SET status = 'running', mode = $2, started_at = to_timestamp($3::bigint / 1000000.0), "
        "message = NULL, sqlstate = NULL WHERE r.id = $1::bigint AND r.status = 'queued'",
        {std::to_string(run_id), mode, std::to_string(began_us)});
    if (started.processed > 0) return;
    pg::Error error(ERRCODE_QUERY_CANCELED, "the run was cancelled before it began");
    error.recorded = true;
    throw error;
}

bool Runs::begin(std::int64_t run_id) {
    Bookkeeping bookkeeping;
    auto run = pg::query(
        "UPDATE insync.run AS r SET status = 'running', started_at = coalesce(r.started_at, clock_timestamp())"
        " WHERE r.id = $1::bigint AND r.status IN ('queued', 'running') RETURNING r.id",
        {std::to_string(run_id)});
    return !run.empty();
}

std::int64_t Runs::insert_quiet_polls(const Stream& stream, const std::string& mode, std::int64_t polls,
                                      std::int64_t since_us, std::int64_t last_us) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "INSERT INTO insync.run AS r (stream_id, stream, mode, status, trigger, polls, started_at, ended_at, message)"
        " VALUES ($1::integer, $2, $3, 'succeeded', 'schedule', $4::bigint,"
        " to_timestamp($5::bigint / 1000000.0), to_timestamp($6::bigint / 1000000.0), 'nothing new') RETURNING r.id",
        {std::to_string(stream.id), stream.name, mode, std::to_string(polls), std::to_string(since_us),
         std::to_string(last_us)});
    return std::stoll(*rows.first()[0]);
}

void Runs::save_progress(std::int64_t run_id, const RunCounts& counts) {
    Bookkeeping bookkeeping;
    auto saved = pg::query(
        "UPDATE insync.run AS r SET batches = $2::bigint, rows_read = $3::bigint, inserted = $4::bigint, updated = "
        "$5::bigint,"
        " unchanged = $6::bigint, deleted = $7::bigint, rejected = $8::bigint, bytes = $9::bigint, filtered = "
        "$10::bigint WHERE r.id = $1::bigint",
        {std::to_string(run_id), std::to_string(counts.batches), std::to_string(counts.rows_read),
         std::to_string(counts.inserted), std::to_string(counts.updated), std::to_string(counts.unchanged()),
         std::to_string(counts.deleted + counts.vanished), std::to_string(counts.rejected),
         std::to_string(counts.bytes), std::to_string(counts.filtered)});
    // Runs go with their stream; nothing else may come after it.
    if (saved.processed == 0)
        throw pg::Error(ERRCODE_UNDEFINED_OBJECT, "the stream was dropped while it ran, or its run deleted");
}

bool Runs::add_progress(std::int64_t run_id, const RunCounts& counts) {
    Bookkeeping bookkeeping;
    auto saved = pg::query(
        "UPDATE insync.run AS r SET batches = r.batches + $2::bigint, rows_read = r.rows_read + $3::bigint,"
        " inserted = r.inserted + $4::bigint, updated = r.updated + $5::bigint, unchanged = r.unchanged + $6::bigint,"
        " deleted = r.deleted + $7::bigint, rejected = r.rejected + $8::bigint, bytes = r.bytes + $9::bigint,"
        " filtered = r.filtered + $10::bigint"
        " WHERE r.id = $1::bigint AND r.status = 'running'",
        {std::to_string(run_id), std::to_string(counts.batches), std::to_string(counts.rows_read),
         std::to_string(counts.inserted), std::to_string(counts.updated), std::to_string(counts.unchanged()),
         std::to_string(counts.deleted + counts.vanished), std::to_string(counts.rejected),
         std::to_string(counts.bytes), std::to_string(counts.filtered)});
    return saved.processed > 0;
}

void Runs::finish(std::int64_t run_id, const std::string& status, const RunCounts& counts, const pg::Error* error,
                  const std::string& message) {
    save_progress(run_id, counts);
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.run AS r SET status = $2, ended_at = clock_timestamp(), sqlstate = $3, message = $4 WHERE r.id "
        "= $1::bigint",
        {std::to_string(run_id), status, error != nullptr ? pg::Value(error->state()) : pg::Value(),
         message.empty() ? pg::Value() : pg::Value(message)});
}

void Runs::lock(std::int64_t run_id) {
    Bookkeeping bookkeeping;
    pg::query("SELECT FROM insync.run AS r WHERE r.id = $1::bigint FOR UPDATE", {std::to_string(run_id)});
}

void Runs::end(std::int64_t run_id, const std::string& status, const pg::Error* error, const pg::Value& message) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.run AS r SET status = $2, ended_at = clock_timestamp(), sqlstate = $3, message = $4 WHERE r.id ="
        " $1::bigint AND r.status IN ('queued', 'running')",
        {std::to_string(run_id), status, error != nullptr ? pg::Value(error->state()) : pg::Value(), message});
}

bool Runs::repeat_failure(int stream_id, const std::string& message) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "UPDATE insync.run AS r SET polls = r.polls + 1, ended_at = clock_timestamp()"
        " WHERE r.id = (SELECT max(x.id) FROM insync.run AS x WHERE x.stream_id = $1::integer)"
        " AND r.status = 'failed' AND r.trigger = 'schedule' AND r.message = $2 RETURNING r.id",
        {std::to_string(stream_id), message});
    return !rows.empty();
}

void Runs::save_reread(std::int64_t run_id, std::int64_t rows) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.run AS r SET reread = $2::bigint WHERE r.id = $1::bigint",
              {std::to_string(run_id), std::to_string(rows)});
}

void Runs::close_interrupted(int stream_id) {
    Bookkeeping bookkeeping;
    if (pg::query("SELECT FROM insync.run AS r WHERE r.stream_id = $1::integer AND r.status = 'running' AND r.mode NOT "
                  "IN ('backfill', 'verify', 'profile')",
                  {std::to_string(stream_id)})
            .empty())
        return;
    pg::query(
        "UPDATE insync.run AS r SET status = 'failed', ended_at = clock_timestamp(), sqlstate = '57P02',"
        " message = 'interrupted: the process or the server ended; what was committed stays, and the next run "
        "continues "
        "from there'"
        " WHERE r.stream_id = $1::integer AND r.status = 'running' AND r.mode NOT IN ('backfill', 'verify', 'profile')",
        {std::to_string(stream_id)});
}

std::vector<std::int64_t> Runs::cancel_queued(int stream_id) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "UPDATE insync.run AS r SET status = 'cancelled', ended_at = clock_timestamp(), message = 'cancelled before it "
        "began' WHERE r.stream_id = $1::integer AND r.status = 'queued' AND r.mode NOT IN ('backfill', 'verify', "
        "'profile') RETURNING r.id",
        {std::to_string(stream_id)});
    std::vector<std::int64_t> cancelled;
    for (const auto& row : rows.rows) cancelled.push_back(std::stoll(*row[0]));
    return cancelled;
}

}  // namespace insync
