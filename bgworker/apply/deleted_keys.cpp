// Rows that are told by their keys alone, and how many may go; see applier.hpp.
#include <algorithm>
#include <numeric>

#include "bgworker/apply/applier.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/owned_rows.hpp"

namespace insync {

namespace {

// A share of deletes is judged from this many on: of three rows, one is a third.
constexpr std::int64_t guard_floor = 10;

}  // namespace

// Of a row that is told by its key alone, nothing else is known: neither what the filter asks for nor what a condition
// for deletes does.
void Applier::keep_keys() {
    if (shape_.deletes == DeleteMode::ignore) throw ProtocolError("keys of rows that nobody asked for");
    std::erase_if(shape_.columns, [](const MappedColumn& column) { return !column.key || column.moves; });
    shape_.filter.clear();
    shape_.leave_condition.clear();
    shape_.delete_condition = kind_ == RowKind::deleted_key ? "true" : "";
}

// Fails where the target's key takes more than the source's key to compute.
void Applier::check_keys() {
    pg::Subtransaction subtransaction;
    try {
        plan(keys_, keys_statement(shape_));
        subtransaction.commit();
    } catch (const pg::Error& error) {
        if (error.sqlstate != ERRCODE_UNDEFINED_COLUMN) throw;
        subtransaction.rollback();
        std::string key;
        for (const auto& column : columns_) key += (key.empty() ? "" : ", ") + column.field;
        pg::Error explained(ERRCODE_INVALID_PARAMETER_VALUE,
                            "deleted rows can't be told by the source's key alone (" + key + ")",
                            "The target's key needs more of the row: " + error.message + ".",
                            "Make the target's key of the source's key and constants.");
        explained.error_class = pg::ErrorClass::config;
        throw explained;
    }
}

void Applier::collect_keys(Covers covers) {
    const pg::OwnerScope scope(stream_.owner_oid, pg::Plans::key_lookups);
    BatchRelation relation(descriptor_);
    seen_ = std::make_unique<SeenKeys>(plan(keys_, keys_statement(shape_)));
    covers_ = covers;
    if (kind_ == RowKind::full && covers == Covers::everything) rejects_.remember_seen();
}

// Of rows whose keys alone were sent nothing is written: what there is stays as it is.
RunCounts Applier::collect_batch_keys(const Batch& batch) {
    RunCounts counts;
    counts.batches = 1;
    counts.rows_read = static_cast<std::int64_t>(batch.rows() + batch.rejects.size());
    counts.bytes = static_cast<std::int64_t>(batch.bytes());
    std::vector<std::size_t> rows(batch.rows());
    std::iota(rows.begin(), rows.end(), 0);
    std::vector<DecodeFault> faults;
    { BatchRelation relation(batch, columns_, descriptor_, rows, &faults); }
    for (const auto& fault : faults) std::erase(rows, fault.row);
    add_keys(batch, rows);
    // Rows whose key nobody knows keep everything from being deleted.
    batch_ = {counts.rows_read, 0, counts.rows_read - static_cast<std::int64_t>(rows.size())};
    return counts;
}

// A key that the target's type can't hold isn't in the target.
void Applier::add_keys(const Batch& batch, const std::vector<std::size_t>& rows) {
    if (rows.empty()) return;
    pg::check_interrupts();
    {
        BatchRelation relation(batch, columns_, descriptor_, rows, nullptr);
        pg::Subtransaction subtransaction;
        try {
            seen_->add(*keys_);
            subtransaction.commit();
            return;
        } catch (const pg::Error& error) {
            if (!error.is_data_fault()) throw;
            subtransaction.rollback();
            if (rows.size() == 1) return;
        }
    }
    auto middle = rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2);
    add_keys(batch, {rows.begin(), middle});
    add_keys(batch, {middle, rows.end()});
}

// The part of a shared target that is this stream's: its rows have the constant key columns that its mapping sets.
std::string Applier::delete_scope() const {
    std::string scope = stream_scope(shape_, whole_columns_);
    if (scope.empty() && target_is_shared(stream_)) {
        pg::Error error(ERRCODE_INVALID_PARAMETER_VALUE,
                        "stream " + stream_.name + " can't delete from " + shape_.target +
                            ", which other streams write too, as nothing tells its rows apart",
                        "",
                        "Give the key a constant column of this stream, for example columns {\"shop\": \"'T01'\"} and "
                        "key 'shop,id'.");
        error.error_class = pg::ErrorClass::config;
        throw error;
    }
    for (const std::string& part : {delete_window_, not_unreadable()}) {
        if (!part.empty()) scope += (scope.empty() ? "" : " AND ") + part;
    }
    return scope;
}

void Applier::guard_deletes(std::int64_t vanished, std::int64_t total) const {
    auto limit = parse_share_or_count(stream_.option("max_deletes"));
    if (!limit || !limit->exceeded_by(vanished, total)) return;
    if (limit->share && vanished <= guard_floor && seen_->count() > 0) return;
    pg::Error error(ERRCODE_DATA_EXCEPTION,
                    std::to_string(vanished) + " of " + std::to_string(total) + " rows of " + shape_.target +
                        " would vanish, more than option max_deletes allows (" + stream_.option("max_deletes") + ")",
                    "The source was read in full" + std::string(delete_window_.empty() ? "" : " for these slices") +
                        " and had " + std::to_string(seen_->count()) + " rows. Nothing was deleted.",
                    "If the rows are really gone, SELECT sync_alter(" + pg::quote_literal(stream_.name) +
                        ", '{\"max_deletes\": \"100%\"}'), run it, and set it back.");
    error.error_class = pg::ErrorClass::config;
    throw DeletesRefused(error, vanished);
}

// Before the batch is written: which of its rows are there and go, as they no longer pass the filter.
void Applier::count_leaving() {
    if (shape_.leave_condition.empty()) return;
    leaving_ += std::stoll(*plan(leaving_plan_, count_leaving_statement(shape_)).fetch().first()[0]);
}

// After it. What runs that failed have deleted counts, too: else each would delete what the guard allows to one.
void Applier::guard_leaving() {
    if (leaving_ == 0) return;
    if (!rows_before_leaving_) {
        std::int64_t held =
            std::stoll(*pg::query(count_scope_statement(shape_, stream_scope(shape_, whole_columns_))).first()[0]);
        Bookkeeping bookkeeping;
        left_ = std::stoll(
            *pg::query("SELECT coalesce(sum(r.deleted), 0)::bigint FROM insync.run AS r WHERE r.stream_id = $1::integer"
                       " AND r.status IN ('failed', 'cancelled') AND r.id > coalesce((SELECT max(o.id) FROM insync.run "
                       "AS o WHERE o.stream_id = $1::integer AND o.status = 'succeeded'), 0)",
                       {std::to_string(stream_.id)})
                 .first()[0]);
        rows_before_leaving_ = held + leaving_ + left_;
    }
    const std::int64_t going = left_ + leaving_;
    auto limit = parse_share_or_count(stream_.option("max_deletes"));
    if (!limit || !limit->exceeded_by(going, *rows_before_leaving_) || (limit->share && going <= guard_floor)) return;
    pg::Error error(ERRCODE_DATA_EXCEPTION,
                    std::to_string(going) + " of " + std::to_string(*rows_before_leaving_) + " rows of " +
                        shape_.target + " no longer pass the filter, more than option max_deletes allows (" +
                        stream_.option("max_deletes") + ")",
                    "The rows of this batch were not deleted, nor anything else of it applied.",
                    "If the rows are to go, SELECT sync_alter(" + pg::quote_literal(stream_.name) +
                        ", '{\"max_deletes\": \"100%\"}'), run it, and set it back.");
    error.error_class = pg::ErrorClass::config;
    throw DeletesRefused(error, going);
}

std::optional<std::vector<std::vector<std::string>>> Applier::vanished_keys() {
    if (stream_.compares_whole_rows()) return std::nullopt;
    std::string list;
    for (const auto& name : stream_.source_key) {
        auto column = std::find_if(shape_.columns.begin(), shape_.columns.end(), [&](const MappedColumn& item) {
            return !item.field.empty() && item.field == fold_name(name);
        });
        if (column == shape_.columns.end()) return std::nullopt;
        // No text of bytes is one that every source reads as these bytes.
        const SourceColumn* source = find_field(whole_columns_, column->field);
        if (source == nullptr || source->transport == Transport::bytea) return std::nullopt;
        list += (list.empty() ? "t." : "::text, t.") + column->name;
    }
    const pg::OwnerScope scope(stream_.owner_oid);
    seen_->register_relation(seen_relation_name);
    std::vector<std::vector<std::string>> keys;
    for (const auto& row : pg::query(vanished_keys_statement(shape_, delete_scope(), list + "::text")).rows) {
        auto& key = keys.emplace_back();
        for (const auto& part : row) key.push_back(part.value_or(""));
    }
    return keys;
}

}  // namespace insync
