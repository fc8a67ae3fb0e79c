"""Pages of seven rows hold each row once, whatever type the key has and however the engine sorts and compares it."""

import random
from dataclasses import dataclass, field

import pytest
from harness import Connector

WORDS = [
    "a", "A", "b", "B", "ab", "aB", "Ab", "AB", "abc", "Z", "z", "zz", "_", "-", "a-b", "a b", "a.b", "co-op", "coop", "Co-op", "ä", "Ä", "à", "é",
    "E", "e", "ñ", "n", "N", "nz", "ß", "ss", "SS", "œ", "oe", "ø", "1", "10", "9", "09", "1e1", "0x10", "", " ", "a ", " a", "a\t", "€", "日本", "表",
    "😀", "I", "ı", "i", "İ", "æ", "ae", "%", "'", '"', "\\", "null", "true",
]  # fmt: skip
BMP = [word for word in WORDS if all(ord(c) < 2**16 for c in word)]
LATIN = [word for word in WORDS if word == "€" or all(ord(c) < 256 for c in word)]
NUMBERS = [0, 1, -1, 2, 9, 10, 11, 99, 100, -9, -10, -100, 127, 1000, 32767, -32768]
FRACTIONS = ["0.1", "0.2", "0.3", "0.5", "-0.1", "1.10", "1.1", "3.14", "100.25", "-7.5", "0.33", "99.99", "2.675", "1000000.01", "-1000000.01"]
FLOATS = ["0.1", "0.2", "0.30000000000000004", "0.3", "1e-300", "1e300", "-1e300", "2.5", "1e15", "123456789.123456789", "1e22", "-0.5", "3", "5e-324"]
SINGLES = [f"{1234567 + i}" for i in range(30)] + ["0.1", "0.2", "0.3333333", "16777216", "1e-30", "1e30", "-2.5"]
DAYS = [f"{year}-0{month}-15" for year in (1000, 1969, 2024, 9999) for month in range(1, 8)]
MOMENTS = [f"{day} 0{hour}:00:0{hour}.{fraction}" for day in DAYS[7:16] for hour, fraction in ((0, "000000"), (1, "000001"), (1, "1"), (2, "999999"))]
UUIDS = [f"{i * 2654435761 % 2**32:08x}-{i:04x}-{m}{i:03x}-8{i:03x}-{i * 7919:012x}" for i in range(20) for m in "147"]


def quoted(texts):
    return ["'" + text.replace("'", "''") + "'" for text in texts]


def in_mariadb(texts):
    return quoted(text.replace("\\", "\\\\") for text in texts)


@dataclass
class Case:
    type: str
    values: list  # as literals of the source's SQL
    texts: list = field(default_factory=list)  # as the target's text, where rows are looked up by it
    more: str = ""  # behind the name of the table's columns


def words(type, escape=quoted, **more):
    return Case(type, escape(WORDS), WORDS, **more)


MARIADB = {
    "enum": Case("ENUM('zz','b','a','M','c10','c9','','é','B2','y','x','w','v','u','10','9','2')", in_mariadb(["zz", "b", "a", "M", "c10", "c9", "", "é", "B2", "y", "x", "w", "v", "u", "10", "9", "2"]), ["zz", "b", "a", "M", "c10", "c9", "", "é", "B2", "y", "x", "w", "v", "u", "10", "9", "2"]),
    "set": Case("SET('q','p','o','b','a')", [str(i) for i in range(32)]),
    "char": words("CHAR(20)", in_mariadb),
    "varchar": words("VARCHAR(20)", in_mariadb),
    "bin": words("VARCHAR(20) COLLATE utf8mb4_bin", in_mariadb),
    "nopad": words("VARCHAR(20) COLLATE utf8mb4_nopad_bin", in_mariadb),
    "unicode": words("VARCHAR(20) COLLATE utf8mb4_unicode_ci", in_mariadb),
    "swedish": words("VARCHAR(20) COLLATE utf8mb4_swedish_ci", in_mariadb),
    "german": words("VARCHAR(20) COLLATE utf8mb4_german2_ci", in_mariadb),
    "spanish": words("VARCHAR(20) COLLATE utf8mb4_spanish2_ci", in_mariadb),
    "latin1": Case("VARCHAR(20) CHARACTER SET latin1", in_mariadb(LATIN), LATIN),
    "latin1_bin": Case("CHAR(20) CHARACTER SET latin1 COLLATE latin1_bin", in_mariadb(LATIN), LATIN),
    "utf8mb3": Case("VARCHAR(20) CHARACTER SET utf8mb3", in_mariadb(BMP), BMP),
    "ucs2": Case("VARCHAR(20) CHARACTER SET ucs2", in_mariadb(BMP), BMP),
    "binary": Case("BINARY(6)", [f"x'{i * 7919 % 65536:04x}'" for i in range(30)] + ["x'61'", "x'6100'", "x'20'", "x'FFFFFFFFFFFF'"]),
    "varbinary": Case("VARBINARY(20)", [f"x'{i * 7919 % 65536:04x}'" for i in range(30)] + ["x'61'", "x'6100'", "x'20'", "x''", "x'00'", "x'2761'"]),
    "bit": Case("BIT(20)", [str(i * 7919 % 2**20) for i in range(40)]),
    "bit64": Case("BIT(64)", [str(2**63 + i * 7919) for i in range(20)] + [str(i) for i in range(20)]),
    "bit1": Case("BIT(1)", ["0", "1"], ["false", "true"]),
    "tinyint": Case("TINYINT", [str(i) for i in range(-20, 20)], [str(i) for i in range(-20, 20)]),
    "bigint": Case("BIGINT", [str(2**63 - 1 - i) for i in range(20)] + [str(-(2**63) + i) for i in range(20)]),
    "unsigned": Case("BIGINT UNSIGNED", [str(2**64 - 1 - i) for i in range(20)] + [str(i) for i in range(20)], [str(2**64 - 1 - i) for i in range(20)] + [str(i) for i in range(20)]),
    "zerofill": Case("INT(8) ZEROFILL", [str(i * 11) for i in range(20)], [str(i * 11) for i in range(20)]),
    "decimal": Case("DECIMAL(20,3)", FRACTIONS, FRACTIONS),
    "float": Case("FLOAT", SINGLES, SINGLES),
    "double": Case("DOUBLE", FLOATS, FLOATS),
    "date": Case("DATE", quoted(DAYS + ["0000-00-00", "2024-00-00", "2024-05-00", "2024-02-31"])),
    "datetime": Case("DATETIME(6)", quoted(MOMENTS + ["0000-00-00 00:00:00"])),
    "datetime0": Case("DATETIME", quoted(MOMENTS)),
    "timestamp": Case("TIMESTAMP(6)", quoted(f"2024-0{m}-01 00:00:00.00000{i}" for m in range(1, 8) for i in range(6))),
    "time": Case("TIME(6)", quoted(["-838:59:59", "-00:00:01.5", "838:59:59", "100:00:00"] + [f"{h:02}:00:00.{h}" for h in range(24)])),
    "year": Case("YEAR", [str(y) for y in range(1901, 1940)] + ["0"], [str(y) for y in range(1901, 1940)] + ["0"]),
    "uuid": Case("UUID", quoted(UUIDS), UUIDS),
    "inet6": Case("INET6", quoted([f"::{i:x}" for i in range(9, 30)] + ["10::", "9::", "a::1", "::ffff:10.0.0.1", "::ffff:9.0.0.1"])),
    "inet4": Case("INET4", quoted([f"{i}.0.0.1" for i in range(5, 120, 5)]), [f"{i}.0.0.1" for i in range(5, 120, 5)]),
    "long": Case("VARCHAR(700)", quoted(["x" * 600 + f"{i:02}" for i in range(40)])),
    "long_unindexed": Case("VARCHAR(3000)", quoted(["x" * 2900 + f"{i:02}" for i in range(40)]), more="no key"),
}  # fmt: skip

POSTGRES = {
    "char": words("char(20)"),
    "varchar": words("varchar(20)"),
    "text": words("text"),
    "c": words('text COLLATE "C"'),
    "icu": words('text COLLATE "en-x-icu"'),
    "swedish": words('varchar(20) COLLATE "sv-x-icu"'),
    "loose": words("text COLLATE loose"),
    "loose_char": words("char(20) COLLATE loose"),
    "loose_index": words("text COLLATE loose NOT NULL", more='UNIQUE INDEX (k COLLATE "C")'),
    "name": words("name"),
    "citext": words("citext"),
    "internal": Case('"char"', quoted(list("abcABC019_-zZ~"))),
    "enum": Case("mood", quoted(["sad", "ok", "Happy", "angry", "10", "9", "zz", "b", "a"]), ["sad", "ok", "Happy", "angry", "10", "9", "zz", "b", "a"]),
    "domain": Case("amount", FRACTIONS, FRACTIONS),
    "text_domain": words("code"),
    "enum_domain": Case("mood_domain", quoted(["sad", "ok", "Happy", "angry", "10", "9", "zz", "b", "a"])),
    "numeric": Case("numeric", quoted(FRACTIONS + ["NaN", "Infinity", "-Infinity", "1e40", "1.0000000000000000000000000001"])),
    "numeric_scale": Case("numeric(20,3)", quoted([*FRACTIONS, "NaN"])),
    "real": Case("real", quoted([*SINGLES, "NaN", "Infinity", "-Infinity", "-0"]), [*SINGLES, "NaN", "Infinity", "-Infinity"]),
    "double": Case("double precision", quoted([*FLOATS, "NaN", "Infinity", "-Infinity", "-0"]), [*FLOATS, "NaN"]),
    "smallint": Case("smallint", quoted(map(str, NUMBERS)), [str(i) for i in NUMBERS]),
    "bigint": Case("bigint", quoted(str(2**63 - 1 - i) for i in range(20)) + quoted(str(-(2**63) + i) for i in range(20))),
    "oid": Case("oid", [str(i * 2**27) for i in range(30)]),
    "bool": Case("boolean", ["true", "false"], ["true", "false"]),
    "bit": Case("bit(8)", [f"B'{i:08b}'" for i in range(40)]),
    "varbit": Case("varbit", [f"B'{i:b}'" for i in range(1, 40)] + ["B''", "B'0'", "B'00'"]),
    "uuid": Case("uuid", quoted(UUIDS), UUIDS),
    "bytea": Case("bytea", [rf"'\x{i * 7919 % 65536:04x}'" for i in range(30)] + [r"'\x'", r"'\x00'", r"'\x6100'", r"'\x61'"]),
    "inet": Case("inet", quoted([f"{i}.0.0.1" for i in range(5, 120, 5)] + ["10.0.0.0/8", "10.0.0.0/16", "::1", "fe80::/10"])),
    "cidr": Case("cidr", quoted([f"{i}.0.0.0/8" for i in range(5, 120, 5)])),
    "macaddr": Case("macaddr", quoted([f"08:00:2b:01:02:{i:02x}" for i in range(0, 250, 9)])),
    "date": Case("date", quoted([*DAYS, "infinity", "-infinity", "0044-03-15 BC", "0500-01-01 BC", "20000-01-01"])),
    "timestamp": Case("timestamp", quoted([*MOMENTS, "infinity", "-infinity", "0044-03-15 10:00 BC", "20000-01-01 00:00:00.000001"])),
    "timestamptz": Case("timestamptz", quoted([*(moment + "+02" for moment in MOMENTS), "infinity", "-infinity", "0044-03-15 10:00+00 BC"])),
    "time": Case("time", quoted([f"{h:02}:00:00.{h}" for h in range(24)] + ["24:00:00"])),
    "timetz": Case("timetz", quoted([f"{h:02}:00:00+{z:02}" for h in range(0, 24, 3) for z in (0, 2, 5)])),
    "interval": Case("interval", quoted([f"{i} days {i * 7 % 24} hours" for i in range(28, 40)] + ["1 mon", "-1 mon", "1 year", "0.000001 s", "-3 days 5:00"])),
    "interval_seconds": Case("interval second(3)", quoted([f"{i}.{i:03} seconds" for i in range(30)])),
    "money": Case("money", quoted(FRACTIONS)),
    "range": Case("int4range", quoted([f"[{i},{i * 3 + 1})" for i in range(20)] + ["empty", "(,5)", "[7,)"])),
    "array": Case("text[]", quoted(["{}", "{a}", "{A}", "{a,b}", "{a,B}", '{"a,b"}', "{NULL}", "{10}", "{9}", "{b}", "{b,NULL}"])),
    "composite": Case("pair", quoted([f"({i % 4},{word})" for i, word in enumerate(["a", "A", "b", "B", "ab", "z", "Z", "9", "10", "_"] * 3)])),
    "jsonb": Case("jsonb", quoted(['"a"', '"A"', '"b"', "1", "10", "9", "{}", '{"a": 1}', "[]", "[1]", "null", "true", "false"])),
    "lsn": Case("pg_lsn", quoted([f"{i}/{i * 7:X}" for i in range(20)])),
}  # fmt: skip
POSTGRES_TYPES = """
    CREATE EXTENSION citext;
    CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'Happy', 'angry', '10', '9', 'zz', 'b', 'a');
    CREATE DOMAIN amount AS numeric(12, 2); CREATE DOMAIN code AS varchar(20) COLLATE "sv-x-icu"; CREATE DOMAIN mood_domain AS mood;
    CREATE TYPE pair AS (a int, b text)"""

MIXED = [*(str(i) for i in NUMBERS), "'a'", "'10'", "'9'", "'1.5'", "1.5", "x'00'", "x'61'", "x'6100'", "'A'", "''", "x''", "' 7'", "'0x10'", "9e999", "-9e999", "0.1", "1e20", "9223372036854775807", "'a'||char(0)||'b'", "'a'||char(0)||'a'"]  # fmt: skip
SQLITE = {
    "rowid": Case("INTEGER", [str(i) for i in NUMBERS], [str(i) for i in NUMBERS]),
    "integer": Case("INT", MIXED),
    "any": Case("ANY", MIXED),
    "strict": Case("ANY", MIXED, more="STRICT"),
    "none": Case("", MIXED),
    "numeric": Case("NUMERIC", MIXED),
    "real": Case("REAL", MIXED),
    "text": Case("TEXT", MIXED),
    "varchar": Case("VARCHAR(20)", MIXED),
    "blob": Case("BLOB", MIXED),
    "date": Case("DATE", [*quoted(DAYS), "0", "1700000000", "2460000.5"]),
    "datetime": Case("DATETIME", [*quoted(MOMENTS), "0", "1700000000", "2460000.5"]),
    "boolean": Case("BOOLEAN", ["0", "1", "'yes'", "'no'"]),
    "words": words("TEXT"),
    "nocase": words("TEXT COLLATE NOCASE"),
    "rtrim": words("TEXT COLLATE RTRIM"),
    "without_rowid": words("TEXT", more="WITHOUT ROWID"),
    "integer_without_rowid": Case("INTEGER", [str(i) for i in NUMBERS] + ["'a'", "'b'", "1.5"], more="WITHOUT ROWID"),
    "index_of_another_collation": words("TEXT COLLATE NOCASE NOT NULL", more="UNIQUE INDEX (k COLLATE BINARY)"),
    "index_of_a_coarser_collation": words("TEXT NOT NULL", more="UNIQUE INDEX (k COLLATE NOCASE)"),
    "descending": Case("INTEGER", [*(str(i) for i in NUMBERS), "'a'", "'b'"], more="DESC"),
}


@pytest.fixture
def connector():
    with Connector() as connector:
        yield connector


def make_tables(source, engine, case, generator):
    """`t` with key k, `pairs` with key (k, n), each with ids and with times of which many rows have the same."""
    ignore = {"mariadb": "INSERT IGNORE INTO", "sqlite": "INSERT OR IGNORE INTO", "postgres": "INSERT INTO"}[engine]
    conflict = " ON CONFLICT DO NOTHING" if engine == "postgres" else ""
    after = case.more if case.more in ("STRICT", "WITHOUT ROWID") else ""
    order = " DESC" if case.more == "DESC" else ""
    keyed = case.more == "" or after or order
    for statement in ("DROP VIEW IF EXISTS v", "DROP TABLE IF EXISTS t", "DROP TABLE IF EXISTS pairs"):
        source.query(statement)
    if engine == "mariadb":
        ignore = "SET sql_mode = 'ALLOW_INVALID_DATES,NO_UNSIGNED_SUBTRACTION'; SET NAMES utf8mb4; " + ignore
    not_null = " NOT NULL" if engine == "sqlite" and keyed and not case.type.startswith("INTEGER") else ""
    key = f" PRIMARY KEY{order}" if keyed and order else ", PRIMARY KEY (k)" if keyed else ""
    one = f"k {case.type}{not_null}{key}" if order else f"k {case.type}{not_null}"
    source.query(f"CREATE TABLE t ({one}, id INT NOT NULL, w INT NOT NULL{'' if order else key}) {after}")
    if "INDEX" in case.more:
        source.query(f"CREATE UNIQUE INDEX i ON t {case.more.removeprefix('UNIQUE INDEX ')}")
    source.query("CREATE VIEW v AS SELECT k, id, w FROM t")
    values = list(enumerate(case.values, 1))
    generator.shuffle(values)
    for i, value in values if engine == "sqlite" else []:
        source.query(f"{ignore} t VALUES ({value}, {i}, {i % 3})")
    if engine != "sqlite":
        source.query(f"{ignore} t VALUES " + ", ".join(f"({value}, {i}, {i % 3})" for i, value in values) + conflict)
    if keyed and not order:
        source.query(f"CREATE TABLE pairs (k {case.type}{not_null}, n INT NOT NULL, id INT NOT NULL, w INT NOT NULL, PRIMARY KEY (k, n)) {after}")
        source.query(f"INSERT INTO pairs SELECT t.k, m.n, t.id * 10 + m.n, t.w FROM t, (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) m")
    return keyed and not order


def read_ids(connector, expected, what, **request):
    rows, frames = connector.read(columns=["id"], page_rows=7, batch_rows=5, **request)
    assert frames[-1][0] == "D", (what, frames[-1])
    assert [payload for kind, payload in frames if kind == "J"] == [], what
    found = sorted(int.from_bytes(row[0], "big") for row in rows)
    assert found == expected, (what, "missing", set(expected) - set(found), "more", set(found) - set(expected), "twice", len(found) - len(set(found)))
    return [payload["position"] for kind, payload in frames if kind == "P"]


def check_pages(connector, source, table, key, unique, what):
    name = "pairs" if "pairs" in table else "t"
    expected = sorted(int(row[0]) for row in source.query(f"SELECT id FROM {name}"))
    assert len(expected) >= 2, what
    request = {"source": table, "key": key, "key_is_unique": unique}
    positions = read_ids(connector, expected, what + ", full", mode="full", **request)
    read_ids(connector, expected, what + ", changes", mode="incremental", watermark=["w"], initial_watermark="-1", lookback="0", **request)
    # From where any batch ended, the rest is what a read from there on has.
    for position in positions[:3]:
        if position["phase"] != "full":
            continue
        rows, frames = connector.read(columns=["id"], page_rows=7, batch_rows=5, mode="full", position=position, **request)
        assert frames[-1][0] == "D", what
        assert len(rows) < len(expected), (what, position)


def check_look_ups(connector, source, case, pairs, what):
    """The rows of some keys, as the target writes them; more rows than those do no harm."""
    there = {int(row[0]) for row in source.query("SELECT id FROM t")}
    texts = {number: text for number, text in enumerate(case.texts, 1) if number in there}
    if not texts:
        return
    rows, frames = connector.read(source="t", key=["k"], key_is_unique=True, mode="full", columns=["id"], page_rows=7, only=[[text] for text in texts.values()])
    assert frames[-1][0] == "D", (what, frames[-1])
    missing = set(texts) - {int.from_bytes(row[0], "big") for row in rows}
    assert not missing, (what, [texts[number] for number in missing])
    if pairs:
        rows, _ = connector.read(source="pairs", key=["k", "n"], key_is_unique=True, mode="full", columns=["id"], page_rows=7, only=[[text, "2"] for text in texts.values()])  # fmt: skip
        assert {number * 10 + 2 for number in texts} <= {int.from_bytes(row[0], "big") for row in rows}, what


def check(connector, source, engine, name, case, generator):
    pairs = make_tables(source, engine, case, generator)
    what = f"{engine} {name}"
    unique = case.more != "no key"
    check_pages(connector, source, "t", ["k"], unique, what)
    check_pages(connector, source, "v", ["k"], False, what + " view")
    check_pages(connector, source, "SELECT * FROM t", ["k"], False, what + " query")
    if pairs:
        check_pages(connector, source, "pairs", ["k", "n"], True, what + " pairs")
        check_pages(connector, source, "pairs", ["n", "k"], True, what + " pairs, the other way round")
        check_pages(connector, source, "SELECT * FROM pairs", ["k", "n"], False, what + " pairs query")
    check_look_ups(connector, source, case, pairs, what)


@pytest.mark.parametrize("name", MARIADB)
def test_mariadb(mariadb, connector, seed, name):
    connector.open(**mariadb.server_options)
    check(connector, mariadb, "mariadb", name, MARIADB[name], random.Random(seed))


@pytest.mark.parametrize("name", POSTGRES)
def test_postgresql(postgres, connector, seed, name):
    postgres.query(POSTGRES_TYPES)
    connector.open(**postgres.server_options)
    check(connector, postgres, "postgres", name, POSTGRES[name], random.Random(seed))


@pytest.mark.parametrize("name", SQLITE)
def test_sqlite(sqlite, connector, seed, name):
    connector.open(**sqlite.server_options())
    check(connector, sqlite, "sqlite", name, SQLITE[name], random.Random(seed))
