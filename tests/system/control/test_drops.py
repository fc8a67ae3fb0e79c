"""What an administrator drops, renames, moves or truncates while a stream is held in the middle of a run: the statement
ends as PostgreSQL's own rules have it, the run ends with a message that says what was missing, and nothing is left.

A run that waits for its source holds no transaction, so nobody waits for it. One that waits for a row lock in the middle of
a batch holds what any statement holds, and who waits for it waits for this batch alone."""

import concurrent.futures
import contextlib
import itertools
import re

import psycopg
import pytest
from harness import Database, MisbehavingDriver, wait_for

numbers = itertools.count(1)
ROWS, BATCH = 3000, 500
PATIENCE = "60s"  # ends a test that hangs; nothing is asserted by it


@pytest.fixture(scope="module")
def driver():
    driver = MisbehavingDriver()
    yield driver
    driver.remove()


@pytest.fixture(scope="module")
def driver_cluster(driver):
    with driver.cluster("drops", **{"insync.linger": "10s"}) as cluster:
        tablespace = cluster.directory / "elsewhere"
        cluster.keep_pristine()
        cluster.query("CREATE ROLE dba LOGIN SUPERUSER")
        cluster.psql(f"\\! install -d -m 700 -o $(stat -c %u {cluster.data}) {tablespace}\nCREATE TABLESPACE elsewhere LOCATION '{tablespace}';")
        yield cluster


class Shop:
    """A database with the stream ventas.ventas of a role of its own, and a run of it that is held."""

    def __init__(self, cluster, driver):
        number = next(numbers)
        self.cluster, self.driver = cluster, driver
        self.role, self.note = f"duena_{number}", cluster.directory / f"note-{number}"
        cluster.create_database(f"drops_{number}")
        self.admin = Database(cluster, f"drops_{number}", "dba")
        self.admin.execute(f"CREATE ROLE {self.role} LOGIN")
        self.admin.execute(f"CREATE SCHEMA ventas AUTHORIZATION {self.role}")
        self.admin.execute("SELECT sync_grant(%s)", self.role)
        self.admin.create_server("tienda", driver=driver.name, driver_options=driver.orders(rows=ROWS), query_timeout="100s")
        self.admin.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {self.role}")
        self.admin.execute(f"CREATE USER MAPPING FOR {self.role} SERVER tienda OPTIONS (user 'etl', password 'hunter2-hunter2')")
        self.owner = Database(cluster, self.admin.name, self.role)
        self.owner.create_stream(
            "ventas", "tienda", "ventas", target="ventas.ventas",
            options={"batch_rows": BATCH, "page_rows": 1000, "retry_delay": "1 hour", "max_retries": 3},
        )  # fmt: skip
        self.name = self.admin.name
        self.blocker = self.run_id = None

    def order(self, **orders):
        given = self.driver.orders(**({"rows": ROWS} | orders))
        self.admin.execute(f"ALTER SERVER tienda OPTIONS (SET driver_options '{given}')")

    def hold(self, phase):
        getattr(self, f"hold_in_{phase}")()
        self.owner.close()

    def hold_in_source(self):
        """The driver doesn't answer, after some batches were committed."""
        self.order(misbehave="wait", at="late-fetch", note=self.note)
        self.run_id = self.owner.trigger("ventas")
        wait_for(self.note.exists, "the run to wait for its source")
        wait_for(lambda: self.admin.value("SELECT count(*) FROM ventas.ventas") >= BATCH, "the batches before to be there")
        self.order()

    def hold_in_lock(self):
        """A batch waits for a row that somebody else has inserted."""
        self.blocker = self.admin.connect(autocommit=False)
        self.blocker.execute("INSERT INTO ventas.ventas (id) VALUES (1700)")
        self.run_id = self.owner.trigger("ventas")
        wait_for(lambda: self.waiting(), "the batch to wait")

    def hold_in_idle(self):
        """The worker lingers for the next run."""
        self.run_id = self.owner.trigger("ventas")
        self.owner.wait(self.run_id)
        self.owner.alter_stream("ventas", schedule="2 seconds")
        wait_for(lambda: self.admin.query("SELECT 1 FROM insync.progress WHERE state = 'idle'") or self.workers(), "a worker to linger")

    def hold_in_retry(self):
        """The run has failed and waits for its next try."""
        self.order(misbehave="segfault", at="fetch")
        self.run_id = self.owner.trigger("ventas")
        self.owner.wait_for_state("ventas", "recovering")
        self.order()

    def waiting(self, besides=()):
        return self.cluster.query(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock' AND pid <> ALL (%s)",
            self.name, list(besides),
        )  # fmt: skip

    def workers(self):
        return self.cluster.workers(self.name)

    def release(self):
        self.note.unlink(missing_ok=True)
        if self.blocker is not None:
            with contextlib.suppress(psycopg.Error):
                self.blocker.rollback()
            self.blocker.close()

    def settle(self):
        """Waits until nobody works in the database and no connector is left."""
        wait_for(lambda: not self.workers(), "the worker to leave")
        wait_for(lambda: not self.driver.processes(), "the connectors to be gone")

    def end_of_run(self):
        """The held run's status and message."""
        return self.admin.query("SELECT status, coalesce(message, '') FROM insync.run WHERE id = %s", self.run_id)[0]

    def remove(self):
        self.release()
        self.admin.close()
        self.owner.close()
        self.cluster.drop_database(self.name)
        self.cluster.query(f"DROP ROLE IF EXISTS {self.role}")


@pytest.fixture
def shop(driver_cluster, driver):
    postmaster = driver_cluster.postmaster_pid()
    shop = Shop(driver_cluster, driver)
    with driver_cluster.connect() as control:
        control.execute("CREATE TEMPORARY TABLE mine AS SELECT 42 AS answer")
        yield shop
        assert control.execute("SELECT answer FROM mine").fetchone() == (42,)
    shop.remove()
    wait_for(lambda: not driver.processes(), "the connectors to be gone")
    assert driver_cluster.postmaster_pid() == postmaster


def start(shop, *statements, dbname=None):
    """Runs the statements in a session of their own, in the background: its process id, and what raises what they raised."""
    session = shop.cluster.connect(dbname or shop.name, "dba")
    session.execute(f"SET statement_timeout = '{PATIENCE}'")
    pid = session.info.backend_pid  # asked now, as the session may have ended in a moment

    def work():
        with session:
            for statement in statements:
                session.execute(statement.format(role=shop.role, name=shop.name))

    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return pid, future


def carry_out(shop, phase, *statements, dbname=None):
    """Carries out the statements while the run is held. While a batch waits for a lock they may have to wait for that
    batch; then, and only then, the batch is let go first."""
    pid, future = start(shop, *statements, dbname=dbname)
    if phase == "lock":
        wait_for(lambda: future.done() or shop.cluster.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", pid), "the statement to end or to wait")
        shop.release()
    return future.result(90)


PHASES = ["source", "lock", "idle", "retry"]
GONE = "does not exist|changed|no longer"
SUCCEEDED = ("succeeded", "")

# What is done, how a run in the middle ends once it is let go (patterns of status and message), how the next run ends.
ACTIONS = {
    "drop-table": (["DROP TABLE ventas.ventas"], ("failed", GONE), ("failed", "does not exist")),
    "truncate": (["TRUNCATE ventas.ventas"], SUCCEEDED, SUCCEEDED),
    "rename-table": (["ALTER TABLE ventas.ventas RENAME TO otras"], ("failed", GONE), SUCCEEDED),
    "rename-schema": (["ALTER SCHEMA ventas RENAME TO otras"], ("failed", GONE), SUCCEEDED),
    "rename-server": (["ALTER SERVER tienda RENAME TO otra"], SUCCEEDED, SUCCEEDED),
    "drop-column": (["ALTER TABLE ventas.ventas DROP COLUMN nombre"], ("failed", GONE), SUCCEEDED),
    "drop-schema": (["DROP SCHEMA ventas CASCADE"], ("failed", GONE), ("failed", "does not exist")),
    "drop-mapping": (["DROP USER MAPPING FOR {role} SERVER tienda"], SUCCEEDED, SUCCEEDED),
    "reassign": (["REASSIGN OWNED BY {role} TO dba"], ("failed", "permission denied"), ("failed", "permission denied")),
    "drop-owned": (["DROP OWNED BY {role} CASCADE"], ("failed", GONE), ("failed", "permission denied|does not exist")),
    "drop-role": (["REASSIGN OWNED BY {role} TO dba", "DROP OWNED BY {role}", "DROP ROLE {role}"],
                  ("failed", "does not exist|permission denied|could not find"), ("failed", "role .* does not exist")),
    "settings": (["ALTER SYSTEM SET insync.linger = '9s'", "ALTER SYSTEM SET insync.max_workers = 6", "SELECT pg_reload_conf()"], SUCCEEDED, SUCCEEDED),
}  # fmt: skip


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("action", ACTIONS)
def test_what_a_stream_needs_goes_away(shop, phase, action):
    statements, held, following = ACTIONS[action]
    shop.hold(phase)
    carry_out(shop, phase, *statements)
    shop.release()
    if phase in ("source", "lock"):
        wait_for(lambda: shop.end_of_run()[0] != "running", "the held run to end")
        status, message = shop.end_of_run()
        assert (status, bool(re.search(held[1], message))) == (held[0], True), f"the held run {status}: {message}"
    shop.admin.execute("UPDATE insync.stream SET schedule = NULL")
    shop.admin.execute("SELECT * FROM sync_cancel('%%')")
    run = shop.admin.trigger("ventas")
    status = shop.admin.wait(run)
    message = shop.admin.value("SELECT coalesce(message, '') FROM insync.run WHERE id = %s", run)
    assert (status, bool(re.search(following[1], message))) == (following[0], True), f"the next run {status}: {message}"
    assert shop.admin.status("ventas")["state"] == ("idle" if status == "succeeded" else "error")
    shop.settle()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("statement", ["SELECT sync_drop('ventas')", "SELECT sync_drop('ventas', true)", "DROP SERVER tienda CASCADE"],
                         ids=["keep", "drop-target", "with-its-server"])  # fmt: skip
def test_the_stream_is_dropped(shop, phase, statement):
    shop.hold(phase)
    carry_out(shop, phase, statement)
    shop.release()
    shop.settle()
    assert shop.admin.query("SELECT * FROM sync_status()") == []
    assert shop.admin.value("SELECT to_regclass('ventas.ventas') IS NULL") == ("true" in statement)


@pytest.mark.parametrize("phase", PHASES)
def test_the_extension_is_dropped(shop, phase):
    shop.hold(phase)
    carry_out(shop, phase, "DROP EXTENSION pg_insync CASCADE")
    shop.release()
    shop.settle()
    before = shop.admin.value("SELECT count(*) FROM ventas.ventas")
    assert before % BATCH == 0, "a batch that could not be recorded was not kept either"
    shop.admin.execute("CREATE EXTENSION pg_insync")
    assert shop.admin.query("SELECT * FROM sync_status()") == []


@pytest.mark.parametrize("phase", PHASES)
def test_the_database_is_dropped_by_force(shop, phase):
    shop.hold(phase)
    shop.admin.close()
    with shop.cluster.log_of() as log:
        carry_out(shop, "", "DROP DATABASE {name} WITH (FORCE)", dbname="postgres")
        wait_for(lambda: not shop.driver.processes(), "the connectors to be gone")
        assert shop.cluster.query("SELECT 1 FROM pg_database WHERE datname = %s", shop.name) == []
        assert "PANIC" not in log()


@pytest.mark.parametrize("change", ["DROP DATABASE {name}", "ALTER DATABASE {name} RENAME TO {name}_nueva", "ALTER DATABASE {name} SET TABLESPACE elsewhere", "CREATE DATABASE {name}_copia TEMPLATE {name}"],
                         ids=["drop", "rename", "move", "copy"])  # fmt: skip
@pytest.mark.parametrize("phase", ["source", "idle", "retry"])
def test_the_database_is_changed_without_force(shop, phase, change):
    """A worker in the middle of a run is somebody who uses the database, as any session is. One that lingers leaves in
    time for PostgreSQL's five seconds of patience, and a stream that waits for its next try keeps nobody there."""
    shop.hold(phase)
    shop.admin.close()
    if phase == "source":
        with pytest.raises(psycopg.errors.ObjectInUse):
            carry_out(shop, phase, change, dbname="postgres")
        shop.release()
        wait_for(lambda: shop.end_of_run()[0] != "running", "the run to end")
        assert shop.end_of_run() == SUCCEEDED
        return
    carry_out(shop, phase, change, dbname="postgres")
    if "TEMPLATE" in change:
        shop.cluster.drop_database(f"{shop.name}_copia")
    if "RENAME" in change:
        shop.name += "_nueva"
    if "DROP" not in change:
        shop.admin = Database(shop.cluster, shop.name, "dba")
        shop.admin.run("ventas")


def test_a_tablespace_of_a_target_stays(shop):
    """DROP TABLESPACE refuses while the target lives there; the run goes on."""
    shop.admin.execute("ALTER TABLE ventas.ventas SET TABLESPACE elsewhere")
    shop.hold("source")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        carry_out(shop, "source", "DROP TABLESPACE elsewhere")
    shop.release()
    wait_for(lambda: shop.end_of_run()[0] != "running", "the run to end")
    assert shop.end_of_run() == SUCCEEDED


@pytest.mark.parametrize("phase", PHASES)
def test_the_role_of_a_stream_is_not_dropped_while_it_owns_the_target(shop, phase):
    shop.hold(phase)
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        carry_out(shop, phase, "DROP ROLE {role}")
