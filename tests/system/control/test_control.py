"""Asking for runs, ending them, pausing, resetting, altering, dropping; states."""

import psycopg
import pytest
from harness import Cluster, Database, wait_for

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
        db.create_stream(name, "tienda", "ventas", target=name, watermark="actualizado")
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


# --------------------------------------------------------------------------------------------------------- sync_wait


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_wait_sees_the_end_of_a_run_in_every_isolation(stream, level):
    with stream.connect(autocommit=False) as blocker, stream.connect(autocommit=False) as session:
        blocker.execute("INSERT INTO ventas (id, producto, cantidad) VALUES (1, '', 0)")
        run = stream.trigger("ventas")
        session.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        assert session.execute("SELECT count(*) FROM insync.run WHERE status IN ('queued', 'running')").fetchone() == (1,)
        blocker.rollback()
        assert session.execute("SELECT sync_wait(%s, '60 s')", (run,)).fetchone() == ("succeeded",)


def test_a_wait_that_takes_too_long_can_be_caught(stream):
    """`WHEN OTHERS` catches all but cancels and failed assertions."""
    with stream.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO ventas (id, producto, cantidad) VALUES (1, '', 0)")
        run = stream.trigger("ventas")
        with pytest.raises(psycopg.errors.ObjectInUse, match="is still"):
            stream.execute("SELECT sync_wait(%s, '0 s')", run)
        stream.execute(
            f"DO $$ BEGIN PERFORM sync_wait({run}, '0 s'); RAISE 'it ended'; EXCEPTION WHEN OTHERS THEN"
            " IF SQLSTATE <> '55006' THEN RAISE; END IF; END $$"
        )
        blocker.rollback()
    assert stream.wait(run) == "succeeded"


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


def test_waiting_in_the_transaction_of_the_trigger_is_refused(stream):
    """The run begins at commit, so it would be waited for in vain."""
    with pytest.raises(psycopg.Error, match="begins when this transaction commits"):
        stream.execute("SELECT sync_wait(run_id) FROM sync_trigger('ventas')")


def test_workers_say_what_they_do(stream):
    with stream.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO ventas (id, producto, cantidad) VALUES (1, '', 0)")
        run_id = stream.trigger("ventas")
        wait_for(lambda: stream.query(LOCK_WAITS), "the run to wait")
        texts = stream.query("SELECT application_name || ' ' || query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        assert "ventas" in texts[0][0]
        blocker.rollback()
    stream.wait(run_id)


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


# ------------------------------------------------------------------------------------------------- what is said of it


def notices_of(db, *statements):
    """[message, hint] of the notices that these statements make."""
    notices = []
    with db.connect() as session:
        session.add_notice_handler(lambda notice: notices.append((notice.message_primary, notice.message_hint)))
        for statement in statements:
            session.execute(statement)
    return notices


@pytest.mark.parametrize("function", ["sync_trigger", "sync_pause", "sync_resume", "sync_cancel", "sync_profile", "sync_gaps", "sync_coverage"])
def test_a_pattern_that_matches_nothing_says_so(stream, function):
    (notice,) = notices_of(stream, f"SELECT * FROM {function}('nope%')")
    assert notice == ('no stream matches "nope%"', "SELECT stream FROM sync_status() lists the streams that you can see.")
    with pytest.raises(psycopg.errors.UndefinedObject, match='stream "no_pe" does not exist'):
        stream.query(f"SELECT * FROM {function}('no_pe')")
    assert notices_of(stream, f"SELECT * FROM {function}('ven%')") == []


def test_a_name_with_an_underscore_means_that_stream(db, shop):
    for name in ("ventas_1", "ventasx1"):
        db.create_stream(name, "tienda", "ventas", target=name)
    assert db.query("SELECT sync_pause('ventas_1')") == [("ventas_1",)]
    assert db.query("SELECT sync_pause('ventas__') AS s ORDER BY 1") == [("ventas_1",), ("ventasx1",)]
    assert db.query("SELECT sync_resume('ventas_1%%')") == [("ventas_1",), ("ventasx1",)], "with a per cent sign it is a pattern"


def test_who_runs_a_new_stream_is_said(db, shop):
    notices = notices_of(db, "SELECT sync_create('sin', 'tienda', 'ventas', watermark => 'actualizado')")
    assert notices == [
        (
            'stream "sin" has no schedule and runs only when asked',
            "SELECT sync_alter('sin', '{\"schedule\": \"10 minutes\"}') sets one; CALL sync_run('sin') runs it now.",
        )
    ]
    assert notices_of(db, "SELECT sync_create('con', 'tienda', 'ventas', target => 'con', watermark => 'actualizado', schedule => '1 day')") == []
    assert notices_of(db, "SELECT sync_alter('sin', '{\"schedule\": \"1 day\"}')", "SELECT sync_alter('sin', '{\"max_rejects\": 7}')") == []


def test_a_missing_preload_is_said(shop):
    with Cluster("plain", {"shared_preload_libraries": None}) as cluster:
        cluster.create_database("plain")
        db = Database(cluster, "plain")
        db.create_server("tienda", **shop.server_options())
        create = "SELECT sync_create('ventas', 'tienda', 'ventas', watermark => 'actualizado', schedule => '1 day')"
        for statement in (create, "SELECT sync_alter('ventas', '{\"schedule\": \"2 days\"}')", "SELECT sync_resume()"):
            ((message, hint),) = notices_of(db, statement)
            assert message == "no workers run, because pg_insync is not preloaded" and "shared_preload_libraries" in hint, statement
        db.close()


@pytest.mark.parametrize("option", ["schedule", "verify_schedule"])
@pytest.mark.parametrize("number", ["5", " 5 ", "5.5", "1500"])
def test_a_schedule_without_a_unit_is_refused(stream, option, number):
    with pytest.raises(psycopg.errors.InvalidParameterValue) as raised:
        stream.alter_stream("ventas", **{option: number})
    number = number.strip()
    assert raised.value.diag.message_detail == "A number alone has no unit of time."
    assert f"'{number} minutes'" in raised.value.diag.message_hint and f"'{number} seconds'" in raised.value.diag.message_hint


def test_a_cancel_is_forgotten_with_the_next_good_poll(stream):
    """Polls that find nothing leave no row, but the first after a cancel does: it has ended well."""
    stream.run("ventas")
    with stream.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE ventas")
        run_id = stream.trigger("ventas")
        wait_for(lambda: stream.query(LOCK_WAITS), "the run to wait")
        stream.query("SELECT * FROM sync_cancel('ventas')")
        assert stream.wait(run_id) == "cancelled"
        blocker.rollback()
    assert "cancel" in stream.status("ventas")["message"]
    stream.alter_stream("ventas", schedule="1 second")
    wait_for(lambda: stream.value("SELECT polls FROM insync.live()") >= 2, "polls that find nothing")
    status = stream.status("ventas")
    assert (status["last_status"], status["message"]) == ("succeeded", None)


def test_work_beside_the_runs_is_not_the_streams_status(stream):
    stream.run("ventas")
    run_id = stream.value("INSERT INTO insync.run (stream_id, stream, mode, status, trigger, message) SELECT id, name, 'backfill', 'cancelled', 'request', 'cancelled' FROM insync.stream RETURNING id")
    stream.execute("INSERT INTO insync.run (stream_id, stream, mode, status, trigger) SELECT id, name, 'verify', 'queued', 'request' FROM insync.stream")
    status = stream.status("ventas")
    assert run_id and (status["state"], status["last_status"], status["message"]) == ("idle", "succeeded", None)
