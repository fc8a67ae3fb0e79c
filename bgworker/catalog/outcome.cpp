// Notes what runs came to; see outcome.hpp.
#include "bgworker/catalog/outcome.hpp"

extern "C" {
#include "common/pg_prng.h"
#include "utils/timestamp.h"
}

#include <algorithm>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/server.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/clock/back_off.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/clock/schedule.hpp"
#include "bgworker/clock/zone_name.hpp"
#include "bgworker/pg/time_zone.hpp"

namespace insync {

namespace {

BackOff back_off_of(const Stream& stream) {
    BackOff back_off;
    back_off.doubles = stream.options.retry_backoff == RetryBackOff::doubled;
    back_off.max_retries = stream.options.max_retries.value;
    back_off.first = stream.options.retry_delay;
    auto schedule = stream.schedule ? parse_schedule(*stream.schedule) : Parsed<Schedule>{};
    if (stream.options.retry_delay.is_given || !stream.schedule || !schedule) return back_off;
    const std::int64_t now = to_unix_us(GetCurrentTimestamp());
    auto period = std::chrono::duration_cast<std::chrono::milliseconds>(
        period_of(*schedule, now, clock_of(server_zone(stream.options.time_zone.text))));
    back_off.first = std::clamp<std::chrono::milliseconds>(period, std::chrono::seconds(1), back_off.first);
    return back_off;
}

// Up to a tenth off or on, so that many streams that failed together don't come back together.
std::chrono::milliseconds with_jitter(std::chrono::milliseconds pause) {
    if (pause >= longest_pause) return pause;
    const double factor = 0.9 + 0.2 * pg::call([] { return pg_prng_double(&pg_global_prng_state); });
    return std::min(std::chrono::milliseconds(static_cast<std::int64_t>(static_cast<double>(pause.count()) * factor)),
                    longest_pause);
}

bool is_refused_login(const pg::Error& error) {
    return error.error_class == pg::ErrorClass::auth;
}

// When the next attempt is, and whether it is a retry; else the schedule goes on after that time.
struct Pause {
    std::chrono::milliseconds length;
    bool is_retry;
};

Pause pause_after(const Stream& stream, const pg::Error& error, long failures, bool by_workers) {
    const BackOff back_off = back_off_of(stream);
    // With auto_repair a run is tried until it succeeds.
    const bool is_retry =
        by_workers && !error.is_permanent() && (failures <= back_off.max_retries || stream.options.auto_repair);
    auto length =
        with_jitter(is_refused_login(error) ? pause_after_refused_login(failures) : back_off.pause_after(failures));
    if (error.retry_after_ms >= 0) {
        const auto asked = asked_pause(error.retry_after_ms);
        length = is_retry ? asked : std::max(asked, length);
    }
    return {length, is_retry};
}

}  // namespace

void note_run(int stream_id, std::int64_t started_us) {
    Bookkeeping bookkeeping;
    pg::query(
        "INSERT INTO insync.watermark AS w (stream_id, last_run_at) VALUES ($1::integer, to_timestamp($2::bigint / "
        "1000000.0)) ON CONFLICT (stream_id) DO UPDATE SET last_run_at = excluded.last_run_at",
        {std::to_string(stream_id), std::to_string(started_us)});
}

void note_cancelled_run(int stream_id, const FailedRun& run) {
    note_run(stream_id, run.started_us);
    if (!run.by_workers) return;
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.watermark AS w SET retry_at = NULL, failed_server = CASE WHEN w.failed_server IS NOT NULL THEN "
        "$2 END WHERE w.stream_id = $1::integer",
        {std::to_string(stream_id), run.met});
}

void record_success(int stream_id, std::int64_t started_us, bool reads_new, bool had_failed,
                    const std::optional<std::string>& met) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.watermark AS w SET last_run_at = x.began, last_success_at = CASE WHEN $3::boolean THEN x.began "
        "ELSE w.last_success_at END, failures = 0, retry_at = NULL, hold_until = NULL, refused_login = false, "
        "failed_server = NULL FROM (SELECT to_timestamp($2::bigint / 1000000.0) AS began) AS x WHERE w.stream_id = "
        "$1::integer",
        {std::to_string(stream_id), std::to_string(started_us), reads_new ? "true" : "false"});
    if (!had_failed) return;
    pg::query(
        "UPDATE insync.watermark AS w SET hold_until = NULL WHERE w.stream_id IN (SELECT x.stream_id FROM "
        "insync.watermark AS x WHERE x.refused_login AND x.failed_server = $1 FOR UPDATE SKIP LOCKED)",
        {met});
}

std::optional<std::int64_t> record_failure(const Stream& stream, const pg::Error& error, const FailedRun& run) {
    Bookkeeping bookkeeping;
    const std::string id = std::to_string(stream.id);
    // Those of another server or login tell nothing of this one.
    auto counted = pg::query(
        "INSERT INTO insync.watermark AS w (stream_id, failures, last_run_at, failed_server) VALUES ($1::integer, 1, "
        "to_timestamp($2::bigint / 1000000.0), $3)"
        " ON CONFLICT (stream_id) DO UPDATE SET failures = CASE WHEN $4::boolean OR w.failed_server <> "
        "excluded.failed_server THEN 1 ELSE w.failures + 1 END,"
        " last_run_at = excluded.last_run_at, failed_server = excluded.failed_server RETURNING w.failures",
        {id, std::to_string(run.started_us), run.met, run.progressed ? "true" : "false"});
    const long failures = std::stol(*counted.first()[0]);
    const bool refused = is_refused_login(error);
    const Pause pause = pause_after(stream, error, failures, run.by_workers);
    // Who calls sync_run() again and again keeps the schedule from nothing, unless that costs an account.
    const bool holds = !pause.is_retry && (run.by_workers || refused);
    auto rows = pg::query(
        "UPDATE insync.watermark AS w SET retry_at = CASE WHEN $3::boolean THEN x.at END, hold_until = CASE WHEN "
        "$4::boolean THEN x.at END, refused_login = $5::boolean FROM (SELECT clock_timestamp() + $2::bigint * interval "
        "'1 millisecond' AS at) AS x WHERE w.stream_id = $1::integer"
        " RETURNING (extract(epoch FROM w.retry_at) * 1000000)::bigint",
        {id, std::to_string(pause.length.count()), pause.is_retry ? "true" : "false", holds ? "true" : "false",
         refused ? "true" : "false"});
    if (rows.empty() || !rows.first()[0]) return std::nullopt;
    return std::stoll(*rows.first()[0]);
}

void hold_after_refused_login(const Stream& stream) {
    const std::string met = server_version(stream.server, stream.owner_oid);
    Bookkeeping bookkeeping;
    pg::query(
        "INSERT INTO insync.watermark AS w (stream_id, hold_until, refused_login, failed_server) VALUES ($1::integer, "
        "clock_timestamp() + interval '1 hour', true, $2) ON CONFLICT (stream_id) DO UPDATE SET hold_until = "
        "excluded.hold_until, refused_login = true, failed_server = excluded.failed_server",
        {std::to_string(stream.id), met});
}

void forget_failures(int stream_id, bool at_once) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.watermark AS w SET retry_at = CASE WHEN $2::boolean AND w.failures > 0 THEN clock_timestamp() "
        "END, failures = 0, hold_until = NULL, refused_login = false, failed_server = NULL WHERE w.stream_id = "
        "$1::integer",
        {std::to_string(stream_id), at_once ? "true" : "false"});
}

void retry_unconnected(const std::string& server) {
    Bookkeeping bookkeeping;
    pg::query(
        "UPDATE insync.watermark AS w SET retry_at = CASE WHEN w.retry_at IS NOT NULL THEN clock_timestamp() END, "
        "hold_until = NULL FROM insync.stream AS s"
        " WHERE s.id = w.stream_id AND s.server = $1 AND w.failures > 0 AND NOT w.refused_login AND "
        "coalesce(w.retry_at, w.hold_until) > clock_timestamp()"
        " AND (SELECT r.sqlstate FROM insync.run AS r WHERE r.stream_id = s.id AND r.mode IN ('incremental', 'full', "
        "'keys') ORDER BY r.id DESC LIMIT 1) = '08006'",
        {server});
}

void settle_clock() {
    Bookkeeping bookkeeping;
    std::string settled, is_ahead;
    auto settle = [&](const std::string& column, const std::string& latest) {
        settled += (settled.empty() ? "" : ", ") + column + " = CASE WHEN w." + column + " > " + latest + " THEN " +
                   latest + " ELSE w." + column + " END";
        is_ahead += (is_ahead.empty() ? "" : " OR ") + ("x." + column + " > " + latest);
    };
    for (const char* past : {"last_run_at", "verify_planned_at", "repair_planned_at", "reconciled_at"})
        settle(past, "clock_timestamp()");
    for (const char* future : {"retry_at", "hold_until"}) settle(future, "clock_timestamp() + interval '1 day'");
    pg::query("UPDATE insync.watermark AS w SET " + settled +
              " WHERE w.stream_id IN (SELECT x.stream_id FROM insync.watermark AS x WHERE " + is_ahead +
              " FOR UPDATE SKIP LOCKED)");
    Streams::settle_clock();
}

Holds::Holds() {
    pg::Rows rows;
    {
        Bookkeeping bookkeeping;
        rows = pg::query(
            std::string("SELECT w.stream_id, (extract(epoch FROM w.hold_until) * 1000000)::bigint, w.failed_server, "
                        "w.refused_login, s.server, r.oid FROM insync.watermark AS w JOIN insync.stream AS s ON s.id = "
                        "w.stream_id ") +
            join_owner + " WHERE w.failures > 0 OR w.hold_until IS NOT NULL");
    }
    for (const auto& row : rows.rows) {
        const auto owner = row[5] ? static_cast<Oid>(std::stoul(*row[5])) : InvalidOid;
        const std::string now = server_version(*row[4], owner);
        Hold hold{row[1] ? std::stoll(*row[1]) : INT64_MIN, row[2] && now != *row[2]};
        if (!hold.changed && *row[3] == "t") {
            auto [entry, is_new] = refused_logins_.try_emplace(now, hold.until);
            entry->second = std::max(entry->second, hold.until);
        }
        streams_.emplace(std::stoi(*row[0]), hold);
    }
}

bool Holds::is_changed(int stream_id) const {
    auto found = streams_.find(stream_id);
    return found != streams_.end() && found->second.changed;
}

std::int64_t Holds::until(int stream_id, const std::string& server, Oid owner) const {
    auto own = streams_.find(stream_id);
    std::int64_t until = own == streams_.end() || own->second.changed ? INT64_MIN : own->second.until;
    if (refused_logins_.empty()) return until;
    auto login = refused_logins_.find(server_version(server, owner));
    return login == refused_logins_.end() ? until : std::max(until, login->second);
}

}  // namespace insync
