"""Sources that hang: connecting has one deadline, a server without an answer is tried once for all its streams, other
servers' streams go on, and status and health say so."""

import socket
import time

import pytest
from harness import Cluster, Database, Proxy, wait_for
from harness.environment import free_port

pytestmark = pytest.mark.minutes


SLEEPERS = "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'"


@pytest.fixture
def silent_port():
    """A port that takes connections and never says a word, as a stopped server does."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        yield listener.getsockname()[1]


def mariadb_options(port, **more):
    return {
        "driver": "MariaDB Unicode",
        "host": "127.0.0.1",
        "port": port,
        "database": "shop",
        "user": "etl",
        "password": "secret",
        "connect_timeout": "2 seconds",
        **more,
    }


def polls(db, name):
    return db.value(
        "SELECT coalesce((SELECT sum(r.polls) FROM insync.run AS r WHERE r.stream_id = s.id AND r.status = 'succeeded'), 0)"
        " + coalesce((SELECT l.polls FROM insync.live() AS l WHERE l.stream_id = s.id), 0)"
        " FROM insync.stream AS s WHERE s.name = %s",
        name,
    )


@pytest.mark.parametrize("driver", ["MariaDB Unicode", "PostgreSQL Unicode", "FreeTDS"])
def test_connecting_has_a_deadline_for_every_driver(db, silent_port, driver):
    """The driver's own time-out may not reach its handshake; the worker's does."""
    db.create_server("mute", **mariadb_options(silent_port, driver=driver))
    began = time.monotonic()
    steps = {row["step"]: row for row in db.dicts("SELECT * FROM sync_test('mute')")}
    assert not steps["connect"]["ok"]
    assert 'server "mute" (host 127.0.0.1, port' in steps["connect"]["message"], steps
    for call in ("SELECT * FROM sync_discover('mute')", "SELECT * FROM sync_preview('mute', 't')"):
        with pytest.raises(Exception, match='server "mute" \\(host 127.0.0.1, port') as caught:
            db.query(call)
        assert caught.value.sqlstate == "08006"
    # Far from the ten minutes that a statement may take; the bound is there to end a hang.
    assert time.monotonic() - began < 100


def test_a_closed_port_is_told_at_once(db):
    db.create_server("closed", **mariadb_options(free_port(), connect_timeout="60 seconds"))
    steps = {row["step"]: row for row in db.dicts("SELECT * FROM sync_test('closed')")}
    assert not steps["connect"]["ok"] and 'server "closed"' in steps["connect"]["message"]


@pytest.fixture
def chain(mariadb_server):
    """A cluster of its own with four workers, and a MariaDB behind a proxy for each server asked for."""
    with Cluster("hung", {"insync.max_workers": 4, "insync.connect_timeout": "2s"}) as cluster:
        cluster.create_database("chain")
        database = Database(cluster, "chain")
        yield database
        database.close()


def test_hung_servers_leave_the_others_their_workers(chain, mariadb_server, sqlite):
    """Ten servers of one machine that stops; a stream of another server goes on each second."""
    db = chain
    mariadb_server.create_database("shop")
    mariadb_server.query("CREATE TABLE t (id int PRIMARY KEY)", "shop")
    sqlite.script("CREATE TABLE good (id INTEGER PRIMARY KEY)")
    with Proxy(mariadb_server.port) as proxy:
        options = mariadb_options(proxy.port, user=mariadb_server.user, password=mariadb_server.password)
        for i in range(10):
            db.create_server(f"s{i}", **options)
            db.create_stream(f"t{i}", f"s{i}", "t", target=f"t{i}", schedule="1 second", options={"retry_delay": "1 second"})
        db.create_server("alive", **sqlite.server_options())
        db.create_stream("good", "alive", "good", schedule="1 second")
        wait_for(lambda: polls(db, "good") and polls(db, "t9"), "both kinds to be polled")
        proxy.stall()
        proxy.cut()
        wait_for(lambda: len(db.query("SELECT FROM insync.unreachable()")) == 10, "all ten to be found silent")
        before = polls(db, "good")
        wait_for(lambda: polls(db, "good") >= before + 5, "the healthy stream to go on")
        # Each is tried by one worker at a time, and all of them together take a share of the workers.
        most = 0
        for _ in range(20):
            most = max(most, len(db.query("SELECT FROM insync.live() AS l WHERE l.state = 'starting'")))
            time.sleep(0.1)
        assert most <= 2
        status = db.status("t3")
        assert status["state"] in ("recovering", "starting")
        assert 'server "s3"' in status["message"]
        health = {row["check"]: row for row in db.dicts("SELECT * FROM sync_health()")}
        assert health["servers"]["status"] in ("warning", "critical")
        assert "10 without an answer" in health["servers"]["message"]
        assert health["workers"]["status"] == "ok", health["workers"]
        # The first answer closes the breaker; every stream goes on by itself.
        proxy.flow()
        wait_for(lambda: not db.query("SELECT FROM insync.unreachable()"), "all to answer again", timeout=90)
        for i in range(10):
            wait_for(lambda: db.status(f"t{i}")["state"] == "idle", f"stream t{i} to go on", timeout=90)
    mariadb_server.drop_database("shop")


def test_streams_of_a_silent_server_wait_for_one_attempt_together(chain, mariadb_server):
    """Requests get the answer of the attempt that ran while they waited, and scheduled streams add no attempts."""
    db = chain
    mariadb_server.create_database("shop")
    mariadb_server.query("CREATE TABLE t (id int PRIMARY KEY)", "shop")
    with Proxy(mariadb_server.port) as proxy:
        options = mariadb_options(proxy.port, user=mariadb_server.user, password=mariadb_server.password, connections=4)
        db.create_server("one", **options)
        for i in range(8):
            db.create_stream(f"t{i}", "one", "t", target=f"t{i}")
            db.run(f"t{i}")
        wait_for(lambda: not db.cluster.workers(db.name), "the workers to leave")
        proxy.stall()
        proxy.cut()
        before = proxy.connections
        runs = [row[0] for row in db.query("SELECT run_id FROM sync_trigger('t_')")]
        assert [db.wait(run) for run in runs] == ["failed"] * 8
        # At the most one a worker that had begun before the first of them was told.
        assert proxy.connections - before <= 4
        messages = {row[0].split("\n")[0] for row in db.query("SELECT message FROM insync.run WHERE status = 'failed'")}
        assert all('server "one"' in message for message in messages), messages
        proxy.flow()
        assert db.run("t0")
    mariadb_server.drop_database("shop")


def test_a_source_that_stops_in_a_statement_is_found_long_before_its_time_out(chain, mariadb_server):
    """The statement may take ten minutes; that nobody answers there any more is asked by a second connection."""
    db = chain
    mariadb_server.create_database("shop")
    mariadb_server.query("CREATE TABLE t (id int PRIMARY KEY)", "shop")
    mariadb_server.query("INSERT INTO t VALUES (1)", "shop")
    with Proxy(mariadb_server.port) as proxy:
        options = mariadb_options(proxy.port, user=mariadb_server.user, password=mariadb_server.password)
        db.create_server("one", **options)
        db.create_stream("t", "one", "t", key="id")
        db.run("t")
        wait_for(lambda: not db.cluster.workers(db.name), "the worker to leave")
        blocker = mariadb_server.query
        blocker("RENAME TABLE t TO u", "shop")
        blocker("CREATE VIEW t AS SELECT id FROM u WHERE sleep(600) = 0", "shop")
        run = db.trigger("t")
        wait_for(lambda: blocker(SLEEPERS), "the statement to run")
        proxy.stall()
        assert db.wait(run, "120 s") == "failed"
        assert "stopped answering" in db.value("SELECT message FROM insync.run WHERE id = %s", run)
    for row in mariadb_server.query(SLEEPERS):
        mariadb_server.query(f"KILL {row[0]}")
    mariadb_server.drop_database("shop")


def test_health_measures_what_the_workers_serve(sqlite):
    """All workers are held by runs that wait: what is due and not served is told, with its number."""
    with Cluster("busy", {"insync.max_workers": 1}) as cluster:
        cluster.create_database("chain")
        db = Database(cluster, "chain")
        sqlite.script("CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE b (id INTEGER PRIMARY KEY);")
        for name in ("a", "b"):
            db.create_server(f"s_{name}", **sqlite.server_options())
            db.create_stream(name, f"s_{name}", name)
        blocker = db.connect(autocommit=False)
        blocker.execute("INSERT INTO a VALUES (1)")
        db.trigger("a")
        wait_for(lambda: db.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), "the run to wait")
        waiting = db.trigger("b")

        def workers():
            return db.dict("SELECT * FROM sync_health() WHERE \"check\" = 'workers'")

        found = wait_for(lambda: (row := workers())["status"] != "ok" and row, "health to say so")
        assert found["message"].startswith("1 server is due and not served, for up to ")
        assert found["message"].endswith("with 1 of 1 workers busy")
        assert "insync.max_workers" in found["hint"]
        blocker.rollback()
        blocker.close()
        assert db.wait(waiting) == "succeeded"
        wait_for(lambda: workers()["status"] == "ok", "health to be well again")
        db.close()


def test_a_missing_user_mapping_is_named(db, mariadb):
    """Instead of the driver's words about a user without a name."""
    options = {name: value for name, value in mariadb.server_options.items() if name not in ("user", "password")}
    db.create_server("bare", **options)
    with pytest.raises(Exception) as caught:
        db.create_stream("t", "bare", "t", key="id")
    error = caught.value
    assert error.diag.message_primary.startswith("no user mapping for role ")
    assert 'server "bare" (host 127.0.0.1' in error.diag.message_primary
    assert error.diag.message_hint.startswith("CREATE USER MAPPING FOR ")
    assert "SERVER bare OPTIONS (user" in error.diag.message_hint


def test_a_driver_that_is_nearly_an_allowed_one_is_suggested(db):
    with pytest.raises(Exception) as caught:
        db.create_server("near", driver="MariaDB Unicod", host="127.0.0.1")
        db.query("SELECT * FROM sync_test('near')")
    assert 'Perhaps you meant the driver "MariaDB Unicode"' in caught.value.diag.message_hint
