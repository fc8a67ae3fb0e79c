// The time that gaps are judged by: now, or what the setting insync.as_of says instead.
#pragma once

#include <cstdint>
#include <optional>

namespace insync {

// Microseconds since 1970; nothing: now. Throws pg::Error where the setting is no time.
std::optional<std::int64_t> as_of_setting();
// The same, or the present.
std::int64_t judged_now_us();

}  // namespace insync
