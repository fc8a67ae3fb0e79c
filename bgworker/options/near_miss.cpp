// Damerau-Levenshtein distance and the choice of the nearest candidate; see near_miss.hpp.
#include "bgworker/options/near_miss.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace insync {

namespace {
// The work grows with the product of the lengths, and no name that matters is longer.
constexpr std::size_t longest_word = 256;

// One number a character, so that an accented letter counts as one change. The bytes are packed, not decoded: equal
// characters stay equal and anything that isn't UTF-8 is harmless.
std::vector<std::uint32_t> fold(std::string_view word) {
    std::vector<std::uint32_t> characters;
    characters.reserve(word.size());
    for (char c : word) {
        auto byte = static_cast<unsigned char>(c);
        bool continuation = (byte & 0xC0) == 0x80;
        if (continuation && !characters.empty() && characters.back() >= 0xC0 && characters.back() < 1u << 24) {
            characters.back() = characters.back() << 8 | byte;
        } else {
            characters.push_back(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
        }
    }
    return characters;
}

// Distance of `left` and `right`, neither longer than longest_word, or nothing when it is more than `limit`.
std::optional<std::size_t> distance_within(const std::vector<std::uint32_t>& left,
                                           const std::vector<std::uint32_t>& right, std::size_t limit) {
    std::size_t difference = left.size() > right.size() ? left.size() - right.size() : right.size() - left.size();
    if (difference > limit) {
        return std::nullopt;
    }
    // Three rows of the matrix: the swap of neighbours looks two rows back.
    std::size_t rows[3][longest_word + 1];
    std::size_t *before = rows[0], *previous = rows[1], *current = rows[2];
    for (std::size_t j = 0; j <= right.size(); j++) {
        previous[j] = j;
    }
    for (std::size_t i = 1; i <= left.size(); i++) {
        std::size_t least = current[0] = i;
        for (std::size_t j = 1; j <= right.size(); j++) {
            std::size_t replace = previous[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1);
            current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replace});
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]) {
                current[j] = std::min(current[j], before[j - 2] + 1);
            }
            least = std::min(least, current[j]);
        }
        // Nor is the end then within it: a swap begins one row earlier, where there can be one less, but costs one.
        if (least > limit) {
            return std::nullopt;
        }
        std::swap(before, previous);
        std::swap(previous, current);
    }
    std::size_t distance = previous[right.size()];
    return distance <= limit ? std::optional(distance) : std::nullopt;
}

template <typename Text>
std::string closest_of(std::string_view word, std::span<const Text> candidates) {
    if (word.size() > longest_word) {
        return {};
    }
    auto wanted = fold(word);
    std::size_t limit = std::min(std::max<std::size_t>(2, wanted.size() / 3), wanted.size() / 2);
    std::string_view best;
    for (std::string_view candidate : candidates) {
        if (candidate.empty() || candidate.size() > longest_word) {
            continue;
        }
        auto distance = distance_within(wanted, fold(candidate), limit);
        if (!distance) {
            continue;
        }
        best = candidate;
        if (*distance == 0) {
            break;
        }
        limit = *distance - 1;  // only a nearer one replaces it
    }
    return std::string(best);
}
}  // namespace

std::string closest(std::string_view word, std::span<const std::string_view> candidates) {
    return closest_of(word, candidates);
}

std::string closest(std::string_view word, std::span<const std::string> candidates) {
    return closest_of(word, candidates);
}

}  // namespace insync
