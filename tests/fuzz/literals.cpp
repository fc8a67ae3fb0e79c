// Watermark literals: they are ordered, a lookback never moves one forward, and none changes its layout.
#include "bgworker/clock/watermark_literal.hpp"

#include <cmath>

#include "bgworker/clock/civil_time.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

// Digits and everything else, digits made alike.
std::string layout_of(std::string_view text) {
    std::string layout(text);
    for (char& c : layout) c = c >= '0' && c <= '9' ? '0' : c;
    return layout;
}

void check_time(std::string_view text) {
    auto time = parse_civil_time(text);
    if (!time) return;
    REQUIRE(is_date(time->year, time->month, time->day));
    REQUIRE(time->hour < 24 && time->minute < 60 && time->second < 60);
    REQUIRE(time->nanoseconds >= 0 && time->nanoseconds < 1000000000);
    int year = 0, month = 0, day = 0;
    date_from_days(days_from_2000(time->year, time->month, time->day), year, month, day);
    REQUIRE(year == time->year && month == time->month && day == time->day);
    // More than nine digits of a fraction are below a nanosecond, and the only thing that isn't written again.
    std::string written = format_moved(*time, 0);
    REQUIRE(written.size() <= text.size());
    if (written.size() == text.size()) REQUIRE(written == text);
    REQUIRE(compare_literals(WatermarkKind::time, written, text) == std::strong_ordering::equal);
}

void check_lookback(WatermarkKind kind, std::string_view literal, std::string_view lookback) {
    auto moved = subtract_lookback(kind, literal, lookback);
    if (!moved) return;
    REQUIRE(is_literal_of(kind, *moved));
    // Not forward, except to the first moment that a layout has.
    auto order = compare_literals(kind, *moved, literal);
    REQUIRE(order && (*order <= 0 || moved->starts_with("0001")));
    if (kind == WatermarkKind::time && parse_civil_time(literal)->fraction_digits <= 9 &&
        format_moved(*parse_civil_time(literal), 0) == literal) {
        REQUIRE(layout_of(*moved) == layout_of(literal));
    }
    if (lookback.empty() && kind != WatermarkKind::integer) REQUIRE(order == std::strong_ordering::equal);
}

FUZZ_TARGET(literals) {
    static constexpr WatermarkKind kinds[] = {WatermarkKind::time, WatermarkKind::integer, WatermarkKind::rowversion,
                                              WatermarkKind::text};
    auto kind = kinds[input.below(4)];
    auto left = input.line(), right = input.line(), lookback = input.line();
    check_time(left);
    check_lookback(kind, left, lookback);
    auto order = compare_literals(kind, left, right), reverse = compare_literals(kind, right, left);
    REQUIRE(order.has_value() == reverse.has_value());
    REQUIRE(!order || (*order < 0) == (*reverse > 0));
    bool both = is_literal_of(kind, left) && is_literal_of(kind, right);
    REQUIRE(!order || both);
    if (both && kind != WatermarkKind::integer) REQUIRE(order.has_value());
    if (is_literal_of(kind, left)) REQUIRE(compare_literals(kind, left, left) == std::strong_ordering::equal);
    if (kind == WatermarkKind::time && order) {
        double seconds = seconds_between(left, right).value();
        REQUIRE(std::abs(seconds) < 1e-9 || (seconds > 0) == (*order < 0));
    }
    // A later literal stays later, or becomes equal, behind the same lookback.
    auto low = subtract_lookback(kind, left, lookback), high = subtract_lookback(kind, right, lookback);
    if (order && *order <= 0 && low && high && layout_of(left) == layout_of(right)) {
        auto after = compare_literals(kind, *low, *high);
        REQUIRE(after && *after <= 0);
    }
    if (auto time = parse_time_of_day(left)) REQUIRE(*time >= 0 && *time <= 86400LL * 1000000);
}

}  // namespace
}  // namespace insync
