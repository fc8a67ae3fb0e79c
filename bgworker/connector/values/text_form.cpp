// Forms of texts; see text_form.hpp.
#include "bgworker/connector/values/text_form.hpp"

#include <algorithm>
#include <cctype>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/protocol/text.hpp"

namespace insync {

namespace {

bool is_number(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

std::string layout_of(const std::string& literal, const CivilTime& time) {
    const std::size_t zone = literal.size() - time.zone.size();
    std::string layout = literal.substr(0, zone);
    if (time.zone.empty() && time.fraction_digits > 0) layout.resize(layout.find_last_of(".,"));
    std::replace_if(layout.begin(), layout.end(), is_digit, '_');
    return layout + std::string(time.zone);
}

// Everything but digits and letters stays; letters are one class, as identifiers mix them with digits.
std::string form_of(const std::string& text) {
    std::string form = text;
    std::replace_if(
        form.begin(), form.end(), [](unsigned char c) { return std::isalnum(c) != 0; }, 'x');
    return form;
}

bool has_month_name(const std::string& text) {
    constexpr const char* months[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                      "jul", "aug", "sep", "oct", "nov", "dec"};
    std::string lower = text;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    auto is_letter = [&](std::size_t at) {
        return at < lower.size() && std::isalpha(static_cast<unsigned char>(lower[at])) != 0;
    };
    return std::any_of(std::begin(months), std::end(months), [&](const char* month) {
        const std::size_t at = lower.find(month);
        return at != std::string::npos && (at == 0 || !is_letter(at - 1)) && !is_letter(at + 3) &&
               std::any_of(lower.begin(), lower.end(), is_digit);
    });
}

// "31/12/2024", "1.2.24": one or two digits, a separator, one or two digits, the separator again, digits.
bool begins_with_day(const std::string& text) {
    std::size_t at = 0;
    auto digits = [&](std::size_t most) {
        const std::size_t begin = at;
        while (at < text.size() && at - begin < most && is_digit(text[at])) at++;
        return at - begin;
    };
    if (digits(2) == 0 || at >= text.size()) return false;
    const char separator = text[at++];
    if (separator != '/' && separator != '-' && separator != '.') return false;
    if (digits(2) == 0 || at >= text.size() || text[at++] != separator) return false;
    return digits(4) >= 2;
}

}  // namespace

std::string layout_of(const std::string& literal) {
    if (is_number(literal)) return std::string(literal.size(), '_');
    const std::optional<CivilTime> time = parse_civil_time(literal);
    return time ? layout_of(literal, *time) : "";
}

bool are_written_alike(const std::string& left, const std::string& right) {
    if (is_number(left) || is_number(right)) return is_number(left) && is_number(right) && left.size() == right.size();
    const std::optional<CivilTime> a = parse_civil_time(left), b = parse_civil_time(right);
    if (!a || !b) return !a && !b;
    if (!a->zone.empty() && a->fraction_digits != b->fraction_digits) return false;
    return layout_of(left, *a) == layout_of(right, *b);
}

std::string lowest_text_since(const std::string& literal) {
    const std::optional<CivilTime> time = parse_civil_time(literal);
    if (!time) return "";
    // An offset moves a time by less than a day.
    const std::string day = format_moved(*time, -day_us);
    // Days sort across other separators by their year only.
    return day.substr(0, time->date_separator == '-' ? 10 : 4);
}

std::optional<std::string> unsorted_form(const std::string& literal) {
    if (parse_civil_time(literal)) return std::nullopt;
    if (begins_with_day(literal) || has_month_name(literal)) {
        return "It holds \"" + literal + "\": dates sort as texts only where they begin with the year.";
    }
    return std::nullopt;
}

std::optional<std::string> unsorted_forms(const std::vector<std::string>& values, bool times_in_any_layout) {
    for (const std::string& value : values) {
        if (auto problem = unsorted_form(value)) return problem;
        const std::string& first = values.front();
        const bool both_times = parse_civil_time(value) && parse_civil_time(first);
        const bool alike = both_times ? times_in_any_layout || are_written_alike(first, value)
                                      : are_written_alike(first, value) && form_of(first) == form_of(value);
        if (!alike) {
            return "It holds \"" + first + "\" and \"" + value +
                   "\", which are not written in one form, so that texts "
                   "do not sort as what they mean.";
        }
    }
    return std::nullopt;
}

std::int64_t resolution_us(const std::string& literal) {
    const std::optional<CivilTime> time = parse_civil_time(literal);
    if (!time || time->nanoseconds != 0 || time->second != 0) return second_us;
    if (time->minute != 0) return 60 * second_us;
    if (time->hour != 0) return 3600 * second_us;
    if (time->day != 1) return day_us;
    return (time->month == 1 ? 366 : 31) * day_us;
}

}  // namespace insync
