// The checks of options that hold templates of requests, and of headers; see table.hpp.
#pragma once

#include <string_view>

#include "bgworker/options/check_json.hpp"
#include "bgworker/options/table.hpp"

namespace insync {

// A template by itself; `what` tells where it stands, and is empty where that goes without saying.
ValueProblem check_template(std::string_view text, std::string_view what, bool in_slice = false);
// The templates that the value of an option holds: the value itself, or the names and values of a JSON object.
ValueProblem check_templates(const Option& option, std::string_view value);
// An object of headers by name, which may be templates: what no request could send.
ValueProblem check_headers(std::string_view value);

}  // namespace insync
