// Choosing, loading and writing the ledger; see ledger.hpp.
#include "bgworker/ledger/ledger.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_type.h"
}

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/job.hpp"
#include "bgworker/clock/zone_name.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/owned_rows.hpp"

namespace insync {

namespace {

constexpr const char* naive = "timestamp without time zone";
constexpr const char* zoned = "timestamp with time zone";

bool is_date(const TargetColumn& column) {
    return column.base_type == "date";
}

bool is_time(const TargetColumn& column) {
    return column.base_type == naive || column.base_type == zoned;
}

bool is_filled(const TargetColumn& column, const ApplyShape& shape) {
    return std::any_of(shape.columns.begin(), shape.columns.end(),
                       [&](const MappedColumn& item) { return item.plain_name == column.name; });
}

const TargetColumn& named_column(const std::string& name, const Target& target, const ApplyShape& shape) {
    const TargetColumn* column = target.find(name);
    if (column == nullptr) {
        throw pg::Error(ERRCODE_UNDEFINED_COLUMN,
                        "target " + target.qualified() + " has no column \"" + name + "\" (option slice_column)");
    }
    if (!is_date(*column) && !is_time(*column)) {
        throw pg::Error(ERRCODE_DATATYPE_MISMATCH,
                        "column \"" + name + "\" (option slice_column) is neither a date nor a time");
    }
    if (!is_filled(*column, shape)) {
        throw pg::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                        "column \"" + name + "\" (option slice_column) isn't filled by the stream");
    }
    return *column;
}

// The only column of that kind that the stream fills; nullptr where there are none or several.
const TargetColumn* only_one(const Target& target, const ApplyShape& shape, bool (*is)(const TargetColumn&)) {
    const TargetColumn* found = nullptr;
    for (const auto& column : target.columns) {
        if (!is(column) || !is_filled(column, shape)) continue;
        if (found != nullptr) return nullptr;
        found = &column;
    }
    return found;
}

const TargetColumn* choose_column(const Stream& stream, const Target& target, const ApplyShape& shape) {
    if (std::string name = stream.option("slice_column"); !name.empty()) return &named_column(name, target, shape);
    if (const auto* date = only_one(target, shape, is_date)) return date;
    for (const auto& name : stream.watermark) {
        const TargetColumn* column = target.find(fold_name(name));
        if (column != nullptr && (is_date(*column) || is_time(*column)) && is_filled(*column, shape)) return column;
    }
    return only_one(target, shape, is_time);
}

bool is_same(const Ledger& a, const Ledger& b) {
    return a.column == b.column && a.unit == b.unit && a.zone == b.zone && a.rule == b.rule;
}

// What was counted, and what is planned of it: its windows are of other slices, and what they were about to record as
// well.
void forget_slices(int stream_id) {
    {
        Bookkeeping bookkeeping;
        pg::query("DELETE FROM insync.slice AS s WHERE s.stream_id = $1::integer", {std::to_string(stream_id)});
    }
    (void)cancel_jobs(stream_id, "the stream's slices were defined anew");
}

Ledger ledger_by(const TargetColumn& column, SliceUnit unit, const Stream& stream, const Target& target,
                 const ApplyShape& shape) {
    std::string zone = server_zone(stream.option("slice_time_zone"));
    if (zone.empty()) zone = server_zone(stream.option("source_time_zone"));
    if (zone.empty()) zone = server_zone(stream.option("time_zone"));
    if (zone.empty()) zone = "UTC";
    Ledger ledger{column.name, unit, zone, ""};
    ledger.rule = counting_rule(ledger, target, shape, stream.source_columns);
    return ledger;
}

// Has the target rows of the stream?
bool has_rows(const Stream& stream, const ApplyShape& shape) {
    const pg::OwnerScope owner_scope(stream.owner_oid);
    const std::string scope = stream_scope(shape, stream.source_columns);
    return *pg::query("SELECT EXISTS (SELECT FROM " + shape.target + " AS t" +
                      (scope.empty() ? "" : " WHERE " + scope) + ")")
                .first()[0] == "t";
}

}  // namespace

std::optional<Ledger> choose_ledger(const Stream& stream, const Target& target, const ApplyShape& shape) {
    auto unit = slice_unit_of(stream.option("slice"));
    if (!unit) return std::nullopt;  // none
    const TargetColumn* column = choose_column(stream, target, shape);
    if (column == nullptr) return std::nullopt;
    return ledger_by(*column, *unit, stream, target, shape);
}

std::vector<Ledger> possible_ledgers(const Stream& stream, const Target& target, const ApplyShape& shape) {
    std::vector<Ledger> ledgers;
    auto unit = slice_unit_of(stream.option("slice"));
    if (!unit) return ledgers;
    for (const auto& column : target.columns) {
        if ((is_date(column) || is_time(column)) && is_filled(column, shape))
            ledgers.push_back(ledger_by(column, *unit, stream, target, shape));
    }
    return ledgers;
}

bool settle_ledger(const Stream& stream) {
    std::optional<Ledger> ledger;
    const bool is_shared = target_is_shared(stream);
    ApplyShape shape;
    {
        const pg::OwnerScope owner_scope(stream.owner_oid);
        const auto target = describe_target(stream.target_schema, stream.target_table);
        if (!target) return false;
        shape = build_shape(stream, stream.source_columns, *target);
        ledger = choose_ledger(stream, *target, shape);
    }
    const std::string id = std::to_string(stream.id);
    const auto known = load_ledger(stream.id);
    if (known && ledger && is_same(*known, *ledger)) return false;
    // What a run commits at this moment is there then; what it hasn't written to the ledger yet, it won't.
    lock_ledger(stream.id);
    const bool can_count = !is_shared || !stream_scope(shape, stream.source_columns).empty();
    const bool uncounted = ledger && can_count && has_rows(stream, shape);
    if (known) {
        forget_slices(stream.id);
        Bookkeeping bookkeeping;
        pg::query("DELETE FROM insync.ledger AS l WHERE l.stream_id = $1::integer", {id});
    }
    if (!ledger) return false;
    const bool is_complete = !uncounted && (can_count || !known);
    Bookkeeping bookkeeping;
    pg::query(
        "INSERT INTO insync.ledger (stream_id, column_name, unit, time_zone, rule, complete)"
        " VALUES ($1::integer, $2, $3, $4, $5, $6::boolean)",
        {id, ledger->column, std::string(name_of(ledger->unit)), ledger->zone, ledger->rule,
         is_complete ? "true" : "false"});
    return uncounted;
}

std::optional<Ledger> load_ledger(int stream_id) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "SELECT l.column_name, l.unit, l.time_zone, l.rule, l.complete FROM insync.ledger AS l WHERE l.stream_id = "
        "$1::integer",
        {std::to_string(stream_id)});
    if (rows.empty()) return std::nullopt;
    auto unit = slice_unit_of(*rows.first()[1]);
    if (!unit) return std::nullopt;
    return Ledger{*rows.first()[0], *unit, *rows.first()[2], *rows.first()[3], *rows.first()[4] == "t"};
}

void distrust_ledger(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.ledger AS l SET complete = false WHERE l.stream_id = $1::integer AND l.complete",
              {std::to_string(stream_id)});
}

void set_ledger_rule(int stream_id, const std::string& rule) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.ledger AS l SET rule = $2 WHERE l.stream_id = $1::integer AND l.rule <> $2",
              {std::to_string(stream_id), rule});
}

void replace_ledger(int stream_id, const Ledger& ledger) {
    forget_slices(stream_id);
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.ledger AS l SET column_name = $2, rule = $3, moved = 0 WHERE l.stream_id = $1::integer",
              {std::to_string(stream_id), ledger.column, ledger.rule});
}

void lock_ledger(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("SELECT FROM insync.ledger AS l WHERE l.stream_id = $1::integer FOR UPDATE", {std::to_string(stream_id)});
}

void empty_ledger(int stream_id) {
    Bookkeeping bookkeeping;
    pg::query("UPDATE insync.slice AS s SET rows = 0 WHERE s.stream_id = $1::integer AND s.rows <> 0",
              {std::to_string(stream_id)});
}

Oid slice_type(const TargetColumn& column) {
    if (is_date(column)) return DATEOID;
    return column.base_type == naive ? TIMESTAMPOID : column.base_type == zoned ? TIMESTAMPTZOID : InvalidOid;
}

std::string bucket_expression(const Ledger& ledger, const std::string& base_type, const std::string& value) {
    std::string time = value;
    if (base_type == "date") time = value + "::timestamp";
    if (base_type == zoned) time = "(" + value + ") AT TIME ZONE " + pg::quote_literal(ledger.zone);
    auto bound = [&](const char* at) { return pg::quote_literal(at) + "::" + base_type; };
    return "CASE WHEN " + value + " >= " + bound(SliceRule::too_late) + " THEN 'infinity'::timestamp WHEN " + value +
           " < " + bound(SliceRule::too_early) + " THEN '-infinity'::timestamp ELSE coalesce(date_trunc('" +
           std::string(name_of(ledger.unit)) + "', " + time + "), '-infinity'::timestamp) END";
}

std::string counting_rule(const Ledger& ledger, const Target& target, const ApplyShape& shape,
                          const std::vector<SourceColumn>& columns) {
    const TargetColumn& column = *target.find(ledger.column);
    const std::string scope = stream_scope(shape, columns);
    return bucket_expression(ledger, column.base_type, "t." + pg::quote_identifier(column.name)) + " WHERE " +
           living_condition(shape) + (scope.empty() ? "" : " AND " + scope);
}

std::string bucket_number(const std::string& bucket) {
    return "CASE " + bucket + " WHEN '-infinity'::timestamp THEN (-9223372036854775808) WHEN 'infinity'::timestamp" +
           " THEN 9223372036854775807 ELSE (extract(epoch FROM " + bucket +
           ") * 1000000)::bigint - 946684800000000 END";
}

bool add_to_ledger(int stream_id, const Ledger& ledger, const SliceChanges& changes, const std::string& watermark,
                   std::int64_t moved) {
    if (changes.empty()) return true;
    ExtensionIdentity identity;
    // Microseconds since PostgreSQL's epoch, as to print and read times would cost more than all else here.
    std::string buckets = "{", rows = "{";
    for (const auto& [bucket, count] : changes) {
        if (buckets.size() > 1) buckets += ',', rows += ',';
        buckets += std::to_string(bucket);
        rows += std::to_string(count);
    }
    // The lock: so that the rule stays until this commits, and who changes it sees what was added. Rows that leave a
    // slice have left it at the source, too: they aren't missing of what it had when it was asked, and no longer too
    // many here.
    auto added = pg::query(
        "WITH same AS (SELECT FROM insync.ledger AS l WHERE l.stream_id = $1::integer AND l.rule = $5 FOR KEY SHARE)"
        " INSERT INTO insync.slice AS s (stream_id, bucket, rows, first_watermark, last_watermark)"
        " SELECT $1::integer, " +
            bucket_of_number("x.bucket") +
            ", x.rows, nullif($4, ''), nullif($4, '')"
            " FROM same CROSS JOIN unnest($2::bigint[], $3::bigint[]) AS x (bucket, rows)"
            " ON CONFLICT (stream_id, bucket) DO UPDATE SET rows = s.rows + excluded.rows,"
            " differences = s.differences - least(s.differences, greatest(0, -excluded.rows)),"
            " source_rows = s.source_rows + least(0, excluded.rows + greatest(0, s.rows - s.source_rows)),"
            " first_watermark = coalesce(s.first_watermark, excluded.first_watermark),"
            " last_watermark = coalesce(excluded.last_watermark, s.last_watermark), touched_at = clock_timestamp()",
        {std::to_string(stream_id), buckets + "}", rows + "}", watermark, ledger.rule});
    if (moved > 0) {
        pg::query(
            "UPDATE insync.ledger AS l SET moved = l.moved + $2::bigint WHERE l.stream_id = $1::integer AND l.steady "
            "IS NOT false",
            {std::to_string(stream_id), std::to_string(moved)});
    }
    return added.processed > 0;
}

std::string bucket_of_number(const std::string& number) {
    // In hours, as an interval of microseconds would take a detour through floating point.
    return "CASE " + number + " WHEN (-9223372036854775808) THEN '-infinity'::timestamp WHEN 9223372036854775807" +
           " THEN 'infinity'::timestamp ELSE '2000-01-01'::timestamp + " + number +
           " / 3600000000 * interval '1 hour' END";
}

}  // namespace insync
