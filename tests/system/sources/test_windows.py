"""What the connector reads of a window of time, and by keys, from real servers."""

import random
from datetime import datetime, timedelta

import pytest
from harness import Connector

EPOCH = datetime(2026, 1, 1)


@pytest.fixture
def connector():
    with Connector() as connector:
        yield connector


def ids(connector, **request):
    rows, frames = connector.read(source="t", key=["id"], key_is_unique=True, mode="full", columns=["id"], **request)
    assert frames[-1][0] == "D", frames
    return [int.from_bytes(row[0], "big") for row in rows]


def random_moments(generator, count):
    """Moments of a few days that fall on days, hours and seconds more often than chance would have it."""
    steps = [timedelta(days=1), timedelta(hours=1), timedelta(minutes=15), timedelta(seconds=1), timedelta(microseconds=1)]
    for _ in range(count):
        step = generator.choice(steps)
        yield EPOCH + generator.randrange(timedelta(days=8) // step) * step


def check_windows(connector, generator, times, column, is_date=False, page_rows=100):
    """Windows side by side hold each row once, and each what Python says."""
    bounds = sorted(random_moments(generator, 12))
    for low, high in zip([None, *bounds], [*bounds, None]):
        window = {"column": column, "from": low and str(low), "to": high and str(high)}
        expected = [i for i, time in times.items() if time is not None and (low is None or time >= low) and (high is None or time < high)]
        assert ids(connector, window=window, page_rows=page_rows) == expected, window
    assert ids(connector, window={"column": column, "null": True}) == [i for i, time in times.items() if time is None]


def values(generator, kind, count):
    """Times as a column of that kind keeps them."""
    times = {}
    for i, moment in enumerate(random_moments(generator, count), 1):
        if kind == "date":
            moment = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        elif kind == "seconds":
            moment = moment.replace(microsecond=0)
        times[i] = None if generator.random() < 0.05 else moment
    return times


COLUMNS = {
    "mariadb": [("DATE", "date"), ("DATETIME", "seconds"), ("DATETIME(6)", "micros"), ("TIMESTAMP(6) NULL", "micros")],
    "postgres": [("date", "date"), ("timestamp(0)", "seconds"), ("timestamp", "micros"), ("timestamptz", "micros")],
    "sqlite": [("DATE", "date"), ("DATETIME", "micros"), ("TEXT", "micros")],
}


def insert(source, name, times, generator):
    def text(time):
        if time is None:
            return "NULL"
        if name != "sqlite":
            return f"'{time}'" if source.zone == "" else f"'{time}{source.zone}'"
        if time.time() == EPOCH.time() and generator.random() < 0.5:
            return f"'{time.date()}'"
        return f"'{time.isoformat(sep=generator.choice(' T'))}'"

    source.query("INSERT INTO t VALUES " + ", ".join(f"({i}, {text(time)})" for i, time in times.items()))


@pytest.mark.parametrize("name", COLUMNS)
def test_windows_side_by_side_hold_each_row_once(request, seed, connector, name):
    generator = random.Random(seed)
    source = request.getfixturevalue(name)
    options = source.server_options() if callable(source.server_options) else source.server_options
    connector.open(**options)
    for type_name, kind in COLUMNS[name]:
        source.zone = "+00" if type_name == "timestamptz" else ""
        source.query("DROP TABLE IF EXISTS t")
        source.query(f"CREATE TABLE t (id INTEGER PRIMARY KEY, w {type_name})")
        times = values(generator, kind, 600)
        insert(source, name, times, generator)
        check_windows(connector, generator, times, "w", page_rows=generator.choice([7, 1000]))


def test_zero_dates_are_rows_without_a_time(mariadb, connector):
    mariadb.query("SET sql_mode = ''; CREATE TABLE t (id INT PRIMARY KEY, w DATETIME); INSERT INTO t VALUES (1, '0000-00-00'), (2, NULL), (3, '2026-01-01')")
    connector.open(**mariadb.server_options)
    assert ids(connector, window={"column": "w", "null": True}) == [1, 2]
    assert ids(connector, window={"column": "w", "from": "0001-01-01"}) == [3]


def test_an_index_on_the_windows_column_is_used(mariadb, postgres, connector):
    """Each source reads the rows of the window and no others."""
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, w DATETIME(6) NOT NULL, KEY (w)); INSERT INTO t SELECT seq, '2026-01-01' + INTERVAL seq MINUTE FROM seq_1_to_50000; ANALYZE TABLE t")  # fmt: skip
    postgres.query("CREATE TABLE t (id int PRIMARY KEY, w timestamptz NOT NULL)")
    postgres.query("INSERT INTO t SELECT i, '2026-01-01 00:00+00'::timestamptz + i * interval '1 min' FROM generate_series(1, 50000) i")
    postgres.query("CREATE INDEX ON t (w)")
    postgres.query("VACUUM ANALYZE t")
    window = {"column": "w", "from": "2026-01-05 00:00:00", "to": "2026-01-05 01:00:00"}

    def plan(source, explain):
        connector.open(**source.server_options)
        frames = connector.call(verb="explain", source="t", key=["id"], key_is_unique=True, mode="full", window=window)
        statement = dict(frames)["T"]["statements"][0]
        text = statement["sql"]
        for parameter in statement["parameters"]:
            text = text.replace("?", f"'{parameter}'", 1)
        return str(source.query(explain + text))

    assert "'range', 'w'" in plan(mariadb, "EXPLAIN ")
    assert "t_w_idx" in plan(postgres, "EXPLAIN ")


def test_several_thousand_keys_of_each_kind(seed, mariadb, connector):
    generator = random.Random(seed)
    mariadb.query(
        "CREATE TABLE t (id INT, tienda VARCHAR(10), precio DECIMAL(10,2), visto DATETIME(6), PRIMARY KEY (tienda, id));"
        "INSERT INTO t SELECT seq, CONCAT('ñ', seq MOD 7), seq / 4, '2026-01-01' + INTERVAL seq SECOND FROM seq_1_to_20000"
    )
    connector.open(**mariadb.server_options)
    chosen = sorted(generator.sample(range(1, 20001), 5000))
    rows, frames = connector.read(
        source="t", key=["tienda", "id"], mode="full", columns=["id"], page_rows=64, only=[[f"ñ{i % 7}", str(i)] for i in chosen]
    )
    assert frames[-1][0] == "D"
    assert sorted(int.from_bytes(row[0], "big") for row in rows) == chosen
    for key, value in (("precio", lambda i: f"{i / 4:.2f}"), ("visto", lambda i: str(datetime(2026, 1, 1) + timedelta(seconds=i)))):
        rows, _ = connector.read(source="t", key=[key], mode="full", columns=["id"], only=[[value(i)] for i in chosen])
        assert sorted(int.from_bytes(row[0], "big") for row in rows) == chosen
