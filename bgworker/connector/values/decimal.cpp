// Encodes numeric; see decimal.hpp. The binary form is ndigits, weight, sign, dscale, then base-10000 digits, where
// weight is the power of 10000 of the first digit.
#include "bgworker/connector/values/decimal.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace insync {

namespace {

constexpr std::int16_t sign_positive = 0x0000;
constexpr std::int16_t sign_negative = 0x4000;
constexpr std::int16_t sign_nan = static_cast<std::int16_t>(0xC000);
constexpr std::int16_t sign_infinity = static_cast<std::int16_t>(0xD000);
constexpr std::int16_t sign_minus_infinity = static_cast<std::int16_t>(0xF000);
constexpr int max_scale = 16383;            // numeric's largest dscale
constexpr int max_integer_digits = 131072;  // digits before the point that numeric documents

void append_header(FrameWriter& out, int digits, int weight, std::int16_t sign, int scale) {
    char* at = out.grow(12);
    wire::put_int32(at, 8 + 2 * digits);
    wire::put_int16(at + 4, static_cast<std::int16_t>(digits));
    wire::put_int16(at + 6, static_cast<std::int16_t>(weight));
    wire::put_int16(at + 8, sign);
    wire::put_int16(at + 10, static_cast<std::int16_t>(scale));
}

int floor_div4(int value) {
    return value >= 0 ? value / 4 : -((3 - value) / 4);
}

bool append_special(FrameWriter& out, std::string_view text, bool negative) {
    auto is = [&](std::string_view word) {
        return text.size() == word.size() &&
               std::equal(text.begin(), text.end(), word.begin(), [](char a, char b) { return (a | 0x20) == b; });
    };
    if (is("nan")) {
        append_header(out, 0, 0, sign_nan, 0);
    } else if (is("infinity") || is("inf")) {
        append_header(out, 0, 0, negative ? sign_minus_infinity : sign_infinity, 0);
    } else {
        return false;
    }
    return true;
}

}  // namespace

bool append_numeric(FrameWriter& out, std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    bool negative = false;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
        negative = text[0] == '-';
        text.remove_prefix(1);
    }
    // One pass finds the point and the first and last digits that count; digits are then picked from the text.
    const int length = static_cast<int>(std::min<std::size_t>(text.size(), 1u << 20));
    int point_at = -1, first = -1, last = -1, total = 0, end = 0;
    for (; end < length; end++) {
        const char c = text[end];
        if (c == '.' && point_at < 0) {
            point_at = end;
            continue;
        }
        if (c < '0' || c > '9') break;
        if (c != '0') {
            if (first < 0) first = total;
            last = total;
        }
        total++;
    }
    if (total == 0) return append_special(out, text, negative);
    int exponent = 0;
    if (end < static_cast<int>(text.size())) {
        if ((text[end] | 0x20) != 'e') return false;
        const char* begin = text.data() + end + 1;
        const char* stop = text.data() + text.size();
        if (stop - begin > 1 && begin[0] == '+' && begin[1] != '-') begin++;
        const auto [parsed, error] = std::from_chars(begin, stop, exponent);
        if (error != std::errc() || parsed != stop || exponent > 200000 || exponent < -200000) return false;
    }
    const int integer_digits = point_at < 0 ? total : point_at;
    const int point = integer_digits + exponent;  // digits before the decimal point
    const int scale = std::max(0, total - point);
    if (scale > max_scale) return false;
    if (first < 0) {
        append_header(out, 0, 0, sign_positive, scale);
        return true;
    }
    if (point - first > max_integer_digits) return false;

    // Digit i has the power of ten point - 1 - i; four powers make one base-10000 digit.
    const int top = floor_div4(point - 1 - first);
    const int bottom = floor_div4(point - 1 - last);
    const int groups = top - bottom + 1;
    append_header(out, groups, top, negative ? sign_negative : sign_positive, scale);
    char* at = out.grow(static_cast<std::size_t>(2 * groups));
    auto digit = [&](int i) {
        if (i < 0 || i >= total) return 0;
        return text[point_at >= 0 && i >= point_at ? i + 1 : i] - '0';
    };
    for (int group = top; group >= bottom; group--, at += 2) {
        const int i = point - 1 - (4 * group + 3);
        const int value = digit(i) * 1000 + digit(i + 1) * 100 + digit(i + 2) * 10 + digit(i + 3);
        wire::put_int16(at, static_cast<std::int16_t>(value));
    }
    return true;
}

}  // namespace insync
