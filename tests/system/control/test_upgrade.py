"""ALTER EXTENSION pg_insync UPDATE: the library of one version refuses the tables of another, clearly; the update makes
the same of them as a new installation does; and streams go on after it, each row once."""

import contextlib
import hashlib
import re
from pathlib import Path

import psycopg
import pytest
from harness import BusyShop, Cluster, Database, Proxy, Session, assert_equal_tables, copies, wait_for
from harness.cluster import new_system
from harness.environment import BIN, BUILD, CHECKOUT, execute
from harness.surface import QUERIES, differences, surface

RELEASED = {"pg_insync--0.1.sql": "7908e0eaaf77347d826d994cb3e273c3222a54c3b6c3040d2504a4820fc12246"}

LOCK_WAITS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

@pytest.fixture(scope="module")
def origin():
    with Cluster("upgraded") as cluster:
        yield cluster


@pytest.fixture
def shop(seed):
    with BusyShop(seed) as shop:
        yield shop


@pytest.fixture
def current(origin):
    """A database with the extension as CREATE EXTENSION makes it today."""
    origin.create_database("current")
    db = Database(origin, "current")
    yield db
    db.close()
    origin.drop_database("current")


@pytest.fixture
def older(origin):
    """A database with the tables of 0.1, and nothing in them."""
    origin.create_database("older", extension=False)
    db = Database(origin, "older")
    db.execute("CREATE EXTENSION pg_insync VERSION '0.1'")
    yield db
    db.close()
    origin.drop_database("older")


def move_streams(origin, older):
    """Gives the database with the older tables what the streams of the other one had there, in the columns of then; it
    is their home from now on."""
    names = ("stream", "watermark", "error", "mended", "run")
    origin.execute("SELECT sync_pause('%%')")
    wait_for(lambda: not origin.query("SELECT FROM insync.run WHERE status IN ('queued', 'running')"), "the runs to end")
    for (options,) in origin.query("SELECT srvoptions FROM pg_foreign_server"):
        older.create_server("tienda", **dict(option.split("=", 1) for option in options))
    cluster = origin.cluster
    for table in names:
        columns = ", ".join(
            name
            for (name,) in older.query(
                "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                f"insync.{table}",
            )
        )
        rows = cluster.psql(f"COPY (SELECT {columns} FROM insync.{table}) TO STDOUT", origin.name)
        cluster.psql(f"COPY insync.{table} ({columns}) FROM STDIN;\n{rows}\\.\n", older.name)
    dump = copies.tool(cluster, "pg_dump", "-t", "public.*", origin.name).stdout
    cluster.psql(dump, older.name)
    older.execute("UPDATE insync.stream SET paused = false")
    older.execute("SELECT setval('insync.run_id_seq', max(id)) FROM insync.run")
    older.execute("SELECT setval('insync.error_id_seq', max(id)) FROM insync.error")
    older.execute("SELECT setval('insync.stream_id_seq', max(id)) FROM insync.stream")
    older.execute(
        "INSERT INTO insync.home (system_identifier, database_oid)"
        " SELECT system_identifier::text, oid FROM pg_control_system(), pg_database WHERE datname = current_database()"
    )


def assert_refused(db, statement):
    with pytest.raises(psycopg.Error, match="extension pg_insync has version 0.1 in database") as refused:
        db.execute(statement)
    assert "ALTER EXTENSION pg_insync UPDATE" in refused.value.diag.message_hint


def test_released_scripts_never_change():
    """Who has installed a version gets its changes by an update script alone."""
    for name, digest in RELEASED.items():
        assert hashlib.sha256((CHECKOUT / "sql/upgrade" / name).read_bytes()).hexdigest() == digest, f"{name} was changed"


def test_update_scripts_lock_the_extension_first():
    """COMMENT ON EXTENSION takes the one lock that keeps runs out until the update has committed, and deadlocks away."""
    scripts = [*(CHECKOUT / "sql/upgrade").glob("pg_insync--*--*.sql"), *(BUILD / "sql").glob("pg_insync--*--*.sql")]
    assert "pg_insync--0.1--0.2.sql" in [script.name for script in scripts]
    for script in scripts:
        (statement, *_) = re.sub(r"/\*.*?\*/|^\\.*?$|^--.*?$", "", script.read_text(), flags=re.S | re.M).strip().splitlines()
        assert statement.startswith("COMMENT ON EXTENSION pg_insync IS"), f"{script.name} begins with {statement}"


def test_an_update_makes_what_an_installation_makes(current, older):
    older.execute("ALTER EXTENSION pg_insync UPDATE")
    installed, updated = surface(current), surface(older)
    for kind in QUERIES:
        assert any(name.startswith(f"{kind} ") for name in installed), f"no {kind} was found"
    found = list(differences(installed, updated))
    assert not found, "\n".join(["installed first, updated second:", *found])


@pytest.mark.parametrize("change, found", [
    ("ALTER TABLE insync.error ADD COLUMN x int", ["column insync.error.x: only in the second"]),
    ("ALTER TABLE insync.error ALTER occurred_at DROP DEFAULT", ["column insync.error.occurred_at: default_value is 'now()'"]),
    ("ALTER TABLE insync.slice RESET (fillfactor)", ["relation insync.slice: reloptions is ['fillfactor=70']"]),
    ("DROP INDEX insync.run_own", ["index insync.run_own: only in the first"]),
    ("ALTER TABLE insync.run DROP CONSTRAINT run_mode_check", ["constraint insync.run.run_mode_check: only in the first"]),
    ("DROP POLICY monitor_reads ON insync.stream", ["policy insync.stream.monitor_reads: only in the first"]),
    ("CREATE OR REPLACE VIEW insync.gaps WITH (security_invoker = true) AS SELECT * FROM insync.find_gaps('x', NULL, NULL, NULL)",
     ["relation insync.gaps: definition is"]),
    ("ALTER VIEW insync.gaps SET (security_invoker = false)", ["relation insync.gaps: reloptions is ['security_invoker=true']"]),
    ("COMMENT ON COLUMN insync.gaps.fix IS 'x'", ["column insync.gaps.fix: comment is 'statement that does it"]),
    ("GRANT SELECT (key) ON insync.error TO pg_monitor", ["column insync.error.key: attacl is None"]),
    ("ALTER FUNCTION insync.live() STABLE", ["routine insync.live(): definition is", "routine insync.live(): provolatile is 'v' in the first, 's' in the second"]),
    ("REVOKE EXECUTE ON FUNCTION sync_health(timestamptz) FROM pg_monitor", ["routine sync_health(timestamp with time zone): proacl is"]),
    ("ALTER EVENT TRIGGER insync_follow_ddl ENABLE REPLICA", ["event trigger insync_follow_ddl: evtenabled is 'A' in the first, 'R' in the second"]),
    ("UPDATE pg_extension SET extcondition[1] = 'WHERE false' WHERE extname = 'pg_insync'", ["dumped table insync.home: condition is ''"]),
    ("ALTER EXTENSION pg_insync DROP FUNCTION sync_options()",
     ["dependency function sync_options() on extension pg_insync", "member function sync_options(): only in the first", "routine sync_options(): only in the first"]),
    ("ALTER SEQUENCE insync.run_id_seq CACHE 5", ["sequence insync.run_id_seq: seqcache is 1 in the first, 5 in the second"]),
    ("ALTER FOREIGN DATA WRAPPER insync_rest NO VALIDATOR", ["foreign-data wrapper insync_rest: fdwvalidator is 'insync_rest_validator(text[],oid)'"]),
])  # fmt: skip
def test_a_difference_is_reported_by_object(current, change, found):
    before = surface(current)
    current.execute(change)
    lines = list(differences(before, surface(current)))
    for line in found:
        assert any(seen.startswith(line) for seen in lines), "\n".join(lines)


def test_an_update_warns_of_targets_that_can_not_be_filled(older):
    older.execute("CREATE TABLE buena (id int); CREATE TABLE desviada (id int); CREATE RULE r AS ON INSERT TO desviada DO INSTEAD NOTHING;"
                  "CREATE VIEW vista AS SELECT 1 AS id")  # fmt: skip
    for target in ("buena", "desviada", "vista"):
        older.execute("INSERT INTO insync.stream (name, owner, server, source, target_schema, target_table, key, watermark, mode, options, source_key,"
                      " source_key_unique, source_columns) VALUES (%s, 'postgres', 's', 't', 'public', %s, '{id}', '{}', 'full', '{}', '{id}', true, '[]')",
                      target, target)  # fmt: skip
    notices = []
    older.connection.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_primary)))
    older.execute("ALTER EXTENSION pg_insync UPDATE")
    assert sorted(notices) == [
        ("WARNING", 'stream "desviada" will not run: target public.desviada has the rule r'),
        ("WARNING", 'stream "vista" will not run: public.vista is not a table'),
    ]


def test_streams_go_on_after_an_update(origin, current, older, shop):
    """Before it nothing runs, and everybody is told why; the update itself wakes the workers."""
    shop.follow(current)
    wait_for(lambda: current.errors("ventas"), "the first reject")
    shop.goes_on(current)
    move_streams(current, older)
    with origin.log_of() as log:
        origin.reload()
        wait_for(lambda: "ALTER EXTENSION pg_insync UPDATE" in log(), "a worker to say why it leaves")
    rows = older.query("SELECT count(*), max(version) FROM ventas")
    for statement in ("SELECT sync_trigger()", "CALL sync_run('ventas')", "SELECT sync_status()", "SELECT sync_pause('ventas')"):
        assert_refused(older, statement)
    shop.write()
    assert older.query("SELECT count(*), max(version) FROM ventas") == rows
    older.execute("ALTER EXTENSION pg_insync UPDATE")
    shop.goes_on(older)
    shop.assert_followed(older)


@pytest.mark.parametrize("where", ["elsewhere", "in the same cluster"])
def test_a_dump_of_the_older_version_restores_into_the_newer(origin, current, older, shop, where):
    """pg_dump names no version: the tables are those of today, the rows have the columns of then. They know owners by
    name alone, which sync_resume() makes roles of."""
    shop.follow(current)
    wait_for(lambda: current.errors("ventas"), "the first reject")
    move_streams(current, older)
    folder = copies.new_folder(older.cluster, f"older-{where}")
    copies.tool(older.cluster, "pg_dump", "-Fd", "-f", folder / "dump", dbname=older.name)
    with Cluster("newer", make_data=new_system) if where == "elsewhere" else contextlib.nullcontext(origin) as newer:
        newer.create_database("ventas", extension=False)
        copies.tool(newer, "pg_restore", "--exit-on-error", "-j2", "-d", "ventas", folder / "dump")
        restored = Database(newer, "ventas")
        assert restored.status("ventas")["state"] == "stopped"
        assert restored.value("SELECT owner_id FROM insync.stream") == 0
        restored.execute("SELECT sync_resume()")
        assert restored.value("SELECT owner_id::regrole::text = owner FROM insync.stream")
        shop.goes_on(restored)
        shop.assert_followed(restored)
        restored.close()
        newer.drop_database("ventas")


# ------------------------------------------------------------------------------------- an update in the middle of a run


@pytest.fixture
def updates(current):
    """Two statements of one transaction that update to a version of the test's own and back: after them the library meets
    its own version again, so that a run may go on. The scripts change every table, in the order least like a run's."""
    version = current.value("SELECT default_version FROM pg_available_extensions WHERE name = 'pg_insync'")
    folder = Path(execute(BIN / "pg_config", "--sharedir").stdout.strip()) / "extension"
    (first, *_) = (BUILD / "sql/pg_insync--0.1--0.2.sql").read_text().split("COMMENT ON EXTENSION")[1].splitlines()
    scripts = []
    for way, change in ((f"{version}--{version}test", "ADD COLUMN test integer"), (f"{version}test--{version}", "DROP COLUMN test")):
        tables = ("watermark", "run", "error", "stream", "home", "mended")
        scripts.append(folder / f"pg_insync--{way}.sql")
        scripts[-1].write_text("\n".join([f"COMMENT ON EXTENSION{first}", *(f"ALTER TABLE insync.{table} {change};" for table in tables)]))
    yield [f"ALTER EXTENSION pg_insync UPDATE TO '{to}'" for to in (f"{version}test", version)]
    for script in scripts:
        script.unlink()


def test_an_update_under_load(current, shop, updates):
    shop.follow(current)
    for _ in range(3):
        shop.goes_on(current)
        Session(current, *updates).end()
    shop.goes_on(current)
    shop.assert_followed(current)


def test_an_update_while_a_source_is_read(current, postgres, updates):
    """A run that waits for its source holds no transaction, so nobody waits for it."""
    postgres.query("CREATE TABLE t (id int PRIMARY KEY, v text)")
    postgres.query("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 20000) AS i")
    with Proxy(int(postgres.server_options["port"])) as proxy:
        current.create_server("shop", **(postgres.server_options | {"port": proxy.port}))
        current.create_stream("t", "shop", "t", options={"page_rows": 1000, "batch_rows": 1000})
        proxy.throttle(400_000)
        run_id = current.trigger("t")
        wait_for(lambda: current.value("SELECT count(*) FROM t") > 0, "the first batch")
        proxy.stall()
        current.wait_for_state("t", "running")
        Session(current, *updates).end()
        assert current.value("SELECT status FROM insync.run WHERE id = %s", run_id) == "running"
        proxy.throttle(None)
        proxy.flow()
        assert current.wait(run_id) == "succeeded"
    assert_equal_tables(postgres.query("SELECT * FROM t"), current.query("SELECT * FROM t"))


@contextlib.contextmanager
def applying(db, shop):
    """A run in the middle of a batch: it waits for a row that another session has inserted but not committed."""
    shop.follow(db, schedule=None)
    db.run("ventas")
    shop.rest()
    with db.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO ventas VALUES (generate_series(%s::int, %s::int), 0, 'blocker', 0)", (shop.rows + 1, shop.rows + 50))
        shop.write(50)
        run_id = db.trigger("ventas")
        wait_for(lambda: db.query(LOCK_WAITS), "the run to wait")
        yield run_id
        blocker.rollback()


def test_an_update_while_a_batch_is_applied(current, shop, updates):
    """The update waits for the batch, whoever comes later for the update, and nobody for ever."""
    with applying(current, shop) as run_id:
        update = Session(current, *updates)
        wait_for(update.waits, "the update to wait for the batch")
        pause = Session(current, "SELECT sync_pause('ventas')", "SELECT sync_resume('ventas')")
        wait_for(pause.waits, "the function to wait for the update")
        assert current.value("SELECT status FROM insync.run WHERE id = %s", run_id) == "running"
    update.end()
    pause.end()
    assert current.wait(run_id) == "succeeded"
    shop.assert_followed(current)


def test_drop_extension_while_a_batch_is_applied(origin, current, shop):
    with applying(current, shop), origin.log_of() as log:
        drop = Session(current, "DROP EXTENSION pg_insync CASCADE")
        wait_for(drop.waits, "DROP EXTENSION to wait for the batch")
    drop.end()
    wait_for(lambda: not origin.workers(current.name), "the worker to leave")
    assert "deadlock" not in log()
    assert current.value("SELECT count(*) FROM ventas") == shop.source.query("SELECT count(*) FROM ventas WHERE cantidad >= 0")[0][0]
