"""Types that the user gives to a source's columns, where the source's own says too little of its values."""

import decimal
import uuid

import psycopg
import pytest

GUID = "00112233-4455-6677-8899-aabbccddeeff"
BYTES = f"x'{GUID.replace('-', '')}'"


@pytest.fixture
def source(db, sqlite):
    db.create_server("taller", **sqlite.server_options())
    return sqlite


def test_values_that_the_declared_type_rejects_are_read_as_another(db, source):
    """Epochs in a DATETIME column, words in a number's, 16 bytes."""
    source.script(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, cuando DATETIME, n INTEGER, g BLOB, si INTEGER);"
        f"INSERT INTO t VALUES (1, 1736071200, 'doce', {BYTES}, 1), (2, NULL, 12, NULL, 0), (3, 0, 1.5, x'00', 2)"
    )
    db.create_stream("antes", "taller", "t", target="antes")
    assert db.run("antes")["rejected"] == 2
    fields = {"cuando": "bigint", "n": "text", "g": "uuid", "si": "boolean"}
    options = {"fields": fields, "columns": {"cuando": "to_timestamp(cuando) AT TIME ZONE 'UTC'"}}
    db.create_stream("t", "taller", "t", options=options)
    run = db.run("t")
    assert (run["inserted"], run["rejected"]) == (2, 1)
    assert {error["column_name"] for error in db.errors("t")} <= {"g", "si"}
    assert db.query("SELECT id, cuando::text, n, g, si FROM t ORDER BY id") == [
        (1, "2025-01-05 10:00:00", "doce", uuid.UUID(GUID), True), (2, None, "12", None, False)]  # fmt: skip
    assert db.run("t")["unchanged"] == 3


@pytest.mark.parametrize("fields, message", [
    ({"nada": "text"}, 'declared column "nada" does not exist'), ({"n": "intger"}, "Perhaps you meant integer"), ({"g": "date"}, "holds bytes and cannot be read as date"),
])  # fmt: skip
def test_declarations_are_checked(db, source, fields, message):
    source.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, g BLOB)")
    with pytest.raises(psycopg.Error) as raised:
        db.create_stream("t", "taller", "t", options={"fields": fields})
    assert message in str(raised.value)


def test_bytes_and_texts_of_a_guid_column_are_guids(db, source):
    source.script(f"CREATE TABLE t (id INTEGER PRIMARY KEY, g GUID); INSERT INTO t VALUES (1, {BYTES}), (2, '{GUID.upper()}'), (3, NULL), (4, x'4142')")
    db.create_stream("t", "taller", "t")
    assert db.run("t")["rejected"] == 1
    assert db.query("SELECT id, g FROM t ORDER BY id") == [(1, uuid.UUID(GUID)), (2, uuid.UUID(GUID)), (3, None)]


def test_types_of_a_server_are_declared(db, mariadb):
    mariadb.query("CREATE TABLE t (id int PRIMARY KEY, si tinyint(1), g binary(16), largo time, d double, n bigint)")
    mariadb.query(f"INSERT INTO t VALUES (1, 1, {BYTES}, '100:30:00', 0.1, 9007199254740993), (2, 0, NULL, NULL, NULL, NULL)")
    db.create_server("taller", **mariadb.server_options)
    fields = {"si": "boolean", "g": "uuid", "largo": "interval", "d": "numeric(10,2)", "n": "numeric"}
    db.create_stream("t", "taller", "t", options={"fields": fields})
    assert db.run("t")["rejected"] == 0
    assert db.query("SELECT id, si, g, largo::text, d, n FROM t ORDER BY id") == [
        (1, True, uuid.UUID(GUID), "100:30:00", decimal.Decimal("0.10"), 9007199254740993), (2, False, None, None, None, None)]  # fmt: skip
    mariadb.query("UPDATE t SET si = 2 WHERE id = 2")
    assert db.run("t")["rejected"] == 1


def test_tinyint_fills_a_boolean(db, mariadb):
    mariadb.query("CREATE TABLE t (id int PRIMARY KEY, si tinyint(1))")
    mariadb.query("INSERT INTO t VALUES (1, 1), (2, 0), (3, NULL), (4, 2)")
    db.create_server("taller", **mariadb.server_options)
    db.execute("CREATE TABLE t (id int PRIMARY KEY, si boolean)")
    db.create_stream("t", "taller", "t")
    assert db.run("t")["rejected"] == 1
    assert db.query("SELECT id, si FROM t ORDER BY id") == [(1, True), (2, False), (3, None)]


def test_blanks_that_pad_a_char_are_left_out(db, postgres):
    """But for those of a key, which stays as it came to be."""
    postgres.query("CREATE TABLE t (k char(4) PRIMARY KEY, c char(10), v varchar(10))")
    postgres.query("INSERT INTO t VALUES ('a', 'ñandú', 'b  '), ('b', '', '')")
    options = dict(postgres.server_options)
    db.create_server("taller", user=options.pop("user"), password=options.pop("password"), **options)
    db.create_stream("t", "taller", "t")
    assert db.run("t")["inserted"] == 2
    assert db.query("SELECT rtrim(k), c, v FROM t ORDER BY k") == [("a", "ñandú", "b  "), ("b", "", "")]
    assert db.query("SELECT * FROM sync_verify('t', depth => 'rows')") == []
