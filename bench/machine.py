"""What a measurement says about where and with what it was made."""

import filecmp
import os
import platform
from pathlib import Path

from harness.environment import BIN, BUILD


def say(text=""):
    print(text, flush=True)


def machine():
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return f"{len(os.sched_getaffinity(0))} × {model}, {memory:.0f} GB, Linux {platform.release()}, load {load:.1f} at the start"


def build_type():
    """How the installed library was built, as far as the build directory can say."""
    kind = "unknown"
    cache = BUILD / "CMakeCache.txt"
    if cache.exists():
        for line in cache.read_text().splitlines():
            if line.startswith("CMAKE_BUILD_TYPE:"):
                kind = line.partition("=")[2] or "RelWithDebInfo"  # which CMakeLists.txt takes where nothing is said
    installed, built = BIN.parent / "lib/pg_insync.so", BUILD / "pg_insync.so"
    if not built.exists() or not filecmp.cmp(installed, built, shallow=False):
        return "pg_insync of another build than this directory's (perhaps a debug build)"
    return f"pg_insync built as {kind}"
