"""Queries as sources: nothing but the one SELECT that was written is ever run, whatever is in its text, and queries that
end or begin as people write them are read."""

import psycopg
import pytest

WAYS_OUT = [
    "SELECT 1 AS x) s; DELETE FROM victim; --",
    "SELECT 1 AS x) s; DELETE FROM victim; SELECT 1 FROM (SELECT 1 AS x",
    "SELECT 1 AS x; DELETE FROM victim",
    "SELECT '\\' AS x, ') s; DELETE FROM victim; -- ' AS y",
    "SELECT 1 AS x /* ) s; DELETE FROM victim; -- ",
    "WITH gone AS (DELETE FROM victim RETURNING id) SELECT id FROM gone",
    "DELETE FROM victim",
]


def is_refused(db, server, source):
    """Whether preview, discovery of columns and a stream refuse the source; nothing may run where they don't."""
    refusals = 0
    for statement in ("SELECT * FROM sync_preview(%s, %s)", "SELECT * FROM sync_create('s', %s, %s, key => 'x')"):
        try:
            db.query(statement, server, source)
        except psycopg.Error:
            refusals += 1
    return refusals == 2


@pytest.mark.parametrize("source", WAYS_OUT)
def test_a_query_leads_to_no_other_statement_in_postgresql(db, postgres, source):
    postgres.query("CREATE TABLE victim AS SELECT 1 AS id")
    db.create_server("erp", **postgres.server_options)
    assert is_refused(db, "erp", source) or "') s" in source
    assert postgres.query("SELECT id FROM victim") == [(1,)]


@pytest.mark.parametrize("source", WAYS_OUT + ["SELECT 1 AS x /*! ) s; DELETE FROM victim */", "SELECT 1 AS x INTO OUTFILE '/tmp/pg_insync_x'"])
def test_a_query_leads_to_no_other_statement_in_mariadb(db, mariadb, source):
    mariadb.query("CREATE TABLE victim (id int PRIMARY KEY)")
    mariadb.query("INSERT INTO victim VALUES (1)")
    db.create_server("erp", **mariadb.server_options)
    assert is_refused(db, "erp", source) or "') s" in source
    assert mariadb.query("SELECT id FROM victim") == [("1",)]


@pytest.mark.parametrize("source", WAYS_OUT)
def test_a_query_leads_to_no_other_statement_in_sqlite(db, sqlite, source):
    sqlite.script("CREATE TABLE victim (id INTEGER PRIMARY KEY); INSERT INTO victim VALUES (1)")
    db.create_server("erp", **sqlite.server_options())
    assert is_refused(db, "erp", source) or "') s" in source
    assert sqlite.query("SELECT id FROM victim") == [(1,)]


def test_a_function_that_writes_is_refused_in_each_run(db, postgres):
    """Whatever it does to the session in one run: it would be read-write for the next."""
    postgres.query("CREATE TABLE victim AS SELECT 1 AS id")
    postgres.query("CREATE TABLE t AS SELECT i AS id, now() AS w FROM generate_series(1, 3) i")
    postgres.query("CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM victim RETURNING id'")
    db.create_server("erp", **postgres.server_options)
    freeing = "SELECT id, w, set_config('default_transaction_read_only', 'off', false) AS s, {} AS n FROM t WHERE w >= :watermark"
    db.create_stream("s", "erp", freeing.format("0"), key="id", watermark="w", target="s", options={"page_rows": 2, "max_retries": 0})
    for _ in range(2):
        db.run("s")
    for source in ("SELECT id, w, '' AS s, wipe() AS n FROM t WHERE w >= :watermark", freeing.format("wipe()")):
        db.execute("UPDATE insync.stream SET source = %s", source)
        for mode in (None, None, "full"):
            assert "read-only" in db.run("s", mode, expect="failed")["message"]
    assert postgres.query("SELECT id FROM victim") == [(1,)]


def test_a_function_that_writes_is_refused_in_mariadb(db, mariadb):
    mariadb.query("CREATE TABLE victim (id int PRIMARY KEY)")
    mariadb.query("CREATE TABLE t (id int PRIMARY KEY)")
    mariadb.query("INSERT INTO victim VALUES (1)")
    mariadb.query("INSERT INTO t VALUES (1)")
    mariadb.query("DELIMITER //\nCREATE FUNCTION wipe() RETURNS int MODIFIES SQL DATA BEGIN DELETE FROM victim; RETURN 1; END//")
    db.create_server("erp", **mariadb.server_options)
    with pytest.raises(psycopg.Error, match="READ ONLY"):
        db.query("SELECT * FROM sync_preview('erp', 'SELECT id, wipe() AS n FROM t')")
    db.create_stream("s", "erp", "SELECT id, 1 AS n FROM t", key="id", target="s", options={"max_retries": 0})
    db.execute("UPDATE insync.stream SET source = 'SELECT id, wipe() AS n FROM t'")
    assert "READ ONLY" in db.run("s", expect="failed")["message"]
    assert mariadb.query("SELECT id FROM victim") == [("1",)]


ENDINGS = [
    "SELECT id, v FROM t -- all of them",
    "SELECT id, v FROM t; -- done",
    "SELECT id, v FROM t /* ; */ ;",
    "SELECT id, v FROM t ORDER BY v DESC, id",
    "WITH a AS (SELECT id, v FROM t), b AS (SELECT * FROM a) SELECT id, v FROM b ORDER BY id",
    "-- first\nSELECT id, ')' AS v FROM t WHERE v <> ';--'",
]


@pytest.mark.parametrize("source", ENDINGS)
@pytest.mark.parametrize("engine", ["sqlite", "mariadb", "postgres"])
def test_queries_begin_and_end_as_people_write_them(db, engine, source, request):
    place = request.getfixturevalue(engine)
    run = place.script if engine == "sqlite" else place.query
    run("CREATE TABLE t (id int PRIMARY KEY, v varchar(9) NOT NULL)")
    run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'a')")
    db.create_server("erp", **(place.server_options() if engine == "sqlite" else place.server_options))
    db.create_stream("s", "erp", source, key="id", target="s", options={"page_rows": 2})
    assert db.run("s")["inserted"] == 3
    assert db.run("s")["unchanged"] == 3


@pytest.mark.parametrize("source, message", [
    ("CALL report(2026)", "a call of a procedure cannot be a source"),
    ("EXEC report", "a call of a procedure cannot be a source"),
    ("VALUES (1), (2)", "the source is not a SELECT statement"),
    ("SELECT id FROM t WHERE id = ?", "the source has a parameter"),
    ("SELECT (id FROM t", "not closed"),
])  # fmt: skip
def test_what_is_no_query_is_told_what_to_write(db, mariadb, source, message):
    mariadb.query("CREATE TABLE t (id int PRIMARY KEY)")
    db.create_server("erp", **mariadb.server_options)
    with pytest.raises(psycopg.Error, match=message) as raised:
        db.query("SELECT * FROM sync_preview('erp', %s)", source)
    assert raised.value.diag.message_hint


def test_question_marks_are_operators_of_jsonb(db, postgres):
    postgres.query("CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL, j jsonb)")
    postgres.query("""INSERT INTO t VALUES (1, 1, '{"a": 1}'), (2, 2, '{"b": "?"}'), (3, 3, '{"a": 0, "b": 1}')""")
    db.create_server("erp", **postgres.server_options)
    query = "SELECT id, w, j ?| ARRAY['x', 'b'] AS b, j->>'b' = '?' AS q FROM t WHERE j ? 'a' AND j @? '$.a' AND w >= :watermark"
    db.create_stream("s", "erp", query, key="id", watermark="w", target="s", options={"page_rows": 1})
    db.run("s")
    assert db.query("SELECT id, b FROM s ORDER BY id") == [(1, False), (3, True)]


@pytest.mark.parametrize("storage", ["text", "times", "seconds", "numbers", "days"])
def test_a_query_with_a_watermark_is_read_in_full_too(db, sqlite, storage):
    """Full, keys, verify and backfill ask for all rows: what is compared with :watermark is below whatever is there."""
    column, low, high = {
        "text": ("TEXT", "'a'", "'b'"),
        "times": ("DATETIME", "'2026-01-05 10:00:00'", "'2026-01-06 10:00:00'"),
        "seconds": ("", "1767000000", "1767100000"),
        "numbers": ("NUMERIC", "-5.5", "12"),
        "days": ("DATETIME", "'2026-01-05 10:00:00'", "'2026-01-06 10:00:00'"),
    }[storage]
    sqlite.script(f"CREATE TABLE t (id INTEGER PRIMARY KEY, w {column} NOT NULL, v TEXT); INSERT INTO t VALUES (1, {low}, 'x'), (2, {high}, 'y'), (3, {high}, 'z')")
    condition = "w >= datetime(:watermark, '-1 day')" if storage == "days" else "w >= :watermark"
    db.create_server("erp", **sqlite.server_options())
    db.create_stream("s", "erp", f"SELECT id, w, v FROM t WHERE {condition}", key="id", watermark="w", target="s", options={"deletes": "hard", "max_deletes": "100%"})
    assert db.run("s")["inserted"] == 3
    sqlite.script("DELETE FROM t WHERE id = 1; UPDATE t SET v = 'new' WHERE id = 2")
    run = db.run("s", "full")
    assert (run["updated"], run["deleted"]) == (1, 1)
    assert db.query("SELECT id, v FROM s ORDER BY id") == [(2, "new"), (3, "z")]
    sqlite.execute("DELETE FROM t WHERE id = 3")
    assert db.run("s", "keys")["deleted"] == 1


@pytest.mark.parametrize("engine", ["mariadb", "postgres"])
@pytest.mark.parametrize("watermark", ["bigint", "bigint unsigned", "decimal(10,2)", "timestamp"])
def test_a_query_with_a_watermark_finds_deletes(db, engine, watermark, request):
    if engine == "postgres" and "unsigned" in watermark:
        watermark = "smallint"
    place = request.getfixturevalue(engine)
    low, high = ("'2026-01-05 10:00:00'", "'2026-01-06 10:00:00'") if watermark == "timestamp" else ("1", "7")
    place.query(f"CREATE TABLE t (id int PRIMARY KEY, w {watermark} NOT NULL, v varchar(9))")
    place.query(f"INSERT INTO t VALUES (1, {low}, 'x'), (2, {high}, 'y'), (3, {high}, 'z')")
    db.create_server("erp", **place.server_options)
    db.create_stream("s", "erp", "SELECT id, w, v FROM t WHERE w >= :watermark", key="id", watermark="w", target="s", options={"deletes": "hard", "max_deletes": "100%"})
    assert db.run("s")["inserted"] == 3
    place.query("DELETE FROM t WHERE id = 1")
    assert db.run("s", "full")["deleted"] == 1
    place.query("DELETE FROM t WHERE id = 2")
    assert db.run("s", "keys")["deleted"] == 1
    db.execute("UPDATE s SET v = 'wrong'")
    assert db.query("SELECT id FROM s") == [(3,)]
    verified = db.query("SELECT * FROM sync_verify('s')")
    assert verified, "verification has an answer"
