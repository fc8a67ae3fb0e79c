// Lengths of time in microseconds, and where times begin.
#pragma once

#include <cstdint>

namespace insync {

inline constexpr std::int64_t second_us = 1'000'000;
inline constexpr std::int64_t minute_us = 60 * second_us;
inline constexpr std::int64_t hour_us = 60 * minute_us;
inline constexpr std::int64_t day_us = 24 * hour_us;

// Where PostgreSQL's times begin: 2000-01-01 00:00 UTC, since 1970.
inline constexpr std::int64_t postgres_epoch_us = 946'684'800 * second_us;

// A time of PostgreSQL as microseconds since 1970.
inline constexpr std::int64_t to_unix_us(std::int64_t postgres_us) {
    return postgres_us + postgres_epoch_us;
}

}  // namespace insync
