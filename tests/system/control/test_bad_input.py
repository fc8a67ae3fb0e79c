"""Bad input gets a clear error before anything is stored."""

import psycopg
import pytest


def refused(db, sql, *parameters):
    """The error of a statement that must fail: message, detail and hint in one text, and nothing stored."""
    with pytest.raises(psycopg.Error) as raised:
        db.execute(sql, *parameters)
    error = raised.value.diag
    assert error.sqlstate != "XX000", f"an internal error: {error.message_primary}"
    return " | ".join(part for part in (error.message_primary, error.message_detail, error.message_hint) if part)


CREATE = "SELECT * FROM sync_create('ventas', 'tienda', {source}{more})"


def refused_stream(db, more="", source="'ventas'"):
    text = refused(db, CREATE.format(source=source, more=f", {more}" if more else ""))
    assert db.query("SELECT * FROM sync_status()") == []
    assert db.value("SELECT to_regclass('ventas')::text") is None
    return text


def test_an_unknown_server_option(db):
    text = refused(db, "CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', databse '/x')")
    assert "databse" in text and '"database"' in text


def test_a_password_in_the_server(db):
    text = refused(db, "CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', password 'x')")
    assert "password" in text and "user mapping" in text.lower()


@pytest.mark.parametrize("keyword", ["PWD", "Password", "UID"])
def test_a_password_in_the_connection_string(db, keyword):
    text = refused(
        db, f"CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (connection_string 'DRIVER=SQLite3;{keyword}=secret1')"
    )
    assert "secret1" not in text


def test_a_driver_that_is_not_allowed(db):
    text = refused(db, "CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver '/tmp/evil.so')")
    assert "insync.odbc_drivers" in text


@pytest.mark.parametrize("options", ["driver 'SQLite3', dsn 'x'", "host 'x'", ""])
def test_a_server_needs_one_way_to_its_source(db, options):
    text = refused(db, f"CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS ({options})" if options else "CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc")
    assert "driver" in text


@pytest.mark.parametrize("value", ["0", "99999", "x"])
def test_a_port_that_is_none(db, value):
    assert "port" in refused(db, f"CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'FreeTDS', host 'h', port '{value}')")


def test_an_unknown_server(db, shop):
    text = refused(db, "SELECT * FROM sync_create('ventas', 'tienta', 'ventas')")
    assert '"tienta"' in text and "tienda" in text


def test_a_server_of_another_kind(db):
    db.execute("CREATE EXTENSION file_fdw")
    db.execute("CREATE SERVER files FOREIGN DATA WRAPPER file_fdw")
    assert "files" in refused(db, "SELECT * FROM sync_create('ventas', 'files', 'ventas')")


@pytest.mark.wall
def test_an_unknown_stream_option(db, shop):
    text = refused_stream(db, """options => '{"lookbak": "1 minute"}'""")
    assert "lookbak" in text and '"lookback"' in text


@pytest.mark.parametrize(
    "options, named",
    [
        ('{"mode": "sometimes"}', "incremental"),
        ('{"batch_rows": "many"}', "batch_rows"),
        ('{"batch_rows": -5}', "batch_rows"),
        ('{"lookback": "soon"}', "lookback"),
        ('{"max_rejects": "a lot"}', "max_rejects"),
        ('{"columns": ["id"]}', "columns"),
        ('{"source_time_zone": "Europe/Atlantis"}', "Europe/Atlantis"),
        ('{"deletes": "soft"}', "deleted_column"),
        ("[1]", "options"),
    ],
)
def test_an_option_value_that_is_none(db, shop, options, named):
    assert named in refused_stream(db, f"options => '{options}'")


def test_an_unknown_source(db, shop):
    text = refused_stream(db, source="'bentas'")
    assert "bentas" in text and "ventas" in text.replace("bentas", "")


@pytest.mark.parametrize("argument", ["key", "watermark"])
def test_an_unknown_column(db, shop, argument):
    text = refused_stream(db, f"{argument} => 'actualizdo'")
    assert "actualizdo" in text and '"actualizado"' in text


def test_a_source_without_a_key(db, shop):
    shop.execute("CREATE TABLE sueltas (a INTEGER, b TEXT)")
    text = refused_stream(db, "watermark => 'a'", source="'sueltas'")
    assert "key" in text


def test_a_source_that_is_no_statement(db, shop):
    text = refused_stream(db, source="'SELECT id, FROM ventas'")
    assert "syntax" in text.lower()


def test_a_watermark_that_is_never_set(db, shop):
    shop.execute("ALTER TABLE ventas ADD COLUMN vacia TIMESTAMP")
    assert "vacia" in refused_stream(db, "watermark => 'vacia'")


def test_a_watermark_without_an_order(db, shop):
    shop.execute("ALTER TABLE ventas ADD COLUMN foto BLOB")
    shop.execute("UPDATE ventas SET foto = x'00'")
    assert "foto" in refused_stream(db, "watermark => 'foto'")


def test_a_key_that_is_not_unique_fails_the_first_load(db, shop):
    db.create_stream("ventas", "tienda", "ventas", key="producto", watermark="actualizado")
    shop.execute("INSERT INTO ventas VALUES (6, 'Piñones', 1, 1, '2025-01-01 00:00:00')")
    run = db.run("ventas", expect="failed")
    assert "producto" in run["message"] and "unique" in run["message"]
    assert db.value("SELECT count(*) FROM ventas") == 0


def test_a_target_without_a_unique_key(db, shop):
    db.execute("CREATE TABLE destino (id bigint, producto text)")
    text = refused(db, CREATE.format(source="'ventas'", more=", target => 'destino', key => 'id'"))
    assert "destino" in text and "unique" in text
    db.execute("CREATE UNIQUE INDEX ON destino (id) WHERE id > 0")
    assert "unique" in refused(db, CREATE.format(source="'ventas'", more=", target => 'destino', key => 'id'"))


def test_a_target_that_is_no_table(db, shop):
    db.execute("CREATE VIEW destino AS SELECT 1 AS id")
    assert "destino" in refused(db, CREATE.format(source="'ventas'", more=", target => 'destino', key => 'id'"))


@pytest.mark.parametrize("schedule", ["every day", "* * * *", "61 * * * *", "-5 seconds", "0 seconds", ""])
def test_a_schedule_that_is_none(db, shop, schedule):
    text = refused_stream(db, f"schedule => '{schedule}'")
    assert "schedule" in text


@pytest.mark.wall
@pytest.mark.parametrize(
    "options, named",
    [
        ("""{"columns": {"total": "cantidad * preco"}}""", "preco"),
        ("""{"columns": {"total": "cantidad *"}}""", "syntax"),
        ("""{"columns": {"total": "1); DROP TABLE ventas; --"}}""", "syntax"),
        ("""{"filter": "precio >> "}""", "syntax"),
        ("""{"filter": "presio > 1"}""", "presio"),
        ("""{"filter": "cantidad"}""", "boolean"),
    ],
)
def test_an_expression_that_does_not_compile(db, shop, options, named):
    assert named in refused_stream(db, f"options => $${options}$$")


@pytest.mark.wall
def test_an_error_in_an_expression_has_its_position(db, shop):
    with pytest.raises(psycopg.Error) as raised:
        db.execute(CREATE.format(source="'ventas'", more=""", options => '{"filter": "precio > 1 AND presio > 2"}'"""))
    diagnosis = raised.value.diag
    assert "presio" in diagnosis.message_primary
    assert diagnosis.internal_position or diagnosis.statement_position, "where in the expression?"


def test_a_name_that_is_taken(db, shop):
    db.create_stream("ventas", "tienda", "ventas")
    assert "ventas" in refused(db, "SELECT * FROM sync_create('ventas', 'tienda', 'ventas')")
    assert db.value("SELECT count(*) FROM sync_status()") == 1


@pytest.mark.parametrize(
    "call",
    ["sync_alter('bentas', '{}')", "sync_drop('bentas')", "sync_reset('bentas')", "sync_replay('bentas')", "sync_explain('bentas')"],
)
def test_an_unknown_stream(db, shop, call):
    db.create_stream("ventas", "tienda", "ventas")
    text = refused(db, f"SELECT {call}")
    assert '"bentas"' in text and '"ventas"' in text


def test_alter_checks_like_create(db, shop):
    db.create_stream("ventas", "tienda", "ventas")
    before = db.query("SELECT options, schedule FROM insync.stream")
    for options in ('{"filtr": "true"}', '{"filter": "presio > 1"}', '{"schedule": "every day"}', '{"batch_rows": 0}'):
        refused(db, "SELECT sync_alter('ventas', %s::jsonb)", options)
    assert db.query("SELECT options, schedule FROM insync.stream") == before


def test_a_reset_to_what_is_no_watermark(db, shop):
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    assert "mañana" in refused(db, "SELECT sync_reset('ventas', 'mañana')")


def test_null_arguments(db, shop):
    for call in ("sync_create(NULL, 'tienda', 'ventas')", "sync_create('v', NULL, 'ventas')", "sync_create('v', 'tienda', NULL)"):
        refused(db, f"SELECT {call}")


def test_sql_server_without_a_server(db):
    """FreeTDS against a port on which nobody listens: the reason arrives, and no secret."""
    from harness.environment import free_port

    db.create_server("erp", user="sa", password="s3cr3t-x", driver="FreeTDS", host="127.0.0.1", port=free_port(), database="erp", connect_timeout="5 s")
    steps = db.dicts("SELECT * FROM sync_test('erp')")
    assert not steps[-1]["ok"] and steps[-1]["message"]
    assert "s3cr3t-x" not in str(steps) and "s3cr3t-x" not in db.cluster.log()
    text = refused(db, "SELECT * FROM sync_create('ventas', 'erp', 'dbo.ventas')")
    assert "s3cr3t-x" not in text
