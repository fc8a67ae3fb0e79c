// Keeps the names of filled columns; see column_names.hpp.
#include "bgworker/target/column_names.hpp"

#include <algorithm>

#include "bgworker/catalog/catalog_scope.hpp"
#include "bgworker/clock/zone_name.hpp"

namespace insync {

namespace {

[[noreturn]] void refuse(const Stream& stream, const std::vector<SourceColumn>& columns, const Target& target,
                         const std::string& before, const TargetColumn& now) {
    std::string hint = "Give it its old name: ALTER TABLE " + target.qualified() + " RENAME COLUMN " +
                       pg::quote_identifier(now.name) + " TO " + pg::quote_identifier(before) + ";";
    auto advise = [&](const nlohmann::json& options) {
        hint += " Or tell the stream its new one: SELECT sync_alter(" + pg::quote_literal(stream.name) + ", " +
                pg::quote_literal(options.dump()) + ");";
    };
    const bool is_key = std::find(stream.key.begin(), stream.key.end(), before) != stream.key.end();
    nlohmann::json named = stream.options.columns;
    if (stream.options.deleted_column.text == before) {
        advise({{"deleted_column", now.name}});
    } else if (const auto expression = named.find(before); expression != named.end() && !is_key) {
        named[now.name] = *expression;
        named.erase(before);
        advise({{"columns", named}});
    } else if (const SourceColumn* source = find_field(columns, fold_name(before)); source != nullptr && !is_key) {
        named[now.name] =
            default_expression(*source, now, server_zone(stream.options.source_time_zone.text), target.qualified());
        advise({{"columns", named}});
    }
    pg::Error error(ERRCODE_UNDEFINED_COLUMN,
                    "column \"" + before + "\" of target " + target.qualified() + " is called \"" + now.name + "\" now",
                    "The stream fills it by its old name.", hint);
    error.error_class = pg::ErrorClass::config;
    throw error;
}

}  // namespace

nlohmann::json filled_columns(const Target& target, const ApplyShape& shape) {
    auto numbers = nlohmann::json::object();
    for (const auto& column : target.columns) {
        const std::string quoted = pg::quote_identifier(column.name);
        const bool is_filled = quoted == shape.deleted_column ||
                               std::any_of(shape.columns.begin(), shape.columns.end(),
                                           [&](const MappedColumn& item) { return item.plain_name == column.name; });
        if (is_filled) numbers[column.name] = column.number;
    }
    return {{"table", target.oid}, {"columns", numbers}};
}

nlohmann::json known_filled_columns(int stream_id) {
    Bookkeeping bookkeeping;
    const auto found = pg::query("SELECT s.target_columns FROM insync.stream AS s WHERE s.id = $1::integer",
                                 {std::to_string(stream_id)});
    if (found.empty() || !found.first()[0]) return nullptr;
    return nlohmann::json::parse(*found.first()[0]);
}

void require_names(const Stream& stream, const std::vector<SourceColumn>& columns, const Target& target,
                   const nlohmann::json& known) {
    // Of a table that was made anew, as from a dump, the numbers say nothing.
    if (!known.is_object() || known.value("table", InvalidOid) != target.oid) return;
    const nlohmann::json& named = stream.options.columns.value;
    const bool only_named = stream.options.columns_only;
    for (const auto& [before, number] : known["columns"].items()) {
        const auto now = std::find_if(target.columns.begin(), target.columns.end(),
                                      [&](const TargetColumn& column) { return column.number == number.get<int>(); });
        if (now == target.columns.end() || now->name == before || named.contains(now->name)) continue;
        if (stream.options.deleted_column.text == now->name) continue;
        // Somebody may put a column aside, and another one in its place.
        const bool is_filled_by_name = !only_named && find_field(columns, fold_name(now->name)) != nullptr;
        if (target.find(before) != nullptr && !is_filled_by_name) continue;
        refuse(stream, columns, target, before, *now);
    }
}

}  // namespace insync
