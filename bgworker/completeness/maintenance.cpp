// Plans verifications and repairs; see maintenance.hpp.
#include "bgworker/completeness/maintenance.hpp"

extern "C" {
#include "utils/timestamp.h"
}

#include <algorithm>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/job.hpp"
#include "bgworker/catalog/outcome.hpp"
#include "bgworker/catalog/watermarks.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/clock/schedule.hpp"
#include "bgworker/clock/zone_name.hpp"
#include "bgworker/completeness/stream_gaps.hpp"
#include "bgworker/ledger/ledger.hpp"
#include "bgworker/ledger/ledgers.hpp"
#include "bgworker/ledger/slice_window.hpp"
#include "bgworker/ledger/slices.hpp"
#include "bgworker/pg/time_zone.hpp"

namespace insync {

namespace {

// How often gaps are looked for.
constexpr std::int64_t repair_interval_us = 10 * USECS_PER_MINUTE;

// The slices that are to be verified next: those that it has been longest for, such that each comes within so many
// times; those that follow each other as one window. A slice comes with what is empty here after it, where the source
// may have rows: until the next one, but for stretches of years, or until now.
std::vector<SliceWindow> next_windows(const Stream& stream, const Ledger& ledger) {
    const std::string unit(name_of(ledger.unit));
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "WITH slices AS (SELECT s.bucket, s.verified_at, s.bucket + ('1 ' || $2)::interval AS ends, lead(s.bucket) "
        "OVER "
        "(ORDER BY s.bucket) AS next FROM insync.slice AS s WHERE s.stream_id = $1::integer AND isfinite(s.bucket)),"
        " chosen AS (SELECT s.bucket, CASE WHEN s.next <= s.bucket + interval '366 days' THEN s.next WHEN s.next IS "
        "NULL"
        " THEN greatest(s.ends, date_trunc($2, clock_timestamp() AT TIME ZONE $4)) ELSE s.ends END AS ends FROM slices "
        "AS s ORDER BY s.verified_at NULLS FIRST, s.bucket LIMIT (SELECT ceil(count(*) / $3::numeric)::bigint FROM "
        "slices)),"
        " parts AS (SELECT x.bucket, x.ends, count(*) FILTER (WHERE x.begins) OVER (ORDER BY x.bucket) AS part FROM "
        "(SELECT c.bucket, c.ends, lag(c.ends) OVER (ORDER BY c.bucket) IS DISTINCT FROM c.bucket AS begins FROM "
        "chosen "
        "AS c) AS x)"
        " SELECT min(p.bucket), max(p.ends) FROM parts AS p GROUP BY p.part ORDER BY 1",
        {std::to_string(stream.id), unit, stream.options.verify_parts.text, ledger.zone});
    std::vector<SliceWindow> windows;
    for (const auto& row : rows.rows) windows.push_back({row[0], row[1]});
    return windows;
}

void plan_verification(const Stream& stream) {
    if (open_run(stream, JobKind::verify) || stream.source_columns.empty()) return;
    const auto ledger = Ledgers::load(stream.id);
    // Without slices there are no parts, and of an API that can't be asked for them only the whole.
    std::vector<SliceWindow> windows{{}};
    const SourceColumn* column = ledger ? slice_source(stream, *ledger) : nullptr;
    if (ledger && (column == nullptr || can_ask_for_windows(stream, *column))) windows = next_windows(stream, *ledger);
    if (windows.empty()) return;
    queue_jobs(stream, JobKind::verify, windows, {{"depth", stream.options.verify_depth.text}}, "schedule");
}

void plan_repairs(const Stream& stream) {
    if (open_run(stream, JobKind::backfill)) return;
    const StreamGaps found = find_gaps(stream);
    std::vector<SliceWindow> windows;
    for (const Gap& gap : found.gaps) {
        // What is late comes with the next run that succeeds, and what the source hasn't got can't be read.
        if (!found.can_backfill || gap.kind == Verdict::late || gap.kind == Verdict::stopped) continue;
        if (!is_repairable(found, gap)) continue;
        auto more = Slices::begin_repairs(stream.id, found.unit, {timestamp_text(gap.begin), timestamp_text(gap.end)});
        windows.insert(windows.end(), more.begin(), more.end());
    }
    std::reverse(windows.begin(), windows.end());  // the newest first
    Slices::end_repairs(stream.id);
    if (!windows.empty()) queue_jobs(stream, JobKind::backfill, windows, {{"auto", true}}, "retry");
}

}  // namespace

std::vector<Upkeep> coming_upkeep(const std::string& server) {
    pg::Rows rows;
    {
        Bookkeeping bookkeeping;
        rows = pg::query(
            std::string("SELECT s.id, s.server, s.options ->> 'verify_schedule', s.options ->> 'time_zone', s.options "
                        "->> 'auto_repair',"
                        " (extract(epoch FROM w.verify_planned_at) * 1000000)::bigint,"
                        " (extract(epoch FROM coalesce(w.repair_planned_at, s.created_at)) * 1000000)::bigint,"
                        " (extract(epoch FROM s.schedule_since) * 1000000)::bigint, r.oid"
                        " FROM insync.stream AS s LEFT JOIN insync.watermark AS w ON w.stream_id = s.id ") +
                join_owner +
                " WHERE ($1 = '' OR s.server = $1) AND NOT s.paused AND (s.options ->> 'verify_schedule' IS NOT NULL "
                "OR s.options ->> 'auto_repair' IS NOT NULL)",
            {server});
    }
    if (rows.empty()) return {};
    const Holds holds;
    const std::int64_t now = GetCurrentTimestamp() + postgres_epoch_us;
    std::vector<Upkeep> coming;
    for (const auto& row : rows.rows) {
        Upkeep item{Upkeep::Kind::verify, std::stoi(*row[0]), *row[1]};
        const auto held =
            holds.until(item.stream_id, item.server, row[8] ? static_cast<Oid>(std::stoul(*row[8])) : InvalidOid);
        auto comes = [&](Upkeep::Kind kind, std::int64_t at) {
            item.kind = kind;
            item.due = std::max(at, held) - postgres_epoch_us;
            coming.push_back(item);
        };
        if (auto schedule = row[2] ? parse_schedule(*row[2]) : Parsed<Schedule>{}; row[2] && schedule) {
            // A new stream has just been read: an interval counts from then.
            const std::int64_t since = std::stoll(*row[7]), planned = row[5] ? std::stoll(*row[5]) : since;
            if (auto at = next_run(*schedule, planned, since, now, clock_of(server_zone(row[3].value_or("")))))
                comes(Upkeep::Kind::verify, *at);
        }
        if (row[4] && parse_boolean(*row[4]).value.value_or(false))
            comes(Upkeep::Kind::repair, std::stoll(*row[6]) + repair_interval_us);
    }
    std::sort(coming.begin(), coming.end(), [](const Upkeep& a, const Upkeep& b) { return a.due < b.due; });
    return coming;
}

void plan_upkeep(const Upkeep& upkeep) {
    const auto stream = load_stream(upkeep.stream_id);
    if (!stream) return;
    const bool verifies = upkeep.kind == Upkeep::Kind::verify;
    Watermarks::note_planned(stream->id, verifies ? Watermarks::Planned::verification : Watermarks::Planned::repair);
    if (verifies) {
        plan_verification(*stream);
    } else {
        plan_repairs(*stream);
    }
}

}  // namespace insync
