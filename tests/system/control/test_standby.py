"""A standby does nothing until it is promoted and goes on where it stands then; so does a database that was restored to a
point in time. Primaries, standbys and restores have one identity, so nobody needs to resume anything."""

import psycopg
import pytest
from harness import BusyShop, Cluster, Database, copies, wait_for

WRITES = [
    "SELECT sync_create('other', 'tienda', 'ventas')",
    "SELECT sync_alter('ventas', '{}')",
    "SELECT sync_drop('ventas')",
    "SELECT sync_trigger()",
    "CALL sync_run('ventas')",
    "SELECT sync_cancel('ventas')",
    "SELECT sync_pause('ventas')",
    "SELECT sync_resume()",
    "SELECT sync_reset('ventas')",
    "SELECT sync_replay('ventas')",
    "SELECT sync_grant('postgres')",
]


@pytest.fixture(scope="module")
def the_shop(request):
    with BusyShop(request.config.getoption("--seed")) as shop:
        yield shop


@pytest.fixture
def shop(the_shop, seed):
    """The shop of the module, at work again: each test lets it rest in the end."""
    return the_shop.start()


@pytest.fixture(scope="module")
def following(the_shop):
    """A database that follows the shop, in a cluster that archives its WAL in `archive`."""
    with Cluster("primary") as cluster:
        cluster.archive = copies.new_folder(cluster, "archive")
        cluster.write_settings(archive_mode="on", archive_command=f"cp %p {cluster.archive}/%f")
        cluster.restart()
        cluster.create_database("ventas")
        db = Database(cluster, "ventas")
        the_shop.follow(db)
        yield db
        db.close()


@pytest.fixture
def primary(following, shop):
    """The same, started again if it must be, beyond its first load, with rejected rows."""
    if not following.cluster.running():
        following.cluster.start()
    wait_for(lambda: following.errors("ventas"), "the first reject")
    shop.goes_on(following)
    return following


def assert_rows_counted_once(db):
    """The history of runs, interrupted ones included, adds up to what is there: nothing was written without being
    counted, or counted without being written."""
    assert db.value("SELECT sum(inserted) FROM insync.run") == db.value("SELECT count(*) FROM ventas")


def wait_until_replayed(primary, standby):
    position = primary.value("SELECT pg_current_wal_lsn()::text")
    wait_for(lambda: standby.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", position), "the standby to catch up")


def test_a_standby_rests_and_is_promoted_under_load(primary, shop):
    with copies.standby(primary.cluster) as cluster:
        standby = Database(cluster, "ventas")
        wait_until_replayed(primary, standby)
        shop.goes_on(standby)  # by the primary's WAL alone
        status = standby.status("ventas")
        assert status["state"] == "stopped" and "standby" in status["message"] and status["next_run"] is None
        for statement in WRITES:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                standby.execute(statement)
        assert standby.query("SELECT * FROM sync_options()") and standby.query("SELECT * FROM sync_explain('ventas')")
        assert standby.query("SELECT * FROM sync_preview('tienda', 'ventas')")
        busy = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_insync%'"
        assert standby.value(busy) == 0
        assert "] pg_insync" not in cluster.log()  # no worker has said, or been, anything
        errors = [line for line in cluster.log().splitlines() if "ERROR:" in line or "WARNING:" in line]
        assert len(errors) == len(WRITES)

        primary.cluster.crash()
        copies.promote(cluster)
        shop.goes_on(standby)  # by workers of its own, unasked
        assert standby.value(busy) > 0
        shop.assert_followed(standby)
        assert standby.status("ventas")["state"] != "stopped"
        assert_rows_counted_once(standby)
        standby.close()


def test_a_standby_that_was_behind_loses_nothing(primary, shop):
    """What the primary committed and the standby never got is read again, from the standby's own watermark."""
    with copies.standby(primary.cluster) as cluster:
        standby = Database(cluster, "ventas")
        wait_until_replayed(primary, standby)
        copies.stop_following(cluster)
        wait_for(lambda: not primary.query("SELECT FROM pg_stat_replication"), "the standby to be cut off")
        standby.execute("SELECT 1")
        shop.goes_on(primary)
        behind = int(standby.status("ventas")["watermark"])
        assert behind < int(primary.status("ventas")["watermark"])
        primary.cluster.stop("immediate")
        copies.promote(cluster)
        shop.goes_on(standby)
        shop.assert_followed(standby)
        assert_rows_counted_once(standby)
        standby.close()


def test_where_the_library_is_not_preloaded(primary, shop):
    """A standby that forgot the library can be looked at; promoted, it says what is missing, and runs by hand."""
    with copies.standby(primary.cluster, shared_preload_libraries=None) as cluster:
        standby = Database(cluster, "ventas")
        wait_until_replayed(primary, standby)
        assert "standby" in standby.status("ventas")["message"]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            standby.execute("CALL sync_run('ventas')")
        primary.cluster.stop("immediate")
        copies.promote(cluster)
        with pytest.raises(psycopg.Error, match="not preloaded") as refused:
            standby.execute("SELECT sync_trigger('ventas')")
        assert "shared_preload_libraries" in refused.value.diag.message_hint
        shop.rest()
        standby.execute("CALL sync_run('ventas')")
        shop.assert_followed(standby)
        standby.close()


def test_a_restore_to_a_point_in_time_goes_on_from_there(primary, shop):
    """Named point, time and position, each between two commits of the load, from one base backup."""
    backup = primary.cluster.directory / "backup"
    copies.base_backup(primary.cluster, backup)
    shop.goes_on(primary)
    primary.execute("SELECT pg_create_restore_point('between')")
    points = {"name": "between"}
    shop.goes_on(primary)
    points["time"] = primary.value("SELECT clock_timestamp()::text")
    shop.goes_on(primary)
    points["lsn"] = primary.value("SELECT pg_current_wal_insert_lsn()::text")
    shop.goes_on(primary)
    last = primary.value("SELECT pg_walfile_name(pg_switch_wal())")
    wait_for(lambda: primary.query("SELECT FROM pg_stat_archiver WHERE last_archived_wal >= %s", last), "the archive")
    primary.cluster.stop()
    shop.rest()
    shop.write()
    for kind, value in points.items():
        with copies.restored(primary.cluster, backup, **{kind: value}) as restored:
            there = Database(restored, "ventas")
            shop.assert_followed(there)
            assert "recovery stopping" in restored.log()  # before the end of the archive
            assert_rows_counted_once(there)
            there.close()
