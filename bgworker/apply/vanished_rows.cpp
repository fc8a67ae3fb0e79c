// Rows that vanished without a key that says so, and marks that are taken off; see applier.hpp.
#include <algorithm>

#include "bgworker/apply/applier.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/pg/owner_scope.hpp"

namespace insync {

namespace {

// Refused deletes that are kept though the run fails for their number.
constexpr std::size_t kept_deletes = 100;

}  // namespace

std::int64_t Applier::known_refusals() const {
    if (!rejects_.has_errors()) return 0;
    Bookkeeping bookkeeping;
    return std::stoll(*pg::query("SELECT count(*) FROM insync.error AS e WHERE e.stream_id = $1::integer AND "
                                 "e.operation = 'delete'",
                                 {std::to_string(stream_.id)})
                           .first()[0]);
}

// Stores what was refused; returns how many rows of insync.error are new or changed.
std::int64_t Applier::reject_deletes(const UnseenRows::Refusals& refused, const std::function<std::int64_t()>& run_id) {
    std::vector<SourceReject> rejects;
    if (!refused.empty()) {
        rejects = UnseenRows::rejects_of(refused);
        refused_deletes_ += std::ssize(rejects);
        try {
            check_limit(total_.rejects + refused_deletes_, total_.rows + refused_deletes_, rejects.front().message);
        } catch (const TooManyRejects&) {
            if (rejects.size() > kept_deletes) rejects.resize(kept_deletes);
            too_many_deletes_ = std::move(rejects);
            throw;
        }
    }
    const std::int64_t kept = rejects_.keep_deletes(rejects, run_id);
    if (kind_ == RowKind::live_key && covers_ == Covers::everything) rejects_.forget_deletes(whole_columns_, rejects);
    return kept;
}

std::int64_t Applier::keep_refused(const std::function<std::int64_t()>& run_id) {
    const pg::OwnerScope scope(stream_.owner_oid, pg::Plans::key_lookups);
    return rejects_.keep_deletes(too_many_deletes_, run_id);
}

RunCounts Applier::delete_vanished(const std::function<std::int64_t()>& run_id) {
    RunCounts counts;
    if (!seen_ || shape_.deletes == DeleteMode::ignore || total_.unreadable > 0) return counts;
    const pg::OwnerScope scope(stream_.owner_oid);
    require_bound_target();
    seen_->register_relation(seen_relation_name);
    std::string part = delete_scope();
    refused_deletes_ = 0;
    std::int64_t vanished = std::stoll(*pg::query(count_vanished_statement(shape_, part)).first()[0]);
    // What has left the filter in this run counts for its limit as well.
    if (vanished > 0) {
        const std::int64_t held = std::stoll(*pg::query(count_scope_statement(shape_, part)).first()[0]);
        // What the target refused before is nothing that this run deletes.
        const std::int64_t spared = std::min(replacing_rows() + known_refusals(), vanished);
        const std::int64_t left = guard_.left() - spared;
        guard_.check_vanished(vanished + left, held + left, seen_->count(), !delete_window_.empty());
    }
    UnseenRows::Refusals refused;
    // Of a part, the rejects that this settles are those of the rows that go now.
    const bool settles_listed = vanished > 0 && covers_ == Covers::part && rejects_.has_errors();
    if (vanished > 0) counts.vanished = unseen_.write(Unseen::vanished, part, settles_listed, refused);
    counts.rejected = reject_deletes(refused, run_id);
    if (settles_listed) {
        std::vector<std::int64_t> rows;
        for (const auto& item : refused) rows.push_back(item.row);
        rejects_.forget_listed(rows);
    }
    if (kind_ == RowKind::full && covers_ == Covers::everything) rejects_.forget_vanished();
    return counts;
}

std::int64_t Applier::undelete_present() {
    // What the filter, or a condition for deletes, says of a row isn't known of its key.
    bool is_told_by_keys = kind_ == RowKind::live_key && shape_.deletes == DeleteMode::soft &&
                           !stream_.options.filter.is_given && !stream_.options.deleted_when.is_given;
    if (!is_told_by_keys || total_.unreadable > 0) return 0;
    const pg::OwnerScope scope(stream_.owner_oid);
    require_bound_target();
    seen_->register_relation(seen_relation_name);
    UnseenRows::Refusals refused;
    const std::int64_t revived = unseen_.write(Unseen::undeleted, delete_scope(), false, refused);
    // No reject, as nothing but the key is known of the row: what changes in it, or a full run, brings it.
    if (!refused.empty())
        marks_note_ = std::to_string(refused.size()) +
                      " rows that the source has again stay marked as deleted: " + refused.front().error.message;
    return revived;
}

RunCounts Applier::delete_by_key(const std::string& records, const std::function<std::int64_t()>& run_id) {
    RunCounts counts;
    const pg::OwnerScope scope(stream_.owner_oid);
    require_bound_target();
    UnseenRows::Refusals refused;
    counts.deleted = unseen_.delete_by_key(delete_scope(), records, refused);
    counts.rejected = reject_deletes(refused, run_id);
    return counts;
}

}  // namespace insync
