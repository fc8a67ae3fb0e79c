"""What one grouped query at the source tells of its rows, from real servers."""

import random
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from harness import Connector


@pytest.fixture
def connector():
    with Connector() as connector:
        yield connector


def measure(connector, **request):
    frames = connector.call(verb="measure", **({"source": "t", "key": ["id"], "watermark": ["w"]} | request))
    assert frames[-1][0] == "D", frames
    return [payload for kind, payload in frames if kind == "T"]


UNITS = {"hour": lambda time: time.replace(minute=0), "day": lambda time: time.replace(hour=0, minute=0), "quarter": lambda time: time.replace(minute=time.minute // 15 * 15)}  # fmt: skip

COLUMNS = {
    "mariadb": [("DATE", "day"), ("DATETIME", "any"), ("DATETIME(6)", "any"), ("TIMESTAMP(6) NULL", "any")],
    "postgres": [("date", "day"), ("timestamp", "any"), ("timestamptz", "any")],
    "sqlite": [("DATE", "day"), ("DATETIME", "any"), ("TEXT", "any")],
}


@pytest.mark.parametrize("name", COLUMNS)
def test_counts_by_time(request, seed, connector, name):
    generator = random.Random(seed)
    source = request.getfixturevalue(name)
    options = source.server_options() if callable(source.server_options) else source.server_options
    connector.open(**options)
    for type_name, kind in COLUMNS[name]:
        times = {}
        for i in range(1, 801):
            time = datetime(2024, 2, 27) + timedelta(seconds=generator.randrange(5 * 86400))
            times[i] = None if generator.random() < 0.05 else time.replace(hour=0, minute=0, second=0) if kind == "day" else time
        source.query("DROP TABLE IF EXISTS t")
        source.query(f"CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER NOT NULL, n BIGINT, f {type_name})")
        zone = "+00" if type_name == "timestamptz" else ""
        sums = {i: generator.choice([None, 2**63 - 1, -(2**63), 7]) for i in times}

        def text(time):
            if time is None:
                return "NULL"
            if name == "sqlite" and time.time() == datetime.min.time():
                return f"'{time.date()}'"
            return f"'{time.isoformat(sep=generator.choice(' T') if name == 'sqlite' else ' ')}{zone}'"

        rows = (f"({i}, {i}, {'NULL' if sums[i] is None else sums[i]}, {text(time)})" for i, time in times.items())
        source.query("INSERT INTO t VALUES " + ", ".join(rows))
        for unit, truncate in UNITS.items():
            expected, unsettled, totals = Counter(), Counter(), defaultdict(list)
            for i, time in times.items():
                group = time and str(truncate(time.replace(second=0)))
                expected[group] += 1
                unsettled[group] += i >= 700
                totals[group].append(sums[i])
            groups = measure(connector, group={"column": "f", "unit": unit}, sums=["n"], unsettled_from="700")
            assert len({g["group"] for g in groups}) == len(groups)
            assert {g["group"]: g["rows"] for g in groups} == expected, (type_name, unit)
            assert {g["group"]: g["unsettled"] for g in groups} == unsettled
            for g in groups:
                present = [n for n in totals[g["group"]] if n is not None]
                assert g["sums"] == [str(sum(present)) if present else None]
        window = {"column": "f", "from": "2024-02-29 00:00:00", "to": "2024-03-01 00:00:00"}
        (whole,) = measure(connector, window=window)
        assert whole == {"group": None, "rows": sum(1 for t in times.values() if t and (t.month, t.day) == (2, 29))}


def test_times_with_offsets_are_grouped_in_utc(sqlite, connector):
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER, f TEXT)")
    for i, text in enumerate(["2026-01-05T01:30:00+02:00", "2026-01-05 00:00:00Z", "2026-01-05", "2026-01-04T20:00-05:00"]):
        sqlite.execute("INSERT INTO t VALUES (?, ?, ?)", (i, i, text))
    connector.open(**sqlite.server_options())
    groups = measure(connector, group={"column": "f", "unit": "hour"})
    assert {g["group"]: g["rows"] for g in groups} == {"2026-01-04 23:00:00": 1, "2026-01-05 00:00:00": 2, "2026-01-05 01:00:00": 1}


def test_zero_dates_have_no_group(mariadb, connector):
    mariadb.query("SET sql_mode = ''; CREATE TABLE t (id INT PRIMARY KEY, w INT, f DATE); INSERT INTO t VALUES (1, 1, '0000-00-00'), (2, 2, NULL), (3, 3, '2024-05-00'), (4, 4, '2024-05-01')")  # fmt: skip
    connector.open(**mariadb.server_options)
    for unit in UNITS:
        for more in ({}, {"sums": ["id"]}):
            groups = measure(connector, group={"column": "f", "unit": unit}, unsettled_from="2", **more)
            assert sorted((str(g["group"]), g["rows"], g["unsettled"]) for g in groups) == [("2024-05-01 00:00:00", 1, 1), ("None", 3, 2)]


def test_decimals_are_added_up_exactly(mariadb, postgres, connector):
    digits = ["0.1"] * 10 + ["123456789012345678.99", "-0.01"]
    for source, options in ((mariadb, {}), (postgres, {})):
        source.query("CREATE TABLE t (id int PRIMARY KEY, w int, n decimal(20,2))")
        source.query("INSERT INTO t VALUES " + ", ".join(f"({i}, {i}, {n})" for i, n in enumerate(digits)))
        connector.open(**source.server_options)
        (whole,) = measure(connector, sums=["n"])
        assert whole["sums"] == [str(sum(map(Decimal, digits)))]


def test_views_and_queries(mariadb, connector):
    mariadb.query("CREATE TABLE t0 (id INT PRIMARY KEY, w DATETIME(6), n INT); INSERT INTO t0 SELECT seq, '2026-01-01' + INTERVAL seq HOUR, seq FROM seq_1_to_100; CREATE VIEW t AS SELECT * FROM t0")  # fmt: skip
    connector.open(**mariadb.server_options)
    for source in ("t", "SELECT id, w, n FROM t0", "SELECT id, w, n FROM t0 WHERE w > :watermark"):
        groups = measure(connector, source=source, group={"column": "w", "unit": "day"}, sums=["n"], hash=["id", "w", "n"])
        assert sum(group["rows"] for group in groups) == 100
        assert sum(int(group["sums"][0]) for group in groups) == 5050


def test_refusals(sqlite, mariadb, connector):
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER, f DATETIME, x REAL)")
    connector.open(**sqlite.server_options())
    for request, message in (
        ({"group": {"column": "fe", "unit": "day"}}, 'group column "fe" does not exist in the source'),
        ({"group": {"column": "f", "unit": "week"}}, 'rows cannot be grouped by "week"'),
        ({"group": {"column": "x", "unit": "day"}}, 'column "x" of type REAL holds neither dates nor times'),
        ({"group": {"blocks": 8}}, "rows cannot be hashed at a source of kind sqlite"),
        ({"hash": ["id"]}, "rows cannot be hashed at a source of kind sqlite"),
        ({"sums": ["x"]}, 'column "x" of type REAL has no exact sum'),
    ):
        frames = connector.call(verb="measure", source="t", key=["id"], watermark=["w"], **request)
        assert frames[-1][0] == "E" and (frames[-1][1]["class"], frames[-1][1]["message"]) == ("config", message), frames
