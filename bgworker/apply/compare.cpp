// Compares batches with the target, without writing; see applier.hpp.
#include <numeric>

#include "bgworker/apply/applier.hpp"
#include "bgworker/pg/owner_scope.hpp"

namespace insync {

const char* name_of(Difference::Kind kind) {
    switch (kind) {
        case Difference::Kind::missing:
            return "missing";
        case Difference::Kind::extra:
            return "extra";
        case Difference::Kind::changed:
            break;
    }
    return "changed";
}

void Applier::ignore_unsettled(const std::string& from, const std::string& type) {
    std::string watermark;
    for (const auto& name : stream_.watermark) {
        const SourceColumn* column = find_field(columns_, fold_name(name));
        if (column == nullptr) return;
        watermark += (watermark.empty() ? "" : ", ") + pg::quote_identifier(column->field);
    }
    if (!watermark.empty())
        shape_.unsettled = "coalesce(" + watermark + ")::" + type + " >= " + pg::quote_literal(from) + "::" + type;
}

// Rows that can't be converted, or don't fit, are in no target; that they are the source's is told by their rejects.
std::vector<std::size_t> Applier::convertible_rows(const Batch& batch) {
    std::vector<std::size_t> rows(batch.rows()), good;
    std::iota(rows.begin(), rows.end(), 0);
    std::vector<DecodeFault> faults;
    { BatchRelation relation(batch, columns_, descriptor_, rows, &faults); }
    for (const auto& fault : faults) std::erase(rows, fault.row);
    std::vector<RowReject> rejects;
    isolator_.check(batch, rows, good, rejects);
    screen_rows(batch, good, rejects);
    total_.unreadable += static_cast<std::int64_t>(batch.rows() + batch.rejects.size() - good.size());
    return good;
}

std::vector<Difference> Applier::compare(const Batch& batch, bool only_keys) {
    const pg::OwnerScope scope(stream_.owner_oid, pg::Plans::key_lookups);
    require_bound_target();
    const auto rows = convertible_rows(batch);
    std::vector<Difference> found;
    if (rows.empty()) return found;
    BatchRelation relation(batch, columns_, descriptor_, rows, nullptr);
    const std::string differing = differences_statement(shape_, slices_.number_for("s"), slices_.number(), only_keys);
    for (const auto& row : pg::query(differing).rows) {
        const auto kind = *row[1] == "missing" ? Difference::Kind::missing
                          : *row[1] == "extra" ? Difference::Kind::extra
                                               : Difference::Kind::changed;
        found.push_back({kind, std::stoll(*row[0]), *row[2]});
    }
    seen_->add(plan(keys_, keys_statement(shape_)));
    slices_.count_source();
    slices_.keep_source();
    return found;
}

std::vector<std::pair<std::string, bool>> Applier::list_keys(const Batch& batch) {
    const pg::OwnerScope scope(stream_.owner_oid, pg::Plans::key_lookups);
    const auto rows = convertible_rows(batch);
    std::vector<std::pair<std::string, bool>> keys;
    if (rows.empty()) return keys;
    BatchRelation relation(batch, columns_, descriptor_, rows, nullptr);
    for (const auto& row : pg::query(present_keys_statement(shape_)).rows) keys.emplace_back(*row[0], *row[1] == "t");
    return keys;
}

Applier::Vanished Applier::list_vanished(std::size_t most) {
    const pg::OwnerScope scope(stream_.owner_oid);
    seen_->register_relation(seen_relation_name);
    Vanished found;
    const std::string rows = vanished_rows_statement(shape_, delete_scope(), slices_.number());
    for (const auto& row : pg::query(rows + " LIMIT " + std::to_string(most + 1)).rows)
        found.rows.push_back({Difference::Kind::extra, std::stoll(*row[0]), *row[1]});
    found.is_cut = found.rows.size() > most;
    if (!found.is_cut) {
        for (const auto& row : found.rows) found.slices[row.bucket]++;
        return found;
    }
    found.rows.pop_back();
    for (const auto& row : pg::query("SELECT v.bucket, count(*) FROM (" + rows + ") AS v GROUP BY v.bucket").rows)
        found.slices[std::stoll(*row[0])] = std::stoll(*row[1]);
    return found;
}

}  // namespace insync
