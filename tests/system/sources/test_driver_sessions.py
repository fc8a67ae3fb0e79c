"""Drivers that misbehave (tests/driver) in a session of a user, and a connector that lies itself: the call fails, can be
ended, and leaves a session that works."""

import ctypes
import itertools
import os
import re

import psycopg
import pytest
from harness import wait_for
from harness.driver_stream import ROWS, db, driver, driver_cluster, order, shared_db  # noqa: F401
from harness.environment import BUILD
from harness.misbehaving import PASSWORD

numbers = itertools.count(1)

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
    order(db, "100s", misbehave="hang", at=at, note=note)
    session = db.connect()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(session.execute, CALLS[call])
    wait_for(note.exists, f"{call} to hang at {at}")
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
    order(db, "100s", misbehave="hang", at="connect")
    with db.connect() as session:
        session.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute(CALLS[call])
        session.execute("RESET statement_timeout")
        assert session.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend", "sync_cancel"])
def test_a_worker_that_hangs_can_be_ended(db, how):
    note = db.cluster.directory / f"note-{next(numbers)}"
    order(db, "100s", misbehave="hang", at="fetch", note=note)
    run_id = db.trigger("ventas")
    wait_for(note.exists, "the run to hang")
    assert db.status("ventas")["state"] == "running"
    if how == "sync_cancel":
        db.query("SELECT * FROM sync_cancel('ventas')")
    else:
        (worker,) = db.cluster.workers(db.name)
        db.value(f"SELECT {how}(%s)", worker)
    wait_for(lambda: db.value("SELECT status FROM insync.run WHERE id = %s", run_id) != "running" or how == "pg_terminate_backend", "its end")


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
