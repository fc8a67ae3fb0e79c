"""The source's keys as streams take them: which ones, of which columns, and whether they are still the same."""

import psycopg
import pytest
from harness import assert_equal_tables

SERVERS = ["mariadb", "postgres", "sqlite"]


@pytest.fixture(params=SERVERS)
def source(request, db):
    source = request.getfixturevalue(request.param)
    options = source.server_options() if callable(source.server_options) else source.server_options
    db.create_server("shop", **options)
    source.engine = request.param
    return source


def make(source, name, columns, key, rows):
    constraint = f", CONSTRAINT {name}_pk PRIMARY KEY ({key})" if key else ""
    source.query(f"CREATE TABLE {name} ({columns}{constraint})")
    source.query(f"INSERT INTO {name} VALUES {rows}")


def failed_run(db, name, mode=None):
    """The message of a run that fails, with detail and hint."""
    return db.run(name, mode, expect="failed")["message"]


# --------------------------------------------------------------------------------- a key that is another one since then


@pytest.mark.parametrize("watermark", [None, "w"])
def test_a_key_that_got_a_column_stops_the_stream_and_the_hint_mends_it(db, source, watermark):
    make(source, "items", "id INT NOT NULL, color VARCHAR(10) NOT NULL, w INT NOT NULL", "id", "(1, 'red', 1), (2, 'red', 2), (3, 'blue', 3)")
    db.create_stream("items", "shop", "items", watermark=watermark, options={"lookback": 1} if watermark else {})
    assert db.run("items")["inserted"] == 3
    if source.engine == "sqlite":
        source.query("DROP TABLE items")
        make(source, "items", "id INT NOT NULL, color VARCHAR(10) NOT NULL, w INT NOT NULL", "id, color", "(1, 'red', 1), (2, 'red', 2), (3, 'blue', 3)")
    else:
        drop = "PRIMARY KEY" if source.engine == "mariadb" else "CONSTRAINT items_pk"
        source.query(f"ALTER TABLE items DROP {drop}")
        source.query("ALTER TABLE items ADD PRIMARY KEY (id, color)")
    source.query("INSERT INTO items VALUES (1, 'blue', 4), (2, 'blue', 5)")
    message = failed_run(db, "items")
    assert 'items" has changed' in message
    assert "identifies rows by (id), and the source now by (id, color)" in message
    assert db.value("SELECT count(*) FROM items") == 3
    statements = message.split("its target again: ")[1].rstrip(";").split("; ")
    assert len(statements) == 2
    for statement in statements:
        db.execute(statement)
    assert db.run("items")["inserted"] == 5
    assert_equal_tables(source.query("SELECT id, color, w FROM items"), db.query("SELECT id, color, w FROM items"))


def test_every_kind_of_reading_notices_another_key(db, source):
    make(source, "items", "id INT NOT NULL, day DATE NOT NULL, w INT NOT NULL", "id", "(1, '2025-01-01', 1), (2, '2025-01-02', 2)")
    db.create_stream("items", "shop", "items", watermark="w", options={"deletes": "hard", "slice_column": "day"})
    db.run("items")
    source.query("DROP TABLE items")
    make(source, "items", "id INT NOT NULL, day DATE NOT NULL, w INT NOT NULL", "id, day", "(1, '2025-01-01', 1), (1, '2025-01-02', 2)")
    for mode in ("incremental", "full", "keys"):
        assert "has changed" in failed_run(db, "items", mode), mode
    with pytest.raises(psycopg.Error, match="has changed"):
        db.query("SELECT * FROM sync_verify('items')")
    assert db.value("SELECT count(*) FROM items") == 2


def test_a_key_that_is_gone_is_no_failure_while_the_rows_have_one(db, source):
    """As around a load in bulk."""
    if source.engine == "sqlite":
        pytest.skip("SQLite can't drop a key")
    make(source, "items", "id INT NOT NULL, w INT NOT NULL", "id", "(1, 1), (2, 2)")
    db.create_stream("items", "shop", "items", watermark="w")
    db.run("items")
    source.query("ALTER TABLE items DROP " + ("PRIMARY KEY" if source.engine == "mariadb" else "CONSTRAINT items_pk"))
    source.query("INSERT INTO items VALUES (3, 3)")
    assert db.run("items")["inserted"] == 1
    source.query("INSERT INTO items VALUES (3, 4)")
    message = failed_run(db, "items")
    assert "is not unique in the source" in message and "(id) = (3)" in message


def test_a_wider_key_of_the_stream_stays_right(db, source):
    make(source, "items", "id INT NOT NULL, shop INT NOT NULL, w INT NOT NULL, UNIQUE (id, shop)", "id", "(1, 1, 1), (2, 1, 2)")
    db.create_stream("items", "shop", "items", key="id, shop", watermark="w")
    assert db.run("items")["inserted"] == 2
    assert db.run("items")["rejected"] == 0


# -------------------------------------------------------------------------------------------------- which key is taken


def test_a_unique_key_that_allows_null_is_not_taken_unasked(db, source):
    make(source, "people", "code VARCHAR(10) UNIQUE, name VARCHAR(10)", "", "('a', 'Ana'), (NULL, 'Eva'), (NULL, 'Leo')")
    assert db.create_stream("everybody", "shop", "people", target="everybody")["key_columns"] == "row_hash, row_copy"
    assert db.run("everybody")["inserted"] == 3
    db.create_stream("people", "shop", "people", key="code")
    run = db.run("people")
    assert (run["inserted"], run["rejected"]) == (1, 2)


def test_of_several_unique_keys_one_without_null_is_taken(db, source):
    make(source, "people", "code VARCHAR(10) UNIQUE, number INT NOT NULL UNIQUE", "", "('a', 1), (NULL, 2), (NULL, 3)")
    assert db.create_stream("people", "shop", "people")["key_columns"] == "number"
    assert db.run("people")["inserted"] == 3


def test_a_key_over_the_beginning_of_a_text(db, mariadb):
    db.create_server("shop", **mariadb.server_options)
    mariadb.query("CREATE TABLE pages (path VARCHAR(300) NOT NULL, note TEXT NOT NULL, PRIMARY KEY (path(20), note(5)))")
    mariadb.query("INSERT INTO pages SELECT CONCAT(seq, '/page'), CONCAT('n', seq MOD 3) FROM seq_1_to_50")
    assert db.create_stream("pages", "shop", "pages", options={"page_rows": 7})["key_columns"] == "path, note"
    assert db.run("pages")["inserted"] == 50
    assert_equal_tables(mariadb.query("SELECT * FROM pages"), db.query("SELECT * FROM pages"))


def test_an_invisible_key_and_other_invisible_columns(db, mariadb):
    db.create_server("shop", **mariadb.server_options)
    mariadb.query("CREATE TABLE t (id INT AUTO_INCREMENT INVISIBLE PRIMARY KEY, name VARCHAR(10), secret INT INVISIBLE DEFAULT 7)")
    mariadb.query("INSERT INTO t (name) SELECT CONCAT('n', seq) FROM seq_1_to_20")
    assert db.create_stream("t", "shop", "t", options={"page_rows": 7})["key_columns"] == "id"
    assert db.run("t")["inserted"] == 20
    assert_equal_tables(mariadb.query("SELECT name, id, secret FROM t"), db.query("SELECT name, id, secret FROM t"))


# ------------------------------------------------------------------------------------------------------- odd names


def test_a_name_with_a_dot(db, sqlite):
    db.create_server("shop", **sqlite.server_options())
    sqlite.script('CREATE TABLE t ("a.id" INTEGER PRIMARY KEY, "b.c.d" TEXT, "x." INT, ".y" INT); INSERT INTO t VALUES (1, \'v\', 2, 3), (2, \'w\', 4, 5)')
    db.create_stream("t", "shop", "t", key="a.id")
    assert db.run("t")["inserted"] == 2
    assert db.query('SELECT "a.id", "b.c.d", "x.", ".y" FROM t ORDER BY 1') == [(1, "v", 2, 3), (2, "w", 4, 5)]


def test_names_of_system_columns_get_an_underscore(db, source):
    names = "xmin INT NOT NULL, ctid VARCHAR(10), xmax INT, cmin INT, cmax INT, tableoid INT, oid INT"
    if source.engine == "postgres":
        source.query("CREATE TABLE base (id int PRIMARY KEY)")
        source.query("INSERT INTO base VALUES (1), (2)")
        table = "SELECT id AS xmin, 'c' || id AS ctid, 3 AS xmax, 4 AS cmin, 5 AS cmax, 6 AS tableoid, 7 AS oid FROM base"
    else:
        make(source, "t", names, "xmin", "(1, 'c1', 3, 4, 5, 6, 7), (2, 'c2', 3, 4, 5, 6, 7)")
        table = "t"
    made = db.create_stream("t", "shop", table, target="t", key="xmin")
    assert made["key_columns"] == "xmin_"
    assert db.run("t")["inserted"] == 2
    assert db.run("t", "full")["unchanged"] == 2
    assert db.query("SELECT xmin_, ctid_, xmax_, cmin_, cmax_, tableoid_, oid FROM t ORDER BY 1") == [(1, "c1", 3, 4, 5, 6, 7), (2, "c2", 3, 4, 5, 6, 7)]
