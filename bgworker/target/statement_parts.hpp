// The parts of which the statements that apply a batch are made; for the files that make them.
//
// In all of them s is a row of the batch, through the mapping, and t one of the target.
#pragma once

#include <string>

#include "bgworker/target/statement.hpp"

namespace insync::statement_parts {

inline constexpr const char* row_number = "insync_row";
inline constexpr const char* delete_flag = "insync_delete";
inline constexpr const char* leave_flag = "insync_leave";
inline constexpr const char* unsettled_flag = "insync_unsettled";

template <typename Items, typename Format>
std::string join(const Items& items, const char* separator, Format format) {
    std::string text;
    for (const auto& item : items) {
        std::string part = format(item);
        if (part.empty()) continue;
        if (!text.empty()) text += separator;
        text += part;
    }
    return text;
}

// The same whatever standard_conforming_strings says.
std::string literal(const std::string& text);
std::string where_filter(const ApplyShape& shape);
bool has_deletes(const ApplyShape& shape);
// Part of what tells the row from others, at the source as well as here.
bool identifies(const MappedColumn& column);
// What the column gets. Of a row that says that it was deleted only the key counts: a value in it that the target
// couldn't hold must not keep the row alive.
std::string value(const ApplyShape& shape, const MappedColumn& column);
// Does `left` hold another value than `right`?
std::string differs(const MappedColumn& column);
std::string matches(const MappedColumn& column, const std::string& right);
std::string identity_names(const ApplyShape& shape);
// The row t has the key of the row s; or is the same one at the source.
std::string key_match(const ApplyShape& shape);
std::string identity_match(const ApplyShape& shape);
std::string all_names(const ApplyShape& shape, const char* prefix = "");
std::string assignments(const ApplyShape& shape);
// A row that isn't as the batch says: some column differs, or it is marked as deleted though it lives.
std::string changed(const ApplyShape& shape);
// Tells insync.note() that a row of the batch is in the target before and after, or not. Stands last among the
// conditions of an action, so that it speaks of rows that the action is taken for. See slice_counter.hpp.
std::string note(const ApplyShape& shape, const std::string& was, const std::string& is);
std::string and_note(const ApplyShape& shape, const std::string& was, const std::string& is);
// The batch through the mapping, before duplicates of a key are settled.
std::string mapped(const ApplyShape& shape);
// The row t has the key of a row of this relation of keys.
std::string key_join(const ApplyShape& shape, const char* relation);
std::string vanished_condition(const ApplyShape& shape, const std::string& scope);
// The row t has not got the mark, or the absence of one, that it is to get.
std::string unmarked_condition(const ApplyShape& shape, Unseen which);
std::string unseen_condition(const ApplyShape& shape, Unseen which, const std::string& scope);
std::string write_clause(const ApplyShape& shape, Unseen which);
std::string without_key(const ApplyShape& shape);
std::string listed_columns(const ApplyShape& shape, const std::string& key, const std::string& record);
// The target's key as an object, of the row s or t.
std::string key_object(const ApplyShape& shape, const char* prefix);

}  // namespace insync::statement_parts
