// What a statement tells the client beside its result.
#pragma once

#include <string>
#include <vector>

namespace insync {

// A NOTICE; an empty hint is none.
void notice(const std::string& text, const std::string& hint = "");

// matching_streams() for a user's own pattern: says so where there are none.
std::vector<std::string> chosen_streams(const std::string& pattern);

// Says what require_workers() would raise: what was asked for is right, but no worker will do it.
void tell_missing_workers();

}  // namespace insync
