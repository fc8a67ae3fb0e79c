"""What the apply statement does with targets of every make."""

from datetime import datetime, timezone

import psycopg
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


@pytest.mark.parametrize("policy", ["add", "ignore"])
def test_a_users_column_stays_his_when_the_source_gains_one_of_its_name(db, source, policy):
    db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text, nota text)")
    db.create_stream("piezas", "taller", "piezas", options={"new_columns": policy, "columns": {"nombre": "upper(nombre)"}})
    db.run("piezas")
    db.execute("UPDATE piezas SET nota = 'mía'")
    source.script("ALTER TABLE piezas ADD COLUMN nota TEXT; UPDATE piezas SET nota = 'suya', nombre = 'z'")
    for _ in range(2):  # however often the source has it
        run = db.run("piezas")
        assert 'column "nota"' in run["message"] and "stays as it is" in run["message"] or "is not the stream's" in run["message"]
        assert db.query("SELECT DISTINCT nombre, nota FROM piezas") == [("Z", "mía")]
    # The statement that the message names has it filled.
    statement = run["message"][run["message"].index("SELECT"):run["message"].index(" has it filled")]
    db.execute(statement)
    run = db.run("piezas")
    assert run["updated"] == 3 and run["message"] in (None, "")
    assert db.query("SELECT DISTINCT nombre, nota FROM piezas") == [("Z", "suya")]


def test_a_column_that_the_user_adds_later_is_his_own(db, source):
    """The source had that name when the stream was made, and the target didn't."""
    db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text)")
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    db.execute("ALTER TABLE piezas ADD COLUMN estado text DEFAULT 'mío'")
    source.execute("UPDATE piezas SET nombre = 'z'")
    run = db.run("piezas")
    assert run["updated"] == 3 and 'column "estado"' in run["message"]
    assert db.query("SELECT DISTINCT nombre, estado FROM piezas") == [("z", "mío")]


def test_a_new_column_that_the_user_has_fails_where_new_columns_do(db, source):
    db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nota text)")
    db.create_stream("piezas", "taller", "piezas", options={"new_columns": "fail"})
    db.run("piezas")
    source.execute("ALTER TABLE piezas ADD COLUMN nota TEXT")
    message = db.run("piezas", expect="failed")["message"]
    assert 'the source has a new column "nota"' in message and "sync_alter" in message


def test_a_column_that_the_stream_added_stays_its_own(db, source):
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    source.script("ALTER TABLE piezas ADD COLUMN nota TEXT; UPDATE piezas SET nota = 'a'")
    assert 'new column "nota" was added' in db.run("piezas")["message"]
    source.execute("UPDATE piezas SET nota = 'b'")
    run = db.run("piezas")
    assert run["updated"] == 3 and run["message"] in (None, "")
    assert db.query("SELECT DISTINCT nota FROM piezas") == [("b",)]


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
    assert "the table is shared" in db.value("SELECT message FROM insync.run WHERE id = %s", run_id)
    assert db.value("SELECT count(*) FROM ventas WHERE id > 100") == 2


def test_rows_that_say_that_they_were_deleted_are_deleted(db, source):
    """Option deleted_when: hard, soft, and beside an operation column."""
    source.script("ALTER TABLE piezas ADD COLUMN baja INTEGER; ALTER TABLE piezas ADD COLUMN op VARCHAR(10)")
    for name, options in {
        "duras": {"deletes": "hard", "deleted_when": "baja = 1 -- de baja"},
        "blandas": {"deletes": "soft", "deleted_column": "borrada", "deleted_when": "baja = 1"},
        "dobles": {"deletes": "hard", "deleted_when": "baja = 1", "operation_column": "op"},
    }.items():
        db.create_stream(name, "taller", "piezas", target=name, options=options)
        assert db.run(name)["inserted"] == 3
    source.execute("UPDATE piezas SET baja = 1, nombre = NULL WHERE id = 1")
    source.execute("UPDATE piezas SET op = 'delete' WHERE id = 2")
    assert [db.counts(db.run(name)) for name in ("duras", "blandas", "dobles")] == [(0, 1, 1, 1, 0), (0, 2, 1, 0, 0), (0, 0, 1, 2, 0)]
    assert db.query("SELECT id FROM duras ORDER BY id") == [(2,), (3,)]
    assert db.query("SELECT id, borrada IS NOT NULL, nombre IS NULL FROM blandas ORDER BY id") == [(1, True, False), (2, False, False), (3, False, False)]
    assert db.query("SELECT id FROM dobles") == [(3,)]
    source.execute("UPDATE piezas SET baja = 0, nombre = 'vuelve' WHERE id = 1")
    assert [db.counts(db.run(name))[0] for name in ("duras", "blandas")] == [1, 0]
    assert db.query("SELECT nombre, borrada FROM blandas WHERE id = 1") == [("vuelve", None)]


@pytest.mark.parametrize("condition, message", [("baja", 'column "baja" does not exist'), ("id + 1", "option deleted_when must be boolean, not bigint")])
def test_a_condition_for_deletes_is_checked(db, source, condition, message):
    with pytest.raises(psycopg.Error, match=message):
        db.create_stream("piezas", "taller", "piezas", options={"deletes": "hard", "deleted_when": condition})


def test_an_incremental_stream_is_reconciled_as_often_as_it_says(db, source):
    """What vanished at the source is found by a full run that the schedule makes; the others stay incremental."""
    source.script("ALTER TABLE piezas ADD COLUMN cambiada TIMESTAMP; UPDATE piezas SET cambiada = '2025-01-01 00:00:00'")
    options = {"deletes": "hard", "reconcile": "1 hour", "max_deletes": "100%"}
    db.create_stream("piezas", "taller", "piezas", watermark="cambiada", schedule="1 second", options=options)
    read = "SELECT last_poll FROM insync.live()"

    def polls(count):
        for _ in range(count):
            before = db.value(read)
            wait_for(lambda before=before: db.value(read) > before, "a poll")

    wait_for(lambda: db.query("SELECT FROM piezas") and db.value(read), "the first load")  # its rows are seen before its time
    source.execute("DELETE FROM piezas WHERE id = 2")
    polls(2)
    assert db.value("SELECT count(*) FROM piezas") == 3, "an incremental read doesn't find it"
    db.execute("UPDATE insync.stream SET created_at = now() - interval '2 hours'")
    wait_for(lambda: db.value("SELECT count(*) FROM piezas") == 2, "the full run")
    polls(2)
    assert db.query("SELECT trigger, deleted FROM insync.run WHERE mode = 'full'") == [("schedule", 1)]
    source.execute("DELETE FROM piezas WHERE id = 3")
    polls(2)
    assert db.value("SELECT count(*) FROM piezas") == 2, "the next one is due in an hour"
    db.execute("UPDATE insync.watermark SET reconciled_at = now() - interval '2 hours'")
    wait_for(lambda: db.value("SELECT count(*) FROM piezas") == 1, "the next full run")
    source.execute("INSERT INTO piezas (id, nombre, cambiada) VALUES (9, 'nueva', '2025-01-02 00:00:00')")
    wait_for(lambda: db.value("SELECT count(*) FROM piezas") == 2, "an incremental read to go on from where it was")


@pytest.mark.parametrize(
    "type, expression, before, left",
    [
        ("text", "lower(batch.codigo)", ["A", "B", "a", "b"], {"a": 1, "b": 2}),  # they ascend, and two are one
        ("char(3)", None, ["a", "a ", "b"], {"a  ": 1, "b  ": 3}),
        ("varchar(1)", None, ["a", "a ", "b"], {"a": 1, "b": 3}),
        ("text COLLATE sin_mayusculas", None, ["A", "B", "a", "b"], {"a": 1, "b": 2}),
        ("codigo", None, ["a", "a ", "b"], {"a  ": 1, "b  ": 3}),
        ("bigint", None, ["01", "1", "2"], {1: 1, 2: 3}),
        ("numeric(3)", None, ["1.1", "1.2", "3"], {3: 3}),
        ("timestamptz(0)", "(batch.codigo || ' UTC')::timestamptz", ["2024-01-01 10:00:00.1", "2024-01-01 10:00:00.2"],
         {datetime(2024, 1, 1, 10, tzinfo=timezone.utc): 1}),
    ],
)
@pytest.mark.parametrize("empty", [True, False], ids=["insert", "merge"])
def test_keys_that_only_the_target_takes_for_the_same(db, sqlite, type, expression, before, left, empty):
    """What ascends at the source needn't be unique here: the first row of a key stays, whether it is inserted or merged."""
    db.execute("CREATE COLLATION sin_mayusculas (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    db.execute("CREATE DOMAIN codigo AS char(3)")
    sqlite.execute("CREATE TABLE claves (codigo TEXT PRIMARY KEY, n INTEGER)")
    sqlite.many("INSERT INTO claves VALUES (?, ?)", [(codigo, n) for n, codigo in enumerate(before, 1)])
    db.create_server("taller", **sqlite.server_options())
    db.execute(f"CREATE TABLE claves (codigo {type} PRIMARY KEY, n integer)")
    if not empty:
        db.execute(f"INSERT INTO claves SELECT '{'9' if type != 'timestamptz(0)' else 'today'}', 9")
    options = {"columns": {"codigo": expression}} if expression else {}
    db.create_stream("claves", "taller", "claves", target="claves", key="codigo", options=options)
    run = db.run("claves")
    assert run["rejected"] == len(before) - len(left), db.errors("claves")
    held = dict(db.query("SELECT codigo, n FROM claves WHERE n <> 9"))
    assert {key.lower() if isinstance(key, str) else key: n for key, n in held.items()} == left


@pytest.mark.parametrize("empty", [True, False], ids=["insert", "merge"])
def test_rows_in_the_order_of_their_key(db, sqlite, empty):
    """Batches that ascend need no sorting; what comes in another order, or NULL, is as right."""
    db.create_server("taller", **sqlite.server_options())
    sqlite.execute("CREATE TABLE ordenes (tienda INTEGER, id INTEGER, n INTEGER, cambio INTEGER, PRIMARY KEY (tienda, id))")
    sqlite.many("INSERT INTO ordenes VALUES (?, ?, ?, ?)", [(t, i, -i, 7 * i % 100) for t in range(-2, 3) for i in range(-50, 50)])
    db.execute("CREATE TABLE ordenes (id smallint, n numeric, tienda text, cambio integer, PRIMARY KEY (tienda, id))")
    if not empty:
        db.execute("INSERT INTO ordenes SELECT i, -1, t, 0 FROM generate_series(-50, 49) i, generate_series(-1, 2) t")
    db.create_stream("ordenes", "taller", "ordenes", target="ordenes", watermark="cambio", options={"batch_rows": 64})
    run = db.run("ordenes")
    assert run["rejected"] == 0 and run["inserted"] == (500 if empty else 100)
    sqlite.execute("UPDATE ordenes SET n = n + 1000, cambio = cambio + 200")
    assert db.run("ordenes")["updated"] == 500
    assert db.query("SELECT tienda::int, id, n::int FROM ordenes ORDER BY 1, 2") == sqlite.query(
        "SELECT tienda, id, n FROM ordenes ORDER BY 1, 2"
    )
