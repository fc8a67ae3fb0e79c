// Rows of which only the keys were read; see applier.hpp.
#include <algorithm>
#include <numeric>

#include "bgworker/apply/applier.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/owned_rows.hpp"

namespace insync {

// Of a row that is told by its key alone, nothing else is known: neither what the filter asks for nor what a condition
// for deletes does.
void Applier::keep_keys() {
    if (shape_.deletes == DeleteMode::ignore) throw ProtocolError("unexpected keys of deleted rows");
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
                            "cannot identify deleted rows by the source's key alone (" + key + ")",
                            "The target's key needs other columns of the row: " + error.message + ".",
                            "Use only columns of the source's key and constants in the target's key.");
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
                        "cannot delete from " + shape_.target + ": the table is shared, and the key of stream \"" +
                            stream_.name + "\" has no constant column",
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
