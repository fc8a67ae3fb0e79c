"""What the apply statement does with targets of every make."""

import pytest

from harness import wait_for

ROWS = [(1, "alta", "a", "{1,2}"), (2, "baja", "b", "{}"), (3, "alta", "c", "{3}")]


@pytest.fixture
def source(db, sqlite):
    sqlite.execute("CREATE TABLE piezas (id INTEGER PRIMARY KEY, estado TEXT, nombre TEXT, medidas TEXT)")
    sqlite.many("INSERT INTO piezas VALUES (?, ?, ?, ?)", ROWS)
    db.create_server("taller", **sqlite.server_options())
    return sqlite


@pytest.mark.wall
def test_enums_arrays_domains_and_identity_by_cast(db, source):
    db.execute("CREATE TYPE estado AS ENUM ('alta', 'baja')")
    db.execute("CREATE DOMAIN corto AS varchar(3) CHECK (VALUE <> 'x')")
    db.execute(
        "CREATE TABLE piezas (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, estado estado, nombre corto, medidas int[],"
        " total bigint GENERATED ALWAYS AS (id * 10) STORED)"
    )
    db.create_stream("piezas", "taller", "piezas")
    run = db.run("piezas")
    assert (run["inserted"], run["rejected"]) == (3, 0)
    assert db.query("SELECT id, estado::text, nombre::text, medidas, total FROM piezas ORDER BY id") == [
        (1, "alta", "a", [1, 2], 10), (2, "baja", "b", [], 20), (3, "alta", "c", [3], 30)
    ]
    source.execute("UPDATE piezas SET nombre = 'largo' WHERE id = 1")
    source.execute("UPDATE piezas SET nombre = 'x' WHERE id = 2")
    source.execute("UPDATE piezas SET estado = 'media' WHERE id = 3")
    assert db.run("piezas")["rejected"] == 3
    errors = {error["key"]["id"]: (error["sqlstate"], error["column_name"]) for error in db.errors("piezas")}
    assert errors == {"1": ("22001", "nombre"), "2": ("23514", "nombre"), "3": ("22P02", "estado")}
    assert db.query("SELECT nombre::text FROM piezas ORDER BY id") == [("a",), ("b",), ("c",)], "the last good version stays"


def test_columns_that_no_stream_names_belong_to_the_users(db, source):
    db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text, nota text DEFAULT 'nueva')")
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    db.execute("UPDATE piezas SET nota = 'mía' WHERE id = 2")
    source.execute("UPDATE piezas SET nombre = 'otra' WHERE id = 2")
    assert db.run("piezas")["updated"] == 1
    assert db.query("SELECT nombre, nota FROM piezas ORDER BY id") == [("a", "nueva"), ("otra", "mía"), ("c", "nueva")]


def test_deferred_triggers_run_as_the_owner(db, source):
    """A deferred trigger fires at commit, when the worker is a superuser again: it must have fired before."""
    db.execute("CREATE ROLE dueno")
    try:
        db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text); CREATE TABLE quien (usuario text)")
        db.execute("CREATE FUNCTION anota() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                   " INSERT INTO public.quien VALUES (current_user); RETURN NULL; END $$")
        db.execute("CREATE CONSTRAINT TRIGGER anota AFTER INSERT ON piezas DEFERRABLE INITIALLY DEFERRED"
                   " FOR EACH ROW EXECUTE FUNCTION anota()")
        db.execute("GRANT SELECT, INSERT, UPDATE ON piezas TO dueno; GRANT INSERT ON quien TO dueno;"
                   "GRANT USAGE ON FOREIGN SERVER taller TO dueno")
        db.create_stream("piezas", "taller", "piezas")
        db.execute("SELECT sync_alter('piezas', '{\"owner\": \"dueno\"}')")
        db.run("piezas")
        assert db.query("SELECT DISTINCT usuario FROM quien") == [("dueno",)]
    finally:
        db.execute("DROP OWNED BY dueno; DROP ROLE dueno")


@pytest.mark.wall
def test_a_value_over_the_limit_is_rejected_alone(db, source):
    db.execute("ALTER DATABASE " + db.name + " SET insync.max_value = '1MB'")
    source.execute("UPDATE piezas SET nombre = ? WHERE id = 2", ("ñ" * 1_000_000,))
    db.close()
    db.create_stream("piezas", "taller", "piezas")
    run = db.run("piezas")
    assert (run["inserted"], run["rejected"]) == (2, 1)
    (error,) = db.errors("piezas")
    assert error["key"] == {"id": "2"} and error["column_name"] == "nombre" and "limit" in error["message"]


def test_a_lock_on_the_target_delays_and_loses_nothing(db, source):
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    source.execute("UPDATE piezas SET nombre = 'z'")
    with db.connect(autocommit=False) as blocker:
        blocker.execute("UPDATE piezas SET nombre = 'mía' WHERE id = 2")
        run_id = db.trigger("piezas")
        wait_for(lambda: db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") > 0, "the worker to wait")
        blocker.commit()
    assert db.wait(run_id) == "succeeded"
    assert db.query("SELECT DISTINCT nombre FROM piezas") == [("z",)]


def test_a_deadlock_is_tried_again(db, source):
    db.execute("CREATE TABLE otra (id int); INSERT INTO otra VALUES (1)")
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    db.execute("CREATE FUNCTION cruza() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " PERFORM 1 FROM public.otra FOR UPDATE; RETURN NEW; END $$")
    db.execute("CREATE TRIGGER cruza BEFORE UPDATE ON piezas FOR EACH ROW WHEN (NEW.id = 3) EXECUTE FUNCTION cruza()")
    source.execute("UPDATE piezas SET nombre = 'z'")
    with db.connect(autocommit=False) as user:
        user.execute("SET deadlock_timeout = '100s'")  # the worker finds the deadlock, and gives way
        user.execute("SELECT 1 FROM otra FOR UPDATE")
        run_id = db.trigger("piezas")
        wait_for(lambda: db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") > 0, "the worker to wait")
        user.execute("UPDATE piezas SET nombre = 'mía' WHERE id = 1")
        user.commit()
    assert db.wait(run_id) == "succeeded"
    assert db.query("SELECT DISTINCT nombre FROM piezas") == [("z",)]


@pytest.mark.wall
def test_a_foreground_run_that_fails_while_applying_is_recorded(db, source):
    """The error comes out of the middle of SPI; the run's record and what was committed before must survive it."""
    db.create_stream("piezas", "taller", "piezas")
    db.execute("CALL sync_run('piezas')")
    db.execute("CREATE FUNCTION estalla() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " EXECUTE 'SELECT * FROM public.no_hay'; RETURN NEW; END $$")
    db.execute("CREATE TRIGGER estalla BEFORE UPDATE ON piezas FOR EACH ROW EXECUTE FUNCTION estalla()")
    source.execute("UPDATE piezas SET nombre = 'z'")
    with pytest.raises(Exception, match="no_hay"):
        db.execute("CALL sync_run('piezas')")
    assert db.dict("SELECT status, sqlstate FROM insync.run ORDER BY id DESC LIMIT 1") == {"status": "failed", "sqlstate": "42P01"}
    db.execute("DROP TRIGGER estalla ON piezas")
    db.execute("CALL sync_run('piezas')")
    assert db.query("SELECT DISTINCT nombre FROM piezas") == [("z",)]


def test_a_trigger_that_refuses_a_row_rejects_it(db, source):
    db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text)")
    db.execute("CREATE FUNCTION niega() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " IF NEW.id = 2 THEN RAISE EXCEPTION 'pieza vetada'; END IF; RETURN NEW; END $$")
    db.execute("CREATE TRIGGER niega BEFORE INSERT ON piezas FOR EACH ROW EXECUTE FUNCTION niega()")
    db.create_stream("piezas", "taller", "piezas")
    run = db.run("piezas")
    assert (run["inserted"], run["rejected"]) == (2, 1)
    (error,) = db.errors("piezas")
    assert error["sqlstate"] == "P0001" and "pieza vetada" in error["message"]


def test_a_connection_string_names_its_driver(db, source):
    path = source.server_options()["database"]
    db.execute(f"CREATE SERVER cadena FOREIGN DATA WRAPPER insync_odbc OPTIONS (connection_string 'Driver=SQLite3;Database={path}')")
    assert all(ok for (ok,) in db.query("SELECT ok FROM sync_test('cadena')"))
    db.create_stream("piezas", "cadena", "piezas")
    assert db.run("piezas")["inserted"] == 3


def test_a_stream_made_meanwhile_keeps_its_rows(db, shop):
    """A full read that began when the target was its own must not take another stream's rows for vanished ones."""
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, producto text, cantidad int, precio numeric, actualizado timestamp)")
    db.create_stream("ventas", "tienda", "ventas", options={"deletes": "hard", "max_deletes": "100%"})
    shop.script("CREATE TABLE otras (id INTEGER PRIMARY KEY, producto VARCHAR(40)); INSERT INTO otras VALUES (101, 'Té'), (102, 'Mate')")
    db.create_server("otra", **shop.server_options())
    with db.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO ventas (id) VALUES (3)")
        run_id = db.trigger("ventas")
        wait_for(lambda: db.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"), "the run to wait")
        db.create_stream("otras", "otra", "otras", target="ventas")
        assert db.run("otras")["inserted"] == 2
        blocker.rollback()
    assert db.wait(run_id) == "failed"
    assert "which other streams write too" in db.value("SELECT message FROM insync.run WHERE id = %s", run_id)
    assert db.value("SELECT count(*) FROM ventas WHERE id > 100") == 2
