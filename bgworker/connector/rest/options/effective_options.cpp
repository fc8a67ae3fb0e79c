// The options in force; see effective_options.hpp.
#include "bgworker/connector/rest/options/effective_options.hpp"

#include <algorithm>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/options/presets.hpp"
#include "bgworker/options/table.hpp"
#include "bgworker/options/values_rest.hpp"

namespace insync::rest {

namespace {

using List = std::vector<std::pair<std::string, std::string>>;

std::string text_of(const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

List list_of(const nlohmann::json& options) {
    List list;
    if (!options.is_object()) return list;
    for (const auto& [name, value] : options.items()) {
        if (!value.is_null()) list.emplace_back(name, text_of(value));
    }
    return list;
}

const std::string* find(const List& list, std::string_view name) {
    const auto found = std::find_if(list.begin(), list.end(), [&](const auto& item) { return item.first == name; });
    return found == list.end() ? nullptr : &found->second;
}

const Option* option_named(std::string_view name) {
    for (const Option& option : all_options()) {
        if (option.name == name && (option.kinds & static_cast<unsigned>(Kind::rest)) != 0) return &option;
    }
    return nullptr;
}

void merge(List& members, const std::string& json) {
    // Options were checked when they were set; what is no object now has no members.
    const auto object = nlohmann::ordered_json::parse(json, nullptr, false);
    if (!object.is_object()) return;
    for (const auto& [name, value] : object.items()) {
        const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
        const auto found = std::find_if(members.begin(), members.end(),
                                        [&, &key = name](const auto& item) { return item.first == key; });
        if (found == members.end()) {
            members.emplace_back(name, text);
        } else {
            found->second = text;
        }
    }
}

// Headers as they are shown to whoever reads the stream: credentials belong in the user mapping, but not everybody puts
// them there.
void mask_headers(nlohmann::ordered_json& headers) {
    for (auto& [name, value] : headers.items()) {
        if (is_secret_header_name(name)) value = "***";
    }
}

std::string dumped(const nlohmann::ordered_json& object) {
    return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The options of a second resource, whose headers may be an object or its text.
std::string shown_options(const std::string& value) {
    auto options = nlohmann::ordered_json::parse(value, nullptr, false);
    if (!options.contains("headers")) return value;
    nlohmann::ordered_json& headers = options["headers"];
    if (headers.is_string()) headers = nlohmann::ordered_json::parse(headers.get<std::string>(), nullptr, false);
    mask_headers(headers);
    return dumped(options);
}

}  // namespace

Settings::Settings(const nlohmann::json& server, const nlohmann::json& stream)
    : stream_(list_of(stream)), server_(list_of(server)) {
    const std::string* name = find(stream_, "preset");
    if (name == nullptr) name = find(server_, "preset");
    if (name == nullptr) return;
    for (const PresetRow& row : preset_rows()) {
        if (row.preset == *name) preset_.emplace_back(row.option, row.value);
    }
    if (preset_.empty()) throw Failure(FailureClass::config, "preset \"" + *name + "\" does not exist");
}

Settings Settings::with_stream(const nlohmann::json& stream) const {
    Settings other = *this;
    other.over_.clear();
    // The stream's own description of its rows doesn't hold for another resource; its preset does.
    const std::string* preset = find(stream_, "preset");
    other.stream_ = list_of(stream);
    if (preset != nullptr && find(other.stream_, "preset") == nullptr) other.stream_.emplace_back("preset", *preset);
    return other;
}

Settings Settings::with_options(const nlohmann::json& options) const {
    Settings other = *this;
    other.over_ = list_of(options);
    return other;
}

std::string Settings::text(std::string_view name) const {
    for (const List* list : {&over_, &stream_, &server_, &preset_}) {
        if (const std::string* value = find(*list, name)) return *value;
    }
    const Option* option = option_named(name);
    return option == nullptr ? std::string() : std::string(option->default_text);
}

std::string Settings::epoch() const {
    const std::string format = text("watermark_format");
    return format.starts_with("epoch") ? format : "";
}

bool Settings::flag(std::string_view name) const {
    const Parsed<bool> value = parse_boolean(text(name));
    return value && *value;
}

std::int64_t Settings::number(std::string_view name) const {
    const Parsed<std::int64_t> value = parse_integer(text(name));
    return value ? *value : 0;
}

std::int64_t Settings::size(std::string_view name) const {
    const Parsed<std::int64_t> value = parse_size(text(name));
    return value ? *value : 0;
}

std::optional<std::chrono::milliseconds> Settings::duration(std::string_view name) const {
    return parse_duration(text(name)).value;
}

std::vector<std::pair<std::string, std::string>> Settings::object(std::string_view name) const {
    List members;
    for (const List* list : {&preset_, &server_, &stream_, &over_}) {
        if (const std::string* value = find(*list, name)) merge(members, *value);
    }
    std::erase_if(members, [](const auto& member) { return member.second.empty(); });
    return members;
}

std::vector<Settings::Entry> Settings::entries() const {
    std::vector<Entry> entries;
    for (const Option& option : all_options()) {
        const bool describes_requests = (option.kinds & static_cast<unsigned>(Kind::rest)) != 0 &&
                                        (option.kinds & static_cast<unsigned>(Kind::odbc)) == 0;
        if (!describes_requests || option.secret || option.applies(Where::mapping, Kind::rest)) continue;
        for (const auto& [list, from] : {std::pair(&stream_, "stream"), {&server_, "server"}, {&preset_, "preset"}}) {
            if (const std::string* value = find(*list, option.name)) {
                std::string shown = *value;
                if (option.type == ValueType::text_map) {
                    nlohmann::ordered_json members = nlohmann::ordered_json::object();
                    for (const auto& [key, text] : object(option.name)) members[key] = text;
                    if (option.name == "headers") mask_headers(members);
                    shown = dumped(members);
                } else if (option.type == ValueType::json_options) {
                    shown = shown_options(*value);
                }
                entries.push_back({std::string(option.name), shown,
                                   list == &preset_ ? "preset " + text("preset") : std::string(from)});
                break;
            }
        }
    }
    return entries;
}

}  // namespace insync::rest
