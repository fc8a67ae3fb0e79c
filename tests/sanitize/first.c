// Preloaded into the server after AddressSanitizer, and linked so that its constructor comes before those of all
// libraries (-z initfirst). Otherwise the sanitizer starts with the first malloc() of some library's constructor; if
// that is libgpg-error's call of bindtextdomain(), it happens under a lock of glibc that the sanitizer's own look for
// symbols (dlerror, which translates its message) then releases, and the next bindtextdomain() waits for ever.
void __asan_init(void);

__attribute__((constructor)) static void start_sanitizer(void) {
    __asan_init();
}
