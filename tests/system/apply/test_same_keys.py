"""Rows of the source whose keys become the same in the target: the first keeps the row, the other is rejected and named."""

import pytest


@pytest.fixture
def source(db, sqlite):
    db.execute("CREATE COLLATION sin_mayusculas (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    db.execute("CREATE EXTENSION citext")
    sqlite.execute("CREATE TABLE claves (codigo TEXT PRIMARY KEY, n INTEGER, w DATETIME)")
    db.create_server("taller", **sqlite.server_options())
    return sqlite


# Type of the target's key, expression that fills it, two keys of the source that are one there, and a third.
KEYS = {
    "citext": ("citext", None, "Abc", "ABC", "x"),
    "collation": ("text COLLATE sin_mayusculas", None, "Abc", "ABC", "x"),
    "expression": ("text", "lower(codigo)", "Abc", "ABC", "x"),
    "integer": ("bigint", None, "01", "1", "2"),
    "uuid": ("uuid", None, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "b" * 32),
    "blanks": ("char(3)", None, "a", "a ", "b"),
    "date": ("date", None, "2025-01-05", "20250105", "2025-01-06"),
}
BOTH = pytest.mark.parametrize("kind", KEYS)


def define(db, kind, watermark=None, **options):
    type, expression, *_ = KEYS[kind]
    db.execute(f"CREATE TABLE claves (codigo {type} PRIMARY KEY, n bigint, w timestamp)")
    if expression:
        options["columns"] = {"codigo": expression}
    db.create_stream("claves", "taller", "claves", key="codigo", watermark=watermark, options=options)


def put(source, *rows):
    source.many("INSERT OR REPLACE INTO claves VALUES (?, ?, ?)", rows)


def held(db):
    return sorted(n for (n,) in db.query("SELECT n FROM claves"))


@pytest.mark.wall
@BOTH
@pytest.mark.parametrize("batch_rows", [10, 1], ids=["one batch", "a batch each"])
@pytest.mark.parametrize("empty", [True, False], ids=["insert", "merge"])
def test_the_first_keeps_the_row_and_the_other_is_rejected(db, source, kind, batch_rows, empty):
    first, second, third = KEYS[kind][2:]
    put(source, (first, 1, None), (second, 1, None), (third, 3, None))
    define(db, kind, batch_rows=batch_rows)
    if not empty:
        source.execute("DELETE FROM claves WHERE codigo <> ?", (third,))
        db.run("claves")
        put(source, (first, 1, None), (second, 1, None))
    run = db.run("claves")
    assert run["rejected"] == 1, db.errors("claves")
    assert held(db) == [1, 3]
    (error,) = db.errors("claves")
    loser = error["key"]["codigo"]
    winner = second if loser == first else first
    assert loser in (first, second) and error["sqlstate"] == "23505"
    assert f'["{winner}"]' in error["message"] and "belongs to another row of the source" in error["message"]
    # Whatever the loser becomes, it isn't written over the winner; the winner goes on.
    put(source, (loser, 7, None))
    db.run("claves")
    assert held(db) == [1, 3]
    put(source, (winner, 5, None))
    assert db.run("claves")["updated"] == 1
    assert held(db) == [3, 5] and len(db.errors("claves")) == 1


@BOTH
def test_the_other_row_that_comes_in_a_later_run_is_rejected(db, source, kind):
    first, second, third = KEYS[kind][2:]
    put(source, (first, 1, "2025-01-01 10:00:00"), (third, 3, "2025-01-01 10:00:00"))
    define(db, kind, watermark="w")
    assert db.counts(db.run("claves"))[4] == 0
    put(source, (second, 2, "2025-02-01 10:00:00"))
    assert db.run("claves")["rejected"] == 1
    assert held(db) == [1, 3]
    assert [error["key"]["codigo"] for error in db.errors("claves")] == [second]
    # A row that is read again and again isn't another one.
    for n in (4, 5):
        put(source, (first, n, f"2025-03-0{n} 10:00:00"))
        assert db.run("claves")["updated"] == 1
    assert db.run("claves", mode="full")["rejected"] == 0, "known already"
    assert held(db) == [3, 5] and len(db.errors("claves")) == 1


def test_where_the_row_is_gone_another_may_have_its_key(db, source):
    put(source, ("Abc", 1, None))
    define(db, "citext", deletes="hard", max_deletes="100%")
    db.run("claves")
    source.execute("DELETE FROM claves")
    assert db.run("claves")["deleted"] == 1
    put(source, ("ABC", 2, None))
    assert db.counts(db.run("claves")) == (1, 0, 0, 0, 0)
    # A key that was only spelt anew is refused until all is read again.
    source.execute("UPDATE claves SET codigo = 'aBC', n = 3")
    assert db.run("claves")["rejected"] == 1
    db.execute("SELECT sync_reset('claves')")
    assert db.counts(db.run("claves")) == (0, 1, 0, 0, 0)
    assert held(db) == [3] and db.errors("claves") == []


def test_rows_that_are_pushed_are_told_apart_too(db, source):
    put(source, ("Abc", 1, None))
    define(db, "expression")
    db.run("claves")
    assert db.dict("SELECT updated, rejected FROM sync_ingest('claves', '[{\"codigo\": \"ABC\", \"n\": 2}, {\"codigo\": \"Abc\", \"n\": 3}]')") == {
        "updated": 1, "rejected": 1}  # fmt: skip
    assert held(db) == [3]


def test_numbers_and_times_that_would_be_rounded_to_one_key_are_rejected(db, sqlite):
    sqlite.script(
        "CREATE TABLE a (k DECIMAL PRIMARY KEY, n INTEGER); INSERT INTO a VALUES (1.1, 1), (1.2, 2), (3, 3);"
        "CREATE TABLE b (k DATETIME PRIMARY KEY, n INTEGER); INSERT INTO b VALUES ('2025-01-05 10:00:00', 1), ('2025-01-05 11:00:00', 2), ('2025-01-06', 3)"
    )
    db.create_server("taller", **sqlite.server_options())
    db.execute("CREATE TABLE a (k integer PRIMARY KEY, n bigint); CREATE TABLE b (k date PRIMARY KEY, n bigint)")
    for table in "ab":
        db.create_stream(table, "taller", table)
        assert db.counts(db.run(table)) == (1, 0, 0, 0, 2)
        assert db.query(f"SELECT n FROM {table}") == [(3,)]


def test_keys_that_are_no_text_are_rejected_and_not_mended(db, sqlite):
    """Both would be M and U+FFFD. Elsewhere than in a key, text_policy replaces."""
    sqlite.script(
        "CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (CAST(x'4DF1' AS TEXT), 'a'), (CAST(x'4DE9' AS TEXT), 'b'), ('M', CAST(x'4DE9' AS TEXT))"
    )
    db.create_server("taller", **sqlite.server_options())
    db.create_stream("t", "taller", "t")
    run = db.run("t")
    assert (run["inserted"], run["rejected"]) == (1, 2)
    assert db.query("SELECT k, v FROM t") == [("M", "M\ufffd")]
    assert sorted((error["key"]["k"], error["sqlstate"]) for error in db.errors("t")) == [("M\\xE9", "22021"), ("M\\xF1", "22021")]


def test_streams_whose_keys_can_not_meet_keep_no_origins(db, shop):
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    db.run("ventas")
    db.execute("CREATE TABLE otra (shop text, id numeric(20,0), producto text, PRIMARY KEY (shop, id))")
    db.create_stream("otra", "tienda", "ventas", target="otra", key="shop,id", options={"columns": {"shop": "'T01'"}})
    assert db.run("otra")["inserted"] == 5
    assert db.value("SELECT count(*) FROM insync.origin") == 0
