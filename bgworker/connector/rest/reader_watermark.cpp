// Watermarks of rows; see reader.hpp.
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
    if (order_.kind() == WatermarkKind::none)
        order_.set_kind(order_.kind_of(value.kind != Value::Kind::string, value.text));
    if (!run_start_) run_start_ = session_.source_now();
    std::string literal(value.text);
    if (order_.kind() == WatermarkKind::text) require_form(literal);
    if (!is_literal_of(order_.kind(), literal)) {
        future_rows_++;
        return std::nullopt;
    }
    if (is_future(literal) && order_.is_beyond(literal, session_.source_now())) future_rows_++;
    if (begun_at_ && !order_.is_later(literal, *begun_at_)) reread_rows_++;
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

bool Reader::is_future(const std::string& literal) const {
    return order_.is_beyond(literal, run_start_);
}

}  // namespace insync::rest
