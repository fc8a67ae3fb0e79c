// What a message tells of an answer that isn't what was asked for.
#pragma once

#include <string>
#include <string_view>

namespace insync::rest {

// How much of an answer is searched for secrets before it is cut: far more than is quoted of it.
inline constexpr std::size_t longest_masked = 16384;

// At most 200 bytes of `text`, on one line, in letters that any message may hold. Secrets must be masked before.
std::string quoted_text(std::string_view text);

// "status 404 (Not Found)".
std::string status_text(long status);

}  // namespace insync::rest
