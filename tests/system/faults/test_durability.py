"""What a server keeps after a crash, under settings that keep less; targets that a crash would empty are refused; and
targets whose partitions change while a run goes on."""

import signal

import psycopg
import pytest
from harness import BusyShop, Cluster, Database, Session, wait_for
from harness.busy_shop import TARGET

LOCK_WAITS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
def shop(seed):
    with BusyShop(seed) as shop:
        yield shop


# ------------------------------------------------------------------------------------------------------------- crashes


@pytest.mark.parametrize(
    "settings", [{"synchronous_commit": "off"}, {"wal_level": "minimal", "max_wal_senders": "0"}], ids=["asynchronous", "minimal"]
)
def test_a_crash_that_loses_commits(shop, settings):
    """Rows and watermark are lost together, so that what is lost is read again. Without the process that writes WAL in
    the background, asynchronous commits stay in memory until the crash."""
    with Cluster("crashing", settings) as cluster:
        cluster.create_database("ventas")
        db = Database(cluster, "ventas")
        shop.follow(db)
        shop.goes_on(db)
        (writer,) = (pid for (pid,) in db.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"))
        cluster.kill(writer, signal.SIGSTOP)
        shop.goes_on(db)
        shop.goes_on(db)
        before = int(db.status("ventas")["watermark"])
        cluster.crash()
        shop.rest()  # so that what is there after the restart can be told from what is read again
        db.close()
        cluster.write_settings(**{"insync.databases": "none"})
        cluster.start()
        kept = int(db.status("ventas")["watermark"])
        assert kept < before if "synchronous_commit" in settings else kept >= before
        cluster.write_settings(**{"insync.databases": "*"})
        cluster.reload()
        shop.assert_followed(db)
        db.close()


# ------------------------------------------------------------------------------------------- targets that don't survive


def test_an_unlogged_target_is_refused(db, shop):
    db.create_server("tienda", **shop.source.server_options())
    db.execute(TARGET.format("ventas").replace("TABLE", "UNLOGGED TABLE"))
    with pytest.raises(psycopg.errors.WrongObjectType, match="target public.ventas is unlogged") as refused:
        shop.create_stream(db)
    assert "ALTER TABLE public.ventas SET LOGGED" in refused.value.diag.message_hint
    db.execute("ALTER TABLE ventas SET LOGGED")
    shop.create_stream(db)


def test_a_target_that_became_unlogged_is_refused(db, shop):
    shop.follow(db, schedule=None)
    db.run("ventas")
    db.execute("ALTER TABLE ventas SET UNLOGGED")
    run = db.run("ventas", expect="failed")
    assert "unlogged" in run["message"] and "sync_reset" in run["message"]
    assert db.status("ventas")["state"] == "error"  # nothing but the statement of the hint can help
    db.execute("ALTER TABLE ventas SET LOGGED")
    db.execute("SELECT sync_reset('ventas')")
    shop.rest()
    db.run("ventas")
    shop.assert_followed(db)


def test_an_unlogged_partition_is_refused(db, shop):
    db.create_server("tienda", **shop.source.server_options())
    db.execute(f"{TARGET.format('ventas')} PARTITION BY RANGE (id)")
    db.execute("CREATE TABLE part PARTITION OF ventas FOR VALUES FROM (1) TO (1000)")
    db.execute("CREATE UNLOGGED TABLE rest PARTITION OF ventas DEFAULT")
    with pytest.raises(psycopg.errors.WrongObjectType, match="unlogged") as refused:
        shop.create_stream(db)
    assert "ALTER TABLE public.rest SET LOGGED" in refused.value.diag.message_hint


@pytest.mark.parametrize("target", ["ventas", "pg_temp.ventas", "pg_temp.other"])
def test_a_temporary_target_is_refused(db, shop, target):
    db.create_server("tienda", **shop.source.server_options())
    db.execute("CREATE TEMPORARY TABLE ventas (id bigint PRIMARY KEY, version bigint)")
    with pytest.raises(psycopg.errors.WrongObjectType, match="temporary"):
        shop.create_stream(db, target=target)
    assert db.query("SELECT FROM insync.stream") == []


def test_truncating_the_target_needs_a_reset(db, shop):
    """The watermark, not the target, says what was read: who empties the target says so."""
    shop.follow(db, schedule=None)
    db.run("ventas")
    shop.rest()
    db.run("ventas")
    db.execute("TRUNCATE ventas")
    assert db.run("ventas")["inserted"] <= 1  # the last version is read again, always
    db.execute("SELECT sync_reset('ventas')")
    db.run("ventas")
    shop.assert_followed(db)


# ----------------------------------------------------------------------------------------------------------- partitions


def test_partitions_come_and_go_during_a_run(db, shop):
    """The run waits in its middle for a row of another session. A partition that is attached meanwhile gets its rows;
    those of one that is detached are rejected, and replayed when it is there again."""
    parts = {"low": "(0) TO (800)", "middle": "(800) TO (1600)", "high": "(1600) TO (1000000)"}
    db.create_server("tienda", **shop.source.server_options())
    db.execute(f"{TARGET.format('ventas')} PARTITION BY RANGE (id)")
    for name, bounds in parts.items():
        db.execute(f"CREATE TABLE {name} PARTITION OF ventas FOR VALUES FROM {bounds}")
    db.execute("ALTER TABLE ventas DETACH PARTITION high")
    shop.rest()
    shop.create_stream(db, options={"batch_rows": 100, "page_rows": 100})
    with db.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO ventas SELECT i, 0, 'blocker', 0 FROM generate_series(700, 719) AS i")
        run_id = db.trigger("ventas")
        wait_for(lambda: db.query(LOCK_WAITS), "the run to wait")
        db.execute(f"ALTER TABLE ventas ATTACH PARTITION high FOR VALUES FROM {parts['high']}")
        detach = Session(db, "ALTER TABLE ventas DETACH PARTITION middle")
        wait_for(detach.waits, "DETACH to wait for the batch")
        blocker.rollback()
    detach.end()
    assert db.wait(run_id) == "succeeded"
    assert db.value("SELECT count(*) FROM high") > 0 and db.value("SELECT count(*) FROM middle") == 0
    rejected = {int(error["record"]["id"]) for error in db.errors("ventas")}
    assert rejected == set(range(800, 1600)) | set(shop.bad)
    db.execute(f"ALTER TABLE ventas ATTACH PARTITION middle FOR VALUES FROM {parts['middle']}")
    db.execute("SELECT sync_replay('ventas')")
    shop.assert_followed(db)
