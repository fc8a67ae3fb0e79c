"""sync_alter() of what a stream reads and writes: how far it has read, its history and its rejects are kept where that is
possible, nothing is lost or doubled, and what a change costs is said."""

import threading

import psycopg
import pytest
from harness import SqliteSource, wait_for
from psycopg.types.json import Jsonb


def alter(db, stream, reread=None, **members):
    """Alters a stream; returns what it tells."""
    told = []
    with db.connect() as session:
        session.add_notice_handler(lambda notice: told.append(notice.message_primary + " | " + (notice.message_hint or "")))
        if reread is None:
            session.execute("SELECT sync_alter(%s, %s)", (stream, Jsonb(members)))
        else:
            session.execute("SELECT sync_alter(%s, %s, reread => %s)", (stream, Jsonb(members), reread))
    return "\n".join(told)


@pytest.fixture
def ventas(db, shop):
    """An incremental stream that has read its five rows, and one rejected row more."""
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    db.run("ventas")
    db.execute("ALTER TABLE ventas ADD CONSTRAINT few CHECK (cantidad < 100)")
    shop.execute("INSERT INTO ventas VALUES (6, 'Mucho', 500, 1, '2025-01-07 12:00:00')")
    assert db.run("ventas")["rejected"] == 1
    return db


def history(db):
    return db.query("SELECT id, status, inserted FROM insync.run ORDER BY id")


@pytest.mark.parametrize("how", ["create", "alter"])
def test_an_object_may_be_written_as_a_text(db, shop, how):
    """As options of servers are, which have no other form."""
    text = '{"producto": "upper(producto)"}'
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", options={"columns": text} if how == "create" else {})
    if how == "alter":
        alter(db, "ventas", columns=text)
    db.run("ventas")
    assert db.value("SELECT options -> 'columns' ->> 'producto' FROM insync.stream") == "upper(producto)"
    assert db.query("SELECT producto FROM ventas WHERE producto <> upper(producto)") == []


@pytest.fixture
def replica(db):
    """Another server with the same table, which has what the first one has, and a row more."""
    source = SqliteSource()
    source.script(
        """CREATE TABLE ventas (id INTEGER PRIMARY KEY, producto VARCHAR(40) NOT NULL, cantidad INTEGER NOT NULL, precio DECIMAL(10,2),
               actualizado TIMESTAMP);
           INSERT INTO ventas VALUES (1, 'old', 2, 12.50, '2024-01-05 10:00:00'), (7, 'new', 1, 1, '2025-01-08 10:00:00')"""
    )
    db.create_server("otra", **source.server_options())
    yield source
    source.close()


def test_another_server_is_read_on_from_the_same_watermark(ventas, replica):
    before, watermark = history(ventas), ventas.status("ventas")["watermark"]
    told = alter(ventas, "ventas", server="otra")
    assert "continues in the new source" in told and "sync_trigger('ventas', 'full')" in told
    assert ventas.status("ventas")["watermark"] == watermark and history(ventas) == before and len(ventas.errors("ventas")) == 1
    run = ventas.run("ventas")
    assert (run["rows_read"], run["inserted"]) == (1, 1), "only what is newer is read"
    assert ventas.status("ventas")["server"] == "otra"
    ventas.execute("DROP SERVER tienda")  # nothing depends on it any more
    assert ventas.run("ventas", "full")["updated"] == 1


def test_another_source_of_the_same_shape_is_read_on(ventas, shop):
    shop.script("CREATE TABLE mas AS SELECT * FROM ventas; CREATE UNIQUE INDEX mas_id ON mas (id); UPDATE mas SET actualizado = '2025-02-01 00:00:00', producto = 'x' WHERE id = 2")
    alter(ventas, "ventas", source="mas", key="id")
    assert ventas.run("ventas")["updated"] == 1
    assert len(ventas.errors("ventas")) == 1


def test_a_source_without_the_watermark_is_refused(ventas, shop):
    shop.script("CREATE TABLE poco (id INTEGER PRIMARY KEY, producto TEXT)")
    with pytest.raises(psycopg.Error, match="actualizado"):
        alter(ventas, "ventas", source="poco")
    assert ventas.run("ventas")["status"] == "succeeded"


def test_another_target_gets_all_rows(ventas):
    before = history(ventas)
    told = alter(ventas, "ventas", target="nuevas")
    assert "reads all of its source again, as its target has changed" in told and "stay there" in told
    assert ventas.run("ventas")["inserted"] == 6  # the new table has no constraint
    assert ventas.value("SELECT count(*) FROM ventas") == 5 and history(ventas)[: len(before)] == before
    assert ventas.errors("ventas") == [], "the rejected row arrived in the new table"
    assert ventas.value("SELECT sum(rows) FROM insync.slice") == 6
    ventas.execute("SELECT sync_drop('ventas', true)")
    assert ventas.value("SELECT to_regclass('nuevas') IS NULL AND to_regclass('ventas') IS NOT NULL")


def test_a_target_that_another_stream_fills_is_warned_of(ventas):
    ventas.create_stream("b", "tienda", "ventas", target="b")
    assert 'fills the same table as stream "b"' in alter(ventas, "ventas", target="b")


def test_another_watermark_reads_all_again(ventas, shop):
    shop.execute("UPDATE ventas SET producto = 'without a new time' WHERE id = 3")
    told = alter(ventas, "ventas", watermark="id")
    assert "as its watermark has changed" in told
    assert ventas.run("ventas")["updated"] == 1
    assert ventas.status("ventas")["watermark"] == "6"


def test_no_watermark_makes_it_a_full_stream(ventas):
    alter(ventas, "ventas", watermark=None)
    assert ventas.status("ventas")["mode"] == "full"
    assert ventas.run("ventas")["rows_read"] == 6


def test_another_key_reads_all_again_without_doubling_rows(ventas, shop):
    shop.script("ALTER TABLE ventas ADD COLUMN tienda TEXT NOT NULL DEFAULT 'a'")
    ventas.run("ventas")
    ventas.execute("UPDATE ventas SET tienda = 'a'; ALTER TABLE ventas ALTER tienda SET NOT NULL, DROP CONSTRAINT ventas_pkey, ADD PRIMARY KEY (tienda, id)")
    told = alter(ventas, "ventas", key="tienda, id")
    assert "as its key has changed" in told
    run = ventas.run("ventas")
    assert run["inserted"] == 0 and ventas.value("SELECT count(*) FROM ventas") == 5


def test_a_key_without_a_unique_index_is_refused(ventas):
    with pytest.raises(psycopg.Error, match="has no unique index on its key"):
        alter(ventas, "ventas", key="producto")
    assert ventas.run("ventas")["status"] == "succeeded"


def test_another_source_may_write_its_keys_otherwise(db, shop):
    """Numbers there, texts here: which row of the source a row of the target is of, is written as the source writes it."""
    shop.script("CREATE TABLE n (id DECIMAL PRIMARY KEY, v TEXT); INSERT INTO n VALUES (1, 'a'), (2, 'b')")
    shop.script("CREATE TABLE x (id TEXT PRIMARY KEY, v TEXT); INSERT INTO x VALUES ('1', 'A'), ('2', 'B')")
    db.execute("CREATE TABLE n (id integer PRIMARY KEY, v text)")
    db.create_stream("n", "tienda", "n", target="n")
    assert db.run("n")["inserted"] == 2
    alter(db, "n", source="x")
    run = db.run("n")
    assert (run["updated"], run["rejected"]) == (2, 0), run["message"]


def test_a_users_own_column_stays_his(ventas, shop):
    ventas.execute("ALTER TABLE ventas ADD COLUMN nota text; UPDATE ventas SET nota = 'mine'")
    shop.script("ALTER TABLE ventas ADD COLUMN nota TEXT DEFAULT 'theirs'; UPDATE ventas SET cantidad = 1, actualizado = '2025-01-08 10:00:00'")
    ventas.run("ventas")
    alter(ventas, "ventas", reread=True, source="ventas")
    ventas.run("ventas")
    assert ventas.query("SELECT DISTINCT nota FROM ventas WHERE id < 6") == [("mine",)]


def test_who_waited_for_a_change_goes_by_it(ventas):
    """A run that was called while another session changed the target."""
    with ventas.connect(autocommit=False) as other:
        other.execute("SELECT sync_alter('ventas', '{\"target\": \"otra\"}')")

        def run():
            with ventas.connect() as session:
                session.execute("CALL sync_run('ventas')")

        waiting = threading.Thread(target=run)
        waiting.start()
        wait_for(lambda: ventas.query("SELECT FROM pg_stat_activity WHERE query LIKE 'CALL sync_run%%' AND state = 'active'"), "the run to be called")
        other.commit()
        waiting.join()
    ventas.run("ventas")
    assert ventas.value("SELECT count(*) FROM otra") == 6


def test_a_running_stream_keeps_its_source(ventas):
    with ventas.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE ventas IN ACCESS EXCLUSIVE MODE")
        run_id = ventas.trigger("ventas", "full")
        ventas.wait_for_state("ventas", "processing", "running")
        with pytest.raises(psycopg.errors.ObjectInUse):
            alter(ventas, "ventas", watermark="id")
        blocker.rollback()
    assert ventas.wait(run_id) == "succeeded"


# ------------------------------------------------------------------------------- what rows that were read before become


@pytest.mark.parametrize("members", [{"filter": "cantidad > 1"}, {"columns": {"producto": "upper(batch.producto)"}}], ids=["filter", "columns"])
def test_altering_what_rows_become_says_that_older_ones_stay(ventas, members):
    told = alter(ventas, "ventas", **members)
    assert "have read already stay as they are" in told.replace("has", "have") and "SELECT sync_trigger('ventas', 'full')" in told and "reread => true" in told


def test_altering_what_concerns_no_older_row_says_nothing(ventas):
    assert alter(ventas, "ventas", schedule="1 hour", lookback="1 hour", max_rejects="50%") == ""


def test_reread_makes_older_rows_what_newer_ones_are(ventas):
    assert alter(ventas, "ventas", reread=True, columns={"producto": "upper(batch.producto)"}) == ""
    assert ventas.run("ventas")["updated"] == 5
    assert ventas.value("SELECT producto FROM ventas WHERE id = 5") == "PAN 🥖"


def test_the_statement_that_is_told_does_it_too(ventas):
    alter(ventas, "ventas", columns={"producto": "upper(batch.producto)"})
    assert ventas.run("ventas")["updated"] == 0
    assert ventas.run("ventas", "full")["updated"] == 5


def test_a_new_column_says_how_older_rows_get_it(ventas, shop):
    shop.script("ALTER TABLE ventas ADD COLUMN color TEXT DEFAULT 'red'; INSERT INTO ventas VALUES (8, 'Rojo', 1, 1, '2025-02-01 00:00:00', 'red')")
    run = ventas.run("ventas")
    assert "new in the target: color" in run["message"] and "SELECT sync_trigger('ventas', 'full')" in run["message"]
    assert ventas.run("ventas", "full")["status"] == "succeeded"
    assert ventas.query("SELECT DISTINCT color FROM ventas") == [("red",)]


def test_a_new_column_is_told_of_though_no_row_came_with_it(ventas, shop):
    shop.script("ALTER TABLE ventas ADD COLUMN color TEXT DEFAULT 'red'")
    assert "new in the target: color" in ventas.run("ventas")["message"]
