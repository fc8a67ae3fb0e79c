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

// The member, or nullptr where there is none or it is null.
const json* given(const json& request, const char* name) {
    const auto found = request.find(name);
    return found == request.end() || found->is_null() ? nullptr : &*found;
}

const json& member(const json& request, const char* name) {
    const json* found = given(request, name);
    if (found == nullptr) throw InvalidRequest("the request has no member \"" + std::string(name) + "\"");
    return *found;
}

InvalidRequest of_wrong_type(const char* name) {
    return InvalidRequest("member \"" + std::string(name) + "\" of the request is of the wrong type");
}

template <typename Value>
Value read_value(const json& value, const char* name) {
    try {
        return value.get<Value>();
    } catch (const json::exception&) {  // its text would quote the value
        throw of_wrong_type(name);
    }
}

template <typename Value>
Value required(const json& request, const char* name) {
    return read_value<Value>(member(request, name), name);
}

template <typename Value>
std::optional<Value> optional(const json& request, const char* name) {
    const json* found = given(request, name);
    return found != nullptr ? std::optional(read_value<Value>(*found, name)) : std::nullopt;
}

// Numbers are texts as well, where a text is asked for.
std::optional<std::string> optional_text(const json& request, const char* name) {
    const json* found = given(request, name);
    return found != nullptr && found->is_number() ? found->dump() : optional<std::string>(request, name);
}

using Names = std::vector<std::string>;

Names names_or_none(const json& request, const char* name) {
    return optional<Names>(request, name).value_or(Names());
}

bool is_set(const json& request, const char* name) {
    return optional<bool>(request, name).value_or(false);
}

// A count; what isn't given or isn't positive is `fallback`, what is too large the largest there is.
template <typename Number>
Number number_or(const json& request, const char* name, Number fallback) {
    const json* found = given(request, name);
    if (found == nullptr) return fallback;
    if (!found->is_number()) throw of_wrong_type(name);
    const double value = found->get<double>();
    if (value >= static_cast<double>(std::numeric_limits<Number>::max())) return std::numeric_limits<Number>::max();
    return value >= 1 ? static_cast<Number>(value) : fallback;
}

// An object or array, as `fallback` is one.
json structure_or(const json& request, const char* name, const json& fallback) {
    const json* found = given(request, name);
    if (found == nullptr) return fallback;
    if (found->type() != fallback.type()) throw of_wrong_type(name);
    return *found;
}

// The words of a member, and what each means.
template <typename Value>
struct Word {
    const char* word;
    Value value;
};

template <typename Value, std::size_t size>
const char* word_for(const Word<Value> (&words)[size], Value value) {
    for (const auto& known : words) {
        if (known.value == value) return known.word;
    }
    return words[0].word;
}

// The first of the words is meant where the member isn't given. A word that isn't known is no other one's synonym: a
// read in another mode than was asked for would pass for the right one.
template <typename Value, std::size_t size>
Value meaning_of(const Word<Value> (&words)[size], const json& request, const char* name) {
    const auto given_word = optional<std::string>(request, name);
    if (!given_word) return words[0].value;
    std::string all;
    for (const auto& known : words) {
        if (*given_word == known.word) return known.value;
        all += (all.empty() ? "" : ", ") + std::string(known.word);
    }
    throw InvalidRequest("member \"" + std::string(name) + "\" of the request has a word that is not known",
                         "The words are: " + all + ".");
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
    open.kind = optional<std::string>(request, "kind").value_or(open.kind);
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
    return {required<std::string>(request, "source"), optional<Names>(request, "key"),
            optional<Names>(request, "watermark"), structure_or(request, "options", json::object())};
}

json window_members(const Window& window) {
    return {{"column", window.column},
            {"from", json_of(window.from)},
            {"to", json_of(window.to)},
            {"null", window.only_null}};
}

std::optional<Window> window_of(const json& request) {
    const json* found = given(request, "window");
    if (found == nullptr) return std::nullopt;
    if (!found->is_object()) throw of_wrong_type("window");
    return Window{required<std::string>(*found, "column"), optional_text(*found, "from"), optional_text(*found, "to"),
                  is_set(*found, "null")};
}

using NullWatermark = ReadRequest::NullWatermark;

enum class Mode { incremental, full, keys };

constexpr Word<Mode> mode_words[] = {{"incremental", Mode::incremental}, {"full", Mode::full}, {"keys", Mode::keys}};
constexpr Word<NullWatermark> null_watermark_words[] = {
    {"include", NullWatermark::include}, {"reject", NullWatermark::reject}, {"fail", NullWatermark::fail}};
constexpr Word<bool> text_policy_words[] = {{"replace", true}, {"reject", false}};
constexpr Word<bool> zero_date_words[] = {{"null", true}, {"reject", false}};

Mode mode_of(const ReadRequest& read) {
    if (read.only_keys) return Mode::keys;
    return read.full ? Mode::full : Mode::incremental;
}

json read_members(const ReadRequest& read) {
    json request = {{"source", read.source},
                    {"mode", word_for(mode_words, mode_of(read))},
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
                    {"null_watermark", word_for(null_watermark_words, read.null_watermark)},
                    {"text_policy", word_for(text_policy_words, read.replace_text)},
                    {"zero_dates", word_for(zero_date_words, read.null_zero_dates)},
                    {"columns", json_of(read.columns)},
                    {"options", read.options},
                    {"known_columns", read.known_columns}};
    if (read.window) request["window"] = window_members(*read.window);
    if (read.only) request["only"] = *read.only;
    return request;
}

ReadRequest read_of(const json& request, Mode mode) {
    ReadRequest read;
    read.source = required<std::string>(request, "source");
    read.only_keys = mode == Mode::keys;
    read.full = mode == Mode::full || read.only_keys;
    if (read.full) read.window = window_of(request);
    if (read.full) read.only = optional<std::vector<Names>>(request, "only");
    read.key = names_or_none(request, "key");
    read.key_columns = optional<Names>(request, "key_columns").value_or(read.key);
    read.row_identity = names_or_none(request, "row_identity");
    read.watermark = names_or_none(request, "watermark");
    read.version = optional<Names>(request, "version").value_or(read.watermark);
    read.version_key = names_or_none(request, "version_key");
    read.key_is_unique = is_set(request, "key_is_unique");
    read.remake = optional_text(request, "remake").value_or("");
    read.is_change_log = is_set(request, "is_change_log");
    read.lookback = optional_text(request, "lookback").value_or("");
    read.initial_watermark = optional_text(request, "initial_watermark");
    if (const json* offset = given(request, "zone_offset_s")) {
        if (!offset->is_number_integer()) throw of_wrong_type("zone_offset_s");  // a fraction would be cut off
        read.zone_offset_s = offset->get<std::int64_t>();
    }
    if (const json* found = given(request, "position")) read.position = *found;
    read.batch_rows = number_or(request, "batch_rows", read.batch_rows);
    read.batch_bytes = number_or(request, "batch_bytes", read.batch_bytes);
    read.page_rows = number_or(request, "page_rows", read.page_rows);
    read.null_watermark = meaning_of(null_watermark_words, request, "null_watermark");
    read.replace_text = meaning_of(text_policy_words, request, "text_policy");
    read.null_zero_dates = meaning_of(zero_date_words, request, "zero_dates");
    read.columns = optional<Names>(request, "columns");
    read.options = structure_or(request, "options", read.options);
    read.known_columns = structure_or(request, "known_columns", read.known_columns);
    return read;
}

ReadRequest read_of(const json& request) {
    return read_of(request, meaning_of(mode_words, request, "mode"));
}

using MeasureUnit = MeasureRequest::Unit;

constexpr Word<MeasureUnit> unit_words[] = {
    {"hour", MeasureUnit::hour}, {"day", MeasureUnit::day}, {"quarter", MeasureUnit::quarter}};

json measure_members(const MeasureRequest& measure) {
    json request = read_members(measure.rows);
    if (measure.by_time) {
        request["group"] = {{"column", measure.by_time->column}, {"unit", word_for(unit_words, measure.by_time->unit)}};
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
    measure.rows = read_of(request, Mode::full);
    if (const json* group = given(request, "group")) {
        if (!group->is_object()) throw of_wrong_type("group");
        measure.blocks = number_or<std::size_t>(*group, "blocks", 0);
        if (measure.blocks == 0) {
            const auto unit = required<std::string>(*group, "unit");
            for (const auto& known : unit_words) {
                if (unit == known.word) measure.by_time = {required<std::string>(*group, "column"), known.value};
            }
            if (!measure.by_time) {
                throw InvalidRequest("rows cannot be grouped by \"" + unit + "\"", "Group by hour, day or quarter.");
            }
        }
    }
    measure.sums = names_or_none(request, "sums");
    measure.hash = names_or_none(request, "hash");
    measure.as_stored = is_set(request, "as_stored");
    measure.unsettled_from = optional_text(request, "unsettled_from");
    using Buckets = decltype(measure.buckets);
    measure.buckets = optional<Buckets>(request, "buckets").value_or(Buckets());
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
    if (!line.is_object()) throw InvalidRequest("the request is not an object");
    const auto verb = required<std::string>(line, "verb");
    if (verb == "open") return open_of(line);
    if (verb == "check") return CheckRequest{open_of(line), optional_text(line, "check_source").value_or("")};
    if (verb == "discover") return DiscoverRequest{optional<std::string>(line, "pattern").value_or("%")};
    if (verb == "describe") return describe_of(line);
    if (verb == "preview")
        return PreviewRequest{required<std::string>(line, "source"), number_or<std::size_t>(line, "rows", 10)};
    if (verb == "read") return read_of(line);
    if (verb == "explain") return ExplainRequest{read_of(line)};
    if (verb == "measure") return measure_of(line);
    if (verb == "close") return CloseRequest{};
    throw InvalidRequest("unknown verb \"" + verb + "\"");
}

}  // namespace insync
