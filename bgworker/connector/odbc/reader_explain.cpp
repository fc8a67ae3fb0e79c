// The statements of a read, without reading; see reader.hpp.
#include "bgworker/connector/odbc/read_position.hpp"
#include "bgworker/connector/odbc/reader.hpp"

namespace insync::odbc {

nlohmann::json Reader::explain() {
    prepare_plan();
    read_clock();
    nlohmann::json statements = nlohmann::json::array();
    auto add = [&](const StatementText& statement) {
        statements.push_back(
            {{"purpose", statement.purpose}, {"sql", statement.sql}, {"parameters", statement.parameters}});
    };
    nlohmann::json shown = {{"source_now", json_of(clock_)}};
    const std::string phase = phase_of(request_.position);
    if (request_.full) {
        const std::optional<After> after = stopped_after("full");
        const Bounds bounds;
        if (request_.only) {
            add(rows_of_keys(plan_, next_keys(0), std::nullopt, bounds));
        } else {
            if (plan_.has_nullable_key()) add(null_key_rows(plan_, bounds));
            add(key_page(plan_, after, false, bounds));
            statements.back()["purpose"] = request_.only_keys ? "keys, to find deleted rows" : "full";
        }
    } else {
        const bool loads = begins_with_load(phase);
        if (loads) {
            if (phase != "load") add(max_watermark(plan_, std::nullopt, {}));
            const std::optional<After> after = stopped_after("load");
            const std::optional<std::string> mark =
                phase == "load" ? text_member(request_.position, "mark") : read_mark();
            shown["mark"] = json_of(mark);
            add(key_page(plan_, after, false, {}));
            position_ = {{"phase", "changes"}, {"watermark", json_of(mark)}, {"key", nullptr}};
        }
        if (plan_.kind == WatermarkKind::rowversion) horizon_ = read_rowversion_horizon();
        Bounds bounds = changes_bounds();
        leave_out_settled(bounds);
        shown["watermark"] = json_of(watermark_);
        shown["low"] = json_of(bounds.low);
        shown["high"] = json_of(bounds.high);
        if (bounds.marker) shown["marker"] = *bounds.marker;
        const bool reads_nulls = request_.null_watermark != ReadRequest::NullWatermark::fail;
        if (!loads && plan_.has_nullable_watermark() && reads_nulls) add(key_page(plan_, std::nullopt, true, bounds));
        if (plan_.has_nullable_key()) add(null_key_rows(plan_, bounds));
        add(changes_page(plan_, std::nullopt, bounds));
    }
    return {{"statements", statements}, {"bounds", shown}};
}

}  // namespace insync::odbc
