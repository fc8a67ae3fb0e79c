/*
 * PostgreSQL reports errors with longjmp, which skips C++ destructors. This file, in C, holds the one sigsetjmp of the
 * module; the error leaves it as data, and guard.hpp turns it into a C++ exception.
 */
#include "postgres.h"

#include "utils/elog.h"
#include "utils/memutils.h"

#include "try.h"

/* What is left to say where there is no memory for a copy of the error. */
static ErrorData uncopied;

/* Leaves the error state, whatever happens: an error of the copying must not jump over the frames of our callers. */
static ErrorData* take_error(void) {
    ErrorData* volatile copy = NULL;
    volatile int code = geterrcode();

    PG_TRY();
    { copy = CopyErrorData(); }
    PG_CATCH();
    {
        memset(&uncopied, 0, sizeof uncopied);
        uncopied.elevel = ERROR;
        uncopied.sqlerrcode = code;
        uncopied.message = (char*)"an error was raised, and there was no memory to keep what it said";
        copy = &uncopied;
    }
    PG_END_TRY();
    FlushErrorState();
    return copy;
}

ErrorData* insync_try(void (*body)(void* argument), void* argument) {
    MemoryContext caller = CurrentMemoryContext;
    ErrorData* volatile error = NULL;

    PG_TRY();
    { body(argument); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(caller);
        error = take_error();
        MemoryContextSwitchTo(caller);
    }
    PG_END_TRY();
    return error;
}

void insync_free_error(ErrorData* error) {
    if (error != NULL && error != &uncopied) FreeErrorData(error);
}
