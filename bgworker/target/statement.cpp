// Builds the statements that write a batch, and those that check it; see statement.hpp.
#include "bgworker/target/statement.hpp"

#include "bgworker/target/statement_parts.hpp"

namespace insync {

using namespace statement_parts;

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

}  // namespace insync
