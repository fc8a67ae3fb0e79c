"""Verifications ask the source what it has, tell what differs, and repair it."""

import random
from datetime import datetime, timedelta

import pytest

from harness import wait_for
from harness.rest import JsonApi, PostgREST, Table
from harness.rest.table import UTC
from test_backfill import FIRST, create, shop, target  # noqa: F401
from test_ledger import held, ledger

DEPTHS = ("counts", "keys", "rows")


def verify(db, *arguments, name="ventas", **named):
    given = ", ".join(["%s"] * len(arguments) + [f"{key} => %s" for key in named])
    return db.dicts(f"SELECT * FROM sync_verify(%s{', ' if given else ''}{given})", name, *arguments, *named.values())


def found(rows):
    """Slices that differ, with (missing, extra, changed)."""
    return {str(row["slice"])[:10]: (row["missing"], row["extra"], row["changed"]) for row in rows}


@pytest.mark.parametrize("depth", DEPTHS)
def test_what_is_equal_is_whole(db, shop, depth):
    create(db, deletes="hard")
    assert verify(db, depth=depth) == []
    marks = db.query("SELECT count(*), count(verified_at), sum(rows), sum(source_rows), sum(differences) FROM insync.slice WHERE rows > 0")
    assert marks == [(30, 30, 600, 600, 0)]
    run = db.dict("SELECT * FROM insync.run WHERE mode = 'verify'")
    assert (run["status"], run["message"].split(";")[0]) == ("succeeded", "30 slices, 0 differ")


def spoil(shop):
    """Changes that no incremental run sees, each of its kind in a day of its own."""
    shop.write("UPDATE ventas SET importe = 99 WHERE id IN (500, 501)")
    shop.write("DELETE FROM ventas WHERE id IN (600, 601, 602)")
    shop.write("UPDATE ventas SET id = id + 50 WHERE id = 700")


@pytest.mark.parametrize("depth, expected", [
    ("counts", {"2025-01-07": (0, 3, 0)}),
    ("keys", {"2025-01-07": (0, 3, 0), "2025-01-08": (1, 1, 0)}),
    ("rows", {"2025-01-06": (0, 0, 2), "2025-01-07": (0, 3, 0), "2025-01-08": (1, 1, 0)}),
])  # fmt: skip
def test_each_depth_finds_what_it_promises(db, shop, depth, expected):
    create(db, deletes="hard", max_deletes="50%")
    spoil(shop)
    assert found(verify(db, depth=depth)) == expected
    if depth == "rows":
        keys = db.query("SELECT bucket::date::text, kind, key ->> 'id' FROM insync.difference ORDER BY 1, 2, 3")
        assert keys == [("2025-01-06", "changed", "500"), ("2025-01-06", "changed", "501")] + [
            ("2025-01-07", "extra", number) for number in ("600", "601", "602")] + [
            ("2025-01-08", "extra", "700"), ("2025-01-08", "missing", "750")]  # fmt: skip
        assert verify(db, depth=depth)[0]["keys"] == {"changed": [{"id": 500}, {"id": 501}]}
    verify(db, depth=depth, repair=True)
    if depth == "rows":
        assert target(db) == shop.all()
        assert db.query("SELECT count(*) FROM insync.slice WHERE differences <> 0") == [(0,)]
    assert verify(db, depth=depth) == [], "a second one finds nothing"
    assert ledger(db) == held(db)


def test_sums_tell_changes_where_rows_cannot_be_hashed(db, sqlite):
    sqlite.script("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE, piezas INTEGER, tocado DATETIME)")
    for i in range(40):
        sqlite.execute("INSERT INTO ventas VALUES (?, ?, ?, ?)", (i, f"2025-01-{i % 4 + 1:02}", i, f"2025-01-05 00:00:{i:02}"))
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"slice_column": "fecha"})
    db.run("ventas")
    assert verify(db, depth="counts") == []
    sqlite.execute("UPDATE ventas SET piezas = piezas + 1 WHERE id = 6")
    assert found(verify(db, depth="counts")) == {"2025-01-03": (0, 0, 1)}


@pytest.mark.parametrize("depth", ["counts", "rows"])
def test_zero_dates_are_equal_to_the_null_that_arrives(db, mariadb, depth):
    mariadb.query("SET sql_mode = ''; CREATE TABLE ventas (id INT PRIMARY KEY, fecha DATE, visto DATETIME NOT NULL); INSERT INTO ventas VALUES (1, '2025-01-01', '2025-01-01'), (2, '0000-00-00', '0000-00-00'), (3, '2025-01-00', '2025-01-02'), (4, NULL, '2025-01-03')")  # fmt: skip
    options = dict(mariadb.server_options)
    db.create_server("tienda", user=options.pop("user"), password=options.pop("password"), **options)
    db.create_stream("ventas", "tienda", "ventas", key="id", options={"slice_column": "fecha"})
    db.run("ventas")
    assert verify(db, depth=depth) == []
    mariadb.query("UPDATE ventas SET visto = '2025-01-04' WHERE id = 2")
    differing = db.query("SELECT slice::text, missing, extra, changed FROM sync_verify('ventas', depth => %s)", depth)
    assert differing == ([] if depth == "counts" else [("-infinity", 0, 0, 1)])


def test_a_part_is_verified(db, shop):
    create(db, deletes="hard", max_deletes="50%")
    spoil(shop)
    assert found(verify(db, "2025-01-07", "2025-01-08")) == {"2025-01-07": (0, 3, 0)}
    assert db.value("SELECT count(*) FROM insync.slice WHERE verified_at IS NOT NULL") == 1
    assert found(verify(db, "2025-01-07", "2025-01-08", repair=True)) == {"2025-01-07": (0, 3, 0)}
    assert verify(db, "2025-01-07", "2025-01-08") == []
    assert found(verify(db)) == {"2025-01-06": (0, 0, 2), "2025-01-08": (1, 1, 0)}


def test_an_empty_day_is_known_as_empty(db, shop):
    shop.write("DELETE FROM ventas WHERE fecha = '2025-01-10'")
    create(db)
    assert verify(db, "2025-01-01", "2025-02-01", "counts") == []
    assert db.query("SELECT rows, source_rows FROM insync.slice WHERE bucket = '2025-01-10'") == [(0, 0)]


@pytest.mark.parametrize("bounds", [(), ("-infinity", "infinity"), ("1900-01-01", None), (None, "9999-12-31"), ("1900-01-01", "9999-12-31")])
def test_to_ask_for_all_settles_the_empty_days(db, sqlite, bounds):
    """From the first day with rows to yesterday, but not years of nothing before or after."""
    days = [FIRST + timedelta(n) for n in range(30) if n not in (9, 14, 15)]
    sqlite.execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE)")
    sqlite.many("INSERT INTO ventas VALUES (?, ?)", [(n * 100 + i, str(d)) for n, d in enumerate(days) for i in range(20)])
    sqlite.execute("INSERT INTO ventas VALUES (9000, '1900-01-01'), (9001, '9999-01-01'), (9002, NULL)")
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("ventas", "tienda", "ventas", options={"slice_column": "fecha"})
    db.run("ventas")
    assert [(kind, buckets) for kind, buckets in db.query("SELECT kind, buckets FROM sync_gaps()")][:2] == [("missing", 1), ("missing", 2)]
    db.query("SELECT FROM sync_verify('ventas', %s, %s)", *(bounds or (None, None)))
    assert db.query("SELECT kind, buckets FROM sync_gaps()") == []
    days = (db.value("SELECT current_date") - FIRST).days
    count = db.value("SELECT count(*) FROM insync.slice WHERE bucket > '1900-01-01' AND bucket < '9999-01-01'")
    assert count in (days, days + 1) if bounds[:1] != ("1900-01-01",) or bounds[1] is None else count < 50000
    for begin, end in (("2025-01-06", "2025-01-05"), ("2025-01-05", "2025-01-05"), ("infinity", None), (None, "-infinity")):
        with pytest.raises(Exception, match='"from" must be before "to"'):
            db.execute("SELECT sync_verify('ventas', %s, %s)", begin, end)


def test_rows_that_are_kept_are_no_difference(db, shop):
    create(db)  # option deletes is ignore
    spoil(shop)
    assert found(verify(db)) == {"2025-01-06": (0, 0, 2), "2025-01-08": (1, 0, 0)}
    verify(db, repair=True)
    assert verify(db) == []
    assert db.value("SELECT count(*) FROM ventas WHERE id BETWEEN 600 AND 602") == 3


def test_rows_in_motion_do_not_count(db, shop):
    """What the source changed after the stream has read is going to be read: it isn't missing."""
    create(db, deletes="hard")
    shop.write("UPDATE ventas SET importe = 5, tocado = '2025-02-01 10:00:00' WHERE id = 500")
    shop.write("INSERT INTO ventas VALUES (5000, '2025-01-12', 1, '2025-02-01 10:00:00')")
    shop.write("UPDATE ventas SET fecha = '2025-01-20', tocado = '2025-02-01 10:00:00' WHERE id = 900")
    for depth in ("keys", "rows"):
        assert verify(db, depth=depth) == []
    db.run("ventas")
    for depth in DEPTHS:
        assert verify(db, depth=depth) == []
    assert target(db) == shop.all()


def test_a_row_that_moved_to_another_day(db, shop):
    create(db, deletes="hard")
    shop.write("UPDATE ventas SET fecha = '2025-01-20' WHERE id = 500")
    rows = found(verify(db, "2025-01-06", "2025-01-07"))
    assert rows == {"2025-01-06": (0, 0, 1)}, "it isn't gone"
    verify(db, "2025-01-06", "2025-01-07", repair=True)
    assert target(db) == shop.all() and verify(db) == []


def test_rows_without_a_date_are_repaired_too(db, shop):
    shop.write("INSERT INTO ventas VALUES (9000, NULL, 1, '2025-01-01 12:00:00'), (9001, NULL, 2, '2025-01-01 12:00:00'), (9002, NULL, 3, '2025-01-01 12:00:00')")
    create(db, deletes="hard", max_deletes="100%")
    db.execute("DELETE FROM ventas WHERE id = 9000; UPDATE ventas SET importe = 7 WHERE id = 9001")
    shop.write("DELETE FROM ventas WHERE id = 9002")
    shop.write("DELETE FROM ventas WHERE id = 500")
    assert db.query("SELECT slice = '-infinity', missing, extra, changed FROM sync_verify('ventas', repair => true)") == [(True, 1, 1, 1), (False, 0, 1, 0)]
    assert target(db) == shop.all() and verify(db) == []
    assert db.query("SELECT rows FROM insync.slice WHERE bucket = '-infinity'") == [(2,)]


def test_what_cannot_be_repaired_is_told(db, shop):
    """What the guard of deletes kept, and what was rejected."""
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric CHECK (importe <> 7.5 OR fecha <> '2025-01-08'), tocado timestamp)")
    create(db, deletes="hard", max_rejects="100%")
    shop.write("DELETE FROM ventas WHERE id >= 500 AND id < 515")
    told = []
    with db.connect() as session:
        session.add_notice_handler(lambda notice: told.append((notice.severity, notice.message_primary, notice.message_hint)))
        session.execute("SELECT sync_verify('ventas', repair => true)")
    warnings = [(message, hint) for severity, message, hint in told if severity == "WARNING"]
    assert warnings[0][0].startswith("ventas: 15 of 20 rows of public.ventas would be deleted, more than option max_deletes allows") and "max_deletes" in warnings[0][1]
    assert warnings[1][0] == "ventas: 1 row was rejected" and "sync_replay('ventas')" in warnings[1][1]
    assert len(warnings) == 2


def test_rows_that_cannot_be_converted_are_missing(db, mariadb):
    mariadb.query("CREATE TABLE turnos (id INTEGER PRIMARY KEY, fecha DATE, hora TIME)")
    mariadb.query("INSERT INTO turnos VALUES (1, '2025-01-01', '10:00'), (2, '2025-01-01', '-12:34:56'), (3, '2025-01-02', '11:00')")
    options = dict(mariadb.server_options)
    db.create_server("tienda", user=options.pop("user"), password=options.pop("password"), **options)
    db.create_stream("turnos", "tienda", "turnos")
    assert db.run("turnos")["rejected"] == 1
    for depth in DEPTHS:
        assert found(verify(db, name="turnos", depth=depth)) == {"2025-01-01": (1, 0, 0)}


@pytest.mark.parametrize("column", ["fecha", "tocado"])
def test_what_leaves_a_verified_day_is_not_missed(db, shop, column):
    """Rows that move to another day, or that a run deletes, have left the source's day as well."""
    create(db, deletes="hard", slice_column=column)
    verify(db)
    known = "SELECT kind, \"from\"::date::text, rows, expected FROM sync_gaps('ventas', NULL, '2025-01-31')"
    assert db.query(known) == []
    shop.write("UPDATE ventas SET fecha = '2025-02-01', tocado = '2025-02-01 12:00:00' WHERE id IN (500, 501)")
    db.run("ventas")
    assert db.query(known) == []
    shop.write("DELETE FROM ventas WHERE id = 502 OR id = 600")
    db.run("ventas", "full")
    assert db.query(known) == [] and ledger(db) == held(db, f"date_trunc('day', {column}::timestamp)")
    shop.write("DELETE FROM ventas WHERE id IN (800, 801)")
    verify(db)
    assert [row[:1] for row in db.query(known)] == [("differs",)]
    db.run("ventas", "full")
    assert db.query(known) == []
    # What was missing before is missing still, and no more than that.
    db.execute("DELETE FROM ventas WHERE id IN (700, 701)")
    verify(db, "2025-01-08", "2025-01-09", "counts")
    shop.write("UPDATE ventas SET fecha = '2025-02-01', tocado = '2025-02-01 12:00:01' WHERE id = 702")
    db.run("ventas")
    assert db.query(known) == [("short", "2025-01-08", 17, 19)]


def test_what_others_did_to_the_target_is_found(db, shop):
    create(db, deletes="hard")
    db.execute("DELETE FROM ventas WHERE id = 500; UPDATE ventas SET importe = 0 WHERE id = 600; INSERT INTO ventas VALUES (5000, '2025-01-08', 1)")
    assert found(verify(db)) == {"2025-01-06": (1, 0, 0), "2025-01-07": (0, 0, 1), "2025-01-08": (0, 1, 0)}
    assert ledger(db) == held(db), "and the ledger is set right"
    verify(db, repair=True)
    assert target(db) == shop.all() and ledger(db) == held(db) and verify(db) == []


def test_a_stream_without_slices_is_verified_as_a_whole(db, shop):
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"slice": "none", "deletes": "hard", "max_deletes": "50%"})
    db.run("ventas")
    assert verify(db) == []
    with pytest.raises(Exception, match="cannot verify a range of stream"):
        verify(db, "2025-01-01")
    spoil(shop)
    (row,) = verify(db)
    assert (row["slice"], row["state"], row["missing"], row["extra"], row["changed"]) == (None, "differs", 1, 4, 2)
    verify(db, repair=True)
    assert target(db) == shop.all() and verify(db) == []


def test_values_that_are_computed_are_compared_too(db, shop):
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric, doble numeric)")
    create(db, deletes="hard", columns={"doble": "importe * 2"})
    assert verify(db) == []
    db.execute("UPDATE ventas SET doble = 0 WHERE id = 500")
    shop.write("UPDATE ventas SET importe = 1 WHERE id = 501")
    assert found(verify(db)) == {"2025-01-06": (0, 0, 2)}


def test_a_filter_is_heeded(db, shop):
    create(db, deletes="hard", filter="importe < 10", max_deletes="60%")
    for depth in DEPTHS:
        assert verify(db, depth=depth) == []
    shop.write("UPDATE ventas SET importe = 50 WHERE id = 500")
    shop.write("UPDATE ventas SET importe = 5 WHERE id = 519")
    for depth in ("keys", "rows"):
        assert found(verify(db, depth=depth)) == {"2025-01-06": (1, 1, 0)}
    verify(db, repair=True)
    assert verify(db) == [] and db.value("SELECT count(*) FROM ventas WHERE importe >= 10") == 0


def test_shops_that_share_a_target_are_verified_each_for_itself(db, shop):
    db.execute("CREATE TABLE ventas (tienda text, id bigint, fecha date, importe numeric, PRIMARY KEY (tienda, id))")
    for name in ("T01", "T02"):
        db.create_stream(name, "tienda", "ventas", target="ventas", key="tienda,id", watermark="tocado",
                         options={"columns": {"tienda": f"'{name}'"}, "deletes": "hard"})  # fmt: skip
        db.run(name)
    db.execute("DELETE FROM ventas WHERE tienda = 'T02' AND id = 500")
    for depth in DEPTHS:
        assert verify(db, name="T01", depth=depth) == []
        assert found(verify(db, name="T02", depth=depth)) == {"2025-01-06": (1, 0, 0)}


def test_a_log_of_changes_is_not_compared(db, sqlite):
    sqlite.script("CREATE TABLE cambios (seq INTEGER PRIMARY KEY, id INTEGER, fecha DATE, op TEXT);"
                  "INSERT INTO cambios VALUES (1, 1, '2025-01-01', 'I'), (2, 1, '2025-01-01', 'D'), (3, 2, '2025-01-03', 'I')")  # fmt: skip
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("cambios", "tienda", "cambios", key="id", watermark="seq", options={"operation_column": "op", "deletes": "hard"})
    db.run("cambios")
    for depth in DEPTHS:
        with pytest.raises(Exception, match="reads a log of changes, which cannot be compared with rows"):
            verify(db, name="cambios", depth=depth)


def test_what_is_asked_for_is_checked(db, shop):
    create(db)
    for call, words in (
        ("'ventas', depth => 'deep'", "invalid depth"), ("'vents'", 'meant the stream "ventas"'), ("NULL", "must not be null"),
    ):  # fmt: skip
        with pytest.raises(Exception, match=words):
            db.execute(f"SELECT sync_verify({call})")
    with pytest.raises(Exception, match="read committed"):
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT sync_verify('ventas')")
    db.execute("ROLLBACK")


@pytest.mark.parametrize("style", ["SQL, DMY", "SQL, MDY", "German", "Postgres, DMY"])
def test_the_sessions_style_of_dates_is_no_matter(db, shop, style):
    create(db, deletes="hard")
    db.execute("DELETE FROM ventas WHERE fecha = '2025-01-06'")
    db.execute(f"SET DateStyle = '{style}'; SET IntervalStyle = 'sql_standard'; SET TimeZone = 'Asia/Tokyo'")
    assert db.query("SELECT slice = '2025-01-06'::timestamp, missing FROM sync_verify('ventas', date '2025-01-05', date '2025-01-08')") == [(True, 20)]
    (fix,) = (fix for kind, fix in db.query("SELECT kind, fix FROM sync_gaps('ventas')") if kind == "missing")
    run_id, slices = db.query(fix.replace("SELECT ", "SELECT * FROM "))[0]
    assert slices == 1 and db.wait(run_id) == "succeeded"
    run_id, slices = db.query("SELECT * FROM sync_backfill('ventas', date '2025-01-02', date '2025-01-06', '2 days')")[0]
    assert slices == 2 and db.wait(run_id) == "succeeded"
    assert len(db.query("SELECT FROM ventas")) == 600 and len(db.query("SELECT FROM sync_verify('ventas')")) == 0


def test_random_rows_of_all_kinds(db, shop, seed):
    """Whatever is done to both sides, what is found is what differs, and repaired it is equal."""
    chance = random.Random(seed)
    create(db, deletes="hard", max_deletes="100%")
    for _ in range(4):
        for number in chance.sample(range(0, 3000), 60):
            action = chance.random()
            if action < 0.3:
                shop.write(f"DELETE FROM ventas WHERE id = {number}")
            elif action < 0.6:
                shop.write(f"UPDATE ventas SET importe = {chance.randrange(100)} WHERE id = {number}")
            elif action < 0.7:
                shop.write(f"UPDATE ventas SET fecha = '2025-01-{chance.randrange(1, 29):02}' WHERE id = {number}")
            elif action < 0.85:
                db.execute("DELETE FROM ventas WHERE id = %s", number)
            else:
                db.execute("UPDATE ventas SET importe = -1 WHERE id = %s", number)
        ours, theirs = dict((i, rest) for i, *rest in target(db)), dict((i, rest) for i, *rest in shop.all())
        rows = verify(db)
        listed = {kind: set() for kind in ("missing", "extra", "changed")}
        for kind, key in db.query("SELECT kind, (key ->> 'id')::bigint FROM insync.difference"):
            listed[kind].add(key)  # one that moved differs in both of its slices
        assert listed == {
            "missing": theirs.keys() - ours.keys(), "extra": ours.keys() - theirs.keys(),
            "changed": {key for key in ours.keys() & theirs.keys() if ours[key] != theirs[key]},
        }  # fmt: skip
        assert {row["state"] for row in rows} <= {"missing", "short", "differs"}
        verify(db, repair=True)
        assert target(db) == shop.all() and verify(db) == [] and ledger(db) == held(db)


def test_empty_days_have_their_turn_too(db, shop):
    """verify_schedule asks about the days between, and after, those that have rows here."""
    shop.write("DELETE FROM ventas WHERE fecha IN ('2025-01-10', '2025-01-15', '2025-01-16')")
    create(db)
    shop.write("INSERT INTO ventas VALUES (9000, '2025-01-15', 1, '2025-01-01 12:00:00'), (9001, '2025-02-20', 1, '2025-01-01 12:00:00')")
    db.alter_stream("ventas", verify_schedule="1 second", verify_parts="3")
    expected = [("2025-01-15", 1, 1), ("2025-02-20", 1, 1)]
    wait_for(lambda: db.query("SELECT \"from\"::date::text, buckets, expected FROM sync_gaps()") == expected, "both rows to be found, and no other gaps")
    db.alter_stream("ventas", verify_schedule=None)
    assert db.value("SELECT max(window_to)::date - current_date FROM insync.job") in (0, -1)


def test_every_slice_is_verified_in_turn(db, shop):
    """verify_schedule: a part of the slices each time, those first that it has been longest for; repaired where that is wanted."""
    create(db, deletes="hard", max_deletes="50%", verify_schedule="1 second", verify_parts="5", auto_repair="true")
    spoil(shop)
    wait_for(lambda: db.value("SELECT count(*) FROM insync.slice WHERE verified_at IS NULL") == 0)
    sizes = {size for (size,) in db.query("SELECT count(*) FROM insync.job WHERE kind = 'verify' GROUP BY run_id")}
    assert sizes and max(sizes) <= 7, "six slices of thirty, in windows"
    wait_for(lambda: target(db) == shop.all(), "the rows to be repaired")
    db.alter_stream("ventas", verify_schedule=None)
    wait_for(lambda: db.value("SELECT count(*) FROM insync.run WHERE status IN ('queued', 'running')") == 0)
    assert verify(db) == [] and ledger(db) == held(db)
    for options, words in (({"verify_schedule": "now and then"}, "invalid schedule"), ({"verify_parts": "0"}, "verify_parts"), ({"verify_depth": "deep"}, "verify_depth")):
        with pytest.raises(Exception, match=words):
            db.alter_stream("ventas", **options)


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_api_with_a_watermark_is_verified_by_its_totals(db, depth):
    """What has changed since the last run isn't missing; the rows of a slice that differs tell it."""
    start = datetime(2025, 1, 1, tzinfo=UTC)
    rows = [{"id": id, "made_at": start + timedelta(days=id // 10), "updated_at": start + timedelta(minutes=id)} for id in range(1, 101)]
    items = Table("items", rows)
    with PostgREST(items) as server:
        db.create_rest_server("api", server.base_url, preset="supabase", path="{source}", auth="none", headers='{"Prefer": "count=exact"}')
        options = {"slice_column": "made_at", "deletes": "hard", "min_age": "0 seconds"}
        db.create_stream("s", "api", "items", target="s", key="id", watermark="updated_at", options=options)
        db.run("s")
        assert verify(db, "2025-01-01", "2025-01-15", name="s", depth=depth) == []
        items.insert({"id": 101, "made_at": start + timedelta(days=3)})
        assert verify(db, "2025-01-01", "2025-01-15", name="s", depth=depth) == [], "it is left to the next run"
        db.execute("DELETE FROM s WHERE id IN (31, 32)")
        db.execute("INSERT INTO s VALUES (1000, '2025-01-06', '2025-01-01')")
        server.forget()
        assert found(verify(db, "2025-01-01", "2025-01-15", name="s", depth=depth)) == {"2025-01-04": (2, 0, 0), "2025-01-06": (0, 1, 0)}
        if depth == "counts":
            assert len([request for request in server.requests if request.query["limit"] != "1"]) <= 2, "no rows of slices that are whole"


@pytest.mark.parametrize("kind, by", [("no windows", "call"), ("no windows", "workers"), ("no time", "call")])
def test_what_an_api_cannot_be_asked_for_by_time_is_repaired_in_full(db, kind, by):
    """It has no filter, or rows without a time."""
    start = datetime(2025, 1, 1, tzinfo=UTC)
    rows = [{"id": id, "n": 1, "made_at": start + timedelta(days=id // 10) if id % 7 else None, "updated_at": start} for id in range(1, 101)]
    with (JsonApi if kind == "no windows" else PostgREST)(Table("items", rows)) as server:
        options = {"preset": "jsonapi"} if kind == "no windows" else {"preset": "supabase", "path": "{source}", "auth": "none"}
        db.create_rest_server("api", server.base_url, **options)
        given = {"slice_column": "made_at", "deletes": "hard", "fields": {"made_at": "timestamptz"}}
        given |= {"auto_repair": True, "verify_schedule": "1 second"} if by == "workers" else {}
        db.create_stream("s", "api", "items", target="s", key="id", options=given)
        db.run("s")
        db.execute("DELETE FROM s WHERE id::text IN ('14', '31')")
        db.execute("UPDATE s SET n = 2 WHERE id::text = '40'")
        if by == "call":
            db.query("SELECT count(*) FROM sync_verify('s', repair => true)")
        wait_for(lambda: db.query("SELECT count(*), sum(n) FROM s") == [(100, 100)], "the repair", timeout=60 if by == "workers" else 1)
        if by == "workers":
            assert db.query("SELECT DISTINCT status FROM insync.run WHERE mode = 'verify' AND status NOT IN ('running', 'queued')") == [("succeeded",)]
            db.alter_stream("s", verify_schedule=None)
