// Parses one option's value; see given.hpp.
#include "bgworker/options/given.hpp"

#include <algorithm>
#include <stdexcept>

namespace insync::detail {

namespace {

template <typename T>
bool take(const Parsed<T>& parsed, T& value) {
    if (parsed) value = *parsed;
    return static_cast<bool>(parsed);
}

}  // namespace

bool parse_value(const Option&, const std::string& text, bool& value) {
    return take(parse_boolean(text), value);
}

bool parse_value(const Option& option, const std::string& text, std::int64_t& value) {
    return take(option.type == ValueType::size ? parse_size(text) : parse_integer(text), value);
}

bool parse_value(const Option&, const std::string& text, std::chrono::milliseconds& value) {
    return take(parse_duration(text), value);
}

bool parse_value(const Option&, const std::string& text, ShareOrCount& value) {
    return take(parse_share_or_count(text), value);
}

bool parse_value(const Option&, const std::string& text, Weekdays& value) {
    return take(parse_weekdays(text), value);
}

bool parse_value(const Option&, const std::string& text, Lookback& value) {
    return take(parse_lookback(text), value);
}

bool parse_value(const Option&, const std::string& text, nlohmann::json& value) {
    auto parsed = nlohmann::json::parse(text, nullptr, false);
    if (!parsed.is_object()) return false;
    value = std::move(parsed);
    return true;
}

std::optional<std::size_t> find_value(const Option& option, std::string_view text) {
    const auto found = std::find(option.values.begin(), option.values.end(), text);
    if (found == option.values.end()) return std::nullopt;
    return static_cast<std::size_t>(found - option.values.begin());
}

const Option& read_text(Text& given, Where where, std::string_view name, const std::optional<std::string>& text) {
    const Option* option = find_option(where, name);
    if (option == nullptr) throw std::logic_error("option " + std::string(name) + " is not in the table");
    given.name = option->name;
    given.is_given = text.has_value();
    given.text = text ? *text : std::string(option->default_text);
    return *option;
}

}  // namespace insync::detail
