// Linked into a library with sanitizers. They read UBSAN_OPTIONS from /proc/self/environ, where PostgreSQL, by the time
// that it loads the library, has written the process's title; here they get the variable as the process has it.
#include <stdlib.h>

const char* __ubsan_default_options(void);

const char* __ubsan_default_options(void) {
    const char* options = getenv("UBSAN_OPTIONS");
    return options != NULL ? options : "";
}
