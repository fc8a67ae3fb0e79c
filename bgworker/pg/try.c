/*
 * PostgreSQL reports errors with longjmp, which skips C++ destructors. This file, in C, holds the one sigsetjmp of the
 * module; the error leaves it as data, and guard.hpp turns it into a C++ exception.
 */
#include "postgres.h"

#include "utils/elog.h"
#include "utils/memutils.h"

#include "try.h"

ErrorData* insync_try(void (*body)(void* argument), void* argument) {
    MemoryContext caller = CurrentMemoryContext;
    ErrorData* volatile error = NULL;

    PG_TRY();
    { body(argument); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(caller);
        error = CopyErrorData();
        FlushErrorState();
    }
    PG_END_TRY();
    return error;
}
