// Counts by slice; see slice_counting.hpp.
#include "bgworker/apply/slice_counting.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_type.h"
#include "utils/date.h"
#include "utils/timestamp.h"
}

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/catalog/job.hpp"
#include "bgworker/ledger/ledgers.hpp"
#include "bgworker/ledger/slices.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/protocol/wire.hpp"
#include "bgworker/shmem/agenda.hpp"
#include "bgworker/target/owned_rows.hpp"

namespace insync {

namespace {

// May the row that is written be another than the statement says, or the statement not call insync.note()?
bool row_may_be_rewritten(const Stream& stream, const Target& target) {
    // Of partitions as well; row triggers that fire before are those that change rows.
    return *pg::query(
                "SELECT CASE WHEN has_schema_privilege($2::oid, 'insync', 'USAGE') THEN NOT "
                "has_function_privilege($2::oid, "
                "'insync.note(bigint, boolean, anyelement, boolean, anyelement)', 'EXECUTE') ELSE true END"
                " OR EXISTS (SELECT FROM pg_class AS c WHERE c.oid = $1::oid AND c.relhasrules)"
                " OR EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid IN (SELECT $1::oid UNION ALL SELECT p.relid"
                " FROM pg_partition_tree($1::oid) AS p) AND NOT g.tgisinternal AND g.tgenabled <> 'D'"
                " AND g.tgtype & 3 = 3)",
                {std::to_string(target.oid), std::to_string(stream.owner_oid)})
                .first()[0] == "t";
}

Datum datum_of(Transport transport, const Field& field) {
    return transport == Transport::date ? DateADTGetDatum(wire::get_int32(field.data))
                                        : TimestampGetDatum(wire::get_int64(field.data));
}

}  // namespace

void SliceCounting::use(const Target& target) {
    notes_.reset(), matches_.reset(), source_counts_.reset();
    compares_ = false;
    ledger_ = Ledgers::load(stream_.id);
    if (!ledger_) return;
    const TargetColumn* column = target.find(ledger_->column);
    const bool is_filled = std::any_of(shape_.columns.begin(), shape_.columns.end(),
                                       [&](const MappedColumn& item) { return item.plain_name == ledger_->column; });
    const Oid type = column != nullptr ? slice_type(*column) : InvalidOid;
    if (!OidIsValid(type) || !is_filled || counting_rule(*ledger_, target, shape_, source_) != ledger_->rule) {
        Ledgers::mark_incomplete(stream_.id);
        ledger_.reset();
        return;
    }
    const std::string quoted = pg::quote_identifier(column->name);
    bucket_type_ = column->base_type;
    bucket_ = bucket_for("t");
    compares_ = row_may_be_rewritten(stream_, target);
    if (compares_) return;
    notes_ = std::make_unique<SliceNotes>(SliceRule(type, ledger_->unit, ledger_->zone.c_str()));
    shape_.slice_column = quoted;
    shape_.slice_type = column->base_type;
}

std::string SliceCounting::bucket_for(const char* alias) const {
    return bucket_expression(*ledger_, bucket_type_, alias + ("." + pg::quote_identifier(ledger_->column)));
}

bool SliceCounting::has_rows() const {
    const std::string scope = stream_scope(shape_, source_);
    return *pg::query("SELECT EXISTS (SELECT FROM " + shape_.target + " AS t" +
                      (scope.empty() ? "" : " WHERE " + scope) + ")")
                .first()[0] == "t";
}

// Where the target has none of the stream's rows, as somebody has emptied it, what was counted is there no more. Other
// slices of a backfill may find that at the same moment: whoever comes first is waited for, and has left rows.
void SliceCounting::begin_batch(std::size_t rows) {
    changes_.clear(), batch_source_.clear();
    batch_rows_ = rows;
    if (!ledger_ || has_begun_ || has_rows()) return;
    Ledgers::lock(stream_.id);
    if (!has_rows()) Slices::set_empty(stream_.id);
}

void SliceCounting::begin() {
    if (notes_) notes_->begin(batch_rows_);
    if (compares_) count_matches(-1);
}

void SliceCounting::end() {
    if (notes_) notes_->end(changes_);
    if (compares_) count_matches(1);
}

void SliceCounting::go_back(Counts counts) {
    if (notes_) notes_->cancel();
    changes_ = std::move(counts.changes);
    batch_source_ = std::move(counts.source);
}

// The target's rows that have a key of the batch.
void SliceCounting::count_matches(std::int64_t sign) {
    if (!matches_) matches_ = std::make_unique<pg::Plan>(count_matches_statement(shape_, bucket_, bucket_number));
    for (const auto& row : matches_->fetch().rows) changes_[std::stoll(*row[0])] += sign * std::stoll(*row[1]);
}

// COPY asks nobody about its rows. It takes times as they are; where their column has fewer digits, it isn't used.
void SliceCounting::count_copied(const Batch& batch) {
    if (!notes_) return;
    const auto column = std::find_if(shape_.columns.begin(), shape_.columns.end(),
                                     [&](const MappedColumn& item) { return item.name == shape_.slice_column; });
    const auto source = std::find_if(columns_.begin(), columns_.end(),
                                     [&](const SourceColumn& item) { return item.field == column->field; });
    const auto index = static_cast<std::size_t>(source - columns_.begin());
    std::vector<Field> fields(columns_.size());
    std::vector<Timestamp> buckets(batch.rows());
    SliceRule& rule = notes_->rule();
    pg::call([&] {
        for (std::size_t row = 0; row < buckets.size(); row++) {
            batch.read_row(row, fields.data());
            const Field& field = fields[index];
            buckets[row] = field.length < 0 ? SliceRule::no_time : rule.bucket_of(datum_of(source->transport, field));
        }
    });
    for (const Timestamp bucket : buckets) changes_[bucket]++;
}

void SliceCounting::count_source() {
    if (!counts_source_) return;
    if (!source_counts_) {
        const std::string bucket = ledger_ ? bucket_ : "'-infinity'::timestamp";
        source_counts_ = std::make_unique<pg::Plan>(count_source_statement(shape_, bucket, bucket_number));
    }
    for (const auto& row : source_counts_->fetch().rows) batch_source_[std::stoll(*row[0])] += std::stoll(*row[1]);
}

void SliceCounting::keep_source() {
    for (const auto& [bucket, rows] : batch_source_) source_slices_[bucket] += rows;
    batch_source_.clear();
}

std::optional<SliceChanges> SliceCounting::held(const std::string& condition) const {
    if (!ledger_) return std::nullopt;
    const pg::OwnerScope scope(stream_.owner_oid);
    std::string rows = stream_scope(shape_, source_);
    if (rows.empty() && target_is_shared(stream_)) return std::nullopt;
    if (!condition.empty()) rows += (rows.empty() ? "" : " AND ") + condition;
    SliceChanges held;
    for (const auto& row : pg::query(count_slices_statement(shape_, bucket_, bucket_number, rows)).rows)
        held[std::stoll(*row[0])] = std::stoll(*row[1]);
    return held;
}

// The stream's living rows, where who has a say in them may move them, too: before and after they are written.
void SliceCounting::count_all(std::int64_t sign) {
    if (!compares_) return;
    const std::string all = count_slices_statement(shape_, bucket_, bucket_number, stream_scope(shape_, source_));
    for (const auto& row : pg::query(all).rows) changes_[std::stoll(*row[0])] += sign * std::stoll(*row[1]);
}

void SliceCounting::end_all() {
    count_all(1);
    std::erase_if(changes_, [](const auto& slice) { return slice.second == 0; });
}

std::int64_t SliceCounting::write(const std::string& statement, std::int64_t sign) {
    if (!ledger_ || compares_) return static_cast<std::int64_t>(pg::query(statement).processed);
    std::int64_t written = 0;
    for (const auto& row : pg::query("WITH written AS (" + statement + " RETURNING " + bucket_ + " AS bucket) SELECT " +
                                     bucket_number("w.bucket") + ", count(*) FROM written AS w GROUP BY w.bucket")
                               .rows) {
        const std::int64_t count = std::stoll(*row[1]);
        changes_[std::stoll(*row[0])] += sign * count;
        written += count;
    }
    return written;
}

void SliceCounting::save(const std::string& watermark, std::optional<std::int64_t> deleted) {
    // Rows that left a slice, but for those that left the table.
    std::int64_t moved = 0;
    if (deleted && stream_.options.slice_column.text.empty()) {
        for (const auto& [bucket, count] : changes_) moved -= std::min<std::int64_t>(count, 0);
        moved = std::max<std::int64_t>(moved - *deleted, 0);
    }
    const bool is_added = !ledger_ || Slices::add(stream_.id, *ledger_, changes_, watermark);
    if (ledger_ && moved > 0) Ledgers::add_moved(stream_.id, moved);
    changes_.clear();
    if (is_added) return;
    // The slices were defined anew since this run began; who did that may have seen none of its rows yet.
    if (auto now = Ledgers::load(stream_.id); !now || !now->complete) return;
    Ledgers::mark_incomplete(stream_.id);
    queue_profile(stream_);
    needs_profile_ = true;
}

void SliceCounting::committed() {
    has_begun_ = true;
    if (needs_profile_) shared::make_due(MyDatabaseId, InvalidOid, GetCurrentTimestamp());
    needs_profile_ = false;
    keep_source();
}

}  // namespace insync
