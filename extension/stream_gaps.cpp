// Loads what there is of a stream, and has it judged; see stream_gaps.hpp.
#include "extension/stream_gaps.hpp"

extern "C" {
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/timestamp.h"
}

#include <algorithm>

#include "bgworker/bookkeeping.hpp"
#include "bgworker/schedule.hpp"
#include "bgworker/shared_state.hpp"
#include "bgworker/slice_window.hpp"
#include "bgworker/zone_clock.hpp"
#include "bgworker/zone_name.hpp"
#include "extension/calendar.hpp"

namespace insync {

namespace {

constexpr std::int64_t unix_epoch_us = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

std::optional<std::int64_t> number(const pg::Value& value) {
    return value ? std::optional(static_cast<std::int64_t>(std::stoll(*value))) : std::nullopt;
}

struct Facts {
    std::optional<Ledger> ledger;  // nothing: slices aren't counted
    std::int64_t created_us = 0;
    std::string last_status, last_message;
    std::optional<std::int64_t> last_success_us;  // when it began
    bool is_running = false;
    bool is_loading = false;  // the first load, by the key, has begun and not ended: any slice may still get rows
    pg::Value rows, last_verified;
    std::int64_t rejects = 0;
    Oid schema = InvalidOid;  // of the extension's functions
    std::string schema_name;  // quoted
};

// It sees the same state of the ledger as load_slices(), or what a profile has set to nothing meanwhile were missing.
Facts load_facts(const Stream& stream) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "SELECT l.column_name, l.unit, l.time_zone, l.complete, (extract(epoch FROM s.created_at) * 1000000)::bigint,"
        " r.status, r.message, (extract(epoch FROM g.began) * 1000000)::bigint, x.rows, x.verified,"
        " EXISTS (SELECT FROM insync.run AS o WHERE o.stream_id = s.id AND o.status = 'running'"
        " AND o.started_at > now() - interval '1 day'), w.position ->> 'phase', n.oid, quote_ident(n.nspname),"
        " (SELECT count(*) FROM insync.error AS i WHERE i.stream_id = s.id)"
        " FROM insync.stream AS s LEFT JOIN insync.ledger AS l ON l.stream_id = s.id"
        " LEFT JOIN insync.watermark AS w ON w.stream_id = s.id"
        " LEFT JOIN LATERAL (SELECT o.status, o.message FROM insync.run AS o WHERE o.stream_id = s.id"
        " AND o.mode IN ('incremental', 'full') AND o.ended_at IS NOT NULL ORDER BY o.id DESC LIMIT 1) AS r ON true"
        " LEFT JOIN LATERAL (SELECT CASE WHEN o.polls > 1 THEN o.ended_at ELSE o.started_at END AS began"
        " FROM insync.run AS o WHERE o.stream_id = s.id AND o.mode IN ('incremental', 'full')"
        " AND o.status = 'succeeded' ORDER BY o.id DESC LIMIT 1) AS g ON true"
        " LEFT JOIN LATERAL (SELECT sum(c.rows) AS rows, max(c.verified_at) AS verified FROM insync.slice AS c"
        " WHERE c.stream_id = s.id) AS x ON true"
        " LEFT JOIN pg_extension AS e ON e.extname = 'pg_insync' LEFT JOIN pg_namespace AS n ON n.oid = e.extnamespace"
        " WHERE s.id = $1::integer",
        {std::to_string(stream.id)}, pg::Sees::pushed_snapshot);
    Facts facts;
    if (rows.empty()) return facts;
    const auto& row = rows.first();
    if (row[0])
        facts.ledger = Ledger{*row[0], slice_unit_of(*row[1]).value_or(SliceUnit::day), *row[2], "", row[3] == "t"};
    facts.created_us = *number(row[4]);
    facts.last_status = row[5].value_or("");
    facts.last_message = row[6].value_or("");
    facts.last_success_us = number(row[7]);
    facts.rows = row[8];
    facts.last_verified = row[9];
    facts.is_running = row[10] == "t";
    facts.rejects = *number(row[14]);
    if (row[12]) facts.schema = static_cast<Oid>(std::stoul(*row[12])), facts.schema_name = *row[13];
    facts.is_loading = row[11] == "load" || (row[11] == "full" && !facts.last_success_us);
    if (auto live = shared::read_live(stream.id)) {
        facts.is_running = live->pid != 0 && live->state != LiveState::idle;
        if (live->polls > 0) {  // which left no row, as they found nothing
            facts.last_success_us =
                std::max(facts.last_success_us.value_or(INT64_MIN), live->last_poll + unix_epoch_us);
        }
    }
    return facts;
}

// Of a stream that keeps what was deleted at the source, more rows than the source has are right. What the source had
// of a slice that wasn't over yet is the least that it should hold, and settles nothing else.
std::vector<Slice> load_slices(int stream_id, const Ledger& ledger, bool keeps_deleted) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "SELECT (extract(epoch FROM c.bucket) * 1000000)::bigint, c.rows, CASE WHEN $2::boolean AND "
        "c.differences = 0 AND c.source_rows < c.rows THEN c.rows ELSE c.source_rows END, c.differences,"
        " CASE WHEN c.rows < c.source_rows OR c.differences > 0 OR c.verified_at AT TIME ZONE $3 >= c.bucket + ('1 ' "
        "|| "
        "$4)::interval THEN (extract(epoch FROM c.verified_at) * 1000000)::bigint END,"
        " CASE WHEN c.verified_at IS NOT NULL THEN (extract(epoch FROM c.touched_at) * 1000000)::bigint END"
        " FROM insync.slice AS c WHERE c.stream_id = $1::integer"
        " AND c.bucket BETWEEN '4713-01-01 BC' AND '9999-12-31' ORDER BY c.bucket",
        {std::to_string(stream_id), keeps_deleted ? "true" : "false", ledger.zone, std::string(name_of(ledger.unit))},
        pg::Sees::pushed_snapshot);
    std::vector<Slice> slices;
    slices.reserve(rows.rows.size());
    for (const auto& row : rows.rows) {
        slices.push_back({*number(row[0]), *number(row[1]), number(row[5]).value_or(0), number(row[4]), number(row[2]),
                          number(row[3]).value_or(0)});
    }
    return slices;
}

// What was tried last of each stretch, and failed.
std::vector<Refusal> load_refusals(int stream_id) {
    Bookkeeping bookkeeping;
    std::vector<Refusal> refusals;
    for (const auto& row :
         pg::query(
             "SELECT (extract(epoch FROM x.window_from) * 1000000)::bigint, (extract(epoch FROM x.window_to) * "
             "1000000)::bigint, x.message FROM (SELECT DISTINCT ON (j.window_from) j.window_from, j.window_to, "
             "j.status, j.message FROM insync.job AS j WHERE j.stream_id = $1::integer AND j.kind = 'backfill' AND "
             "j.status IN ('done', 'failed') AND isfinite(j.window_from) AND isfinite(j.window_to)"
             " ORDER BY j.window_from, j.id DESC) AS x WHERE x.status = 'failed'",
             {std::to_string(stream_id)})
             .rows)
        refusals.push_back({*number(row[0]), *number(row[1]), row[2].value_or("")});
    return refusals;
}

}  // namespace

Severity StreamGaps::severity() const {
    if (!unjudged.empty()) return failed || last_status == "failed" ? Severity::warning : Severity::info;
    Severity worst = never ? severity_of_never() : Severity::ok;
    for (const Gap& gap : gaps) worst = std::max(worst, severity_of(gap));
    return worst;
}

Severity StreamGaps::severity_of_never() const {
    return *never >= thresholds.critical ? Severity::critical : Severity::warning;
}

StreamGaps find_gaps(const Stream& stream, WallUs from, WallUs to) {
    StreamGaps found;
    found.stream = stream;
    Facts facts = load_facts(stream);
    found.last_status = facts.last_status;
    found.last_message = facts.last_message;
    found.rows = facts.rows;
    found.last_verified = facts.last_verified;
    found.rejects = facts.rejects;
    const bool is_in_path = pg::call([&] { return list_member_oid(fetch_search_path(true), facts.schema); });
    if (!is_in_path && !facts.schema_name.empty()) found.functions = facts.schema_name + ".";
    if (!facts.ledger) {
        found.unjudged =
            stream.option("slice") == "none"
                ? "slices aren't counted, as option slice is none"
                : "slices aren't counted, as there is no date or time to count by; see option slice_column";
    } else if (!facts.ledger->complete) {
        found.unjudged = "the rows that were here before are not counted yet; see sync_profile()";
    } else if (facts.is_loading) {
        found.unjudged = "the first load hasn't ended yet";
    }
    if (!found.unjudged.empty()) return found;
    found.unit = facts.ledger->unit;
    found.can_backfill = slice_source(stream, *facts.ledger) != nullptr && !stream.has_option("operation_column");
    found.thresholds = {*parse_integer(stream.option("gap_warning")), *parse_integer(stream.option("gap_critical"))};

    const std::int64_t now_us = GetCurrentTimestamp() + unix_epoch_us;
    const ToLocal clock = clock_of(facts.ledger->zone);
    auto wall_of = [&](std::int64_t utc_us) { return utc_us + offset_at(utc_us, clock); };
    Series series;
    series.unit = found.unit;
    series.slices = load_slices(stream.id, *facts.ledger, stream.option("deletes") == "ignore");
    series.now = wall_of(now_us);
    series.short_below = parse_share_or_count(stream.option("short_below"))->share.value_or(0);
    std::optional<std::int64_t> due_us;
    if (stream.schedule) {
        auto schedule = parse_schedule(*stream.schedule);
        if (schedule)
            due_us = data_due(*schedule, now_us, facts.is_running, clock_of(server_zone(stream.option("time_zone"))));
        series.due = due_us ? wall_of(*due_us) : earliest_wall;
        if (facts.last_success_us && !facts.is_running) series.read_at = wall_of(*facts.last_success_us);
    } else {
        // One that is asked to run may be a slice behind.
        WallUs current = slice_of(series.now, series.unit);
        series.due = slice_of(current - 1, series.unit);
        due_us = now_us - (series.now - series.due);
    }
    found.read_since_due = facts.last_status == "succeeded" && facts.last_success_us.value_or(INT64_MIN) >= *due_us;

    auto first = first_slice(series);
    if (!first) {
        if (stream.schedule && due_us && facts.created_us < *due_us && !found.read_since_due)
            found.never = (now_us - facts.created_us) / USECS_PER_DAY;
        return found;
    }
    found.first = first;
    for (const Slice& slice : series.slices) {
        if (slice.rows > 0 && slice.begin <= series.now) found.last = slice.begin;
    }
    Calendar calendar(stream, series.unit, *first, next_slice(series.now, series.unit));
    series.left_out = [&](WallUs slice) {
        return calendar.leaves_out(slice) || (series.unit == SliceUnit::hour && is_skipped_hour(slice, clock));
    };
    auto judged = judge(series);
    std::erase_if(judged, [&](const Judged& item) { return item.end <= from || item.begin >= to; });
    found.gaps = find_gaps(judged);
    if (std::any_of(found.gaps.begin(), found.gaps.end(), [](const Gap& gap) { return gap.kind == Verdict::differs; }))
        found.refusals = load_refusals(stream.id);
    found.coverage = count_coverage(judged);
    return found;
}

StreamGaps find_gaps_or_failure(const Stream& stream) {
    pg::Subtransaction subtransaction;
    try {
        StreamGaps found = find_gaps(stream, earliest_wall, latest_wall);
        subtransaction.commit();
        return found;
    } catch (const pg::Error& error) {
        if (error.is_interrupt()) throw;
        subtransaction.rollback();
        StreamGaps found;
        found.stream = stream;
        found.unjudged = error.message;
        found.failed = true;
        return found;
    }
}

}  // namespace insync
