"""Whether processes grow with what they do: samples of their memory and descriptors, and a judgement of the series."""

import os
import statistics
from pathlib import Path


def anonymous_kb(pid):
    """Private memory of a process in kB: its resident pages less those of files and shared memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no RssAnon")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def growth(series):
    """How much higher the last quarter of a series stands than its second quarter, by their medians. The first quarter
    is the warm-up: caches fill, the allocator finds its size. What is used and given back, however often, doesn't move a
    median; what is kept with every step does."""
    quarter = len(series) // 4
    if quarter < 4:
        raise ValueError(f"{len(series)} samples are too few to tell")
    return statistics.median(series[-quarter:]) - statistics.median(series[quarter : 2 * quarter])


class Watch:
    """Samples of one process.

    >>> watch = Watch("session", pid)
    >>> for _ in range(runs): run(); watch.sample()
    >>> watch.assert_flat()
    """

    # What a process may grow by between the medians of two quarters, half of all steps apart. Caches of the catalog and
    # the allocator's fragments take tens of kB at their own time; a leak of 100 bytes a run makes 500 in 10,000 runs,
    # and one of a memory context or a batch makes thousands in a hundred.
    tolerance_kb = 384
    # Files of relations that grow or are opened late; a descriptor lost each time makes dozens in the shortest test.
    tolerance_descriptors = 6
    # A sanitizer keeps freed memory for a while; there, descriptors and memory contexts alone tell.
    judges_memory = "INSYNC_REPORTS" not in os.environ

    def __init__(self, name, pid):
        self.name, self.pid = name, pid
        self.memory, self.descriptors, self.contexts = [], [], []

    def sample(self, contexts=None):
        """Looks at the process now. `contexts` is what its memory contexts hold, in bytes, where the caller knows."""
        self.memory.append(anonymous_kb(self.pid))
        self.descriptors.append(descriptors(self.pid))
        if contexts is not None:
            self.contexts.append(contexts / 1024)

    def figures(self):
        text = f"{self.name}: {len(self.memory)} samples, memory {self.memory[0]} -> {self.memory[-1]} kB"
        text += f" (growth {growth(self.memory):+.0f}), descriptors {self.descriptors[0]} -> {self.descriptors[-1]}"
        if self.contexts:
            text += f", contexts {self.contexts[0]:.0f} -> {self.contexts[-1]:.0f} kB (growth {growth(self.contexts):+.0f})"
        return text

    def assert_flat(self):
        print(self.figures())
        assert not self.judges_memory or growth(self.memory) <= self.tolerance_kb, f"memory grows: {self.figures()}"
        assert growth(self.descriptors) <= self.tolerance_descriptors, f"descriptors are lost: {self.figures()}"
        assert not self.contexts or growth(self.contexts) <= self.tolerance_kb, f"memory contexts grow: {self.figures()}"
