// The processes that this one has started, killed however it ends: its exits need not unwind (FATAL, proc_exit).
//
// A child leads a process group of its own and is ended with it, as drivers have been seen to start processes. Nobody
// waits long for one: the kernel or a debugger can hold a process that was killed, and the session has to go on.
#pragma once

#include <sys/types.h>

namespace insync::children {

// Before a child is started: sees to it that it ends with this process, and reaps those that ended late.
void prepare();

// A child was started.
void remember(pid_t child);

// Kills the child and its group, and waits a moment for its end.
void end(pid_t child) noexcept;

}  // namespace insync::children
