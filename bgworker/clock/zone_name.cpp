// Reads the names of time zones; see zone_name.hpp.
#include "bgworker/clock/zone_name.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>

#include "bgworker/options/values.hpp"
#include "bgworker/protocol/text.hpp"

namespace insync {

namespace {

constexpr int longest_offset_hours = 15;

// "HH", "HHMM" or "HH:MM" as minutes; with `any_width`, one digit of hours, too.
std::optional<int> read_clock(std::string_view text, bool any_width) {
    std::string digits;
    std::size_t hour_digits = text.find(':');
    for (std::size_t i = 0; i < text.size(); i++) {
        if (i == hour_digits) continue;
        if (!is_digit(text[i])) return std::nullopt;
        digits += text[i];
    }
    if (hour_digits == std::string_view::npos) hour_digits = digits.size() > 2 ? digits.size() - 2 : digits.size();
    const std::size_t minute_digits = digits.size() - std::min(hour_digits, digits.size());
    if (hour_digits == 0 || hour_digits > 2 || (hour_digits < 2 && !any_width)) return std::nullopt;
    if (minute_digits != 2 && (minute_digits != 0 || text.size() > 2)) return std::nullopt;
    const int hours = std::stoi(digits.substr(0, hour_digits));
    const int minutes = minute_digits == 0 ? 0 : std::stoi(digits.substr(hour_digits));
    if (hours > longest_offset_hours || minutes > 59) return std::nullopt;
    return hours * 60 + minutes;
}

std::string offset_text(char sign, int minutes) {
    char text[16];
    std::snprintf(text, sizeof text, "%c%02d:%02d", minutes == 0 ? '+' : sign, minutes / 60, minutes % 60);
    return text;
}

// Minutes east of Greenwich.
std::optional<int> iso_offset(std::string_view zone) {
    if (zone == "Z" || zone == "z") return 0;
    if (zone.size() < 3 || (zone[0] != '+' && zone[0] != '-')) return std::nullopt;
    const std::optional<int> minutes = read_clock(zone.substr(1), false);
    if (!minutes) return std::nullopt;
    return zone[0] == '-' ? -*minutes : *minutes;
}

}  // namespace

std::string server_zone(std::string_view zone) {
    const std::optional<int> east = iso_offset(zone);
    if (!east) return std::string(zone);
    if (*east == 0) return "UTC";
    const int minutes = std::abs(*east);
    // An abbreviation in angle brackets, and behind it the offset as POSIX counts it.
    return "<" + offset_text(*east < 0 ? '-' : '+', minutes) + ">" + offset_text(*east < 0 ? '+' : '-', minutes);
}

std::optional<ZoneProblem> zone_problem(std::string_view zone) {
    // The only names of the time zone database that have digits and no offset from Greenwich in them.
    constexpr std::array<std::string_view, 4> american = {"est5edt", "cst6cdt", "mst7mdt", "pst8pdt"};
    if (std::none_of(zone.begin(), zone.end(), is_digit) || iso_offset(zone)) return std::nullopt;
    const std::string lower = to_lower(zone);
    if (std::find(american.begin(), american.end(), lower) != american.end()) return std::nullopt;

    // Letters, or anything in angle brackets; then a sign and hours.
    const std::size_t bracket = lower.starts_with('<') ? lower.find('>') : std::string::npos;
    std::size_t at = bracket == std::string::npos ? 0 : bracket + 1;
    while (at < lower.size() && (std::isalpha(static_cast<unsigned char>(lower[at])) || lower[at] == '/')) at++;
    const std::string name = lower.substr(0, at);
    while (at < lower.size() && lower[at] == ' ') at++;
    const bool is_signed = at < lower.size() && (lower[at] == '+' || lower[at] == '-');
    const char sign = is_signed ? lower[at++] : '+';
    const std::optional<int> minutes = read_clock(std::string_view(lower).substr(at), true);
    if (!minutes) {
        return ZoneProblem{"It is neither a name of the time zone database nor an ISO 8601 offset.",
                           "Write a name such as 'Europe/Madrid', or an offset such as '+02:00'."};
    }
    if (*minutes == 0) return std::nullopt;  // Etc/GMT0, GMT+0
    const char opposite = sign == '+' ? '-' : '+';
    const std::string as_written = offset_text(sign, *minutes), as_posix = offset_text(opposite, *minutes);
    if (name.empty()) {
        return ZoneProblem{"ISO 8601 writes an offset with two digits of hours.", "Write '" + as_written + "'."};
    }
    const std::string of_posix = "In PostgreSQL, as in POSIX, it means " + as_posix + " as ISO 8601 writes it.";
    if (!is_signed || name.starts_with("etc/")) {
        return ZoneProblem{of_posix, "Write '" + as_posix + "' for that, or '" + as_written + "' for the opposite."};
    }
    return ZoneProblem{of_posix, "Write '" + as_written + "', or '" + as_posix + "' if that is what you mean."};
}

}  // namespace insync
