// Rows that the target would take with another value than the source has; see applier.hpp and value_fit.hpp.
#include <algorithm>
#include <set>

#include "bgworker/apply/applier.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/value_fit.hpp"

namespace insync {

// Names the column that has no cast: PostgreSQL's own error shows the whole statement and none.
void Applier::check_casts() {
    for (const auto& column : shape_.columns) {
        if (!column.field.empty()) continue;
        pg::Subtransaction subtransaction;
        try {
            pg::Plan plan(check_statement(shape_, column));
            subtransaction.commit();
        } catch (const pg::Error& error) {
            if (error.sqlstate != ERRCODE_CANNOT_COERCE) throw;
            subtransaction.rollback();
            pg::Error explained(ERRCODE_CANNOT_COERCE,
                                "the expression of column \"" + column.plain_name +
                                    "\" does not give a value of type " + column.type + ": " + error.message,
                                "", "Convert it in the expression of option columns.");
            explained.error_class = pg::ErrorClass::config;
            throw explained;
        }
    }
}

bool Applier::has_screens() const {
    return !shape_.source_key.empty() || std::any_of(shape_.columns.begin(), shape_.columns.end(),
                                                     [](const MappedColumn& column) { return !column.fit.empty(); });
}

// Is there a row in `batch` that must not be written as it is? Values that can't even be looked at are such, too: which
// row has them is found out by those who isolate it.
bool Applier::has_misfits() {
    if (!has_screens()) return false;
    pg::Subtransaction subtransaction;
    try {
        const std::string misfits = misfit_statement(shape_);
        bool found = !misfits.empty() && !plan(misfits_, misfits).fetch().empty();
        if (!shape_.source_key.empty()) found = !find_intruders().empty() || found;
        subtransaction.commit();
        return found;
    } catch (const pg::Error& error) {
        if (!error.is_data_fault()) throw;
        subtransaction.rollback();
        return true;
    }
}

// Moves the rows that don't fit from the convertible ones to the rejects.
void Applier::screen_rows(const Batch& batch, std::vector<std::size_t>& good, std::vector<RowReject>& rejects) {
    if (good.empty() || !has_screens()) return;
    std::set<std::size_t> out;
    const std::size_t first = rejects.size();
    if (!misfit_statement(shape_).empty()) reject_misfits(batch, good, rejects);
    for (std::size_t i = first; i < rejects.size(); i++) out.insert(rejects[i].row);
    std::erase_if(good, [&](std::size_t row) { return out.contains(row); });
    if (shape_.source_key.empty()) return;
    BatchRelation relation(batch, columns_, descriptor_, good, nullptr);
    for (const auto& found : find_intruders()) {
        out.insert(found.row);
        rejects.push_back({found.row, explain(found), "constraint", "", nlohmann::json::object()});
    }
    std::erase_if(good, [&](std::size_t row) { return out.contains(row); });
}

// A value that its own type takes may still be one that can't be compared (a date beyond the last timestamp).
void Applier::reject_misfits(const Batch& batch, const std::vector<std::size_t>& rows,
                             std::vector<RowReject>& rejects) {
    if (rows.empty()) return;
    {
        BatchRelation relation(batch, columns_, descriptor_, rows, nullptr);
        pg::Subtransaction subtransaction;
        try {
            const auto found = plan(misfits_, misfit_statement(shape_)).fetch();
            subtransaction.commit();
            for (const auto& row : found.rows) {
                const MappedColumn& column = shape_.columns[std::stoul(*row[1])];
                const pg::Error error(misfit_state(column.base_type), "value " + row[2].value_or("") + " of column \"" +
                                                                          column.plain_name + "\" does not fit type " +
                                                                          column.type + " unchanged");
                rejects.push_back(
                    {std::stoull(*row[0]), error, "conversion", column.plain_name, nlohmann::json::object()});
            }
            return;
        } catch (const pg::Error& error) {
            if (!error.is_data_fault()) throw;
            subtransaction.rollback();
            if (rows.size() == 1) {
                rejects.push_back({rows[0], error, "conversion", "", nlohmann::json::object()});
                return;
            }
        }
    }
    auto middle = rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2);
    reject_misfits(batch, {rows.begin(), middle}, rejects);
    reject_misfits(batch, {middle, rows.end()}, rejects);
}

}  // namespace insync
