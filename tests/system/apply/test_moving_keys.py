"""Targets whose key is wider than the source's: a row that gets another key there stays one row, and the same one."""

import random

import psycopg
import pytest

DAYS = ["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01"]
PARTITIONED = (
    "CREATE TABLE ventas (id bigint, dia date, total numeric, nota text DEFAULT 'nueva', PRIMARY KEY (id, dia)) PARTITION BY RANGE (dia);"
    "CREATE TABLE ventas_1 PARTITION OF ventas FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');"
    "CREATE TABLE ventas_2 PARTITION OF ventas DEFAULT"
)
WIDER = {
    "partitioned": PARTITIONED,
    "primary-key": "CREATE TABLE ventas (id bigint, dia date, total numeric, nota text DEFAULT 'nueva', PRIMARY KEY (dia, id))",
    "unique-index": "CREATE TABLE ventas (id bigint, dia date NOT NULL, total numeric, nota text DEFAULT 'nueva', UNIQUE (id, dia))",
}


@pytest.fixture
def source(db, sqlite):
    sqlite.execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, dia DATE NOT NULL, total DECIMAL(10,2), tocada INTEGER, baja INTEGER)")
    sqlite.many("INSERT INTO ventas VALUES (?, ?, ?, ?, 0)", [(id, DAYS[id % 4], id, id) for id in range(1, 41)])
    db.create_server("tienda", **sqlite.server_options())
    return sqlite


def held(db):
    return db.query("SELECT id, dia::text, total::int FROM ventas ORDER BY id, dia")


def sold(source):
    return [(id, dia, total) for id, dia, total in source.query("SELECT id, dia, CAST(total AS INTEGER) FROM ventas ORDER BY id")]


def total_of_slices(db):
    return db.query("SELECT bucket::date::text, rows FROM insync.slice WHERE rows <> 0 ORDER BY 1")


@pytest.mark.parametrize("definition", WIDER.values(), ids=WIDER)
@pytest.mark.parametrize("mode", ["incremental", "full"])
def test_a_row_whose_partition_column_changes_is_there_once(db, source, definition, mode):
    db.execute(definition)
    watermark = {"watermark": "tocada"} if mode == "incremental" else {}
    made = db.create_stream("ventas", "tienda", "ventas", options={"slice_column": "dia", "batch_rows": 15}, **watermark)
    assert set(made["key_columns"].split(", ")) == {"id", "dia"}
    assert db.run("ventas")["inserted"] == 40
    assert held(db) == sold(source)
    db.execute("UPDATE ventas SET nota = 'mía' WHERE id = 5")
    source.execute("UPDATE ventas SET dia = '2025-04-01', total = 500, tocada = 100 WHERE id = 5")
    source.execute("UPDATE ventas SET dia = '2025-01-01', tocada = 101 WHERE id = 6")
    source.execute("UPDATE ventas SET total = 70, tocada = 102 WHERE id = 7")
    source.execute("INSERT INTO ventas VALUES (90, '2025-01-05', 90, 103, 0)")
    run = db.run("ventas")
    assert (run["inserted"], run["updated"], run["deleted"], run["rejected"]) == (1, 3, 0, 0)
    assert held(db) == sold(source)
    assert db.value("SELECT nota FROM ventas WHERE id = 5") == "mía", "it is the same row, with what the user wrote there"
    assert total_of_slices(db) == source.query("SELECT dia, count(*) FROM ventas GROUP BY 1 ORDER BY 1"), "the ledger moved it as well"
    assert db.counts(db.run("ventas"))[:2] == (0, 0)


def test_a_row_that_moves_while_it_is_loaded_is_there_once(db, source):
    """The first load catches up by watermark: what it inserted before may come again under another key."""
    db.execute(PARTITIONED)
    db.create_stream("ventas", "tienda", "ventas", watermark="tocada", options={"batch_rows": 10, "page_rows": 10})
    db.execute("CREATE FUNCTION para() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;"
               "CREATE TRIGGER para AFTER INSERT ON ventas FOR EACH STATEMENT EXECUTE FUNCTION para()")  # fmt: skip
    from harness import wait_for

    with db.connect(autocommit=False) as blocker:
        blocker.execute("SELECT pg_advisory_xact_lock(4711)")
        run_id = db.trigger("ventas")
        wait_for(lambda: db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'") > 0, "the first batch")
        source.execute("UPDATE ventas SET dia = '2025-04-01', tocada = 200 WHERE id = 1")
    assert db.wait(run_id) == "succeeded"
    db.run("ventas")
    assert held(db) == sold(source)


@pytest.mark.parametrize("empty", [True, False], ids=["first-load", "later"])
def test_of_two_versions_in_one_batch_the_later_one_stays(db, source, empty):
    """A log of changes has a row several times, with another key each time."""
    db.execute(PARTITIONED)
    db.create_stream("ventas", "tienda", "ventas", watermark="tocada")
    if not empty:
        db.run("ventas")
    db.execute("""SELECT * FROM sync_ingest('ventas', '[{"id": 3, "dia": "2025-01-09", "total": 1, "tocada": 300},
        {"id": 3, "dia": "2025-03-09", "total": 2, "tocada": 301}, {"id": 3, "dia": "2025-02-09", "total": 3, "tocada": 302}]')""")
    assert db.query("SELECT dia::text, total::int FROM ventas WHERE id = 3") == [("2025-02-09", 3)]


@pytest.mark.parametrize("deletes", ["hard", "soft"])
def test_a_row_that_moved_and_was_deleted_is_gone(db, source, deletes):
    db.execute(PARTITIONED)
    options = {"deletes": deletes, "deleted_when": "baja = 1", "slice_column": "dia"}
    if deletes == "soft":
        db.execute("ALTER TABLE ventas ADD COLUMN borrada timestamptz")
        options["deleted_column"] = "borrada"
    db.create_stream("ventas", "tienda", "ventas", watermark="tocada", options=options)
    db.run("ventas")
    source.execute("UPDATE ventas SET dia = '2025-04-20', baja = 1, tocada = 100 WHERE id = 5")
    run = db.run("ventas")
    assert run["inserted"] + run["rejected"] == 0 and run["deleted"] + run["updated"] == 1
    living = "" if deletes == "hard" else " WHERE borrada IS NULL"
    assert db.value(f"SELECT count(*) FROM ventas{living}") == 39
    assert sum(rows for _, rows in total_of_slices(db)) == 39
    assert db.value("SELECT count(*) FROM ventas WHERE id = 5") == (0 if deletes == "hard" else 1)
    source.execute("UPDATE ventas SET baja = 0, tocada = 104 WHERE id = 5")
    db.run("ventas")
    assert held(db) == sold(source)
    assert sum(rows for _, rows in total_of_slices(db)) == 40


def test_keys_alone_tell_what_vanished(db, source):
    db.execute(PARTITIONED)
    db.create_stream("ventas", "tienda", "ventas", watermark="tocada", options={"deletes": "hard", "reconcile": "1 day", "reconcile_by": "keys"})
    db.run("ventas")
    source.execute("DELETE FROM ventas WHERE id = 9")
    source.execute("UPDATE ventas SET dia = '2025-04-01' WHERE id = 10")
    assert db.run("ventas", "keys")["deleted"] == 1
    assert db.value("SELECT count(*) FROM ventas WHERE id IN (9, 10)") == 1


def test_an_expression_over_other_columns_moves_rows_too(db, source):
    db.execute("CREATE TABLE ventas (id bigint, mes date, dia date, total numeric, PRIMARY KEY (id, mes))")
    db.create_stream("ventas", "tienda", "ventas", options={"columns": {"mes": "date_trunc('month', batch.dia)::date"}})
    db.run("ventas")
    source.execute("UPDATE ventas SET dia = '2025-09-09' WHERE id = 5")
    run = db.run("ventas")
    assert (run["inserted"], run["updated"]) == (0, 1)
    assert db.query("SELECT mes::text FROM ventas WHERE id = 5") == [("2025-09-01",)]


def test_shops_that_share_a_target_move_their_own_rows(db, source, sqlite):
    db.execute("CREATE TABLE ventas (tienda text, id bigint, dia date, total numeric, PRIMARY KEY (tienda, id, dia))")
    for shop in ("T01", "T02"):
        db.create_stream(shop, "tienda", "ventas", target="ventas", options={"columns": {"tienda": f"'{shop}'"}})
        db.run(shop)
    source.execute("UPDATE ventas SET dia = '2025-09-09' WHERE id = 5")
    assert db.run("T01")["updated"] == 1
    assert db.query("SELECT tienda, dia::text FROM ventas WHERE id = 5 ORDER BY 1") == [("T01", "2025-09-09"), ("T02", "2025-02-01")]


def test_shops_that_nothing_tells_apart_are_refused(db, source):
    db.execute(PARTITIONED)
    db.create_stream("a", "tienda", "ventas", target="ventas")
    with pytest.raises(psycopg.Error, match="cannot move rows of public.ventas: the table is shared"):
        db.create_stream("b", "tienda", "ventas", target="ventas")


def test_a_primary_key_without_the_sources_is_refused_with_the_ways_out(db, source):
    db.execute("CREATE TABLE ventas (id bigint, tocada bigint PRIMARY KEY, total numeric)")
    with pytest.raises(psycopg.Error, match="does not hold the source's key") as refused:
        db.create_stream("ventas", "tienda", "ventas")
    assert "key => 'tocada'" in refused.value.diag.message_hint
    db.execute("CREATE UNIQUE INDEX ON ventas (id)")
    assert db.create_stream("ventas", "tienda", "ventas")["key_columns"] == "id"


def test_a_primary_key_that_is_computed_of_the_sources_key_is_taken(db, source):
    db.execute("CREATE TABLE ventas (codigo text PRIMARY KEY, dia date, total numeric)")
    assert db.create_stream("ventas", "tienda", "ventas", options={"columns": {"codigo": "'V' || batch.id"}})["key_columns"] == "codigo"
    db.run("ventas")
    source.execute("UPDATE ventas SET dia = '2025-09-09' WHERE id = 5")
    assert db.run("ventas")["updated"] == 1


def test_a_narrow_key_on_a_wide_index_names_the_wide_one(db, source):
    db.execute(PARTITIONED)
    with pytest.raises(psycopg.Error) as refused:
        db.create_stream("ventas", "tienda", "ventas", key="id")
    assert "key => 'id, dia'" in refused.value.diag.message_hint


def test_a_key_that_says_when_it_was_read_keeps_a_history(db, source):
    """Nothing of the source's row is in it: each day has its own copy, on purpose."""
    db.execute("CREATE TABLE ventas (leido int, id bigint, total numeric, PRIMARY KEY (leido, id)); CREATE TABLE turno (n int); INSERT INTO turno VALUES (1)")
    db.create_stream("ventas", "tienda", "ventas", options={"columns": {"leido": "(SELECT n FROM public.turno)"}})
    db.run("ventas")
    db.execute("UPDATE turno SET n = 2")
    assert db.run("ventas")["inserted"] == 40
    assert db.value("SELECT count(*) FROM ventas") == 80


def test_old_doubles_are_rejected_and_not_merged(db, source):
    """From before rows could move: which of them the row is, nobody knows."""
    db.execute(PARTITIONED)
    db.create_stream("ventas", "tienda", "ventas")
    db.run("ventas")
    db.execute("INSERT INTO ventas VALUES (5, '2025-05-05', 1)")
    source.execute("UPDATE ventas SET dia = '2025-09-09' WHERE id = 5")
    run = db.run("ventas")
    assert run["rejected"] == 1 and db.value("SELECT count(*) FROM ventas WHERE id = 5") == 2
    assert db.errors("ventas")[0]["sqlstate"] == "23505"


def test_random_moves_end_as_the_source_is(db, source, seed):
    chance = random.Random(seed)
    db.execute(PARTITIONED)
    db.create_stream("ventas", "tienda", "ventas", watermark="tocada", options={"lookback": "0", "batch_rows": 7, "slice_column": "dia"})
    at = 100
    for _ in range(4):
        for _ in range(12):
            at += 1
            id = chance.randint(1, 45)
            source.execute("INSERT INTO ventas VALUES (?, ?, ?, ?, 0) ON CONFLICT (id) DO UPDATE SET dia = excluded.dia, total = excluded.total,"
                           " tocada = excluded.tocada", (id, chance.choice(DAYS), chance.randint(1, 3), at))  # fmt: skip
        assert db.run("ventas")["rejected"] == 0
        assert held(db) == sold(source)
        assert total_of_slices(db) == source.query("SELECT dia, count(*) FROM ventas GROUP BY 1 ORDER BY 1")
