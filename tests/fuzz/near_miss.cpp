// The word that was probably meant: one of the candidates or none, as near as promised, and the word itself if it is
// one.
#include "bgworker/options/near_miss.hpp"

#include <algorithm>
#include <vector>

#include "bgworker/options/values.hpp"
#include "tests/fuzz/support/target.hpp"

namespace insync {
namespace {

// Distance in bytes, which is no less than in characters, by the plainest of algorithms.
std::size_t distance(const std::string& left, const std::string& right) {
    std::vector<std::vector<std::size_t>> matrix(left.size() + 1, std::vector<std::size_t>(right.size() + 1));
    for (std::size_t i = 0; i <= left.size(); i++) {
        for (std::size_t j = 0; j <= right.size(); j++) {
            if (i == 0 || j == 0) {
                matrix[i][j] = i + j;
                continue;
            }
            matrix[i][j] = std::min(
                {matrix[i - 1][j] + 1, matrix[i][j - 1] + 1, matrix[i - 1][j - 1] + (left[i - 1] != right[j - 1])});
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                matrix[i][j] = std::min(matrix[i][j], matrix[i - 2][j - 2] + 1);
        }
    }
    return matrix.back().back();
}

FUZZ_TARGET(near_miss) {
    std::string word(input.line());
    std::vector<std::string> candidates;
    while (!input.empty() && candidates.size() < 5) candidates.emplace_back(input.line());
    std::string near = closest(word, candidates);
    bool is_ascii = std::all_of(word.begin(), word.end(), [](char c) { return c > 0; });
    std::size_t limit = std::min(std::max<std::size_t>(2, word.size() / 3), word.size() / 2), nearest = word.size() + 1;
    std::string first;
    for (const std::string& candidate : candidates) {
        if (candidate.empty()) continue;
        std::size_t far = distance(to_lower(word), to_lower(candidate));
        if (far < nearest) nearest = far, first = candidate;
    }
    if (near.empty()) {
        REQUIRE(!is_ascii || first.empty() || nearest > limit);
        return;
    }
    REQUIRE(std::find(candidates.begin(), candidates.end(), near) != candidates.end());
    // Where both are ASCII, bytes are characters.
    bool all_ascii = is_ascii && std::all_of(candidates.begin(), candidates.end(), [](const std::string& candidate) {
                         return std::all_of(candidate.begin(), candidate.end(), [](char c) { return c > 0; });
                     });
    if (all_ascii) REQUIRE(near == first && nearest <= limit);
}

}  // namespace
}  // namespace insync
