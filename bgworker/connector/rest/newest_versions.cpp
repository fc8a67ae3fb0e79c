// The newest watermark of each key; see newest_versions.hpp.
#include "bgworker/connector/rest/newest_versions.hpp"

namespace insync::rest {

bool Versions::admit(std::string_view key, WatermarkKind kind, std::string_view watermark) {
    if (!is_literal_of(kind, watermark)) return true;
    auto& watermarks = known_->watermarks;
    const auto found = watermarks.find(key);
    if (found == watermarks.end()) {
        watermarks.emplace(key, watermark);
        return true;
    }
    const auto order = compare_literals(kind, watermark, found->second);
    if (order == std::strong_ordering::less) return false;
    if (order == std::strong_ordering::greater) found->second = watermark;
    return true;
}

void Versions::clear() {
    known_.emplace(in_memory_bytes_);
}

}  // namespace insync::rest
