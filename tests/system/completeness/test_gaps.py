"""What is missing: sync_gaps() and sync_coverage() over ledgers that are written here as the workers write them."""

import datetime
import subprocess
import threading
from decimal import Decimal

import psycopg
import pytest
from harness import Database
from harness.database import literal
from harness.environment import BIN, CLEAN_ENVIRONMENT

DAY = datetime.timedelta(days=1)
HOUR = datetime.timedelta(hours=1)


def day(text):
    return datetime.datetime.fromisoformat(text)


@pytest.fixture
def today(db):
    return datetime.datetime.combine(db.value("SELECT current_date"), datetime.time())


@pytest.fixture
def make(db, sqlite):
    """Makes a stream and its ledger: make(name, {bucket: rows}, unit=…, zone=…, and further arguments of sync_create())."""
    sqlite.script("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE)")
    db.create_server("tienda", **sqlite.server_options())

    def make(name, slices=None, unit="day", zone="UTC", complete=True, options=None, **arguments):
        options = {"slice": unit, "slice_time_zone": zone, "slice_column": "fecha"} | (options or {})
        db.create_stream(name, "tienda", "ventas", options=options, **({"target": f"ventas_{stream_count(db)}"} | arguments))
        db.execute("UPDATE insync.ledger SET complete = %s WHERE stream_id = (SELECT id FROM insync.stream WHERE name = %s)", complete, name)
        fill(db, name, slices or {})

    return make


def stream_count(db):
    return db.value("SELECT count(*) FROM insync.stream")


def fill(db, name, slices):
    stream_id = db.value("SELECT id FROM insync.stream WHERE name = %s", name)
    with db.connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO insync.slice AS s (stream_id, bucket, rows) VALUES (%s, %s, %s)"
            " ON CONFLICT (stream_id, bucket) DO UPDATE SET rows = excluded.rows",
            [(stream_id, bucket, rows) for bucket, rows in slices.items()],
        )


def verify(db, name, bucket, source_rows, differences=0):
    """As a verification leaves it."""
    db.execute(
        "INSERT INTO insync.slice AS s (stream_id, bucket, rows, verified_at, source_rows, differences)"
        " SELECT id, %s, 0, clock_timestamp(), %s, %s FROM insync.stream WHERE name = %s"
        " ON CONFLICT (stream_id, bucket) DO UPDATE SET verified_at = excluded.verified_at, source_rows = excluded.source_rows,"
        " differences = excluded.differences",
        bucket, source_rows, differences, name,
    )  # fmt: skip


def steps(first, last, step=DAY, rows=100, without=()):
    """Every step from the first to the last with as many rows, but for those left out."""
    slices = {}
    while first <= last:
        if first not in without:
            slices[first] = rows
        first += step
    return slices


def gaps(db, *arguments):
    given = ", ".join(["%s"] * len(arguments))
    found = db.dicts(f"SELECT * FROM sync_gaps({given})", *arguments)
    return [(gap["kind"], gap["from"], gap["to"], gap["buckets"]) for gap in found]


def coverage(db, name):
    return db.dict("SELECT * FROM sync_coverage(%s)", name)


def refused(db, sql, *parameters):
    with pytest.raises(psycopg.Error) as caught:
        db.execute(sql, *parameters)
    return caught.value


# ------------------------------------------------------------------------------------------------------------- kinds


def test_every_kind_of_gap(db, make, today):
    at = [today - n * DAY for n in range(100)]  # days ago
    make("t01", steps(at[99], at[4], without=[at[50], at[49], at[40]]) | {at[30]: 1}, options={"deletes": "hard"})
    verify(db, "t01", at[20], 120)
    verify(db, "t01", at[10], 100, differences=7)
    verify(db, "t01", at[8], 99)
    found = db.dicts("SELECT * FROM sync_gaps('t01')")
    assert [(gap["kind"], gap["from"], gap["to"], gap["buckets"], gap["rows"], gap["expected"], gap["severity"]) for gap in found] == [
        ("missing", at[50], at[48], 2, 0, 200, "warning"),
        ("missing", at[40], at[39], 1, 0, 100, "warning"),
        ("short", at[30], at[29], 1, 1, 100, "warning"),
        ("short", at[20], at[19], 1, 100, 120, "warning"),
        ("differs", at[10], at[9], 1, 100, 100, "warning"),
        ("differs", at[8], at[7], 1, 100, 99, "warning"),
        ("late", at[3], at[1], 2, 0, 200, "warning"),
    ]
    assert {gap["stream"] for gap in found} == {"t01"}
    assert {gap["days_behind"] for gap in found} == {None, 2}
    assert {gap["completeness"] for gap in found} == {Decimal("90.81")}  # 89 of 98, and never more
    for gap in found[:-1]:
        assert gap["fix"] == f"SELECT sync_backfill('t01', '{gap['from']:%Y-%m-%d}', '{gap['to']:%Y-%m-%d}')"
    assert found[-1]["fix"] == "SELECT sync_trigger('t01')"
    assert [gap["recommendation"] for gap in found] == [
        "No rows of these 2 days are here; read these 2 days again.",
        "No rows of this day are here; read this day again.",
        "The target has 1 rows of this day, where 100 are usual; read this day again.",
        "The target has 100 rows of this day, where the source had 120; read this day again.",
        "7 rows of this day differed from the source; read this day again.",
        "The target has 100 rows of this day, where the source had 99; read this day again.",
        "No run has succeeded since the data was due; run it now.",
    ]
    row = coverage(db, "t01")
    assert {name: row[name] for name in ("rows", "first_slice", "last_slice", "days_behind", "completeness", "gaps", "missing", "short", "differing", "severity")} == {
        "rows": 92 * 100 + 1, "first_slice": at[99], "last_slice": at[4], "days_behind": 2, "completeness": Decimal("90.81"), "gaps": 7,
        "missing": 3, "short": 2, "differing": 2, "severity": "warning"}  # fmt: skip
    assert row["message"] == (
        "2 days behind; 3 days missing; 2 days short; 2 days different from the source; no run has succeeded since the data was due; "
        "SELECT * FROM sync_gaps('t01')"
    )
    assert row["last_verified"] is not None
    assert db.query("SELECT * FROM insync.gaps") == db.query("SELECT * FROM sync_gaps()")
    assert db.query("SELECT * FROM insync.coverage") == db.query("SELECT * FROM sync_coverage()")
    db.alter_stream("t01", deletes=None)  # what was deleted at the source is kept: more rows than it has are right
    assert [gap["from"] for gap in db.dicts("SELECT * FROM sync_gaps('t01') WHERE kind = 'differs'")] == [at[10]]


def test_what_is_whole_has_no_gaps(db, make, today):
    make("t01", steps(today - 400 * DAY, today))
    assert gaps(db) == []
    row = coverage(db, "t01")
    assert (row["completeness"], row["severity"], row["message"], row["gaps"], row["days_behind"]) == (100, "ok", None, 0, 0)
    fill(db, "t01", {today - 200 * DAY: 0})
    assert coverage(db, "t01")["completeness"] == Decimal("99.75")
    assert db.value("SELECT severity FROM sync_coverage()") == "warning"


def test_a_verification_settles_what_was_guessed(db, make, today):
    empty = today - 50 * DAY
    make("t01", steps(today - 99 * DAY, today, without=[empty]) | {today - 30 * DAY: 1})
    assert [gap[0] for gap in gaps(db)] == ["missing", "short"]
    verify(db, "t01", empty, 0)
    verify(db, "t01", today - 30 * DAY, 1)
    assert gaps(db) == []
    verify(db, "t01", empty, 5)
    assert gaps(db) == [("missing", empty, empty + DAY, 1)]
    # A run brings the rows; they needn't be verified again.
    db.execute("UPDATE insync.slice SET rows = 5, touched_at = clock_timestamp() WHERE bucket = %s", empty)
    assert gaps(db) == []


def test_what_was_asked_before_a_day_was_over_settles_little(db, make, today):
    """Neither that it is empty nor that it is whole, but which rows are missing."""
    at = [today - n * DAY for n in range(60)]
    make("t01", steps(at[59], at[5], rows=1000) | {at[4]: 10})
    for number, rows in ((4, 10), (3, 0), (2, 0), (1, 0), (0, 0)):
        verify(db, "t01", at[number], rows)
    assert gaps(db) == []
    db.execute("UPDATE insync.slice SET verified_at = bucket AT TIME ZONE 'UTC' + interval '10 hours' WHERE verified_at IS NOT NULL")
    assert gaps(db) == [("short", at[4], at[3], 1), ("late", at[3], at[1], 2)]
    verify(db, "t01", at[0], 7)
    assert gaps(db)[2:] == [("missing", at[0], at[0] + DAY, 1)] or gaps(db)[1:] == [("missing", at[3], at[0] + DAY, 4)]


def test_rows_without_a_time_or_from_the_future_are_no_slices(db, make, today):
    make("t01", steps(today - 9 * DAY, today) | {today + 400 * DAY: 3})
    db.execute("INSERT INTO insync.slice (stream_id, bucket, rows) SELECT id, x.bucket, 7 FROM insync.stream,"
               " (VALUES (timestamp '-infinity'), ('infinity'), ('294276-12-31'), ('9999-12-31')) AS x (bucket)")  # fmt: skip
    assert gaps(db) == []
    row = coverage(db, "t01")
    assert (row["rows"], row["last_slice"], row["completeness"]) == (1000 + 3 + 28, today, 100)


def test_dates_that_stand_for_none_begin_no_series(db, make, today):
    make("t01", steps(today - 300 * DAY, today) | {day("1900-01-01"): 2})
    db.execute("INSERT INTO insync.slice (stream_id, bucket, rows) SELECT id, '4713-01-01 BC', 1 FROM insync.stream")
    assert gaps(db) == []
    assert coverage(db, "t01")["first_slice"] == today - 300 * DAY


def test_ranges_are_asked_for(db, make, today):
    at = [today - n * DAY for n in range(100)]
    make("t01", steps(at[99], today, without=at[10:20] + at[50:53]))
    assert gaps(db, "t01") == [("missing", at[52], at[49], 3), ("missing", at[19], at[9], 10)]
    assert gaps(db, "t01", at[15]) == [("missing", at[15], at[9], 10 - 4)]
    assert gaps(db, "t01", None, at[15]) == [("missing", at[52], at[49], 3), ("missing", at[19], at[15], 4)]
    assert gaps(db, "t01", at[15] + HOUR, at[14] + HOUR) == [("missing", at[15], at[13], 2)]  # the days that it touches
    assert gaps(db, "t01", at[40], at[30]) == []
    assert gaps(db, "t01", at[30], at[40]) == []
    assert gaps(db, "t01", "-infinity", "infinity") == gaps(db, "t01")
    assert db.query("SELECT DISTINCT completeness FROM sync_gaps('t01', %s, %s)", at[19], at[0]) == [(Decimal("47.36"),)]


# ------------------------------------------------------------------------------------------------------------- units


def test_hours_of_days_on_which_the_clock_changes(db, make):
    spring, autumn = day("2026-03-29"), day("2026-10-25")
    make("h1", steps(spring - 9 * DAY, spring + 9 * DAY, HOUR, without=[spring + 2 * HOUR]), unit="hour", zone="Europe/Madrid")
    make("h2", steps(spring - 9 * DAY, spring + 9 * DAY, HOUR, without=[spring + 2 * HOUR, spring + 3 * HOUR]), unit="hour", zone="Europe/Madrid")
    make("h3", steps(spring - 9 * DAY, spring + 9 * DAY, HOUR, without=[spring + 2 * HOUR]), unit="hour", zone="UTC")
    make("h4", steps(autumn - 9 * DAY, autumn + 9 * DAY, HOUR), unit="hour", zone="Europe/Madrid")
    end = spring + 9 * DAY
    assert gaps(db, "h1", None, end) == []
    assert gaps(db, "h2", None, end) == [("missing", spring + 3 * HOUR, spring + 4 * HOUR, 1)]
    assert gaps(db, "h3", None, end) == [("missing", spring + 2 * HOUR, spring + 3 * HOUR, 1)]
    assert gaps(db, "h4", None, autumn + 9 * DAY) == []
    assert db.value("SELECT fix FROM sync_gaps('h2', NULL, %s)", end) == "SELECT sync_backfill('h2', '2026-03-29 03:00', '2026-03-29 04:00')"


def test_weeks_over_the_years_end_and_months(db, make):
    weeks = steps(day("2025-11-03"), day("2026-02-23"), 7 * DAY, without=[day("2025-12-29"), day("2026-01-26")])
    make("w", weeks, unit="week")
    assert gaps(db, "w", None, "2026-02-23") == [
        ("missing", day("2025-12-29"), day("2026-01-05"), 1), ("missing", day("2026-01-26"), day("2026-02-02"), 1)]  # fmt: skip
    months = {datetime.datetime(2023 + n // 12, n % 12 + 1, 1): 1000 for n in range(36) if n not in (13, 24, 25)}
    make("m", months, unit="month")
    assert gaps(db, "m", None, "2025-12-01") == [
        ("missing", day("2024-02-01"), day("2024-03-01"), 1), ("missing", day("2025-01-01"), day("2025-03-01"), 2)]  # fmt: skip
    assert db.value("SELECT fix FROM sync_gaps('m', '2025-01-01', '2025-02-01')") == "SELECT sync_backfill('m', '2025-01-01', '2025-02-01')"


# --------------------------------------------------------------------------------------------------------- calendars


def sundays(first, last):
    return [bucket for bucket in steps(first, last) if bucket.weekday() == 6]


def test_open_days(db, make, today):
    first = today - 20 * DAY
    make("t01", steps(first, today, without=sundays(first, today)))
    assert len(gaps(db)) in (2, 3)
    db.alter_stream("t01", open_days="mon-sat")
    assert gaps(db) == []
    assert coverage(db, "t01")["completeness"] == 100
    # A closed day between two missing ones doesn't part them.
    sunday = sundays(first, today)[1]
    db.execute("DELETE FROM insync.slice WHERE bucket = ANY (%s)", [sunday - DAY, sunday + DAY])
    assert gaps(db) == [("missing", sunday - DAY, sunday + 2 * DAY, 2)]
    # Rows on a closed day are fine, and what the source says counts on it, too.
    fill(db, "t01", {sunday: 1})
    assert gaps(db) == [("missing", sunday - DAY, sunday, 1), ("missing", sunday + DAY, sunday + 2 * DAY, 1)]
    verify(db, "t01", sunday, 5)
    assert ("short", sunday, sunday + DAY, 1) in gaps(db)


def test_what_is_usually_empty_is_no_alarm(db, make, today):
    first = today - 100 * DAY
    make("t01", steps(first, today, without=sundays(first, today)))
    found = db.dicts("SELECT * FROM sync_gaps()")
    assert len(found) >= 13 and {gap["severity"] for gap in found} == {"info"} and {gap["expected"] for gap in found} == {0}
    assert coverage(db, "t01")["severity"] == "info"


def test_hours_that_are_usually_empty(db, make, today):
    first = today - 40 * DAY
    nights = [hour for hour in steps(first, today, HOUR) if not 9 <= hour.hour < 21]
    make("t01", steps(first + 9 * HOUR, today - HOUR, HOUR, without=nights), unit="hour")
    found = db.dicts("SELECT * FROM sync_gaps('t01', NULL, %s)", today - DAY)
    assert [(gap["buckets"], gap["severity"]) for gap in found] == [(12, "info")] * 38 + [(3, "info")]
    assert {gap["recommendation"] for gap in found if gap["buckets"] == 12} == {
        "Such an hour is usually empty: options open_days, holidays and calendar can say so; or read these 12 hours again."}  # fmt: skip


def test_holidays(db, make, today):
    closed = [today - 30 * DAY, today - 29 * DAY, today - 12 * DAY]
    make("t01", steps(today - 60 * DAY, today, without=closed))
    db.execute("CREATE TABLE festivos (dia date, nombre text, puente date)")
    db.execute("INSERT INTO festivos SELECT unnest(%s::date[]), 'fiesta'", closed[:2])
    db.execute("INSERT INTO festivos VALUES ('infinity'), (NULL), ('-infinity'), ('5000000-01-01')")
    error = refused(db, """SELECT sync_alter('t01', '{"holidays": "public.festivos"}')""")
    assert str(error).startswith('option holidays of stream "t01": public.festivos has several dates')
    db.alter_stream("t01", holidays="public.festivos(dia)")
    assert gaps(db) == [("missing", closed[2], closed[2] + DAY, 1)]
    db.execute("ALTER TABLE festivos DROP COLUMN puente")
    db.alter_stream("t01", holidays=" Public . FESTIVOS ")
    assert gaps(db) == [("missing", closed[2], closed[2] + DAY, 1)]
    db.execute("CREATE DOMAIN fiesta AS date; CREATE VIEW \"días (libres)\" AS SELECT dia::fiesta AS \"El Día\" FROM festivos UNION SELECT %s::date::fiesta" % literal(closed[2]))
    db.alter_stream("t01", holidays='public."días (libres)"("El Día")')
    assert gaps(db) == []


def test_a_calendar_of_opening_days_for_each_shop(db, make, today):
    at = [today - n * DAY for n in range(60)]
    db.execute("CREATE TABLE aperturas (tienda int, dia date, abierto boolean, PRIMARY KEY (tienda, dia))")
    db.execute("INSERT INTO aperturas SELECT t, d, d <> ALL (%s::date[]) FROM generate_series(1, 3) AS t,"
               " generate_series(%s::date, %s::date, '1 day') AS d", [at[20], at[21]], at[59], at[0])  # fmt: skip
    db.execute("UPDATE aperturas SET abierto = true WHERE tienda = 2")
    for shop in (1, 2, 3):
        calendar = f"EXISTS (SELECT FROM public.aperturas AS a WHERE a.tienda = {shop} AND a.dia = day AND a.abierto) -- of shop {shop}"
        make(f"t{shop}", steps(at[59], at[0], without=[at[20], at[21]]), options={"calendar": calendar})
    assert db.query("SELECT stream, kind, buckets FROM sync_gaps()") == [("t2", "missing", 2)]
    # What isn't known to be open is closed.
    db.execute("DELETE FROM aperturas")
    assert gaps(db) == []
    make("t4", steps(at[59], at[0], without=[at[20]]), options={"calendar": "NULL::boolean"})
    assert gaps(db, "t4") == []
    db.alter_stream("t4", calendar="true) OR (false")  # as good as any other
    assert gaps(db, "t4") == [("missing", at[20], at[19], 1)]


def test_a_calendar_of_opening_hours(db, make, today):
    first = today - 10 * DAY
    closed = [hour for hour in steps(first, today, HOUR) if not 9 <= hour.hour < 21]
    make("t01", steps(first + 9 * HOUR, today, HOUR, without=closed), unit="hour", options={"calendar": "extract(hour FROM bucket) BETWEEN 9 AND 20"})
    assert gaps(db, "t01", None, today - DAY) == []
    db.execute("DELETE FROM insync.slice WHERE bucket = ANY (%s)", [first + 20 * HOUR, first + DAY + 9 * HOUR])
    assert gaps(db, "t01", None, today - DAY) == [("missing", first + 20 * HOUR, first + DAY + 10 * HOUR, 2)]
    # Days are left out with all of their hours.
    db.execute(f"CREATE TABLE libres AS SELECT date '{first + DAY:%Y-%m-%d}' AS dia")
    db.alter_stream("t01", holidays="public.libres")
    assert gaps(db, "t01", None, today - DAY) == [("missing", first + 20 * HOUR, first + 21 * HOUR, 1)]


def test_weeks_are_left_out_with_all_of_their_days(db, make):
    monday = day("2026-01-05")
    make("w", {monday: 100, monday + 21 * DAY: 100}, unit="week", options={"calendar": "day NOT BETWEEN '2026-01-12' AND '2026-01-24'"})
    assert gaps(db, "w", None, "2026-02-02") == [("missing", monday + 14 * DAY, monday + 21 * DAY, 1)]
    db.alter_stream("w", calendar="day NOT BETWEEN '2026-01-12' AND '2026-01-25' AND bucket < '2026-01-26'")
    assert gaps(db, "w", None, "2026-02-02") == []


@pytest.mark.parametrize("options, message", [
    ({"calendar": "día > 5"}, 'invalid option calendar: column "día" does not exist'),
    ({"calendar": "day"}, "option calendar must be boolean, not pg_catalog.date"),
    ({"calendar": "true FROM x"}, 'invalid option calendar: syntax error at or near "FROM"'),
    ({"calendar": "true; SELECT 1"}, "invalid option calendar: syntax error"),
    ({"calendar": "EXISTS (SELECT FROM aperturas)"}, 'invalid option calendar: relation "aperturas" does not exist'),
    ({"holidays": "festivos"}, 'option holidays of stream "t01": "festivos" names no table'),
    ({"holidays": "public.festivos"}, 'option holidays of stream "t01": relation public.festivos does not exist'),
    ({"holidays": "public.texts"}, 'option holidays of stream "t01": public.texts has no column of type date'),
    ({"holidays": "public.texts(dia)"}, 'option holidays of stream "t01": column "dia" of public.texts is not a date but text'),
    ({"holidays": "public.texts(fecha)"}, 'option holidays of stream "t01": column "fecha" of public.texts does not exist'),
    ({"holidays": "public.texts(dia"}, 'option holidays of stream "t01": relation public."texts(dia" does not exist'),
    ({"holidays": "; DROP TABLE x"}, 'option holidays of stream "t01": invalid name syntax'),
])  # fmt: skip
def test_wrong_calendars_are_refused(db, make, options, message):
    db.execute("CREATE TABLE texts (dia text)")
    with pytest.raises(psycopg.Error) as caught:
        make("t01", options=options)
    assert str(caught.value).startswith(message)
    make("t01")
    with pytest.raises(psycopg.Error) as caught:
        db.alter_stream("t01", **options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("option, value, breaks", [
    ("holidays", "public.libres", "DROP TABLE libres"), ("holidays", "public.libres(dia)", "ALTER TABLE libres ALTER dia TYPE text"),
    ("calendar", "day NOT IN (SELECT dia FROM public.libres)", "DROP TABLE libres"), ("calendar", "1 / (SELECT count(*) FROM public.libres) > 0", "SELECT 1"),
])  # fmt: skip
def test_a_calendar_that_breaks_names_stream_and_option(db, make, today, option, value, breaks):
    db.execute("CREATE TABLE libres (dia date)")
    make("t01", steps(today - 9 * DAY, today), options={option: value})
    make("t02", steps(today - 9 * DAY, today))
    db.execute(breaks)
    (gap,) = db.dicts("SELECT * FROM sync_gaps()")
    assert (gap["stream"], gap["kind"], gap["severity"], gap["fix"]) == ("t01", "unknown", "warning", None)
    assert gap["recommendation"].startswith(f'Option {option} of stream "t01": ')
    broken, whole = db.dicts("SELECT * FROM sync_coverage()")
    assert broken["message"].startswith(f'option {option} of stream "t01": ') and broken["severity"] == "warning" and broken["completeness"] is None
    assert whole["severity"] == "ok"
    assert gaps(db, "t02") == []


# -------------------------------------------------------------------------------------------------------------- late


@pytest.fixture
def yearly(make, today, request):
    """A stream that is due on New Year's Day alone, and whose last rows are of 28 December."""
    new_year = today.replace(month=1, day=1)
    make("t01", steps(new_year - 60 * DAY, new_year - 4 * DAY), schedule="0 5 1 1 *", **getattr(request, "param", {}))
    return new_year


def test_late_by_the_schedules_own_rhythm(db, sqlite, yearly):
    def late():
        return db.dict("SELECT * FROM sync_gaps('t01')")

    found = late()
    assert (found["kind"], found["from"], found["to"], found["buckets"], found["severity"], found["days_behind"]) == (
        "late", yearly - 3 * DAY, yearly, 3, "critical", 3)  # fmt: skip
    assert found["fix"] == "SELECT sync_trigger('t01')"
    sqlite.script("ALTER TABLE ventas RENAME TO otra")
    db.run("t01", expect="failed")
    found = late()
    assert found["fix"] == "SELECT sync_trigger('t01')"
    assert found["recommendation"].startswith("The last run failed: ") and found["recommendation"].endswith("; when the cause is gone, run it again.")
    assert "3 days behind; the last run failed: " in coverage(db, "t01")["message"]
    sqlite.script("ALTER TABLE otra RENAME TO ventas")
    # What is counted here is made up; a table that is really empty would be counted from nothing.
    db.execute(f"INSERT INTO {coverage(db, 't01')['target']} (id) VALUES (1)")
    db.execute(found["fix"])
    db.run("t01")
    found = late()
    assert (found["kind"], found["days_behind"]) == ("stopped", None)
    assert found["fix"] == f"SELECT sync_backfill('t01', '{yearly - 3 * DAY:%Y-%m-%d}', '{yearly:%Y-%m-%d}')"
    assert found["recommendation"] == (
        f"The source is read, but has had no rows since {yearly - 3 * DAY:%Y-%m-%d}: see what fills it; "
        "if rows came with older watermarks, or there are none, read these 3 days again.")  # fmt: skip
    assert coverage(db, "t01")["message"].startswith(f"the source has had no rows since {yearly - 3 * DAY:%Y-%m-%d}; SELECT")
    for n in (1, 2, 3):
        verify(db, "t01", yearly - n * DAY, 0)
    assert gaps(db) == []
    assert coverage(db, "t01")["message"] is None


def test_a_day_that_broke_off_is_late(db, sqlite, today):
    """The source was last read at noon of it: what it holds isn't all."""
    at = [today - n * DAY for n in range(61)]
    sqlite.execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE)")
    sqlite.many("INSERT INTO ventas VALUES (?, ?)", [(n * 1000 + i, f"{at[n]:%Y-%m-%d}") for n in range(3, 61) for i in range(30 if n == 3 else 50)])
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("ventas", "tienda", "ventas")
    db.run("ventas")
    db.execute("UPDATE insync.stream SET schedule = '1 day'")  # without a worker that takes it up at once
    assert gaps(db) == [], "the source was read, and may have had no rows on one day"
    db.alter_stream("ventas", slice_column="fecha")  # no delay was there when it was first loaded
    db.execute("UPDATE insync.run SET started_at = %s, ended_at = %s", *[at[3] + 12 * HOUR] * 2)
    found = db.dict("SELECT * FROM sync_gaps()")
    assert [found[name] for name in ("kind", "from", "to", "buckets", "rows", "expected", "days_behind", "fix")] == [
        "late", at[3], at[1], 2, 30, 100, 2, "SELECT sync_trigger('ventas')"]  # fmt: skip
    assert coverage(db, "ventas")["message"] == "2 days behind; no run has succeeded since the data was due"
    # A verification of the day after it was over knows better, and so does the next run.
    verify(db, "ventas", at[3], 30)
    assert gaps(db) == [("late", at[2], at[1], 1)]
    db.execute("UPDATE insync.slice SET verified_at = NULL, source_rows = NULL")
    db.run("ventas")
    assert gaps(db) == []


@pytest.mark.parametrize("yearly", [{"zone": "Pacific/Honolulu", "options": {"time_zone": "Pacific/Kiritimati"}}], indirect=True)
def test_the_schedules_zone_tells_what_is_due(db, yearly):
    """When it is five on New Year's Day in Kiritimati, it is five on the day before in Honolulu."""
    assert gaps(db) == [("late", yearly - 3 * DAY, yearly - DAY, 2)]


def test_a_paused_stream_is_judged_but_not_resumed_by_a_fix(db, yearly):
    db.execute("SELECT sync_pause('t01')")
    found = db.dict("SELECT * FROM sync_gaps()")
    assert (found["severity"], found["fix"]) == ("critical", None)
    assert found["recommendation"] == "The stream is paused; SELECT sync_resume('t01') lets it go on."
    assert coverage(db, "t01")["message"] == "3 days behind; paused"


def test_a_stream_that_was_never_loaded_is_the_reddest_of_all(db, make, sqlite):
    make("nuevo", schedule="0 5 1 1 *")
    make("sin_horario")
    assert gaps(db) == []
    assert coverage(db, "nuevo")["message"] == "no rows yet"
    db.execute("UPDATE insync.stream SET created_at = now() - interval '800 days'")
    for found in db.dicts("SELECT * FROM sync_gaps()"):
        name = found["stream"]
        assert (found["kind"], found["from"], found["to"], found["buckets"], found["days_behind"], found["severity"], found["fix"]) == (
            "late", None, None, 0, 800, "critical", f"SELECT sync_trigger('{name}')")  # fmt: skip
        assert found["recommendation"] == "The stream has never been loaded. No run has succeeded since the data was due; run it now."
        row = coverage(db, name)
        assert (row["days_behind"], row["gaps"], row["severity"], row["message"]) == (
            800, 1, "critical", "has never been loaded; no run has succeeded since the data was due")  # fmt: skip
    assert len(gaps(db)) == 2
    # The source was read, and is empty: that is no gap.
    for name in ("nuevo", "sin_horario"):
        db.run(name)
        assert coverage(db, name)["severity"] == "ok"
    assert gaps(db) == []
    # A source that can't be reached from the first moment on is seen at once, and with or without slices.
    make("ausente")
    make("ausente_sin_fecha", options={"slice": "none", "slice_column": None})
    sqlite.script("ALTER TABLE ventas RENAME TO otra")
    for name in ("ausente", "ausente_sin_fecha"):
        db.run(name, expect="failed")
        assert (coverage(db, name)["severity"], db.value("SELECT severity FROM sync_gaps(%s)", name)) == ("critical", "critical")
    health = {row["check"]: row for row in db.dicts("SELECT * FROM sync_health()")}
    assert health["late"]["status"] == "critical" and "ausente (never loaded)" in health["late"]["message"]
    assert health["gaps"]["status"] == "warning", "what never came is missing, too"


# ------------------------------------------------------------------------------------------------- names, roles, others


@pytest.mark.parametrize("name", ["o'brien", 'a"b', "100%_x", "back\\slash", "día 1; DROP TABLE x", "$$"])
def test_fixes_are_complete_statements(db, make, today, name):
    make(name, steps(today - 50 * DAY, today - 10 * DAY, without=[today - 30 * DAY]))
    make(name.replace("_", "y").replace("%", "z") + "2", steps(today - 50 * DAY, today))
    found = db.dicts("SELECT * FROM sync_gaps() WHERE stream = %s", name)
    assert [gap["kind"] for gap in found] == ["missing", "late"]
    assert found[0]["fix"].startswith("SELECT sync_backfill(")
    called = db.dict(found[0]["fix"].replace("SELECT ", "SELECT * FROM ", 1))
    assert called["slices"] == 1
    window = db.query("SELECT s.name, j.window_from FROM insync.job AS j JOIN insync.stream AS s ON s.id = j.stream_id WHERE j.run_id = %s", called["run_id"])
    assert window == [(name, today - 30 * DAY)]
    assert [row[0] for row in db.query(found[1]["fix"].replace("sync_trigger(", "stream FROM sync_trigger("))] == [name]


def test_fixes_find_their_functions_in_any_schema(cluster, sqlite):
    cluster.create_database("elsewhere", extension=False)
    elsewhere = Database(cluster, "elsewhere")
    elsewhere.execute('CREATE SCHEMA "My Ext"; CREATE EXTENSION pg_insync SCHEMA "My Ext"; SET search_path = "$user", public, "My Ext"')
    sqlite.script("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE)")
    elsewhere.create_server("tienda", **sqlite.server_options())
    for name in ("t01", "parada"):
        elsewhere.create_stream(name, "tienda", "ventas", target=name, options={"slice_column": "fecha"})
        fill(elsewhere, name, {datetime.datetime.now().replace(hour=0, minute=0, second=0, microsecond=0) - n * DAY: 10 for n in range(4, 40) if n != 20})
    elsewhere.execute("SELECT sync_pause('parada')")
    near = elsewhere.query("SELECT fix FROM sync_gaps('t01')")
    elsewhere.execute("RESET search_path")
    far = elsewhere.query('SELECT fix FROM "My Ext".sync_gaps(\'t01\')')
    assert [fix.replace('"My Ext".', "", 1) for (fix,) in far] == [fix for (fix,) in near] and len(far) == 2
    for (fix,) in far:
        assert fix.startswith('SELECT "My Ext".sync_') and elsewhere.query(fix)
    assert elsewhere.value("SELECT recommendation FROM insync.gaps WHERE stream = 'parada' AND fix IS NULL") == (
        "The stream is paused; SELECT \"My Ext\".sync_resume('parada') lets it go on.")  # fmt: skip
    elsewhere.close()
    cluster.drop_database("elsewhere")


def test_a_trigger_reaches_that_stream_alone(db, make, today):
    for name in ("t_1", "tx1", "t%"):
        make(name, steps(today - 20 * DAY, today - 10 * DAY))
    fixes = dict(db.query("SELECT stream, fix FROM sync_gaps()"))
    assert fixes["tx1"] == "SELECT sync_trigger('tx1')"
    for name, fix in fixes.items():
        with db.connect() as session:
            row = session.execute(fix.replace("SELECT ", "SELECT stream FROM "), prepare=False).fetchall()
        assert row == [(name,)]


def test_fixes_have_a_sane_size(db, make, today):
    at = [today - n * DAY for n in range(3001)]
    make("años", steps(at[3000], at[0], without=at[1:2900]))
    (found,) = db.dicts("SELECT * FROM sync_gaps()")
    assert found["fix"] == f"SELECT sync_backfill('años', '{at[2899]:%Y-%m-%d}', '{today:%Y-%m-%d}', '8 days')"
    called = db.dict(found["fix"].replace("SELECT ", "SELECT * FROM ", 1))
    assert 300 < called["slices"] <= 400
    make("siglos", {day("0001-01-01"): 100, today - DAY: 100})
    found = db.dict("SELECT * FROM sync_gaps('siglos')")
    assert found["buckets"] > 700_000 and found["fix"] is None
    assert found["recommendation"].endswith("that is too much to read again; if wrong dates cause it, correct them, or name another "
                                            "column with option slice_column.")  # fmt: skip
    months = {datetime.datetime(1990 + n // 12, n % 12 + 1, 1): 1000 for n in range(400) if n not in range(20, 370)}
    make("meses", months, unit="month")
    assert db.value("SELECT fix FROM sync_gaps('meses', NULL, '2020-01-01')") == "SELECT sync_backfill('meses', '1991-09-01', '2020-01-01')"
    hours = steps(today - 900 * DAY, today, HOUR, without=steps(today - 800 * DAY, today - 650 * DAY, HOUR))
    make("horas", hours, unit="hour")
    assert db.value("SELECT fix FROM sync_gaps('horas', NULL, %s)", today - 600 * DAY) == (
        f"SELECT sync_backfill('horas', '{today - 800 * DAY:%Y-%m-%d %H:%M}', '{today - 650 * DAY + HOUR:%Y-%m-%d %H:%M}')")  # fmt: skip


def test_severity_is_an_option(db, make, today):
    at = [today - n * DAY for n in range(60)]
    make("t01", steps(at[59], today, rows=10000, without=[at[50], at[40], at[39], at[30], at[29], at[28]]))
    severities = "SELECT array_agg(severity ORDER BY \"from\") FROM sync_gaps()"
    assert db.value(severities) == ["warning", "warning", "critical"]
    db.alter_stream("t01", gap_warning=2, gap_critical=5)
    assert db.value(severities) == ["info", "warning", "warning"]
    db.alter_stream("t01", gap_warning=1, gap_critical=1)
    assert db.value(severities) == ["critical", "critical", "critical"]
    fill(db, "t01", {at[20]: 6000})
    assert gaps(db, "t01", at[25]) == []
    db.alter_stream("t01", short_below="70%")
    assert gaps(db, "t01", at[25]) == [("short", at[20], at[19], 1)]


def test_streams_that_are_not_judged_say_why(db, make, sqlite, today):
    sqlite.script("CREATE TABLE sin_fecha (id INTEGER PRIMARY KEY)")
    make("contando", steps(today - 9 * DAY, today - 5 * DAY), complete=False)
    make("ninguna", unit="none")
    db.create_stream("sin_fecha", "tienda", "sin_fecha")
    assert gaps(db) == []
    told = {row["stream"]: (row["message"], row["severity"], row["gaps"], row["days_behind"]) for row in db.dicts("SELECT * FROM sync_coverage()")}
    assert told == {
        "contando": ("the rows that were here before are not counted yet; see sync_profile()", "info", None, None),
        "ninguna": ("slices are not counted, as option slice is none", "info", None, None),
        "sin_fecha": ("slices are not counted, as there is no date or time to count by; see option slice_column", "info", None, None),
    }


def test_one_state_of_the_ledger_is_judged(db, make, today):
    """A profile takes the ledger from counted to empty and back: what is shown is either, and no mixture."""
    make("t01", steps(today - 300 * DAY, today))
    stop = threading.Event()

    def profile():
        with db.connect(autocommit=False) as session:
            while not stop.is_set():
                for complete, rows in (("false", 0), ("true", 100)):
                    session.execute(f"UPDATE insync.ledger SET complete = {complete}")
                    session.execute(f"UPDATE insync.slice SET rows = {rows}")
                    session.commit()

    profiling = threading.Thread(target=profile)
    profiling.start()
    try:
        told = {(row["message"], row["rows"], row["gaps"]) for row in (coverage(db, "t01") for _ in range(300))}
    finally:
        stop.set()
        profiling.join()
    uncounted = ("the rows that were here before are not counted yet; see sync_profile()", 0, None)
    assert told <= {(None, 30100, 0), uncounted}


def test_a_first_load_under_way_is_no_hole(db, make, sqlite, today):
    """It comes in the order of the key: any day may still get rows."""
    make("t01", steps(today - 50 * DAY, today, without=[today - 20 * DAY]))
    assert len(gaps(db)) == 1
    db.execute("INSERT INTO insync.watermark (stream_id, position) SELECT id, '{\"phase\": \"load\"}' FROM insync.stream"
               " ON CONFLICT (stream_id) DO UPDATE SET position = excluded.position")  # fmt: skip
    assert gaps(db) == []
    assert db.query("SELECT message, severity FROM sync_coverage()") == [("the first load has not ended yet", "info")]
    sqlite.script("ALTER TABLE ventas RENAME TO otra")
    db.run("t01", expect="failed")
    message, severity = db.query("SELECT message, severity FROM sync_coverage()")[0]
    assert severity == "critical" and message.startswith("the first load has not ended yet; has never been loaded; the last run failed: ")
    db.execute("UPDATE insync.watermark SET position = NULL")
    assert len(gaps(db)) == 1


def test_sixteen_shops(db, make, today):
    at = [today - n * DAY for n in range(401)]
    for shop in range(1, 17):
        without = {3: at[100:105] + at[200:201] + at[300:310], 7: sundays(at[400], at[0]), 11: at[:6], 12: at[:6]}.get(shop, [])
        rows = steps(at[400], at[0], rows=20000, without=without) | ({at[77]: 200} if shop == 9 else {})
        make(f"t{shop:02}", rows, options={"open_days": "mon-sat"} if shop == 7 else None)
    assert db.query('SELECT stream, kind, "from", "to", buckets, severity FROM sync_gaps()') == [
        ("t03", "missing", at[309], at[299], 10, "critical"), ("t03", "missing", at[200], at[199], 1, "warning"),
        ("t03", "missing", at[104], at[99], 5, "critical"), ("t09", "short", at[77], at[76], 1, "warning"),
        ("t11", "late", at[5], at[1], 4, "critical"), ("t12", "late", at[5], at[1], 4, "critical")]  # fmt: skip
    told = db.query("SELECT stream, completeness, days_behind, severity FROM sync_coverage()")
    assert len(told) == 16
    assert [row for row in told if row[3] != "ok"] == [
        ("t03", Decimal("96.00"), 0, "critical"), ("t09", Decimal("99.75"), 0, "warning"),
        ("t11", Decimal("98.99"), 4, "critical"), ("t12", Decimal("98.99"), 4, "critical")]  # fmt: skip


def test_patterns_and_unknown_streams(db, make, today):
    for name in ("norte_1", "norte_2", "sur_1"):
        make(name, steps(today - 20 * DAY, today, without=[today - 10 * DAY]))
    assert {row[0] for row in db.query("SELECT stream FROM sync_gaps('norte%%')")} == {"norte_1", "norte_2"}
    assert {row[0] for row in db.query("SELECT stream FROM sync_coverage('%%_1')")} == {"norte_1", "sur_1"}
    assert db.query("SELECT * FROM sync_gaps(NULL, NULL, NULL)") == db.query("SELECT * FROM sync_gaps()")
    for function in ("sync_gaps", "sync_coverage"):
        assert str(refused(db, f"SELECT * FROM {function}('nortes')")).startswith('stream "nortes" does not exist')


def test_only_the_ledger_is_read(db, make, today):
    make("t01", steps(today - 20 * DAY, today, without=[today - 10 * DAY]), target="objetivo")
    with db.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE objetivo IN ACCESS EXCLUSIVE MODE")
        assert len(gaps(db)) == 1
        assert coverage(db, "t01")["gaps"] == 1
        blocker.rollback()
    with db.connect(autocommit=False) as session:
        session.execute("SET TRANSACTION READ ONLY")
        assert len(session.execute("SELECT * FROM sync_gaps()").fetchall()) == 1
        assert len(session.execute("SELECT * FROM sync_coverage()").fetchall()) == 1


@pytest.fixture
def stranger(db, make):
    """A role that may make streams of its own, connected."""
    name = f"stranger_{db.name}"
    db.execute(f"CREATE ROLE {name} LOGIN")
    db.execute("SELECT sync_grant(%s)", name)
    db.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {name}")
    db.execute(f"CREATE SCHEMA mio AUTHORIZATION {name}")
    session = Database(db.cluster, db.name, name)
    yield session
    session.close()
    db.execute(f"DROP OWNED BY {name} CASCADE")
    db.execute(f"DROP ROLE {name}")


def test_roles_see_their_own_gaps_only(db, make, stranger, today):
    slices = steps(today - 20 * DAY, today, without=[today - 10 * DAY])
    make("secreta", slices)
    stranger.create_stream("mia", "tienda", "ventas", target="mio.ventas", options={"slice_column": "fecha"})
    fill(db, "mia", slices)
    mine = stranger.value("SELECT id FROM insync.stream")
    for relation in ("sync_gaps()", "sync_coverage()", "insync.gaps", "insync.coverage"):
        assert [row[0] for row in stranger.query(f"SELECT stream FROM {relation}")] == ["mia"]
        assert [row[0] for row in db.query(f"SELECT stream FROM {relation}")] == ["mia", "secreta"]
    for relation in ("insync.ledger", "insync.slice"):
        assert {row[0] for row in stranger.query(f"SELECT stream_id FROM {relation}")} == {mine}
        assert str(refused(stranger, f"DELETE FROM {relation}")) == f"permission denied for table {relation[7:]}"
    for function in ("sync_gaps", "sync_coverage"):
        assert str(refused(stranger, f"SELECT * FROM {function}('secreta')")) == "must be owner of stream secreta"


def test_calendars_are_read_as_the_streams_owner(db, make, stranger, today):
    db.execute("CREATE SCHEMA otro; CREATE TABLE otro.libres AS SELECT date '2026-01-06' AS dia")
    for options in ({"holidays": "otro.libres"}, {"calendar": "day NOT IN (SELECT dia FROM otro.libres)"}):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for schema otro"):
            stranger.create_stream("mia", "tienda", "ventas", target="mio.ventas", options=options)
    db.execute(f"GRANT USAGE ON SCHEMA otro TO {stranger.user}")
    for options in ({"holidays": "otro.libres"}, {"calendar": "day NOT IN (SELECT dia FROM otro.libres)"}):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for table libres"):
            stranger.create_stream("mia", "tienda", "ventas", target="mio.ventas", options=options)
    stranger.execute("CREATE FUNCTION mio.who() RETURNS boolean LANGUAGE plpgsql AS"
                     " $$ BEGIN RAISE NOTICE '% % %', current_user, current_setting('search_path'), current_setting('TimeZone'); RETURN true; END $$")  # fmt: skip
    stranger.create_stream("mia", "tienda", "ventas", target="mio.ventas", options={"calendar": "mio.who()", "slice_column": "fecha"})
    fill(db, "mia", steps(today - 3 * DAY, today))
    told = []
    with db.connect() as session:  # a superuser asks
        session.add_notice_handler(lambda notice: told.append(notice.message_primary))
        session.execute("SET TimeZone = 'Asia/Tokyo'")
        session.execute("SELECT * FROM sync_gaps()")
        assert session.execute("SHOW TimeZone").fetchone() == ("Asia/Tokyo",)
    assert set(told) == {f"{stranger.user} pg_catalog, pg_temp UTC"}
    stranger.execute("CREATE OR REPLACE FUNCTION mio.who() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; RETURN true; END $$")
    recommendation = db.value("SELECT recommendation FROM sync_gaps()")
    assert recommendation.startswith('Option calendar of stream "mia": cannot set parameter "role" within security-definer function')


def test_where_the_source_cannot_be_asked_for_slices(db, make, sqlite, today):
    slices = steps(today - 20 * DAY, today, without=[today - 10 * DAY])
    make("calculada", slices, options={"columns": {"fecha": "fecha + 1"}})
    sqlite.script("CREATE TABLE cambios (id INTEGER PRIMARY KEY, fecha DATE, op TEXT)")
    db.create_stream("cambios", "tienda", "cambios", options={"operation_column": "op", "deletes": "hard", "slice_column": "fecha"})
    fill(db, "cambios", slices)
    found = dict(db.query("SELECT stream, fix FROM sync_gaps()"))
    assert found == {"calculada": "SELECT sync_trigger('calculada', 'full')", "cambios": None}
    assert db.value("SELECT recommendation FROM sync_gaps('calculada')") == (
        "No rows of this day are here; read everything again, as the source does not have the column by which slices are counted.")  # fmt: skip
    assert db.query(found["calculada"])


def test_what_sync_gaps_says_repairs_everything(db, sqlite, today):
    """Rows that came to the source without touching the watermark, an empty day, and days that haven't come yet."""
    at = [today - n * DAY for n in range(61)]
    sqlite.script("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE, tocado TIMESTAMP)")

    def sell(number, count):
        sqlite.many("INSERT INTO ventas VALUES (?, ?, '2025-01-01 00:00:00')", [(number * 1000 + n, f"{at[number]:%Y-%m-%d}") for n in range(count)])

    for number in range(5, 61):
        if number not in (20, 30, 31):
            sell(number, 1 if number == 40 else 50)
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"lookback": "0", "slice_column": "fecha"})
    db.run("ventas")
    db.execute("UPDATE insync.stream SET schedule = '1 day'")  # without a worker that takes it up at once
    for number, count in ((30, 50), (31, 50), (40, 49), (3, 50)):
        sqlite.execute("DELETE FROM ventas WHERE fecha = ?", (f"{at[number]:%Y-%m-%d}",))
        sell(number, count)
    stopped = ("stopped", at[4], at[1], 3)
    assert gaps(db) == [("short", at[40], at[39], 1), ("missing", at[31], at[29], 2), ("missing", at[20], at[19], 1), stopped]
    psql = [BIN / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    environment = CLEAN_ENVIRONMENT | db.cluster.psql_environment(db.name)
    subprocess.run(psql, input="SELECT fix FROM sync_gaps() \\gexec\n", text=True, check=True, capture_output=True, env=environment)
    for (run_id,) in db.query("SELECT DISTINCT run_id FROM insync.job"):
        assert db.wait(run_id) == "succeeded"
    assert gaps(db) == []
    assert coverage(db, "ventas")["completeness"] == 100
    assert db.query("SELECT id FROM ventas ORDER BY id") == sqlite.query("SELECT id FROM ventas ORDER BY id")
