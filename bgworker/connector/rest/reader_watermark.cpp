// Watermarks of rows, and which of two is later; see reader.hpp.
#include <algorithm>

#include "bgworker/clock/civil_time.hpp"
#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/reader.hpp"
#include "bgworker/connector/values/text_form.hpp"
#include "bgworker/connector/values/utf8.hpp"

namespace insync::rest {

bool Reader::is_null(const Page& page, std::size_t row, const std::vector<std::size_t>& fields) {
    return std::all_of(fields.begin(), fields.end(), [&](std::size_t field) {
        const Value::Kind kind = page.value(row, field).kind;
        return kind == Value::Kind::absent || kind == Value::Kind::null;
    });
}

// A row's watermark in the source's own form. The first one tells the kind, and with the source's clock, which times
// can't be believed.
std::optional<std::string> Reader::watermark_of(const Page& page, std::size_t row) {
    const Value value = page.value(row, *watermark_field_);
    if (value.kind == Value::Kind::absent || value.kind == Value::Kind::null) {
        if (child_) null_watermarks_++;
        return std::nullopt;
    }
    if (kind_ == WatermarkKind::none) kind_ = kind_of(value.kind != Value::Kind::string, value.text);
    if (!run_start_) run_start_ = session_.source_now();
    std::string literal(value.text);
    if (kind_ == WatermarkKind::text) require_form(literal);
    if (!is_literal_of(kind_, literal)) {
        future_rows_++;
        return std::nullopt;
    }
    if (is_future(literal) && is_beyond(literal, session_.source_now())) future_rows_++;
    if (begun_at_ && !is_later(literal, *begun_at_)) reread_rows_++;
    return literal;
}

// What we compare as texts has to be written as texts sort.
void Reader::require_form(const std::string& literal) const {
    std::optional<std::string> problem = unsorted_form(literal);
    if (!problem && watermark_ && !layout_of(*watermark_).empty() && !layout_of(literal).empty() &&
        !are_written_alike(*watermark_, literal)) {
        problem = unsorted_forms({*watermark_, literal}, false);
    }
    if (!problem) return;
    throw Failure(FailureClass::config,
                  "watermark field \"" + (child_ ? parent_fields_ : fields_).name(*watermark_field_) +
                      "\" holds texts that do not sort",
                  *problem, "Choose a field that is a time or a number.");
}

bool Reader::is_number(const std::string& name) const {
    const auto column =
        std::find_if(columns_.begin(), columns_.end(), [&](const auto& item) { return item.name == name; });
    return column != columns_.end() && (column->type == Transport::int8 || column->type == Transport::int4 ||
                                        column->type == Transport::int2 || column->type == Transport::numeric);
}

WatermarkKind Reader::kind_of(bool is_number, std::string_view literal) const {
    if (is_number || !epoch_.empty()) return WatermarkKind::integer;
    return parse_civil_time(literal) ? WatermarkKind::time : WatermarkKind::text;
}

bool Reader::is_later(const std::string& left, const std::string& right) const {
    return compare_literals(kind_, left, right) == std::strong_ordering::greater;
}

bool Reader::is_future(const std::string& literal) const {
    return is_beyond(literal, run_start_);
}

// Later than anything that was written by the time that the clock showed. The clock shows whole seconds, and so does
// what we add since we read it: the present may be two seconds on.
bool Reader::is_beyond(const std::string& literal, const std::optional<std::string>& clock) const {
    constexpr std::int64_t unseen_us = 2000000;
    const std::optional<CivilTime> time = clock ? parse_civil_time(*clock) : std::nullopt;
    const std::optional<std::string> now = time ? clock_for(literal, format_moved(*time, unseen_us)) : std::nullopt;
    return now && is_later(literal, *now);
}

// The clock as a watermark would show it: in the same zone, or as a number. A watermark without a zone is in that of
// the stream's option, or in UTC where there is none.
std::optional<std::string> Reader::clock_for(const std::string& literal, const std::string& clock) const {
    if (!epoch_.empty()) return format_time(clock, epoch_);
    const std::optional<CivilTime> time = parse_civil_time(literal), now = parse_civil_time(clock);
    if (kind_ != WatermarkKind::time || !time || !now) return std::nullopt;
    const bool is_local = !time->offset_seconds && request_.zone_offset_s;
    return is_local ? format_moved(*now, *request_.zone_offset_s * 1000000) : clock;
}

// The lower of a watermark and the clock, in the watermark's form. One without a zone may be in one that we don't know,
// and is left as it is then; the lookback has to cover what was written meanwhile.
std::string Reader::sooner_of(const std::string& literal, const std::string& clock) const {
    const std::optional<std::string> now = clock_for(literal, clock);
    if (!now || !is_later(literal, *now)) return literal;
    if (!epoch_.empty()) return *now;
    const std::optional<CivilTime> time = parse_civil_time(literal), clock_time = parse_civil_time(*now);
    if (!time->offset_seconds && !request_.zone_offset_s) return literal;
    // Both as the clock's face shows them: the zone is written as it was.
    return format_moved(*time, clock_time->microseconds_from_2000() - time->microseconds_from_2000());
}

}  // namespace insync::rest
