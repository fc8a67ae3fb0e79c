// How values of the options of REST sources are written: rates, headers and JSON pointers. Pure.
#pragma once

#include <chrono>
#include <string_view>

#include "bgworker/options/values.hpp"

namespace insync {

// '2/s', '120/min', '1000/h', '5000/day', or requests a second without a unit: the time from one request to the next.
Parsed<std::chrono::microseconds> parse_rate(std::string_view text);

// True for a status such as 404, and for a class of them such as 5xx.
bool is_status_name(std::string_view text);

// True for what HTTP takes for the name of a header.
bool is_header_name(std::string_view text);
// True for a header that holds a credential, by its name: Authorization, Cookie, X-Api-Key.
bool is_secret_header_name(std::string_view name);

// True if a line break or another control character is in it, which no header and no URL may have.
bool has_control_characters(std::string_view text);

// True for '' and for texts that begin with '/' and have ~ only as ~0 and ~1 (RFC 6901).
bool is_json_pointer(std::string_view text);

}  // namespace insync
