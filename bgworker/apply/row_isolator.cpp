// Divides batches; see row_isolator.hpp.
#include "bgworker/apply/row_isolator.hpp"

namespace insync {

namespace {

std::string error_type(const pg::Error& error) {
    return ERRCODE_TO_CATEGORY(error.sqlstate) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ? "constraint" : "conversion";
}

}  // namespace

void RowIsolator::forget_plans() {
    check_.reset();
    column_checks_.clear();
    column_checks_.resize(shape_.columns.size());
}

void RowIsolator::check(const Batch& batch, const std::vector<std::size_t>& rows, std::vector<std::size_t>& good,
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
    check(batch, {rows.begin(), middle}, good, rejects);
    check(batch, {middle, rows.end()}, good, rejects);
}

void RowIsolator::write(const Batch& batch, const std::vector<std::size_t>& rows, const TryWrite& try_write,
                        std::vector<RowReject>& rejects) {
    if (rows.empty()) return;
    pg::check_interrupts();
    {
        BatchRelation relation(batch, columns_, descriptor_, rows, nullptr);
        auto failure = try_write();
        if (!failure) return;
        if (!failure->is_data_fault()) throw *failure;
        if (rows.size() == 1) {
            rejects.push_back({rows[0], *failure, error_type(*failure), failure->column, nlohmann::json::object()});
            return;
        }
    }
    auto middle = rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2);
    write(batch, {rows.begin(), middle}, try_write, rejects);
    write(batch, {middle, rows.end()}, try_write, rejects);
}

// Which column of the one row in `batch` can't be converted; empty if it is none alone (the filter, say).
std::string RowIsolator::failing_column() {
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
