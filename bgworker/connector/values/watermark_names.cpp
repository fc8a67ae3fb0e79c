// Names of watermarks; see watermark_names.hpp.
#include "bgworker/connector/values/watermark_names.hpp"

#include <algorithm>
#include <cctype>
#include <string>

namespace insync {

std::optional<std::size_t> watermark_rank(std::string_view column) {
    constexpr std::string_view words[] = {"updat", "modif",     "chang", "last",  "version", "actualiz",
                                          "mtime", "timestamp", "rev",   "creat", "insert"};
    std::string lower(column);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    for (std::size_t i = 0; i < std::size(words); i++) {
        if (lower.find(words[i]) != std::string::npos) return i;
    }
    return std::nullopt;
}

}  // namespace insync
