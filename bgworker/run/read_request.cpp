// Builds read requests; see read_request.hpp.
#include "bgworker/run/read_request.hpp"

#include <chrono>
#include <variant>

extern "C" {
#include "utils/timestamp.h"
}

#include "bgworker/apply/key_only_rows.hpp"
#include "bgworker/catalog/remake.hpp"
#include "bgworker/clock/durations.hpp"
#include "bgworker/clock/zone_name.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/pg/settings.hpp"
#include "bgworker/pg/time_zone.hpp"

namespace insync {

namespace {

// By how much the clock of the source's times is ahead of UTC, where the stream says it.
std::optional<std::int64_t> zone_offset(const Stream& stream) {
    const std::string zone = server_zone(stream.options.source_time_zone.text);
    if (zone.empty()) return std::nullopt;
    return offset_at(to_unix_us(GetCurrentTimestamp()), clock_of(zone)) / 1'000'000;
}

std::string lookback_of(const Stream& stream, std::int64_t extra_lookback_s) {
    if (stream.watermark_kind == "time" || stream.watermark_kind == "text")
        return std::to_string(lookback_seconds(stream) + extra_lookback_s);
    if (stream.options.lookback.is_given) return std::to_string(lookback_seconds(stream));
    return stream.watermark_kind == "integer" ? "1000" : "0";
}

ReadRequest::NullWatermark null_watermark_of(const std::string& word) {
    using NullWatermark = ReadRequest::NullWatermark;
    if (word == "fail") return NullWatermark::fail;
    return word == "reject" ? NullWatermark::reject : NullWatermark::include;
}

}  // namespace

std::int64_t lookback_seconds(const Stream& stream) {
    auto lookback = stream.options.lookback.value;
    if (!lookback) return 600;
    if (auto* time = std::get_if<std::chrono::milliseconds>(&*lookback)) return time->count() / 1000;
    return std::get<std::int64_t>(*lookback);
}

ReadRequest make_read_request(const Stream& stream, const std::string& mode, const nlohmann::json& position,
                              std::int64_t extra_lookback_s) {
    const auto size = stream.options.batch_bytes.value;
    const auto rows = stream.options.batch_rows.value;
    const bool whole = stream.compares_whole_rows();
    ReadRequest request;
    request.source = stream.source;
    request.only_keys = mode == "keys";
    request.full = mode == "full" || request.only_keys;
    if (whole) {
        request.row_identity = stream.source_key;
    } else {
        request.key = stream.source_key;
        request.key_columns = key_column_names(stream);
        request.version_key = version_key(stream);
    }
    request.key_is_unique = stream.source_key_unique;
    if (stream.source_key_unique) request.remake = remaking_statements(stream);
    request.is_change_log = !request.full && stream.options.operation_column.is_given && !stream.source_key_unique;
    if (!request.full) request.watermark = stream.watermark;
    request.version = stream.watermark;
    request.lookback = lookback_of(stream, extra_lookback_s);
    if (stream.options.initial_watermark.is_given) request.initial_watermark = stream.options.initial_watermark.text;
    request.zone_offset_s = zone_offset(stream);
    request.position = position;
    request.batch_rows = static_cast<std::size_t>(rows ? *rows : settings::batch_rows());
    request.batch_bytes = static_cast<std::size_t>(size ? *size : settings::batch_bytes());
    request.page_rows = static_cast<std::size_t>(stream.options.page_rows.value);
    request.null_watermark = null_watermark_of(stream.options.null_watermark.text);
    request.replace_text = stream.options.text_policy.text != "reject";
    request.null_zero_dates = stream.options.zero_dates.text != "reject";
    if (request.only_keys) request.columns = key_column_names(stream);
    request.options = stream.options.map();
    request.known_columns = to_json(stream.source_columns);
    return request;
}

}  // namespace insync
