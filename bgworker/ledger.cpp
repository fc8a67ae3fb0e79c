// Choosing, loading and writing the ledger; see ledger.hpp.
#include "bgworker/ledger.hpp"

#include <algorithm>

#include "bgworker/bookkeeping.hpp"

namespace insync {

namespace {

bool is_date(const TargetColumn& column) {
    return column.base_type == "date";
}

bool is_time(const TargetColumn& column) {
    return column.base_type == "timestamp without time zone" || column.base_type == "timestamp with time zone";
}

// The only column of that kind; nullptr where there are none or several.
const TargetColumn* only_one(const Target& target, bool (*is)(const TargetColumn&)) {
    const TargetColumn* found = nullptr;
    for (const auto& column : target.columns) {
        if (!is(column)) continue;
        if (found != nullptr) return nullptr;
        found = &column;
    }
    return found;
}

const TargetColumn* choose_column(const Stream& stream, const Target& target) {
    if (std::string name = stream.option("slice_column"); !name.empty()) {
        const TargetColumn* column = target.find(name);
        if (column == nullptr) {
            throw pg::Error(ERRCODE_UNDEFINED_COLUMN,
                            "target " + target.qualified() + " has no column \"" + name + "\" (option slice_column)");
        }
        if (!is_date(*column) && !is_time(*column)) {
            throw pg::Error(ERRCODE_DATATYPE_MISMATCH,
                            "column \"" + name + "\" (option slice_column) is neither a date nor a time");
        }
        return column;
    }
    if (const auto* date = only_one(target, is_date)) return date;
    for (const auto& name : stream.watermark) {
        const TargetColumn* column = target.find(fold_name(name));
        if (column != nullptr && (is_date(*column) || is_time(*column))) return column;
    }
    return only_one(target, is_time);
}

}  // namespace

std::optional<Ledger> choose_ledger(const Stream& stream, const Target& target) {
    auto unit = slice_unit_of(stream.option("slice"));
    if (!unit) return std::nullopt;  // none
    const TargetColumn* column = choose_column(stream, target);
    if (column == nullptr) return std::nullopt;
    std::string zone = stream.option("slice_time_zone");
    if (zone.empty()) zone = stream.option("source_time_zone");
    if (zone.empty()) zone = stream.option("time_zone");
    if (zone.empty()) zone = "UTC";
    return Ledger{column->name, *unit, zone};
}

void insert_ledger(int stream_id, const Ledger& ledger) {
    Bookkeeping bookkeeping;
    pg::query("INSERT INTO insync.ledger (stream_id, column_name, unit, time_zone) VALUES ($1::integer, $2, $3, $4)",
              {std::to_string(stream_id), ledger.column, std::string(name_of(ledger.unit)), ledger.zone});
}

std::optional<Ledger> load_ledger(int stream_id) {
    Bookkeeping bookkeeping;
    auto rows = pg::query(
        "SELECT l.column_name, l.unit, l.time_zone FROM insync.ledger AS l WHERE l.stream_id = "
        "$1::integer",
        {std::to_string(stream_id)});
    if (rows.empty()) return std::nullopt;
    auto unit = slice_unit_of(*rows.first()[1]);
    if (!unit) return std::nullopt;
    return Ledger{*rows.first()[0], *unit, *rows.first()[2]};
}

void add_to_ledger(int stream_id, const SliceChanges& changes, const std::string& watermark) {
    if (changes.empty()) return;
    ExtensionIdentity identity;
    // Microseconds since PostgreSQL's epoch, as to print and read times would cost more than all else here.
    std::string buckets = "{", rows = "{";
    for (const auto& [bucket, count] : changes) {
        if (buckets.size() > 1) buckets += ',', rows += ',';
        buckets += std::to_string(bucket);
        rows += std::to_string(count);
    }
    pg::query(
        "INSERT INTO insync.slice AS s (stream_id, bucket, rows, first_watermark, last_watermark)"
        " SELECT $1::integer, CASE x.bucket WHEN (-9223372036854775808) THEN '-infinity'::timestamp"
        " WHEN 9223372036854775807 THEN 'infinity'::timestamp ELSE '2000-01-01'::timestamp + x.bucket / 3600000000 "
        "* interval '1 hour' END, x.rows, nullif($4, ''), nullif($4, '')"
        " FROM unnest($2::bigint[], $3::bigint[]) AS x (bucket, rows)"
        " ON CONFLICT (stream_id, bucket) DO UPDATE SET rows = s.rows + excluded.rows,"
        " first_watermark = coalesce(s.first_watermark, excluded.first_watermark),"
        " last_watermark = coalesce(excluded.last_watermark, s.last_watermark), touched_at = clock_timestamp()",
        {std::to_string(stream_id), buckets + "}", rows + "}", watermark});
}

}  // namespace insync
