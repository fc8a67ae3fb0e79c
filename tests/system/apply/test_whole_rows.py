"""Sources without a key: whole rows are compared, as often as each of them is there; and streams for all that a server has."""

import collections
import random

import psycopg
import pytest

TABLE = "CREATE TABLE t (shop varchar(10), pieces int, price decimal(10,2), sold timestamp NULL)"


class Source:
    """One way of asking for all engines."""

    def __init__(self, engine, place):
        self.engine, self.place = engine, place
        self.options = place.server_options() if engine == "sqlite" else place.server_options

    def run(self, sql):
        (self.place.script if self.engine == "sqlite" else self.place.query)(sql)


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def source(request, db):
    found = Source(request.param, request.getfixturevalue(request.param))
    db.create_server("caja", **found.options)
    found.run(TABLE)
    return found


@pytest.fixture
def lite(db, sqlite):
    found = Source("sqlite", sqlite)
    db.create_server("caja", **found.options)
    return found


def literal(value):
    return "NULL" if value is None else repr(value) if isinstance(value, str) else str(value)


def insert(source, rows):
    values = ", ".join("(" + ", ".join(literal(value) for value in row) + ")" for row in rows)
    source.run(f"INSERT INTO t VALUES {values}")


def held(db, table="t"):
    return collections.Counter(db.query(f"SELECT shop, pieces, price::numeric(10, 2)::text, to_char(sold, 'YYYY-MM-DD HH24:MI:SS') FROM {table}"))


def some_row(rng):
    return (rng.choice(["T01", "T02", "", None]), rng.choice([1, 2, None]), rng.choice([1.5, 2.25]), rng.choice(["2026-01-01 10:00:00", None]))


def shown(rows):
    return collections.Counter((shop, pieces, f"{price:.2f}", sold) for shop, pieces, price, sold in rows)


# ------------------------------------------------------------------------------------------------- a table without a key


def test_equal_rows_are_kept_as_often_as_they_are_there(db, source, seed):
    """Rows come, go, change, and are there several times; few values, so that many are equal."""
    rng = random.Random(seed)
    rows = [some_row(rng) for _ in range(60)]
    insert(source, rows)
    created = db.dict("SELECT * FROM sync_create('t', 'caja', 't', options => '{\"batch_rows\": 7, \"max_deletes\": \"100%\"}')")
    assert (created["key_columns"], created["mode"]) == ("row_hash, row_copy", "full")
    for _ in range(5):
        db.run("t")
        assert held(db) == shown(rows)
        rng.shuffle(rows)
        rows = rows[rng.randrange(20) :] + [some_row(rng) for _ in range(rng.randrange(20))]
        rows = [some_row(rng) if rng.random() < 0.2 else row for row in rows]
        source.run("DELETE FROM t")
        insert(source, rows)
    db.run("t")
    assert held(db) == shown(rows)
    assert db.run("t")["unchanged"] == len(rows)


def test_a_view_is_kept_in_step(db, source):
    insert(source, [("T01", 1, 2.5, None), ("T02", 1, 2.5, None), ("T02", 2, 1, None)])
    source.run("CREATE VIEW v AS SELECT shop, sum(pieces) AS pieces FROM t GROUP BY shop")
    db.create_stream("v", "caja", "v")
    db.run("v")
    source.run("DELETE FROM t WHERE pieces = 2")
    assert (run := db.run("v"))["deleted"] == 1 and run["inserted"] == 1
    assert sorted(db.query("SELECT shop, pieces::int FROM v")) == [("T01", 1), ("T02", 1)]


def test_a_unique_key_that_allows_null_is_no_key(db, lite):
    lite.run("CREATE TABLE t (code TEXT UNIQUE, v TEXT); INSERT INTO t VALUES (NULL, 'a'), (NULL, 'a'), ('x', 'b')")
    db.create_stream("t", "caja", "t")
    db.run("t")
    assert sorted(db.query("SELECT code, v FROM t"), key=str) == [("x", "b"), (None, "a"), (None, "a")]


def test_columns_of_those_names_stay_the_sources(db, lite):
    lite.run("CREATE TABLE t (row_hash TEXT, v TEXT); INSERT INTO t VALUES ('mine', 'a')")
    assert db.create_stream("t", "caja", "t")
    db.run("t")
    assert db.query("SELECT row_hash, v, row_copy FROM t") == [("mine", "a", 1)]
    assert db.value("SELECT key FROM insync.stream") == ["row_hash_", "row_copy"]


def test_a_new_column_is_filled_in_every_row(db, source):
    insert(source, [("T01", 1, 2.5, None)] * 2)
    db.create_stream("t", "caja", "t")
    db.run("t")
    source.run("ALTER TABLE t ADD COLUMN note varchar(10) DEFAULT 'n'")
    db.run("t")
    assert db.query("SELECT shop, note FROM t") == [("T01", "n")] * 2


def test_rows_that_differ_only_in_what_the_target_cannot_hold_are_two(db, lite):
    lite.run("CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('a' || char(0)), ('a'), (X'61FF'), (X'61FE')")
    db.create_stream("t", "caja", "t")
    run = db.run("t")
    assert run["inserted"] + run["rejected"] == 4


# -------------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("arguments, message", [
    ({"watermark": "sold"}, 'source "t" has no primary key'),
    ({"options": {"deletes": "ignore"}}, 'option deletes of stream "t" must be hard or soft'),
    ({"options": {"operation_column": "shop", "deletes": "hard"}}, 'option operation_column has no meaning for stream "t"'),
    ({"options": {"deleted_when": "pieces = 0", "deletes": "hard"}}, 'option deleted_when has no meaning for stream "t"'),
    ({"options": {"filter": "pieces = 0", "filter_leaves": "keep"}}, 'option filter_leaves has no meaning for stream "t"'),
    ({"options": {"columns_only": True, "columns": {"v": "shop"}}}, 'option columns_only has no meaning for stream "t"'),
])  # fmt: skip
def test_what_needs_a_key_is_refused(db, lite, arguments, message):
    lite.run(TABLE)
    with pytest.raises(psycopg.Error) as raised:
        db.create_stream("t", "caja", "t", **arguments)
    assert raised.value.diag.message_primary == message
    assert "key => '...'" in raised.value.diag.message_hint
    assert db.query("SELECT FROM insync.stream") == []


def test_a_stream_cannot_be_made_to_leave_old_versions(db, lite):
    lite.run(TABLE)
    db.create_stream("t", "caja", "t")
    with pytest.raises(psycopg.Error, match="must be hard or soft"):
        db.alter_stream("t", deletes="ignore")
    with pytest.raises(psycopg.Error, match="mode keys needs a key"):
        db.trigger("t", "keys")
    with pytest.raises(psycopg.Error, match="option operation_column has no meaning"):
        db.alter_stream("t", operation_column="shop")
    db.alter_stream("t", source="t", schedule="1 hour")  # what tells its rows apart is found again
    assert db.value("SELECT key FROM insync.stream") == ["row_hash", "row_copy"]


def test_a_table_that_cannot_tell_them_apart_is_refused(db, lite):
    lite.run(TABLE)
    db.execute("CREATE TABLE t (shop text, pieces int, price numeric, sold timestamp)")
    with pytest.raises(psycopg.Error, match='target public.t has no column "row_hash"'):
        db.create_stream("t", "caja", "t", target="t")


# ------------------------------------------------------------------------------------------------------------- the guards


def test_rows_that_changed_are_no_deletes_for_the_guard(db, source):
    insert(source, [("T01", i, 1, None) for i in range(40)])
    db.create_stream("t", "caja", "t")
    db.run("t")
    source.run("UPDATE t SET price = 2")
    assert (run := db.run("t"))["deleted"] == 40 and run["inserted"] == 40
    source.run("DELETE FROM t WHERE pieces < 30")
    assert "max_deletes" in db.run("t", expect="failed")["message"]
    assert len(db.query("SELECT FROM t")) == 40


def test_what_a_run_that_failed_has_written_is_put_right(db, lite):
    """It broke off when new versions stood beside old ones."""
    lite.run(TABLE)
    insert(lite, [("T01", i, 1, None) for i in range(40)])
    db.create_stream("t", "caja", "t", options={"batch_rows": 10, "max_rejects": 0, "max_retries": 0})
    db.run("t")
    lite.run("UPDATE t SET price = 2")
    db.execute("ALTER TABLE t ADD CONSTRAINT few CHECK (NOT (pieces = 35 AND price = 2))")
    db.run("t", expect="failed")
    assert len(db.query("SELECT FROM t")) > 40
    db.execute("ALTER TABLE t DROP CONSTRAINT few")
    db.run("t")
    assert db.query("SELECT count(*), min(price), max(price) FROM t") == [(40, 2, 2)]


def test_a_row_that_is_refused_is_kept_with_what_tells_it_apart(db, lite):
    lite.run(TABLE)
    insert(lite, [("T01", 1, 1, None)] * 2 + [("T02", 5, 1, None)])
    db.create_stream("t", "caja", "t")
    db.execute("ALTER TABLE t ADD CONSTRAINT few CHECK (pieces > 4)")
    assert db.run("t")["rejected"] == 2
    assert sorted(error["key"]["row_copy"] for error in db.errors("t")) == ["1", "2"]
    db.execute("ALTER TABLE t DROP CONSTRAINT few")
    assert db.query("SELECT * FROM sync_replay('t')") == [(2, 0)]
    assert len(db.query("SELECT FROM t WHERE shop = 'T01'")) == 2
    assert db.run("t")["unchanged"] == 3 and db.errors("t") == []


def test_a_row_that_cannot_be_read_holds_up_nothing_else(db, lite):
    lite.run("CREATE TABLE t (v TEXT, at DATETIME); INSERT INTO t VALUES ('a', '2026-01-01 10:00:00'), ('b', 1735689600), ('d', NULL)")
    db.create_stream("t", "caja", "t")
    assert db.run("t")["rejected"] == 1
    lite.run("UPDATE t SET v = 'c' WHERE v = 'a'; DELETE FROM t WHERE v = 'd'")
    db.run("t")
    assert db.query("SELECT v FROM t") == [("c",)]


def test_a_row_that_was_mended_by_hand_stays(db, lite):
    lite.run("CREATE TABLE t (v TEXT, at DATETIME); INSERT INTO t VALUES ('a', '2026-01-01 10:00:00'), ('b', 1735689600)")
    db.create_stream("t", "caja", "t")
    db.run("t")
    db.execute("UPDATE insync.error SET record = record || '{\"at\": \"2025-01-01\"}'")
    assert db.query("SELECT * FROM sync_replay('t')") == [(1, 0)]
    lite.run("INSERT INTO t VALUES ('c', NULL)")
    db.run("t")
    assert sorted(db.query("SELECT v FROM t")) == [("a",), ("b",), ("c",)]


def test_a_source_that_gains_columns_of_those_names_mixes_nothing_up(db, lite):
    lite.run("CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('a'), ('b'), ('b')")
    db.create_stream("t", "caja", "t")
    db.run("t")
    lite.run("ALTER TABLE t ADD COLUMN row_hash TEXT DEFAULT '00112233445566778899aabbccddeeff'")
    db.run("t")
    assert sorted(db.query("SELECT v, row_copy FROM t")) == [("a", 1), ("b", 1), ("b", 2)]
    assert db.value("SELECT count(DISTINCT row_hash) FROM t") == 2


def test_values_that_come_back_are_marked_as_living_again(db, lite):
    lite.run(TABLE)
    insert(lite, [("T01", i, 1, None) for i in range(40)])
    db.create_stream("t", "caja", "t", options={"deletes": "soft", "deleted_column": "gone"})
    for price in (1, 2, 1, 2):
        lite.run(f"UPDATE t SET price = {price}")
        db.run("t")
        assert db.query("SELECT price::int, count(*) FROM t WHERE gone IS NULL GROUP BY 1") == [(price, 40)]


def test_records_cannot_be_pushed(db, lite):
    lite.run(TABLE)
    db.create_stream("t", "caja", "t")
    with pytest.raises(psycopg.Error, match="takes no records, as its source has no key"):
        db.execute("SELECT sync_ingest('t', '{\"shop\": \"T01\"}')")


# --------------------------------------------------------------------------------------------- verification and backfills


@pytest.mark.parametrize("depth", ["counts", "keys", "rows"])
def test_verification_finds_what_was_tampered_with(db, source, depth):
    insert(source, [("T01", 1, 1, f"2026-01-0{1 + i % 3} 10:00:00") for i in range(9)])
    db.create_stream("t", "caja", "t", options={"slice_column": "sold"})
    db.run("t")
    verify = f"SELECT slice::date::text, missing, extra FROM sync_verify('t', depth => '{depth}') WHERE missing + extra > 0"
    assert db.query(verify) == []
    db.execute("DELETE FROM t WHERE sold = '2026-01-02 10:00:00' AND row_copy = 2")
    assert [(day, missing) for day, missing, _ in db.query(verify)] == [("2026-01-02", 1)]
    db.wait(db.dict("SELECT * FROM sync_backfill('t', '2026-01-02', '2026-01-03')")["run_id"])
    assert len(db.query("SELECT FROM t")) == 9


def test_verification_counts_a_changed_row_as_one_missing_and_one_extra(db, lite):
    lite.run(TABLE)
    insert(lite, [("T01", 1, 1, "2026-01-01 10:00:00")] * 3)
    db.create_stream("t", "caja", "t", options={"slice_column": "sold"})
    db.run("t")
    lite.run("UPDATE t SET pieces = 2 WHERE rowid = 2")
    assert db.query("SELECT missing, extra, changed FROM sync_verify('t', depth => 'rows')") == [(1, 1, 0)]


# -------------------------------------------------------------------------------------------------- everything of a server


def test_streams_for_all_that_a_server_has(db, lite):
    lite.run(
        """CREATE TABLE clients (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO clients VALUES (1, 'Ana'), (2, 'Eva');
        CREATE TABLE log (text TEXT); INSERT INTO log VALUES ('a'), ('a');
        CREATE VIEW names AS SELECT name FROM clients;
        CREATE TABLE taken (id INTEGER PRIMARY KEY); INSERT INTO taken VALUES (7);
        CREATE TABLE "Año 2026" (id INTEGER PRIMARY KEY, "Precio €" DECIMAL); INSERT INTO "Año 2026" VALUES (1, 2.5)"""
    )
    db.execute("CREATE SCHEMA erp; CREATE TABLE erp.taken (id bigint PRIMARY KEY); INSERT INTO erp.taken VALUES (1)")
    everything = "SELECT source, stream, target_table, created, message FROM sync_create_all('caja', schema => 'erp')"
    found = {row[0]: row[1:] for row in db.query(everything)}
    made = {source: row[:2] for source, row in found.items() if row[2]}
    assert {target for _, target in made.values()} == {"erp.clients", "erp.log", "erp.names", 'erp."año 2026"'}
    (refused,) = [row for row in found.values() if not row[2]]
    assert "exists and has rows" in refused[3]
    assert "compares whole rows" in next(row[3] for row in found.values() if row[0] == "log")
    for stream, _ in made.values():
        db.run(stream)
    assert db.query("SELECT text, row_copy FROM erp.log ORDER BY 2") == [("a", 1), ("a", 2)]
    assert sorted(db.query("SELECT name FROM erp.names")) == [("Ana",), ("Eva",)]
    assert db.query('SELECT "precio €" FROM erp."año 2026"')[0][0] == 2.5
    again = db.query(everything)
    assert all(not row[3] for row in again)
    assert sum(row[4] == "has a stream already" for row in again) == 4


def test_sources_of_one_name_in_two_schemas_get_two_streams(db, postgres):
    postgres.query("CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.sales (id int PRIMARY KEY); CREATE TABLE b.sales (id int); CREATE TABLE b.other (id int)")
    db.create_server("erp", **postgres.server_options)
    made = db.query("SELECT stream, target_table, mode FROM sync_create_all('erp', schedule => '1 hour') WHERE created ORDER BY 1")
    assert made == [("a_sales", "public.a_sales", "full"), ("b_sales", "public.b_sales", "full"), ("other", "public.other", "full")]
    assert db.query("SELECT DISTINCT schedule FROM insync.stream") == [("1 hour",)]


def test_only_what_matches_gets_a_stream(db, lite):
    lite.run("CREATE TABLE a1 (id INTEGER PRIMARY KEY); CREATE TABLE b1 (id INTEGER PRIMARY KEY)")
    assert db.query("SELECT stream FROM sync_create_all('caja', 'a%', options => '{\"page_rows\": 10}')") == [("a1",)]
    assert db.value("SELECT options ->> 'page_rows' FROM insync.stream") == "10"
    with pytest.raises(psycopg.Error, match='option "paje_rows"'):
        db.query("SELECT * FROM sync_create_all('caja', options => '{\"paje_rows\": 10}')")
