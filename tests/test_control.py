"""Asking for runs, ending them, pausing, resetting, altering, dropping; retries and states."""

import psycopg
import pytest
from harness import Cluster, Database, Proxy, wait_for

LOCK_WAITS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
def stream(db, shop):
    """`ventas`, defined and not yet run."""
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    return db


def total(db):
    return db.value("SELECT count(*) FROM ventas")


# --------------------------------------------------------------------------------------------------------- sync_trigger


def test_a_trigger_takes_effect_at_commit(stream):
    with stream.connect(autocommit=False) as session:
        (run_id,) = session.execute("SELECT run_id FROM sync_trigger('ventas')").fetchone()
        assert stream.query("SELECT * FROM insync.run") == []
        session.commit()
    assert stream.wait(run_id) == "succeeded"
    assert total(stream) == 5


@pytest.mark.wall
def test_a_trigger_is_rolled_back_with_its_transaction(stream):
    with stream.connect(autocommit=False) as session:
        session.execute("SELECT * FROM sync_trigger('ventas')")
        session.rollback()
    assert stream.query("SELECT * FROM insync.run") == []
    assert stream.run("ventas")["inserted"] == 5, "the next trigger works as ever"


def test_a_trigger_takes_a_pattern(db, shop):
    for name in ("ventas_01", "ventas_02", "otra"):
        db.create_stream(name, "tienda", "ventas", watermark="actualizado")
    assert sorted(name for name, _ in db.query("SELECT * FROM sync_trigger('ventas%%')")) == ["ventas_01", "ventas_02"]
    assert len(db.query("SELECT * FROM sync_trigger()")) == 3


def test_a_trigger_of_an_unknown_stream_says_so(stream):
    with pytest.raises(psycopg.Error) as raised:
        stream.query("SELECT * FROM sync_trigger('bentas')")
    assert "bentas" in str(raised.value)


def test_two_triggers_at_once_are_one_run_after_another(stream):
    with stream.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO ventas (id, producto, cantidad) VALUES (1, '', 0)")
        first = stream.trigger("ventas")
        wait_for(lambda: stream.query(LOCK_WAITS), "the first run to wait")
        later = [stream.trigger("ventas") for _ in range(3)]
        assert len(set(later)) == 1, "what waits already need not wait twice"
        blocker.rollback()
    assert stream.wait(first) == "succeeded"
    assert stream.wait(later[0]) == "succeeded"
    assert stream.value("SELECT count(*) FROM insync.run WHERE status NOT IN ('succeeded')") == 0


# ------------------------------------------------------------------------------------------------------ CALL sync_run


@pytest.mark.wall
def test_sync_run_works_where_the_library_is_not_preloaded(shop):
    with Cluster("plain", {"shared_preload_libraries": None}) as cluster:
        cluster.create_database("plain")
        db = Database(cluster, "plain")
        db.create_server("tienda", **shop.server_options())
        db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
        db.execute("CALL sync_run('ventas')")
        assert total(db) == 5
        assert db.status("ventas")["last_status"] == "succeeded"
        db.close()


@pytest.mark.wall
def test_sync_run_raises_what_went_wrong(stream, shop):
    shop.execute("DROP TABLE ventas")
    with pytest.raises(psycopg.Error) as raised:
        stream.execute("CALL sync_run('ventas')")
    assert "ventas" in str(raised.value)
    assert stream.value("SELECT status FROM insync.run ORDER BY id DESC LIMIT 1") == "failed"


def test_a_time_out_of_the_session_is_named(stream):
    """It ends the run as a cancel does, but nobody cancelled it."""
    with stream.connect(autocommit=False) as blocker, stream.connect() as session:
        blocker.execute("INSERT INTO ventas (id, producto, cantidad) VALUES (1, '', 0)")
        session.execute("SET statement_timeout = '1s'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute("CALL sync_run('ventas')")
        blocker.rollback()
    run = stream.dict("SELECT * FROM insync.run")
    assert (run["status"], run["sqlstate"]) == ("cancelled", "57014") and "statement timeout" in run["message"]


def test_sync_run_refuses_a_transaction_block(stream):
    with stream.connect(autocommit=False) as session, pytest.raises(psycopg.Error) as raised:
        session.execute("CALL sync_run('ventas')")
    assert raised.value.sqlstate in ("25001", "2D000")


def test_runs_of_one_stream_do_not_overlap(stream):
    with stream.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO ventas (id, producto, cantidad) VALUES (1, '', 0)")
        run_id = stream.trigger("ventas")
        wait_for(lambda: stream.query(LOCK_WAITS), "the run to wait")
        with stream.connect() as second, pytest.raises(psycopg.Error) as raised:
            second.execute("SET lock_timeout = '2s'")
            second.execute("CALL sync_run('ventas')")
        assert raised.value.sqlstate in ("55P03", "55006"), raised.value
        blocker.rollback()
    assert stream.wait(run_id) == "succeeded"


# -------------------------------------------------------------------------------------------------- cancel, pause, wait


@pytest.mark.wall
def test_cancel_ends_a_run_and_keeps_what_was_committed(db, sqlite):
    sqlite.script(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, m TIMESTAMP NOT NULL);"
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        "INSERT INTO t SELECT i, datetime('2025-01-01', '+' || i || ' seconds') FROM n;"
    )
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "t", watermark="m", options={"batch_rows": 100, "page_rows": 500})
    with db.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO t (id, m) VALUES (2500, '2025-01-01')")
        run_id = db.trigger("t")
        wait_for(lambda: db.query(LOCK_WAITS), "the run to wait in its middle")
        progress = db.dict("SELECT * FROM insync.progress")
        assert progress["stream"] == "t" and progress["rows_read"] > 0
        assert db.status("t")["state"] in ("running", "processing")
        assert db.query("SELECT * FROM sync_cancel('t')")
        assert db.wait(run_id) == "cancelled"
        blocker.rollback()
    assert 0 < db.value("SELECT count(*) FROM t") < 5000
    assert db.run("t")["inserted"] > 0
    assert db.value("SELECT count(*) FROM t") == 5000


def test_a_queued_run_can_be_cancelled(stream):
    with stream.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO ventas (id, producto, cantidad) VALUES (1, '', 0)")
        stream.trigger("ventas")
        wait_for(lambda: stream.query(LOCK_WAITS), "the first run to wait")
        queued = stream.trigger("ventas")
        stream.query("SELECT * FROM sync_cancel('ventas')")
        assert stream.wait(queued) == "cancelled"
        blocker.rollback()


def test_pause_stops_the_schedule_and_resume_starts_it(stream, shop):
    stream.alter_stream("ventas", schedule="1 second")
    wait_for(lambda: total(stream) == 5, "the first scheduled run")
    stream.query("SELECT sync_pause('ventas')")
    stream.wait_for_state("ventas", "stopped")
    last = stream.value("SELECT max(id) FROM insync.run")
    shop.execute("INSERT INTO ventas VALUES (6, 'Sal', 1, 1, '2025-02-01 00:00:00')")
    notices = []
    with stream.connect() as session:
        session.add_notice_handler(lambda notice: notices.append(notice.message_primary + (notice.message_hint or "")))
        assert session.execute("SELECT * FROM sync_trigger('ventas')").fetchall() == []
    assert notices and "paused" in notices[0] and "sync_resume" in notices[0]
    assert stream.status("ventas")["state"] == "stopped"
    assert total(stream) == 5
    assert stream.value("SELECT count(*) FROM insync.run WHERE id > %s", last) == 0
    stream.query("SELECT sync_resume('ventas')")
    wait_for(lambda: total(stream) == 6, "the schedule to go on")


@pytest.mark.wall
def test_wait_gives_up_with_an_error(stream):
    with stream.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO ventas (id, producto, cantidad) VALUES (1, '', 0)")
        run_id = stream.trigger("ventas")
        with pytest.raises(psycopg.Error):
            stream.wait(run_id, "200 ms")
        blocker.rollback()
    assert stream.wait(run_id) == "succeeded"
    with pytest.raises(psycopg.Error):
        stream.wait(987654321)


# ----------------------------------------------------------------------------------------------- reset, alter and drop


def test_reset_reads_everything_again(stream):
    stream.run("ventas")
    stream.execute("SELECT sync_reset('ventas')")
    assert stream.status("ventas")["watermark"] is None
    run = stream.run("ventas")
    assert run["rows_read"] >= 5, "all rows, and the overlap once more"
    assert (run["inserted"], run["updated"]) == (0, 0)


def test_reset_to_a_watermark(stream, shop):
    stream.run("ventas")
    stream.execute("DELETE FROM ventas")
    stream.execute("SELECT sync_reset('ventas', '2025-01-06 10:00:00')")
    stream.run("ventas")
    assert stream.query("SELECT id FROM ventas ORDER BY id") == [(5,)], "row 4 is older than the watermark less the overlap"


def test_alter_changes_the_next_run(stream, shop):
    stream.run("ventas")
    stream.alter_stream("ventas", filter="cantidad < 100")
    shop.execute("INSERT INTO ventas VALUES (6, 'Sal', 1, 1, '2025-02-01 00:00:00'), (7, 'Sal', 500, 1, '2025-02-01 00:00:00')")
    assert stream.run("ventas")["inserted"] == 1
    stream.alter_stream("ventas", filter=None)
    assert stream.run("ventas")["inserted"] == 1, "null resets an option"
    stream.alter_stream("ventas", name="ventas_nuevas")
    assert [name for (name,) in stream.query("SELECT stream FROM sync_status()")] == ["ventas_nuevas"]


@pytest.mark.parametrize("drop_target", [False, True])
def test_drop(stream, drop_target):
    stream.run("ventas")
    stream.execute("SELECT sync_drop('ventas', %s)", drop_target)
    assert stream.query("SELECT * FROM sync_status()") == []
    assert stream.value("SELECT count(*) FROM insync.run") == 0
    assert (stream.value("SELECT to_regclass('ventas')::text") is None) == drop_target


@pytest.mark.wall
def test_a_definition_is_rolled_back_whole(db, shop):
    with db.connect(autocommit=False) as session:
        session.execute("SELECT * FROM sync_create('ventas', 'tienda', 'ventas', watermark => 'actualizado', schedule => '1 second')")
        session.rollback()
    assert db.query("SELECT * FROM sync_status()") == []
    assert db.value("SELECT to_regclass('ventas')::text") is None


@pytest.mark.wall
def test_the_extension_can_be_dropped_while_a_stream_runs_on_schedule(stream):
    stream.alter_stream("ventas", schedule="1 second")
    wait_for(lambda: total(stream) == 5, "the first scheduled run")
    stream.execute("DROP EXTENSION pg_insync CASCADE")
    assert total(stream) == 5
    stream.execute("CREATE EXTENSION pg_insync")
    assert stream.query("SELECT * FROM sync_status()") == []


def test_a_database_can_be_dropped_while_a_stream_is_scheduled(own_cluster, shop):
    own_cluster.create_database("corta")
    db = Database(own_cluster, "corta")
    db.create_server("tienda", **shop.server_options())
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", schedule="1 second")
    wait_for(lambda: total(db) == 5, "the first scheduled run")
    db.close()
    own_cluster.drop_database("corta")
    assert own_cluster.query("SELECT 1 FROM pg_database WHERE datname = 'corta'") == []


# ------------------------------------------------------------------------------------------------ retries, time-outs, log


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


def test_workers_say_what_they_do(stream):
    with stream.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO ventas (id, producto, cantidad) VALUES (1, '', 0)")
        run_id = stream.trigger("ventas")
        wait_for(lambda: stream.query(LOCK_WAITS), "the run to wait")
        texts = stream.query("SELECT application_name || ' ' || query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        assert "ventas" in texts[0][0]
        blocker.rollback()
    stream.wait(run_id)


def test_a_slow_source_delays_only_itself(db, shop, mariadb):
    mariadb.query("CREATE TABLE lenta (id INT PRIMARY KEY); INSERT INTO lenta VALUES (1)")
    with Proxy(mariadb.server.port) as proxy:
        db.create_server("shop", **(mariadb.server_options | {"port": proxy.port}))
        db.create_stream("lenta", "shop", "lenta")
        db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
        proxy.stall()
        slow = db.trigger("lenta")
        assert db.run("ventas")["inserted"] == 5
        assert db.value("SELECT status FROM insync.run WHERE id = %s", slow) in ("queued", "running")
        proxy.flow()
        assert db.wait(slow) == "succeeded"


def test_missed_schedules_happen_once(own_db, shop):
    own_db.create_server("tienda", **shop.server_options())
    own_db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", schedule="1 second")
    wait_for(lambda: own_db.query("SELECT 1 FROM ventas LIMIT 1"), "the first scheduled run")
    own_db.cluster.stop()
    shop.execute("INSERT INTO ventas VALUES (6, 'Sal', 1, 1, '2025-02-01 00:00:00')")
    own_db.cluster.start()
    wait_for(lambda: total(own_db) == 6, "the missed run after the restart")
    assert own_db.value("SELECT count(*) FROM insync.run WHERE inserted > 0") == 2


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


def test_waiting_in_the_transaction_of_the_trigger_is_refused(stream):
    """The run begins at commit, so it would be waited for in vain."""
    with pytest.raises(psycopg.Error, match="begins when this transaction commits"):
        stream.execute("SELECT sync_wait(run_id) FROM sync_trigger('ventas')")


def test_a_trigger_wakes_a_worker_that_lingers(own_cluster, own_db, sqlite):
    """A worker that waits for its next run takes up what is triggered meanwhile, and doesn't sleep on."""
    own_cluster.write_settings(**{"insync.linger": "3s"})
    own_cluster.reload()
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')")
    own_db.create_server("tienda", **sqlite.server_options())
    own_db.create_stream("t", "tienda", "t", schedule="3 seconds")
    own_db.create_stream("u", "tienda", "t", target="u")
    for number in range(2, 12):
        sqlite.execute("INSERT INTO t VALUES (?, 'b')", (number,))
        assert own_db.run("u")["inserted"] >= 1


def test_streams_take_turns_when_workers_are_few(own_cluster, own_db, sqlite):
    """With one worker for two busy servers, each visit runs one stream: none may always be the first."""
    own_cluster.write_settings(**{"insync.max_workers": 1})
    own_cluster.reload()
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    for server in ("tienda", "otra"):
        own_db.create_server(server, **sqlite.server_options())
    slow = {"filter": "(SELECT true FROM pg_catalog.pg_sleep(0.8))"}  # longer than a schedule waits
    for name, server in (("a", "tienda"), ("b", "tienda"), ("c", "otra")):
        own_db.create_stream(name, server, "t", target=name, schedule="1 second", options=slow)
    own_db.create_stream("d", "tienda", "t", target="d")
    requested = own_db.trigger("d")
    for name in ("a", "b", "c"):
        wait_for(lambda name=name: own_db.query(f"SELECT FROM {name}"), f"the turn of {name}", timeout=30)
    assert own_db.wait(requested, "30 s") == "succeeded"
