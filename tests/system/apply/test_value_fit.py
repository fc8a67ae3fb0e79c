"""Values that a target column would take otherwise than the source has them: rejected, or the column follows its source."""

import datetime
import decimal

import psycopg
import pytest

D = decimal.Decimal


def values(db, table="t"):
    return dict(db.query(f"SELECT id, v FROM {table} WHERE id < 900 ORDER BY id"))


def rejects(db, stream="t"):
    return {int(error["key"]["id"]): (error["sqlstate"], error["column_name"]) for error in db.errors(stream)}


@pytest.fixture
def source(db, sqlite):
    db.create_server("taller", **sqlite.server_options())
    return sqlite


CASES = [
    # declared at the source, type of the target's column, what fits, what doesn't, SQLSTATE
    ("DECIMAL(10,2)", "integer", [6, 7.0], [6.75], "22003"),
    ("REAL", "bigint", [3.0], [3.5], "22003"),
    ("DECIMAL(10,4)", "numeric(10,2)", [1.25, 1.5, 2], [1.255], "22003"),
    ("REAL", "numeric(10,2)", [0.1 + 0.2, 33.75], [33.755], "22003"),
    ("REAL", "numeric", [0.1 + 0.2, 1 / 3], [], ""),
    ("DECIMAL", "double precision", [0.1, 12], [9007199254740993], "22003"),
    ("INTEGER", "double precision", [5], [9007199254740993], "22003"),
    ("REAL", "real", [0.1, 100000000.0], [0.123456789], "22003"),
    ("INTEGER", "boolean", [0, 1], [2], "22003"),
    ("BOOLEAN", "bigint", [0, 1], [], ""),
    ("DECIMAL", "money", [1.25], [1.255], "22003"),
    ("JSON", "integer", ["7"], ["6.75"], "22003"),
    ("DATETIME", "date", ["2025-01-05 00:00:00"], ["2025-01-05 10:00:00"], "22008"),
    ("DATETIME", "timestamp(0)", ["2025-01-05 10:00:00"], ["2025-01-05 10:00:00.5"], "22008"),
    ("TIMESTAMPTZ", "date", ["2025-01-05 00:00:00+00"], ["2025-01-05 00:00:00+02"], "22008"),
    ("TIME", "time(0)", ["10:00:00"], ["10:00:00.25"], "22008"),
    ("TEXT", "date", ["2025-01-05"], ["2025-01-05 10:00"], "22008"),
    ("TEXT", "timestamp", ["2025-01-05 10:00", "2025-01-05T10:00:00Z"], ["2025-01-05 10:00+02"], "22008"),
    ("TEXT", "time", ["10:00"], ["2025-01-05 10:00", "10:00+02"], "22008"),
    ("TEXT", "numeric(10,2)", ["1.50"], ["1.505"], "22003"),
    ("TEXT", "real", ["0.1"], ["0.123456789"], "22003"),
    ("TEXT", '"char"', ["a"], ["ab"], "22001"),
    ("TEXT", "name", ["a" * 63], ["a" * 64], "22001"),
]


@pytest.mark.wall
@pytest.mark.parametrize("empty", [True, False], ids=["insert", "merge"])
@pytest.mark.parametrize("declared, type, fits, misfits, sqlstate", CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_a_value_that_would_change_on_its_way_is_rejected(db, source, declared, type, fits, misfits, sqlstate, empty):
    source.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared})")
    source.many("INSERT INTO t VALUES (?, ?)", [(1, None), *enumerate(fits + misfits, 2)])
    db.execute(f"CREATE TABLE t (id bigint PRIMARY KEY, v {type})")
    if not empty:
        db.execute("INSERT INTO t VALUES (999, NULL)")
    db.create_stream("t", "taller", "t", target="t")
    run = db.run("t")
    assert (run["inserted"], run["rejected"]) == (1 + len(fits), len(misfits))
    bad = range(2 + len(fits), 2 + len(fits) + len(misfits))
    assert rejects(db) == {id: (sqlstate, "v") for id in bad}
    assert all("does not fit type" in error["message"] and '"v"' in error["message"] for error in db.errors("t"))
    assert values(db).keys() == set(range(1, 2 + len(fits)))
    assert db.run("t")["unchanged"] == 1 + len(fits) + len(misfits)


def test_what_a_number_is_taken_as(db, source):
    """Where PostgreSQL has no cast, or one that loses digits."""
    source.script(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, f REAL, si BOOLEAN, uno INTEGER, guid BLOB);"
        "INSERT INTO t VALUES (1, 0.1 + 0.2, 1, 1, x'00112233445566778899aabbccddeeff')"
    )
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, f numeric, si numeric, uno boolean, guid uuid)")
    db.create_stream("t", "taller", "t")
    assert db.run("t")["inserted"] == 1
    assert db.query("SELECT f, si, uno, guid::text FROM t") == [(D("0.30000000000000004"), D(1), True, "00112233-4455-6677-8899-aabbccddeeff")]


def test_an_expression_may_round(db, source):
    source.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v DECIMAL); INSERT INTO t VALUES (1, 6.75)")
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v integer)")
    db.create_stream("t", "taller", "t", options={"columns": {"v": "v"}})
    assert db.run("t")["rejected"] == 0
    assert values(db) == {1: 7}


def test_a_changed_row_that_does_not_fit_leaves_the_good_version(db, source):
    source.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v DECIMAL, w DATETIME); INSERT INTO t VALUES (1, 24, '2025-01-01'), (2, 3, '2025-01-01')")
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, w timestamp)")
    db.create_stream("t", "taller", "t", watermark="w")
    db.run("t")
    source.script("UPDATE t SET v = v + 0.75, w = '2025-01-02' WHERE id = 1; UPDATE t SET v = 4, w = '2025-01-02' WHERE id = 2")
    run = db.run("t")
    assert (run["updated"], run["rejected"]) == (1, 1)
    assert values(db) == {1: 24, 2: 4}
    (error,) = db.errors("t")
    assert error["record"]["v"] == 24.75 and "24.75" in error["message"]
    db.execute("UPDATE insync.error SET record = record || '{\"v\": 25}' WHERE stream = 't'")
    assert db.query("SELECT * FROM sync_replay('t')") == [(1, 0)]
    assert values(db) == {1: 25, 2: 4}


def test_a_pushed_value_that_does_not_fit_is_rejected(db, source):
    source.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v DECIMAL)")
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint)")
    db.create_stream("t", "taller", "t")
    assert db.dict("SELECT inserted, rejected FROM sync_ingest('t', '[{\"id\": 1, \"v\": 1.5}, {\"id\": 2, \"v\": 2}]')") == {"inserted": 1, "rejected": 1}
    assert values(db) == {2: 2}


def test_a_verification_finds_that_what_does_not_fit_is_missing(db, source):
    source.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v DECIMAL, d DATE); INSERT INTO t VALUES (1, 1.5, '2025-01-05'), (2, 2, '2025-01-05')")
    db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, d date)")
    db.create_stream("t", "taller", "t", options={"slice_column": "d"})
    db.run("t")
    found = db.dicts("SELECT * FROM sync_verify('t', depth => 'rows')")
    assert [(row["missing"], row["extra"], row["changed"]) for row in found] == [(1, 0, 0)]


# -------------------------------------------------------------------------------------- the source's type has changed


def retype(source, type, rows):
    source.script(f"DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY, v {type}, w DATETIME)")
    source.many("INSERT INTO t VALUES (?, ?, ?)", rows)


def type_of(db, column="v"):
    return db.value("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = %s", column)


@pytest.mark.parametrize("before, after, old, new, types, held", [
    ("INTEGER", "DECIMAL(10,2)", 24, 24.75, ("bigint", "numeric"), D("24.75")),
    ("DATE", "DATETIME", "2025-01-05", "2025-01-05 10:00:00", ("date", "timestamp without time zone"), datetime.datetime(2025, 1, 5, 10)),
])  # fmt: skip
def test_a_column_of_the_stream_is_widened_with_the_source(db, source, before, after, old, new, types, held):
    retype(source, before, [(1, old, "2025-01-01"), (2, old, "2025-01-01")])
    db.create_stream("t", "taller", "t", watermark="w")
    db.run("t")
    assert type_of(db) == types[0]
    retype(source, after, [(1, new, "2025-01-02"), (2, old, "2025-01-01")])
    run = db.run("t")
    assert (run["updated"], run["rejected"]) == (1, 0)
    assert type_of(db) == types[1] and values(db)[1] == held
    assert 'column "v" of the target was widened from ' + types[0] in run["message"]
    assert db.run("t")["message"] in (None, ""), "it is told once"


def test_decimals_of_a_server_are_widened(db, mariadb):
    mariadb.query("CREATE TABLE t (id int PRIMARY KEY, v decimal(6,2))")
    mariadb.query("INSERT INTO t VALUES (1, 1.25)")
    db.create_server("taller", **mariadb.server_options)
    db.create_stream("t", "taller", "t")
    db.run("t")
    mariadb.query("ALTER TABLE t MODIFY v decimal(12,4)")
    mariadb.query("UPDATE t SET v = 123456.1255")
    assert db.run("t")["updated"] == 1
    assert type_of(db) == "numeric(12,4)" and values(db) == {1: D("123456.1255")}
    mariadb.query("ALTER TABLE t MODIFY v decimal(12,2)")
    db.run("t")
    assert type_of(db) == "numeric(12,4)", "what is wider already stays"


@pytest.mark.parametrize("what", ["the user's table", "new columns are ignored", "a view"])
def test_a_column_that_can_not_follow_rejects(db, source, what):
    retype(source, "INTEGER", [(1, 24, "2025-01-01"), (2, 2, "2025-01-01")])
    options = {"new_columns": "ignore"} if what == "new columns are ignored" else {}
    if what == "the user's table":
        db.execute("CREATE TABLE t (id bigint PRIMARY KEY, v bigint, w timestamp)")
    db.create_stream("t", "taller", "t", watermark="w", options=options)
    db.run("t")
    if what == "a view":
        db.execute("CREATE VIEW vista AS SELECT v FROM t")
    retype(source, "DECIMAL(10,2)", [(1, 24.75, "2025-01-02"), (2, 3, "2025-01-02")])
    run = db.run("t")
    assert (run["updated"], run["rejected"]) == (1, 1)
    assert type_of(db) == "bigint" and values(db) == {1: 24, 2: 3}
    if what == "a view":
        assert 'column "v" of the target stays bigint' in run["message"] and "view" in run["message"]
        db.execute("DROP VIEW vista; ALTER TABLE t ALTER v TYPE numeric")
    else:
        db.execute("ALTER TABLE t ALTER v TYPE numeric")
    assert db.query("SELECT * FROM sync_replay('t')") == [(1, 0)]
    assert values(db) == {1: D("24.75"), 2: 3}


# ----------------------------------------------------------------------------------------------- types without a cast


@pytest.mark.parametrize("declared, type, options, message", [
    ("INTEGER", "date", {}, 'column "v" of target public.t is date, which cannot hold the source\'s type int8'),
    ("DATETIME", "time", {}, 'column "v" of target public.t is time without time zone, which cannot hold the source\'s type timestamp'),
    ("INTEGER", "date", {"columns": {"v": "v + 1"}},
     'the expression of column "v" does not give a value of type date: cannot cast type bigint to date'),
])  # fmt: skip
def test_types_that_can_not_meet_are_named(db, source, declared, type, options, message):
    source.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared})")
    db.execute(f"CREATE TABLE t (id bigint PRIMARY KEY, v {type})")
    with pytest.raises(psycopg.Error) as raised:
        db.create_stream("t", "taller", "t", options=options)
    assert raised.value.sqlstate == "42846"
    assert raised.value.diag.message_primary == message
    assert "MERGE" not in str(raised.value)


def test_a_type_that_can_not_meet_any_more_fails_the_run(db, source):
    retype(source, "DATE", [(1, "2025-01-05", "2025-01-01")])
    db.create_stream("t", "taller", "t", watermark="w")
    db.run("t")
    retype(source, "INTEGER", [(1, 5, "2025-01-02")])
    run = db.run("t", expect="failed")
    assert run["sqlstate"] == "42846" and 'column "v" of target public.t is date' in run["message"]
    assert "MERGE" not in run["message"]
