"""Streams, their servers and their targets: which table a stream may take, what sync_drop() may drop, and what becomes of
a stream whose server or target is renamed, moved or dropped."""

import threading

import psycopg
import pytest
from harness import SqliteSource, wait_for


@pytest.fixture
def other_shop(db):
    """A second source with a table of the same name, whose keys are those of the first."""
    source = SqliteSource()
    source.script(
        "CREATE TABLE ventas (id INTEGER PRIMARY KEY, producto TEXT); INSERT INTO ventas VALUES (1, 'otra cosa'), (2, 'y otra')"
    )
    db.create_server("otra", **source.server_options())
    yield source
    source.close()


def refused(db, sql, *parameters, state):
    with pytest.raises(psycopg.Error) as raised:
        db.execute(sql, *parameters)
    assert raised.value.sqlstate == state, raised.value
    return raised.value.diag


def notices(db, sql):
    """What a statement tells beside its result."""
    told = []
    with db.connect() as session:
        session.add_notice_handler(lambda notice: told.append(notice.message_primary + "\n" + (notice.message_hint or "")))
        session.execute(sql)
    return "\n".join(told)


# ---------------------------------------------------------------------------------------------------- default targets


def test_a_default_target_that_another_stream_fills_is_refused(db, shop, other_shop):
    db.create_stream("ventas", "tienda", "ventas")
    db.run("ventas")
    before = db.query("SELECT * FROM ventas ORDER BY id")
    told = refused(db, "SELECT sync_create('ventas_b', 'otra', 'ventas')", state="42P07")
    assert 'default target public.ventas is filled by stream "ventas" already' in told.message_primary
    assert "target => " in told.message_hint and "constant column" in told.message_hint
    assert db.query("SELECT * FROM ventas ORDER BY id") == before
    assert db.create_stream("ventas_b", "otra", "ventas", target="ventas_b")["created"]


def test_an_empty_target_of_another_stream_is_taken_too(db, shop, other_shop):
    db.create_stream("ventas", "tienda", "ventas")
    refused(db, "SELECT sync_create('ventas_b', 'otra', 'ventas')", state="42P07")


def test_a_default_target_with_rows_is_refused_and_one_that_is_named_is_taken(db, shop):
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, producto text); INSERT INTO ventas VALUES (1, 'mine')")
    told = refused(db, "SELECT sync_create('ventas', 'tienda', 'ventas')", state="42P07")
    assert told.message_primary == "default target public.ventas exists and has rows"
    assert "target => 'public.ventas'" in told.message_hint
    assert not db.create_stream("ventas", "tienda", "ventas", target="public.ventas")["created"]


def test_a_default_target_that_exists_without_rows_is_taken(db, shop):
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, producto text)")
    assert not db.create_stream("ventas", "tienda", "ventas")["created"]


def test_streams_that_constants_tell_apart_share_a_default_target(db, shop, other_shop):
    for name, server in (("a", "tienda"), ("b", "otra")):
        db.create_stream(name, server, "ventas", key="origin,id", options={"columns": {"origin": f"'{name}'"}})
        db.run(name)
    assert db.query("SELECT origin, count(*) FROM ventas GROUP BY 1 ORDER BY 1") == [("a", 5), ("b", 2)]


def test_the_same_constant_tells_nothing_apart(db, shop, other_shop):
    db.create_stream("a", "tienda", "ventas", key="origin,id", options={"columns": {"origin": "'a'"}})
    refused(db, """SELECT sync_create('b', 'otra', 'ventas', key => 'origin,id', options => '{"columns": {"origin": "''a''"}}')""", state="42P07")


def test_names_that_are_equal_in_63_bytes_are_one_target(db, shop):
    name = "t" * 63
    shop.script(f"CREATE TABLE {name}a (id INTEGER PRIMARY KEY); CREATE TABLE {name}b (id INTEGER PRIMARY KEY)")
    db.create_stream("a", "tienda", name + "a")
    refused(db, "SELECT sync_create('b', 'tienda', %s)", name + "b", state="42P07")


def test_others_streams_are_not_told_by_name(db, shop):
    db.create_stream("secreta", "tienda", "ventas")
    role = f"maker_{db.name}"
    db.execute(f"CREATE ROLE {role} LOGIN; GRANT USAGE ON FOREIGN SERVER tienda TO {role}; GRANT ALL ON ventas TO {role}")
    db.execute("SELECT sync_grant(%s)", role)
    try:
        with db.connect(role) as session, pytest.raises(psycopg.Error) as raised:
            session.execute("SELECT sync_create('mia', 'tienda', 'ventas')")
        assert raised.value.sqlstate == "42P07" and "secreta" not in str(raised.value)
    finally:
        db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_shared_target_that_was_named_is_warned_of(db, shop, other_shop):
    db.create_stream("a", "tienda", "ventas")
    told = notices(db, "SELECT sync_create('b', 'otra', 'ventas', target => 'ventas')")
    assert 'fills the same table as stream "a"' in told


# ----------------------------------------------------------------------------------------------------- sync_drop()


def exists(db, table):
    return db.value("SELECT to_regclass(%s) IS NOT NULL", table)


def test_a_table_that_the_stream_made_is_dropped_with_it(db, shop):
    db.create_stream("ventas", "tienda", "ventas")
    db.run("ventas")
    assert notices(db, "SELECT sync_drop('ventas', true)") == ""
    assert not exists(db, "ventas")


@pytest.mark.parametrize("rows", ["", "INSERT INTO ventas VALUES (77, 'mine')"], ids=["empty", "with-rows"])
def test_a_table_of_the_users_is_not_dropped(db, shop, rows):
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, producto text);" + rows)
    db.create_stream("ventas", "tienda", "ventas", target="ventas")
    told = refused(db, "SELECT sync_drop('ventas', true)", state="2BP01")
    assert "cannot drop table public.ventas" in told.message_primary and "SELECT sync_drop('ventas');" in told.message_hint
    assert exists(db, "ventas") and db.status("ventas")
    db.execute("SELECT sync_drop('ventas')")
    assert exists(db, "ventas")


def test_a_table_that_others_fill_is_not_dropped_and_not_after_them(db, shop, other_shop):
    db.create_stream("a", "tienda", "ventas", key="origin,id", options={"columns": {"origin": "'a'"}})
    db.create_stream("b", "otra", "ventas", key="origin,id", options={"columns": {"origin": "'b'"}})
    db.run("b")
    for name in ("a", "b"):
        refused(db, f"SELECT sync_drop('{name}', true)", state="2BP01")
    db.execute("SELECT sync_drop('b')")
    refused(db, "SELECT sync_drop('a', true)", state="2BP01")
    assert db.value("SELECT count(*) FROM ventas") == 2


def test_a_table_that_took_the_targets_name_is_not_dropped(db, shop):
    db.create_stream("ventas", "tienda", "ventas")
    db.execute("DROP TABLE ventas; CREATE TABLE ventas (id bigint PRIMARY KEY)")
    refused(db, "SELECT sync_drop('ventas', true)", state="2BP01")
    assert exists(db, "ventas")


def test_a_table_that_something_refers_to_is_not_dropped(db, shop):
    db.create_stream("ventas", "tienda", "ventas")
    db.execute("CREATE TABLE notes (venta bigint REFERENCES ventas)")
    refused(db, "SELECT sync_drop('ventas', true)", state="2BP01")
    assert exists(db, "ventas") and db.status("ventas")


def test_a_renamed_table_is_still_the_one_that_the_stream_made(db, shop):
    db.create_stream("ventas", "tienda", "ventas")
    db.execute("CREATE SCHEMA otro; ALTER TABLE ventas RENAME TO sales; ALTER TABLE sales SET SCHEMA otro; CREATE TABLE ventas (id int)")
    db.execute("SELECT sync_drop('ventas', true)")
    assert not exists(db, "otro.sales") and exists(db, "ventas")


# ------------------------------------------------------------------------------------------------ renames and drops


@pytest.fixture
def ventas(db, shop):
    """A stream that has read its source, by watermark."""
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    db.run("ventas")
    return db


def one_more(shop):
    shop.execute("INSERT INTO ventas VALUES (6, 'Agua', 1, 1, '2025-01-07 12:00:00')")


@pytest.mark.parametrize("rename, server, target", [
    ("ALTER SERVER tienda RENAME TO shop", "shop", "public.ventas"),
    ("ALTER TABLE ventas RENAME TO sales", "tienda", "public.sales"),
    ("CREATE SCHEMA otro; ALTER TABLE ventas SET SCHEMA otro", "tienda", "otro.ventas"),
    ("CREATE SCHEMA otro; ALTER TABLE ventas SET SCHEMA otro; ALTER SCHEMA otro RENAME TO suyo", "tienda", "suyo.ventas"),
    ("SET session_replication_role = replica; ALTER TABLE ventas RENAME TO sales; RESET session_replication_role", "tienda", "public.sales"),
], ids=["server", "table", "move", "schema", "as-replica"])  # fmt: skip
def test_a_stream_follows_renames(ventas, shop, rename, server, target):
    ventas.execute(rename)
    status = ventas.status("ventas")
    assert (status["server"], status["target"]) == (server, target)
    one_more(shop)
    assert ventas.run("ventas")["inserted"] == 1
    assert ventas.value(f"SELECT count(*) FROM {target}") == 6


def test_a_rename_that_is_rolled_back_changes_nothing(ventas, shop):
    with ventas.connect(autocommit=False) as session:
        session.execute("ALTER TABLE ventas RENAME TO sales; ALTER SERVER tienda RENAME TO shop")
        session.rollback()
    one_more(shop)
    assert ventas.run("ventas")["inserted"] == 1


def test_a_server_with_streams_is_not_dropped_without_cascade(ventas, shop):
    told = refused(ventas, "DROP SERVER tienda", state="2BP01")
    assert 'stream "ventas" depends on server tienda' in told.message_detail and "CASCADE" in told.message_hint
    one_more(shop)
    assert ventas.run("ventas")["inserted"] == 1
    assert 'drop cascades to stream "ventas"' in notices(ventas, "DROP SERVER tienda CASCADE")
    assert ventas.query("SELECT FROM insync.stream") == [] and ventas.query("SELECT FROM insync.run") == []
    assert ventas.value("SELECT count(*) FROM ventas") == 6


def test_a_target_can_be_dropped_and_the_stream_says_so(ventas):
    assert 'the runs of stream "ventas" will fail' in notices(ventas, "DROP TABLE ventas")
    run = ventas.run("ventas", expect="failed")
    assert "target public.ventas does not exist" in run["message"]


def test_rows_do_not_stay_away_where_a_target_is_made_again(ventas, shop):
    """How far the stream has read is about the table that was dropped."""
    ventas.execute("CREATE TABLE copy (LIKE ventas INCLUDING ALL); DROP TABLE ventas; ALTER TABLE copy RENAME TO ventas")
    run = ventas.run("ventas", expect="failed")
    assert "is not the table that stream" in run["message"] and "sync_reset('ventas')" in run["message"]
    ventas.execute("SELECT sync_reset('ventas')")
    assert ventas.run("ventas")["inserted"] == 5


def test_a_target_that_is_rotated_within_a_run_gets_all_of_its_rows(db, shop):
    """Between two batches another table takes its name: what the run has still to write is the renamed one's."""
    shop.script("DELETE FROM ventas; WITH RECURSIVE i (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 40) INSERT INTO ventas SELECT i, 'p', 1, 1, '2025-01-06 09:00:00' FROM i")
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", options={"batch_rows": 10})
    db.execute("CREATE TABLE gate (id int); CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id = 25 THEN LOCK TABLE public.gate; END IF; RETURN NEW; END'")
    db.execute("CREATE TRIGGER t BEFORE INSERT ON ventas FOR EACH ROW EXECUTE FUNCTION wait_here()")
    with db.connect(autocommit=False) as gate, db.connect(autocommit=False) as other:
        gate.execute("LOCK TABLE gate")
        run_id = db.trigger("ventas")
        wait_for(lambda: db.query("SELECT FROM ventas WHERE id = 20"), "two batches")
        renaming = threading.Thread(target=lambda: other.execute("ALTER TABLE ventas RENAME TO ventas_2025; CREATE TABLE ventas (LIKE ventas_2025 INCLUDING ALL)") and other.commit())
        renaming.start()
        wait_for(lambda: db.query("SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted AND relation = 'ventas'::regclass"), "the table to be renamed")
        gate.rollback()
        renaming.join()
        db.wait(run_id)
    db.run("ventas")
    assert db.query("SELECT (SELECT count(*) FROM ventas), (SELECT count(*) FROM ventas_2025)") == [(0, 40)]


def test_a_full_stream_fills_a_table_that_was_made_again(db, shop):
    db.create_stream("ventas", "tienda", "ventas")
    db.run("ventas")
    db.execute("CREATE TABLE copy (LIKE ventas INCLUDING ALL); DROP TABLE ventas; ALTER TABLE copy RENAME TO ventas")
    assert db.run("ventas")["inserted"] == 5


def test_drop_owned_keeps_streams_and_refuses_their_server(ventas, shop):
    """REASSIGN OWNED, DROP OWNED, DROP ROLE is how a role is removed whose things are to stay."""
    role = f"keeper_{ventas.name}"
    ventas.execute(f"CREATE ROLE {role}; ALTER SERVER tienda OWNER TO {role}")
    refused(ventas, f"DROP OWNED BY {role}", state="2BP01")
    ventas.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}")
    one_more(shop)
    assert ventas.run("ventas")["inserted"] == 1


def test_the_extension_goes_with_its_triggers(ventas):
    refused(ventas, "DROP EXTENSION pg_insync", state="2BP01")
    ventas.execute("DROP EXTENSION pg_insync CASCADE")
    ventas.execute("ALTER TABLE ventas RENAME TO sales; DROP TABLE sales; CREATE EXTENSION pg_insync")


def test_statements_that_have_nothing_to_do_with_streams_pass(ventas):
    told = notices(ventas, "CREATE TEMP TABLE t (x int); ALTER TABLE t ADD y int; DROP TABLE t; CREATE SCHEMA s; ALTER SCHEMA s RENAME TO s2; DROP SCHEMA s2")
    assert told == ""
    ventas.execute("CREATE SERVER plain FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver 'SQLite3', database '/x'); DROP SERVER plain")
