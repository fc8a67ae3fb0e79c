"""A short form of ./dev chaos, and the proof that its checks can fail: each is shown what it must not let pass."""

import subprocess

import pytest
from chaos import checks, truth
from chaos.faults import FAULTS
from chaos.main import Chaos
from chaos.world import World
from harness.environment import BIN

pytestmark = pytest.mark.minutes

ROUNDS = 8
# Of these, each of a session's short forms has one, whatever else it has.
CRASHES = ["connector killed", "worker killed", "postmaster killed", "worker terminated", "source killed and restarted", "server stopped, immediate"]


def test_exactly_once_under_faults(seed):
    chaos = Chaos(seed, ROUNDS, rows=600)
    try:
        chaos.bag_first(CRASHES[seed % len(CRASHES)])
        chaos.play()
    finally:
        chaos.report()
        chaos.world.close()


def test_every_crash_is_a_fault():
    assert set(CRASHES) <= {fault.name for fault in FAULTS}


# ---------------------------------------------------------------------------------------------------- the checks can fail


@pytest.fixture(scope="module")
def world(request):
    """Two sources, some bad rows, everything loaded and quiet."""
    world = World(request.config.getoption("--seed"), kinds=("sqlite", "postgres"), rows=150)
    try:
        for source in world.sources:
            for table in ("sales", "stock", "orders"):
                while not any(map(checks.is_bad, source.rows(table))):
                    source.write(source.changes.spoil(table))
        checks.settle(world)
        yield world
    finally:
        world.close()


@pytest.fixture
def spoiled(world):
    """The catalog and the targets may be spoiled in a transaction that the checks see, and that is rolled back."""
    checks.check_all(world)
    world.admin.execute("BEGIN")
    world.admin.execute("SET LOCAL session_replication_role = replica")
    yield world
    world.admin.execute("ROLLBACK")
    checks.check_all(world)


A_RUN = "(SELECT max(id) FROM insync.run WHERE stream = 'sales_sqlite')"


@pytest.mark.parametrize(
    "statement, check",
    [
        ("DELETE FROM orders_sqlite WHERE id = (SELECT min(id) FROM orders_sqlite)", checks.check_rows),
        ("UPDATE orders_sqlite SET note = note || '.' WHERE id = (SELECT min(id) FROM orders_sqlite)", checks.check_rows),
        ("INSERT INTO orders_sqlite (id) VALUES (1000000)", checks.check_rows),
        ("DELETE FROM insync.error", checks.check_rejects),
        ("UPDATE insync.error SET record = record || '{\"id\": 1000000}'", checks.check_rejects),
        ("UPDATE insync.error SET record = record || '{\"note\": \"older\"}'", checks.check_rejects),
        (
            "INSERT INTO insync.error (stream_id, stream, sqlstate, error_type, message, record, fingerprint, source_hash)"
            " SELECT stream_id, stream, sqlstate, error_type, message, record, 'another', source_hash FROM insync.error"
            " WHERE stream = 'orders_sqlite' ORDER BY id LIMIT 1",
            checks.check_rejects,
        ),
        ("UPDATE insync.watermark SET watermark = '1'", checks.check_watermark),
        (f"UPDATE insync.run SET inserted = inserted + 1 WHERE stream = 'orders_sqlite' AND id = {A_RUN.replace('sales', 'orders')}", checks.check_counts),
    ],
)
def test_a_check_of_streams_can_fail(spoiled, statement, check):
    streams = [stream for stream in spoiled.streams if stream.name == "orders_sqlite"]
    spoiled.admin.execute(statement)
    with pytest.raises(AssertionError, match="orders_sqlite"):
        check(spoiled, streams[0])


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM sales WHERE id = (SELECT min(id) FROM sales)",
        "UPDATE sales SET changed = changed - interval '1 day' WHERE id = (SELECT min(id) FROM sales)",
        "UPDATE insync.slice SET rows = rows + 1",
        "DELETE FROM insync.slice",
    ],
)
def test_the_check_of_the_ledger_can_fail(spoiled, statement):
    streams = [stream for stream in spoiled.streams if stream.name == "sales_sqlite"]
    checks.check_ledger(spoiled, streams[0])
    spoiled.admin.execute(statement)
    with pytest.raises(AssertionError, match="sales_sqlite"):
        checks.check_ledger(spoiled, streams[0])


@pytest.mark.parametrize(
    "statement, says",
    [
        (f"UPDATE insync.run SET status = 'running' WHERE id = {A_RUN}", "open"),
        (f"UPDATE insync.run SET status = 'queued' WHERE id = {A_RUN}", "open"),
        (f"UPDATE insync.run SET ended_at = started_at - interval '1 second' WHERE id = {A_RUN}", "before it began"),
        (f"UPDATE insync.run SET ended_at = NULL WHERE id = {A_RUN}", "without a time"),
        (f"UPDATE insync.run SET status = 'failed', sqlstate = '08006', message = '' WHERE id = {A_RUN}", "without a reason"),
        (f"UPDATE insync.run SET sqlstate = '08006' WHERE id = {A_RUN}", "though it succeeded"),
        ("UPDATE insync.watermark SET failures = 1", "count failures"),
    ],
)
def test_the_check_of_history_can_fail(spoiled, statement, says):
    spoiled.admin.execute(statement)
    with pytest.raises(AssertionError, match=says):
        checks.check_history(spoiled)


def test_the_check_of_what_is_left_in_the_database_can_fail(world):
    with world.session() as session:
        session.execute("SELECT pg_advisory_lock(1)")
        with pytest.raises(AssertionError, match="advisory lock"):
            checks.check_database(world)
    with world.session(autocommit=False) as session:
        session.execute("SELECT 1")
        with pytest.raises(AssertionError, match="open transaction"):
            checks.check_database(world)
    with world.session() as session:
        session.execute("CREATE TEMPORARY TABLE left_over ()")
        with pytest.raises(AssertionError, match="temporary table"):
            checks.check_database(world)
    world.admin.execute("SELECT pg_create_physical_replication_slot('left_over')")
    with pytest.raises(AssertionError, match="replication slot"):
        checks.check_database(world)
    world.admin.execute("SELECT pg_drop_replication_slot('left_over')")
    with world.session() as session:
        session.execute("BEGIN; CREATE TABLE left_over (); PREPARE TRANSACTION 'left over'")
        with pytest.raises(AssertionError, match="prepared transaction"):
            checks.check_database(world)
        session.execute("ROLLBACK PREPARED 'left over'")


def test_the_check_of_processes_can_fail(world):
    orphan = subprocess.Popen(
        [BIN / "pg_insync_connector"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=world.cluster.data
    )  # fmt: skip
    try:
        with pytest.raises(AssertionError, match=str(orphan.pid)):
            checks.check_processes(world)
    finally:
        orphan.kill()
        orphan.wait()
        orphan.stdin.close()
    checks.check_processes(world)


def test_the_check_of_files_can_fail(world):
    directory = world.cluster.data / "base/pgsql_tmp"
    directory.mkdir(exist_ok=True)
    (directory / "left_over").touch()
    with pytest.raises(AssertionError, match="left_over"):
        checks.check_files(world)
    (directory / "left_over").unlink()


def test_the_check_of_failures_can_fail(world):
    kill = [fault for fault in FAULTS if fault.name == "connector killed"]
    gone = ("sales_sqlite", "failed", "08006", "connector exited unexpectedly (signal 9: Killed)")
    truth.check_failures(world, [gone], kill)
    for failure in ((*gone[:3], ""), (*gone[:3], "something else"), (*gone[:2], "XX000", gone[3])):
        with pytest.raises(AssertionError, match="sales_sqlite"):
            truth.check_failures(world, [failure], kill)


@pytest.mark.parametrize(
    "statement, says",
    [
        ("UPDATE insync.watermark SET failures = 1; UPDATE insync.run SET message = NULL", None),
        ("DELETE FROM insync.stream WHERE name = 'sales_sqlite'", "streams"),
    ],
)
def test_the_check_of_status_can_fail(spoiled, statement, says):
    for part in statement.split("; "):
        spoiled.admin.execute(part)
    lies = truth.status_lies(spoiled, spoiled.admin)
    assert lies and (says is None or says in str(lies)), lies


def test_the_check_of_the_log_can_fail(world):
    control = truth.Control(world)
    control.check_log()
    control.check_alive()
    with open(world.cluster.log_file, "a") as log:
        log.write("PANIC:  a test\n")
    with pytest.raises(AssertionError, match="a test"):
        control.check_log()
    world.admin.execute("SELECT pg_terminate_backend(%s)", control.session.info.backend_pid)
    with pytest.raises(Exception, match="terminat"):
        control.check_alive()
    control.close()
