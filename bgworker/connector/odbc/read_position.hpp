// What stands in a position: the members of the JSON that a read sends and gets back.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace insync::odbc {

inline std::optional<std::string> text_member(const nlohmann::json& object, const char* name) {
    if (!object.is_object()) return std::nullopt;
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

// "load", "changes", "full" or "done"; empty where nothing was read yet.
inline std::string phase_of(const nlohmann::json& position) {
    return text_member(position, "phase").value_or("");
}

}  // namespace insync::odbc
