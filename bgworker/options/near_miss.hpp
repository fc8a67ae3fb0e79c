// The word that was probably meant, for "Perhaps you meant …" hints: option, column, stream and source names.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace insync {

// The candidate nearest to `word`, in the candidate's own spelling, or an empty string when none is near enough.
//
// Distance is Damerau-Levenshtein (insert, delete, replace, swap of neighbours) over UTF-8 characters, regardless of
// ASCII case. Near enough is a distance of at most 2, or of a third of the word's length if that is more, and never
// more than half of the word, so that short words don't match everything. The first of equally near candidates wins.
// Words of more than 256 bytes have no near miss.
std::string closest(std::string_view word, std::span<const std::string_view> candidates);
std::string closest(std::string_view word, std::span<const std::string> candidates);

}  // namespace insync
