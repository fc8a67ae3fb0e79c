// Parses the options of a stream; see stream_options.hpp.
#include "bgworker/options/stream_options.hpp"

#include <utility>

namespace insync {

namespace {

// The one list of names and members.
template <typename Options, typename Visit>
void each_option(Options& options, Visit&& visit) {
    visit("mode", options.mode);
    visit("lookback", options.lookback);
    visit("initial_watermark", options.initial_watermark);
    visit("response_watermark", options.response_watermark);
    visit("watermark_format", options.watermark_format);
    visit("null_watermark", options.null_watermark);
    visit("text_policy", options.text_policy);
    visit("zero_dates", options.zero_dates);
    visit("source_time_zone", options.source_time_zone);
    visit("query_timeout", options.query_timeout);
    visit("page_rows", options.page_rows);
    visit("batch_rows", options.batch_rows);
    visit("batch_bytes", options.batch_bytes);
    visit("parent", options.parent);
    visit("fields", options.fields);
    visit("delete_feed", options.delete_feed);
    visit("other_fields", options.other_fields);
    visit("columns", options.columns);
    visit("columns_only", options.columns_only);
    visit("filter", options.filter);
    visit("filter_leaves", options.filter_leaves);
    visit("new_columns", options.new_columns);
    visit("deletes", options.deletes);
    visit("operation_column", options.operation_column);
    visit("delete_values", options.delete_values);
    visit("deleted_when", options.deleted_when);
    visit("deleted_column", options.deleted_column);
    visit("reconcile", options.reconcile);
    visit("reconcile_by", options.reconcile_by);
    visit("max_deletes", options.max_deletes);
    visit("max_rejects", options.max_rejects);
    visit("time_zone", options.time_zone);
    visit("max_retries", options.max_retries);
    visit("retry_delay", options.retry_delay);
    visit("retry_backoff", options.retry_backoff);
    visit("run_timeout", options.run_timeout);
    visit("slice", options.slice);
    visit("slice_column", options.slice_column);
    visit("slice_time_zone", options.slice_time_zone);
    visit("open_days", options.open_days);
    visit("holidays", options.holidays);
    visit("calendar", options.calendar);
    visit("short_below", options.short_below);
    visit("gap_warning", options.gap_warning);
    visit("gap_critical", options.gap_critical);
    visit("min_age", options.min_age);
    visit("verify_schedule", options.verify_schedule);
    visit("verify_depth", options.verify_depth);
    visit("verify_parts", options.verify_parts);
    visit("auto_repair", options.auto_repair);
}

}  // namespace

nlohmann::json with_objects(nlohmann::json options) {
    if (!options.is_object()) return options;
    for (auto& [name, value] : options.items()) {
        const Option* option = value.is_string() ? find_option(Where::stream, name) : nullptr;
        const bool is_object =
            option != nullptr && (option->type == ValueType::json_object || option->type == ValueType::text_map ||
                                  option->type == ValueType::json_options);
        if (!is_object) continue;
        auto parsed = nlohmann::json::parse(value.get_ref<const std::string&>(), nullptr, false);
        if (parsed.is_object()) value = std::move(parsed);
    }
    return options;
}

StreamOptions::StreamOptions() {
    parse();
}

StreamOptions::StreamOptions(nlohmann::json given) : map_(with_objects(std::move(given))) {
    parse();
}

void StreamOptions::set_named(std::string_view name, nlohmann::json value) {
    map_[std::string(name)] = std::move(value);
    parse();
}

void StreamOptions::remove_named(std::string_view name) {
    if (map_.is_object()) map_.erase(std::string(name));
    parse();
}

std::vector<const Text*> StreamOptions::all() const {
    std::vector<const Text*> options;
    each_option(*this, [&](const char*, const Text& option) { options.push_back(&option); });
    return options;
}

void StreamOptions::parse() {
    auto text_of = [&](const char* name) -> std::optional<std::string> {
        if (!map_.is_object()) return std::nullopt;
        const auto found = map_.find(name);
        if (found == map_.end() || found->is_null()) return std::nullopt;
        return found->is_string() ? found->get<std::string>() : found->dump();
    };
    each_option(*this,
                [&](const char* name, auto& option) { read_option(option, Where::stream, name, text_of(name)); });
}

}  // namespace insync
