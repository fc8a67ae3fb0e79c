// Computes due times; see due_streams.hpp.
#include "bgworker/schedule/due_streams.hpp"

extern "C" {
#include "utils/timestamp.h"
}

#include <algorithm>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/outcome.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/clock/schedule.hpp"
#include "bgworker/clock/zone_name.hpp"
#include "bgworker/pg/time_zone.hpp"

namespace insync {

namespace {

constexpr std::int64_t busy_pause_us = 5 * USECS_PER_SEC;

// The system's identity and this database's, as the home row has them.
constexpr const char* identity =
    "SELECT c.system_identifier::text AS system_identifier, d.oid AS database_oid"
    " FROM pg_control_system() AS c, pg_database AS d WHERE d.datname = current_database()";

}  // namespace

bool is_home_database() {
    Bookkeeping bookkeeping;
    // Streams without a home are half of a dump that is being restored.
    auto rows = pg::query(
        std::string(
            "SELECT CASE WHEN EXISTS (SELECT FROM insync.home) THEN EXISTS (SELECT FROM insync.home AS h JOIN (") +
        identity + ") AS i USING (system_identifier, database_oid)) ELSE NOT EXISTS (SELECT FROM insync.stream) END");
    return *rows.first()[0] == "t";
}

bool is_home_system() {
    Bookkeeping bookkeeping;
    return !pg::query(
                "SELECT FROM insync.home AS h, pg_control_system() AS c WHERE h.system_identifier = "
                "c.system_identifier::text")
                .empty();
}

void claim_home_database() {
    Bookkeeping bookkeeping;
    pg::query(std::string("INSERT INTO insync.home AS h (system_identifier, database_oid) ") + identity +
              " ON CONFLICT (only_row) DO UPDATE SET system_identifier = excluded.system_identifier, database_oid = "
              "excluded.database_oid");
}

void require_home_database() {
    if (is_home_database()) return;
    throw pg::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "the streams of this database are stopped, as they belong to another database or server",
                    "It was restored, copied or upgraded.", "To run them here: SELECT sync_resume();");
}

namespace {

// A stream with what decides when it runs; instants are microseconds since 1970.
struct Candidate {
    int id = 0;
    std::string server;
    pg::Value schedule, time_zone, queued_run, queued_mode;
    bool was_interrupted = false;  // a run of it has begun and not ended
    std::optional<std::int64_t> retry_at, last;
    std::int64_t since = 0;  // when its schedule began to count
    std::optional<std::chrono::milliseconds> reconcile;
    std::int64_t reconciled = 0;
    bool reconcile_by_keys = false;
    Oid owner = InvalidOid;
    bool clock_was_set_back = false;
};

std::vector<Candidate> load_candidates(const std::string& server) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        std::string(
            "SELECT s.id, s.server, s.schedule, s.options ->> 'time_zone', q.id, q.mode,"
            " EXISTS (SELECT FROM insync.run AS x WHERE x.stream_id = s.id AND x.status = 'running' AND x.mode NOT IN "
            "('backfill', 'verify', 'profile')),"
            " (extract(epoch FROM w.retry_at) * 1000000)::bigint, (extract(epoch FROM w.last_run_at) * "
            "1000000)::bigint, (extract(epoch FROM s.schedule_since) * 1000000)::bigint,"
            " CASE WHEN s.mode = 'incremental' AND coalesce(w.failures, 0) = 0 THEN s.options ->> 'reconcile' END,"
            " (extract(epoch FROM coalesce(w.reconciled_at, s.created_at)) * 1000000)::bigint,"
            " s.options ->> 'reconcile_by' = 'keys', r.oid,"
            " greatest(w.last_run_at, w.verify_planned_at, w.repair_planned_at, w.reconciled_at, s.schedule_since, "
            "w.retry_at - interval '1 day', w.hold_until - interval '1 day') > clock_timestamp()"
            " FROM insync.stream AS s LEFT JOIN insync.watermark AS w ON w.stream_id = s.id ") +
            join_owner +
            " LEFT JOIN LATERAL (SELECT r.id, r.mode FROM insync.run AS r WHERE r.stream_id = s.id AND r.status = "
            "'queued' AND r.mode NOT IN ('backfill', 'verify', 'profile') ORDER BY r.id LIMIT 1) AS q ON true"
            " WHERE ($1 = '' OR s.server = $1) AND NOT s.paused",
        {server});
    auto instant = [](const pg::Value& value) {
        return value ? std::optional(static_cast<std::int64_t>(std::stoll(*value))) : std::nullopt;
    };
    std::vector<Candidate> candidates;
    for (auto& row : rows.rows) {
        Candidate item;
        item.id = std::stoi(*row[0]);
        item.server = *row[1];
        item.schedule = row[2];
        item.time_zone = row[3];
        item.queued_run = row[4];
        item.queued_mode = row[5];
        item.was_interrupted = *row[6] == "t";
        item.retry_at = instant(row[7]);
        item.last = instant(row[8]);
        item.since = *instant(row[9]);
        if (auto interval = row[10] ? parse_duration(*row[10]) : decltype(parse_duration("")){})
            item.reconcile = *interval;
        item.reconciled = *instant(row[11]);
        item.reconcile_by_keys = row[12] == "t";
        if (row[13]) item.owner = static_cast<Oid>(std::stoul(*row[13]));
        item.clock_was_set_back = row[14] == "t";
        candidates.push_back(std::move(item));
    }
    return candidates;
}

// When the workers run the stream by themselves, and as what.
std::optional<std::int64_t> own_time(const Candidate& item, const Holds& holds, std::int64_t now, RunRequest& request) {
    if (item.schedule && holds.is_changed(item.id)) {
        request.trigger = "retry";
        return now;
    }
    const std::int64_t held = holds.until(item.id, item.server, item.owner);
    if (item.retry_at) {
        request.trigger = "retry";
        return std::max({now, *item.retry_at, held});
    }
    auto schedule = item.schedule ? parse_schedule(*item.schedule) : Parsed<Schedule>{};
    if (!item.schedule || !schedule) return std::nullopt;
    if (item.reconcile && now - item.reconciled >= item.reconcile->count() * 1000)
        request.mode = item.reconcile_by_keys ? "keys" : "full";
    auto at = next_run(*schedule, item.last, item.since, now, clock_of(server_zone(item.time_zone.value_or(""))));
    return at ? std::optional(std::max(*at, held)) : std::nullopt;
}

}  // namespace

std::vector<DueStream> due_streams(const std::string& server, const std::map<int, TimestampTz>& polled) {
    auto candidates = load_candidates(server);
    if (std::any_of(candidates.begin(), candidates.end(), [](const auto& item) { return item.clock_was_set_back; }))
        settle_clock();
    const Holds holds;
    const std::int64_t now = to_unix_us(GetCurrentTimestamp());
    std::vector<DueStream> due;
    for (auto& candidate : candidates) {
        DueStream item;
        item.stream_id = candidate.id;
        item.server = candidate.server;
        auto live = shared::read_live(item.stream_id);
        auto also = [&](TimestampTz poll) {
            if (poll > DT_NOBEGIN && to_unix_us(poll) > candidate.last.value_or(INT64_MIN))
                candidate.last = to_unix_us(poll);
        };
        if (live) also(live->last_poll);
        if (auto own = polled.find(item.stream_id); own != polled.end()) also(own->second);
        const bool was_set_back = candidate.last && *candidate.last > now;
        if (was_set_back) candidate.last = now;
        std::optional<std::int64_t> at;
        if (candidate.queued_run) {
            at = now;
            item.request.run_id = std::stoll(*candidate.queued_run);
            item.request.trigger = "request";
            item.request.mode = *candidate.queued_mode;
        } else if (candidate.was_interrupted && (!live || live->pid == 0)) {
            at = now;  // a run that nobody runs any more: take it up where it stopped
            item.request.trigger = "retry";
        } else {
            at = own_time(candidate, holds, now, item.request);
        }
        // Somebody else is at it: his run answers for this one, or it is looked at again in a while.
        if (at && live && live->pid != 0 && live->pid != MyProcPid)
            at = std::max<std::int64_t>(*at, now + busy_pause_us);
        if (at) item.due = *at - postgres_epoch_us;
        if (candidate.last) item.last = *candidate.last - postgres_epoch_us;
        shared::update_live(item.stream_id, [&](LiveStream& entry) {
            entry.next_run = item.due;
            if (was_set_back) entry.last_poll = std::min(entry.last_poll, now - postgres_epoch_us);
        });
        if (at) due.push_back(std::move(item));
    }
    // In turn, where more is due than can be run: else a stream with a short schedule would always come first.
    auto rank = [&](const DueStream& item) {
        return std::pair(std::max(item.due, now - postgres_epoch_us), item.last);
    };
    std::stable_sort(due.begin(), due.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    return due;
}

}  // namespace insync
