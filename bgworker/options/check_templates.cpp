// Checks templates; see check_templates.hpp.
#include "bgworker/options/check_templates.hpp"

#include <set>

#include <nlohmann/json.hpp>

#include "bgworker/options/template_text.hpp"
#include "bgworker/options/values.hpp"
#include "bgworker/options/values_rest.hpp"

namespace insync {

namespace {

std::string value_of(std::string_view name) {
    return "the value of " + quote_for_message(name);
}

std::string name_of(std::string_view name) {
    return "the name " + quote_for_message(name);
}

// A name that may hold placeholders: what surrounds them has to be right.
bool can_be_header_name(std::string_view name) {
    const TemplateText parsed = parse_template(name);
    if (parsed.parts.empty()) return false;
    for (const TemplatePart& part : parsed.parts) {
        if (!part.is_placeholder && !is_header_name(part.text)) return false;
    }
    return true;
}

}  // namespace

ValueProblem check_template(std::string_view text, std::string_view what, bool in_slice) {
    TemplateText parsed = parse_template(text, in_slice);
    if (parsed.problem.empty()) return {};
    std::string detail = what.empty() ? parsed.problem : "in " + std::string(what) + ", " + parsed.problem;
    detail[0] = static_cast<char>(detail[0] - 'a' + 'A');
    return {detail + ".", parsed.hint};
}

ValueProblem check_templates(const Option& option, std::string_view value) {
    if (option.type != ValueType::text_map) return check_template(value, "", option.name == "slice_body");
    const auto members = nlohmann::json::parse(value, nullptr, false);
    const bool in_slice = option.name == "slice_query";
    for (const auto& [name, member] : members.items()) {
        if (ValueProblem problem = check_template(name, name_of(name), in_slice); problem.found()) return problem;
        if (!member.is_string()) continue;
        ValueProblem problem = check_template(member.get_ref<const std::string&>(), value_of(name), in_slice);
        if (problem.found()) return problem;
    }
    return {};
}

ValueProblem check_headers(std::string_view value) {
    const auto headers = nlohmann::json::parse(value, nullptr, false);
    std::set<std::string> names;
    for (const auto& [name, member] : headers.items()) {
        if (!names.insert(to_lower(name)).second)
            return {"It has the header " + quote_for_message(name) + " twice.", "Upper and lower case are the same."};
        if (!can_be_header_name(name))
            return {quote_for_message(name) + " is not the name of a header.",
                    "Letters, digits and dashes make one, such as {\"Accept-Language\": \"es\"}."};
        if (member.is_string() && has_control_characters(member.get_ref<const std::string&>()))
            return {"In " + value_of(name) + " is a line break or another control character.",
                    "The value of a header is one line."};
    }
    return {};
}

}  // namespace insync
