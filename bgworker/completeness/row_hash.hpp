// The target's side of hashed rows: insync.row_hash(format, column, …) writes the text that bgworker/canonical_text.hpp
// tells of, straight from PostgreSQL's values, and hashes it as the source's engine does.
//
// It is called for every row that a verification compares, so a call neither allocates nor looks anything up: what the
// format and the types of the arguments mean is worked out once a query. Numbers, times and texts are written here
// rather than by the types' output functions, which are several times slower.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bgworker/protocol/canonical_text.hpp"

namespace insync {

// Each writes at `out`, where `room_for` bytes are, and returns the end.

// A numeric as PostgreSQL stores it, without the length in front: with `scale` digits behind the point, or more where
// it has more that aren't zero; with only those where `scale` is negative.
char* write_numeric(char* out, const char* stored, std::size_t size, int scale) noexcept;
std::size_t room_for_numeric(const char* stored, std::size_t size, int scale) noexcept;

// Days from 2000-01-01; at most 32 bytes.
char* write_date(char* out, std::int32_t days) noexcept;

// Microseconds from 2000-01-01 00:00:00; at most 48 bytes.
char* write_timestamp(char* out, std::int64_t microseconds, bool all_digits) noexcept;

// Microseconds from midnight; at most 16 bytes.
char* write_time(char* out, std::int64_t microseconds, bool all_digits) noexcept;

}  // namespace insync
