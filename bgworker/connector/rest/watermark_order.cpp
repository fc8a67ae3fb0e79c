// Compares watermarks; see watermark_order.hpp.
#include "bgworker/connector/rest/watermark_order.hpp"

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/rest/request/template.hpp"

namespace insync::rest {

WatermarkKind WatermarkOrder::kind_of(bool is_number, std::string_view literal) const {
    if (is_number || !epoch_.empty()) return WatermarkKind::integer;
    return parse_civil_time(literal) ? WatermarkKind::time : WatermarkKind::text;
}

bool WatermarkOrder::is_later(const std::string& left, const std::string& right) const {
    return compare_literals(kind_, left, right) == std::strong_ordering::greater;
}

// Later than anything that was written by the time that the clock showed. The clock shows whole seconds, and so does
// what we add since we read it: the present may be two seconds on.
bool WatermarkOrder::is_beyond(const std::string& literal, const std::optional<std::string>& clock) const {
    constexpr std::int64_t unseen_us = 2000000;
    const std::optional<CivilTime> time = clock ? parse_civil_time(*clock) : std::nullopt;
    const std::optional<std::string> now = time ? clock_for(literal, format_moved(*time, unseen_us)) : std::nullopt;
    return now && is_later(literal, *now);
}

// The clock as a watermark would show it: in the same zone, or as a number. A watermark without a zone is in that of
// the stream's option, or in UTC where there is none.
std::optional<std::string> WatermarkOrder::clock_for(const std::string& literal, const std::string& clock) const {
    if (!epoch_.empty()) return format_time(clock, epoch_);
    const std::optional<CivilTime> time = parse_civil_time(literal), now = parse_civil_time(clock);
    if (kind_ != WatermarkKind::time || !time || !now) return std::nullopt;
    const bool is_local = !time->offset_seconds && zone_offset_s_;
    return is_local ? format_moved(*now, *zone_offset_s_ * 1000000) : clock;
}

std::string WatermarkOrder::sooner_of(const std::string& literal, const std::string& clock) const {
    const std::optional<std::string> now = clock_for(literal, clock);
    if (!now || !is_later(literal, *now)) return literal;
    if (!epoch_.empty()) return *now;
    const std::optional<CivilTime> time = parse_civil_time(literal), clock_time = parse_civil_time(*now);
    if (!time->offset_seconds && !zone_offset_s_) return literal;
    // Both as the clock's face shows them: the zone is written as it was.
    return format_moved(*time, clock_time->microseconds_from_2000() - time->microseconds_from_2000());
}

std::string WatermarkOrder::less_lookback(const std::string& literal, const std::string& lookback) const {
    if (!epoch_.empty())
        return subtract_lookback(WatermarkKind::integer, literal, in_unit_of(epoch_, lookback)).value_or(literal);
    return subtract_lookback(kind_, literal, lookback).value_or(literal);
}

}  // namespace insync::rest
