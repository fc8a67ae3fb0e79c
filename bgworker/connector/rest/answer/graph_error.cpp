// Errors of GraphQL answers; see graph_error.hpp.
#include "bgworker/connector/rest/answer/graph_error.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace insync::rest {

GraphError graph_error(const std::string& body, std::string_view errors) {
    GraphError error;
    const auto list = nlohmann::json::parse(errors, nullptr, false);
    const nlohmann::json first = list.is_array() && !list.empty() ? list[0] : list;
    if (first.is_object() && first.contains("message") && first["message"].is_string()) {
        error.message = first["message"].get<std::string>();
    } else {
        error.message = first.is_string() ? first.get<std::string>() : std::string(errors);
    }
    const std::string code = first.is_object() && first.contains("extensions") && first["extensions"].is_object()
                                 ? first["extensions"].value("code", "")
                                 : "";
    if (code != "THROTTLED" && error.message != "Throttled") return error;
    error.wait = 1;
    const auto answer = nlohmann::json::parse(body, nullptr, false);
    const auto cost = answer.value("/extensions/cost"_json_pointer, nlohmann::json());
    const auto status = cost.is_object() ? cost.value("throttleStatus", nlohmann::json()) : nlohmann::json();
    if (!status.is_object()) return error;
    auto number = [](const nlohmann::json& object, const char* name, double fallback) {
        const auto found = object.find(name);
        return found != object.end() && found->is_number() ? found->get<double>() : fallback;
    };
    const double rate = number(status, "restoreRate", 50);
    const double missing = number(cost, "requestedQueryCost", 1) - number(status, "currentlyAvailable", 0);
    if (rate > 0) error.wait = std::clamp(missing / rate, 0.1, 60.0);
    return error;
}

}  // namespace insync::rest
