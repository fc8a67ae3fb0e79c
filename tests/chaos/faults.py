"""What is broken, one a round; here: processes of the target's side. The others are in source_faults and target_faults.

A fault is a function of (world, stream): it catches a run of the stream, or doesn't, breaks something, mends it, and
returns a few words on what it met. Around it stands what it may leave behind: `fails` names the failures that runs may
have because of it (SQLSTATE, a pattern of the message), and nothing else may fail; `sessions` says whether the sessions
of others live on."""

import contextlib
import os
import re
import signal
from dataclasses import dataclass, field
from typing import Callable

from harness import wait_for
from harness.environment import alive

# What a run says whose process, or whose server, ended in its middle.
INTERRUPTED = ("57P02", "interrupted: the process or the server ended")
CANCELLED = ("57014", "cancel")
# A connector's loss is seen by its worker; which words it finds depends on when.
CONNECTOR_GONE = ("08006", r"connector exited unexpectedly \(signal 9")


@dataclass(frozen=True)
class Fault:
    name: str
    make: Callable
    fails: tuple = ()
    sessions: bool = True  # other sessions, and the server, live on
    fits: Callable = field(default=lambda world, stream: True)  # whether it can be done there

    def excuses(self, sqlstate, message):
        return any(code == sqlstate and re.search(pattern, message or "") for code, pattern in self.fails)


FAULTS = []


def fault(name, **more):
    def register(make):
        FAULTS.append(Fault(name, make, **more))
        return make

    return register


def caught(world, stream):
    """A run of the stream in its middle: what it was doing when this returned."""
    return world.catch(stream, world.chance.randint(0, 4))


# ------------------------------------------------------------------------------------------------ connector and worker


@fault("connector killed", fails=(CONNECTOR_GONE,))
def kill_connector(world, stream):
    met = caught(world, stream)
    pid = world.connector(stream)
    return f"{met}, {'killed' if pid and world.cluster.kill(pid) else 'too late'}"


@fault("every connector killed", fails=(CONNECTOR_GONE,))
def kill_connectors(world, stream):
    met = caught(world, stream)
    return f"{met}, {sum(world.cluster.kill(pid) for pid in world.cluster.connectors())} killed"


# Frozen while it connects, it is taken for a server that gives no answer.
@fault("connector frozen", fails=(("08006", r"the connector was silent for \d+ seconds and was killed|gave no answer within"),))
def freeze_connector(world, stream):
    """It neither works nor dies. Whoever waits for it gives it up after a while."""
    met = caught(world, stream)
    pid = world.connector(stream)
    if not pid or not world.cluster.kill(pid, signal.SIGSTOP):
        return f"{met}, too late"
    if world.chance.random() < 0.5:
        held = world.hold(0.2, 1.5)
        world.cluster.kill(pid, signal.SIGCONT)
        return f"{met}, frozen for {held}"
    wait_for(lambda: not alive(pid), "the frozen connector to be given up", timeout=60)
    return f"{met}, frozen until it was killed"


@fault("worker killed", fails=(INTERRUPTED,), sessions=False)
def kill_worker(world, stream):
    met = caught(world, stream)
    return f"{met}, {crash(world, world.worker(stream))}"


@fault("user's backend killed", fails=(INTERRUPTED,), sessions=False)
def kill_backend(world, stream):
    """Somebody else's process dies, and takes every session down with it."""
    session = world.session()
    met = caught(world, stream)
    return f"{met}, {crash(world, session.info.backend_pid)}"


@fault("launcher killed", fails=(INTERRUPTED,), sessions=False)
def kill_launcher(world, stream):
    met = caught(world, stream)
    return f"{met}, {crash(world, world.launcher())}"


def crash(world, pid):
    """kill -9 of a child of the postmaster, which restarts all others."""
    restarts = world.cluster.log().count("reinitializing")
    if not pid or not world.cluster.kill(pid):
        return "too late"
    # A process that was ending anyway makes the postmaster restart nothing.
    with contextlib.suppress(AssertionError):
        wait_for(lambda: world.cluster.log().count("reinitializing") > restarts, "the crash to be noticed", timeout=5)
        return "killed"
    return "killed while it ended"


@fault("worker terminated", fails=(INTERRUPTED, ("57P01", "terminating")))
def terminate_worker(world, stream):
    met = caught(world, stream)
    pid = world.worker(stream)
    return f"{met}, {'terminated' if pid and world.admin.value('SELECT pg_terminate_backend(%s)', pid) else 'too late'}"


@fault("worker cancelled", fails=(CANCELLED,))
def cancel_worker(world, stream):
    met = caught(world, stream)
    pid = world.worker(stream)
    return f"{met}, {'cancelled' if pid and world.admin.value('SELECT pg_cancel_backend(%s)', pid) else 'too late'}"


@fault("launcher terminated")
def terminate_launcher(world, stream):
    met = caught(world, stream)
    world.admin.value("SELECT pg_terminate_backend(%s)", world.launcher())
    return met


@fault("launcher terminated again and again")
def harass_launcher(world, stream):
    """While it starts workers: each of them must be counted, or must not."""
    for _ in range(4):
        pid = wait_for(lambda: world.admin.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_insync launcher'"),
                       "the launcher to come back")[0][0]  # fmt: skip
        world.db.query("SELECT * FROM sync_trigger()")
        world.hold(0, 0.02)
        world.admin.value("SELECT pg_terminate_backend(%s)", pid)
        wait_for(lambda pid=pid: not alive(pid), "the launcher to go")
    return "4 times"


@fault("launcher and worker terminated", fails=(INTERRUPTED, ("57P01", "terminating")))
def terminate_both(world, stream):
    met = caught(world, stream)
    worker, launcher = world.worker(stream), world.launcher()
    world.admin.value("SELECT pg_terminate_backend(%s)", launcher)
    if world.chance.random() < 0.5:
        world.hold(0, 1.5)  # the launcher may be back by then, and knows nothing of that worker
    return f"{met}, {'both' if worker and world.admin.value('SELECT pg_terminate_backend(%s)', worker) else 'the launcher only'}"


# -------------------------------------------------------------------------------------------------------- the whole server


@fault("postmaster killed", fails=(INTERRUPTED,), sessions=False)
def kill_postmaster(world, stream):
    met = caught(world, stream)
    world.cluster.kill_postmaster()
    world.cluster.start()
    return met


@fault("server stopped, immediate", fails=(INTERRUPTED,), sessions=False)
def stop_immediate(world, stream):
    met = caught(world, stream)
    world.cluster.restart("immediate")
    return met


@fault("server stopped, fast", fails=(INTERRUPTED, ("57P01", "terminating")), sessions=False)
def stop_fast(world, stream):
    met = caught(world, stream)
    world.cluster.restart("fast")
    return met


@fault("checkpoint")
def checkpoint(world, stream):
    met = caught(world, stream)
    world.admin.execute("CHECKPOINT")
    return met


# --------------------------------------------------------------------------------------------------------------- control


@fault("sync_cancel", fails=(CANCELLED, (None, "cancelled before it began")))
def cancel(world, stream):
    met = caught(world, stream)
    return f"{met}, {len(world.db.query('SELECT * FROM sync_cancel(%s)', stream.name))} cancelled"


@fault("sync_cancel of all", fails=(CANCELLED, (None, "cancelled before it began")))
def cancel_all(world, stream):
    met = caught(world, stream)
    world.db.query("SELECT * FROM sync_trigger()")
    return f"{met}, {len(world.db.query('SELECT * FROM sync_cancel(%s)', '%'))} cancelled"


@fault("sync_pause and sync_resume")
def pause(world, stream):
    met = caught(world, stream)
    world.db.query("SELECT sync_pause(%s)", stream.name)
    world.db.wait_for_state(stream.name, "stopped")
    world.hold(0.1, 1)
    assert world.db.status(stream.name)["state"] == "stopped", "a paused stream runs"
    world.db.query("SELECT sync_resume(%s)", stream.name)
    return met


@fault("sync_alter while it runs")
def alter(world, stream):
    met = caught(world, stream)
    for _ in range(3):
        page_rows = {stream.source.page_option: world.chance.choice((20, 200, 5000)) if _ < 2 else 200}
        world.db.alter_stream(stream.name, batch_rows=world.chance.choice((1, 7, 60, 500)) if _ < 2 else 60, **page_rows)
        world.hold(0, 0.3)
    return met


@fault("CALL sync_run beside the workers")
def call(world, stream):
    """The owner runs his streams himself: he gets a run, or is told that there is one."""
    import psycopg

    world.touch(stream)
    outcomes = []
    with world.session() as session:
        for _ in range(4):
            try:
                session.execute(f"CALL sync_run('{stream.name}')")
                outcomes.append("ran")
            except psycopg.errors.ObjectInUse as error:
                assert "is running" in str(error)
                outcomes.append("busy")
    return ", ".join(outcomes)


def has_ledger(world, stream):
    return stream.table == "sales" and not stream.source.is_rest


@fault("backfill killed again and again", fits=has_ledger)
def backfill(world, stream):
    """A backfill goes on beside the runs, whatever happens to those who do it, and ends."""
    since, until = "localtimestamp - interval '2 days'", "localtimestamp + interval '1 hour'"
    run_id = world.db.value(f"SELECT run_id FROM sync_backfill(%s, {since}, {until})", stream.name)
    killed = 0
    for _ in range(world.chance.randint(1, 4)):
        world.touch(stream, 200)
        world.hold(0.1, 0.6)
        victims = world.db.query("SELECT pid FROM insync.progress WHERE run_id = %s AND pid IS NOT NULL", run_id)
        for (pid,) in victims:
            connectors = [child for child in world.cluster.children(pid) if child in set(world.cluster.connectors())]
            victim = world.chance.choice([pid, *connectors])
            killed += bool(victim != pid and world.cluster.kill(victim))
            if victim == pid:
                world.admin.query("SELECT pg_terminate_backend(%s)", pid)
                killed += 1
    wait_for(lambda: world.db.value("SELECT ended_at FROM insync.run WHERE id = %s", run_id), "the backfill to end", timeout=90)
    status, message = world.db.query("SELECT status, message FROM insync.run WHERE id = %s", run_id)[0]
    assert status == "succeeded", f"the backfill {status}: {message}"
    return f"{killed} killed"


@fault("sync_verify beside the workers", fits=has_ledger)
def verify(world, stream):
    """The owner asks the source while it changes: he gets an answer, or is told that a run has the stream."""
    import psycopg

    world.touch(stream)
    outcomes = []
    with world.session() as session:
        for _ in range(3):
            depth, repair = world.chance.choice(("counts", "keys", "rows")), world.chance.random() < 0.5
            try:
                found = session.execute("SELECT * FROM sync_verify(%s, depth => %s, repair => %s)", (stream.name, depth, repair))
                outcomes.append(f"{depth}: {found.rowcount} slices")
            except psycopg.errors.ObjectInUse as error:
                assert "is running" in str(error)
                outcomes.append("busy")
    return ", ".join(outcomes)


@fault("CALL sync_run killed", fails=(INTERRUPTED, ("57P01", "terminating")))
def terminate_call(world, stream):
    """The session in which a stream runs is terminated in the middle."""
    import psycopg

    with contextlib.ExitStack() as mended:
        world.db.query("SELECT sync_pause(%s)", stream.name)
        mended.callback(lambda: world.db.query("SELECT sync_resume(%s)", stream.name))
        wait_for(lambda: not world.worker(stream), "the worker to be done")
        world.touch(stream)
        session = mended.enter_context(contextlib.closing(world.session()))
        pid, reached = session.info.backend_pid, world.chance.randint(1, 5)

        def notice(_):
            nonlocal reached
            reached -= 1
            if reached == 0:
                os.kill(pid, signal.SIGTERM)

        session.add_notice_handler(notice)
        try:
            session.execute(f"CALL sync_run('{stream.name}')")
            return "it ended before"
        except psycopg.OperationalError as error:
            assert "administrator command" in str(error), error
            return "terminated"
