// Errors made on purpose: SQL functions with which the self checks of ./dev sanitize and ./dev valgrind see that
// errors get reported.
#include "bgworker/pg/guard.hpp"

extern "C" {
#include "fmgr.h"
}

#include <climits>
#include <memory>

extern "C" {
PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(read_beyond);
PG_FUNCTION_INFO_V1(overflow);
PG_FUNCTION_INFO_V1(decide_by_nothing);
PG_FUNCTION_INFO_V1(throw_over_frames);

PGDLLEXPORT Datum read_beyond(PG_FUNCTION_ARGS) {
    auto numbers = std::make_unique<int[]>(4);
    return Int32GetDatum(numbers[static_cast<unsigned>(PG_GETARG_INT32(0))]);
}

PGDLLEXPORT Datum overflow(PG_FUNCTION_ARGS) {
    return Int32GetDatum(INT_MAX + PG_GETARG_INT32(0));
}

// A value that was never set: memcheck's alone.
PGDLLEXPORT Datum decide_by_nothing(PG_FUNCTION_ARGS) {
    auto numbers = std::make_unique_for_overwrite<int[]>(4);
    numbers[0] = PG_GETARG_INT32(0);
    return Int32GetDatum(numbers[2] > 0 ? 1 : 0);
}

// No error at all: an ereport out of frames with guarded arrays, after which the stack is used again.
PGDLLEXPORT Datum throw_over_frames(PG_FUNCTION_ARGS) {
    for (int i = 0; i < PG_GETARG_INT32(0); i++) {
        ErrorData* error = insync_try(
            [](void* depth) {
                volatile char guarded[256] = {};
                guarded[*static_cast<int*>(depth) % 256] = 1;
                ereport(ERROR, (errmsg("thrown over %d", guarded[0])));
            },
            &i);
        FreeErrorData(error);
    }
    return Int32GetDatum(0);
}
}
