// Options of a stream as SQL gives them: jsonb in, checked options out.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bgworker/options/stream_options.hpp"
#include "bgworker/options/table.hpp"

namespace insync {

// Throws an option's problem as pg::Error.
[[noreturn]] void raise_problem(const OptionProblem& problem);

// Checks a complete set of options of a stream on a server of that kind, time zones included. Throws pg::Error.
void check_stream_options(const nlohmann::json& options, Kind kind);

// Checks a schedule. Throws pg::Error with what is wrong.
void check_schedule(const std::string& schedule);

// 'a', 'a, b' or '{a,b}', names quoted where needed, as a list.
std::vector<std::string> parse_name_list(const std::string& text);

}  // namespace insync
