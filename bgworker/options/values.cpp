// Parsers and formatters of option values; see values.hpp.
#include "bgworker/options/values.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>

#include "bgworker/protocol/text.hpp"

namespace insync {

namespace {
constexpr std::int64_t max_int64 = std::numeric_limits<std::int64_t>::max();

// A decimal number with its fraction in millionths; further digits are cut off, so that the products below fit.
struct Decimal {
    std::int64_t whole = 0;
    std::int64_t millionths = 0;
    bool has_fraction = false;
    bool overflow = false;

    // The number times `unit`, cut off; nothing when that is more than `limit`. `unit` is at most 2^40.
    std::optional<std::int64_t> times(std::int64_t unit, std::int64_t limit) const {
        std::int64_t product = 0;
        if (overflow || __builtin_mul_overflow(whole, unit, &product) ||
            __builtin_add_overflow(product, millionths * unit / 1'000'000, &product) || product > limit) {
            return std::nullopt;
        }
        return product;
    }
};

// Reads text from left to right; every function leaves `rest` after what it took.
struct Scanner {
    std::string_view rest;

    bool at_end() const { return rest.empty(); }
    bool next_is(char c) const { return !rest.empty() && rest.front() == c; }
    void skip(std::size_t count) { rest.remove_prefix(count); }
    void skip_spaces() {
        while (!rest.empty() && is_space(rest.front())) {
            skip(1);
        }
    }
    bool take(char c) {
        bool found = next_is(c);
        if (found) {
            skip(1);
        }
        return found;
    }
    template <typename Predicate>
    std::string_view take_while(Predicate predicate) {
        std::size_t length = 0;
        while (length < rest.size() && predicate(rest[length])) {
            length++;
        }
        std::string_view taken = rest.substr(0, length);
        skip(length);
        return taken;
    }
    // The word at the front, for an error.
    std::string_view word() const {
        Scanner copy = *this;
        return copy.take_while([](char c) { return !is_space(c); });
    }
    std::optional<Decimal> take_decimal() {
        Decimal number;
        std::string_view whole = take_while(is_digit);
        for (char c : whole) {
            number.overflow = number.overflow || __builtin_mul_overflow(number.whole, 10, &number.whole) ||
                              __builtin_add_overflow(number.whole, c - '0', &number.whole);
        }
        std::string_view fraction;
        if (rest.size() > 1 && rest[0] == '.' && is_digit(rest[1])) {
            skip(1);
            fraction = take_while(is_digit);
            number.has_fraction = true;
            for (std::size_t i = 0; i < 6; i++) {
                number.millionths = number.millionths * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
            }
        }
        return whole.empty() && fraction.empty() ? std::nullopt : std::optional(number);
    }
};

struct Unit {
    std::string_view names;  // separated and surrounded by spaces
    std::int64_t size;
    std::string_view singular;  // how it is written out
    std::string_view plural;
};

constexpr std::int64_t second_ms = 1000;
constexpr std::array<Unit, 6> time_units{{
    {" w week weeks ", 7 * 86400 * second_ms, "week", "weeks"},
    {" d day days ", 86400 * second_ms, "day", "days"},
    {" h hr hrs hour hours ", 3600 * second_ms, "hour", "hours"},
    {" m min mins minute minutes ", 60 * second_ms, "minute", "minutes"},
    {" s sec secs second seconds ", second_ms, "second", "seconds"},
    {" ms msec msecs millisecond milliseconds ", 1, "millisecond", "milliseconds"},
}};
constexpr std::string_view calendar_units =
    " mon mons month months y yr yrs year years decade decades century centuries ";

constexpr std::array<Unit, 5> size_units{{
    {" tb t ", std::int64_t{1} << 40, "TB", "TB"},
    {" gb g ", std::int64_t{1} << 30, "GB", "GB"},
    {" mb m ", std::int64_t{1} << 20, "MB", "MB"},
    {" kb k ", std::int64_t{1} << 10, "kB", "kB"},
    {" b byte bytes ", 1, "bytes", "bytes"},
}};

bool is_one_of(std::string_view names, std::string_view name) {
    return !name.empty() && name.find(' ') == std::string_view::npos &&
           names.find(" " + to_lower(name) + " ") != std::string_view::npos;
}

template <std::size_t count>
const Unit* find_unit(const std::array<Unit, count>& units, std::string_view name) {
    for (const Unit& unit : units) {
        if (is_one_of(unit.names, name)) {
            return &unit;
        }
    }
    return nullptr;
}

// Minutes or seconds of a clock time: one or two digits below 60.
std::optional<std::int64_t> take_sixtieth(Scanner& scanner) {
    std::string_view digits = scanner.take_while(is_digit);
    if (digits.empty() || digits.size() > 2) {
        return std::nullopt;
    }
    std::int64_t value = 0;
    for (char c : digits) {
        value = value * 10 + (c - '0');
    }
    return value < 60 ? std::optional(value) : std::nullopt;
}

// What follows the hours of h:m or h:m:s, in milliseconds; the scanner stands on the first colon.
std::optional<std::int64_t> take_clock(Scanner& scanner) {
    scanner.skip(1);
    auto minutes = take_sixtieth(scanner);
    if (!minutes) {
        return std::nullopt;
    }
    std::int64_t total = *minutes * 60 * second_ms;
    if (scanner.take(':')) {
        auto seconds = take_sixtieth(scanner);
        if (!seconds) {
            return std::nullopt;
        }
        total += *seconds * second_ms;
        if (scanner.next_is('.')) {
            auto fraction = scanner.take_decimal();
            if (!fraction) {
                return std::nullopt;
            }
            total += fraction->millionths / 1000;
        }
    }
    bool complete = scanner.at_end() || is_space(scanner.rest.front());
    return complete ? std::optional(total) : std::nullopt;
}
}  // namespace

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_space(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_space(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') {
            c = static_cast<char>(c - 'A' + 'a');
        }
    }
    return lower;
}

std::string quote_for_message(std::string_view text) {
    constexpr std::size_t longest = 60;
    bool clipped = text.size() > longest;
    if (clipped) {
        std::size_t length = longest;
        while (length > longest - 4 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) {
            length--;
        }
        text = text.substr(0, length);
    }
    std::string quoted = "\"";
    for (char c : text) {
        quoted += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    }
    return quoted + (clipped ? "...\"" : "\"");
}

Parsed<std::chrono::milliseconds> parse_duration(std::string_view text) {
    const std::int64_t limit = longest_duration.count();
    const std::string too_long = "It is longer than 100 years.";
    Scanner scanner{trim(text)};
    if (scanner.at_end()) {
        return {{}, "It is empty."};
    }
    std::int64_t total = 0;
    unsigned seen = 0;  // one bit a unit: '1 min 5 min' is a slip of the pen
    bool first = true;
    while (!scanner.at_end()) {
        std::string_view word = scanner.word();
        if (scanner.next_is('-')) {
            return {{}, "It is negative."};
        }
        auto number = scanner.take_decimal();
        if (!number) {
            return {{}, quote_for_message(word) + " is not a number with a unit of time."};
        }
        std::optional<std::int64_t> part;
        unsigned bits = 0;
        if (scanner.next_is(':')) {
            bits = 1u << 2 | 1u << 3 | 1u << 4;  // hours, minutes, seconds
            auto clock = number->has_fraction ? std::nullopt : take_clock(scanner);
            if (!clock) {
                return {{}, quote_for_message(word) + " is not a time of the form hours:minutes:seconds."};
            }
            part = number->times(3600 * second_ms, limit);
            part = part ? std::optional(*part + *clock) : std::nullopt;
        } else {
            scanner.skip_spaces();
            std::string_view unit_word = scanner.word();
            std::string_view name = scanner.take_while(is_letter);
            const Unit* unit = find_unit(time_units, name);
            if (name.empty() && first && scanner.at_end()) {
                unit = &time_units[4];  // a number alone counts seconds
            }
            if (is_one_of(calendar_units, name)) {
                return {{}, "Months and years have no fixed length."};
            }
            if (unit == nullptr && unit_word.empty()) {
                return {{}, quote_for_message(word) + " has no unit of time."};
            }
            if (unit == nullptr) {
                return {{}, quote_for_message(name.empty() ? unit_word : name) + " is not a unit of time."};
            }
            bits = 1u << (unit - time_units.data());
            part = number->times(unit->size, limit);
        }
        if (!part || *part > limit - total) {
            return {{}, too_long};
        }
        if ((seen & bits) != 0) {
            return {{}, "A unit of time occurs twice."};
        }
        seen |= bits;
        total += *part;
        first = false;
        scanner.skip_spaces();
    }
    return {std::chrono::milliseconds(total), {}};
}

Parsed<std::int64_t> parse_size(std::string_view text) {
    Scanner scanner{trim(text)};
    if (scanner.at_end()) {
        return {{}, "It is empty."};
    }
    if (scanner.next_is('-')) {
        return {{}, "It is negative."};
    }
    std::string_view word = scanner.word();
    auto number = scanner.take_decimal();
    if (!number) {
        return {{}, quote_for_message(word) + " is not a size."};
    }
    scanner.skip_spaces();
    std::string_view name = scanner.rest;
    const Unit* unit = name.empty() ? &size_units.back() : find_unit(size_units, name);
    if (unit == nullptr) {
        return {{}, quote_for_message(name) + " is not a unit of size."};
    }
    auto bytes = number->times(unit->size, max_int64);
    return bytes ? Parsed<std::int64_t>{bytes, {}} : Parsed<std::int64_t>{{}, "It is too large."};
}

Parsed<bool> parse_boolean(std::string_view text) {
    std::string_view word = trim(text);
    if (is_one_of(" true t yes y on 1 ", word)) {
        return {true, {}};
    }
    if (is_one_of(" false f no n off 0 ", word)) {
        return {false, {}};
    }
    return {{}, quote_for_message(word) + " is neither true nor false."};
}

Parsed<std::int64_t> parse_integer(std::string_view text) {
    Scanner scanner{trim(text)};
    bool negative = scanner.take('-');
    if (!negative) {
        scanner.take('+');
    }
    std::string_view digits = scanner.take_while(is_digit);
    if (digits.empty() || !scanner.at_end()) {
        return {{}, quote_for_message(trim(text)) + " is not an integer."};
    }
    std::int64_t value = 0;
    for (char c : digits) {
        int digit = negative ? '0' - c : c - '0';
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value)) {
            return {{}, "It is out of range."};
        }
    }
    return {value, {}};
}

bool ShareOrCount::exceeded_by(std::int64_t part, std::int64_t whole) const {
    // 29 of 100 isn't more than 29%, though 0.29 * 100 is a little less than 29 in binary.
    return share ? static_cast<double>(part) > *share * static_cast<double>(whole) * (1 + 1e-12) : part > count;
}

Parsed<ShareOrCount> parse_share_or_count(std::string_view text) {
    std::string_view word = trim(text);
    if (word.empty() || word.back() != '%') {
        auto count = parse_integer(word);
        if (!count) {
            return {{}, quote_for_message(word) + " is neither a share nor a count."};
        }
        if (*count < 0) {
            return {{}, "It is negative."};
        }
        return {ShareOrCount{{}, *count}, {}};
    }
    Scanner scanner{trim(word.substr(0, word.size() - 1))};
    auto number = scanner.take_decimal();
    if (!number || !scanner.at_end()) {
        return {{}, quote_for_message(word) + " is neither a share nor a count."};
    }
    auto millionths = number->times(1'000'000, 100'000'000);
    if (!millionths) {
        return {{}, "A share is between 0% and 100%."};
    }
    return {ShareOrCount{static_cast<double>(*millionths) / 100'000'000, 0}, {}};
}

Parsed<Lookback> parse_lookback(std::string_view text) {
    std::string_view word = trim(text);
    bool digits_only = !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
    if (digits_only) {
        auto count = parse_integer(word);
        return count ? Parsed<Lookback>{Lookback(*count), {}} : Parsed<Lookback>{{}, count.error};
    }
    auto duration = parse_duration(word);
    return duration ? Parsed<Lookback>{Lookback(*duration), {}} : Parsed<Lookback>{{}, duration.error};
}

std::string format_duration(std::chrono::milliseconds duration) {
    std::int64_t count = duration.count();
    for (const Unit& unit : time_units) {
        bool is_week = &unit == &time_units.front();  // '7 days' reads better than '1 week'
        if (!is_week && count >= unit.size && count % unit.size == 0) {
            std::int64_t number = count / unit.size;
            return std::to_string(number) + " " + std::string(number == 1 ? unit.singular : unit.plural);
        }
    }
    return count == 0 ? "0 seconds" : std::to_string(count) + " milliseconds";
}

std::string rounded_duration(std::chrono::milliseconds duration) {
    constexpr std::int64_t minute_ms = 60 * second_ms, hour_ms = 60 * minute_ms, day_ms = 24 * hour_ms;
    const std::int64_t exact = duration.count();
    const std::int64_t step = exact < second_ms        ? 1
                              : exact < 10 * second_ms ? second_ms / 10
                              : exact < hour_ms        ? second_ms
                              : exact < 2 * day_ms     ? minute_ms
                                                       : hour_ms;
    std::int64_t left = (exact + step / 2) / step * step;
    if (left < minute_ms && left % second_ms != 0 && left > second_ms)
        return std::to_string(left / second_ms) + "." + std::to_string(left % second_ms / (second_ms / 10)) +
               " seconds";
    std::string text;
    for (const Unit& unit : time_units) {
        const bool is_said = unit.size >= second_ms && unit.size <= day_ms;
        if (!is_said || left < unit.size || (unit.size == day_ms && left < 2 * day_ms)) continue;  // '24 hours'
        const std::int64_t count = left / unit.size;
        text += (text.empty() ? "" : " ") + std::to_string(count) + " ";
        text += count == 1 ? unit.singular : unit.plural;
        left %= unit.size;
    }
    return text.empty() ? format_duration(duration) : text;
}

std::string format_size(std::int64_t bytes) {
    for (const Unit& unit : size_units) {
        if (bytes >= unit.size && bytes % unit.size == 0) {
            return std::to_string(bytes / unit.size) + " " + std::string(unit.plural);
        }
    }
    return std::to_string(bytes) + " bytes";
}

}  // namespace insync
