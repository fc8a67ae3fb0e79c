"""A stream can be made while its source is away, if all that the source would be asked for is given; its first run checks it."""

import psycopg
import pytest
from harness.rest import Plain, Table

TARGET = "CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric, tocado timestamp)"
GIVEN = {"target": "ventas", "key": "id", "watermark": "tocado"}


@pytest.fixture
def away(db, postgres):
    """A server whose port nobody listens at, until come_back() is called."""
    postgres.query("CREATE TABLE ventas (id int PRIMARY KEY, fecha date, importe numeric(10,2), tocado timestamp)")
    postgres.query("INSERT INTO ventas SELECT n, date '2026-01-01' + n, n / 4.0, timestamp '2026-01-01' + n * interval '1 hour' FROM generate_series(1, 50) AS n")
    options = dict(postgres.server_options)
    port = options["port"]
    db.create_server("tienda", user=options.pop("user"), password=options.pop("password"), **(options | {"port": "1"}))
    db.execute(TARGET)
    postgres.come_back = lambda: db.execute(f"ALTER SERVER tienda OPTIONS (SET port '{port}')")
    return postgres


def test_it_is_checked_and_loaded_when_the_source_comes_back(db, away):
    made = db.create_stream("ventas", "tienda", "ventas", **GIVEN, options={"slice_column": "fecha"})
    assert (made["key_columns"], made["watermark_columns"], made["mode"], made["created"]) == ("id", "tocado", "incremental", False)
    assert "never been reached" in str(refused(db, "SELECT * FROM sync_backfill('ventas', '2026-01-01', '2026-02-01')"))
    assert "never been reached" in str(refused(db, "SELECT * FROM sync_explain('ventas')"))
    db.alter_stream("ventas", batch_rows=20)
    run = db.run("ventas", expect="failed")
    assert run["rows_read"] == 0
    assert db.value("SELECT severity FROM sync_gaps('ventas')") == "critical"
    away.come_back()
    db.run("ventas")
    assert db.query("SELECT id, fecha, importe, tocado FROM ventas ORDER BY id") == away.query("SELECT * FROM ventas ORDER BY id")
    assert db.query("SELECT watermark_kind, source_key, source_key_unique FROM insync.stream") == [("time", ["id"], True)]
    assert db.value("SELECT sum(rows) FROM insync.slice") == 50
    away.query("INSERT INTO ventas VALUES (51, '2026-03-01', 1, '2026-02-01 00:00')")
    assert db.run("ventas")["inserted"] == 1


def test_what_was_given_wrongly_fails_the_first_run_and_says_why(db, away):
    db.create_stream("ventas", "tienda", "ventas", target="ventas", key="id", watermark="cambiado")
    away.come_back()
    run = db.run("ventas", expect="failed")
    assert "cambiado" in run["message"] and db.value("SELECT count(*) FROM ventas") == 0
    away.query("ALTER TABLE ventas RENAME tocado TO cambiado")
    db.execute("ALTER TABLE ventas RENAME tocado TO cambiado")
    assert db.run("ventas")["inserted"] == 50


@pytest.mark.parametrize("given", [GIVEN | {"target": None}, GIVEN | {"key": None}, GIVEN | {"watermark": None}])
def test_what_is_not_given_cannot_be_asked_for(db, away, given):
    error = refused(db, "SELECT sync_create('ventas', 'tienda', 'ventas', %s, %s, %s)", given["target"], given["key"], given["watermark"])
    assert "While the source cannot be reached" in error.diag.message_hint and db.query("SELECT FROM insync.stream") == []


def test_a_target_is_not_made_by_guesses(db, away):
    db.execute("DROP TABLE ventas")
    assert str(refused(db, "SELECT sync_create('ventas', 'tienda', 'ventas', 'ventas', 'id', 'tocado')")).startswith('target "ventas" does not exist')


def test_a_full_stream_of_an_api(db):
    with Plain(Table("items", [{"id": n, "name": f"n{n}"} for n in range(30)])) as api:
        url = api.url
    db.create_rest_server("api", url, retries=0)
    db.execute("CREATE TABLE items (id bigint PRIMARY KEY, name text)")
    db.create_stream("items", "api", "items", target="items", key="id", options={"mode": "full"})
    db.run("items", expect="failed")
    with Plain(Table("items", [{"id": n, "name": f"n{n}"} for n in range(30)]), port=int(url.rsplit(":", 1)[1].rstrip("/"))):
        db.run("items")
    assert db.value("SELECT count(*) FROM items") == 30


def refused(db, sql, *parameters):
    with pytest.raises(psycopg.Error) as caught:
        db.execute(sql, *parameters)
    return caught.value
