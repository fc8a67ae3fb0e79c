"""What status and history must say while things break and after: the truth, in clear words."""

import time

from harness import wait_for
from harness.environment import alive

STATES = ("starting", "running", "processing", "idle", "recovering", "error", "stopped")


class Control:
    """A session that has nothing to do with the fault, and the server it is in."""

    def __init__(self, world):
        self.world = world
        self.postmaster = world.cluster.postmaster_pid()
        self.session = world.cluster.connect("chaos")
        self.log_size = world.cluster.log_file.stat().st_size

    def check_alive(self):
        assert self.world.cluster.postmaster_pid() == self.postmaster, "the postmaster is another one"
        assert self.session.execute("SELECT 1").fetchone() == (1,), "a session that had nothing to do with it is broken"

    def check_log(self):
        """No crash but those that were made: an assertion, a segmentation fault, a PANIC."""
        with open(self.world.cluster.log_file, "rb") as file:
            file.seek(self.log_size)
            for line in file.read().decode(errors="replace").splitlines():
                for sign in ("PANIC:", "TRAP:", "terminated by signal 11", "terminated by signal 6", "exited with exit code 2"):
                    assert sign not in line or "because of crash" in line, f"the server's log says: {line}"

    def close(self):
        self.session.close()


def check_status(world):
    """Every state is a known one, what is said to run has a process, and a stream in trouble says what trouble."""
    # What is in motion may be seen half: a lie is what is still there a second later.
    lies = status_lies(world)
    end = time.monotonic() + 3
    while lies and time.monotonic() < end:
        time.sleep(0.2)
        lies &= status_lies(world)
    assert not lies, "; ".join(sorted(lies))


def status_lies(world, session=None):
    lies = set()
    rows = (session or world.db).dicts("SELECT s.*, p.pid FROM sync_status() AS s LEFT JOIN insync.progress AS p USING (stream)")
    if len(rows) != len(world.streams):
        lies.add(f"sync_status() shows {len(rows)} of {len(world.streams)} streams")
    for row in rows:
        name, state = row["stream"], row["state"]
        if state not in STATES:
            lies.add(f"{name} has the state {state!r}")
        if row["pid"] is not None and not alive(row["pid"]):
            lies.add(f"{name} is {state}, by a process that is gone")
        if row["failures"] and not row["message"]:
            lies.add(f"{name} has failed {row['failures']} times and doesn't say why")
        if state == "recovering" and row["next_run"] is None:
            lies.add(f"{name} is recovering, but has no next run")
        if state == "error" and not row["failures"]:
            lies.add(f"{name} is in error without a failure")
    return lies


def failures_since(world, run_id, since):
    """The runs that have failed or were cancelled: (stream, status, sqlstate, message)."""
    return world.admin.query(
        "SELECT stream, status, sqlstate, message FROM insync.run WHERE status IN ('failed', 'cancelled')"
        " AND (id > %s OR ended_at >= %s) ORDER BY id", run_id, since,
    )  # fmt: skip


def check_failures(world, failures, faults):
    """Each failure names a cause that one of the faults excuses."""
    for stream, status, sqlstate, message in failures:
        assert message, f"a run of {stream} {status} with {sqlstate} and without a message"
        assert any(fault.excuses(sqlstate, message) for fault in faults), (
            f"a run of {stream} {status}, which nothing of what was done explains: {sqlstate} {message}"
        )


def recover(world, timeout=45):
    """Asks for every stream's run, and waits until each has succeeded by itself."""
    since = world.clock()
    world.db.query("SELECT * FROM sync_trigger()")

    def behind():
        return world.db.query(
            "SELECT s.stream, s.state, s.message FROM sync_status() AS s WHERE s.failures > 0 OR NOT EXISTS (SELECT FROM insync.run AS r"
            " WHERE r.stream = s.stream AND r.status = 'succeeded' AND r.started_at >= %s)", since,
        )  # fmt: skip

    try:
        wait_for(lambda: not behind(), "every stream to recover", timeout=timeout, interval=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}; still not right: {behind()}") from error
