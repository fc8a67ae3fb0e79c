"""SQL in every name and value, local and remote: it stays a name or a value through first load, change, delete, reject,
replay, rename and drop, and what arrives equals what was sent."""

import json

import psycopg
import pytest
from harness import Database, assert_equal_tables
from harness.database import literal, quote

# Each is a name of a server, role, schema, table and column somewhere. PostgreSQL keeps 63 bytes.
NAMES = {
    "quotes": "a'b\"c`d]e",
    "statement": "x\"); DROP TABLE victim; --",
    "statement in single quotes": "x'; DROP TABLE victim; --",
    "backslashes": "\\'; \\\\ \\x41 \\",
    "dollars": "$$;$1;$a$ DROP TABLE victim $a$",
    "percent": "%s %n %1$s 100% %",
    "newline": "two\nlines\t-- and a comment",
    "comment": "/* x */ -- y",
    "Unicode": "Ñandú ☕ \u202eright",
    "parameters": "? :watermark @x ${x} #{x}",
    "keyword": "select",
    "blanks": " lead and trail ",
    "63 bytes": "ñ" * 31 + "x",
    "dots": "a.b.c",
}
VALUES = [
    "", "'", "''", '"', "\\", "\\'", "'; DROP TABLE victim; --", "$$", "%s%n", "?", ":watermark", "{}", "NULL", "\\N", "a\nb\r\n", "\t", "☕ ñ", "x" * 5000,
    "'); DELETE FROM victim; --", "{\"a\": \"'\"}", "\\x00", "--", "/*", "[x]", "`x`", " ", "0", "true",
]  # fmt: skip


def cut(name):
    """A name as PostgreSQL keeps it."""
    return name.encode()[:63].decode(errors="ignore")


def like(name):
    """The pattern that only this name matches."""
    return "".join("\\" + c if c in "\\%_" else c for c in name)


def folded(name):
    return cut("".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name))


@pytest.fixture
def victim(db):
    """A table that statements in names try to drop, in the database and (by the test) at the source."""
    db.execute("CREATE TABLE victim (x int); INSERT INTO victim VALUES (1)")
    yield db
    assert db.query("SELECT * FROM victim") == [(1,)]


class Engine:
    """What the cycle needs of a source: q() quotes a name, query() runs SQL, keeps() is what it makes of a name."""

    def __init__(self, options, query, q, keeps, text="VARCHAR(6000)", backslash=False):
        self.options, self.query, self.q, self.keeps, self.text, self.backslash = options, query, q, keeps, text, backslash

    def value(self, text):
        return "'" + (text.replace("\\", "\\\\") if self.backslash else text).replace("'", "''") + "'"


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def engine(request):
    source = request.getfixturevalue(request.param)
    if request.param == "sqlite":
        # Its driver takes the part behind a dot for the column's name.
        return Engine(source.server_options(), source.query, quote, lambda name: name.replace(".", "·"), "TEXT")
    if request.param == "mariadb":
        backticks = lambda name: "`" + name.replace("`", "``") + "`"  # noqa: E731
        return Engine(source.server_options, source.query, backticks, str.rstrip, backslash=True)  # no blank at a name's end
    return Engine(source.server_options, source.query, quote, cut)


def cycle(db, session, engine, server, name):
    """The whole life of a stream whose every name is `name`; the target is made by sync_create in schema `name`."""
    q = engine.q
    id_, text, time, bad, op = (engine.keeps(prefix + name) for prefix in ("", "t ", "w ", "b ", "o "))
    op = op if op.isprintable() else "op"  # the option that names it takes no control characters
    server_table = engine.keeps(name)
    columns = f"{q(id_)}, {q(text)}, {q(bad)}, {q(time)}, {q(op)}"
    engine.query("CREATE TABLE victim (x INT)")
    engine.query("INSERT INTO victim VALUES (1)")
    engine.query(
        f"CREATE TABLE {q(server_table)} ({q(id_)} INT NOT NULL PRIMARY KEY, {q(text)} {engine.text}, {q(bad)} {engine.text}, {q(time)} TIMESTAMP NOT NULL, {q(op)} CHAR(1))"
    )

    def insert(id, value, bad, time, op="I"):
        engine.query(f"INSERT INTO {q(server_table)} ({columns}) VALUES ({id}, {engine.value(value)}, {engine.value(bad)}, '{time}', '{op}')")

    for number, value in enumerate(VALUES):
        insert(number, value, str(number), "2025-01-01 00:00:00")
    local = {column: folded(column) for column in (id_, text, bad, time, op)}
    schema, stream, pattern = cut(name), name, like(name)
    made = session.create_stream(
        stream, server, quote(server_table), target=f"{quote(schema)}.{quote(cut(name))}", watermark=quote(time),
        options={"columns": {local[bad]: f"batch.{quote(local[bad])}::int", "constant": f"{literal(name)}::text"}, "deletes": "hard", "operation_column": op,
                 "delete_values": "X,'; DROP TABLE victim; --,D", "filter": f"batch.{quote(local[text])} IS DISTINCT FROM {literal(name + 'no')}"},
    )  # fmt: skip
    assert made["stream"] == stream
    target = f"{quote(schema)}.{quote(cut(name))}"

    def check(ids=None):
        rows = engine.query(f"SELECT {q(id_)}, {q(text)}, {q(bad)} FROM {q(server_table)} WHERE {q(op)} <> 'D' AND {q(bad)} <> 'x'")
        here = db.query(f"SELECT {quote(local[id_])}, {quote(local[text])}, {quote(local[bad])} FROM {target}")
        assert_equal_tables(rows, here)
        assert set(db.query(f"SELECT DISTINCT constant FROM {target}")) == {(name,)}

    # First load, then a change, a delete and a reject.
    assert session.run(pattern)["inserted"] == len(VALUES)
    check()
    engine.query(f"UPDATE {q(server_table)} SET {q(text)} = {engine.value(name)}, {q(time)} = '2025-01-01 00:00:01' WHERE {q(id_)} = 1")
    engine.query(f"UPDATE {q(server_table)} SET {q(op)} = 'D', {q(time)} = '2025-01-01 00:00:01' WHERE {q(id_)} = 2")
    insert(100, name, "x", "2025-01-01 00:00:02")
    run = session.run(pattern)
    assert (run["inserted"], run["updated"], run["deleted"], run["rejected"]) == (0, 1, 1, 1), run
    check()
    # The reject says what it is; mended, it is replayed.
    (error,) = session.errors(stream)
    assert error["key"] == {local[id_]: "100"} and error["record"][local[text]] == name
    session.execute("UPDATE insync.error SET record = record || %s::jsonb WHERE stream = %s", json.dumps({local[bad]: "100"}), stream)
    assert session.dict("SELECT * FROM sync_replay(%s)", stream) == {"applied": 1, "rejected": 0}
    engine.query(f"UPDATE {q(server_table)} SET {q(bad)} = '100' WHERE {q(id_)} = 100")
    check()
    # Seen, explained, paused, reset to a watermark, read in full.
    assert session.status(pattern)["stream"] == stream
    assert session.query("SELECT * FROM sync_explain(%s)", stream)
    for function in ("sync_pause", "sync_resume"):
        assert session.query(f"SELECT * FROM {function}(%s)", pattern) == [(stream,)]
    session.execute("SELECT sync_reset(%s, '2025-01-01 00:00:00')", stream)
    session.run(pattern)
    session.run(pattern, "full")
    check()
    # Renamed and dropped.
    session.alter_stream(stream, name=stream + " 2")
    assert {row[0] for row in session.query("SELECT stream FROM insync.run")} == {stream + " 2"}
    session.run(pattern + " 2")
    session.execute("SELECT sync_drop(%s, true)", stream + " 2")
    assert db.query("SELECT 1 FROM pg_class WHERE relname = %s AND relnamespace = to_regnamespace(%s)", cut(name), quote(schema)) == []
    assert [tuple(map(str, row)) for row in engine.query("SELECT * FROM victim")] == [("1",)]


@pytest.mark.parametrize("what", NAMES)
def test_a_name_is_a_name(victim, engine, what):
    db, name = victim, NAMES[what]
    role, server = cut(name), cut(name)
    db.execute(f"CREATE ROLE {quote(role)} LOGIN")
    try:
        db.execute("SELECT sync_grant(%s)", role)
        db.execute(f"CREATE SCHEMA {quote(cut(name))} AUTHORIZATION {quote(role)}")
        given = {key: value for key, value in engine.options.items() if key not in ("user", "password")}
        db.create_server(server, **given)
        db.execute(f"GRANT USAGE ON FOREIGN SERVER {quote(server)} TO {quote(role)}")
        session = Database(db.cluster, db.name, role)
        if "user" in engine.options:
            session.execute(
                f"CREATE USER MAPPING FOR CURRENT_USER SERVER {quote(server)} OPTIONS (user {literal(engine.options['user'])},"
                f" password {literal(engine.options['password'])})"
            )
        cycle(db, session, engine, server, name)
        session.close()
    finally:
        db.execute(f"DROP OWNED BY {quote(role)} CASCADE")
        db.execute(f"DROP ROLE {quote(role)}")


@pytest.mark.parametrize("name", [name for name in NAMES.values() if cut(name) == name])
def test_a_hint_can_be_pasted(victim, sqlite, name):
    """The statement that a hint gives does what it says, and nothing else, whatever it names."""
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    victim.create_server(name, **sqlite.server_options())
    victim.execute(f"CREATE ROLE {quote(name)} LOGIN")
    victim.execute("SELECT sync_grant(%s)", name)
    session = Database(victim.cluster, victim.name, name)
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
        session.execute("SELECT * FROM sync_preview(%s, 't')", name)
    victim.execute(raised.value.diag.message_hint)
    assert session.query("SELECT * FROM sync_preview(%s, 't')", name) == []
    session.close()
    victim.execute(f"DROP OWNED BY {quote(name)}")
    victim.execute(f"DROP ROLE {quote(name)}")


# ----------------------------------------------------------------------------------------------------- values


def test_a_watermark_of_text_is_a_value(victim, sqlite):
    """Every text of VALUES is a watermark once: the bound of the next read, shown and kept as it is."""
    sqlite.execute("CREATE TABLE victim (x INT)")
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, w TEXT NOT NULL)")
    victim.create_server("tienda", **sqlite.server_options())
    ordered = sorted((value for value in VALUES if len(value) < 100), key=lambda value: value.encode())
    sqlite.execute("INSERT INTO t VALUES (0, ?)", (ordered[0],))
    victim.create_stream("t", "tienda", "t", watermark="w", options={"lookback": "0"})
    for number, value in enumerate(ordered[1:], 1):
        sqlite.execute("INSERT INTO t VALUES (?, ?)", (number, value))
        victim.run("t")
        assert victim.status("t")["watermark"] == value
        assert_equal_tables(sqlite.query("SELECT * FROM t"), victim.query("SELECT * FROM t"))
    assert sqlite.query("SELECT count(*) FROM victim") == [(0,)]


@pytest.mark.parametrize("column", ["id", "código"])
def test_a_key_of_text_is_a_value(victim, engine, column):
    engine.query("CREATE TABLE victim (x INT)")
    kind = "VARCHAR(200)" if engine.backslash else engine.text
    collation = " COLLATE utf8mb4_bin" if engine.backslash else ""
    engine.query(f"CREATE TABLE t ({engine.q(column)} {kind}{collation} NOT NULL PRIMARY KEY, v INT)")
    keys = [value for value in VALUES if len(value) < 100 and value == value.rstrip(" ")]
    for number, value in enumerate(keys):
        engine.query(f"INSERT INTO t VALUES ({engine.value(value)}, {number})")
    options = dict(engine.options)
    victim.create_server("s", **options)
    victim.create_stream("t", "s", "t", options={"deletes": "hard", "page_rows": 3, "batch_rows": 2, "max_deletes": "100%"})
    assert victim.run("t")["inserted"] == len(keys)
    assert_equal_tables(engine.query(f"SELECT {engine.q(column)}, v FROM t"), victim.query(f"SELECT {quote(column)}, v FROM t"))
    engine.query("DELETE FROM t WHERE v >= 5")
    victim.run("t", "full")
    assert_equal_tables(engine.query(f"SELECT {engine.q(column)}, v FROM t"), victim.query(f"SELECT {quote(column)}, v FROM t"))
    engine.query("SELECT x FROM victim")


@pytest.mark.parametrize("pattern", ["%'; DROP TABLE victim; --", "\\", "%\\", "' OR '1'='1", "%s", "_%"])
def test_a_pattern_is_a_value(victim, engine, pattern):
    engine.query("CREATE TABLE victim (x INT)")
    victim.create_server("s", **engine.options)
    for function in ("sync_status(%s)", "sync_trigger(%s || '%%')", "sync_discover('s', %s)"):
        try:
            victim.query(f"SELECT * FROM {function}", pattern)
        except Exception as error:
            assert "escape" in str(error).lower() or "LIKE" in str(error), error
    engine.query("SELECT x FROM victim")


# ------------------------------------------------------------------------------------------------------ long names


@pytest.mark.parametrize("letter", ["x", "ñ", "☕"])
def test_long_names_are_cut_between_letters(victim, sqlite, letter):
    """64 bytes and more: columns that agree in their first 63 bytes stay two, and no letter is cut in half."""
    first, second = letter * 70 + "a", letter * 70 + "b"
    sqlite.execute(f'CREATE TABLE "{first}" (id INTEGER PRIMARY KEY, "{first}" TEXT, "{second}" TEXT)')
    sqlite.execute(f'INSERT INTO "{first}" VALUES (1, ?, ?)', (letter, letter * 2))
    victim.create_server("tienda", **sqlite.server_options())
    made = victim.create_stream(first, "tienda", first)
    assert victim.run(first)["inserted"] == 1
    assert victim.query(f"SELECT * FROM {made['target_table']}") == [(1, letter, letter * 2)]
    assert made["target_table"].strip('"').replace('"', "") == "public." + cut(first) or cut(first) in made["target_table"]
    sqlite.execute(f'UPDATE "{first}" SET "{second}" = ?', (letter * 3,))
    assert victim.run(first)["updated"] == 1
    assert victim.query(f"SELECT * FROM {made['target_table']}") == [(1, letter, letter * 3)]


@pytest.mark.parametrize("shift", range(4))
def test_a_long_message_is_cut_between_letters(victim, sqlite, shift):
    """Shared memory holds a part of the message: it must stay text."""
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    victim.create_server("tienda", **sqlite.server_options())
    victim.create_stream("ñ☕" * 200, "tienda", "t", target="x" * shift + "☕" * 15, options={"max_retries": 0})
    victim.execute("DROP TABLE " + quote("x" * shift + "☕" * 15))
    run = victim.run("ñ☕" * 200, expect="failed")
    assert "☕" in run["message"] and len(run["message"].encode()) > 256
    (message,) = victim.query("SELECT message FROM sync_status()")[0]
    assert "�" not in message and run["message"].startswith(message)
    assert victim.value("SELECT convert_to(message, 'UTF8') IS NOT NULL FROM insync.live()")
    assert victim.value("SELECT to_jsonb(l) IS NOT NULL FROM insync.live() AS l")
    victim.query("SELECT * FROM pg_stat_activity")
