"""Holds a process and its new children still at moments that nobody could hit from outside, as a debugger does."""

import contextlib
import ctypes
import os
import signal
import threading
import time

from .environment import wait_for

SEIZE, INTERRUPT, CONTINUE, DETACH = 0x4206, 0x4207, 7, 17
TRACE_FORK = 2  # children are traced from their first instruction
ALL, THIS_THREAD = 0x40000000, 0x20000000  # __WALL, __WNOTHREAD: the tests' own children are somebody else's


class NotPermitted(Exception):
    """Processes can't be traced here."""


class Tracer:
    """Stops a process at once, lets it go on with thaw(), and holds the first child that it makes then until release().

    >>> with Tracer(postmaster) as tracer:
    ...     tracer.thaw()
    ...     wait_for(lambda: tracer.child, "a child")
    ...     tracer.release()
    """

    def __init__(self, pid):
        self.pid, self.child, self.stopped, self.error = pid, None, None, None
        self.thawed, self.released, self.done = threading.Event(), threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._trace, daemon=True)  # one and the same thread must do it all
        self.ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        self.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]

    def __enter__(self):
        self.thread.start()
        wait_for(lambda: self.error or self.stopped is not None, "the process to stop")
        if self.error:
            raise NotPermitted(self.error)
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def thaw(self):
        self.thawed.set()

    def release(self):
        self.released.set()

    def _trace(self):
        if self.ptrace(SEIZE, self.pid, None, TRACE_FORK) != 0:
            self.error = os.strerror(ctypes.get_errno())
            return
        self.ptrace(INTERRUPT, self.pid, None, None)
        held = None  # the child that stands still
        while not self.done.is_set():
            pid, status = os.waitpid(-1, os.WNOHANG | ALL | THIS_THREAD)
            if pid == self.pid and os.WIFSTOPPED(status):
                # A signal on its way to the process goes on; an event of tracing is none.
                self.stopped = os.WSTOPSIG(status) if status >> 16 == 0 else 0
            elif pid != 0 and os.WIFSTOPPED(status):
                if self.child is None:
                    self.child = held = pid
                else:
                    self.ptrace(DETACH, pid, None, None)
            if self.stopped is not None and self.thawed.is_set():
                self.ptrace(CONTINUE, self.pid, None, self.stopped)
                self.stopped = None
            if held and self.released.is_set():
                self.ptrace(DETACH, held, None, None)
                held = None
            if pid == 0:
                time.sleep(0.005)
        if held:
            self.ptrace(DETACH, held, None, None)
        self._let_go()

    def _let_go(self):
        """A process can be left only while it stands still."""
        if self.stopped is None:
            self.ptrace(INTERRUPT, self.pid, None, None)
            with contextlib.suppress(ChildProcessError):
                _, status = os.waitpid(self.pid, ALL | THIS_THREAD)
                self.stopped = os.WSTOPSIG(status) if os.WIFSTOPPED(status) and status >> 16 == 0 else 0
        self.ptrace(DETACH, self.pid, None, self.stopped)
