"""Triggers of targets: they run as in a statement of the stream's owner, and what they make of a row is made once."""

import pytest

from harness import wait_for


@pytest.fixture
def source(db, sqlite):
    sqlite.execute("CREATE TABLE piezas (id INTEGER PRIMARY KEY, nombre TEXT, alta TIMESTAMP, codigo TEXT)")
    sqlite.many("INSERT INTO piezas VALUES (?, ?, ?, ?)", [(id, f"pieza {id}", "2025-01-01 23:30:00", chr(64 + id)) for id in (1, 2, 3)])
    db.create_server("taller", **sqlite.server_options())
    db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text, alta timestamptz, codigo text, dia date)")
    return sqlite


@pytest.fixture
def owner(db):
    """A role with a schema of its own, whose settings say where names are found and when days begin."""
    db.execute("CREATE ROLE dueno; CREATE SCHEMA suyo AUTHORIZATION dueno; GRANT USAGE ON FOREIGN SERVER taller TO dueno")
    db.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON piezas TO dueno")
    db.execute("ALTER ROLE dueno SET search_path = suyo, public; ALTER ROLE dueno SET timezone = 'UTC'")
    db.execute(f"ALTER ROLE dueno IN DATABASE {db.name} SET timezone = 'Pacific/Auckland'")
    yield "dueno"
    db.execute("DROP OWNED BY dueno CASCADE; DROP ROLE dueno")


def stream(db, owner, **options):
    db.create_stream("piezas", "taller", "piezas", target="piezas", options={"source_time_zone": "UTC"} | options)
    db.alter_stream("piezas", owner=owner)


LOG = (
    "CREATE TABLE suyo.registro (cuando text, usuario text, ruta text, zona text, filas text);"
    "CREATE FUNCTION suyo.anota() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " INSERT INTO registro VALUES (TG_WHEN || ' ' || TG_LEVEL || ' ' || TG_OP, current_user, current_setting('search_path'),"
    " current_setting('timezone'), current_setting('enable_seqscan')); RETURN coalesce(NEW, OLD); END $$;"
    "GRANT ALL ON suyo.registro TO dueno"
)
EVENTS = {
    "before-row": ("BEFORE INSERT OR UPDATE OR DELETE", "FOR EACH ROW"),
    "after-row": ("AFTER INSERT OR UPDATE OR DELETE", "FOR EACH ROW"),
    "before-statement": ("BEFORE INSERT OR UPDATE OR DELETE", "FOR EACH STATEMENT"),
    "after-statement": ("AFTER INSERT OR UPDATE OR DELETE", "FOR EACH STATEMENT"),
}


@pytest.mark.wall
@pytest.mark.parametrize("event, level", EVENTS.values(), ids=EVENTS)
@pytest.mark.parametrize("how", ["worker", "call"])
def test_a_trigger_finds_names_as_its_owner_does(db, source, owner, event, level, how):
    db.execute(LOG)
    db.execute(f"CREATE TRIGGER anota {event} ON piezas {level} EXECUTE FUNCTION suyo.anota()")
    stream(db, owner, deletes="hard", max_deletes="100%")

    def run():
        if how == "worker":
            db.run("piezas")
        else:
            db.execute("SET search_path = pg_catalog; SET timezone = 'Asia/Tokyo'")
            db.execute("CALL public.sync_run('piezas')")
            assert db.value("SELECT current_setting('search_path') || current_setting('timezone')") == "pg_catalogAsia/Tokyo"
            db.execute("RESET search_path; RESET timezone")

    run()
    source.execute("UPDATE piezas SET nombre = 'otra' WHERE id = 1")
    source.execute("DELETE FROM piezas WHERE id = 3")
    run()
    assert db.query("SELECT DISTINCT usuario, ruta, zona, filas FROM suyo.registro") == [("dueno", "suyo, public, pg_temp", "Pacific/Auckland", "on")]
    assert {event.split()[2] for (event,) in db.query("SELECT cuando FROM suyo.registro")} == {"INSERT", "UPDATE", "DELETE"}


def test_expressions_and_the_rest_of_the_statement_stay_pinned(db, source, owner):
    """Around the triggers that are called row by row, and whatever these SET."""
    db.execute("CREATE FUNCTION suyo.cambia() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " SET search_path = suyo; SET timezone = 'Asia/Tokyo'; NEW.dia := NEW.alta::date; RETURN NEW; END $$;"
               "CREATE TRIGGER cambia BEFORE INSERT ON piezas FOR EACH ROW EXECUTE FUNCTION suyo.cambia()")  # fmt: skip
    db.execute("CREATE FUNCTION suyo.ajuste() RETURNS text LANGUAGE plpgsql AS $$ BEGIN"
               " RETURN current_setting('search_path') || ' ' || current_setting('timezone'); END $$")  # fmt: skip
    db.execute("GRANT EXECUTE ON FUNCTION suyo.ajuste() TO dueno")
    stream(db, owner, columns={"nombre": "suyo.ajuste()"})
    assert db.run("piezas")["inserted"] == 3
    assert db.query("SELECT DISTINCT nombre FROM piezas") == [("pg_catalog, pg_temp UTC",)]


SWITCHES = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material", "jit")


def test_functions_of_expressions_plan_with_the_session_s_switches(db, source, owner):
    """Only the statement that applies a batch is planned to look rows up by their key."""
    looks = " || ' ' || ".join(f"current_setting('{name}')" for name in SWITCHES)
    db.execute(f"CREATE FUNCTION suyo.ajuste() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN {looks}; END $$")
    db.execute("GRANT EXECUTE ON FUNCTION suyo.ajuste() TO dueno")
    stream(db, owner, columns={"nombre": "suyo.ajuste()"}, deletes="hard", deleted_when="suyo.ajuste() = 'x'")
    db.run("piezas")
    session = db.value(f"SELECT {looks}")
    assert db.query("SELECT DISTINCT nombre FROM piezas") == [(session,)]
    assert "on" in session


def test_rows_are_looked_up_by_key_and_the_target_is_not_scanned(db, source, owner):
    """Also where the planner, without statistics, would take another plan."""
    source.many("INSERT INTO piezas VALUES (?, ?, ?, ?)", [(id, f"pieza {id}", "2025-01-01 23:30:00", "x") for id in range(10, 3000)])
    stream(db, owner, deletes="hard", max_deletes="100%")
    db.run("piezas")
    scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'piezas'"
    db.execute("SELECT pg_stat_force_next_flush()")
    before = db.value(scans)
    source.execute("UPDATE piezas SET nombre = 'otra' WHERE id > 10")
    db.execute("CALL sync_run('piezas')")
    db.execute("SELECT pg_stat_force_next_flush()")
    assert db.value("SELECT count(*) FROM piezas WHERE nombre = 'otra'") > 2000
    assert before is not None and db.value(scans) - before <= 3  # vanished rows are looked for with a scan, and we have just counted


def test_what_a_trigger_function_sets_for_itself_goes_first(db, source, owner):
    db.execute(LOG)
    db.execute("ALTER FUNCTION suyo.anota() SET search_path = pg_catalog, suyo")
    db.execute("CREATE TRIGGER anota BEFORE INSERT ON piezas FOR EACH ROW EXECUTE FUNCTION suyo.anota()")
    stream(db, owner)
    db.run("piezas")
    assert db.query("SELECT DISTINCT ruta, zona FROM suyo.registro") == [("pg_catalog, suyo", "Pacific/Auckland")]


def test_days_begin_where_the_owner_has_them_begin(db, source, owner):
    db.execute("CREATE FUNCTION suyo.fecha() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.dia := NEW.alta::date; RETURN NEW; END $$;"
               "CREATE TRIGGER fecha BEFORE INSERT OR UPDATE ON piezas FOR EACH ROW EXECUTE FUNCTION suyo.fecha()")  # fmt: skip
    stream(db, owner)
    db.run("piezas")
    assert db.query("SELECT DISTINCT dia::text FROM piezas") == [("2025-01-02",)]


def test_a_trigger_that_fails_and_is_caught_leaves_the_settings_as_they_were(db, source, owner):
    db.execute(LOG)
    db.execute("CREATE TABLE suyo.otra (id bigint);"
               "CREATE FUNCTION suyo.falla() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
               "CREATE TRIGGER falla BEFORE INSERT ON suyo.otra FOR EACH ROW EXECUTE FUNCTION suyo.falla();"
               "CREATE FUNCTION suyo.prueba() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " BEGIN INSERT INTO otra VALUES (1); EXCEPTION WHEN raise_exception THEN NULL; END; RETURN NEW; END $$;"
               "CREATE TRIGGER a_prueba BEFORE INSERT ON piezas FOR EACH ROW EXECUTE FUNCTION suyo.prueba();"
               "CREATE TRIGGER b_anota BEFORE INSERT ON piezas FOR EACH ROW EXECUTE FUNCTION suyo.anota();"
               "GRANT ALL ON suyo.otra TO dueno")  # fmt: skip
    stream(db, owner)
    assert db.run("piezas")["inserted"] == 3
    assert db.query("SELECT DISTINCT ruta, zona FROM suyo.registro") == [("suyo, public, pg_temp", "Pacific/Auckland")]


def test_a_trigger_can_not_reach_a_temporary_table_of_the_caller(db, source, owner):
    """Who calls a stream of another's must not have that one's trigger write into a table of the session."""
    db.execute(LOG)
    db.execute("CREATE TRIGGER anota BEFORE INSERT ON piezas FOR EACH ROW EXECUTE FUNCTION suyo.anota()")
    stream(db, owner)
    db.execute("CREATE TEMP TABLE registro (LIKE suyo.registro); GRANT ALL ON registro TO PUBLIC")
    db.execute("CALL sync_run('piezas')")
    assert db.value("SELECT count(*) FROM pg_temp.registro") == 0 and db.value("SELECT count(*) FROM suyo.registro") > 0


# ---------------------------------------------------------------------------------------------- rows that triggers change


def versions(db):
    return db.query("SELECT id, xmin::text, ctid::text FROM piezas ORDER BY id")


@pytest.mark.wall
@pytest.mark.parametrize("partitioned", [False, True], ids=["table", "partitions"])
def test_a_row_that_a_trigger_changes_is_not_written_again(db, source, partitioned):
    if partitioned:
        db.execute("DROP TABLE piezas; CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text, alta timestamptz, codigo text, dia date)"
                   " PARTITION BY RANGE (id); CREATE TABLE p PARTITION OF piezas DEFAULT")  # fmt: skip
    db.execute("CREATE FUNCTION mayusculas() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " NEW.nombre := upper(NEW.nombre) || repeat('Ñ', 5000); RETURN NEW; END $$;"
               "CREATE TRIGGER m BEFORE INSERT OR UPDATE ON piezas FOR EACH ROW EXECUTE FUNCTION mayusculas()")  # fmt: skip
    db.create_stream("piezas", "taller", "piezas", target="piezas", options={"source_time_zone": "UTC"})
    assert db.run("piezas")["inserted"] == 3
    before = versions(db)
    assert db.counts(db.run("piezas")) == (0, 0, 3, 0, 0)
    assert versions(db) == before
    source.execute("UPDATE piezas SET nombre = 'otra' WHERE id = 2")
    assert db.counts(db.run("piezas")) == (0, 1, 2, 0, 0)
    assert db.value("SELECT nombre LIKE 'OTRAÑ%' FROM piezas WHERE id = 2")
    assert [b == a for b, a in zip(before, versions(db))] == [True, False, True]
    db.execute("DROP TRIGGER m ON piezas")
    assert db.run("piezas")["updated"] == 3, "and as the source has them, where nothing changes them any more"


def test_the_time_at_which_a_row_was_touched_is_no_change_of_it(db, source):
    db.execute("ALTER TABLE piezas ADD COLUMN tocada timestamptz, ADD COLUMN original text")
    db.execute("CREATE FUNCTION toca() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " NEW.original := NEW.nombre; NEW.nombre := upper(NEW.nombre); NEW.tocada := now(); RETURN NEW; END $$;"
               "CREATE TRIGGER m BEFORE INSERT OR UPDATE ON piezas FOR EACH ROW EXECUTE FUNCTION toca()")  # fmt: skip
    db.create_stream("piezas", "taller", "piezas", target="piezas", options={"source_time_zone": "UTC"})
    db.run("piezas")
    before = versions(db)
    assert db.counts(db.run("piezas")) == (0, 0, 3, 0, 0) and versions(db) == before
    source.execute("UPDATE piezas SET nombre = 'Pieza 1' WHERE id = 1")
    assert db.counts(db.run("piezas")) == (0, 1, 2, 0, 0), "what only the trigger keeps has changed"
    assert db.value("SELECT original FROM piezas WHERE id = 1") == "Pieza 1"


def test_a_soft_delete_at_this_very_time_is_a_change(db, source):
    db.execute("ALTER TABLE piezas ADD COLUMN borrada timestamptz")
    db.execute("CREATE FUNCTION nada() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
               "CREATE TRIGGER n BEFORE UPDATE ON piezas FOR EACH ROW EXECUTE FUNCTION nada()")  # fmt: skip
    options = {"source_time_zone": "UTC", "deletes": "soft", "deleted_column": "borrada", "deleted_when": "batch.nombre = 'baja'"}
    db.create_stream("piezas", "taller", "piezas", target="piezas", options=options)
    db.run("piezas")
    source.execute("UPDATE piezas SET nombre = 'baja' WHERE id = 1")
    db.run("piezas")
    assert db.value("SELECT count(*) FROM piezas WHERE borrada IS NOT NULL") == 1


def test_quiet_polls_stay_quiet_beside_such_a_trigger(db, source):
    db.execute("CREATE FUNCTION mayusculas() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.nombre := upper(NEW.nombre); RETURN NEW; END $$;"
               "CREATE TRIGGER m BEFORE INSERT OR UPDATE ON piezas FOR EACH ROW EXECUTE FUNCTION mayusculas()")  # fmt: skip
    db.create_stream("piezas", "taller", "piezas", target="piezas", schedule="1 second", options={"source_time_zone": "UTC"})
    wait_for(lambda: db.value("SELECT count(*) FROM piezas") == 3, "the first load")
    wait_for(lambda: db.value("SELECT polls FROM insync.live()") > 1, "polls that write nothing")
    assert db.value("SELECT count(*) FROM insync.run") == 1


# -------------------------------------------------------------------------------------------------- values that are swapped


def swap(source):
    source.execute("UPDATE piezas SET codigo = CASE id WHEN 1 THEN 'B' WHEN 2 THEN 'A' ELSE codigo END")


@pytest.mark.parametrize("bad", [False, True], ids=["alone", "beside-a-bad-row"])
def test_two_rows_swap_a_unique_value_where_the_constraint_can_wait(db, source, bad):
    db.execute("ALTER TABLE piezas ADD UNIQUE (codigo) DEFERRABLE, ADD CHECK (nombre <> 'mala')")
    db.create_stream("piezas", "taller", "piezas", target="piezas", options={"source_time_zone": "UTC"})
    db.run("piezas")
    swap(source)
    if bad:
        source.execute("UPDATE piezas SET nombre = 'mala' WHERE id = 3")
    run = db.run("piezas")
    assert (run["updated"], run["rejected"]) == (2, int(bad))
    assert db.query("SELECT codigo FROM piezas ORDER BY id") == [("B",), ("A",), ("C",)]


def test_where_it_can_not_wait_the_reject_says_what_to_do_and_that_helps(db, source):
    db.execute("ALTER TABLE piezas ADD CONSTRAINT uno UNIQUE (codigo)")
    db.create_stream("piezas", "taller", "piezas", target="piezas", options={"source_time_zone": "UTC"})
    db.run("piezas")
    swap(source)
    assert db.run("piezas")["rejected"] == 2
    message = db.errors("piezas")[0]["message"]
    statement = message[message.index("ALTER TABLE") : message.rindex(";")]
    assert statement == "ALTER TABLE public.piezas DROP CONSTRAINT uno, ADD CONSTRAINT uno UNIQUE (codigo) DEFERRABLE"
    db.execute(statement)
    assert db.run("piezas")["updated"] == 2 and db.errors("piezas") == []


@pytest.mark.parametrize("shift", [1, -1], ids=["up", "down"])
def test_rows_that_hand_a_unique_value_on_need_no_such_constraint(db, source, shift):
    """A new first place in a list: each row takes the place of the next one."""
    db.execute("ALTER TABLE piezas ADD UNIQUE (codigo)")
    db.create_stream("piezas", "taller", "piezas", target="piezas", options={"source_time_zone": "UTC"})
    source.execute("DELETE FROM piezas")
    source.many("INSERT INTO piezas VALUES (?, 'n', '2025-01-01 00:00:00', ?)", [(id, str(100 + id)) for id in range(1, 31)])
    db.run("piezas")
    source.execute("UPDATE piezas SET codigo = CAST(codigo AS INTEGER) + ?", (shift,))
    assert db.run("piezas")["rejected"] == 0
    assert db.query("SELECT id, codigo FROM piezas ORDER BY id") == [(id, str(100 + id + shift)) for id in range(1, 31)]
