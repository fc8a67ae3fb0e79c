// Builds parts of statements; see statement_parts.hpp.
#include "bgworker/target/statement_parts.hpp"

namespace insync::statement_parts {

std::string literal(const std::string& text) {
    std::string escaped = "E'";
    for (char c : text) escaped += c == '\'' || c == '\\' ? std::string(2, c) : std::string(1, c);
    return escaped + "'";
}

std::string where_filter(const ApplyShape& shape) {
    return shape.filter.empty() ? "" : "\n  WHERE (" + shape.filter + "\n)";
}

bool has_deletes(const ApplyShape& shape) {
    return !shape.delete_condition.empty() && shape.deletes != DeleteMode::ignore;
}

bool identifies(const MappedColumn& column) {
    return column.key && !column.moves;
}

std::string value(const ApplyShape& shape, const MappedColumn& column) {
    if (identifies(column) || !has_deletes(shape)) return converted(column);
    return "CASE WHEN (" + shape.delete_condition + "\n) THEN NULL::" + column.base_type + " ELSE " +
           converted(column) + " END";
}

std::string differs(const MappedColumn& column) {
    std::string t = "t." + column.name, s = "s." + column.name;
    if (column.compare_as_text) {
        return "t." + column.name + "::text COLLATE \"C\" IS DISTINCT FROM s." + column.name + "::text COLLATE \"C\"";
    }
    if (column.equality.empty()) return t + " IS DISTINCT FROM " + s;
    return "((" + t + " " + column.equality + " " + s + ") IS NOT TRUE AND NOT (" + t + " IS NULL AND " + s +
           " IS NULL))";
}

std::string matches(const MappedColumn& column, const std::string& right) {
    return "t." + column.name + (column.equality.empty() ? " = " : " " + column.equality + " ") + right;
}

std::string identity_names(const ApplyShape& shape) {
    return join(shape.columns, ", ",
                [](const auto& column) { return identifies(column) ? column.name : std::string(); });
}

std::string key_match(const ApplyShape& shape) {
    return join(shape.columns, " AND ",
                [](const auto& column) { return column.key ? matches(column, "s." + column.name) : std::string(); });
}
std::string identity_match(const ApplyShape& shape) {
    return join(shape.columns, " AND ", [](const auto& column) {
        return identifies(column) ? matches(column, "s." + column.name) : std::string();
    });
}

std::string all_names(const ApplyShape& shape, const char* prefix) {
    return join(shape.columns, ", ", [&](const auto& column) { return prefix + column.name; });
}

std::string assignments(const ApplyShape& shape) {
    std::string text = join(shape.columns, ", ", [](const auto& column) {
        return column.key ? std::string() : column.name + " = s." + column.name;
    });
    if (!shape.deleted_column.empty()) {
        text += (text.empty() ? "" : ", ") + shape.deleted_column + " = " + shape.living_value;
    }
    return text;
}

std::string changed(const ApplyShape& shape) {
    std::string text = join(shape.columns, "\n      OR ",
                            [](const auto& column) { return column.key ? std::string() : differs(column); });
    if (!shape.deleted_column.empty()) {
        text += (text.empty() ? "" : "\n      OR ") + ("t." + shape.deleted_column) + " IS DISTINCT FROM " +
                shape.living_value;
    }
    return text;
}

std::string note(const ApplyShape& shape, const std::string& was, const std::string& is) {
    if (shape.slice_column.empty()) return "";
    const bool is_sent = std::any_of(shape.columns.begin(), shape.columns.end(),
                                     [&](const auto& column) { return column.name == shape.slice_column; });
    auto value = [&](const std::string& exists, const char* table) {
        // Rows that are told by their keys alone make no row that wasn't there.
        const bool is_known = exists != "false" && (*table == 't' || is_sent);
        return is_known ? std::string(table) + "." + shape.slice_column + "::" + shape.slice_type
                        : "NULL::" + shape.slice_type;
    };
    return std::string("insync.note(s.") + row_number + ", " + was + ", " + value(was, "t") + ", " + is + ", " +
           value(is, "s") + ")";
}

std::string and_note(const ApplyShape& shape, const std::string& was, const std::string& is) {
    std::string condition = note(shape, was, is);
    return condition.empty() ? "" : " AND " + condition;
}

std::string mapped(const ApplyShape& shape) {
    std::string text = "SELECT " +
                       join(shape.columns, ",\n    ",
                            [&](const auto& column) { return value(shape, column) + " AS " + column.name; }) +
                       ",\n    " + row_number;
    if (has_deletes(shape)) text += ",\n    coalesce((" + shape.delete_condition + "\n), false) AS " + delete_flag;
    if (!shape.leave_condition.empty()) text += ",\n    (" + shape.leave_condition + "\n) AS " + leave_flag;
    if (!shape.unsettled.empty()) text += ",\n    coalesce((" + shape.unsettled + "), false) AS " + unsettled_flag;
    return text + "\n  FROM batch" + where_filter(shape);
}

std::string key_join(const ApplyShape& shape, const char* relation) {
    int number = 0;
    return join(shape.columns, " AND ", [&](const auto& column) {
        return column.key ? matches(column, std::string(relation) + ".k" + std::to_string(++number)) : std::string();
    });
}

std::string vanished_condition(const ApplyShape& shape, const std::string& scope) {
    std::string text = "NOT EXISTS (SELECT FROM " + std::string(seen_relation_name) + " WHERE " +
                       key_join(shape, seen_relation_name) + ")";
    if (!scope.empty()) text += " AND " + scope;
    // A row that is already marked vanished before.
    if (shape.deletes == DeleteMode::soft)
        text += " AND t." + shape.deleted_column + " IS NOT DISTINCT FROM " + shape.living_value;
    return text;
}

std::string unmarked_condition(const ApplyShape& shape, Unseen which) {
    return "t." + shape.deleted_column + (which == Unseen::vanished ? " IS NOT DISTINCT FROM " : " IS DISTINCT FROM ") +
           shape.living_value;
}

std::string unseen_condition(const ApplyShape& shape, Unseen which, const std::string& scope) {
    if (which == Unseen::vanished) return vanished_condition(shape, scope);
    return unmarked_condition(shape, which) + " AND EXISTS (SELECT FROM " + seen_relation_name + " WHERE " +
           key_join(shape, seen_relation_name) + ")" + (scope.empty() ? "" : " AND " + scope);
}

std::string write_clause(const ApplyShape& shape, Unseen which) {
    if (which == Unseen::vanished && shape.deletes != DeleteMode::soft) return "DELETE FROM " + shape.target + " AS t";
    return "UPDATE " + shape.target + " AS t SET " + shape.deleted_column + " = " +
           (which == Unseen::vanished ? shape.deleted_value : shape.living_value);
}

std::string without_key(const ApplyShape& shape) {
    return join(shape.columns, " OR ",
                [](const auto& column) { return column.key ? "t." + column.name + " IS NULL" : std::string(); });
}

std::string listed_columns(const ApplyShape& shape, const std::string& key, const std::string& record) {
    int number = 0;
    return std::string("SELECT row_number() OVER () AS ") + row_number + ", " + key + " AS key, " + record +
           " AS record, " + join(shape.columns, ", ", [&](const auto& column) {
               return column.key ? "t." + column.name + " AS k" + std::to_string(++number) : std::string();
           });
}

std::string key_object(const ApplyShape& shape, const char* prefix) {
    return "jsonb_build_object(" +
           join(shape.columns, ", ",
                [&](const auto& column) {
                    return column.key ? literal(column.plain_name) + ", " + prefix + column.name : std::string();
                }) +
           ")";
}

}  // namespace insync::statement_parts
