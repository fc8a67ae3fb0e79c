// A text that may be missing, as a member of a frame.
#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace insync {

// null for a missing text.
inline nlohmann::json json_of(const std::optional<std::string>& text) {
    return text ? nlohmann::json(*text) : nlohmann::json();
}

}  // namespace insync
