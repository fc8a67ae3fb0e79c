"""What users and administrators do to the target while streams write it."""

import contextlib
import os
import subprocess
import threading

from harness import wait_for
from harness.environment import give_to

from .changes import now
from .faults import CANCELLED, CONNECTOR_GONE, caught, fault
from .sources import Refused

WAITS = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type LIKE 'pg_insync%'"


# ---------------------------------------------------------------------------------------------------------------- locks


@fault("target locked")
def lock_table(world, stream):
    met = caught(world, stream)
    mode = world.chance.choice(("ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE"))
    with world.session(autocommit=False) as user:
        user.execute(f"LOCK TABLE {stream.target} IN {mode} MODE")
        held = world.hold(0.3, 3)
    return f"{met}, {mode} for {held}"


@fault("deadlock with a user")
def deadlock(world, stream):
    """The user updates the target's rows in another order than the stream. Either may lose; the stream tries again."""
    import psycopg

    with world.session(autocommit=False) as user:
        ids = [id for (id,) in user.execute(f"SELECT id FROM {stream.target} WHERE {stream.mine} ORDER BY random()").fetchall()]
        update = f"UPDATE {stream.target} SET remark = 'seen' WHERE id = ANY (%s) AND {stream.mine}"
        try:
            user.execute(update, (ids[: len(ids) // 8],))
            world.touch(stream)
            world.db.query("SELECT * FROM sync_trigger(%s)", stream.name)
            with contextlib.suppress(AssertionError):  # it may have had nothing to do with those rows
                wait_for(lambda: world.admin.query(WAITS), "the stream to wait", timeout=2, interval=0.02)
            world.hold(0, 0.3)  # whose wait is the older is the one to look for deadlocks
            for start in range(0, len(ids), 50):
                user.execute(update, (sorted(ids[start : start + 50], reverse=True),))
            user.commit()
            return "the user went through"
        except psycopg.errors.DeadlockDetected:
            user.rollback()
            return "the user lost"


@fault("user inserts the same key")
def same_key(world, stream):
    """The user's row is there first, uncommitted, when the stream comes with its own."""
    changes = stream.source.changes
    with stream.source.lock:
        id = changes.new_id(stream.table)
    shop = f"'{stream.source.name}', " if stream.shared else ""
    with world.session(autocommit=False) as user:
        user.execute(f"INSERT INTO {stream.target} VALUES ({shop}{id}, 1, 1, 'of the user')")
        try:
            with stream.source.lock:
                stream.source.run(changes.inserts(stream.table, [id], now()))
        except Refused:
            user.rollback()
            return "the source refused"
        world.db.query("SELECT * FROM sync_trigger(%s)", stream.name)
        met = "met"
        try:
            wait_for(lambda: world.admin.query(WAITS), "the stream to wait", timeout=5, interval=0.02)
        except AssertionError:
            met = "not met"
        if world.chance.random() < 0.5:
            user.rollback()
            return f"{met}, rolled back"
        user.commit()
        world.inserted_by_users[stream.name] += 1
        return f"{met}, committed"


# ----------------------------------------------------------------------------------------------------------------- DDL


@fault("column added and dropped")
def add_column(world, stream):
    world.catch(stream, 1)
    with world.session() as user:
        user.execute(f"ALTER TABLE {stream.target} ADD COLUMN extra int DEFAULT 7")
        world.hold(0, 1)
        user.execute(f"ALTER TABLE {stream.target} DROP COLUMN extra")
    return caught(world, stream)


@fault("index made and dropped")
def add_index(world, stream):
    met = caught(world, stream)
    how = world.chance.choice(("", "CONCURRENTLY"))
    with world.session() as user:
        user.execute(f"CREATE INDEX {how} extra ON {stream.target} (note)")
        user.execute(f"DROP INDEX {how} extra")
    return f"{met}, {how.lower() or 'locking'}"


@fault("table rewritten")
def rewrite(world, stream):
    met = caught(world, stream)
    command = world.chance.choice(("VACUUM", "VACUUM FULL", "ANALYZE", "CLUSTER"))
    using = f" USING {stream.target}_pkey" if command == "CLUSTER" else ""
    with world.session() as user:
        user.execute(f"{command} {stream.target}{using}")
    return f"{met}, {command}"


# ------------------------------------------------------------------------------------------------- settings, time-outs


@contextlib.contextmanager
def settings(world, **changes):
    before = {name: world.cluster.settings.get(name) for name in changes}
    world.cluster.write_settings(**changes)
    world.cluster.reload()
    try:
        yield
    finally:
        world.cluster.write_settings(**before)
        world.cluster.reload()


@fault("settings reloaded")
def reload(world, stream):
    met = caught(world, stream)
    for _ in range(3):
        name, value = world.chance.choice(
            (("insync.max_workers", world.chance.randint(1, 4)), ("insync.linger", world.chance.choice(("0", "3s"))),
             ("insync.batch_rows", 100), ("insync.connector_memory", world.chance.choice(("512MB", "0"))), ("work_mem", "64kB"),
             ("insync.query_timeout", "2s"))
        )  # fmt: skip
        with settings(world, **{name: value}):
            world.hold(0.1, 0.8)
    return f"{met}, last {name} = {value}"


@fault("one worker for all")
def one_worker(world, stream):
    with settings(world, **{"insync.max_workers": 1}):
        met = caught(world, stream)
        world.hold(0.2, 1.5)
    return met


@fault("too little memory for connectors",
       fails=(("08006", r"connector exited unexpectedly \((signal|exit status)"), ("HV000", "(?i)memory|driver|library"),
              ("08006", "(?i)memory|driver|library"), ("53200", "memory"), CONNECTOR_GONE))  # fmt: skip
def little_memory(world, stream):
    met = caught(world, stream)
    with settings(world, **{"insync.connector_memory": f"{world.chance.choice((1, 8, 24, 48))}MB"}):
        for pid in world.cluster.connectors():
            world.cluster.kill(pid)
        world.hold(0.5, 2)
    return met


@fault("time-outs of the database", fails=((CANCELLED[0], "timeout"), ("55P03", "lock timeout")))
def timeouts(world, stream):
    """Short ones for everybody: sessions of users have them fire, workers don't."""
    import psycopg

    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout")
    name, value = world.chance.choice(names), world.chance.choice(("20ms", "100ms"))
    scope = world.chance.choice(("DATABASE chaos", "ROLE postgres", "ROLE clerk"))
    world.admin.execute(f"ALTER {scope} SET {name} = '{value}'")
    outcome = "no call"
    try:
        met = world.catch(stream, 1) if not name.startswith("idle_session") else "–"
        with contextlib.suppress(psycopg.Error), world.session() as user:
            try:
                user.execute(f"CALL sync_run('{stream.name}')")
                outcome = "the call ran"
            except psycopg.Error as error:
                outcome = f"the call failed with {error.sqlstate}"
                assert error.sqlstate in ("55006", "57014", "55P03", "57P05", "25P03"), error
        world.hold(0.2, 1)
    finally:
        world.admin.execute(f"ALTER {scope} RESET {name}")
    return f"{name} = {value} for {scope}, {met}, {outcome}"


# ----------------------------------------------------------------------------------------------------------------- disk


def can_mount(world, stream):
    """Whether this process may mount a file system; only asked once."""
    if not hasattr(world, "disk"):
        world.disk = small_disk(world)
    return world.disk is not None and stream.target != "stock"


def small_disk(world):
    """A file system of 32 MB with a tablespace on it, or None where that isn't permitted."""
    place = world.cluster.directory / "small"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "insync-chaos", place], capture_output=True).returncode:
        print("no small disk to fill, as mounting isn't permitted: that fault is left out")
        return None
    world.closers.append(lambda: subprocess.run(["umount", "-l", place], check=True))
    (place / "space").mkdir()
    give_to(world.cluster.user, place)
    world.admin.execute(f"CREATE TABLESPACE small LOCATION '{place / 'space'}'")
    world.admin.execute("GRANT CREATE ON TABLESPACE small TO clerk")
    return place


@fault("disk full", fails=(("53100", "(?i)no space left|could not (extend|write)"),), fits=can_mount)
def disk_full(world, stream):
    with world.session() as user:
        user.execute("SET lock_timeout = '20s'")
        user.execute(f"ALTER TABLE {stream.target} SET TABLESPACE small")
        user.execute(f"VACUUM FULL {stream.target}")  # else what changes would fit where older versions were
    ballast = world.disk / "ballast"
    filler = threading.Timer(world.chance.choice((0, 0.1, 0.3)), fill, [ballast])
    filler.start()
    try:
        world.touch(stream, 900)
        run_id = world.db.trigger(stream.name)
        held = world.hold(0.5, 6)
    finally:
        filler.join()
        ballast.unlink(missing_ok=True)
    status = world.db.value("SELECT status FROM insync.run WHERE id = %s", run_id)
    with world.session() as user:
        user.execute(f"ALTER TABLE {stream.target} SET TABLESPACE pg_default")
    return f"full for {held}, {status}"


def fill(path):
    """Leaves not a page of the file system free."""
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
