// Kills and reaps children; see child_processes.hpp.
#include "bgworker/source/child_processes.hpp"

extern "C" {
#include "postgres.h"

#include "storage/ipc.h"
}

#include <cerrno>
#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

namespace insync::children {

namespace {

// A killed process is gone at once, unless the kernel holds it (a file system that hangs): the next start reaps it
// then.
constexpr int patience_ms = 20;

// Negative: killed, and not gone yet.
constexpr int max_children = 8;
pid_t children[max_children];
bool exit_callback_registered;

// A number that wasn't waited for is nobody else's, so this must come before the child is reaped.
void kill_group(pid_t child) {
    kill(child, SIGKILL);
    kill(-child, SIGKILL);
}

void kill_all(int, Datum) {
    for (pid_t& child : children) {
        if (child > 0) kill_group(child);
        child = 0;
    }
}

// False if the child is still there.
bool reap(pid_t child) {
    pid_t ended;
    while ((ended = waitpid(child, nullptr, WNOHANG)) < 0 && errno == EINTR) {
    }
    return ended != 0;
}

void replace(pid_t child, pid_t by) {
    for (pid_t& item : children) {
        if (item == child) {
            item = by;
            return;
        }
    }
}

}  // namespace

void prepare() {
    if (!exit_callback_registered) {
        before_shmem_exit(kill_all, 0);
        exit_callback_registered = true;
    }
    for (pid_t& child : children) {
        if (child < 0 && reap(-child)) child = 0;
    }
}

void remember(pid_t child) {
    replace(0, child);
}

void end(pid_t child) noexcept {
    kill_group(child);
    bool gone = reap(child);  // at once, as a rule
    for (int i = 0; !gone && i < patience_ms; i++) {
        usleep(1000);
        gone = reap(child);
    }
    replace(child, gone ? 0 : -child);
}

}  // namespace insync::children
