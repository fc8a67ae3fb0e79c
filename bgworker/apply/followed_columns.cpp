// Follows the source's columns: new ones are added to the target, those that the stream made are widened with the
// source's, and the users' own are left alone; see applier.hpp.
#include <algorithm>

#include "bgworker/apply/applier.hpp"
#include "bgworker/pg/owner_scope.hpp"
#include "bgworker/target/column_width.hpp"

namespace insync {

namespace {

constexpr const char* lock_patience = "1s";

}  // namespace

// The statement that has the source fill a column which the target has.
std::string Applier::mapping_advice(const SourceColumn& column) const {
    nlohmann::json named = stream_.options.columns;
    named[column.field] = pg::quote_identifier(column.field);
    return "SELECT sync_alter(" + pg::quote_literal(stream_.name) + ", " +
           pg::quote_literal(nlohmann::json{{"columns", named}}.dump()) + ")";
}

// Returns the columns as they are known from here on: what waits for a lock on the target is not among them.
std::vector<SourceColumn> Applier::follow_columns(Target& target, const std::vector<SourceColumn>& known_columns) {
    const nlohmann::json& named = stream_.options.columns.value;
    const bool only_named = stream_.options.columns_only;
    column_notes_.clear(), added_columns_.clear(), locked_out_.clear();
    for (auto& column : columns_) {
        const SourceColumn* known = find_field(known_columns, column.field);
        if (known == nullptr) {
            column.mapped = true, column.made = false;
            if (!named.contains(column.field) && !only_named) take_new_column(target, column);
            columns_changed_ |= !locked_out_.contains(column.field);
            continue;
        }
        column.mapped = known->mapped, column.made = known->made;
        const bool is_other = known->transport != column.transport || known->pg_type != column.pg_type;
        if (is_other && column.made && !named.contains(column.field) && !only_named) widen_column(target, column);
        columns_changed_ |= is_other && !locked_out_.contains(column.field);
        if (named.contains(column.field) || only_named) continue;
        if (!column.mapped && target.find(column.field) != nullptr)
            column_notes_.push_back(
                "the source's column \"" + column.name + "\" does not fill the column \"" + column.field +
                "\" of the target, which is not the stream's: " + mapping_advice(column) + " has it filled");
    }
    for (const auto& column : known_columns) {
        if (find_field(columns_, column.field) != nullptr) continue;
        columns_changed_ = true;
        if (!column.mapped || target.find(column.field) == nullptr || named.contains(column.field) || only_named)
            continue;
        throw pg::Error(
            ERRCODE_FDW_INCONSISTENT_DESCRIPTOR_INFORMATION,
            "the source no longer has the column \"" + column.name + "\", which fills a column of the target", "",
            "If this is intended: ALTER TABLE " + target.qualified() + " DROP COLUMN " +
                pg::quote_identifier(column.field) + ", or give the column another name to keep its values.");
    }
    if (has_altered_target_) target = *describe_target(target.schema, target.table);
    std::vector<SourceColumn> settled;
    for (const auto& column : columns_) {
        const SourceColumn* known = find_field(known_columns, column.field);
        if (!locked_out_.contains(column.field)) {
            settled.push_back(column);
        } else if (known != nullptr) {
            settled.push_back(*known);
        }
    }
    return settled;
}

// Everybody who comes after waits for the lock as well, readers, too: so this one doesn't wait for long. False where it
// can't be had.
bool Applier::alter_target(const SourceColumn& column, const std::string& statement) {
    const std::string before = *pg::query("SELECT current_setting('lock_timeout')").first()[0];
    pg::Subtransaction subtransaction;
    try {
        pg::query("SELECT set_config('lock_timeout', " + pg::quote_literal(lock_patience) + ", true)");
        pg::query(statement);
        pg::query("SELECT set_config('lock_timeout', $1, true)", {before});
        subtransaction.commit();
        has_altered_target_ = true;
        return true;
    } catch (const pg::Error& error) {
        if (error.sqlstate != ERRCODE_LOCK_NOT_AVAILABLE) throw;
        subtransaction.rollback();
        locked_out_.insert(column.field);
        return false;
    }
}

// A column that the source has gained since the stream was made. One of that name in the target is somebody's own.
void Applier::take_new_column(const Target& target, SourceColumn& column) {
    const NewColumnPolicy policy = stream_.options.new_columns;
    const bool exists = target.find(column.field) != nullptr;
    if (exists) {
        // Another run may have added it since this one began.
        const auto stored = load_stream(stream_.id);
        const SourceColumn* known = stored ? find_field(stored->source_columns, column.field) : nullptr;
        if (known != nullptr) {
            column.mapped = known->mapped, column.made = known->made;
            return;
        }
    }
    if (policy == NewColumnPolicy::fail) {
        throw pg::Error(ERRCODE_FDW_INCONSISTENT_DESCRIPTOR_INFORMATION,
                        "the source has a new column \"" + column.name + "\"",
                        exists ? "The target has a column of that name, which the stream does not fill." : "",
                        exists ? "To fill it: " + mapping_advice(column) +
                                     "; otherwise set option new_columns to "
                                     "ignore."
                               : "Set option new_columns to add or ignore.");
    }
    if (exists) {
        column.mapped = false;
        column_notes_.push_back("the source has a new column \"" + column.name +
                                "\"; the target's column of that name is not the stream's and stays as it is: " +
                                mapping_advice(column) + " has it filled");
    } else if (policy == NewColumnPolicy::add) {
        const NewColumn added{column.field, new_column_type(column, stream_.options.source_time_zone.text)};
        if (!alter_target(column, add_column_statement(target, added))) {
            column.mapped = false;
            column_notes_.push_back("the source's new column \"" + column.name +
                                    "\" is not in the target yet, because other transactions hold locks on " +
                                    target.qualified() + ": the next batch tries it again");
            return;
        }
        column.made = true;
        added_columns_ += (added_columns_.empty() ? "" : ", ") + column.field;
        column_notes_.push_back("the source's new column \"" + column.name + "\" was added to the target");
    } else {
        column.mapped = false;
    }
}

// The source's type has changed. Where the new one holds whatever the old one did, the column that the stream made
// follows; otherwise, values that it can't hold are rejected.
void Applier::widen_column(const Target& target, const SourceColumn& column) {
    const TargetColumn* held = target.find(column.field);
    if (held == nullptr || stream_.options.new_columns != NewColumnPolicy::add) return;
    const std::string zone = stream_.options.source_time_zone.text, type = new_column_type(column, zone);
    const auto conversion = widening(*held, type, zone);
    if (!conversion) return;
    const std::string what = "column \"" + column.field + "\" of the target ";
    pg::Subtransaction subtransaction;
    try {
        const bool is_altered =
            alter_target(column, "ALTER TABLE " + target.qualified() + " ALTER COLUMN " +
                                     pg::quote_identifier(held->name) + " TYPE " + type + " USING " + *conversion);
        subtransaction.commit();
        column_notes_.push_back(
            what + (is_altered ? "was widened from " + held->type + " to " + type + ", as at the source"
                               : "stays " + held->type + " for now, because other transactions hold locks on " +
                                     target.qualified() + ": the next batch tries it again"));
    } catch (const pg::Error& error) {
        if (error.is_interrupt() || error.is_transient()) throw;
        subtransaction.rollback();
        column_notes_.push_back(what + "stays " + held->type + ", though the source's is " + type + " now (" +
                                error.message + "): values that it cannot hold are rejected");
    }
}

std::string Applier::notes() const {
    std::string text;
    for (const auto& note : column_notes_) text += (text.empty() ? "" : "; ") + note;
    if (!marks_note_.empty()) text += (text.empty() ? "" : "; ") + marks_note_;
    return text;
}

}  // namespace insync
