// Writes and reads requests, member by member; see request.hpp.
#include "bgworker/protocol/request.hpp"

#include <limits>

#include "bgworker/protocol/overloaded.hpp"

namespace insync {

namespace {

using nlohmann::json;

template <typename Value>
json json_of(const std::optional<Value>& value) {
    return value ? json(*value) : json();
}

// Numbers are texts as well, where a text is asked for.
std::string text_of(const json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

const json& member(const json& request, const char* name) {
    const auto found = request.find(name);
    if (found == request.end()) throw InvalidRequest("the request has no member \"" + std::string(name) + "\"");
    return *found;
}

std::optional<std::string> optional_text(const json& request, const char* name) {
    const auto found = request.find(name);
    if (found == request.end() || found->is_null()) return std::nullopt;
    return text_of(*found);
}

std::optional<std::vector<std::string>> optional_names(const json& request, const char* name) {
    const auto found = request.find(name);
    if (found == request.end() || found->is_null()) return std::nullopt;
    return found->get<std::vector<std::string>>();
}

std::vector<std::string> names_of(const json& request, const char* name) {
    return optional_names(request, name).value_or(std::vector<std::string>());
}

// A count; what isn't given or isn't positive is `fallback`, what is too large the largest there is.
template <typename Number>
Number number_or(const json& request, const char* name, Number fallback) {
    const auto found = request.find(name);
    if (found == request.end() || !found->is_number()) return fallback;
    const double value = found->get<double>();
    if (value >= static_cast<double>(std::numeric_limits<Number>::max())) return std::numeric_limits<Number>::max();
    return value >= 1 ? static_cast<Number>(value) : fallback;
}

// An object or array, as `fallback` is one; what is none is `fallback`.
json structure_or(const json& request, const char* name, const json& fallback) {
    const auto found = request.find(name);
    return found != request.end() && found->type() == fallback.type() ? *found : fallback;
}

json open_members(const OpenRequest& open) {
    return {{"kind", open.kind},
            {"server", open.server},
            {"credentials", open.credentials},
            {"limits",
             {{"connect_timeout_ms", open.connect_timeout_ms},
              {"query_timeout_ms", open.query_timeout_ms},
              {"lock_timeout_ms", open.lock_timeout_ms},
              {"max_value_bytes", open.max_value_bytes}}}};
}

OpenRequest open_of(const json& request) {
    OpenRequest open;
    open.kind = request.value("kind", open.kind);
    open.server = structure_or(request, "server", open.server);
    open.credentials = structure_or(request, "credentials", open.credentials);
    const json limits = structure_or(request, "limits", json::object());
    open.connect_timeout_ms = number_or(limits, "connect_timeout_ms", open.connect_timeout_ms);
    open.query_timeout_ms = number_or(limits, "query_timeout_ms", open.query_timeout_ms);
    open.lock_timeout_ms = number_or(limits, "lock_timeout_ms", open.lock_timeout_ms);
    open.max_value_bytes = number_or(limits, "max_value_bytes", open.max_value_bytes);
    return open;
}

DescribeRequest describe_of(const json& request) {
    return {member(request, "source").get<std::string>(), optional_names(request, "key"),
            optional_names(request, "watermark"), structure_or(request, "options", json::object())};
}

json window_members(const Window& window) {
    return {{"column", window.column},
            {"from", json_of(window.from)},
            {"to", json_of(window.to)},
            {"null", window.only_null}};
}

std::optional<Window> window_of(const json& request) {
    const auto found = request.find("window");
    if (found == request.end() || found->is_null()) return std::nullopt;
    return Window{member(*found, "column").get<std::string>(), optional_text(*found, "from"),
                  optional_text(*found, "to"), found->value("null", false)};
}

using NullWatermark = ReadRequest::NullWatermark;

constexpr std::pair<const char*, NullWatermark> null_watermark_words[] = {
    {"include", NullWatermark::include}, {"reject", NullWatermark::reject}, {"fail", NullWatermark::fail}};

json read_members(const ReadRequest& read) {
    json request = {{"source", read.source},
                    {"mode", read.only_keys ? "keys"
                             : read.full    ? "full"
                                            : "incremental"},
                    {"key", read.key},
                    {"key_columns", read.key_columns},
                    {"row_identity", read.row_identity},
                    {"watermark", read.watermark},
                    {"version", read.version},
                    {"version_key", read.version_key},
                    {"key_is_unique", read.key_is_unique},
                    {"remake", read.remake},
                    {"is_change_log", read.is_change_log},
                    {"lookback", read.lookback},
                    {"initial_watermark", json_of(read.initial_watermark)},
                    {"zone_offset_s", json_of(read.zone_offset_s)},
                    {"position", read.position},
                    {"batch_rows", read.batch_rows},
                    {"batch_bytes", read.batch_bytes},
                    {"page_rows", read.page_rows},
                    {"text_policy", read.replace_text ? "replace" : "reject"},
                    {"zero_dates", read.null_zero_dates ? "null" : "reject"},
                    {"columns", json_of(read.columns)},
                    {"options", read.options},
                    {"known_columns", read.known_columns}};
    for (const auto& [word, value] : null_watermark_words) {
        if (value == read.null_watermark) request["null_watermark"] = word;
    }
    if (read.window) request["window"] = window_members(*read.window);
    if (read.only) request["only"] = *read.only;
    return request;
}

ReadRequest read_of(const json& request, const std::string& mode) {
    ReadRequest read;
    read.source = member(request, "source").get<std::string>();
    read.only_keys = mode == "keys";
    read.full = mode == "full" || read.only_keys;
    if (read.full) read.window = window_of(request);
    if (const auto found = request.find("only"); read.full && found != request.end() && !found->is_null())
        read.only = found->get<std::vector<std::vector<std::string>>>();
    read.key = names_of(request, "key");
    read.key_columns = optional_names(request, "key_columns").value_or(read.key);
    read.row_identity = names_of(request, "row_identity");
    read.watermark = names_of(request, "watermark");
    read.version = optional_names(request, "version").value_or(read.watermark);
    read.version_key = names_of(request, "version_key");
    read.key_is_unique = request.value("key_is_unique", false);
    read.remake = optional_text(request, "remake").value_or("");
    read.is_change_log = request.value("is_change_log", false);
    read.lookback = optional_text(request, "lookback").value_or("");
    read.initial_watermark = optional_text(request, "initial_watermark");
    if (const auto offset = request.find("zone_offset_s"); offset != request.end() && offset->is_number_integer())
        read.zone_offset_s = offset->get<std::int64_t>();
    if (const auto found = request.find("position"); found != request.end()) read.position = *found;
    read.batch_rows = number_or(request, "batch_rows", read.batch_rows);
    read.batch_bytes = number_or(request, "batch_bytes", read.batch_bytes);
    read.page_rows = number_or(request, "page_rows", read.page_rows);
    const std::string nulls = optional_text(request, "null_watermark").value_or("include");
    for (const auto& [word, value] : null_watermark_words) {
        if (nulls == word) read.null_watermark = value;
    }
    read.replace_text = optional_text(request, "text_policy").value_or("replace") != "reject";
    read.null_zero_dates = optional_text(request, "zero_dates").value_or("null") != "reject";
    read.columns = optional_names(request, "columns");
    read.options = structure_or(request, "options", read.options);
    read.known_columns = structure_or(request, "known_columns", read.known_columns);
    return read;
}

ReadRequest read_of(const json& request) {
    return read_of(request, request.value("mode", "incremental"));
}

using MeasureUnit = MeasureRequest::Unit;

constexpr std::pair<const char*, MeasureUnit> unit_words[] = {
    {"hour", MeasureUnit::hour}, {"day", MeasureUnit::day}, {"quarter", MeasureUnit::quarter}};

json measure_members(const MeasureRequest& measure) {
    json request = read_members(measure.rows);
    if (measure.by_time) {
        for (const auto& [word, unit] : unit_words) {
            if (unit == measure.by_time->unit) request["group"] = {{"column", measure.by_time->column}, {"unit", word}};
        }
    } else if (measure.blocks > 0) {
        request["group"] = {{"blocks", measure.blocks}};
    }
    request["sums"] = measure.sums;
    request["hash"] = measure.hash;
    request["as_stored"] = measure.as_stored;
    request["unsettled_from"] = json_of(measure.unsettled_from);
    request["buckets"] = measure.buckets;
    return request;
}

MeasureRequest measure_of(const json& request) {
    MeasureRequest measure;
    measure.rows = read_of(request, "full");
    if (const auto group = request.find("group"); group != request.end() && !group->is_null()) {
        measure.blocks = number_or<std::size_t>(*group, "blocks", 0);
        if (measure.blocks == 0) {
            const std::string unit = member(*group, "unit").get<std::string>();
            for (const auto& [word, value] : unit_words) {
                if (unit == word) measure.by_time = {member(*group, "column").get<std::string>(), value};
            }
            if (!measure.by_time) {
                throw InvalidRequest("rows cannot be grouped by \"" + unit + "\"", "Group by hour, day or quarter.");
            }
        }
    }
    measure.sums = names_of(request, "sums");
    measure.hash = names_of(request, "hash");
    measure.as_stored = request.value("as_stored", false);
    measure.unsettled_from = optional_text(request, "unsettled_from");
    if (const auto buckets = request.find("buckets"); buckets != request.end() && !buckets->is_null())
        measure.buckets = buckets->get<std::vector<std::pair<std::string, std::string>>>();
    return measure;
}

json with_verb(const char* verb, json members) {
    members["verb"] = verb;
    return members;
}

}  // namespace

std::string OpenRequest::credential(const char* name) const {
    return optional_text(credentials, name).value_or("");
}

json to_json(const Request& request) {
    return std::visit(
        Overloaded{
            [](const OpenRequest& open) { return with_verb("open", open_members(open)); },
            [](const CheckRequest& check) {
                json members = with_verb("check", open_members(check.open));
                members["check_source"] = check.source;
                return members;
            },
            [](const DiscoverRequest& discover) {
                return with_verb("discover", {{"pattern", discover.pattern}});
            },
            [](const DescribeRequest& describe) {
                return with_verb("describe", {{"source", describe.source},
                                              {"key", json_of(describe.key)},
                                              {"watermark", json_of(describe.watermark)},
                                              {"options", describe.options}});
            },
            [](const PreviewRequest& preview) {
                return with_verb("preview", {{"source", preview.source}, {"rows", preview.rows}});
            },
            [](const ReadRequest& read) { return with_verb("read", read_members(read)); },
            [](const ExplainRequest& explain) { return with_verb("explain", read_members(explain.rows)); },
            [](const MeasureRequest& measure) { return with_verb("measure", measure_members(measure)); },
            [](const CloseRequest&) { return with_verb("close", json::object()); },
        },
        request);
}

Request request_of(const json& line) {
    const std::string verb = line.value("verb", "");
    if (verb == "open") return open_of(line);
    if (verb == "check") return CheckRequest{open_of(line), optional_text(line, "check_source").value_or("")};
    if (verb == "discover") return DiscoverRequest{line.value("pattern", "%")};
    if (verb == "describe") return describe_of(line);
    if (verb == "preview")
        return PreviewRequest{member(line, "source").get<std::string>(), number_or<std::size_t>(line, "rows", 10)};
    if (verb == "read") return read_of(line);
    if (verb == "explain") return ExplainRequest{read_of(line)};
    if (verb == "measure") return measure_of(line);
    if (verb == "close") return CloseRequest{};
    throw InvalidRequest("unknown verb \"" + verb + "\"");
}

}  // namespace insync
