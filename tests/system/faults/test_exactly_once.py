"""Nothing lost and nothing doubled when the worker, the connector or the whole server is killed in the middle of a run.

The middle of a run is made, not guessed: another session has inserted one key of the target without committing, so the
batch that holds this key waits for it, with batches committed before it and rows unread after it."""

import contextlib
import random

import pytest
from harness import assert_equal_tables, wait_for

pytestmark = pytest.mark.minutes

ROWS, BATCH, PAGE = 24000, 500, 2000
STUCK_AT = 9000  # the key on which the run waits
BAD = (1000, 8999, 20000)  # rows that the target refuses


@pytest.fixture
def stream(own_db, sqlite):
    """A stream over 24,000 rows of which three are bad, not yet run."""
    sqlite.script(
        f"""CREATE TABLE ventas (id INTEGER PRIMARY KEY, cantidad INTEGER, nota TEXT, actualizado TIMESTAMP NOT NULL);
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
        INSERT INTO ventas SELECT i, CASE WHEN i IN {BAD} THEN -1 ELSE i % 7 END, 'nota ' || i,
            datetime('2025-01-01', '+' || i || ' seconds') FROM n;"""
    )
    own_db.create_server("tienda", **sqlite.server_options())
    own_db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, cantidad int CHECK (cantidad >= 0), nota text, actualizado timestamp)")
    own_db.create_stream(
        "ventas", "tienda", "ventas", watermark="actualizado",
        options={"batch_rows": BATCH, "page_rows": PAGE, "retry_delay": "1 second", "max_retries": 10},
    )  # fmt: skip
    return own_db


@contextlib.contextmanager
def stuck_run(db):
    """Starts the stream and yields (blocker, run id) while it waits in the middle; ends with the blocker gone."""
    blocker = db.connect(autocommit=False)
    try:
        blocker.execute("INSERT INTO ventas VALUES (%s, 0, 'blocker', '2000-01-01')", (STUCK_AT,))
        run_id = db.trigger("ventas")
        wait_for(
            lambda: db.query(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ),
            "the run to wait on the blocked row",
        )
        committed = db.value("SELECT count(*) FROM ventas")
        assert 0 < committed < ROWS, "the run is not in its middle"
        yield blocker, run_id
    finally:
        with contextlib.suppress(Exception):
            blocker.rollback()
        blocker.close()


def change_source(source):
    """Rows already read, being read and not yet read change, and new ones come."""
    source.script(
        f"""BEGIN;
        UPDATE ventas SET nota = 'changed', actualizado = '2025-02-01 00:00:00' WHERE id IN (1, 500, {STUCK_AT}, {ROWS});
        INSERT INTO ventas VALUES ({ROWS + 1}, 1, 'new', '2025-02-01 00:00:01'), ({ROWS + 2}, 1, 'new', '2025-02-01 00:00:02');
        COMMIT;"""
    )


def finish(db):
    """Runs the stream until it has gone through once from here on."""

    def idle():
        with contextlib.suppress(Exception):
            return db.status("ventas")["state"] in ("idle", "error", "stopped", "starting", "recovering")
        return False

    wait_for(idle, "the server and the stream to settle", timeout=120)

    def succeeded():
        return db.wait(db.trigger("ventas")) == "succeeded"

    wait_for(succeeded, "a run to succeed", timeout=180)


def assert_exactly_once(db, source):
    assert_equal_tables(
        source.query("SELECT * FROM ventas WHERE cantidad >= 0"),
        db.query("SELECT id, cantidad, nota, actualizado FROM ventas"),
    )
    assert sorted(int(error["record"]["id"]) for error in db.errors("ventas")) == sorted(BAD)
    assert db.status("ventas")["watermark"].startswith("2025-02-01 00:00:02")


def test_kill_the_worker(stream, sqlite):
    with stuck_run(stream):
        (worker,) = stream.cluster.workers(stream.name)
        change_source(sqlite)
        postmaster = stream.cluster.postmaster_pid()
        connectors = stream.cluster.connectors()
        assert connectors
        stream.cluster.kill(worker)
        wait_for(lambda: not set(connectors) & set(stream.cluster.connectors()), "the connector to go with its worker")
    assert stream.cluster.postmaster_pid() == postmaster

    def answers():
        with contextlib.suppress(Exception):
            return stream.value("SELECT 1")
        return None

    wait_for(answers, "the server to recover", timeout=120)
    finish(stream)
    assert_exactly_once(stream, sqlite)


@pytest.mark.wall
def test_terminate_the_worker(stream, sqlite):
    """pg_terminate_backend() by an administrator: the other sessions live on."""
    with stuck_run(stream) as (blocker, _):
        change_source(sqlite)
        (worker,) = stream.cluster.workers(stream.name)
        assert stream.value("SELECT pg_terminate_backend(%s)", worker)
        wait_for(lambda: worker not in stream.cluster.workers(stream.name), "the worker to go")
        assert blocker.execute("SELECT 1").fetchone() == (1,)
    finish(stream)
    assert_exactly_once(stream, sqlite)


@pytest.mark.wall
def test_kill_the_connector(stream, sqlite):
    with stuck_run(stream) as (_, run_id):
        change_source(sqlite)
        connectors = stream.cluster.connectors()
        assert connectors
        for connector in connectors:
            stream.cluster.kill(connector)
        postmaster = stream.cluster.postmaster_pid()
    stream.wait(run_id)
    assert stream.cluster.postmaster_pid() == postmaster
    assert stream.value("SELECT 1") == 1  # the session that was open all the time
    finish(stream)
    assert_exactly_once(stream, sqlite)


@pytest.mark.parametrize("how", ["kill", "immediate"])
def test_kill_the_server(stream, sqlite, how):
    with stuck_run(stream):
        change_source(sqlite)
        if how == "kill":
            stream.cluster.kill_postmaster()
        else:
            stream.cluster.stop("immediate")
    stream.cluster.start()
    # what is there is a prefix of the source as it was, and the run that was cut short can be seen
    loaded = stream.value("SELECT count(*) FROM ventas")
    assert 0 < loaded < ROWS
    finish(stream)
    assert_exactly_once(stream, sqlite)


def test_a_run_goes_on_from_the_last_commit(stream, sqlite):
    """What was committed before the server died is not read again but for the overlap."""
    with stuck_run(stream):
        stream.cluster.stop("immediate")
    stream.cluster.start()
    before = dict(stream.query("SELECT id, xmin::text FROM ventas"))
    finish(stream)
    after = dict(stream.query("SELECT id, xmin::text FROM ventas"))
    assert {id: after[id] for id in before} == before
    # Of all runs, the one that died included: the next one may have begun before anybody could count what was there.
    read = stream.value("SELECT sum(rows_read) FROM insync.run")
    assert ROWS <= read < ROWS + 2 * 600 + BATCH  # the overlap is ten minutes, 600 rows


def test_deaths_at_random_moments(stream, sqlite, seed):
    """Six deaths of random kinds while source and target move; the seed repeats their order."""
    chance = random.Random(seed)
    cluster = stream.cluster
    for round in range(6):
        sqlite.execute(
            "UPDATE ventas SET nota = ?, actualizado = ? WHERE id % ? = 0 AND cantidad >= 0",
            (f"round {round}", f"2025-01-1{round} 00:00:00", chance.randint(3, 50)),
        )
        stream.trigger("ventas")
        wait_for(lambda: cluster.connectors() or stream.status("ventas")["state"] == "idle", "a connector")
        kind = chance.choice(["connector", "worker", "postmaster"])
        for _ in range(chance.randint(0, 20)):
            stream.query("SELECT count(*) FROM ventas")  # passes a random while with something else than a sleep
        if kind == "postmaster":
            cluster.kill_postmaster()
            cluster.start()
        else:
            restarts = cluster.log().count("reinitializing")
            pids = cluster.connectors() if kind == "connector" else cluster.workers(stream.name)
            killed = [cluster.kill(pid) for pid in pids]
            if kind == "worker" and any(killed):
                # The postmaster takes a moment to notice, and answers until then; a worker that was ending anyway
                # makes it restart nothing.
                with contextlib.suppress(AssertionError):
                    wait_for(lambda: cluster.log().count("reinitializing") > restarts, "the crash to be noticed", timeout=5)

        def answers():
            with contextlib.suppress(Exception):
                return stream.value("SELECT 1")
            return None

        wait_for(answers, f"the server after round {round} ({kind})", timeout=120)
    sqlite.execute(f"INSERT INTO ventas VALUES ({ROWS + 2}, 1, 'last', '2025-02-01 00:00:02')")
    finish(stream)
    assert_exactly_once(stream, sqlite)
