// Rows whose key changes here, though they are the same ones at the source; see applier.hpp and key_moves.hpp.
#include "bgworker/apply/applier.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/key_moves.hpp"
#include "bgworker/target/owned_rows.hpp"

namespace insync {

// Another stream's rows may be the same by the source's key: nothing of them is to be moved.
void Applier::require_own_rows() const {
    if (!has_moves(shape_) || !target_is_shared(stream_) || !stream_scope(shape_, whole_columns_).empty()) return;
    pg::Error error(ERRCODE_INVALID_PARAMETER_VALUE,
                    "cannot move rows of " + shape_.target + ": the table is shared, and the key of stream \"" +
                        stream_.name + "\" has no constant column",
                    "The source's key does not include " + moving_columns() + ": a row moves when that changes.",
                    "Give the key a constant column of this stream, for example columns {\"shop\": \"'T01'\"} and "
                    "key 'shop,id'.");
    error.error_class = pg::ErrorClass::config;
    throw error;
}

// Into an empty target rows are inserted as long as each has a greater key than those before it: none has come twice.
bool Applier::goes_on_ascending(const Batch& batch) {
    if (batch.rows() == 0) return true;
    if (order_ != RowOrder::by_key) return false;
    if (!last_order_.empty() && !(last_order_ < batch.order_of(0, key_fields_, columns_))) return false;
    next_order_ = batch.order_of(batch.rows() - 1, key_fields_, columns_);
    return true;
}

std::int64_t Applier::count_buckets(const pg::Rows& rows) {
    std::int64_t total = 0;
    for (const auto& row : rows.rows) {
        const std::int64_t count = std::stoll(*row[3]);
        total += count;
        if (!slices_.notes()) continue;
        if (row[1] == "t") slices_.add(std::stoll(*row[0]), -count);
        if (row[2]) slices_.add(std::stoll(*row[2]), count);
    }
    return total;
}

void Applier::move_rows(RunCounts& counts) {
    if (!has_moves(shape_)) return;
    // Where no index begins with the source's key, only scans find the rows.
    const pg::PlanChoice plans(pg::Plans::scans);
    const std::string bucket = slices_.noted_bucket();
    counts.updated += count_buckets(plan(moves_, move_statement(shape_, bucket, bucket_number)).fetch());
    if (shape_.delete_condition.empty() || shape_.deletes == DeleteMode::ignore) return;
    counts.deleted += count_buckets(plan(withdrawals_, withdraw_statement(shape_, bucket, bucket_number)).fetch());
}

std::string Applier::moving_columns() const {
    std::string names;
    for (const auto& column : shape_.columns) {
        if (column.moves) names += (names.empty() ? "" : ", ") + column.plain_name;
    }
    return names;
}

}  // namespace insync
