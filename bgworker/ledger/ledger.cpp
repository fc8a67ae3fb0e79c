// Choosing, loading and writing the ledger; see ledger.hpp.
#include "bgworker/ledger/ledger.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_type.h"
}

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/job.hpp"
#include "bgworker/clock/zone_name.hpp"
#include "bgworker/ledger/ledgers.hpp"
#include "bgworker/ledger/slices.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/owned_rows.hpp"
#include "bgworker/target/shape.hpp"

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
                        "column \"" + name + "\" (option slice_column) is not filled by the stream");
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
    if (std::string name = stream.options.slice_column.text; !name.empty()) return &named_column(name, target, shape);
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
    Slices::forget(stream_id);
    (void)cancel_jobs(stream_id, "the slices of the stream were redefined");
}

Ledger ledger_by(const TargetColumn& column, SliceUnit unit, const Stream& stream, const Target& target,
                 const ApplyShape& shape) {
    std::string zone = server_zone(stream.options.slice_time_zone.text);
    if (zone.empty()) zone = server_zone(stream.options.source_time_zone.text);
    if (zone.empty()) zone = server_zone(stream.options.time_zone.text);
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
    auto unit = slice_unit_of(stream.options.slice.text);
    if (!unit) return std::nullopt;  // none
    const TargetColumn* column = choose_column(stream, target, shape);
    if (column == nullptr) return std::nullopt;
    return ledger_by(*column, *unit, stream, target, shape);
}

std::vector<Ledger> possible_ledgers(const Stream& stream, const Target& target, const ApplyShape& shape) {
    std::vector<Ledger> ledgers;
    auto unit = slice_unit_of(stream.options.slice.text);
    if (!unit) return ledgers;
    for (const auto& column : target.columns) {
        if ((is_date(column) || is_time(column)) && is_filled(column, shape))
            ledgers.push_back(ledger_by(column, *unit, stream, target, shape));
    }
    return ledgers;
}

bool ensure_ledger(const Stream& stream) {
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
    const auto known = Ledgers::load(stream.id);
    if (known && ledger && is_same(*known, *ledger)) return false;
    // What a run commits at this moment is there then; what it hasn't written to the ledger yet, it won't.
    Ledgers::lock(stream.id);
    const bool can_count = !is_shared || !stream_scope(shape, stream.source_columns).empty();
    const bool uncounted = ledger && can_count && has_rows(stream, shape);
    if (known) {
        forget_slices(stream.id);
        Ledgers::forget(stream.id);
    }
    if (!ledger) return false;
    const bool is_complete = !uncounted && (can_count || !known);
    Ledgers::insert(stream.id, *ledger, is_complete);
    return uncounted;
}

void replace_ledger(int stream_id, const Ledger& ledger) {
    forget_slices(stream_id);
    Ledgers::replace(stream_id, ledger);
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

}  // namespace insync
