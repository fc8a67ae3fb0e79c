// Rows that were refused for a unique value that another row of the batch gives up; see applier.hpp.
#include <algorithm>

#include "bgworker/apply/applier.hpp"
#include "bgworker/pg/owner_scope.hpp"

namespace insync {

namespace {

// So many are tried again, and so often: each costs a subtransaction.
constexpr std::size_t most_conflicts = 1000;
constexpr int most_attempts = 4;

bool is_conflict(const RowReject& reject) {
    // One without a constraint: another row of the source has the key, which no order of writing changes.
    return reject.error.sqlstate == ERRCODE_UNIQUE_VIOLATION && !reject.error.constraint.empty();
}

}  // namespace

const TriggerSettings& Applier::owner_settings() {
    if (!owner_settings_) owner_settings_ = trigger_settings(stream_.owner_oid);
    return *owner_settings_;
}

// First all of them in one statement, at whose end a DEFERRABLE constraint looks at them; then one by one, in the other
// direction each time, as long as that lets some pass: 2 -> 3 has to come before 1 -> 2.
void Applier::retry_conflicts(const Batch& batch, RunCounts& counts, std::vector<RowReject>& rejects) {
    for (int attempt = 0; attempt < most_attempts; attempt++) {
        std::vector<std::size_t> rows;
        for (const auto& reject : rejects) {
            if (is_conflict(reject)) rows.push_back(reject.row);
        }
        if (rows.empty() || rows.size() > most_conflicts) break;
        std::vector<RowReject> left;
        std::sort(rows.begin(), rows.end());
        bool is_done = false;
        if (rows.size() > 1) {
            BatchRelation relation(batch, columns_, descriptor_, rows, nullptr);
            const auto failure = try_write(counts);
            if (failure && !failure->is_data_fault()) throw *failure;
            is_done = !failure;
        }
        if (!is_done) {
            if (attempt % 2 == 0) std::reverse(rows.begin(), rows.end());
            for (std::size_t row : rows)
                isolator_.write(
                    batch, {row}, [&] { return try_write(counts); }, left);
        }
        std::erase_if(rejects, is_conflict);
        rejects.insert(rejects.end(), left.begin(), left.end());
        if (left.size() == rows.size()) break;
    }
    advise_deferrable(rejects);
}

// Two rows that swap a value pass no constraint that looks at each row as it is written.
void Applier::advise_deferrable(std::vector<RowReject>& rejects) const {
    std::string name;
    for (const auto& reject : rejects) {
        if (is_conflict(reject) && !reject.error.constraint.empty()) name = reject.error.constraint;
    }
    if (std::count_if(rejects.begin(), rejects.end(), is_conflict) < 2 || name.empty()) return;
    const auto found = pg::query(
        "SELECT pg_get_constraintdef(c.oid) FROM pg_constraint AS c WHERE c.conrelid = $1::oid AND c.conname = $2 AND "
        "c.contype = 'u' AND NOT c.condeferrable",
        {std::to_string(target_oid_), name});
    if (found.empty()) return;
    const std::string quoted = pg::quote_identifier(name);
    for (auto& reject : rejects) {
        if (!is_conflict(reject) || reject.error.constraint != name) continue;
        reject.error.detail += (reject.error.detail.empty() ? "" : " ") +
                               ("If rows swap these values: ALTER TABLE " + shape_.target + " DROP CONSTRAINT " +
                                quoted + ", ADD CONSTRAINT " + quoted + " " + *found.first()[0] + " DEFERRABLE;");
    }
}

}  // namespace insync
