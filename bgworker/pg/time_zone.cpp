// Clocks of zones; see time_zone.hpp.
#include "bgworker/pg/time_zone.hpp"

#include "bgworker/pg/guard.hpp"

extern "C" {
#include "pgtime.h"
#include "utils/guc.h"
}

namespace insync {

ToLocal clock_of(const std::string& zone) {
    const char* name = zone.c_str();
    const pg_tz* found = pg::call([&]() -> const pg_tz* {
        if (const pg_tz* named = *name != '\0' ? pg_tzset(name) : nullptr) return named;
        const pg_tz* usual = pg_tzset(GetConfigOptionResetString("TimeZone"));
        return usual != nullptr ? usual : pg_tzset("UTC");
    });
    return [found](std::int64_t utc_us) -> LocalTime {
        auto seconds = static_cast<pg_time_t>(utc_us >= 0 ? utc_us / 1'000'000 : (utc_us - 999'999) / 1'000'000);
        const pg_tm* tm = pg_localtime(&seconds, found);
        if (tm == nullptr) return {};
        return {tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec};
    };
}

}  // namespace insync
