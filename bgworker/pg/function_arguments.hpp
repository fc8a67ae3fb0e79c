// Arguments of SQL functions as the text that PostgreSQL writes of them.
#pragma once

#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
}

#include "bgworker/pg/spi.hpp"

namespace insync {

inline pg::Value argument_text(FunctionCallInfo call, int index, PGFunction output) {
    if (call->args[index].isnull) return std::nullopt;
    Datum value = call->args[index].value;
    pg::PinnedSettings settings;  // the session may write days before months, which nobody here reads
    const char* text = pg::call([&] { return DatumGetCString(DirectFunctionCall1(output, value)); });
    return std::string(text);
}

inline pg::Value timestamp_argument(FunctionCallInfo call, int index) {
    return argument_text(call, index, timestamp_out);
}

// An instant, in microseconds since 1970; nothing for NULL, or where it is none.
inline std::optional<std::int64_t> instant_argument(FunctionCallInfo call, int index) {
    if (call->args[index].isnull) return std::nullopt;
    const TimestampTz time = DatumGetTimestampTz(call->args[index].value);
    if (TIMESTAMP_NOT_FINITE(time)) return std::nullopt;
    return time + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

}  // namespace insync
