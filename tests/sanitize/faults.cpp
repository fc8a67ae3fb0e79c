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
PG_FUNCTION_INFO_V1(fail_to_copy_an_error);

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
        insync_free_error(error);
    }
    return Int32GetDatum(0);
}

// The SQLSTATE of an error whose copy fails, as the context has chunks of one size, and that of the next, which is
// copied: the error state is clean.
PGDLLEXPORT Datum fail_to_copy_an_error(PG_FUNCTION_ARGS) {
    MemoryContext outer = CurrentMemoryContext;
    MemoryContext slabs = SlabContextCreate(outer, "chunks of 8 bytes", SLAB_DEFAULT_BLOCK_SIZE, 8);
    auto fail = [](void*) { ereport(ERROR, (errcode(ERRCODE_DIVISION_BY_ZERO), errmsg("an error"))); };
    MemoryContextSwitchTo(slabs);
    ErrorData* uncopied = insync_try(fail, nullptr);
    const bool stays = CurrentMemoryContext == slabs;
    MemoryContextSwitchTo(outer);
    ErrorData* copied = insync_try(fail, nullptr);
    const bool is_right = uncopied->sqlerrcode == ERRCODE_DIVISION_BY_ZERO && strstr(uncopied->message, "no memory") &&
                          strcmp(copied->message, "an error") == 0;
    insync_free_error(uncopied);
    insync_free_error(copied);
    MemoryContextDelete(slabs);
    return BoolGetDatum(stays && is_right);
}
}
