// Checks that keys alone tell rows; see key_only_rows.hpp.
#include "bgworker/apply/key_only_rows.hpp"

#include "bgworker/apply/applier.hpp"
#include "bgworker/options/expression_words.hpp"
#include "bgworker/target/key_moves.hpp"

namespace insync {

std::vector<SourceColumn> key_columns(const Stream& stream) {
    std::vector<SourceColumn> columns;
    auto add = [&](const std::string& name) {
        const SourceColumn* column = find_field(stream.source_columns, fold_name(name));
        if (column != nullptr && find_field(columns, column->field) == nullptr) columns.push_back(*column);
    };
    for (const auto& name : stream.source_key) add(name);
    if (source_key_identifies(stream)) return columns;
    const nlohmann::json& named = stream.options.columns.value;
    for (const auto& name : stream.key) {
        if (!named.contains(name)) add(name);
    }
    return columns;
}

std::vector<std::string> key_column_names(const Stream& stream) {
    std::vector<std::string> names;
    for (const auto& column : key_columns(stream)) names.push_back(column.name);
    return names;
}

std::vector<std::vector<std::vector<std::string>>> in_parts(const std::vector<std::vector<std::string>>& keys) {
    constexpr std::size_t most_bytes = 4u << 20;  // escapes make six of one at the worst
    std::vector<std::vector<std::vector<std::string>>> parts;
    std::size_t bytes = most_bytes;
    for (const auto& key : keys) {
        if (bytes >= most_bytes) {
            parts.emplace_back();
            bytes = 0;
        }
        for (const auto& value : key) bytes += value.size() + 4;
        parts.back().push_back(key);
    }
    return parts;
}

std::vector<std::string> version_key(const Stream& stream) {
    if (stream.options.filter.is_given) return {};
    if (source_key_identifies(stream)) return stream.source_key;
    std::vector<std::string> names;
    const nlohmann::json& named = stream.options.columns.value;
    for (const auto& name : stream.key) {
        std::vector<std::string> fields{fold_name(name)};
        if (auto expression = named.find(name); expression != named.end()) {
            auto found = fields_of(expression->get<std::string>(), stream.source_columns);
            if (!found) return {};
            fields = std::move(*found);
        }
        for (const auto& field : fields) {
            const SourceColumn* column = find_field(stream.source_columns, field);
            if (column == nullptr) return {};
            names.push_back(column->name);
        }
    }
    return names;
}

namespace {

[[noreturn]] void refuse(const std::string& message, const std::string& hint) {
    pg::Error error(ERRCODE_INVALID_PARAMETER_VALUE, message, "", hint);
    error.error_class = pg::ErrorClass::config;
    throw error;
}

void check_feed(const Stream& stream) {
    if (stream.mode == "full")
        refuse("option \"delete_feed\" requires an incremental stream",
               "A full read finds deleted rows without it: remove the option, or name a watermark.");
    if (!stream.watermark.empty() && stream.watermark_kind != "time")
        refuse("option \"delete_feed\" requires a watermark that is a time",
               "If the watermark is a time that is written as a number, set option watermark_format.");
    const auto key = stream.options.delete_feed.value.value("key", nlohmann::json());
    std::size_t count = key.is_array() ? key.size() : 1;
    auto expected = key_column_names(stream);
    if (count == expected.size()) return;
    std::string names;
    for (const auto& name : expected) names += (names.empty() ? "" : ", ") + name;
    refuse("the key of option \"delete_feed\" has " + std::to_string(count) + (count == 1 ? " field" : " fields") +
               ", that of the source " + std::to_string(expected.size()) + " (" + names + ")",
           "Name the fields that hold the key of the row that was deleted, in that order.");
}

}  // namespace

void check_key_rows(const Stream& stream) {
    bool has_feed = stream.options.delete_feed.is_given, scans = stream.options.reconcile_by == Reconciled::keys;
    if (has_feed) check_feed(stream);
    if (has_feed || scans)
        Applier(stream, key_columns(stream), false, has_feed ? RowKind::deleted_key : RowKind::live_key);
}

void check_key_scan(const Stream& stream) {
    if (stream.compares_whole_rows())
        refuse("mode keys needs a key, and the source of stream \"" + stream.name + "\" has none",
               "Mode full compares whole rows.");
    if (stream.options.deletes == DeleteMode::ignore)
        refuse("mode keys finds deleted rows, which stream \"" + stream.name + "\" ignores",
               "Set its option deletes to soft or hard.");
    if (stream.options.operation_column.is_given)
        refuse("mode keys cannot find deleted rows when option operation_column is set",
               "A table of changes also has the keys of deleted rows.");
}

}  // namespace insync
