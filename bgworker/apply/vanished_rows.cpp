// Rows that vanished as no key told of them, and marks that are taken off; see applier.hpp.
//
// All of them in one statement. Where the target refuses one (a row of another table refers to it, a trigger has
// something against it), they are listed and written by halves, so that only those stay which are refused.
#include <algorithm>
#include <map>

#include "bgworker/apply/applier.hpp"
#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/options/expression_words.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/owned_rows.hpp"

namespace insync {

namespace {

// Refused deletes that are kept though the run fails for their number.
constexpr std::size_t kept_deletes = 100;

// Of the relation `listed`, by its number.
SourceReject refused_delete(const std::vector<pg::Value>& row, const pg::Error& error) {
    SourceReject reject;
    reject.key = row[0] ? nlohmann::json::parse(*row[0]) : nlohmann::json();
    reject.record = nlohmann::json::parse(*row[1]);
    reject.sqlstate = error.state();
    reject.message = error.message + (error.detail.empty() ? "" : " (" + error.detail + ")");
    reject.column = error.column;
    reject.constraint = error.constraint;
    reject.error_type = "constraint";
    reject.operation = "delete";
    return reject;
}

}  // namespace

// The key of a target row as the source has it, and the record from which a replay finds it again; SQL over t. Nothing
// where the target's columns don't tell it.
std::optional<Applier::SourceForm> Applier::source_form() const {
    const auto columns = key_columns(stream_);
    for (const auto& column : shape_.columns) {
        if (!column.key || column.moves) continue;
        const bool is_sent = !column.field.empty() && find_field(columns, column.field) != nullptr;
        if (!is_sent && !is_constant(column.expression, whole_columns_)) return std::nullopt;
    }
    auto held = [&](const SourceColumn& source) {
        auto found = std::find_if(shape_.columns.begin(), shape_.columns.end(),
                                  [&](const MappedColumn& item) { return item.field == source.field; });
        return found == shape_.columns.end() ? std::string()
                                             : "t." + found->name + "::" + std::string(name_of(source.transport));
    };
    std::string key, record;
    for (const auto& source : columns) {
        const std::string value = held(source);
        if (value.empty()) return std::nullopt;
        record += (record.empty() ? "" : ", ") + pg::quote_literal(source.field) + ", " + value;
    }
    for (const auto& name : stream_.source_key) {
        const SourceColumn* source = find_field(columns, fold_name(name));
        if (source == nullptr) return std::nullopt;
        key += (key.empty() ? "" : ", ") + pg::quote_literal(source->field) + ", " + held(*source) + "::text";
    }
    if (key.empty()) return std::nullopt;
    return SourceForm{"jsonb_build_object(" + key + ")", "jsonb_build_object(" + record + ")"};
}

// A value that the source's type can't hold was never the source's: then each row is named by its key here.
std::unique_ptr<SeenKeys> Applier::list_rows(Unseen which, const std::string& scope) {
    auto list = [&](const std::string& key, const std::string& record) {
        pg::Plan rows(list_statement(shape_, which, scope, key, record));
        auto listed = std::make_unique<SeenKeys>(rows);
        listed->add(rows);
        return listed;
    };
    if (const auto form = source_form()) {
        pg::Subtransaction subtransaction;
        try {
            auto listed = list(form->key, form->record);
            subtransaction.commit();
            return listed;
        } catch (const pg::Error& error) {
            if (!error.is_data_fault()) throw;
            subtransaction.rollback();
        }
    }
    return list("NULL::jsonb", target_key(shape_));
}

std::optional<pg::Error> Applier::try_unseen(Unseen which, const std::string& statement, std::int64_t& written) {
    SliceCounting::Counts before = slices_.counts();
    pg::Subtransaction subtransaction;
    try {
        const std::int64_t count = slices_.write(statement, which == Unseen::vanished ? -1 : 1);
        subtransaction.commit();
        written += count;
        return std::nullopt;
    } catch (const pg::Error& error) {
        slices_.go_back(std::move(before));
        if (!error.is_data_fault()) throw;
        subtransaction.rollback();
        return error;
    }
}

void Applier::write_listed(Unseen which, std::int64_t first, std::int64_t last, std::int64_t& written,
                           Refusals& refused) {
    if (first > last) return;
    pg::check_interrupts();
    const auto failure = try_unseen(which, write_listed_statement(shape_, which, first, last), written);
    if (!failure) return;
    if (first == last) {
        refused.push_back({first, *failure});
        return;
    }
    const std::int64_t middle = first + (last - first) / 2;
    write_listed(which, first, middle, written, refused);
    write_listed(which, middle + 1, last, written, refused);
}

// With `lists` the rows are in the relation `listed` afterwards, whether or not one was refused.
std::int64_t Applier::write_unseen(Unseen which, const std::string& scope, bool lists, Refusals& refused) {
    pg::query(pg::nothing_deferred);
    TriggersAsOwner triggers(owner_settings());
    std::int64_t written = 0;
    slices_.begin_all();
    const std::string all = which == Unseen::vanished ? delete_vanished_statement(shape_, scope)
                                                      : undelete_present_statement(shape_, scope);
    if (lists || try_unseen(which, all, written)) {
        listed_ = list_rows(which, scope);
        listed_->register_relation(listed_relation_name);
        write_listed(which, 1, listed_->count(), written, refused);
        if (auto failure = try_unseen(which, keyless_statement(shape_, which, scope), written)) throw *failure;
    }
    slices_.end_all();
    if (slices_.has_ledger()) slices_.save("");
    return written;
}

std::int64_t Applier::known_refusals() const {
    if (!rejects_.has_errors()) return 0;
    Bookkeeping bookkeeping;
    return std::stoll(*pg::query("SELECT count(*) FROM insync.error AS e WHERE e.stream_id = $1::integer AND "
                                 "e.operation = 'delete'",
                                 {std::to_string(stream_.id)})
                           .first()[0]);
}

// Stores what was refused; returns how many rows of insync.error are new or changed.
std::int64_t Applier::reject_deletes(const Refusals& refused, const std::function<std::int64_t()>& run_id) {
    std::vector<SourceReject> rejects;
    if (!refused.empty()) {
        std::map<std::int64_t, const pg::Error*> errors;
        std::string numbers;
        for (const auto& item : refused) {
            errors[item.row] = &item.error;
            numbers += (numbers.empty() ? "" : ", ") + std::to_string(item.row);
        }
        for (const auto& row : pg::query("SELECT l.key, l.record, l.insync_row FROM listed AS l WHERE l.insync_row = "
                                         "ANY (ARRAY[" +
                                         numbers + "]::bigint[]) ORDER BY l.insync_row")
                                   .rows)
            rejects.push_back(refused_delete(row, *errors.at(std::stoll(*row[2]))));
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
        guard_deletes(vanished + left_ - spared, held + left_ - spared);
    }
    Refusals refused;
    // Of a part, the rejects that this settles are those of the rows that go now.
    const bool settles_listed = vanished > 0 && covers_ == Covers::part && rejects_.has_errors();
    if (vanished > 0) counts.vanished = write_unseen(Unseen::vanished, part, settles_listed, refused);
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
                           !stream_.has_option("filter") && !stream_.has_option("deleted_when");
    if (!is_told_by_keys || total_.unreadable > 0) return 0;
    const pg::OwnerScope scope(stream_.owner_oid);
    require_bound_target();
    seen_->register_relation(seen_relation_name);
    Refusals refused;
    const std::int64_t revived = write_unseen(Unseen::undeleted, delete_scope(), false, refused);
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
    pg::query(pg::nothing_deferred);
    TriggersAsOwner triggers(owner_settings());
    Refusals refused;
    slices_.begin_all();
    pg::Plan rows(list_by_key_statement(shape_, delete_scope(), records));
    listed_ = std::make_unique<SeenKeys>(rows);
    listed_->add(rows);
    listed_->register_relation(listed_relation_name);
    write_listed(Unseen::vanished, 1, listed_->count(), counts.deleted, refused);
    slices_.end_all();
    if (slices_.has_ledger()) slices_.save("");
    counts.rejected = reject_deletes(refused, run_id);
    return counts;
}

}  // namespace insync
