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


# ----------------------------------------------------------------------------------------------------------- back-off


def pause(db, name):
    """Seconds from the end of the last failure to the next attempt."""
    return float(
        db.value(
            "SELECT extract(epoch FROM coalesce(w.retry_at, w.hold_until) - r.ended_at) FROM insync.watermark AS w, LATERAL ("
            "SELECT * FROM insync.run AS x WHERE x.stream_id = w.stream_id AND x.status = 'failed' ORDER BY x.id DESC LIMIT 1) AS r"
            " WHERE r.stream = %s",
            name,
        )
    )


def failed_polls(db):
    return db.value("SELECT coalesce(sum(polls), 0) FROM insync.run WHERE status = 'failed'")


@pytest.mark.parametrize(("schedule", "options", "longest"), [("20 seconds", {}, 23), ("2 hours", {}, 67), ("2 seconds", {"retry_delay": "30 seconds"}, 34)])
def test_the_first_retry_follows_the_schedules_rhythm(db, mariadb, schedule, options, longest):
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, m DATETIME NOT NULL); INSERT INTO t VALUES (1, '2025-01-01')")
    with Proxy(mariadb.server.port) as proxy:
        db.create_server("shop", **(mariadb.server_options | {"port": proxy.port}))
        db.create_stream("t", "shop", "t", watermark="m", options={"max_retries": 1} | options)
        proxy.refuse()
        db.alter_stream("t", schedule=schedule)
        wait_for(lambda: db.status("t")["failures"] >= 1, "the first failure")
        assert longest / 1.5 < pause(db, "t") <= longest


def test_after_the_retries_the_pauses_grow_to_an_hour(stream, shop):
    stream.run("ventas")
    shop.execute("ALTER TABLE ventas RENAME TO vendidas")
    stream.alter_stream("ventas", schedule="1 second")
    wait_for(lambda: failed_polls(stream) >= 2, "two failed polls")
    assert pause(stream, "ventas") > 1.5, "whatever the schedule says"
    stream.execute("UPDATE insync.watermark SET failures = 30")
    failed = failed_polls(stream)
    wait_for(lambda: failed_polls(stream) > failed, "another one")
    assert 3500 < pause(stream, "ventas") < 3601, "an hour, and the time to write it down"
    status = stream.wait_for_state("ventas", "error")
    assert stream.value("SELECT %s > now() + interval '50 minutes'", status["next_run"])


@pytest.mark.parametrize(
    "change",
    [
        "ALTER SERVER tienda OPTIONS (ADD query_timeout '5 min')",
        "CREATE USER MAPPING FOR CURRENT_USER SERVER tienda",
        "CREATE USER MAPPING FOR PUBLIC SERVER tienda",
        "SELECT sync_alter('ventas', '{\"max_rejects\": 7}')",
    ],
)
def test_a_change_of_server_mapping_or_stream_is_tried_at_once(stream, shop, change):
    stream.run("ventas")
    shop.execute("ALTER TABLE ventas RENAME TO vendidas")
    stream.alter_stream("ventas", schedule="1 day")
    stream.execute("UPDATE insync.watermark SET failures = 30")
    stream.run("ventas", expect="failed")
    assert pause(stream, "ventas") > 3500
    shop.execute("ALTER TABLE vendidas RENAME TO ventas")
    shop.execute("INSERT INTO ventas VALUES (6, 'Sal', 1, 1, '2025-02-01 00:00:00')")
    stream.execute(change)
    wait_for(lambda: stream.value("SELECT count(*) FROM ventas") == 6, "the stream to be tried at once")
    status = stream.wait_for_state("ventas", "idle")
    assert (status["failures"], status["message"]) == (0, None)


def refused_logins(mariadb):
    return int(mariadb.query("SHOW GLOBAL STATUS LIKE 'Aborted_connects'")[0][1])


def test_refused_logins_are_rare_for_all_streams_together(db, mariadb):
    """Three streams, each due every second, and a verification: one attempt, until the password is right."""
    names = ("a", "b", "c")
    for name in names:
        mariadb.query(f"CREATE TABLE {name} (id INT PRIMARY KEY, m DATETIME NOT NULL); INSERT INTO {name} VALUES (1, '2025-01-01')")
    db.create_server("shop", **mariadb.server_options)
    for name in names:
        db.create_stream(name, "shop", name, watermark="m", options={"verify_schedule": "1 second"})
    db.execute("ALTER USER MAPPING FOR CURRENT_USER SERVER shop OPTIONS (SET password 'wrong')")
    before = refused_logins(mariadb)
    db.execute("UPDATE insync.stream SET schedule = '1 second'")
    db.execute("SELECT sync_trigger('a')")
    wait_for(lambda: db.value("SELECT sum(failures) FROM sync_status()") >= 1, "the refusal")
    rare = "SELECT count(*) FROM sync_status() WHERE next_run > now() + interval '10 minutes'"
    wait_for(lambda: db.value(rare) == 3, "all three to wait")
    assert db.value("SELECT sum(failures) FROM sync_status()") == 1
    assert refused_logins(mariadb) - before == 1
    message = db.value("SELECT message FROM sync_status() WHERE failures > 0")
    assert "log in rarely" in message and "user mapping" in message
    db.execute(f"ALTER USER MAPPING FOR CURRENT_USER SERVER shop OPTIONS (SET password '{mariadb.server.password}')")
    for name in names:
        wait_for(lambda name=name: db.query(f"SELECT FROM {name}"), f"{name} to be tried at once")
    wait_for(lambda: db.value("SELECT sum(failures) FROM sync_status()") == 0, "no failures to be left")


def test_a_failure_after_progress_is_the_first(db, sqlite):
    sqlite.script(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO t SELECT i FROM n"
    )
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "t", watermark="id", options={"batch_rows": 100, "page_rows": 100, "max_retries": 0, "lookback": 0})
    db.execute("CREATE TABLE stop (id integer); INSERT INTO stop VALUES (450)")
    db.execute(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.id = (SELECT s.id FROM public.stop AS s) THEN"
        " RAISE 'not this one' USING ERRCODE = 'feature_not_supported'; END IF; RETURN NEW; END$$;"
        "CREATE TRIGGER stop BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stop()"
    )
    failures = []
    for stop in (450, 450, 450, 850, 850):
        db.execute("UPDATE stop SET id = %s", stop)
        db.run("t", expect="failed")
        failures.append(db.status("t")["failures"])
    assert failures == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("by", ["request", "schedule"])
def test_a_run_begins_before_it_connects(db, mariadb, by):
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, m DATETIME NOT NULL); INSERT INTO t VALUES (1, '2025-01-01')")
    with Proxy(mariadb.server.port) as proxy:
        db.create_server("shop", **(mariadb.server_options | {"port": proxy.port}))
        db.create_stream("t", "shop", "t", watermark="m", options={"max_retries": 0})
        proxy.stall()
        if by == "request":
            run_id = db.trigger("t")
        else:
            db.alter_stream("t", schedule="1 hour")
        wait_for(lambda: db.query("SELECT FROM insync.progress WHERE state = 'starting'"), "the run to connect")
        if by == "request":
            assert db.value("SELECT status FROM insync.run WHERE id = %s", run_id) == "running"
        now = db.value("SELECT clock_timestamp()")
        proxy.flow()
        wait_for(lambda: db.query("SELECT FROM insync.run WHERE ended_at IS NOT NULL"), "the run's end")
        run = db.dict("SELECT * FROM insync.run")
        assert (run["status"], run["trigger"], run["inserted"]) == ("succeeded", by, 1)
        assert run["started_at"] < now < run["ended_at"]
