"""The launcher's hard cases: it ends alone, no worker slot is free, there are more streams than shared memory holds."""

import time

import pytest
from harness import Cluster, Database, wait_for

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


def test_a_stream_waits_for_a_free_worker_slot(cluster_of, shops):
    """Said once, and the stream runs as soon as a slot is free."""
    db = cluster_of(max_worker_processes=2, max_logical_replication_workers=0, max_parallel_workers=0)  # launcher and one
    db.create_server("otra", **shops.server_options())
    db.create_stream("t0", "tienda", "t0")
    db.create_stream("t1", "otra", "t1")
    with db.cluster.log_of() as log:
        blocker, run_id = held_run(db, "t0", 1)
        waiting = db.trigger("t1")
        wait_for(lambda: "no background worker slot is free" in log(), "the launcher to say so")
        db.trigger("t1")
        blocker.rollback()
        blocker.close()
        assert db.wait(run_id) == db.wait(waiting) == "succeeded"
        assert log().count("no background worker slot is free") == 1


def test_more_streams_than_shared_memory_holds(cluster_of):
    """Those that have no place there keep to their schedule all the same, and every poll is in the history."""
    db = cluster_of(**{"insync.max_streams": 16, "insync.linger": 0})
    seconds = 3
    began = time.monotonic()
    for i in range(20):
        db.create_stream(f"t{i}", "tienda", f"t{i}", schedule=f"{seconds} seconds")

    def polls():
        rows = db.dicts(
            "SELECT s.name, coalesce((SELECT sum(r.polls) FROM insync.run AS r WHERE r.stream_id = s.id), 0)"
            " + coalesce((SELECT l.polls FROM insync.live() AS l WHERE l.stream_id = s.id), 0) AS polls FROM insync.stream AS s"
        )
        return {row["name"]: row["polls"] for row in rows}

    wait_for(lambda: min(polls().values()) >= 3, "three polls of each stream")
    counted = polls()
    most = (time.monotonic() - began) / seconds + 2
    assert max(counted.values()) <= most, counted
