// Lists of weekdays as options have them: 'mon-sat', 'mon, wed, fri', 'sat-sun'.
#pragma once

#include <bitset>

#include "bgworker/options/values.hpp"

namespace insync {

using Weekdays = std::bitset<7>;  // 0 is Sunday

// English names, whole or their first three letters, in any case; a range may go over the week's end ('sat-mon').
Parsed<Weekdays> parse_weekdays(std::string_view text);

}  // namespace insync
