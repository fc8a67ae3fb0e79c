// What is said of an answer that isn't the JSON that was expected.
#pragma once

#include <string>
#include <string_view>

#include "bgworker/connector/output/failure.hpp"
#include "bgworker/connector/rest/answer/json_scanner.hpp"

namespace insync::rest {

// The failure for a body that the error says is no JSON: empty, a web page, cut off, or wrong at some place.
Failure no_json(std::string_view body, const JsonError& error);

// The body without a byte order mark.
std::string_view without_mark(std::string_view body);

// The names of the members of the object that `json` is, for a message; empty if it is something else.
std::string names_in(std::string_view json);

}  // namespace insync::rest
