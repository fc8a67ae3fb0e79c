// Watermark arithmetic; see watermark_literal.hpp.
#include "bgworker/clock/watermark_literal.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>

#include "bgworker/clock/civil_time.hpp"

namespace insync {

namespace {

__extension__ using Wide = __int128;

// A decimal number as a scaled integer: 12.50 is {1250, 2}.
struct Decimal {
    Wide value = 0;
    int scale = 0;
};

std::optional<Decimal> parse_decimal(std::string_view text) {
    constexpr int max_digits = 36;  // leaves room for one more digit and the sign
    bool negative = false;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
        negative = text[0] == '-';
        text.remove_prefix(1);
    }
    Decimal decimal;
    int digits = 0;
    bool point = false;
    for (char c : text) {
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9' || ++digits > max_digits) return std::nullopt;
        decimal.value = decimal.value * 10 + (c - '0');
        decimal.scale += point;
    }
    if (digits == 0) return std::nullopt;
    if (negative) decimal.value = -decimal.value;
    return decimal;
}

// Brings both to the larger scale; false if that doesn't fit.
bool align(Decimal& left, Decimal& right) {
    auto widen = [](Decimal& number, int scale) {
        constexpr Wide limit = static_cast<Wide>(1) << 120;
        while (number.scale < scale) {
            if (number.value > limit || number.value < -limit) return false;
            number.value *= 10;
            number.scale++;
        }
        return true;
    };
    const int scale = std::max(left.scale, right.scale);
    return widen(left, scale) && widen(right, scale);
}

std::string format_decimal(const Decimal& decimal) {
    Wide rest = decimal.value < 0 ? -decimal.value : decimal.value;
    std::string digits;
    while (rest > 0 || static_cast<int>(digits.size()) <= decimal.scale) {
        digits += static_cast<char>('0' + static_cast<int>(rest % 10));
        rest /= 10;
    }
    if (decimal.value < 0) digits += '-';
    std::reverse(digits.begin(), digits.end());
    if (decimal.scale > 0) digits.insert(digits.size() - static_cast<std::size_t>(decimal.scale), 1, '.');
    return digits;
}

std::optional<std::uint64_t> parse_rowversion(std::string_view text) {
    if (text.size() != 18 || text[0] != '0' || (text[1] != 'x' && text[1] != 'X')) return std::nullopt;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

template <typename Value>
std::strong_ordering order(const Value& left, const Value& right) {
    if (left < right) return std::strong_ordering::less;
    return right < left ? std::strong_ordering::greater : std::strong_ordering::equal;
}

}  // namespace

std::string_view name_of(WatermarkKind kind) {
    switch (kind) {
        case WatermarkKind::time:
            return "time";
        case WatermarkKind::integer:
            return "integer";
        case WatermarkKind::rowversion:
            return "rowversion";
        case WatermarkKind::text:
            return "text";
        case WatermarkKind::none:
            break;
    }
    return "none";
}

std::optional<std::string> subtract_lookback(WatermarkKind kind, std::string_view literal, std::string_view lookback) {
    if (kind == WatermarkKind::text || kind == WatermarkKind::none) return std::string(literal);
    std::optional<Decimal> amount = parse_decimal(lookback.empty() ? "0" : lookback);
    if (!amount || amount->value < 0) return std::nullopt;
    if (kind == WatermarkKind::time) {
        const std::optional<CivilTime> time = parse_civil_time(literal);
        Decimal micros_unit{0, 6};
        if (!time || amount->scale > 6 || !align(*amount, micros_unit)) return std::nullopt;
        constexpr Wide longest = static_cast<Wide>(1000000) * 86400 * 366 * 9999;
        return format_moved(*time, -static_cast<std::int64_t>(std::min(amount->value, longest)));
    }
    if (kind == WatermarkKind::rowversion) {
        const std::optional<std::uint64_t> version = parse_rowversion(literal);
        if (!version || amount->scale != 0) return std::nullopt;
        const Wide low = std::max<Wide>(0, static_cast<Wide>(*version) - amount->value);
        char text[20];
        std::snprintf(text, sizeof text, "0x%016llX", static_cast<unsigned long long>(low));
        return std::string(text);
    }
    std::optional<Decimal> number = parse_decimal(literal);
    if (!number || !align(*number, *amount)) return std::nullopt;
    number->value -= amount->value;
    std::string moved = format_decimal(*number);
    if (!parse_decimal(moved)) return std::nullopt;  // it has more digits than anything could be compared with
    return moved;
}

std::optional<std::strong_ordering> compare_literals(WatermarkKind kind, std::string_view left,
                                                     std::string_view right) {
    if (kind == WatermarkKind::time) {
        const std::optional<CivilTime> a = parse_civil_time(left);
        const std::optional<CivilTime> b = parse_civil_time(right);
        if (!a || !b) return std::nullopt;
        const std::int64_t a_seconds = a->seconds_from_2000();
        const std::int64_t b_seconds = b->seconds_from_2000();
        return a_seconds != b_seconds ? order(a_seconds, b_seconds) : order(a->nanoseconds, b->nanoseconds);
    }
    if (kind == WatermarkKind::integer) {
        std::optional<Decimal> a = parse_decimal(left);
        std::optional<Decimal> b = parse_decimal(right);
        if (!a || !b || !align(*a, *b)) return std::nullopt;
        return order(a->value, b->value);
    }
    if (kind == WatermarkKind::rowversion) {
        const std::optional<std::uint64_t> a = parse_rowversion(left);
        const std::optional<std::uint64_t> b = parse_rowversion(right);
        if (!a || !b) return std::nullopt;
        return order(*a, *b);
    }
    return order(left, right);
}

bool is_literal_of(WatermarkKind kind, std::string_view literal) {
    switch (kind) {
        case WatermarkKind::time:
            return parse_civil_time(literal).has_value();
        case WatermarkKind::integer:
            return parse_decimal(literal).has_value();
        case WatermarkKind::rowversion:
            return parse_rowversion(literal).has_value();
        default:
            return true;
    }
}

std::optional<double> seconds_between(std::string_view earlier, std::string_view later) {
    const std::optional<CivilTime> a = parse_civil_time(earlier);
    const std::optional<CivilTime> b = parse_civil_time(later);
    if (!a || !b) return std::nullopt;
    return static_cast<double>(b->seconds_from_2000() - a->seconds_from_2000()) +
           (b->nanoseconds - a->nanoseconds) / 1e9;
}

}  // namespace insync
