// Builds the statements that apply a batch; see statement.hpp.
#include "bgworker/target/statement.hpp"

#include <algorithm>

namespace insync {

namespace {

constexpr const char* row_number = "insync_row";
constexpr const char* delete_flag = "insync_delete";
constexpr const char* leave_flag = "insync_leave";
constexpr const char* moving_flag = "insync_moving";

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

// Part of what tells the row from others, at the source as well as here.
bool identifies(const MappedColumn& column) {
    return column.key && !column.moves;
}

// What the column gets. Of a row that says that it was deleted only the key counts: a value in it that the target
// couldn't hold must not keep the row alive.
std::string value(const ApplyShape& shape, const MappedColumn& column) {
    if (identifies(column) || !has_deletes(shape)) return converted(column);
    return "CASE WHEN (" + shape.delete_condition + "\n) THEN NULL::" + column.base_type + " ELSE " +
           converted(column) + " END";
}

// Does `left` hold another value than `right`?
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

// The row t has the key of the row s; or is the same one at the source.
std::string key_match(const ApplyShape& shape) {
    return join(shape.columns, " AND ",
                [](const auto& column) { return column.key ? matches(column, "s." + column.name) : std::string(); });
}
std::string identity_match(const ApplyShape& shape) {
    return join(shape.columns, " AND ", [](const auto& column) {
        return identifies(column) ? matches(column, "s." + column.name) : std::string();
    });
}

std::string all_names(const ApplyShape& shape, const char* prefix = "") {
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

// A row that isn't as the batch says: some column differs, or it is marked as deleted though it lives.
std::string changed(const ApplyShape& shape) {
    std::string text = join(shape.columns, "\n      OR ",
                            [](const auto& column) { return column.key ? std::string() : differs(column); });
    if (!shape.deleted_column.empty()) {
        text += (text.empty() ? "" : "\n      OR ") + ("t." + shape.deleted_column) + " IS DISTINCT FROM " +
                shape.living_value;
    }
    return text;
}

// Tells insync.note() that a row of the batch is in the target before and after, or not. Stands last among the
// conditions of an action, so that it speaks of rows that the action is taken for. See slice_counter.hpp.
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

// The batch through the mapping, before duplicates of a key are settled.
std::string mapped(const ApplyShape& shape) {
    std::string text = "SELECT " +
                       join(shape.columns, ",\n    ",
                            [&](const auto& column) { return value(shape, column) + " AS " + column.name; }) +
                       ",\n    " + row_number;
    if (has_deletes(shape)) text += ",\n    coalesce((" + shape.delete_condition + "\n), false) AS " + delete_flag;
    if (!shape.leave_condition.empty()) text += ",\n    (" + shape.leave_condition + "\n) AS " + leave_flag;
    if (!shape.moving.empty()) text += ",\n    coalesce((" + shape.moving + "), false) AS " + moving_flag;
    return text + "\n  FROM batch" + where_filter(shape);
}

// The row t has the key of a row of this relation of keys.
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

// The row t has not got the mark, or the absence of one, that it is to get.
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

// The target's key as an object, of the row s or t.
std::string key_object(const ApplyShape& shape, const char* prefix) {
    return "jsonb_build_object(" +
           join(shape.columns, ", ",
                [&](const auto& column) {
                    return column.key ? literal(column.plain_name) + ", " + prefix + column.name : std::string();
                }) +
           ")";
}

}  // namespace

// Expressions stand in parentheses behind a line end, so that a comment in one can't swallow what follows.
std::string converted(const MappedColumn& column) {
    std::string value = "(" + column.expression + "\n)";
    if (!column.length_function.empty()) {
        value = column.length_function + "(" + value + "::" + column.length_type + ", " +
                std::to_string(column.length_modifier) + ", false)";
    }
    return value + "::" + column.type;
}

std::string target_key(const ApplyShape& shape) {
    return key_object(shape, "t.");
}

std::string living_condition(const ApplyShape& shape) {
    if (shape.deleted_column.empty()) return "true";
    return "t." + shape.deleted_column + " IS NOT DISTINCT FROM " + shape.living_value;
}

bool has_moves(const ApplyShape& shape) {
    return std::any_of(shape.columns.begin(), shape.columns.end(), [](const auto& column) { return column.moves; });
}

std::string mapped_rows(const ApplyShape& shape) {
    std::string keys = identity_names(shape);
    // What has no version, such as the word of a delete, is about the row as it was then.
    std::string versions = shape.version.empty() ? "" : shape.version + " DESC NULLS FIRST, ";
    return "SELECT DISTINCT ON (" + keys + ") * FROM (\n  " + mapped(shape) + "\n  ) AS m ORDER BY " + keys + ", " +
           versions + row_number + " DESC";
}

std::string merge_statement(const ApplyShape& shape, RowOrder order) {
    // OFFSET 0: so that each expression is evaluated once, and not once for each place that names its column.
    std::string rows = order == RowOrder::by_key ? mapped(shape) + " OFFSET 0" : mapped_rows(shape);
    std::string text = "MERGE INTO " + shape.target + " AS t USING (\n  " + rows + "\n) AS s ON " + key_match(shape);
    std::string flag = std::string("s.") + delete_flag;
    std::string when_alive;
    if (!shape.version.empty()) {
        text += "\nWHEN MATCHED AND s." + shape.version + " < t." + shape.version + and_note(shape, "false", "false") +
                " THEN DO NOTHING";
    }
    if (has_deletes(shape)) {
        when_alive = " AND NOT " + flag;
        if (shape.deletes == DeleteMode::hard) {
            text += "\nWHEN MATCHED AND " + flag + and_note(shape, "true", "false") + " THEN DELETE";
        } else {
            text += "\nWHEN MATCHED AND " + flag + " AND t." + shape.deleted_column + " IS NOT DISTINCT FROM " +
                    shape.living_value + and_note(shape, "true", "false") + " THEN UPDATE SET " + shape.deleted_column +
                    " = " + shape.deleted_value;
        }
    }
    if (std::string condition = changed(shape); !condition.empty()) {
        text += "\nWHEN MATCHED" + when_alive + " AND (" + condition + ")" +
                and_note(shape, living_condition(shape), "true") + " THEN UPDATE SET " + assignments(shape);
    }
    text += "\nWHEN NOT MATCHED" + when_alive + and_note(shape, "false", "true") + " THEN INSERT (" + all_names(shape) +
            ")" + (shape.override_identity ? " OVERRIDING SYSTEM VALUE" : "") + " VALUES (" + all_names(shape, "s.") +
            ")";
    // An action that was chosen, and given up because the row had changed meanwhile, has left its note.
    if (std::string nothing = note(shape, "false", "false"); !nothing.empty()) {
        text +=
            "\nWHEN MATCHED AND " + nothing + " THEN DO NOTHING\nWHEN NOT MATCHED AND " + nothing + " THEN DO NOTHING";
    }
    return text;
}

namespace {

// SQL over s and t: the batch's version of the row isn't older than the target's.
std::string and_not_older(const ApplyShape& shape) {
    return shape.version.empty() ? "" : " AND (s." + shape.version + " < t." + shape.version + ") IS NOT TRUE";
}

std::string counted_buckets(const std::string& cte, std::string (*number)(const std::string&), bool is_gone) {
    const std::string after = is_gone ? "NULL" : number("x.insync_after");
    return cte + "\nSELECT " + number("x.insync_before") + ", x.insync_was, " + after +
           ", count(*) FROM written AS x GROUP BY 1, 2, 3";
}

}  // namespace

std::string move_statement(const ApplyShape& shape, const std::string& bucket,
                           std::string (*number)(const std::string&)) {
    int number_of_key = 0, number_of_match = 0;
    const std::string old_key = join(shape.columns, "", [&](const auto& column) {
        return column.key ? ", t." + column.name + " AS insync_key_" + std::to_string(++number_of_key) : std::string();
    });
    const std::string by_old_key = join(shape.columns, " AND ", [&](const auto& column) {
        return column.key ? matches(column, "s.insync_key_" + std::to_string(++number_of_match)) : std::string();
    });
    const std::string moves = join(shape.columns, ", ", [](const auto& column) {
        return column.moves ? column.name + " = s." + column.name : std::string();
    });
    const std::string others = assignments(shape);
    // First those that are not here under their key, which the key's index tells: only they are looked for otherwise.
    return counted_buckets(
        "WITH fresh AS MATERIALIZED (SELECT s.* FROM (\n  " + mapped_rows(shape) + "\n) AS s WHERE " +
            (has_deletes(shape) ? std::string("NOT s.") + delete_flag + " AND " : "") + "NOT EXISTS (SELECT FROM " +
            shape.target + " AS t WHERE " + key_match(shape) + ")),\nold AS MATERIALIZED (SELECT s.*" + old_key + ", " +
            bucket + " AS insync_before, " + living_condition(shape) + " AS insync_was FROM fresh AS s JOIN " +
            shape.target + " AS t ON " + identity_match(shape) + and_not_older(shape) + "),\nwritten AS (UPDATE " +
            shape.target + " AS t SET " + moves + (others.empty() ? "" : ", " + others) + " FROM old AS s WHERE " +
            by_old_key + " RETURNING s.insync_before, s.insync_was, " + bucket + " AS insync_after)",
        number, false);
}

std::string withdraw_statement(const ApplyShape& shape, const std::string& bucket,
                               std::string (*number)(const std::string&)) {
    const std::string rows = "(\n  " + mapped_rows(shape) + "\n) AS s WHERE s." + delete_flag + " AND " +
                             identity_match(shape) + and_not_older(shape);
    const std::string returning = " RETURNING " + bucket + " AS insync_before, ";
    if (shape.deletes == DeleteMode::hard) {
        return counted_buckets("WITH written AS (DELETE FROM " + shape.target + " AS t USING " + rows + returning +
                                   living_condition(shape) + " AS insync_was)",
                               number, true);
    }
    return counted_buckets("WITH written AS (UPDATE " + shape.target + " AS t SET " + shape.deleted_column + " = " +
                               shape.deleted_value + " FROM " + rows + " AND " + living_condition(shape) + returning +
                               "true AS insync_was)",
                           number, true);
}

std::string insert_statement(const ApplyShape& shape, RowOrder order) {
    std::string rows = order == RowOrder::by_key ? mapped(shape) : mapped_rows(shape);
    // Without OFFSET 0 the note would be made of the batch's rows before a filter that looks at other tables is asked.
    if (!shape.slice_column.empty()) rows += " OFFSET 0";
    std::string text = "INSERT INTO " + shape.target + " (" + all_names(shape) + ")" +
                       (shape.override_identity ? " OVERRIDING SYSTEM VALUE" : "") + "\nSELECT " + all_names(shape) +
                       " FROM (\n  " + rows + "\n) AS s";
    // The note's cost, by its definition, puts it behind all other conditions.
    std::string condition = has_deletes(shape) ? std::string("NOT ") + delete_flag : "";
    if (std::string noted = note(shape, "false", "true"); !noted.empty())
        condition += (condition.empty() ? "" : " AND ") + noted;
    if (!condition.empty()) text += " WHERE " + condition;
    return text;
}

std::string check_statement(const ApplyShape& shape) {
    return "SELECT count(ROW(" +
           join(shape.columns, ",\n  ", [&](const auto& column) { return value(shape, column); }) + "))" +
           "\n  FROM batch" + where_filter(shape);
}

std::string check_statement(const ApplyShape& shape, const MappedColumn& column) {
    return "SELECT count(ROW(" + value(shape, column) + "))\n  FROM batch" + where_filter(shape);
}

std::string filtered_statement(const ApplyShape& shape) {
    if (shape.filter.empty()) return "";
    return "SELECT count(*) FROM batch WHERE (" + shape.filter + "\n) IS NOT TRUE";
}

std::string misfit_statement(const ApplyShape& shape) {
    std::string all, which, value;
    for (std::size_t i = 0; i < shape.columns.size(); i++) {
        const MappedColumn& column = shape.columns[i];
        if (column.fit.empty()) continue;
        // Of a row that was deleted only the key counts.
        const bool always = column.key || !has_deletes(shape);
        const std::string fits =
            always ? column.fit : "(" + column.fit + " OR coalesce((" + shape.delete_condition + "\n), false))";
        const std::string when = " WHEN NOT " + fits + " THEN ";
        all += (all.empty() ? "" : " AND ") + fits;
        which += when + std::to_string(i);
        value += when + "pg_catalog.left(batch." + column.source + "::text, 100)";
    }
    if (all.empty()) return "";
    return std::string("SELECT ") + row_number + ", CASE" + which + " END, CASE" + value + " END\n  FROM batch" +
           where_filter(shape) + (shape.filter.empty() ? "\n  WHERE NOT (" : " AND NOT (") + all + ")";
}

std::string origins_statement(const ApplyShape& shape) {
    auto hash = [](const MappedColumn& column) {
        if (!column.key) return std::string();
        std::string value = converted(column);
        if (!column.collation.empty()) {
            value = "pg_catalog.hashtextextended(" + value + "::text COLLATE " + column.collation + ", 0)";
        } else if (!column.is_hashable) {
            value = "pg_catalog.hashtextextended(" + value + "::text, 0)";
        }
        return value;
    };
    std::string keys = join(shape.columns, ", ", [](const auto& column) {
        return column.key ? converted(column) + "::text" : std::string();
    });
    return std::string("SELECT ") + row_number + ", pg_catalog.hash_record_extended(ROW(" +
           join(shape.columns, ", ", hash) + "), 0), pg_catalog.jsonb_build_array(" + keys + ")::text, " +
           shape.source_key + "\n  FROM batch" + where_filter(shape);
}

std::string held_rows_statement(const ApplyShape& shape) {
    std::string keys = join(shape.columns, ", ", [](const auto& column) {
        return column.key ? converted(column) + " AS " + column.name : std::string();
    });
    std::string match = join(shape.columns, " AND ", [](const auto& column) {
        return column.key ? matches(column, "s." + column.name) : std::string();
    });
    return std::string("SELECT s.") + row_number + " FROM (SELECT " + keys + ", " + row_number + "\n  FROM batch" +
           where_filter(shape) + ") AS s JOIN " + shape.target + " AS t ON " + match + " WHERE " +
           living_condition(shape);
}

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
    if (!shape.moving.empty()) text += std::string(" AND NOT s.") + moving_flag;
    return text;
}

std::string present_keys_statement(const ApplyShape& shape) {
    return "SELECT " + key_object(shape, "s.") + ", " +
           (shape.moving.empty() ? "false" : "s." + std::string(moving_flag)) + " FROM (\n  " + mapped_rows(shape) +
           "\n) AS s" + (has_deletes(shape) ? std::string(" WHERE NOT s.") + delete_flag : "");
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

std::string revive_seen_statement(const ApplyShape& shape, const std::string& scope) {
    return write_clause(shape, Unseen::revived) + " WHERE " + unseen_condition(shape, Unseen::revived, scope);
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
