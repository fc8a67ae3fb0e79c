"""The launcher's hard cases: it ends alone, no worker slot is free, there are more streams or servers than shared memory
holds, a worker's end is known before or after its successor's beginning."""

import signal
import time
from pathlib import Path

import pytest
from harness import Cluster, Database, NotPermitted, Tracer, wait_for

pytestmark = pytest.mark.minutes

LAUNCHER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_insync launcher'"


@pytest.fixture
def shops(sqlite):
    """A SQLite source with the tables t0 … t19, of one row each."""
    sqlite.script("".join(f"CREATE TABLE t{i} (id INTEGER PRIMARY KEY); INSERT INTO t{i} VALUES (1);" for i in range(20)))
    return sqlite


@pytest.fixture
def cluster_of(shops):
    """Makes a database of a new cluster with these settings, with the server `tienda`."""
    clusters = []

    def make(**settings):
        cluster = Cluster("launcher", settings)
        clusters.append(cluster)
        cluster.start()
        cluster.create_database("chain")
        database = Database(cluster, "chain")
        database.create_server("tienda", **shops.server_options())
        return database

    yield make
    for cluster in clusters:
        cluster.destroy()


def held_run(db, stream, key):
    """Triggers the stream and returns (blocker, run id) once its worker waits for the blocker's row."""
    blocker = db.connect(autocommit=False)
    blocker.execute(f"INSERT INTO {stream} VALUES ({key})")
    run_id = db.trigger(stream)
    wait_for(lambda: db.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), "the run to wait")
    return blocker, run_id


def polls(db):
    """How often each stream was polled."""
    return dict(
        db.query(
            "SELECT s.name, coalesce((SELECT sum(r.polls) FROM insync.run AS r WHERE r.stream_id = s.id), 0)"
            " + coalesce((SELECT l.polls FROM insync.live() AS l WHERE l.stream_id = s.id), 0) FROM insync.stream AS s"
        )
    )


def test_a_launcher_that_ends_alone_is_followed_by_one_that_knows_the_workers(cluster_of):
    db = cluster_of()
    for name in ("t0", "t1"):
        db.create_stream(name, "tienda", name)
    blocker, run_id = held_run(db, "t0", 1)
    (launcher,) = db.query(LAUNCHER)[0]
    at_work = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pg_insync worker: tienda'"
    workers = db.query(at_work)
    assert db.value("SELECT pg_terminate_backend(%s)", launcher)
    wait_for(lambda: [row for row in db.query(LAUNCHER) if row != (launcher,)], "another launcher")
    waiting = db.trigger("t1")  # the server allows one connection, and the worker that holds it is still there
    assert db.query(at_work) == workers
    blocker.rollback()
    blocker.close()
    assert db.wait(run_id) == db.wait(waiting) == "succeeded"
    assert db.run("t0")["unchanged"] == 1


def test_a_launcher_that_follows_others_which_ended_at_once_waits(cluster_of):
    """PostgreSQL starts it again each second; two that ended so are an accident, more are a fault that lasts."""
    db = cluster_of()
    db.create_stream("t0", "tienda", "t0")
    with db.cluster.log_of() as log:
        for number in (1, 2):
            launcher = wait_for(lambda: db.value("SELECT min(pid) FROM pg_stat_activity WHERE backend_type = 'pg_insync launcher'"), "a launcher")
            db.value("SELECT pg_terminate_backend(%s)", launcher)
            wait_for(lambda launcher=launcher: db.query(LAUNCHER) not in ([], [(launcher,)]), "another launcher")
            assert ("ended 2 times in a row; this one begins in 2 seconds" in log()) == (number == 2)
    assert db.run("t0")["status"] == "succeeded"


def test_processes_have_names_and_say_what_they_wait_for(cluster_of):
    db = cluster_of(**{"insync.linger": "0"})
    db.create_stream("t0", "tienda", "t0")
    db.run("t0")
    wait_for(lambda: not db.query("SELECT FROM pg_stat_activity WHERE backend_type = 'pg_insync worker'"), "the worker to leave")
    db.execute("DELETE FROM t0")
    blocker, run_id = held_run(db, "t0", 1)
    (worker,) = db.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_insync worker'")[0]
    assert b"pg_insync worker: tienda" in Path(f"/proc/{worker}/cmdline").read_bytes()
    blocker.rollback()
    blocker.close()
    assert db.wait(run_id) == "succeeded"
    named = int(db.value("SHOW server_version_num")) >= 170000
    waits = "SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'pg_insync launcher'"
    wait_for(lambda: db.value(waits) == ("InsyncLauncherMain" if named else "Extension"), "the launcher to wait")


def test_a_stream_waits_for_a_free_worker_slot(cluster_of, shops):
    """Said once, and the stream runs as soon as a slot is free."""
    db = cluster_of(max_worker_processes=2, max_logical_replication_workers=0, max_parallel_workers=0)  # launcher and one
    db.create_server("otra", **shops.server_options())
    db.create_stream("t0", "tienda", "t0", options={"slice": "none"})
    db.create_stream("t1", "otra", "t1", options={"slice": "none"})
    with db.cluster.log_of() as log:
        blocker, run_id = held_run(db, "t0", 1)
        waiting = db.trigger("t1")
        wait_for(lambda: "no background worker slot is free" in log(), "the launcher to say so")
        db.trigger("t1")
        time.sleep(2)  # in which the launcher tries again
        assert log().count("no background worker slot is free") == 1
        blocker.rollback()
        blocker.close()
        assert db.wait(run_id) == db.wait(waiting) == "succeeded"


def test_more_streams_than_shared_memory_holds(cluster_of):
    """Those that have no place there keep to their schedule all the same, and every poll is in the history."""
    db = cluster_of(**{"insync.max_streams": 16, "insync.linger": 0})
    seconds = 3
    began = time.monotonic()
    for i in range(20):
        db.create_stream(f"t{i}", "tienda", f"t{i}", schedule=f"{seconds} seconds")

    wait_for(lambda: min(polls(db).values()) >= 3, "three polls of each stream")
    counted = polls(db)
    most = (time.monotonic() - began) / seconds + 2
    assert max(counted.values()) <= most, counted


def create_streams_of_servers(db, shops, count, schedule):
    for i in range(count):
        db.create_server(f"s{i}", **shops.server_options())
        db.create_stream(f"t{i}", f"s{i}", f"t{i}", schedule=schedule)


def test_a_server_that_is_asked_for_comes_before_those_that_are_due_later(cluster_of, shops):
    """The agenda holds 16 servers; all of them wait for their next hour."""
    db = cluster_of(**{"insync.max_streams": 16, "insync.linger": 0})
    create_streams_of_servers(db, shops, 20, "1 hour")
    for i in range(20):
        assert db.run(f"t{i}")["rows_read"] == 1


def test_servers_share_an_agenda_that_is_too_small(cluster_of, shops):
    """Those that had to leave it are put there again by a survey of their database, a minute later."""
    db = cluster_of(**{"insync.max_streams": 16, "insync.linger": 0})
    with db.cluster.log_of() as log:
        create_streams_of_servers(db, shops, 20, "2 seconds")
        first = wait_for(lambda: min((counted := polls(db)).values()) >= 1 and counted, "a poll of each stream", 180)
        wait_for(lambda: all(now > first[name] for name, now in polls(db).items()), "another poll of each stream", 180)
        assert "more servers are due than pg_insync has room for" in log()


def test_a_place_of_a_worker_that_ended_late_is_its_successors(cluster_of, shops):
    """A worker gives its place back as it ends. When the launcher hears from the postmaster that it has ended, it may
    have given the place to another one already, who hasn't begun: that one must not lose it, or two would hold it."""
    db = cluster_of(**{"insync.linger": 0})
    db.create_server("otra", **shops.server_options())
    db.create_stream("t0", "tienda", "t0")
    db.create_stream("t1", "tienda", "t1")
    db.create_stream("t2", "otra", "t2")
    db.run("t2")
    blocker, run_id = held_run(db, "t0", 1)
    (worker,) = db.cluster.workers(db.name)
    try:
        with Tracer(db.cluster.postmaster_pid()) as tracer:
            blocker.rollback()
            db.wait(run_id)
            wait_for(lambda: zombie(worker), "the worker to end")
            waiting = db.trigger("t1")
            wait_for(lambda: asked_for_a_worker(db), "the launcher to ask for a successor")
            tracer.thaw()
            wait_for(lambda: tracer.child, "the successor to be there, and no more")
            # The launcher would start another one after 5 seconds: two polls of another server take longer.
            before = polls(db)["t2"]
            db.alter_stream("t2", schedule="6 seconds")
            wait_for(lambda: polls(db)["t2"] >= before + 2, "the other server to be polled")
            assert db.value("SELECT status FROM insync.run WHERE id = %s", waiting) == "queued"
            tracer.release()
            assert db.wait(waiting) == "succeeded"
    except NotPermitted as error:
        pytest.skip(f"processes can't be traced here: {error}")
    finally:
        blocker.close()


def zombie(pid):
    return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()


def asked_for_a_worker(db):
    """Whether SIGUSR1, which asks the postmaster for a worker, waits for it."""
    status = Path(f"/proc/{db.cluster.postmaster_pid()}/status").read_text()
    (pending,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("ShdPnd:"))
    return pending >> (signal.SIGUSR1 - 1) & 1
