// Loads what there is of a stream, and has it judged; see stream_gaps.hpp.
#include "bgworker/completeness/stream_gaps.hpp"

extern "C" {
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/timestamp.h"
}

#include <algorithm>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/clock/schedule.hpp"
#include "bgworker/clock/zone_name.hpp"
#include "bgworker/ledger/calendar.hpp"
#include "bgworker/ledger/ledger_choice.hpp"
#include "bgworker/ledger/slice_window.hpp"
#include "bgworker/pg/as_of.hpp"
#include "bgworker/pg/time_zone.hpp"
#include "bgworker/shmem/shared_state.hpp"

namespace insync {

namespace {

std::optional<std::int64_t> number(const pg::Value& value) {
    return value ? std::optional(static_cast<std::int64_t>(std::stoll(*value))) : std::nullopt;
}

struct Facts {
    std::optional<Ledger> ledger;  // nothing: slices aren't counted
    std::optional<bool> is_steady;
    std::string unsteady_because;
    std::int64_t lag = 0, moved = 0;
    std::optional<WallUs> first_read;
    std::int64_t created_us = 0;
    std::string last_status, last_message;
    std::optional<std::int64_t> last_success_us;  // when it began
    bool is_running = false;
    bool is_loading = false;  // the first load, by the key, has begun and not ended: any slice may still get rows
    bool has_watermark = false;
    pg::Value rows, last_verified;
    std::int64_t rejects = 0;
    Oid schema = InvalidOid;  // of the extension's functions
    std::string schema_name;  // quoted
};

// It sees the same state of the ledger as load_slices(), or what a profile has set to nothing meanwhile were missing.
Facts load_facts(const Stream& stream, const std::optional<std::int64_t>& as_of_us) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "SELECT l.column_name, l.unit, l.time_zone, l.complete, (extract(epoch FROM s.created_at) * 1000000)::bigint,"
        " r.status, r.message, (extract(epoch FROM g.began) * 1000000)::bigint, x.rows, x.verified,"
        " EXISTS (SELECT FROM insync.run AS o WHERE o.stream_id = s.id AND o.status = 'running'"
        " AND o.started_at > now() - interval '1 day'), w.position ->> 'phase', n.oid, quote_ident(n.nspname),"
        " (SELECT count(*) FROM insync.error AS i WHERE i.stream_id = s.id), l.steady, l.reason, l.lag, l.moved,"
        " w.watermark IS NOT NULL, (extract(epoch FROM l.first_read) * 1000000)::bigint"
        " FROM insync.stream AS s CROSS JOIN (SELECT coalesce('epoch'::timestamptz + $2::bigint / 1000000.0 * "
        "interval '1 second', 'infinity') AS at) AS t LEFT JOIN insync.ledger AS l ON l.stream_id = s.id"
        " LEFT JOIN insync.watermark AS w ON w.stream_id = s.id"
        " LEFT JOIN LATERAL (SELECT o.status, o.message FROM insync.run AS o WHERE o.stream_id = s.id"
        " AND o.mode IN ('incremental', 'full') AND o.ended_at IS NOT NULL AND o.started_at <= t.at ORDER BY o.id DESC "
        "LIMIT 1) AS r ON true"
        " LEFT JOIN LATERAL (SELECT CASE WHEN o.polls > 1 THEN o.ended_at ELSE o.started_at END AS began"
        " FROM insync.run AS o WHERE o.stream_id = s.id AND o.mode IN ('incremental', 'full')"
        " AND o.status = 'succeeded' AND o.started_at <= t.at ORDER BY o.id DESC LIMIT 1) AS g ON true"
        " LEFT JOIN LATERAL (SELECT sum(c.rows) AS rows, max(c.verified_at) AS verified FROM insync.slice AS c"
        " WHERE c.stream_id = s.id) AS x ON true"
        " LEFT JOIN pg_extension AS e ON e.extname = 'pg_insync' LEFT JOIN pg_namespace AS n ON n.oid = e.extnamespace"
        " WHERE s.id = $1::integer",
        {std::to_string(stream.id), as_of_us ? pg::Value(std::to_string(*as_of_us)) : std::nullopt},
        pg::Sees::pushed_snapshot);
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
    facts.is_running = row[10] == "t" && !as_of_us;
    facts.rejects = *number(row[14]);
    if (row[12]) facts.schema = static_cast<Oid>(std::stoul(*row[12])), facts.schema_name = *row[13];
    facts.is_loading = row[11] == "load" || (row[11] == "full" && !facts.last_success_us);
    if (row[15]) facts.is_steady = row[15] == "t";
    facts.unsteady_because = row[16].value_or("");
    facts.lag = number(row[17]).value_or(0);
    facts.moved = number(row[18]).value_or(0);
    facts.has_watermark = row[19] == "t";
    facts.first_read = number(row[20]);
    if (auto live = shared::read_live(stream.id)) {
        if (!as_of_us) facts.is_running = live->pid != 0 && live->state != LiveState::idle;
        const std::int64_t last_poll = live->last_poll + postgres_epoch_us;
        if (live->polls > 0 && last_poll <= as_of_us.value_or(INT64_MAX))  // which left no row, as they found nothing
            facts.last_success_us = std::max(facts.last_success_us.value_or(INT64_MIN), last_poll);
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

std::int64_t load_rows_without_time(int stream_id) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "SELECT coalesce(sum(c.rows), 0) FROM insync.slice AS c WHERE c.stream_id = $1::integer AND c.bucket = "
        "'-infinity'",
        {std::to_string(stream_id)}, pg::Sees::pushed_snapshot);
    return *number(rows.first()[0]);
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

// When the stream was last due, for what `is_running` may still bring; nothing: it has no schedule.
std::optional<std::int64_t> due_at(const Stream& stream, std::int64_t now_us, bool is_running) {
    if (!stream.schedule) return std::nullopt;
    auto schedule = parse_schedule(*stream.schedule);
    return schedule ? data_due(*schedule, now_us, is_running, clock_of(server_zone(stream.options.time_zone.text)))
                    : std::nullopt;
}

// Was the source read as it should have been? `is_judged`: slices tell that for a stream that was loaded once.
std::optional<Unread> find_unread(const Stream& stream, const Facts& facts, const Thresholds& thresholds,
                                  std::int64_t now_us, bool is_judged) {
    if (facts.is_running) return std::nullopt;
    const bool has_rows = facts.rows && *facts.rows != "0";
    Unread unread;
    if (!facts.last_success_us && (facts.is_loading || (!has_rows && !facts.has_watermark))) {
        unread.never = unread.is_critical = true;
        unread.days = std::max<std::int64_t>(now_us - facts.created_us, 0) / USECS_PER_DAY;
        // One without a schedule waits for somebody, who may come tomorrow.
        const auto due = due_at(stream, now_us, false);
        const bool is_due = stream.schedule ? due && facts.created_us < *due : unread.days > 0;
        return is_due || facts.last_status == "failed" ? std::optional(unread) : std::nullopt;
    }
    if (is_judged || !stream.schedule || !facts.last_success_us) return std::nullopt;
    auto schedule = parse_schedule(*stream.schedule);
    if (!schedule) return std::nullopt;
    const auto due = first_due(*schedule, *facts.last_success_us, clock_of(server_zone(stream.options.time_zone.text)));
    if (!due || *due > now_us) return std::nullopt;
    unread.days = (now_us - *due) / USECS_PER_DAY;
    unread.is_critical = unread.days >= thresholds.critical;
    return unread.days >= std::max<std::int64_t>(thresholds.warning, 1) ? std::optional(unread) : std::nullopt;
}

// How to have gaps looked for after all.
std::string choosing(const StreamGaps& found) {
    return "to name a column whose days are: SELECT " + found.functions + "sync_alter(" +
           pg::quote_literal(found.stream.name) + ", '{\"slice_column\": \"...\"}')";
}

// Why guesses say nothing of the slices; empty: they do. `series` without what only guesses need.
std::string why_not_steady(const StreamGaps& found, const Facts& facts, Series& series, std::int64_t without_time) {
    if (!found.stream.options.slice_column.text.empty()) return "";
    const std::string& column = facts.ledger->column;
    Steadiness steadiness;
    steadiness.lag = facts.lag;
    steadiness.reason = facts.unsteady_because;
    std::int64_t rows = without_time;
    for (const Slice& slice : series.slices) rows += slice.rows;
    if (facts.is_steady.value_or(true) &&
        moves_too_much(facts.moved, rows, is_filled_by_watermark(found.stream, column))) {
        steadiness.kind = Steadiness::Kind::unsteady;
        steadiness.reason = "rows that change are moved to another one";
    } else if (facts.is_steady) {
        steadiness.kind = *facts.is_steady ? Steadiness::Kind::steady : Steadiness::Kind::unsteady;
    } else {  // nobody has looked yet, as counted by a version before or in a copy
        steadiness = judge_steadiness(series, without_time);
    }
    series.lag = steadiness.lag;
    series.first_read = facts.first_read.value_or(series.now);
    const std::string unit(name_of(facts.ledger->unit));
    switch (steadiness.kind) {
        case Steadiness::Kind::steady:
            return "";
        case Steadiness::Kind::too_few:
            return "gaps are not looked for yet, as too few " + unit + "s of column \"" + column +
                   "\" are known to decide whether they are filled steadily; " + choosing(found);
        case Steadiness::Kind::unsteady:
            break;
    }
    return "gaps are not looked for, as the " + unit + "s of column \"" + column + "\" are not filled steadily (" +
           steadiness.reason + "); " + choosing(found);
}

}  // namespace

Severity StreamGaps::severity() const {
    Severity worst = unread ? severity_of_unread() : Severity::ok;
    if (!unjudged.empty())
        worst = std::max(worst, failed || last_status == "failed" ? Severity::warning : Severity::info);
    for (const Gap& gap : gaps) worst = std::max(worst, severity_of(gap));
    return worst;
}

Severity StreamGaps::severity_of_unread() const {
    return unread->is_critical ? Severity::critical : Severity::warning;
}

namespace {

StreamGaps find(const Stream& stream, const GapQuestion& question) {
    StreamGaps found;
    found.stream = stream;
    const auto as_of_us = question.as_of_us ? question.as_of_us : as_of_setting();
    const Facts facts = load_facts(stream, as_of_us);
    const std::int64_t now_us = as_of_us.value_or(GetCurrentTimestamp() + postgres_epoch_us);
    found.last_status = facts.last_status;
    found.last_message = facts.last_message;
    found.rows = facts.rows;
    found.last_verified = facts.last_verified;
    found.rejects = facts.rejects;
    found.thresholds = {stream.options.gap_warning.value, stream.options.gap_critical.value};
    const bool is_in_path = pg::call([&] { return list_member_oid(fetch_search_path(true), facts.schema); });
    if (!is_in_path && !facts.schema_name.empty()) found.functions = facts.schema_name + ".";
    const auto due_us = due_at(stream, now_us, facts.is_running);
    auto has_read_since = [&](std::int64_t due) {
        return facts.last_status == "succeeded" && facts.last_success_us.value_or(INT64_MIN) >= due;
    };
    if (due_us) found.read_since_due = has_read_since(*due_us);
    if (!facts.ledger) {
        found.unjudged =
            stream.options.slice.text == "none"
                ? "slices are not counted, as option slice is none"
                : "slices are not counted, as there is no date or time to count by; see option slice_column";
    } else if (!facts.ledger->complete) {
        found.unjudged = "the rows that were here before are not counted yet; see sync_profile()";
    } else if (facts.is_loading) {
        found.unjudged = "the first load has not ended yet";
    }
    if (!found.unjudged.empty()) {
        found.unread = find_unread(stream, facts, found.thresholds, now_us, false);
        return found;
    }
    found.unit = facts.ledger->unit;
    const SourceColumn* column = slice_source(stream, *facts.ledger);
    found.is_api = column != nullptr && !can_ask_for_windows(stream, *column);
    found.can_backfill = column != nullptr && !found.is_api && !stream.options.operation_column.is_given;

    const ToLocal clock = clock_of(facts.ledger->zone);
    auto wall_of = [&](std::int64_t utc_us) { return utc_us + offset_at(utc_us, clock); };
    Series series;
    series.unit = found.unit;
    series.slices = load_slices(stream.id, *facts.ledger, stream.options.deletes == DeleteMode::ignore);
    series.now = wall_of(now_us);
    series.short_below = stream.options.short_below.value.share.value_or(0);
    if (stream.schedule) {
        series.due = due_us ? wall_of(*due_us) : earliest_wall;
        if (facts.last_success_us && !facts.is_running) series.read_at = wall_of(*facts.last_success_us);
    } else {
        // One that is asked to run may be a slice behind.
        WallUs current = slice_of(series.now, series.unit);
        series.due = slice_of(current - 1, series.unit);
        found.read_since_due = has_read_since(now_us - (series.now - series.due));
    }
    series.read_since_due = found.read_since_due;
    if (facts.last_success_us) series.settled_until = wall_of(*facts.last_success_us);

    auto first = first_slice(series);
    if (!first) {
        found.unread = find_unread(stream, facts, found.thresholds, now_us, false);
        return found;
    }
    found.first = first;
    for (const Slice& slice : series.slices) {
        if (slice.rows > 0 && slice.begin <= series.now) found.last = slice.begin;
    }
    found.unjudged = why_not_steady(found, facts, series, load_rows_without_time(stream.id));
    series.guesses = found.unjudged.empty();
    found.unread = find_unread(stream, facts, found.thresholds, now_us, series.guesses);
    std::optional<Calendar> calendar;
    if (series.guesses) calendar.emplace(stream, series.unit, *first, next_slice(series.now, series.unit));
    series.left_out = [&](WallUs slice) {
        return (calendar && calendar->leaves_out(slice)) ||
               (series.unit == SliceUnit::hour && is_skipped_hour(slice, clock));
    };
    auto judged = judge(series);
    std::erase_if(judged, [&](const Judged& item) { return item.end <= question.from || item.begin >= question.to; });
    found.gaps = find_gaps(judged);
    if (std::any_of(found.gaps.begin(), found.gaps.end(), [](const Gap& gap) { return gap.kind == Verdict::differs; }))
        found.refusals = load_refusals(stream.id);
    found.coverage = count_coverage(judged);
    return found;
}

}  // namespace

StreamGaps find_gaps(const Stream& stream, const GapQuestion& question) {
    pg::Subtransaction subtransaction;
    try {
        StreamGaps found = find(stream, question);
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
