"""What is missing is known, and repaired: the whole of it, from sources to the table that people read at eight."""

import json
import math
import random
from datetime import datetime, timedelta, timezone

import psycopg
import pytest

from harness import wait_for
from harness.cluster import parents
from harness.sources import SqliteSource
from test_ledger import held, ledger
from test_verify import found, verify

pytestmark = pytest.mark.minutes

DAYS = 400


def zone_with_noon():
    """A zone in which it is about noon now, so that no test runs over midnight."""
    ahead = 12 - datetime.now(timezone.utc).hour
    return f"{ahead:+03d}:00" if ahead else "UTC", timezone(timedelta(hours=ahead))


def wait_for_workers(db, timeout=180):
    wait_for(lambda: db.value("SELECT count(*) FROM insync.run WHERE status IN ('queued', 'running')") == 0, timeout=timeout)


class Shop:
    def __init__(self, db, number, chance, today, zone):
        self.db, self.name, self.today = db, f"T{number:02}", today
        self.source = SqliteSource(self.name)
        self.source.execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE, importe INTEGER, tocado TIMESTAMP)")
        self.usual, self.next_id = (200 if number == 13 else 20), 1
        self.days = [today - timedelta(DAYS - n) for n in range(DAYS)]  # until yesterday
        self.rows = {day: round(self.usual * math.exp(chance.gauss(0, 0.2))) for day in self.days}
        db.create_server(self.name.lower(), **self.source.server_options())
        self.options = {"columns": {"tienda": f"'{self.name}'"}, "slice_time_zone": zone, "slice_column": "fecha",
                        "deletes": "hard", "max_retries": "0"}  # fmt: skip

    def fill(self, days, share=1.0, touched=None):
        rows = []
        for day in days:
            for _ in range(max(1, round(self.rows[day] * share))):
                rows.append((self.next_id, str(day), self.next_id % 97, f"{touched or day} 12:00:00"))
                self.next_id += 1
        self.source.many("INSERT INTO ventas VALUES (?, ?, ?, ?)", rows)

    def follow(self):
        self.db.create_stream(self.name, self.name.lower(), "ventas", target="ventas", key="tienda,id", watermark="tocado",
                              schedule="10 minutes", options=self.options)  # fmt: skip

    def all(self):
        return sorted((i, d, n) for i, d, n in self.source.query("SELECT id, fecha, importe FROM ventas"))


def test_sixteen_shops(db, seed):
    """Two can't be reached for five days, one has three holes, one is closed on Sundays, one has a day cut to 1%."""
    chance = random.Random(seed)
    zone, offset = zone_with_noon()
    today = datetime.now(offset).date()
    db.execute("CREATE TABLE ventas (tienda text, id bigint, fecha date, importe integer, PRIMARY KEY (tienda, id))")
    shops = {number: Shop(db, number, chance, today, zone) for number in range(1, 17)}
    try:
        holes = [shops[7].days[n] for n in (50, 51, 52, 200, 333)]
        cut = shops[13].days[150]
        for number, shop in shops.items():
            days = shop.days
            if number in (5, 9):
                days = days[:-5]
            if number == 7:
                days = [day for day in days if day not in holes]
            if number == 11:
                days = [day for day in days if day.weekday() != 6]
                shop.options["open_days"] = "mon-sat"
            if number == 13:
                shop.fill([cut], 0.01)
                days = [day for day in days if day != cut]
            shop.fill(days)
            shop.follow()
        wait_for_workers(db)
        # What came later: five days at shops that can't be reached, and days that were entered with an old date.
        for number in (5, 9):
            shops[number].fill(shops[number].days[-5:])
            shops[number].source.path.rename(shops[number].source.path.with_suffix(".away"))
            db.run(shops[number].name, expect="failed")
        shops[7].fill(holes, touched=shops[7].days[0])
        shops[13].fill([cut], 0.99, touched=shops[13].days[0])

        expected = {
            ("T05", "late", str(today - timedelta(5)), str(today), 5), ("T09", "late", str(today - timedelta(5)), str(today), 5),
            ("T07", "missing", str(holes[0]), str(holes[2] + timedelta(1)), 3), ("T07", "missing", str(holes[3]), str(holes[3] + timedelta(1)), 1),
            ("T07", "missing", str(holes[4]), str(holes[4] + timedelta(1)), 1), ("T13", "short", str(cut), str(cut + timedelta(1)), 1),
        }  # fmt: skip
        gaps = db.dicts("SELECT * FROM sync_gaps()")
        assert {(g["stream"], g["kind"], str(g["from"])[:10], str(g["to"])[:10], g["buckets"]) for g in gaps} == expected
        assert len(gaps) == len(expected) and all(g["fix"] for g in gaps)
        coverage = {row["stream"]: row for row in db.dicts("SELECT * FROM sync_coverage()")}
        assert {name for name, row in coverage.items() if row["severity"] != "ok"} == {"T05", "T07", "T09", "T13"}
        assert {name: row["days_behind"] for name, row in coverage.items() if row["days_behind"]} == {"T05": 5, "T09": 5}
        assert coverage["T07"]["missing"] == 5 and coverage["T13"]["short"] == 1
        assert float(coverage["T11"]["completeness"]) == 100 and float(coverage["T07"]["completeness"]) == 98.75
        assert "T05, T09" == db.value("SELECT open FROM insync.daily ORDER BY day DESC LIMIT 1")

        for number in (5, 9):
            path = shops[number].source.path
            path.with_suffix(".away").rename(path)
        db.cluster.psql("SELECT fix FROM sync_gaps() \\gexec", db.name)
        wait_for_workers(db)
        assert db.query("SELECT stream, kind, \"from\", recommendation FROM sync_gaps()") == []
        assert {row[0] for row in db.query("SELECT severity FROM sync_coverage()")} == {"ok"}
        for shop in shops.values():
            assert sorted((i, str(d), n) for i, d, n in db.query("SELECT id, fecha, importe FROM ventas WHERE tienda = %s", shop.name)) \
                == shop.all()  # fmt: skip
            assert ledger(db, shop.name) == held(db, where=f"tienda = '{shop.name}'")
    finally:
        for shop in shops.values():
            shop.source.close()


def test_gaps_heal_by_themselves(db, sqlite, seed):
    """auto_repair: what sync_gaps() shows is read again without anybody, and what failed is tried until it succeeds."""
    sqlite.execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE, tocado TIMESTAMP)")
    first = datetime(2026, 1, 1).date()
    days = [first + timedelta(n) for n in range(60)]
    hole = days[30]
    sqlite.many("INSERT INTO ventas VALUES (?, ?, ?)", [(n * 100 + i, str(d), f"{d} 12:00:00") for n, d in enumerate(days) for i in range(20) if d != hole])
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"slice_column": "fecha", "auto_repair": "true"})
    db.run("ventas")
    sqlite.many("INSERT INTO ventas VALUES (?, ?, ?)", [(9000 + i, str(hole), f"{hole} 12:00:00") for i in range(20)])
    assert [g["kind"] for g in db.dicts("SELECT * FROM sync_gaps('ventas', NULL, %s)", days[-1])] == ["missing"]
    # As if ten minutes had passed since gaps were last looked for.
    db.execute("UPDATE insync.stream SET created_at = created_at - interval '10 minutes'")
    db.execute("UPDATE insync.watermark SET repair_planned_at = repair_planned_at - interval '10 minutes'")
    db.run("ventas")  # wakes a worker, which looks at once
    wait_for(lambda: db.value("SELECT rows FROM insync.slice WHERE bucket = %s", hole) == 20)
    wait_for_workers(db)
    assert db.dicts("SELECT * FROM sync_gaps('ventas', NULL, %s)", days[-1]) == [] and ledger(db) == held(db)


@pytest.mark.parametrize("depth", ["counts", "keys", "rows"])
def test_changes_that_no_watermark_shows(db, mariadb, seed, depth):
    """1,000 rows changed without touching the watermark, 100 deleted, 10 keys changed: found, repaired, and gone."""
    chance = random.Random(f"{seed} {depth}")
    mariadb.query("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE, importe DECIMAL(10,2), tocado DATETIME)")
    mariadb.query("INSERT INTO ventas SELECT seq, '2026-01-01' + INTERVAL seq MOD 100 DAY, seq MOD 1000 / 10, '2026-01-01' + INTERVAL seq MINUTE FROM seq_1_to_20001")
    options = dict(mariadb.server_options)
    db.create_server("tienda", user=options.pop("user"), password=options.pop("password"), **options)
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"lookback": "0", "slice_column": "fecha", "deletes": "hard", "max_deletes": "90%"})  # fmt: skip
    db.run("ventas")
    numbers = chance.sample(range(1, 20001), 1110)
    changed, deleted, moved = numbers[:1000], numbers[1000:1100], numbers[1100:]
    mariadb.query(f"UPDATE ventas SET importe = importe + 1 WHERE id IN ({','.join(map(str, changed))})")
    mariadb.query(f"DELETE FROM ventas WHERE id IN ({','.join(map(str, deleted))})")
    mariadb.query(f"UPDATE ventas SET id = id + 100000 WHERE id IN ({','.join(map(str, moved))})")
    assert db.run("ventas")["rows_read"] == 1, "an incremental run sees nothing of it but the last row again"
    rows = found(verify(db, depth=depth))
    day = lambda n: str(datetime(2026, 1, 1).date() + timedelta(n % 100))  # noqa: E731
    touched = {"counts": set(deleted), "keys": set(deleted) | set(moved), "rows": set(numbers)}[depth]
    assert rows.keys() == {day(n) for n in touched}
    if depth == "rows":
        assert tuple(map(sum, zip(*rows.values()))) == (10, 110, 1000)
    if depth == "keys":
        assert tuple(map(sum, zip(*rows.values()))) == (10, 110, 0)
    verify(db, depth=depth, repair=True)
    assert verify(db, depth=depth) == []
    if depth == "rows":
        theirs = mariadb.query("SELECT id, fecha, importe FROM ventas ORDER BY id")
        assert [tuple(map(str, row)) for row in db.query("SELECT id, fecha, importe FROM ventas ORDER BY id")] == [
            tuple(map(str, row)) for row in theirs]  # fmt: skip


def answer(db, sql, *parameters):
    """The value of a query, or None while the server recovers."""
    try:
        return db.value(sql, *parameters)
    except psycopg.Error:
        db.close()
        return None


def test_a_backfill_is_killed_ten_times(own_db, own_cluster, sqlite, seed):
    """Workers and connectors are killed in the middle of 400 slices: it ends complete, and runs went on meanwhile."""
    chance = random.Random(seed)
    db, cluster = own_db, own_cluster
    first = datetime(2025, 1, 1).date()
    days = [first + timedelta(n) for n in range(DAYS)]
    sqlite.execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE, importe INTEGER, tocado TIMESTAMP)")
    sqlite.many("INSERT INTO ventas VALUES (?, ?, ?, ?)",
                [(n * 100 + i, str(d), i, f"{d} 12:00:00") for n, d in enumerate(days) for i in range(30)])  # fmt: skip
    sqlite.execute("PRAGMA journal_mode = wal")
    db.create_server("tienda", connections="2", **sqlite.server_options())
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", schedule="1 second", options={
        "lookback": "0", "slice_column": "fecha", "deletes": "hard", "max_deletes": "100%", "max_retries": "100",
        "retry_delay": "1 second", "retry_backoff": "fixed"})  # fmt: skip
    wait_for(lambda: db.value("SELECT count(*) FROM ventas") == 12000)
    # Behind the stream's back: rows change, vanish and come at the source.
    for n in chance.sample(range(DAYS), 60):
        sqlite.execute("DELETE FROM ventas WHERE id = ?", (n * 100 + chance.randrange(30),))
        sqlite.execute("UPDATE ventas SET importe = 1000 WHERE id = ?", (n * 100 + chance.randrange(30),))
        sqlite.execute("INSERT INTO ventas VALUES (?, ?, 7, '2025-01-01 12:00:00')", (n * 100 + 50, str(days[n])))
    run_id = db.dict("SELECT * FROM sync_backfill('ventas', %s, %s)", days[0], days[-1] + timedelta(1))["run_id"]
    done = lambda: answer(db, "SELECT count(*) FROM insync.job WHERE run_id = %s AND status = 'done'", run_id)  # noqa: E731
    reached = 0
    for kill in range(10):
        reached = wait_for(lambda: (now := done()) and now > reached and now, "another slice to be done", timeout=120)
        sqlite.execute("INSERT INTO ventas VALUES (?, '2026-02-10', ?, ?)", (900000 + kill, kill, f"2026-02-10 12:00:{kill:02}"))
        victims = wait_for(lambda: cluster.connectors(), "a worker", timeout=120)
        victim = chance.choice(victims)
        cluster.kill(parents()[victim] if kill % 2 else victim)
    assert reached < DAYS, "there was something left to be killed"
    wait_for(lambda: answer(db, "SELECT status FROM insync.run WHERE id = %s", run_id) not in (None, "running"), timeout=300)
    assert db.value("SELECT status FROM insync.run WHERE id = %s", run_id) == "succeeded"
    assert db.query("SELECT status, count(*), sum(rows) FROM insync.job WHERE run_id = %s GROUP BY 1", run_id) == [("done", 400, 12000)]
    wait_for(lambda: db.value("SELECT count(*) FROM ventas WHERE id >= 900000") == 10, "the scheduled runs")
    assert db.status("ventas")["watermark"].startswith("2026-02-10 12:00:09"), "that of the scheduled runs alone"
    wait_for(lambda: sorted(db.query("SELECT id, fecha::text, importe FROM ventas")) == sorted(
        sqlite.query("SELECT id, fecha, importe FROM ventas")))  # fmt: skip
    assert ledger(db) == held(db)


def test_a_source_that_lost_most_of_its_rows(db, sqlite):
    sqlite.execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE)")
    sqlite.many("INSERT INTO ventas VALUES (?, '2026-01-05')", [(n,) for n in range(1000)])
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("ventas", "tienda", "ventas", options={"deletes": "hard"})
    db.run("ventas")
    sqlite.execute("DELETE FROM ventas WHERE id % 10 < 6")
    listener = db.connect()
    listener.execute("LISTEN insync")
    run = db.run("ventas", expect="failed")
    alert = json.loads(next(listener.notifies()).payload)
    assert (alert["event"], alert["stream"]) == ("deletes_refused", "ventas") and "600 of 1000 rows" in alert["message"]
    listener.close()
    words = "600 of 1000 rows of public.ventas would be deleted, more than option max_deletes allows (20%)"
    assert words in run["message"] and db.value("SELECT count(*) FROM ventas") == 1000
    assert words in db.status("ventas")["message"] and db.status("ventas")["state"] == "error"
    health = {row["check"]: row for row in db.dicts("SELECT * FROM sync_health()")}
    assert any(row["status"] != "ok" and words in (row["message"] or "") for row in health.values())
    db.alter_stream("ventas", max_deletes="100%")  # the override
    assert db.run("ventas")["deleted"] == 600 and ledger(db) == {"2026-01-05 00:00:00": 400}
    db.alter_stream("ventas", max_deletes=None)
    assert all(row["status"] == "ok" for row in db.dicts("SELECT * FROM sync_health()") if row["check"] == "runs")


def test_the_days_on_which_clocks_change(db, postgres):
    """Hours in Madrid: the one that is skipped is no gap, the one that comes twice is one slice; all can be read again."""
    postgres.query("CREATE TABLE lecturas (id int PRIMARY KEY, momento timestamptz, tocado timestamptz)")
    for n, (begin, end) in enumerate((("2026-03-28 12:00+00", "2026-03-30 12:00+00"), ("2026-10-24 12:00+00", "2026-10-26 12:00+00"))):
        postgres.query(f"INSERT INTO lecturas SELECT {n * 1000} + row_number() OVER (), t, '2026-10-30' FROM generate_series('{begin}'::timestamptz,"
                       f" '{end}'::timestamptz, interval '10 minutes') AS t")  # fmt: skip
    options = dict(postgres.server_options)
    db.create_server("tienda", user=options.pop("user"), password=options.pop("password"), **options)
    db.create_stream("lecturas", "tienda", "lecturas", watermark="tocado", options={
        "slice": "hour", "slice_column": "momento", "slice_time_zone": "Europe/Madrid", "deletes": "hard", "max_deletes": "100%"})  # fmt: skip
    db.run("lecturas")
    bucket = "date_trunc('hour', momento AT TIME ZONE 'Europe/Madrid')"
    counts = ledger(db, "lecturas")
    assert counts == held(db, bucket, "lecturas")
    assert "2026-03-29 02:00:00" not in counts and counts["2026-10-25 02:00:00"] == 12
    for depth in ("counts", "keys", "rows"):
        assert verify(db, name="lecturas", depth=depth) == []
    assert db.dicts("SELECT * FROM sync_gaps('lecturas', '2026-03-28 13:00', '2026-03-30 14:00')") == []
    db.execute("DELETE FROM lecturas WHERE momento >= '2026-10-25 00:30+00' AND momento < '2026-10-25 01:30+00'")
    postgres.query("DELETE FROM lecturas WHERE momento = '2026-10-25 00:10+00'")
    assert {k: v for k, v in ((str(r["slice"]), (r["missing"], r["extra"])) for r in verify(db, name="lecturas"))} == {
        "2026-10-25 02:00:00": (6, 1)}  # fmt: skip
    row = db.dict("SELECT * FROM sync_backfill('lecturas', '2026-10-25 02:00', '2026-10-25 03:00')")
    assert db.wait(row["run_id"]) == "succeeded"
    assert verify(db, name="lecturas") == [] and ledger(db, "lecturas") == held(db, bucket, "lecturas")


@pytest.mark.parametrize("value", [True, "on", " Yes ", "t", "1", False, "off"])
def test_auto_repair_however_it_is_written(db, mariadb, value):
    """A run that failed is tried again, though no retries are left; and gaps are looked for."""
    mariadb.query("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE)")
    mariadb.query("INSERT INTO ventas VALUES " + ", ".join(f"({n}, '2026-01-{n:02}')" for n in range(1, 29)))
    options = dict(mariadb.server_options)
    db.create_server("tienda", user=options.pop("user"), password=options.pop("password"), **options)
    db.create_stream("ventas", "tienda", "ventas", options={"auto_repair": value, "max_retries": "0", "retry_delay": "1 hour"})
    db.run("ventas")
    is_on = value not in (False, "off")
    db.execute("DELETE FROM ventas WHERE id = 10; SELECT sync_verify('ventas')")
    db.execute("INSERT INTO insync.watermark AS w (stream_id, repair_planned_at) SELECT id, now() - interval '1 day' FROM insync.stream"
               " ON CONFLICT (stream_id) DO UPDATE SET repair_planned_at = excluded.repair_planned_at")  # fmt: skip
    db.execute("ALTER SERVER tienda OPTIONS (SET port '1')")
    db.run("ventas", expect="failed")
    assert db.value("SELECT retry_at IS NOT NULL FROM insync.watermark") == is_on
    wait_for(lambda: (db.value("SELECT count(*) FROM insync.job WHERE kind = 'backfill'") > 0) == is_on)


def test_a_stream_without_any_time(db, sqlite):
    sqlite.script("CREATE TABLE piezas (id INTEGER PRIMARY KEY, nombre TEXT); INSERT INTO piezas VALUES (1, 'a')")
    db.create_server("taller", **sqlite.server_options())
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    assert db.dicts("SELECT * FROM sync_gaps()") == []
    (row,) = db.dicts("SELECT * FROM sync_coverage()")
    assert row["completeness"] is None and "no date or time to count by" in row["message"]
    with pytest.raises(Exception, match="has no slices"):
        db.execute("SELECT sync_backfill('piezas', '2026-01-01', '2026-02-01')")
    assert verify(db, name="piezas") == []
