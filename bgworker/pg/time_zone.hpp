// The clocks of PostgreSQL's time zones, for what is pure.
#pragma once

#include <string>

#include "bgworker/clock/local_time.hpp"

namespace insync {

// The clock of a zone; where the name is empty or unknown, of the setting TimeZone as the server has it, whatever the
// session has set.
ToLocal clock_of(const std::string& zone);

}  // namespace insync
