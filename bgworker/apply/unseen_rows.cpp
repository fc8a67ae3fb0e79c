// Lists and writes by halves; see unseen_rows.hpp.
#include "bgworker/apply/unseen_rows.hpp"

#include <algorithm>
#include <map>

#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/options/expression_words.hpp"
#include "bgworker/pg/owner_scope.hpp"

namespace insync {

namespace {

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
std::optional<UnseenRows::SourceForm> UnseenRows::source_form() const {
    const auto columns = key_columns(stream_);
    for (const auto& column : shape_.columns) {
        if (!column.key || column.moves) continue;
        const bool is_sent = !column.field.empty() && find_field(columns, column.field) != nullptr;
        if (!is_sent && !is_constant(column.expression, source_columns_)) return std::nullopt;
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
std::unique_ptr<SeenKeys> UnseenRows::list_rows(Unseen which, const std::string& scope) {
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

std::optional<pg::Error> UnseenRows::try_write(Unseen which, const std::string& statement, std::int64_t& written) {
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

void UnseenRows::write_listed(Unseen which, std::int64_t first, std::int64_t last, std::int64_t& written,
                              Refusals& refused) {
    if (first > last) return;
    pg::check_interrupts();
    const auto failure = try_write(which, write_listed_statement(shape_, which, first, last), written);
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
std::int64_t UnseenRows::write(Unseen which, const std::string& scope, bool lists, Refusals& refused) {
    pg::query(pg::nothing_deferred);
    TriggersAsOwner triggers(owner_settings_());
    std::int64_t written = 0;
    slices_.begin_all();
    const std::string all = which == Unseen::vanished ? delete_vanished_statement(shape_, scope)
                                                      : undelete_present_statement(shape_, scope);
    if (lists || try_write(which, all, written)) {
        listed_ = list_rows(which, scope);
        listed_->register_relation(listed_relation_name);
        write_listed(which, 1, listed_->count(), written, refused);
        if (auto failure = try_write(which, keyless_statement(shape_, which, scope), written)) throw *failure;
    }
    slices_.end_all();
    if (slices_.has_ledger()) slices_.save("");
    return written;
}

std::int64_t UnseenRows::delete_by_key(const std::string& scope, const std::string& records, Refusals& refused) {
    pg::query(pg::nothing_deferred);
    TriggersAsOwner triggers(owner_settings_());
    std::int64_t deleted = 0;
    slices_.begin_all();
    pg::Plan rows(list_by_key_statement(shape_, scope, records));
    listed_ = std::make_unique<SeenKeys>(rows);
    listed_->add(rows);
    listed_->register_relation(listed_relation_name);
    write_listed(Unseen::vanished, 1, listed_->count(), deleted, refused);
    slices_.end_all();
    if (slices_.has_ledger()) slices_.save("");
    return deleted;
}

std::vector<SourceReject> UnseenRows::rejects_of(const Refusals& refused) {
    std::vector<SourceReject> rejects;
    std::map<std::int64_t, const pg::Error*> errors;
    std::string numbers;
    for (const auto& item : refused) {
        errors[item.row] = &item.error;
        numbers += (numbers.empty() ? "" : ", ") + std::to_string(item.row);
    }
    for (const auto& row :
         pg::query("SELECT l.key, l.record, l.insync_row FROM listed AS l WHERE l.insync_row = ANY (ARRAY[" + numbers +
                   "]::bigint[]) ORDER BY l.insync_row")
             .rows)
        rejects.push_back(refused_delete(row, *errors.at(std::stoll(*row[2]))));
    return rejects;
}

}  // namespace insync
