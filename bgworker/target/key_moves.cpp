// Finds the moving columns of a key; see key_moves.hpp.
#include "bgworker/target/key_moves.hpp"

#include <algorithm>
#include <set>

#include "bgworker/options/expression_words.hpp"

namespace insync {

namespace {

std::set<std::string> source_key_of(const Stream& stream) {
    std::set<std::string> fields;
    for (const auto& name : stream.source_key) fields.insert(fold_name(name));
    return fields;
}

// The field that a column of the key takes as it is; empty: none.
std::string field_taken(const MappedColumn& column, const std::set<std::string>& fields) {
    if (!column.field.empty()) return column.field;
    auto found = std::find_if(fields.begin(), fields.end(),
                              [&](const std::string& field) { return is_field(column.expression, field); });
    return found != fields.end() ? *found : std::string();
}

// Can the value change while the fields of the source's key stay as they are?
bool can_change(const MappedColumn& column, const std::set<std::string>& key,
                const std::vector<SourceColumn>& columns) {
    if (!column.field.empty()) return !key.contains(column.field);
    const auto fields = fields_of(column.expression, columns);
    return !fields ||
           !std::all_of(fields->begin(), fields->end(), [&](const auto& field) { return key.contains(field); });
}

void require_movable(const Target& target, const MappedColumn& column) {
    const TargetColumn& moving = *target.find(column.plain_name);
    if (!moving.nullable) return;
    throw pg::Error(ERRCODE_INVALID_TABLE_DEFINITION,
                    "column \"" + moving.name + "\" of the key of target " + target.qualified() + " can be NULL", "",
                    "ALTER TABLE " + target.qualified() + " ALTER COLUMN " + column.name + " SET NOT NULL;");
}

}  // namespace

void mark_moving(const Stream& stream, const std::vector<SourceColumn>& columns, const Target& target,
                 ApplyShape& shape) {
    // Where nothing is known to identify a row at the source, the target's key does.
    if (!stream.source_key_unique) return;
    const auto key = source_key_of(stream);
    std::set<std::string> held;
    std::vector<MappedColumn*> moving;
    for (auto& column : shape.columns) {
        if (!column.key) continue;
        if (std::string field = field_taken(column, key); key.contains(field)) {
            held.insert(field);
        } else if (can_change(column, key, columns)) {
            moving.push_back(&column);
        }
    }
    if (held != key) return;
    for (MappedColumn* column : moving) {
        require_movable(target, *column);
        column->moves = true;
    }
}

bool holds_source_key(const Stream& stream, const std::vector<std::string>& names) {
    const nlohmann::json& named = stream.options.columns.value;
    const auto key = source_key_of(stream);
    return std::all_of(key.begin(), key.end(), [&](const std::string& field) {
        return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
            const auto expression = named.find(name);
            return expression != named.end() ? is_field(expression->get<std::string>(), field)
                                             : fold_name(name) == field;
        });
    });
}

bool takes_more_than_source_key(const Stream& stream, const std::vector<std::string>& names) {
    const nlohmann::json& named = stream.options.columns.value;
    const auto key = source_key_of(stream);
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        const auto expression = named.find(name);
        if (expression == named.end()) return !key.contains(fold_name(name));
        const auto fields = fields_of(expression->get<std::string>(), stream.source_columns);
        return fields &&
               !std::all_of(fields->begin(), fields->end(), [&](const auto& field) { return key.contains(field); });
    });
}

bool source_key_identifies(const Stream& stream) {
    return stream.source_key_unique && holds_source_key(stream, stream.key);
}

bool finds_moved(const Target& target, const ApplyShape& shape) {
    std::vector<std::string> names;
    for (const auto& column : shape.columns) {
        if (column.key && !column.moves) names.push_back(column.plain_name);
    }
    return !pg::query(
                "SELECT FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND "
                "a.attnum = i.indkey[0] WHERE i.indrelid = $1::pg_catalog.oid AND i.indisvalid AND i.indpred IS NULL "
                "AND "
                "a.attname = ANY ($2::pg_catalog.text[])",
                {std::to_string(target.oid), to_array(names)})
                .empty();
}

}  // namespace insync
