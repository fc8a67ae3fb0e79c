/* The only place where a PostgreSQL error is caught; see guard.hpp for how C++ uses it. */
#ifndef INSYNC_PG_TRY_H
#define INSYNC_PG_TRY_H

#ifdef __cplusplus
extern "C" {
#endif

struct ErrorData;

/*
 * Calls body(argument). Returns NULL if it returned; if it raised an ERROR, returns a copy of the error data in the
 * caller's memory context, with the error state flushed and the memory context restored. The (sub)transaction is then
 * broken: the caller must roll it back or raise the error again. FATAL and above don't come back.
 */
struct ErrorData* insync_try(void (*body)(void* argument), void* argument);

/* Frees what insync_try() returned; NULL is no error. Where memory was out, that is not a copy of the error: it has the
 * SQLSTATE alone. */
void insync_free_error(struct ErrorData* error);

#ifdef __cplusplus
}
#endif
#endif
