// What a stream asks the connector for.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "bgworker/catalog/stream.hpp"
#include "bgworker/protocol/request.hpp"

namespace insync {

// The option lookback in seconds, or as a count; 600 where it is not given.
std::int64_t lookback_seconds(const Stream& stream);

// The request of a stream that stands at `position`. `mode`: incremental, full or keys. `extra_lookback_s`: seconds
// that are read again beyond the option lookback.
ReadRequest make_read_request(const Stream& stream, const std::string& mode, const nlohmann::json& position,
                              std::int64_t extra_lookback_s = 0);

}  // namespace insync
