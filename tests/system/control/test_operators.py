"""Roles that operate the streams of others, and functions that PostgREST serves to GET."""

import psycopg
import pytest
from harness import Database


@pytest.fixture
def operator(db, shop):
    """A role that may operate, connected; and a stream `ventas` of the superuser's with a rejected row."""
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, producto text, cantidad int CHECK (cantidad < 10), precio numeric, actualizado timestamp)")
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    assert db.run("ventas")["rejected"] == 1
    name = f"operator_{db.name}"
    db.execute(f"CREATE ROLE {name} LOGIN")
    db.execute("SELECT sync_grant(%s, 'operate')", name)
    session = Database(db.cluster, db.name, name)
    yield session
    session.close()
    db.execute(f"DROP OWNED BY {name} CASCADE")
    db.execute(f"DROP ROLE {name}")


def refused(session, sql, *parameters, sqlstate="42501"):
    with pytest.raises(psycopg.Error) as raised:
        session.execute(sql, *parameters)
    assert raised.value.sqlstate == sqlstate, raised.value


def test_an_operator_runs_and_stops_streams(db, operator, shop):
    shop.execute("INSERT INTO ventas VALUES (9, 'nuevo', 1, 1, '2026-01-01 10:00:00')")
    assert operator.run("ventas")["inserted"] == 1
    assert db.value("SELECT count(*) FROM ventas") == 5
    assert operator.query("SELECT sync_pause('ventas')") == [("ventas",)]
    assert operator.status("ventas")["state"] == "stopped"
    assert operator.query("SELECT sync_resume('%')") == [("ventas",)]
    assert operator.query("SELECT * FROM sync_cancel('ventas')") == []


def test_an_operator_sees_what_becomes_of_streams(db, operator):
    assert operator.status("ventas")["rejects"] == 1
    assert operator.query("SELECT stream, status FROM insync.run ORDER BY id LIMIT 1") == [("ventas", "succeeded")]
    for name in ("sync_gaps()", "sync_coverage()", "sync_health()", "sync_options()", "sync_presets()"):
        operator.query(f"SELECT * FROM {name}")


def test_an_operator_changes_nothing(db, operator):
    for sql in (
        "SELECT sync_alter('ventas', '{\"deletes\": \"hard\"}')", "SELECT sync_drop('ventas')", "SELECT sync_reset('ventas')",
        "SELECT * FROM sync_replay('ventas')", "SELECT * FROM sync_create('x', 'tienda', 'ventas')", "CALL sync_run('ventas')",
        "SELECT * FROM sync_ingest('ventas', '[]')", "SELECT * FROM sync_explain('ventas')", "SELECT * FROM sync_preview('tienda', 'ventas')",
        "SELECT * FROM sync_backfill('ventas')", "SELECT sync_grant('postgres', 'operate')", "SELECT * FROM ventas",
        "UPDATE insync.stream SET paused = true", "SELECT options FROM insync.stream", "SELECT record FROM insync.error",
        "SELECT position FROM insync.watermark",
    ):  # fmt: skip
        refused(operator, sql)


def test_what_was_granted_is_taken_back(db, operator):
    db.execute("SELECT sync_revoke(%s)", operator.user)
    refused(operator, "SELECT * FROM sync_trigger('ventas')")
    refused(operator, "SELECT * FROM sync_status()")
    db.execute("SELECT sync_grant(%s, 'use')", operator.user)
    assert operator.query("SELECT * FROM sync_status()") == [], "others' streams are none of its business any more"
    refused(operator, "SELECT * FROM sync_trigger('ventas')")
    refused(db, "SELECT sync_grant(%s, 'everything')", operator.user, sqlstate="22023")


READS = ("sync_gaps", "sync_coverage", "sync_health", "sync_options", "sync_presets", "sync_status")


def test_what_only_looks_is_stable(db):
    """PostgREST runs GET in a transaction that can't write, and refuses volatile functions to it."""
    found = db.query("SELECT proname, provolatile FROM pg_proc WHERE proname LIKE 'sync\\_%%' AND provolatile <> 'v' ORDER BY 1")
    assert found == [(name, "s") for name in sorted(READS)]


def test_what_only_looks_can_be_called_where_nothing_can_be_written(db, operator):
    for session in (db, operator):
        for name in READS:
            session.execute(f"BEGIN READ ONLY; SELECT * FROM {name}(); COMMIT")
