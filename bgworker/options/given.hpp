// An option's value beside the text that it was written as.
//
// The text is for messages, which quote what the user wrote, and for the other program; everything else uses the value.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "bgworker/options/table.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/options/weekdays.hpp"

namespace insync {

// What is the same for every option. As a member of its own it is an option that is a text, such as an expression.
struct Text {
    std::string_view name;  // as in the options table
    std::string text;       // as given, else the table's default, else empty
    bool is_given = false;  // and not null; an option with a default has a value even if it is not given

    bool empty() const { return text.empty(); }
};

// An option with a value: T, or std::optional<T> for one that may have none.
template <typename T>
struct Given : Text {
    T value{};

    operator const T&() const { return value; }
    friend bool operator==(const Given& given, const T& value) { return given.value == value; }
};

namespace detail {

template <typename T>
struct OptionalOf {
    using type = T;
    static constexpr bool is_optional = false;
};
template <typename T>
struct OptionalOf<std::optional<T>> {
    using type = T;
    static constexpr bool is_optional = true;
};

// Nothing where the text is none of that kind.
bool parse_value(const Option& option, const std::string& text, bool& value);
bool parse_value(const Option& option, const std::string& text, std::int64_t& value);
bool parse_value(const Option& option, const std::string& text, std::chrono::milliseconds& value);
bool parse_value(const Option& option, const std::string& text, ShareOrCount& value);
bool parse_value(const Option& option, const std::string& text, Weekdays& value);
bool parse_value(const Option& option, const std::string& text, Lookback& value);
bool parse_value(const Option& option, const std::string& text, nlohmann::json& value);  // an object
// Position of the text among the option's values; nothing where it is none of them.
std::optional<std::size_t> find_value(const Option& option, std::string_view text);

// The enumerators stand in the order of the table's values.
template <typename T>
requires std::is_enum_v<T>
bool parse_value(const Option& option, const std::string& text, T& value) {
    const auto position = find_value(option, text);
    if (position) value = static_cast<T>(*position);
    return position.has_value();
}

// Sets name, text and is_given; returns the row of the options table.
const Option& read_text(Text& given, Where where, std::string_view name, const std::optional<std::string>& text);

}  // namespace detail

// Reads an option that was given as `text`, or wasn't. Validation has refused what can't be parsed; of what an older
// version has stored all the same, the default holds. Never throws for a text.
inline void read_option(Text& given, Where where, std::string_view name, const std::optional<std::string>& text) {
    (void)detail::read_text(given, where, name, text);
}
template <typename T>
void read_option(Given<T>& given, Where where, std::string_view name, const std::optional<std::string>& text) {
    using Value = typename detail::OptionalOf<T>::type;
    const Option& option = detail::read_text(given, where, name, text);
    const std::string standard(option.default_text);
    Value value{};
    if constexpr (std::is_same_v<Value, nlohmann::json>) value = nlohmann::json::object();
    const bool has_value =
        (text && detail::parse_value(option, *text, value)) || detail::parse_value(option, standard, value);
    if constexpr (detail::OptionalOf<T>::is_optional) {
        given.value = has_value ? T(std::move(value)) : std::nullopt;
    } else {
        given.value = std::move(value);
    }
}

}  // namespace insync
