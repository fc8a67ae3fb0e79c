"""A database that was moved keeps exactly-once: dumps taken and restored under load, copies in the same cluster, renames,
copies of the files, and pg_upgrade. What is a copy stays stopped until sync_resume(), and says so."""

import contextlib

import psycopg
import pytest
from harness import BusyShop, Cluster, Database, copies, wait_for
from harness.cluster import SUPERUSER, new_system
from harness.environment import BIN, POSTMASTER

pytestmark = pytest.mark.minutes


@pytest.fixture(scope="module")
def origin():
    with Cluster("origin") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def elsewhere():
    with Cluster("elsewhere", make_data=new_system) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def the_shop(request):
    with BusyShop(request.config.getoption("--seed")) as shop:
        yield shop


@pytest.fixture
def shop(the_shop, seed):
    """The shop of the module, at work again: each test lets it rest in the end."""
    return the_shop.start()


@contextlib.contextmanager
def database(cluster, name, create=True):
    """A database of a module's cluster; with `create` a new one, with the extension."""
    if create:
        cluster.create_database(name)
    db = Database(cluster, name)
    yield db
    db.close()
    cluster.drop_database(name)


@pytest.fixture(scope="module")
def following(origin, the_shop):
    """A database that follows the shop, with a stream id that isn't the first."""
    with database(origin, "ventas") as db:
        db.create_server("tienda", **the_shop.source.server_options())
        db.create_stream("first", "tienda", "ventas")
        db.execute("SELECT sync_drop('first', true)")
        the_shop.follow(db)
        yield db


@pytest.fixture
def busy(following, shop):
    """The same, beyond its first load, with rejected rows."""
    wait_for(lambda: following.errors("ventas"), "the first reject")
    shop.goes_on(following)
    return following


def assert_stopped(db):
    """The copy says that it is stopped, why, and what to do; and nobody can start a run unawares."""
    status = db.status("ventas")
    assert status["state"] == "stopped" and status["next_run"] is None
    assert "SELECT sync_resume()" in status["message"]
    with pytest.raises(psycopg.Error, match="belong to another database") as refused:
        db.execute("SELECT sync_trigger('ventas')")
    assert "sync_resume()" in refused.value.diag.message_hint


def assert_one_moment(db):
    """Rows, rejects and watermark are those of one commit: the last row that was read is there, and none beyond it."""
    assert db.status("ventas")["watermark"] == db.value(
        "SELECT max(v)::text FROM (SELECT version FROM ventas UNION ALL SELECT (record ->> 'version')::bigint FROM insync.error) AS x (v)"
    )


def take_over(shop, original, copy):
    """Resumes a restored copy, which then goes on beside the original, with ids of its own."""
    assert_stopped(copy)
    assert_one_moment(copy)
    (last_run,) = copy.query("SELECT max(run_id) FROM insync.error")[0]
    assert copy.value("SELECT id FROM insync.stream") == original.value("SELECT id FROM insync.stream")
    assert [name for (name,) in copy.query("SELECT sync_resume()")] == ["ventas"]
    shop.goes_on(copy)
    assert copy.value("SELECT min(id) FROM insync.run") > last_run
    copy.create_stream("second", "tienda", "ventas", target="second")
    assert copy.value("SELECT count(DISTINCT id) FROM insync.stream") == 2
    shop.assert_followed(original, copy)


@pytest.mark.parametrize("form", ["plain", "custom", "directory"])
def test_a_dump_taken_under_load(origin, elsewhere, busy, shop, form):
    folder = copies.new_folder(origin, f"dump-{form}")
    dump = folder / "dump"
    jobs = ["-j2"] if form == "directory" else []
    copies.tool(origin, "pg_dump", f"-F{form[0]}", *jobs, "-f", dump, dbname=busy.name)
    shop.goes_on(busy)
    elsewhere.create_database("moved", extension=False)
    with database(elsewhere, "moved", create=False) as moved:
        if form == "plain":
            elsewhere.psql(dump.read_text(), "moved")
        else:
            copies.tool(elsewhere, "pg_restore", "--exit-on-error", "-d", "moved", *jobs, dump)
        take_over(shop, busy, moved)


def test_no_order_is_asked_of_a_restore(origin, busy):
    """pg_restore -j loads the tables of an extension in any order: none of those that are dumped may refer to another."""
    dumped, references = busy.query(
        """SELECT count(DISTINCT c.oid), array_agg(r.conname) FILTER (WHERE r.oid IS NOT NULL)
             FROM pg_extension AS e CROSS JOIN unnest(e.extconfig) AS c (oid)
             LEFT JOIN pg_constraint AS r ON r.conrelid = c.oid AND r.contype = 'f' WHERE e.extname = 'pg_insync'"""
    )[0]
    assert dumped >= 5 and references is None


def test_a_dump_of_the_whole_cluster(origin, busy, shop):
    dump = copies.new_folder(origin, "dumpall") / "dump"
    copies.tool(origin, "pg_dumpall", "-f", dump)
    shop.goes_on(busy)
    with Cluster("fresh", make_data=new_system) as fresh:
        # the one thing of the dump that the fresh cluster has already
        fresh.psql(dump.read_text().replace(f"CREATE ROLE {SUPERUSER};", ""))
        moved = Database(fresh, busy.name)
        take_over(shop, busy, moved)
        moved.close()


def test_half_a_dump_runs_nothing(origin, elsewhere, busy, shop):
    """Parallel restores load tables in any order: streams that are there before insync.home must not run, or the rows
    that the dump still has to bring would be in its way."""
    folder = copies.new_folder(origin, "half")
    copies.tool(origin, "pg_dump", "-Fc", "-f", folder / "dump", dbname=busy.name)
    content = copies.tool(origin, "pg_restore", "-l", folder / "dump").stdout
    late = [line for line in content.splitlines() if "TABLE DATA insync home" in line]
    assert late
    (folder / "early").write_text(content.replace(late[0], ""))
    (folder / "late").write_text(late[0] + "\n")
    elsewhere.create_database("half", extension=False)
    with database(elsewhere, "half", create=False) as half:
        copies.tool(elsewhere, "pg_restore", "--exit-on-error", "-d", "half", "-L", folder / "early", folder / "dump")
        elsewhere.reload()  # the launcher looks through all databases
        assert_stopped(half)
        copies.tool(elsewhere, "pg_restore", "--exit-on-error", "-d", "half", "-L", folder / "late", folder / "dump")
        take_over(shop, busy, half)


def test_a_copy_in_the_same_cluster_stays_stopped(origin, busy, shop):
    """CREATE DATABASE … TEMPLATE waits for the workers to leave for a moment, which they do."""
    busy.close()
    origin.query(f"CREATE DATABASE copy TEMPLATE {busy.name}")
    with database(origin, "copy", create=False) as copy:
        assert_one_moment(copy)
        assert_stopped(copy)
        runs = copy.value("SELECT max(id) FROM insync.run")
        origin.reload()
        shop.goes_on(busy)
        assert copy.value("SELECT max(id) FROM insync.run") == runs
        copy.execute("SELECT sync_resume()")
        shop.goes_on(copy)
        shop.assert_followed(busy, copy)


def test_a_renamed_database_goes_on(origin, busy, shop):
    busy.close()
    origin.query(f"ALTER DATABASE {busy.name} RENAME TO renamed")
    renamed = Database(origin, "renamed")
    try:
        shop.goes_on(renamed)
        assert renamed.status("ventas")["state"] != "stopped"
        shop.assert_followed(renamed)
    finally:
        renamed.close()
        origin.query(f"ALTER DATABASE renamed RENAME TO {busy.name}")


def test_a_copy_of_the_files_beside_the_original(shop):
    """Both have one identity, so both go on, each into its own tables: whoever wants one to rest has to pause it."""
    with Cluster("original") as original:
        original.create_database("ventas")
        db = Database(original, "ventas")
        shop.follow(db)
        original.stop()
        with Cluster("copied", make_data=lambda data: copies.cold_copy(original, data)) as copied:
            original.start()
            copy = Database(copied, "ventas")
            shop.goes_on(db)
            shop.goes_on(copy)
            shop.assert_followed(db, copy)
            copy.close()
        db.close()


@pytest.mark.skipif(POSTMASTER != BIN / "postgres", reason="pg_upgrade starts servers itself, and knows no other program for that")
def test_pg_upgrade(shop):
    """Nothing runs while pg_upgrade works on the two clusters: a commit then would be lost, and its transaction id used
    again. The new cluster has another identity, so its streams wait for sync_resume()."""
    with Cluster("before") as old, Cluster("after", make_data=new_system) as new:
        old.create_database("ventas")
        before = Database(old, "ventas")
        shop.follow(before)
        shop.goes_on(before)
        old.stop()
        new.stop()
        shop.rest()
        shop.write()  # what a run during the upgrade would find
        folder = copies.new_folder(new, "upgrade")
        pgdata = ["-d", old.data, "-D", new.data, "-b", BIN, "-B", BIN]
        ports = ["-p", old.port, "-P", new.port, "-s", folder, "-U", SUPERUSER]
        copies.tool(old, "pg_upgrade", *pgdata, *ports, "--no-sync", cwd=folder)
        new.start()
        after = Database(new, "ventas")
        assert_stopped(after)
        assert_one_moment(after)
        assert int(after.status("ventas")["watermark"]) < shop.version
        after.execute("SELECT sync_resume()")
        shop.assert_followed(after)
        after.close()
