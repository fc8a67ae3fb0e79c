// pg_insync_connector: talks to one source on behalf of one worker.
//
// Started by the worker with requests on standard input and frames on standard output; drivers, TLS and JSON run here
// so that what goes wrong in them fails one run and not the database. Killing it is always safe: it keeps nothing.
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <memory>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "bgworker/connector/output/frame_queue.hpp"
#include "bgworker/connector/request_loop.hpp"

int main() {
    const pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) return 0;  // it died before we asked to be told
    signal(SIGPIPE, SIG_IGN);
    umask(077);  // what a driver writes, a log or a trace, may hold what it was told
    // Drivers convert texts by the locale's character set; numbers and messages stay as in the C locale.
    if (std::setlocale(LC_CTYPE, "C.UTF-8") == nullptr) std::setlocale(LC_CTYPE, "en_US.UTF-8");
    setenv("NLS_LANG", "AMERICAN_AMERICA.AL32UTF8", 1);
    // A driver that prints must not break into the frames, nor one that reads take a request.
    const int requests = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    const int frames = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (requests < 0 || frames < 0 || nothing < 0) return 1;
    if (dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0) return 1;
    insync::Outbox outbox(frames);
    auto loop = std::make_unique<insync::RequestLoop>(
        requests, [&](const char* data, std::size_t count) { outbox.put(data, count); });
    const bool sane = loop->run();
    outbox.drain();
    if (!sane) _exit(1);
    loop.reset();
#ifdef __SANITIZE_ADDRESS__
    __lsan_do_leak_check();
#endif
    // Drivers' exit handlers have been seen to hang and crash; there is nothing left to clean up.
    _exit(0);
}
