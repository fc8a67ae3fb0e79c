// Finds the rows that are refused, by halves; see applier.hpp.

#include <algorithm>
#include <array>
#include <numeric>
#include <set>

extern "C" {
#include "miscadmin.h"
#include "utils/timestamp.h"
}

#include "bgworker/apply/applier.hpp"
#include "bgworker/catalog/streams.hpp"
#include "bgworker/shmem/shared_state.hpp"

namespace insync {

namespace {

std::string error_type(const pg::Error& error) {
    return ERRCODE_TO_CATEGORY(error.sqlstate) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ? "constraint" : "conversion";
}

}  // namespace

// Good rows in, bad rows to `rejects`. First what can't be converted, found by reading alone (a subtransaction that
// writes nothing costs no transaction id, and more than 64 of those with one slow the whole server down); then what the
// target's constraints and triggers refuse, which takes about 2·log2(n) subtransactions a bad row.
void Applier::isolate(const Batch& batch, std::vector<std::size_t> rows, RunCounts& counts,
                      std::vector<RowReject>& rejects) {
    std::vector<std::size_t> good;
    check_rows(batch, rows, good, rejects);
    screen_rows(batch, good, rejects);
    write_rows(batch, good, counts, rejects);
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

void Applier::check_rows(const Batch& batch, const std::vector<std::size_t>& rows, std::vector<std::size_t>& good,
                         std::vector<RowReject>& rejects) {
    if (rows.empty()) return;
    pg::check_interrupts();
    {
        BatchRelation relation(batch, columns_, descriptor_, rows, nullptr);
        pg::Subtransaction subtransaction;
        try {
            plan(check_, check_statement(shape_)).fetch();
            subtransaction.commit();
            good.insert(good.end(), rows.begin(), rows.end());
            return;
        } catch (const pg::Error& error) {
            if (!error.is_data_fault()) throw;
            subtransaction.rollback();
            if (rows.size() == 1) {
                rejects.push_back({rows[0], error, "conversion", failing_column(), nlohmann::json::object()});
                return;
            }
        }
    }
    auto middle = rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2);
    check_rows(batch, {rows.begin(), middle}, good, rejects);
    check_rows(batch, {middle, rows.end()}, good, rejects);
}

void Applier::write_rows(const Batch& batch, const std::vector<std::size_t>& rows, RunCounts& counts,
                         std::vector<RowReject>& rejects) {
    if (rows.empty()) return;
    pg::check_interrupts();
    {
        BatchRelation relation(batch, columns_, descriptor_, rows, nullptr);
        auto failure = try_write(counts);
        if (!failure) return;
        if (!failure->is_data_fault()) throw *failure;
        if (rows.size() == 1) {
            rejects.push_back({rows[0], *failure, error_type(*failure), failure->column, nlohmann::json::object()});
            return;
        }
    }
    auto middle = rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2);
    write_rows(batch, {rows.begin(), middle}, counts, rejects);
    write_rows(batch, {middle, rows.end()}, counts, rejects);
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

// Which column of the one row in `batch` can't be converted; empty if it is none alone (the filter, say).
std::string Applier::failing_column() {
    for (std::size_t i = 0; i < shape_.columns.size(); i++) {
        pg::Subtransaction subtransaction;
        try {
            plan(column_checks_[i], check_statement(shape_, shape_.columns[i])).fetch();
            subtransaction.commit();
        } catch (const pg::Error& error) {
            if (!error.is_data_fault()) throw;
            subtransaction.rollback();
            return shape_.columns[i].name;
        }
    }
    return "";
}

}  // namespace insync
