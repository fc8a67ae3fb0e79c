// Reads the setting insync.as_of; see as_of.hpp.
#include "bgworker/pg/as_of.hpp"

#include "bgworker/clock/durations.hpp"
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace insync {

namespace {}  // namespace

std::optional<std::int64_t> as_of_setting() {
    const char* text = pg::call([] { return GetConfigOption("insync.as_of", true, false); });
    if (text == nullptr || *text == '\0') return std::nullopt;
    const TimestampTz time = pg::call([&] {
        return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
                                                       ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
    });
    return TIMESTAMP_NOT_FINITE(time) ? std::nullopt : std::optional(to_unix_us(time));
}

std::int64_t judged_now_us() {
    return as_of_setting().value_or(to_unix_us(GetCurrentTimestamp()));
}

}  // namespace insync
