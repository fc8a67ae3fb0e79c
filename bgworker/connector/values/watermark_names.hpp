// Columns that look, by their names, as if every change set them.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace insync {

// How good a watermark a column of that name promises to be: 0 is the best; nothing if its name promises nothing.
std::optional<std::size_t> watermark_rank(std::string_view column);

}  // namespace insync
