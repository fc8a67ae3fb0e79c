// Checks JSON; see check_json.hpp.
#include "bgworker/options/check_json.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "bgworker/options/check_templates.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/options/values_rest.hpp"

namespace insync {

namespace {

// The names of fields that an option of a second resource gives: one, or a list of them.
bool are_names(const nlohmann::json& value) {
    auto is_name = [](const nlohmann::json& item) {
        return item.is_string() && !trim(item.get_ref<const std::string&>()).empty();
    };
    if (!value.is_array()) return is_name(value);
    return !value.empty() && std::all_of(value.begin(), value.end(), is_name);
}

}  // namespace

ValueProblem check_json_object(std::string_view value) {
    std::string hint = "Write an object such as {\"total\": \"quantity * price\"}.";
    auto json = nlohmann::json::parse(value, nullptr, false);
    if (!json.is_object()) {
        return {"It is not a JSON object.", hint};
    }
    for (const auto& [key, member] : json.items()) {
        bool zero = key.find('\0') != std::string::npos ||
                    (member.is_string() && member.get_ref<const std::string&>().find('\0') != std::string::npos);
        if (zero) {
            return {"It contains a zero byte.", hint};
        }
        if (!member.is_string() || trim(member.get_ref<const std::string&>()).empty()) {
            return {"The value of " + quote_for_message(key) + " is not a text with an SQL expression.", hint};
        }
    }
    return {};
}

ValueProblem check_text_map(std::string_view value) {
    const std::string hint = "Write an object such as {\"name\": \"value\"}.";
    const auto json = nlohmann::json::parse(value, nullptr, false);
    if (!json.is_object()) return {"It is not a JSON object.", hint};
    for (const auto& [key, member] : json.items()) {
        if (!member.is_primitive() || member.is_null())
            return {"The value of " + quote_for_message(key) + " is neither a text nor a number.", hint};
        const auto has_zero = [](const std::string& text) { return text.find('\0') != std::string::npos; };
        if (has_zero(key) || (member.is_string() && has_zero(member.get_ref<const std::string&>())))
            return {"It contains a zero byte.", hint};
    }
    return {};
}

ValueProblem check_statuses(std::string_view value) {
    const std::string hint = "Write an object such as {\"404\": \"empty\", \"5xx\": \"fail\"}.";
    if (ValueProblem problem = check_text_map(value); problem.found()) return problem;
    const auto statuses = nlohmann::json::parse(value);
    for (const auto& [status, meaning] : statuses.items()) {
        if (!is_status_name(status))
            return {quote_for_message(status) + " is neither a status nor a class of them.", hint};
        if (meaning != "fail" && meaning != "retry" && meaning != "empty" && meaning != "")
            return {"A status means fail, retry or empty.", hint};
    }
    return {};
}

ValueProblem check_json_options(const Option& option, std::string_view value) {
    const bool is_feed = option.name == "delete_feed", is_resource = option.name != "key_scan";
    const std::string hint =
        is_feed       ? "Write an object such as {\"source\": \"events\", \"key\": \"subject_id\", \"watermark\": "
                        "\"created_at\"}."
        : is_resource ? "Write an object such as {\"source\": \"orders\"}."
                      : "Write an object such as {\"params\": {\"select\": \"{keys}\"}}.";
    const auto json = nlohmann::json::parse(value, nullptr, false);
    if (!json.is_object()) return {"It is not a JSON object.", hint};
    for (const auto& [name, member] : json.items()) {
        if (is_resource && (name == "key" || name == "watermark")) {
            if (!are_names(member))
                return {"The value of " + quote_for_message(name) + " is neither a name nor a list of names.", hint};
            continue;
        }
        if (is_resource && name == "source") {
            if (!are_names(member) || member.is_array()) return {"The value of \"source\" is not a text.", hint};
            ValueProblem problem = check_template(member.get_ref<const std::string&>(), "the value of \"source\"");
            if (problem.found()) return problem;
            continue;
        }
        const Option* inner = find_option(Where::stream, name);
        if (inner != nullptr && inner->type == ValueType::json_options)
            return {"It has a " + std::string(name) + " itself.", "Set such an option in the stream only."};
        // Writing JSON recurses; what is nested further is no option's value anyway.
        const bool is_flat =
            std::all_of(member.begin(), member.end(), [](const nlohmann::json& item) { return item.is_primitive(); });
        if (!is_flat) return {"The value of " + quote_for_message(name) + " is nested too deep.", ""};
        const std::string text = member.is_string() ? member.get<std::string>() : member.dump();
        if (const auto problem = check_option(Where::stream, Kind::rest, name, text)) {
            return {problem->message + (problem->detail.empty() ? "" : ": " + problem->detail), problem->hint};
        }
    }
    if (is_resource && !json.contains("source")) return {"It names no source.", hint};
    if (!is_feed) return {};
    if (!json.contains("key")) return {"It names no key, the field that identifies the deleted row.", hint};
    if (!json.contains("watermark")) return {"It names no watermark, the field with the time of the delete.", hint};
    if (json["watermark"].is_array() && json["watermark"].size() > 1) return {"It has more than one watermark.", hint};
    return {};
}

}  // namespace insync
