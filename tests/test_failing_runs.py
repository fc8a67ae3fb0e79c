"""Runs that fail: what is tried again, what is given up, and what log, status and history say about it."""

import pytest
from harness import Proxy, wait_for


@pytest.fixture
def stream(db, shop):
    """`ventas`, defined and not yet run."""
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    return db


def test_a_failure_is_retried_and_then_left_alone(db, mariadb):
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, m DATETIME NOT NULL); INSERT INTO t VALUES (1, '2025-01-01')")
    with Proxy(mariadb.server.port) as proxy:
        db.create_server("shop", **(mariadb.server_options | {"port": proxy.port}))
        db.create_stream("t", "shop", "t", watermark="m", options={"max_retries": 2, "retry_delay": "1 second", "retry_backoff": "fixed"})
        proxy.refuse()
        proxy.cut()
        db.trigger("t")
        wait_for(lambda: db.status("t")["state"] == "recovering", "the first retry to be planned")
        status = db.wait_for_state("t", "error")
        assert status["failures"] == 3 and status["message"]
        runs = db.query("SELECT status, trigger FROM insync.run ORDER BY id")
        assert [status for status, _ in runs] == ["failed"] * 3
        assert [trigger for _, trigger in runs][1:] == ["retry"] * 2
        proxy.refuse(False)
        assert db.run("t")["inserted"] == 1
        status = db.status("t")
        assert (status["state"], status["failures"]) == ("idle", 0)


@pytest.mark.wall
def test_an_error_of_configuration_is_not_retried(stream, shop):
    shop.execute("ALTER TABLE ventas RENAME TO vendidas")
    run = stream.run("ventas", expect="failed")
    assert "ventas" in run["message"] and run["sqlstate"]
    status = stream.wait_for_state("ventas", "error")
    assert status["next_run"] is None


def test_a_source_that_hangs_is_given_up(db, mariadb):
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, m DATETIME NOT NULL); INSERT INTO t SELECT seq, '2025-01-01' FROM seq_1_to_1000")
    with Proxy(mariadb.server.port) as proxy:
        db.create_server("shop", **(mariadb.server_options | {"port": proxy.port}), query_timeout="2 s", connect_timeout="2 s")
        db.create_stream("t", "shop", "t", watermark="m", options={"max_retries": 0})
        proxy.stall()
        run = db.run("t", expect="failed")
        assert run["message"]
        assert db.value("SELECT 1") == 1
        proxy.flow()
        proxy.cut()
        assert db.run("t")["inserted"] == 1000


def test_a_run_longer_than_its_limit_is_ended(db, mariadb):
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(100)); INSERT INTO t SELECT seq, REPEAT('x', 100) FROM seq_1_to_20000")
    with Proxy(mariadb.server.port) as proxy:
        db.create_server("shop", **(mariadb.server_options | {"port": proxy.port}))
        db.create_stream("t", "shop", "t", options={"run_timeout": "1 s", "max_retries": 0, "page_rows": 100})
        proxy.throttle(20_000)
        run = db.run("t", expect="failed")
        assert "run_timeout" in run["message"] or "time" in run["message"]


def test_the_log_says_where_it_went_wrong(stream, shop):
    shop.execute("DROP TABLE ventas")
    with stream.cluster.log_of() as log:
        stream.run("ventas", expect="failed")
        wait_for(lambda: "ventas" in log(), "the log to name the stream")


def test_failures_that_repeat_on_schedule_are_one_row(stream, shop):
    """A source that stays broken must not fill the history at the rhythm of its schedule."""
    stream.run("ventas")
    shop.execute("ALTER TABLE ventas RENAME TO vendidas")
    stream.alter_stream("ventas", schedule="1 second", max_retries=0)
    polls = "SELECT max(polls) FROM insync.run WHERE status = 'failed'"
    wait_for(lambda: (stream.value(polls) or 0) >= 3, "three failed polls")
    assert stream.value("SELECT count(*) FROM insync.run WHERE status = 'failed'") == 1
    assert stream.status("ventas")["failures"] >= 3
    shop.execute("ALTER TABLE vendidas RENAME TO ventas")
    stream.wait_for_state("ventas", "idle")
    assert stream.status("ventas")["failures"] == 0
