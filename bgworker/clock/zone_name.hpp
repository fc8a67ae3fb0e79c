// Names of time zones as people write them: offsets and names of the time zone database.
//
// ISO 8601 counts an offset east of Greenwich ("-05:00" is New York's winter), POSIX west of it ("UTC-5" is Karachi),
// and PostgreSQL takes a bare "-05:00" for POSIX. Here an offset always means what ISO 8601 says, and a name that only
// POSIX would understand is refused with the right spelling.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace insync {

// The text that PostgreSQL takes for this zone, in AT TIME ZONE as in its settings: an ISO 8601 offset (Z, +02, -0530,
// +05:45) in POSIX's form, any other text as it is.
std::string server_zone(std::string_view zone);

struct ZoneProblem {
    std::string detail, hint;
};

// What is wrong with a name whose meaning depends on who reads it, such as UTC-5 or Etc/GMT+5; nothing for others,
// which may or may not exist.
std::optional<ZoneProblem> zone_problem(std::string_view zone);

}  // namespace insync
