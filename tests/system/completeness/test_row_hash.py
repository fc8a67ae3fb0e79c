"""A row has the same hash at its source and in its target, whatever is in it."""

import random
from datetime import datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from harness import Connector

WORDS = ["", " ", "a", "a ", "ñandú", "😀 emoji", "line\nbreak", "|", "N", "1|x", "'quoted'", "back\\slash", "trailing  ", "ß" * 50, "x" * 2000]


@pytest.fixture
def connector():
    with Connector() as connector:
        yield connector


class Values:
    """Random values of each kind as SQL literals that MySQL and PostgreSQL read alike."""

    def __init__(self, generator):
        self.random = generator

    def integer(self, bits):
        return str(self.random.choice([0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), self.random.randrange(-(10**4), 10**4)]))

    def decimal(self, precision, scale):
        digits = self.random.randrange(0, precision)
        value = Decimal(self.random.randrange(-(10**digits), 10**digits + 1)).scaleb(-scale)
        return f"{self.random.choice([value, 0, Decimal(1).scaleb(-scale), -Decimal(1).scaleb(-scale), value.to_integral_value()]):f}"

    def moment(self, digits):
        time = datetime(1970, 1, 2) + timedelta(microseconds=self.random.randrange(10**15 * 2))
        if self.random.random() < 0.3:
            time = time.replace(microsecond=0)
        text = time.isoformat(sep=" ", timespec="microseconds")
        return "'" + text[: 19 + (digits and digits + 1)] + "'"

    def date(self, low="1000-01-01"):
        return f"'{(datetime.fromisoformat(low) + timedelta(days=self.random.randrange(365 * 300))).date()}'"

    def time(self, digits):
        return "'" + self.moment(digits)[12:]

    def text(self, longest=10**6):
        return "'" + self.random.choice(WORDS)[:longest].replace("\\", "\\\\").replace("'", "''") + "'"

    def bytes(self):
        return self.random.randbytes(self.random.randrange(9)).hex()

    def uuid(self):
        return f"'{self.random.randbytes(16).hex()}'"


def source_hashes(connector, blocks, columns, key=("id",), **request):
    frames = connector.call(verb="measure", source="t", key=list(key), watermark=[], group={"blocks": blocks}, hash=columns, **request)
    assert frames[-1][0] == "D", frames
    hashes = {int(group["group"]): (group["rows"], Decimal(group["hash"])) for kind, group in frames if kind == "T"}
    return frames[-1][1], hashes


def target_hashes(db, blocks, key, row):
    """`key` and `row`: the arguments of insync.row_hash()."""
    return {
        block: (rows, total)
        for block, rows, total in db.query(f"SELECT insync.row_hash({key}) % {blocks}, count(*), sum(insync.row_hash({row})) FROM t GROUP BY 1")
    }


def assert_same_hashes(db, connector, kind, key_format, formats, count, blocks=20011):
    columns = list(formats)
    done, source = source_hashes(connector, blocks, columns)
    assert done["hash_kind"] == kind
    assert (done["key_format"], done["hash_format"]) == (f"{kind}:{key_format}", f"{kind}:{','.join(formats.values())}")
    target = target_hashes(db, blocks, f"'{kind}:{key_format}', id", f"'{kind}:{','.join(formats.values())}', {', '.join(columns)}")
    assert sum(rows for rows, _ in target.values()) == count
    if source != target:
        wrong = [block for block in source.keys() | target.keys() if source.get(block) != target.get(block)]
        for column, fmt in formats.items():
            _, source = source_hashes(connector, blocks, [column])
            target = target_hashes(db, blocks, f"'{kind}:{key_format}', id", f"'{kind}:{fmt}', {column}")
            bad = [block for block in source.keys() | target.keys() if source.get(block) != target.get(block)]
            if bad:
                values = db.query(f"SELECT id, {column}::text FROM t WHERE insync.row_hash('{kind}:{key_format}', id) % {blocks} = ANY(%s)", bad)
                raise AssertionError(f"column {column}: {len(bad)} blocks, for one {values[:5]}")
        raise AssertionError(f"{len(wrong)} blocks")


def in_batches(rows, size=500):
    for at in range(0, len(rows), size):
        yield ", ".join(rows[at : at + size])


def test_mariadb(db, mariadb, connector, seed):
    values = Values(random.Random(seed))
    kinds = {
        "ti": ("TINYINT", "i", lambda: values.integer(8)),
        "si": ("SMALLINT UNSIGNED", "i", lambda: str(values.random.randrange(65536))),
        "ci": ("INT(10) UNSIGNED ZEROFILL", "i", lambda: str(values.random.randrange(2**32))),
        "bi": ("BIGINT", "i", lambda: values.integer(64)),
        "ub": ("BIGINT UNSIGNED", "n0", lambda: str(values.random.randrange(2**64))),
        "de": ("DECIMAL(12,2)", "n2", lambda: values.decimal(12, 2)),
        "dw": ("DECIMAL(65,30)", "n30", lambda: values.decimal(65, 30)),
        "dz": ("DECIMAL(30,0)", "n0", lambda: values.decimal(30, 0)),
        "ye": ("YEAR", "i", lambda: values.random.choice(["0", "1999", "2155"])),
        "bo": ("BIT(1)", "b", lambda: values.random.choice("01")),
        "bt": ("BIT(10)", "x", lambda: str(values.random.randrange(1024))),
        "da": ("DATE", "d", lambda: values.random.choice([values.date(), "'0000-00-00'", "'2024-05-00'"])),
        "d0": ("DATETIME", "t", lambda: values.random.choice([values.moment(0), "'0000-00-00'"])),
        "d3": ("DATETIME(3)", "t", lambda: values.moment(3)),
        "d6": ("DATETIME(6)", "t", lambda: values.random.choice([values.moment(6), "'0000-00-00'"])),
        "ts": ("TIMESTAMP(6) NULL", "z", lambda: values.random.choice([values.moment(6)[:1] + "2020" + values.moment(6)[5:], "'0000-00-00'"])),
        "tm": ("TIME(3)", "h", lambda: values.time(3)),
        "te": ("TEXT", "s", values.text),
        "vc": ("VARCHAR(50) COLLATE utf8mb4_bin", "s", lambda: values.text(50)),
        "v3": ("VARCHAR(50) CHARACTER SET utf8mb3", "s", lambda: values.text(50).replace("😀", "é")),
        "la": ("VARCHAR(50) CHARACTER SET latin1", "s", lambda: values.text(50).replace("😀", "é")),
        "ch": ("CHAR(20)", "c", lambda: values.text(20)),
        "en": ("ENUM('uno','dós')", "s", lambda: values.random.choice(["'uno'", "'dós'"])),
        "bl": ("BLOB", "x", lambda: f"x'{values.bytes()}'"),
        "bn": ("BINARY(6)", "x", lambda: f"x'{values.bytes()[:12]}'"),
        "uu": ("UUID", "u", values.uuid),
    }
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in kinds.items())
    mariadb.query(f"CREATE TABLE t (id INT PRIMARY KEY, {columns})")
    count = 2000
    rows = []
    for i in range(1, count + 1):
        cells = ["NULL" if values.random.random() < 0.1 else make() for _, _, make in kinds.values()]
        rows.append(f"({i}, {', '.join(cells)})")
    for batch in in_batches(rows):
        mariadb.query(f"SET NAMES utf8mb4; SET sql_mode = ''; INSERT INTO t VALUES {batch}")
    db.create_server("shop", **mariadb.server_options)
    db.create_stream("t", "shop", "t")
    assert db.run("t")["rejected"] == 0
    connector.open(**mariadb.server_options)
    assert_same_hashes(db, connector, "crc32", "i", {"id": "i"} | {name: fmt for name, (_, fmt, _) in kinds.items()}, count)


def test_postgresql(db, postgres, connector, seed):
    values = Values(random.Random(seed))
    pick = values.random.choice
    kinds = {
        "si": ("smallint", "i", lambda: values.integer(16)),
        "bi": ("bigint", "i", lambda: values.integer(64)),
        "de": ("numeric(12,2)", "n2", lambda: values.decimal(12, 2)),
        "nu": ("numeric", "n", lambda: pick([values.decimal(50, 20), "'NaN'", "1e100", "1.500", "1e-60", "-0.0000"])),
        "mo": ("money", "n", lambda: f"'{values.decimal(10, 2)}'::numeric::money"),
        "bo": ("boolean", "b", lambda: pick(["true", "false"])),
        "da": ("date", "d", lambda: pick([values.date(), "'infinity'", "'-infinity'", "'0044-03-15 BC'", "'12026-01-05'"])),
        "t0": ("timestamp(0)", "t", lambda: values.moment(0)),
        "t6": ("timestamp", "t", lambda: pick([values.moment(6), values.moment(3), "'infinity'", "'0044-03-15 10:00:00.5 BC'", "'-infinity'"])),
        "tz": ("timestamptz", "z", lambda: pick([values.moment(6)[:-1] + "+05:30'", "'infinity'"])),
        "ho": ("time", "h", lambda: pick([values.time(6), "'24:00'"])),
        "te": ("text", "s", values.text),
        "vc": ('varchar(50) COLLATE "C"', "s", lambda: values.text(50)),
        "ch": ("character(20)", "c", lambda: values.text(20)),
        "by": ("bytea", "x", lambda: f"'\\x{values.bytes()}'"),
        "uu": ("uuid", "u", values.uuid),
    }
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in kinds.items())
    postgres.query(f"CREATE TABLE t (id integer PRIMARY KEY, {columns})")
    count = 3000
    rows = []
    for i in range(1, count + 1):
        cells = ["NULL" if values.random.random() < 0.1 else make() for _, _, make in kinds.values()]
        rows.append(f"({i}, {', '.join(cells)})")
    for batch in in_batches(rows):
        postgres.query(f"INSERT INTO t VALUES {batch}")
    db.create_server("erp", **postgres.server_options)
    db.create_stream("t", "erp", "t")
    assert db.run("t")["rejected"] == 0
    connector.open(**postgres.server_options)
    assert_same_hashes(db, connector, "hashtext", "i", {"id": "i"} | {name: fmt for name, (_, fmt, _) in kinds.items()}, count)


def test_a_change_of_one_value_changes_the_hash(db, mariadb, connector, seed):
    """What two columns hold can't be mistaken for what two others do."""
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b VARCHAR(20), n DECIMAL(10,2), m DATETIME(6))")
    rows = [("'x|1|y'", "'z'"), ("'x'", "'y|1|z'"), ("NULL", "''"), ("''", "NULL"), ("'N'", "NULL"), ("NULL", "'N'"), ("'a'", "'a '"), ("'a '", "'a'")]
    mariadb.query("INSERT INTO t VALUES " + ", ".join(f"({i}, {a}, {b}, 1, '2026-01-01')" for i, (a, b) in enumerate(rows)))
    connector.open(**mariadb.server_options)
    _, hashes = source_hashes(connector, 10007, ["a", "b", "n", "m"])
    assert len({total for _, total in hashes.values()}) == len(rows)


def test_what_the_target_has_beyond_the_sources_scale_is_seen(db):
    hashes = db.query(
        "SELECT insync.row_hash('crc32:n2', 1.5::numeric) = insync.row_hash('crc32:n2', 1.500::numeric),"
        " insync.row_hash('crc32:n2', 1.5::numeric) = insync.row_hash('crc32:n2', 1.501::numeric),"
        " insync.row_hash('crc32:i', 5::numeric) = insync.row_hash('crc32:i', 5), insync.row_hash('crc32:i', 5.5::numeric) = insync.row_hash('crc32:i', 5)"
    )
    assert hashes == [(True, False, True, False)]


def test_known_hashes(db):
    """As MySQL, PostgreSQL, Oracle (UTF-8) and SQL Server (UTF-16) have them."""
    row = "1::bigint, 'ñ😀'::text, NULL::date, '2026-01-05 10:00:00.5'::timestamp"
    assert db.value("SELECT insync.row_hash('crc32:i', 123456789)") == 0xCBF43926
    assert db.value(f"SELECT insync.row_hash('hashtext:i,s,d,t', {row})") == db.value(
        "SELECT hashtextextended('1|2|ñ😀|N|2026-01-05 10:00:00.5', 0) & 9223372036854775807"
    )
    md5 = "SELECT ('x' || substr(md5(%s), 1, 14))::bit(56)::bigint"
    assert db.value(f"SELECT insync.row_hash('md5:i,s,d,t', {row})") == db.value(md5, "1|2|ñ😀|N|2026-01-05 10:00:00.500000".encode())
    assert db.value(f"SELECT insync.row_hash('md5_utf16:i,s,d,t', {row})") == db.value(
        md5, "1|3|ñ😀|N|2026-01-05 10:00:00.500000".encode("utf-16-le")
    )


def test_toasted_values(db):
    db.execute("CREATE TABLE t (a text, b text, c text); ALTER TABLE t ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTENDED")
    db.execute("INSERT INTO t SELECT x, repeat('ab', 50000), x FROM (SELECT string_agg(md5(i::text), '') AS x FROM generate_series(1, 3000) i) s")
    assert db.query("SELECT insync.row_hash('crc32:s', a) = insync.row_hash('crc32:s', (a || '')), insync.row_hash('crc32:s', b) = insync.row_hash('crc32:s', repeat('ab', 50000)) FROM t") == [(True, True)]  # fmt: skip


@pytest.mark.parametrize(
    "call, message",
    [
        ("'crc32', 1", "not a format of rows"),
        ("'crc33:i', 1", "not a format of rows"),
        ("'crc32:i,', 1", "not a format of rows"),
        ("'crc32:q', 1", "not a format of rows"),
        ("'crc32:i,i', 1", "has 2 columns, where 1 are given"),
        ("'crc32:i', VARIADIC ARRAY[1]", "where 1 are given"),
        ("'crc32:i', 1.5::float8", "type double precision cannot be written in the format \"i\""),
        ("'crc32:t', now()", "type timestamp with time zone cannot be written in the format \"t\""),
    ],
)
def test_refusals(db, call, message):
    with pytest.raises(psycopg.Error, match=message.replace("(", "\\(")):
        db.value(f"SELECT insync.row_hash({call})")


def test_without_a_format_there_is_no_hash(db):
    assert db.value("SELECT insync.row_hash(NULL, 1)") is None


def test_the_format_may_change_from_row_to_row(db):
    rows = db.query("SELECT insync.row_hash(f, 1.50::numeric) = insync.row_hash(f || '', 1.5) FROM (VALUES ('crc32:n2'), ('hashtext:n'), ('crc32:n2')) v (f)")
    assert rows == [(True,)] * 3


def test_domains_are_written_as_the_types_below_them(db):
    db.execute("CREATE DOMAIN importe AS numeric(12,2)")
    assert db.value("SELECT insync.row_hash('crc32:n2', 1.5::importe) = insync.row_hash('crc32:n2', 1.5)")
