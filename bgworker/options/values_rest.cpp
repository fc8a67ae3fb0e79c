// Rates, headers and JSON pointers; see values_rest.hpp.
#include "bgworker/options/values_rest.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace insync {

Parsed<std::chrono::microseconds> parse_rate(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 12> units = {{{"s", 1},
                                                                                  {"sec", 1},
                                                                                  {"second", 1},
                                                                                  {"m", 60},
                                                                                  {"min", 60},
                                                                                  {"minute", 60},
                                                                                  {"h", 3600},
                                                                                  {"hour", 3600},
                                                                                  {"d", 86400},
                                                                                  {"day", 86400},
                                                                                  {"seconds", 1},
                                                                                  {"minutes", 60}}};
    text = trim(text);
    std::int64_t seconds = 1;
    if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
        const std::string unit = to_lower(trim(text.substr(slash + 1)));
        seconds = 0;
        for (const auto& [name, length] : units) {
            if (unit == name) seconds = length;
        }
        if (seconds == 0) return {{}, quote_for_message(unit) + " is not a unit of time."};
        text = trim(text.substr(0, slash));
    }
    const Parsed<std::int64_t> count = parse_integer(text);
    if (!count) return {{}, count.error};
    if (*count < 1 || *count > 1'000'000) return {{}, "The number of requests is out of range."};
    return {std::chrono::microseconds(seconds * 1'000'000 / *count), {}};
}

bool is_status_name(std::string_view text) {
    const bool is_class = to_lower(text.substr(std::min<std::size_t>(1, text.size()))) == "xx";
    return text.size() == 3 && text[0] >= '1' && text[0] <= '5' &&
           (is_class || std::all_of(text.begin() + 1, text.end(), [](char c) { return c >= '0' && c <= '9'; }));
}

bool is_header_name(std::string_view text) {
    constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               others.find(c) != std::string_view::npos;
    });
}

bool is_secret_header_name(std::string_view name) {
    const std::string lower = to_lower(name);
    for (std::string_view part : {"auth", "token", "secret", "password", "cookie", "key"}) {
        if (lower.find(part) != std::string::npos) return true;
    }
    return false;
}

bool has_control_characters(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; });
}

bool is_json_pointer(std::string_view text) {
    if (text.empty()) return true;
    if (text.front() != '/') return false;
    for (std::size_t i = text.find('~'); i != std::string_view::npos; i = text.find('~', i + 1)) {
        if (i + 1 == text.size() || (text[i + 1] != '0' && text[i + 1] != '1')) return false;
    }
    return true;
}

}  // namespace insync
