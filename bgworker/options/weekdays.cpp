// Reads lists of weekdays; see weekdays.hpp.
#include "bgworker/options/weekdays.hpp"

#include <algorithm>
#include <array>

namespace insync {

namespace {

constexpr std::array<std::string_view, 7> names = {"sunday",   "monday", "tuesday", "wednesday",
                                                   "thursday", "friday", "saturday"};

std::optional<std::size_t> weekday_named(std::string_view text) {
    std::string lower = to_lower(trim(text));
    auto found = std::find_if(names.begin(), names.end(),
                              [&](std::string_view name) { return lower == name || lower == name.substr(0, 3); });
    if (found == names.end()) return std::nullopt;
    return static_cast<std::size_t>(found - names.begin());
}

}  // namespace

Parsed<Weekdays> parse_weekdays(std::string_view text) {
    Weekdays days;
    for (;;) {
        std::size_t comma = text.find(',');
        std::string_view item = text.substr(0, comma);
        std::size_t dash = item.find('-');
        std::string_view last_text = dash == std::string_view::npos ? item : item.substr(dash + 1);
        auto first = weekday_named(item.substr(0, dash)), last = weekday_named(last_text);
        if (!first || !last) {
            return {{}, quote_for_message(trim(!first ? item.substr(0, dash) : last_text)) + " is not a weekday."};
        }
        days.set(*first);
        for (std::size_t day = *first; day != *last; days.set(day)) day = (day + 1) % 7;
        if (comma == std::string_view::npos) return {days, {}};
        text.remove_prefix(comma + 1);
    }
}

}  // namespace insync
