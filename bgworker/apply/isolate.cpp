// Isolates the rows that are refused, and names what was rejected of them; see applier.hpp.
#include "bgworker/apply/applier.hpp"

namespace insync {

// Good rows in, bad rows to `rejects`.
void Applier::isolate(const Batch& batch, std::vector<std::size_t> rows, RunCounts& counts,
                      std::vector<RowReject>& rejects) {
    std::vector<std::size_t> good;
    isolator_.check(batch, rows, good, rejects);
    screen_rows(batch, good, rejects);
    isolator_.write(
        batch, good, [&] { return try_write(counts); }, rejects);
    retry_conflicts(batch, counts, rejects);
    if (!seen_) return;
    // A rejected row exists at the source all the same. One whose key can't even be computed isn't in the target.
    for (const auto& reject : rejects) {
        BatchRelation relation(batch, columns_, descriptor_, {reject.row}, nullptr);
        pg::Subtransaction subtransaction;
        try {
            seen_->add(*keys_);
        } catch (const pg::Error& error) {
            if (!error.is_data_fault()) throw;
        }
        subtransaction.rollback();
    }
    BatchRelation relation(batch, columns_, descriptor_, good, nullptr);
    seen_->add(*keys_);
}

// Of whole rows some say that they were deleted: it is the delete that was rejected then.
void Applier::name_operations(const Batch& batch, std::vector<RowReject>& rejects) {
    if (kind_ != RowKind::full || shape_.delete_condition.empty() || shape_.deletes == DeleteMode::ignore) return;
    for (auto& reject : rejects) {
        BatchRelation relation(batch, columns_, descriptor_, {reject.row}, nullptr);
        pg::Subtransaction subtransaction;
        try {
            if (pg::query("SELECT FROM batch WHERE (" + shape_.delete_condition + "\n)").processed > 0)
                reject.operation = "delete";
            subtransaction.commit();
        } catch (const pg::Error& error) {
            if (!error.is_data_fault()) throw;
            subtransaction.rollback();
        }
    }
}

}  // namespace insync
