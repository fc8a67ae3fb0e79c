// Computes due times; see due.hpp.
#include "bgworker/due.hpp"

extern "C" {
#include "pgtime.h"
#include "utils/timestamp.h"
}

#include <algorithm>

#include "bgworker/bookkeeping.hpp"
#include "bgworker/schedule.hpp"
#include "bgworker/zone_name.hpp"

namespace insync {

namespace {

constexpr std::int64_t unix_epoch_us = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

constexpr std::int64_t busy_pause_us = 5 * USECS_PER_SEC;

LocalTime to_local(std::int64_t utc_us, const pg_tz* zone) {
    pg_time_t seconds =
        static_cast<pg_time_t>(utc_us >= 0 ? utc_us / USECS_PER_SEC : (utc_us - USECS_PER_SEC + 1) / USECS_PER_SEC);
    struct pg_tm* tm = pg_localtime(&seconds, zone);
    if (tm == nullptr) return {};
    return {tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec};
}

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

void settle_home_database() {
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

std::vector<DueStream> due_streams(const std::string& server, const std::map<int, TimestampTz>& polled) {
    pg::Rows rows;
    pg_tz* default_zone = session_timezone;
    {
        Bookkeeping bookkeeping;
        rows = pg::query(
            "SELECT s.id, s.server, s.schedule, s.options ->> 'time_zone', q.id, q.mode,"
            " EXISTS (SELECT FROM insync.run AS x WHERE x.stream_id = s.id AND x.status = 'running' AND x.mode NOT IN "
            "('backfill', 'verify', 'profile')),"
            " (extract(epoch FROM w.retry_at) * 1000000)::bigint, (extract(epoch FROM l.last_poll) * 1000000)::bigint,"
            " CASE WHEN s.mode = 'incremental' AND w.failures = 0 THEN s.options ->> 'reconcile' END,"
            " (extract(epoch FROM coalesce(w.reconciled_at, s.created_at)) * 1000000)::bigint,"
            " s.options ->> 'reconcile_by' = 'keys'"
            " FROM insync.stream AS s LEFT JOIN insync.watermark AS w ON w.stream_id = s.id"
            " LEFT JOIN LATERAL (SELECT r.id, r.mode FROM insync.run AS r WHERE r.stream_id = s.id AND r.status = "
            "'queued' AND r.mode NOT IN ('backfill', 'verify', 'profile') ORDER BY r.id LIMIT 1) AS q ON true"
            " LEFT JOIN LATERAL (SELECT CASE WHEN r.polls > 1 THEN r.ended_at ELSE r.started_at END AS last_poll FROM "
            "insync.run AS r WHERE r.stream_id = s.id AND r.started_at IS "
            "NOT NULL AND r.mode NOT IN ('replay', 'ingest', 'backfill', 'verify', 'profile') ORDER BY r.id DESC LIMIT "
            "1) AS l ON true"
            " WHERE ($1 = '' OR s.server = $1) AND NOT s.paused",
            {server});
    }
    std::int64_t now = GetCurrentTimestamp() + unix_epoch_us;
    std::vector<DueStream> due;
    for (const auto& row : rows.rows) {
        DueStream item;
        item.stream_id = std::stoi(*row[0]);
        item.server = *row[1];
        auto live = shared::read_live(item.stream_id);
        std::optional<std::int64_t> at, last;
        if (row[8]) last = std::stoll(*row[8]);
        auto also = [&](TimestampTz poll) {
            if (poll > DT_NOBEGIN && (!last || poll + unix_epoch_us > *last)) last = poll + unix_epoch_us;
        };
        if (live) also(live->last_poll);
        if (auto own = polled.find(item.stream_id); own != polled.end()) also(own->second);
        if (row[4]) {
            at = now;
            item.request.run_id = std::stoll(*row[4]);
            item.request.trigger = "request";
            item.request.mode = *row[5];
        } else if (*row[6] == "t" && (!live || live->pid == 0)) {
            at = now;  // a run that nobody runs any more: take it up where it stopped
            item.request.trigger = "retry";
        } else if (row[7]) {
            at = std::max<std::int64_t>(now, std::stoll(*row[7]));
            item.request.trigger = "retry";
        } else if (row[2]) {
            auto schedule = parse_schedule(*row[2]);
            const std::string zone_text = server_zone(row[3].value_or(""));
            const char* zone_name = zone_text.c_str();
            pg_tz* zone = row[3] ? pg::call([&] { return pg_tzset(zone_name); }) : default_zone;
            if (zone == nullptr) zone = default_zone;
            auto interval = row[9] ? parse_duration(*row[9]) : decltype(parse_duration("")){};
            if (interval && now - std::stoll(*row[10]) >= interval->count() * 1000)
                item.request.mode = row[11] == "t" ? "keys" : "full";
            if (schedule) at = next_run(*schedule, last, now, [zone](std::int64_t us) { return to_local(us, zone); });
        }
        // Somebody else is at it: his run answers for this one, or it is looked at again in a while.
        if (at && live && live->pid != 0 && live->pid != MyProcPid)
            at = std::max<std::int64_t>(*at, now + busy_pause_us);
        if (at) item.due = *at - unix_epoch_us;
        if (last) item.last = *last - unix_epoch_us;
        shared::update_live(item.stream_id, [&](LiveStream& entry) { entry.next_run = item.due; });
        if (at) due.push_back(std::move(item));
    }
    // In turn, where more is due than can be run: else a stream with a short schedule would always come first.
    auto rank = [&](const DueStream& item) { return std::pair(std::max(item.due, now - unix_epoch_us), item.last); };
    std::stable_sort(due.begin(), due.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    return due;
}

}  // namespace insync
