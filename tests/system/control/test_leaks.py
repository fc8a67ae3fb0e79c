"""Nothing grows with what is done: the memory, the memory contexts and the descriptors of sessions, workers, launcher
and connector. Short here; `./dev leaks` does each thing ten thousand times (--runs)."""

import contextlib
import datetime
import itertools
import random
import re

import psycopg
import pytest
from harness import Connector, Watch, growth, wait_for
from harness.environment import BIN
from harness.rest import Ords, Table

pytestmark = pytest.mark.minutes

# glibc moves these limits by what it meets; a heap that has two sizes at which it rests then steps from one to the other.
STEADY_HEAP = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "65536"}

CONTEXTS = "SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts"


@pytest.fixture
def runs(request):
    return request.config.getoption("--runs")


@pytest.fixture
def shop(own_db, sqlite):
    """`own_db` with a server `shop` over a SQLite table `t` of 200 rows."""
    sqlite.script(
        """CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER, m TIMESTAMP NOT NULL);
        WITH RECURSIVE i (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 200)
        INSERT INTO t SELECT i, 'v' || i, i, datetime('2025-01-01', '+' || i || ' minutes') FROM i;"""
    )
    own_db.create_server("shop", **sqlite.server_options())
    return own_db


def change(sqlite, number):
    """A change that the next run finds."""
    sqlite.execute("UPDATE t SET v = ?, m = datetime('2025-02-01', '+' || ? || ' seconds') WHERE id = ?", (f"v{number}", number, number % 200 + 1))


def launcher_of(db):
    return db.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_insync launcher'")


class Session:
    """A session whose backend is watched."""

    def __init__(self, db):
        self.connection = db.connect()
        self.watch = Watch("session", self.connection.info.backend_pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def execute(self, sql, *parameters):
        return self.connection.execute(sql, parameters or None, prepare=False)

    def sample(self):
        self.watch.sample(self.execute(CONTEXTS).fetchone()[0])


def logged_contexts(db, pid):
    """The memory contexts of another process, bytes, as it writes them to the log."""
    with db.cluster.log_of() as log:
        db.execute("SELECT pg_log_backend_memory_contexts(%s)", pid)
        pattern = rf"\[{pid}\].*Grand total: (\d+) bytes"
        return int(wait_for(lambda: re.search(pattern, log()), "the process to log its memory contexts").group(1))


# -------------------------------------------------------------------------------------------------------- the measure


@pytest.mark.parametrize("leak, flat", [(0, True), (0.05, True), (0.5, False), (8, False)])
def test_the_measure_tells_a_leak_from_a_warm_up(leak, flat, seed):
    """2000 steps: memory that warms up by 2 MB, with noise and short peaks, and `leak` kB more in each step."""
    noise = random.Random(seed)
    watch = Watch("made up", None)
    watch.judges_memory = True
    for step in range(2000):
        warm = 2000 * (1 - 0.99**step)
        watch.memory.append(10000 + warm + noise.gauss(0, 60) + (5000 if noise.random() < 0.1 else 0) + leak * step)
        watch.descriptors.append(20 + (step < 100) * 3)
    with contextlib.nullcontext() if flat else pytest.raises(AssertionError, match="memory grows"):
        watch.assert_flat()


def test_the_measure_sees_lost_descriptors_and_contexts(seed):
    lost, grown = Watch("descriptors", None), Watch("contexts", None)
    for step in range(100):
        for watch in (lost, grown):
            watch.memory.append(10000)
        lost.descriptors.append(20 + step // 5)
        grown.descriptors.append(20)
        grown.contexts.append(1000 + 8 * step)
    with pytest.raises(AssertionError, match="descriptors are lost"):
        lost.assert_flat()
    with pytest.raises(AssertionError, match="memory contexts grow"):
        grown.assert_flat()
    with pytest.raises(ValueError):
        growth([1, 2, 3])


# --------------------------------------------------------------------------------------------------------------- runs


def test_runs_in_a_session(shop, sqlite, runs):
    """Every second run has something to apply."""
    shop.create_stream("t", "shop", "t", watermark="m")
    with Session(shop) as session:
        for number in range(runs):
            if number % 2:
                change(sqlite, number)
            session.execute("CALL sync_run('t')")
            session.sample()
        session.watch.assert_flat()
    assert shop.value("SELECT count(*) FROM insync.run WHERE status = 'succeeded'") == runs
    assert shop.value("SELECT sum(updated) FROM insync.run") == runs // 2


def test_runs_of_workers(shop, sqlite, runs):
    """A worker leaves after some minutes, so that nothing of it can grow for long; while it is there, it and its
    connector stay as they are. What one life is too short to show, the mean of many does."""
    names = [f"t{number}" for number in range(10)]
    for name in names:
        shop.create_stream(name, "shop", "t", target=name, watermark="m", schedule="1 second")  # which keeps it from leaving
    launcher = Watch("launcher", launcher_of(shop))
    watches = {}

    def lives(kind):
        return [watch for (name, _), watch in watches.items() if name == kind and len(watch.memory) >= 16]

    done = 0
    while done < runs or not lives("worker") or not lives("connector"):
        change(sqlite, done)
        for _, run_id in shop.query("SELECT * FROM sync_trigger('t%%')"):
            assert shop.wait(run_id) == "succeeded"
            done += 1
            workers = [pid for (pid,) in shop.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_insync worker'")]
            for name, pids in (("worker", workers), ("connector", [pid for worker in workers for pid in shop.cluster.children(worker)])):
                for pid in pids:
                    with contextlib.suppress(FileNotFoundError, ProcessLookupError, RuntimeError):  # it may have left
                        watches.setdefault((name, pid), Watch(name, pid)).sample()
            launcher.sample()
    for kind in ("worker", "connector"):
        growths = [growth(watch.memory) for watch in lives(kind)]
        samples = sum(len(watch.memory) for watch in lives(kind))
        mean = sum(growths) / len(growths)
        print(f"{kind}: {len(growths)} processes, {samples} samples, growth in half a life at most {max(growths)}, mean {mean:.1f} kB")
        # An autoanalyze in one of them makes it read its catalogs anew; a leak is in most of them.
        most = sorted(growths)[len(growths) * 95 // 100]
        assert not Watch.judges_memory or (most <= Watch.tolerance_kb and mean <= Watch.tolerance_kb / 3), growths
        assert max(growth(watch.descriptors) for watch in lives(kind)) <= Watch.tolerance_descriptors
    launcher.assert_flat()


def test_runs_leave_nothing_in_the_top_memory_context_of_a_worker(shop, sqlite):
    """What is allocated there between two transactions stays for the life of the process."""
    shop.create_stream("t", "shop", "t", watermark="m", schedule="1 second")

    def used():
        (pid,) = {pid for (pid,) in shop.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_insync worker'")}
        with shop.cluster.log_of() as log:
            shop.execute("SELECT pg_log_backend_memory_contexts(%s)", pid)
            wait_for(lambda: re.search(rf"\[{pid}\].*Grand total: ", log()), "the worker to log its memory contexts")
            return pid, int(re.search(rf"\[{pid}\].* TopMemoryContext: .* (\d+) used", log()).group(1))

    def run(times):
        for number in range(times):
            change(sqlite, number)
            shop.run("t")

    run(40)
    before = used()
    run(100)
    after = used()
    assert after[0] == before[0]
    assert after[1] - before[1] < 5000, "bytes in 100 runs"


def test_starts_of_workers(own_cluster, shop, runs):
    """Without lingering each run has a worker of its own: what the launcher keeps of it goes when it goes."""
    own_cluster.write_settings(**{"insync.linger": "0"})
    own_cluster.reload()
    shop.create_stream("t", "shop", "t", watermark="m")
    launcher = Watch("launcher", launcher_of(shop))
    contexts = []
    for number in range(max(24, runs // 10)):
        shop.run("t")
        launcher.sample()
        if number % max(1, runs // 200) == 0:
            contexts.append(logged_contexts(shop, launcher.pid) / 1024)
    launcher.contexts = contexts
    launcher.assert_flat()


# ------------------------------------------------------------------------------------------------- rejects and failures


def test_rejected_rows(shop, sqlite, runs):
    """Every row is bad, in one run of many batches, and then again whenever they are replayed."""
    rows = max(600, 21 * runs // 10)
    sqlite.script(
        f"""DELETE FROM t; WITH RECURSIVE i (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < {rows})
        INSERT INTO t SELECT i, 'v' || i, i, datetime('2025-01-01', '+' || i || ' seconds') FROM i;"""
    )
    shop.execute("CREATE TABLE t (id bigint PRIMARY KEY, v text, n int CHECK (n < 0), m timestamp)")
    shop.create_stream("t", "shop", "t", watermark="m", options={"batch_rows": rows // 60, "max_rejects": "100%", "lookback": "1 second"})
    with Session(shop) as session:
        session.connection.add_notice_handler(lambda notice: session.watch.sample())  # one a batch
        session.execute("CALL sync_run('t')")
        assert len(session.watch.memory) > 60
        session.watch.assert_flat()
    assert len(shop.errors("t")) == rows
    with Session(shop) as session:
        for number in range(48):
            assert session.execute("SELECT * FROM sync_replay('t')").fetchall() == [(0, rows)]
            if number == 4:  # which makes it open catalogs once more that it has not had open yet
                shop.execute("VACUUM (ANALYZE) insync.error")
            if number >= 8:
                session.sample()
        session.watch.assert_flat()


def test_failing_runs(shop, sqlite, runs):
    """The source's table is missing, the target refuses all, the connector is killed, the connector ends in the middle of
    an answer; and a run that succeeds."""
    shop.create_stream("t", "shop", "t", watermark="m")
    shop.create_stream("u", "shop", "t", target="u", watermark="m", options={"columns": {"n": "1 / (n - n)"}, "max_rejects": 10})
    connectors = []
    cut = f'"{BIN}/pg_insync_connector" | {{ dd bs=1 count=400 status=none; kill $$; }}'
    for name, body in (("killed", "kill -KILL $$"), ("cut", cut)):
        path = shop.cluster.directory / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        connectors.append(path)

    def missing(session):
        sqlite.execute("ALTER TABLE t RENAME TO gone")
        try:
            fail(session, "t", "t")
        finally:
            sqlite.execute("ALTER TABLE gone RENAME TO t")

    def without(path):
        def run(session):
            session.execute(f"SET insync.connector = '{path}'")
            fail(session, "t", "connector")
            session.execute("RESET insync.connector")

        return run

    def fail(session, stream, words):
        with pytest.raises(psycopg.Error, match=words):
            session.execute(f"CALL sync_run('{stream}')")

    ways = [missing, lambda session: fail(session, "u", "max_rejects"), *map(without, connectors)]
    with Session(shop) as session:
        for way in itertools.islice(itertools.cycle(ways), max(24, runs // 10)):
            way(session)
            session.sample()
            session.execute("CALL sync_run('t')")
        session.watch.assert_flat()


def test_errors_in_a_session(shop, runs):
    """Functions that end in an error, some before a connector is started, some after."""
    shop.create_stream("t", "shop", "t", watermark="m")
    calls = [
        ("sync_create('x', 'shop', 'unknown')", "unknown"),
        ("sync_create('x', 'shop', 't', 'x', options => '{\"columns\": {\"a\": \"n *\"}}')", "syntax"),
        ("sync_create('x', 'shop', 't', options => '{\"wrong\": 1}')", "wrong"),
        ("sync_create('x', 'nowhere', 't')", "nowhere"),
        ("sync_create(NULL, 'shop', 't')", "name"),
        ("sync_alter('t', '{\"filter\": \"nothing > 1\"}')", "nothing"),
        ("sync_reset('t', 'yesterday or so')", "yesterday"),
        ("sync_wait(987654321)", "987654321"),
        ("sync_trigger('unknown')", "unknown"),
        ("sync_preview('shop', 'unknown')", "unknown"),
    ]
    with Session(shop) as session:
        for call, words in itertools.islice(itertools.cycle(calls), runs):
            with pytest.raises(psycopg.Error, match=words):
                session.execute(f"SELECT * FROM {call}")
            session.sample()
        session.watch.assert_flat()


# ---------------------------------------------------------------------------------------------------------- connector


def test_requests_to_a_connector(sqlite, runs):
    """One connector answers reads and refuses what it can't do; under ./dev sanitize its end is a look for leaks."""
    sqlite.script(
        """CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, m TIMESTAMP NOT NULL);
        WITH RECURSIVE i (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 1000)
        INSERT INTO t SELECT i, 'v' || i, datetime('2025-01-01', '+' || i || ' minutes') FROM i;"""
    )
    requests = [
        ({"verb": "read", "source": "t", "key": ["id"], "watermark": ["m"], "page_rows": 400}, "D"),
        ({"verb": "read", "source": "t", "key": ["id"], "mode": "full"}, "D"),
        ({"verb": "describe", "source": "t"}, "D"),
        ({"verb": "read", "source": "unknown", "key": ["id"]}, "E"),
        ({"verb": "preview", "source": "t"}, "D"),
        ({"verb": "describe", "source": "SELECT id, FROM t"}, "E"),
        ({"verb": "discover"}, "D"),
        ({"verb": "sing"}, "E"),
    ]
    with Connector(**STEADY_HEAP) as connector:
        assert connector.call(verb="open", kind="odbc", server=sqlite.server_options())[-1][0] == "D"
        watch = Watch("connector", connector.pid)
        for request, end in itertools.islice(itertools.cycle(requests), 10 * runs):  # its heap takes hundreds to find its size
            assert connector.call(**request)[-1][0] == end
            watch.sample()
        watch.assert_flat()
        assert connector.end() == (0, "")


def test_requests_to_a_connector_of_a_json_api(runs):
    """The same with pages, columns and failures of a JSON API, whose stand-in answers from one table."""
    start = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
    rows = [{"id": number, "v": f"v{number}", "m": start + datetime.timedelta(minutes=number)} for number in range(60)]
    read = {"verb": "read", "source": "t", "key": ["id"], "options": {}, "known_columns": []}
    requests = [
        (read | {"watermark": ["m"], "lookback": "0"}, "D"),
        (read | {"mode": "full"}, "D"),
        ({"verb": "describe", "source": "t", "options": {}}, "D"),
        (read | {"source": "unknown"}, "E"),
        ({"verb": "preview", "source": "t"}, "D"),
        (read | {"options": {"rows_path": "/nothing"}}, "E"),
        ({"verb": "discover"}, "D"),
    ]
    with Ords(Table("t", rows, changed="m"), cap=25) as server, Connector(**STEADY_HEAP) as connector:
        options = {"base_url": server.base_url, "preset": "ords", "max_retries": "0"}
        assert connector.call(verb="open", kind="rest", server=options)[-1][0] == "D"
        watch = Watch("connector", connector.pid)
        for request, end in itertools.islice(itertools.cycle(requests), max(700, runs)):
            assert connector.call(**request)[-1][0] == end, request
            server.forget()
            watch.sample()
        watch.assert_flat()
        assert connector.end() == (0, "")
