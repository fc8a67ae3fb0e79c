// What has to hold between the options of a server or of a stream; see table.hpp.
#pragma once

#include <optional>

#include "bgworker/options/table.hpp"

namespace insync {

// The first thing that is wrong between options that are right one by one; nothing if they go together.
std::optional<OptionProblem> check_odbc_server_set(const OptionMap& options);
std::optional<OptionProblem> check_rest_server_set(const OptionMap& options);
std::optional<OptionProblem> check_stream_set(const OptionMap& options);

}  // namespace insync
