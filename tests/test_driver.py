"""A source can't hurt the database: an ODBC driver that crashes, hangs, lies and litters (tests/driver) fails one run with
an error that says what happened. The server goes on, other sessions don't notice, nothing is left behind, and the next
run after the driver came to its senses succeeds."""

import ctypes
import datetime
import decimal
import itertools
import os
import re

import psycopg
import pytest
from harness import Database, MisbehavingDriver, wait_for
from harness.environment import BUILD
from harness.misbehaving import PASSWORD

numbers = itertools.count(1)
ROWS = 10


@pytest.fixture(scope="module")
def driver():
    driver = MisbehavingDriver()
    yield driver
    driver.remove()


@pytest.fixture(scope="module")
def driver_cluster(driver):
    with driver.cluster(**{"insync.max_value": "1MB"}) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def shared_db(driver_cluster):
    """One stream `ventas`, made while the driver behaved; each test gives it orders and takes them back."""
    driver_cluster.create_database("tienda")
    db = Database(driver_cluster, "tienda")
    options = {"driver": MisbehavingDriver.name, "driver_options": MisbehavingDriver.orders(rows=ROWS)}
    db.create_server("tienda", user="etl", password=PASSWORD, connect_timeout="1s", query_timeout="1s", **options)
    db.create_stream("ventas", "tienda", "ventas", options={"max_retries": 0})
    yield db
    db.close()


def order(db, **orders):
    db.execute(f"ALTER SERVER tienda OPTIONS (SET driver_options '{MisbehavingDriver.orders(**({'rows': ROWS} | orders))}')")


def expected_row(number):
    day = datetime.date(2025, 1, number % 28 + 1)
    time = datetime.datetime(day.year, day.month, day.day, 10, 0, 0, 123000)
    return (number, f"nombre {number}", decimal.Decimal(f"{number}.25"), number + 0.5, day, time)


def rows(db):
    return db.query("SELECT id, nombre, total, peso, dia, hecho FROM ventas ORDER BY id")


def assert_target_is_right(db, count=ROWS):
    assert rows(db) == [expected_row(number) for number in range(1, count + 1)]


@pytest.fixture
def db(shared_db, driver, driver_cluster):
    """The stream with an empty target, and around the test the promise: the server, a session that was open all along, the
    log and the process table are as if nothing had happened, and the driver that behaves again is read in full."""
    postmaster = driver_cluster.postmaster_pid()
    shared_db.execute("TRUNCATE ventas")
    with shared_db.connect() as control, driver_cluster.log_of() as log:
        control.execute("CREATE TEMPORARY TABLE mine AS SELECT 42 AS answer")
        yield shared_db
        assert control.execute("SELECT answer FROM mine").fetchone() == (42,)
        assert driver_cluster.postmaster_pid() == postmaster
        order(shared_db)
        shared_db.execute("TRUNCATE ventas")
        shared_db.execute("ALTER SERVER tienda OPTIONS (SET driver 'Misbehaving')")
        shared_db.run("ventas")
        assert_target_is_right(shared_db)
        assert shared_db.status("ventas")["state"] == "idle"
        wait_for(lambda: not driver.processes(), "every connector and what it started to be gone")
        assert PASSWORD not in log()
        for trouble in ("was terminated by signal", "PANIC", "terminating any other active server processes"):
            assert trouble not in log()


def failed(db, *words):
    """Runs the stream, which must fail, and returns what the run and the status say; each word is a pattern."""
    run = db.run("ventas", expect="failed")
    status = db.wait_for_state("ventas", "error")
    assert status["message"] and run["ended_at"] is not None
    assert PASSWORD not in run["message"]
    for word in words:
        assert re.search(word, run["message"]), run["message"]
    return run["message"]


SIGNAL = {"segfault": "signal 11", "abort": "signal 6", "overflow": "signal 11", "exit": "status 0"}
PLACES = ["connect", "execute", "fetch"]


# -------------------------------------------------------------------------------------------------- crashes


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("deed", SIGNAL)
def test_a_driver_that_crashes(db, deed, at):
    order(db, misbehave=deed, at=at)
    failed(db, "the connector is gone", SIGNAL[deed])
    assert rows(db) == []


@pytest.mark.parametrize("at", PLACES)
def test_a_driver_that_throws(db, at):
    order(db, misbehave="throw", at=at)
    failed(db, "C\\+\\+ exception", "std::runtime_error")


@pytest.mark.parametrize("deed", [*SIGNAL, "throw"])
def test_a_library_that_crashes_when_it_is_loaded(db, deed):
    db.execute(f"ALTER SERVER tienda OPTIONS (SET driver 'constructor-{deed}')")
    failed(db, "the connector is gone|C\\+\\+ exception")


@pytest.mark.parametrize("deed", [*SIGNAL, "throw", "hang"])
def test_a_library_that_fails_when_it_is_unloaded_has_done_its_work(db, deed):
    db.execute(f"ALTER SERVER tienda OPTIONS (SET driver 'destructor-{deed}')")
    db.run("ventas")
    assert_target_is_right(db)


@pytest.mark.parametrize("deed", [*SIGNAL, "throw", "hang"])
def test_a_driver_that_fails_at_the_farewell_has_done_its_work(db, deed):
    order(db, misbehave=deed, at="disconnect")
    db.run("ventas")
    assert_target_is_right(db)


def test_a_crash_after_batches_keeps_what_was_committed(db):
    db.alter_stream("ventas", batch_rows=500, page_rows=500)
    order(db, misbehave="segfault", at="late-fetch", rows=3000)
    failed(db, "signal 11")
    committed = db.value("SELECT count(*) FROM ventas")
    assert 0 < committed < 3000 and committed % 500 == 0
    order(db, rows=3000)
    db.run("ventas")
    assert_target_is_right(db, 3000)
    db.alter_stream("ventas", batch_rows=None, page_rows=None)


# ------------------------------------------------------------------------------- hangs, memory, processes, descriptors


@pytest.mark.parametrize("deed, at", [("hang", "connect"), ("hang", "execute"), ("hang", "fetch"), ("loop", "fetch")])
def test_a_driver_that_hangs(db, deed, at):
    order(db, misbehave=deed, at=at)
    failed(db, "silent for", "query_timeout")


def test_a_stream_s_own_time_for_a_query_comes_before_its_server_s(db):
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '100s')")
    db.alter_stream("ventas", query_timeout="1s")
    order(db, misbehave="hang", at="fetch")
    try:
        failed(db, "silent for 3 seconds", "query_timeout")
    finally:
        db.alter_stream("ventas", query_timeout=None)
        db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '1s')")


def test_a_library_that_hangs_when_it_is_loaded(db):
    db.execute("ALTER SERVER tienda OPTIONS (SET driver 'constructor-hang')")
    failed(db, "silent for")


@pytest.mark.parametrize("at", ["connect", "fetch"])
@pytest.mark.parametrize("deed", ["allocate", "map"])
def test_a_driver_that_eats_memory(db, deed, at):
    order(db, misbehave=deed, at=at)
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '20s')")
    failed(db, "out of memory|the connector is gone")
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '1s')")


@pytest.mark.parametrize("at", ["connect", "fetch"])
@pytest.mark.parametrize("deed", ["print", "complain", "read-input", "surroundings", "fork"])
def test_a_driver_that_litters_is_read_all_the_same(db, driver_cluster, deed, at):
    """Junk on its standard output and error, reading the standard input, another locale, umask, directory and signal
    handlers, a child that stays: none of it reaches the rows, the log or the system."""
    order(db, misbehave=deed, at=at)
    size = driver_cluster.log_file.stat().st_size
    db.run("ventas")
    assert_target_is_right(db)
    assert driver_cluster.log_file.stat().st_size - size < 100_000


@pytest.mark.parametrize("at", PLACES)
def test_a_driver_that_closes_what_is_not_its_own(db, at):
    order(db, misbehave="close", at=at)
    failed(db, "the connector is gone")


def test_a_child_of_a_driver_that_hangs(db):
    order(db, misbehave="fork-and-hang", at="fetch")
    failed(db, "silent for")


def test_a_child_that_holds_the_pipe_of_a_driver_that_crashed(db):
    """The pipe stays open, so only the dead connector itself tells that nothing more will come."""
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '100s')")
    order(db, misbehave="fork-and-crash", at="fetch")
    started = db.value("SELECT clock_timestamp()")
    failed(db, "signal 11")
    assert db.value("SELECT clock_timestamp()") - started < datetime.timedelta(seconds=60)
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '1s')")


# --------------------------------------------------------------------------------------------------- lies about data


@pytest.mark.parametrize("value", ["invalid-utf8", "nul"])
def test_texts_that_are_none_are_mended(db, value):
    order(db, misbehave="text", value=value)
    db.run("ventas")
    assert "�" in db.value("SELECT nombre FROM ventas WHERE id = 3")


@pytest.mark.parametrize(
    "orders, column",
    [
        ({"misbehave": "text", "value": "number"}, "total"),
        ({"misbehave": "date", "value": "month"}, "dia"),
        ({"misbehave": "date", "value": "year"}, "hecho"),
        ({"misbehave": "date", "value": "hour"}, "hecho"),
        ({"misbehave": "indicator", "value": 2**31}, "nombre"),
        ({"misbehave": "indicator", "value": 2**63 - 1}, "nombre"),
        ({"misbehave": "endless-chunks"}, "nombre"),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values()) if isinstance(value, dict) else value,
)
def test_one_impossible_value_costs_one_row(db, orders, column):
    db.execute("DELETE FROM insync.error")
    order(db, **orders)
    assert db.run("ventas")["rejected"] == 1
    assert [number for number, *_ in rows(db)] == [number for number in range(1, ROWS + 1) if number != 3]
    (error,) = db.errors("ventas")
    assert (error["column_name"], error["record"]["id"]) == (column, "3")


@pytest.mark.parametrize("length", [-3, -(2**63)])
def test_an_impossible_length_ends_the_run(db, length):
    order(db, misbehave="indicator", value=length)
    failed(db, f"a value of {length} bytes", "nombre")


@pytest.mark.parametrize(
    "orders, words",
    [
        ({"misbehave": "row-count"}, "more rows than it was asked for"),
        ({"misbehave": "same-key"}, "order"),
        ({"misbehave": "unordered"}, "order"),
        ({"misbehave": "columns", "value": 0}, "has no columns"),
        ({"misbehave": "columns", "value": 1700}, "1700 columns.*1600"),
        ({"misbehave": "columns", "value": 32767}, "32767 columns.*1600"),
        ({"misbehave": "error", "at": "catalog"}, "out of memory or of ideas"),
        ({"misbehave": "error", "at": "execute", "value": "long"}, "out of memory or of ideas"),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values()) if isinstance(value, dict) else "",
)
def test_a_lie_about_the_whole_ends_the_run(db, orders, words):
    order(db, **orders)
    failed(db, words)


def test_diagnostics_without_an_end(db):
    """The driver manager itself collects them; that the connector dies or is killed for it is all that can be had."""
    order(db, misbehave="error", at="execute", value="endless")
    failed(db, "the connector")


# --------------------------------------------------------------------------------------------- in a session of a user

CALLS = {
    "sync_test": "SELECT * FROM sync_test('tienda')",
    "sync_discover": "SELECT * FROM sync_discover('tienda')",
    "sync_preview": "SELECT * FROM sync_preview('tienda', 'ventas')",
    "sync_create": "SELECT * FROM sync_create('otra', 'tienda', 'ventas', 'otra')",
    "sync_explain": "SELECT * FROM sync_explain('ventas')",
    "sync_run": "CALL sync_run('ventas')",
}
# Where each call is caught; what it asks the source for decides where it comes by.
HANGS = [(call, "connect") for call in CALLS] + [("sync_discover", "catalog"), ("sync_create", "execute"), ("sync_run", "fetch")]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("deed", ["segfault", "throw"])
def test_a_session_survives_the_driver(db, call, deed):
    order(db, misbehave=deed, at="connect")
    with db.connect() as session:
        if call == "sync_test":
            steps = session.execute(CALLS[call]).fetchall()
            assert not steps[-1][1] and steps[-1][3], steps
        else:
            with pytest.raises(psycopg.Error) as raised:
                session.execute(CALLS[call])
            assert raised.value.sqlstate in ("08006", "HV000"), raised.value
            assert PASSWORD not in str(raised.value)
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert db.query("SELECT * FROM sync_status('otra')") == []


def hanging(db, call, at):
    """Starts the call in a session of its own, in the driver's hang: the session, and a function that takes its result."""
    import concurrent.futures

    note = db.cluster.directory / f"note-{next(numbers)}"
    order(db, misbehave="hang", at=at, note=note)
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '100s', SET connect_timeout '100s')")
    session = db.connect()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(session.execute, CALLS[call])
    wait_for(note.exists, f"{call} to hang at {at}")
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '1s', SET connect_timeout '1s')")
    return session, lambda: future.result(60)


@pytest.mark.parametrize("call, at", HANGS)
def test_a_call_that_hangs_can_be_cancelled(db, call, at):
    session, result = hanging(db, call, at)
    with session:
        db.value("SELECT pg_cancel_backend(%s)", session.info.backend_pid)
        with pytest.raises(psycopg.errors.QueryCanceled):
            result()
        assert session.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("call, at", HANGS)
def test_a_call_that_hangs_can_be_terminated(db, call, at):
    session, result = hanging(db, call, at)
    db.value("SELECT pg_terminate_backend(%s)", session.info.backend_pid)
    with pytest.raises(psycopg.OperationalError):
        result()
    session.close()


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_hangs_keeps_to_statement_timeout(db, call):
    order(db, misbehave="hang", at="connect")
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '100s', SET connect_timeout '100s')")
    with db.connect() as session:
        session.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute(CALLS[call])
        session.execute("RESET statement_timeout")
        assert session.execute("SELECT 1").fetchone() == (1,)
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '1s', SET connect_timeout '1s')")


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend", "sync_cancel"])
def test_a_worker_that_hangs_can_be_ended(db, how):
    note = db.cluster.directory / f"note-{next(numbers)}"
    order(db, misbehave="hang", at="fetch", note=note)
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '100s')")
    run_id = db.trigger("ventas")
    wait_for(note.exists, "the run to hang")
    assert db.status("ventas")["state"] == "running"
    if how == "sync_cancel":
        db.query("SELECT * FROM sync_cancel('ventas')")
    else:
        (worker,) = db.cluster.workers(db.name)
        db.value(f"SELECT {how}(%s)", worker)
    wait_for(lambda: db.value("SELECT status FROM insync.run WHERE id = %s", run_id) != "running" or how == "pg_terminate_backend", "its end")
    db.execute("ALTER SERVER tienda OPTIONS (SET query_timeout '1s')")


@pytest.mark.parametrize("columns", [1700, 32767])
def test_a_table_wider_than_postgresql_s(db, columns):
    order(db, misbehave="columns", value=columns)
    with pytest.raises(psycopg.Error) as raised:
        db.execute(CALLS["sync_create"])
    assert f"{columns} columns" in str(raised.value) and "1600" in str(raised.value)
    assert db.value("SELECT to_regclass('otra')::text") is None


def test_a_session_does_not_wait_for_a_process_that_a_debugger_holds(db, driver):
    """A process that was killed is not gone while somebody traces it, as one that sleeps in the kernel isn't."""
    session, result = hanging(db, "sync_preview", "fetch")
    (connector,) = driver.processes()
    seize = 0x4206
    if ctypes.CDLL(None, use_errno=True).ptrace(seize, connector, 0, 0) != 0:
        db.value("SELECT pg_terminate_backend(%s)", session.info.backend_pid)
        pytest.skip(f"processes can't be traced here: {os.strerror(ctypes.get_errno())}")
    with session:
        backend = session.info.backend_pid
        db.value("SELECT pg_cancel_backend(%s)", backend)
        with pytest.raises(psycopg.errors.QueryCanceled):
            result()
        assert db.cluster.children(backend) == [connector], "the process is still held"
        os.waitpid(connector, 0x40000000)  # __WALL: the debugger lets go
        order(db)
        assert len(session.execute(CALLS["sync_preview"]).fetchall()) == ROWS
        assert db.cluster.children(backend) == [], "what ended late was reaped by the next call"


# ------------------------------------------------------------------------------------------ a connector that lies itself

FAKE_CONNECTOR = """#!/usr/bin/python3
import json, struct, sys

def send(kind, payload):
    data = json.dumps(payload).encode()
    sys.stdout.buffer.write(kind + struct.pack(">i", len(data)) + data)
    sys.stdout.buffer.flush()

send(b"H", {"protocol": 2, "build": BUILD})
for line in sys.stdin:
    if json.loads(line)["verb"] == "describe":
        columns = [{"name": name, "type": "int4", "pg_type": type, "source_type": "INT", "nullable": False}
                   for name, type in (("id", "integer"), ("valor", TYPE))]
        send(b"T", {"columns": columns, "primary_key": ["id"], "unique_keys": [], "kind": "table"})
    send(b"D", {})
"""


@pytest.mark.parametrize(
    "type_name",
    ["nonsense", "numeric(5000,2)", "public.evil", "record", "information_schema.sql_identifier", "integer, more integer",
     "integer) PARTITION BY RANGE (id", "serial", "integer GENERATED ALWAYS AS IDENTITY", "()"],
)  # fmt: skip
def test_a_type_that_no_column_can_have(db, type_name):
    """The type becomes part of a CREATE TABLE, so it is a type and nothing else."""
    build_id = re.search('INSYNC_BUILD_ID "(.*)"', (BUILD / "generated/build_id.hpp").read_text())[1]
    program = db.cluster.directory / "fake_connector"
    program.write_text(FAKE_CONNECTOR.replace("BUILD", repr(build_id)).replace("TYPE", repr(type_name)))
    program.chmod(0o755)
    with db.connect() as session:
        session.execute("DROP DOMAIN IF EXISTS public.evil")
        session.execute("CREATE DOMAIN public.evil AS integer CHECK (VALUE > 0)")
        session.execute(f"SET insync.connector = '{program}'")
        with pytest.raises(psycopg.Error) as raised:
            session.execute(CALLS["sync_create"])
        assert "type" in str(raised.value) and "valor" in str(raised.value)
        assert session.execute("SELECT to_regclass('otra')::text").fetchone() == (None,)
