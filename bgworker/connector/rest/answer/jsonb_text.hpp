// JSON that jsonb can hold, and what becomes of JSON that it can't.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace insync::rest {

// What keeps jsonb from holding a valid JSON text: characters that it refuses (invalid UTF-8, NUL, half surrogate
// pairs, control characters), a number beyond numeric, or a depth at which PostgreSQL runs out of stack. The worst of
// them.
enum class Hindrance { none, characters, number, depth };
Hindrance hindrance_of(std::string_view json);

inline constexpr std::uint32_t max_json_depth = 1000;

// The JSON text as jsonb can hold it: such characters become U+FFFD (control characters are escaped) and such numbers
// strings; what is too deep becomes a string of its beginning.
std::string storable_json(std::string_view json);

}  // namespace insync::rest
