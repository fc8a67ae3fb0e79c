// Builds the statements about keys: rows that vanished, that are counted, compared or deleted; see statement.hpp.
#include "bgworker/target/statement.hpp"

#include "bgworker/target/statement_parts.hpp"

namespace insync {

using namespace statement_parts;

std::string keys_statement(const ApplyShape& shape) {
    int number = 0;
    return "SELECT " +
           join(shape.columns, ", ",
                [&](const auto& column) {
                    return column.key ? converted(column) + " AS k" + std::to_string(++number) : std::string();
                }) +
           "\n  FROM batch" + (shape.filter_keeps ? "" : where_filter(shape));
}

std::string count_matches_statement(const ApplyShape& shape, const std::string& bucket,
                                    std::string (*number)(const std::string&)) {
    std::string keys = join(shape.columns, ", ", [](const auto& column) {
        return identifies(column) ? converted(column) + " AS " + column.name : std::string();
    });
    return "SELECT " + number("x.bucket") + ", count(*) FROM (SELECT " + bucket + " AS bucket FROM (SELECT DISTINCT " +
           keys + "\n  FROM batch" + where_filter(shape) + ") AS s JOIN " + shape.target + " AS t ON " +
           identity_match(shape) + " WHERE " + living_condition(shape) + ") AS x GROUP BY x.bucket";
}

std::string count_source_statement(const ApplyShape& shape, const std::string& bucket,
                                   std::string (*number)(const std::string&)) {
    std::string living = has_deletes(shape) ? std::string(" WHERE NOT t.") + delete_flag : "";
    return "SELECT " + number("x.bucket") + ", count(*) FROM (SELECT " + bucket + " AS bucket FROM (\n  " +
           mapped_rows(shape) + "\n) AS t" + living + ") AS x GROUP BY x.bucket";
}

std::string count_slices_statement(const ApplyShape& shape, const std::string& bucket,
                                   std::string (*number)(const std::string&), const std::string& scope) {
    return "SELECT " + number("x.bucket") + ", count(*) FROM (SELECT " + bucket + " AS bucket FROM " + shape.target +
           " AS t WHERE " + living_condition(shape) + (scope.empty() ? "" : " AND " + scope) +
           ") AS x GROUP BY x.bucket";
}

std::string count_leaving_statement(const ApplyShape& shape) {
    return "SELECT count(*) FROM (\n  " + mapped_rows(shape) + "\n) AS s JOIN " + shape.target + " AS t ON " +
           join(shape.columns, " AND ",
                [](const auto& column) { return column.key ? matches(column, "s." + column.name) : std::string(); }) +
           " WHERE s." + leave_flag + " AND " + living_condition(shape);
}

std::string differences_statement(const ApplyShape& shape, const std::string& bucket, const std::string& held_bucket,
                                  bool only_keys) {
    const std::string differs = only_keys ? std::string() : changed(shape);
    const std::string flag = std::string("s.") + delete_flag;
    std::string slice = bucket, kind = "CASE WHEN t.tableoid IS NULL THEN 'missing' ELSE 'changed' END";
    std::string condition = "(t.tableoid IS NULL" + (differs.empty() ? "" : "\n      OR " + differs) + ")";
    if (has_deletes(shape)) {
        // Of a row that is to be deleted only the key counts; it differs while it is there.
        slice = "CASE WHEN " + flag + " THEN " + held_bucket + " ELSE " + bucket + " END";
        kind = "CASE WHEN " + flag + " THEN 'extra' WHEN t.tableoid IS NULL THEN 'missing' ELSE 'changed' END";
        condition = "CASE WHEN " + flag + " THEN t.tableoid IS NOT NULL AND " + living_condition(shape) + " ELSE " +
                    condition + " END";
    }
    std::string text = "SELECT " + slice + " AS bucket, " + kind + ", " + key_object(shape, "s.") + " FROM (\n  " +
                       mapped_rows(shape) + "\n) AS s LEFT JOIN " + shape.target + " AS t ON " + key_match(shape);
    text += "\nWHERE " + condition;
    if (!shape.unsettled.empty()) text += std::string(" AND NOT s.") + unsettled_flag;
    return text;
}

std::string present_keys_statement(const ApplyShape& shape) {
    return "SELECT " + key_object(shape, "s.") + ", " +
           (shape.unsettled.empty() ? "false" : "s." + std::string(unsettled_flag)) + " FROM (\n  " +
           mapped_rows(shape) + "\n) AS s" + (has_deletes(shape) ? std::string(" WHERE NOT s.") + delete_flag : "");
}

std::string vanished_rows_statement(const ApplyShape& shape, const std::string& scope, const std::string& bucket) {
    return "SELECT " + bucket + " AS bucket, " + key_object(shape, "t.") + " FROM " + shape.target + " AS t WHERE " +
           vanished_condition(shape, scope);
}

std::string count_vanished_statement(const ApplyShape& shape, const std::string& scope) {
    return "SELECT count(*) FROM " + shape.target + " AS t WHERE " + vanished_condition(shape, scope);
}

std::string vanished_keys_statement(const ApplyShape& shape, const std::string& scope, const std::string& columns) {
    return "SELECT " + columns + " FROM " + shape.target + " AS t WHERE " + vanished_condition(shape, scope);
}

std::string count_scope_statement(const ApplyShape& shape, const std::string& scope) {
    std::string living = shape.deletes == DeleteMode::soft
                             ? "t." + shape.deleted_column + " IS NOT DISTINCT FROM " + shape.living_value
                             : "true";
    return "SELECT count(*) FROM " + shape.target + " AS t WHERE " + living + (scope.empty() ? "" : " AND " + scope);
}

std::string delete_vanished_statement(const ApplyShape& shape, const std::string& scope) {
    return write_clause(shape, Unseen::vanished) + " WHERE " + unseen_condition(shape, Unseen::vanished, scope);
}

std::string undelete_present_statement(const ApplyShape& shape, const std::string& scope) {
    return write_clause(shape, Unseen::undeleted) + " WHERE " + unseen_condition(shape, Unseen::undeleted, scope);
}

std::string list_statement(const ApplyShape& shape, Unseen which, const std::string& scope, const std::string& key,
                           const std::string& record) {
    return listed_columns(shape, key, record) + " FROM " + shape.target + " AS t WHERE " +
           unseen_condition(shape, which, scope) + " AND NOT (" + without_key(shape) + ")";
}

std::string keyless_statement(const ApplyShape& shape, Unseen which, const std::string& scope) {
    return write_clause(shape, which) + " WHERE " + unseen_condition(shape, which, scope) + " AND (" +
           without_key(shape) + ")";
}

std::string list_by_key_statement(const ApplyShape& shape, const std::string& scope, const std::string& records) {
    int number = 0;
    const std::string types = join(shape.columns, ", ", [](const auto& column) {
        return column.key ? column.name + " " + column.type : std::string();
    });
    const std::string names = join(shape.columns, ", ", [&](const auto& column) {
        return column.key ? column.name + " AS k" + std::to_string(++number) : std::string();
    });
    return listed_columns(shape, "NULL::jsonb", target_key(shape)) + " FROM (SELECT DISTINCT " + names +
           " FROM pg_catalog.jsonb_to_recordset(" + literal(records) + "::jsonb) AS r (" + types + ")) AS k JOIN " +
           shape.target + " AS t ON " + key_join(shape, "k") + (scope.empty() ? "" : " WHERE " + scope);
}

std::string write_listed_statement(const ApplyShape& shape, Unseen which, std::int64_t first, std::int64_t last) {
    const std::string listed = listed_relation_name;
    const bool is_delete = which == Unseen::vanished && shape.deletes == DeleteMode::hard;
    return write_clause(shape, which) + (is_delete ? " USING " : " FROM ") + listed + " WHERE " + listed + "." +
           row_number + " BETWEEN " + std::to_string(first) + " AND " + std::to_string(last) + " AND " +
           key_join(shape, listed_relation_name) + (is_delete ? "" : " AND " + unmarked_condition(shape, which));
}

}  // namespace insync
