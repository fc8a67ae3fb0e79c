"""Backfills: closed windows of a source read again, in slices, beside the scheduled runs."""

import random
import time
from datetime import date, datetime, timedelta

import pytest

from harness import wait_for
from harness.rest import Directus, Ords, Supabase, Table
from harness.rest.table import UTC
from test_ledger import held, ledger, wait_for_runs

FIRST = date(2025, 1, 1)


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
def shop(request, db):
    """A source with a table `ventas` of 30 days with 20 rows each, and a stream of it that has read everything."""
    source = request.getfixturevalue(request.param)
    execute = source.execute if request.param == "sqlite" else source.query
    execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE, importe DECIMAL(10,2), tocado TIMESTAMP NULL)")
    execute("INSERT INTO ventas VALUES " + ",".join(
        f"({day * 100 + n}, '{FIRST + timedelta(day)}', {n}.5, '{FIRST + timedelta(day)} 12:00:00')" for day in range(30) for n in range(20)))
    options = source.server_options() if request.param == "sqlite" else dict(source.server_options)
    db.create_server("tienda", user=options.pop("user", None), password=options.pop("password", None), **options)
    source.write = execute
    source.all = lambda: [(int(i), str(d), float(n)) for i, d, n in source.query("SELECT id, fecha, importe FROM ventas ORDER BY id")]
    return source


def create(db, **options):
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"lookback": "0", "slice_column": "fecha"} | options)
    db.run("ventas")


def target(db):
    return [(i, str(d), float(n)) for i, d, n in db.query("SELECT id, fecha, importe FROM ventas ORDER BY id")]


def backfill(db, begin=None, end=None, step=None, expect="succeeded"):
    row = db.dict("SELECT * FROM sync_backfill('ventas', %s, %s, %s)", begin, end, step)
    assert db.wait(row["run_id"]) == expect
    return db.dict("SELECT * FROM insync.run WHERE id = %s", row["run_id"]), row["slices"]


def test_a_window_is_read_again(db, shop):
    create(db)
    watermark = db.status("ventas")["watermark"]
    assert watermark
    # Nothing of this is seen by an incremental run: the watermark isn't touched, and rows are lost at the target.
    shop.write("UPDATE ventas SET importe = 7 WHERE id IN (500, 501, 1000)")
    db.execute("DELETE FROM ventas WHERE id BETWEEN 600 AND 610")
    run, slices = backfill(db, "2025-01-06", "2025-01-07")
    assert slices == 1 and db.counts(run) == (0, 2, 18, 0, 0)
    run, slices = backfill(db, "2025-01-06", "2025-01-12")
    assert slices == 6 and db.counts(run) == (11, 1, 108, 0, 0)
    assert target(db) == shop.all()
    assert db.status("ventas")["watermark"] == watermark, "how far the stream has read stays as it is"
    assert db.run("ventas")["rows_read"] <= 20


def test_rows_that_the_window_no_longer_has_are_deleted(db, shop):
    create(db, deletes="hard", max_deletes="60%")
    shop.write("DELETE FROM ventas WHERE id IN (500, 501, 600)")
    run, _ = backfill(db, "2025-01-06", "2025-01-07")
    assert db.counts(run) == (0, 0, 18, 2, 0)
    assert ledger(db) == held(db)
    run, _ = backfill(db, step="1 month")  # from the first row to today, which would be hundreds of days
    assert run["deleted"] == 1 and target(db) == shop.all() and ledger(db) == held(db)


def test_a_row_that_moved_to_another_day_is_not_lost(db, shop):
    create(db, deletes="hard")
    shop.write("UPDATE ventas SET fecha = '2025-01-20' WHERE id = 500")
    run, _ = backfill(db, "2025-01-06", "2025-01-07")
    assert (run["deleted"], run["updated"]) == (0, 1)
    assert target(db) == shop.all() and ledger(db) == held(db)


KEYS = {
    ("sqlite", "TIMESTAMP"): lambda n: f"'2000-01-01T00:{n:02}:00Z'", ("sqlite", "DATETIME"): lambda n: f"'2000-01-01 00:{n:02}'",
    ("sqlite", "DATE"): lambda n: f"'2000-01-{n + 1:02}'", ("sqlite", "TEXT"): lambda n: f"'o''x{n}'",
    ("mariadb", "DATETIME(3)"): lambda n: f"'2000-01-01 00:00:00.{n:03}'", ("mariadb", "VARCHAR(20) CHARACTER SET latin1"): lambda n: f"'ñ{n} '",
    ("mariadb", "VARBINARY(8)"): lambda n: f"x'00ff{n:04x}'", ("mariadb", "BIT(16)"): lambda n: f"{n}",
    ("postgres", "timestamptz"): lambda n: f"timestamptz '2020-03-29 00:00:00.001+00' + {n} * interval '1 hour'",
    ("postgres", "numeric(10,2)"): lambda n: f"{n}.50", ("postgres", "bytea"): lambda n: f"'\\x00ff{n:04x}'",
}  # fmt: skip


@pytest.mark.parametrize("kind, type_of_key", KEYS)
def test_a_row_that_moved_is_found_by_its_key(db, request, kind, type_of_key):
    """However the key is written; where nothing that can be asked for tells it, nothing is deleted."""
    source = request.getfixturevalue(kind)
    execute = source.execute if kind == "sqlite" else source.query
    execute(f"CREATE TABLE ventas (k {type_of_key} NOT NULL PRIMARY KEY, n int, fecha DATE)")
    execute("INSERT INTO ventas VALUES " + ",".join(f"({KEYS[kind, type_of_key](n)}, {n}, '2025-01-{n % 3 + 1:02}')" for n in range(30)))
    options = source.server_options() if kind == "sqlite" else dict(source.server_options)
    db.create_server("tienda", user=options.pop("user", None), password=options.pop("password", None), **options)
    db.create_stream("ventas", "tienda", "ventas", options={"slice_column": "fecha", "deletes": "hard", "max_deletes": "100%"})
    db.run("ventas")
    execute("UPDATE ventas SET fecha = '2025-01-20' WHERE n IN (0, 3)")
    execute("DELETE FROM ventas WHERE n = 6")
    run, _ = backfill(db, "2025-01-01", "2025-01-02")
    rows = db.query("SELECT n, fecha::text FROM ventas WHERE n IN (0, 3, 6) ORDER BY n")
    if type_of_key in ("VARBINARY(8)", "BIT(16)", "bytea"):
        assert len(rows) == 3 and "nothing was deleted" in run["message"]
        execute("DELETE FROM ventas WHERE n = 9")
        db.run("ventas", "full")
        rows = db.query("SELECT n, fecha::text FROM ventas WHERE n IN (0, 3, 6) ORDER BY n")
    assert rows == [(0, "2025-01-20"), (3, "2025-01-20")] and ledger(db) == held(db)


def test_streams_that_keep_what_was_deleted_do(db, shop):
    create(db)
    before = target(db)
    shop.write("DELETE FROM ventas WHERE id IN (500, 501)")
    run, _ = backfill(db, "2025-01-06", "2025-01-07")
    assert run["deleted"] == 0 and target(db) == before


def test_the_guard_holds_for_each_slice(db, shop):
    create(db, deletes="hard")
    shop.write("DELETE FROM ventas WHERE id >= 500 AND id < 515")
    shop.write("DELETE FROM ventas WHERE id = 600")
    run, _ = backfill(db, "2025-01-05", "2025-01-09", expect="failed")
    assert "15 of 20 rows of public.ventas would be deleted" in run["message"] and "max_deletes" in run["message"]
    assert run["deleted"] == 1, "the other slices went on"
    assert db.value("SELECT count(*) FROM ventas WHERE fecha = '2025-01-06'") == 20
    marks = db.dict("SELECT rows, source_rows, differences FROM insync.slice WHERE bucket = '2025-01-06'")
    assert marks == {"rows": 20, "source_rows": 5, "differences": 15}
    db.alter_stream("ventas", max_deletes="100%")
    backfill(db, "2025-01-05", "2025-01-09")
    assert target(db) == shop.all() and ledger(db) == held(db)


def test_gaps_say_why_a_fix_did_not_help(db, shop):
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric CHECK (importe <> 7.5 OR fecha <> '2025-01-09'), tocado timestamp)")
    create(db, deletes="hard", max_rejects="100%")
    shop.write("DELETE FROM ventas WHERE id >= 500 AND id < 515")
    backfill(db, "2025-01-05", "2025-01-11", expect="failed")
    differs, short = db.dicts("SELECT * FROM sync_gaps('ventas', NULL, '2025-01-31')")
    assert (differs["kind"], short["kind"]) == ("differs", "short") and differs["fix"] and short["fix"]
    assert differs["recommendation"] == (
        "15 rows of this day differed from the source; read this day again. When that was last tried: 15 of 20 rows of public.ventas would be deleted, "
        "more than option max_deletes allows (20%).")  # fmt: skip
    assert short["recommendation"] == (
        "The target has 19 rows of this day, where the source had 20; read this day again. 1 row of the stream is rejected: see insync.error, "
        "and SELECT sync_replay('ventas').")  # fmt: skip
    assert ("ventas (1 critical, 2 warnings), 15 of 20 rows of public.ventas would be deleted, more than option max_deletes allows (20%)"
            in db.value("SELECT message FROM sync_health() WHERE \"check\" = 'gaps'"))  # fmt: skip
    # That another row comes is no reason to think that these have gone.
    shop.write("INSERT INTO ventas VALUES (9000, '2025-01-06', 1, '2025-02-01 12:00:00')")
    db.run("ventas")
    assert db.query("SELECT kind, rows FROM sync_gaps('ventas', NULL, '2025-01-31')") == [("differs", 21), ("short", 19)]
    db.alter_stream("ventas", max_deletes="100%")
    db.execute("ALTER TABLE ventas DROP CONSTRAINT ventas_check; SELECT sync_replay('ventas')")
    run_id = db.query(differs["fix"].replace("SELECT ", "SELECT * FROM "))[0][0]
    assert db.wait(run_id) == "succeeded"
    assert db.dicts("SELECT * FROM sync_gaps('ventas', NULL, '2025-01-31')") == []


def test_work_of_a_paused_stream_waits_and_says_so(db, shop):
    create(db)
    db.execute("DELETE FROM ventas WHERE fecha = '2025-01-06'; SELECT sync_pause('ventas')")
    db.execute("SELECT sync_verify('ventas')")
    (gap,) = db.dicts("SELECT * FROM sync_gaps()")
    assert gap["recommendation"] == ("The source had 20 rows of this day; read this day again. The stream is paused, and that waits for "
                                     "SELECT sync_resume('ventas').")  # fmt: skip
    told = []
    with db.connect(autocommit=True) as session:
        session.add_notice_handler(lambda notice: told.append((notice.message_primary, notice.message_hint)))
        run_id = session.execute(gap["fix"].replace("SELECT ", "SELECT run_id FROM ")).fetchone()[0]
    assert told == [('stream "ventas" is paused, and this waits', "SELECT sync_resume('ventas') lets it go on.")]
    db.execute("SELECT sync_resume('ventas')")
    assert db.wait(run_id) == "succeeded" and target(db) == shop.all()


def test_what_the_source_has_is_noted(db, shop):
    create(db, deletes="hard", max_deletes="100%")
    shop.write("DELETE FROM ventas WHERE fecha = '2025-01-06'")
    backfill(db, "2025-01-05", "2025-01-08")
    rows = db.query("SELECT bucket::date::text, rows, source_rows, differences, verified_at IS NOT NULL FROM insync.slice"
                    " WHERE bucket BETWEEN '2025-01-04' AND '2025-01-08' ORDER BY 1")  # fmt: skip
    assert rows == [("2025-01-04", 20, None, None, False), ("2025-01-05", 20, 20, 0, True), ("2025-01-06", 0, 0, 0, True),
                    ("2025-01-07", 20, 20, 0, True), ("2025-01-08", 20, None, None, False)]  # fmt: skip


def test_rejected_rows_are_the_sources_all_the_same(db, shop):
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric CHECK (importe <> 7))")
    create(db, max_rejects="100%", deletes="hard")
    shop.write("UPDATE ventas SET importe = 7 WHERE id = 500")
    run, _ = backfill(db, "2025-01-06", "2025-01-07")
    assert (run["rejected"], run["deleted"]) == (1, 0)
    assert db.query("SELECT rows, source_rows FROM insync.slice WHERE bucket = '2025-01-06'") == [(20, 20)]


@pytest.mark.parametrize("deletes", ["ignore", "hard"])
def test_what_somebody_else_did_is_mended_in_the_ledger_too(db, shop, deletes):
    create(db, deletes=deletes)
    db.execute("DELETE FROM ventas WHERE id BETWEEN 600 AND 610")
    backfill(db, "2025-01-06", "2025-01-10")
    assert target(db) == shop.all() and ledger(db) == held(db)
    assert db.query("SELECT DISTINCT rows, source_rows, differences FROM insync.slice WHERE verified_at IS NOT NULL") == [(20, 20, 0)]


@pytest.mark.parametrize("unit, begin, end, slices", [
    ("month", "2025-01-15", "2025-03-01", 2), ("week", "2025-01-01", "2025-01-13", 2), ("day", "2025-01-30 12:00", "2025-02-01", 2),
])  # fmt: skip
def test_windows_are_whole_slices(db, shop, unit, begin, end, slices):
    create(db, slice=unit)
    db.execute("DELETE FROM ventas WHERE fecha >= %s::timestamp AND fecha < %s", begin, end)
    _, count = backfill(db, begin, end)
    assert count == slices and target(db) == shop.all()


def test_what_is_asked_for_is_checked(db, sqlite):
    sqlite.execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE, importe INTEGER)")
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("ventas", "tienda", "ventas")
    db.create_stream("sin", "tienda", "ventas", target="sin", options={"slice": "none"})
    db.create_stream("calculada", "tienda", "ventas", target="calculada", options={"columns": {"dia": "fecha + 1"}, "slice_column": "dia"})
    db.create_stream("diario", "tienda", "SELECT id, fecha, 'I' AS op FROM ventas", target="diario", key="id", options={"operation_column": "op", "deletes": "hard"})
    for call, words in (
        ("'ventas'", "holds no rows yet"), ("'sin', '2025-01-01'", "has no slices"), ("'calculada', '2025-01-01'", "computed"),
        ("'ventas', '2025-02-01', '2025-01-01'", "must be before"), ("'ventas', '-infinity'", "finite"),
        ("'ventas', '2025-01-01', '2025-02-01', '1 hour'", "not a multiple of the slice"), ("'ventas', '2025-01-01', '2025-02-01', '-1 day'", "not a multiple of the slice"),
        ("'ventas', '1000-01-01'", "more than 100000 slices"), ("NULL", "must not be null"), ("'vents'", 'meant the stream "ventas"'),
        ("'diario', '2025-01-01'", "log of changes"),
    ):  # fmt: skip
        with pytest.raises(Exception, match=words):
            db.execute(f"SELECT sync_backfill({call})")
    assert db.query("SELECT count(*) FROM insync.job") == [(0,)]


def test_a_backfill_is_cancelled(db, shop):
    create(db)
    db.execute("SELECT sync_pause('ventas')")
    run_id = db.dict("SELECT * FROM sync_backfill('ventas', '2025-01-01', '2025-01-31')")["run_id"]
    assert db.query("SELECT * FROM sync_backfill('ventas', '2025-01-05', '2025-01-06')") == [(run_id, 0)], "it is going to be read already"
    assert db.query("SELECT * FROM sync_cancel('ventas')") == [("ventas", run_id)]
    assert db.wait(run_id) == "cancelled"
    assert db.query("SELECT DISTINCT status FROM insync.job") == [("cancelled",)]
    db.execute("SELECT sync_resume('ventas')")
    backfill(db, "2025-01-05", "2025-01-06")


def test_slices_that_were_defined_anew_are_no_longer_those_to_read(db, shop):
    create(db)
    db.execute("SELECT sync_pause('ventas')")
    run_id = db.dict("SELECT * FROM sync_backfill('ventas', '2025-01-05', '2025-01-08')")["run_id"]
    db.alter_stream("ventas", slice="month")
    assert db.wait(run_id) == "cancelled"
    assert "redefined" in db.value("SELECT message FROM insync.run WHERE id = %s", run_id)
    db.execute("SELECT sync_resume('ventas')")
    _, slices = backfill(db, "2025-01-05", "2025-01-08")
    wait_for_runs(db)
    assert slices == 1 and db.query("SELECT rows, source_rows FROM insync.slice WHERE rows > 0") == [(600, 600)]


def test_an_unreachable_source_is_tried_again(db, mariadb):
    mariadb.query("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE)")
    mariadb.query("INSERT INTO ventas VALUES (1, '2025-01-05')")
    options = dict(mariadb.server_options)
    port = options["port"]
    db.create_server("tienda", user=options.pop("user"), password=options.pop("password"), **options)
    db.create_stream("ventas", "tienda", "ventas", options={"retry_delay": "1 second", "max_retries": "30", "retry_backoff": "fixed"})
    db.run("ventas")
    db.execute("ALTER SERVER tienda OPTIONS (SET port '1')")
    run_id = db.dict("SELECT * FROM sync_backfill('ventas', '2025-01-05', '2025-01-08')")["run_id"]
    wait_for(lambda: db.value("SELECT max(attempts) FROM insync.job") > 1)
    db.execute(f"ALTER SERVER tienda OPTIONS (SET port '{port}')")
    assert db.wait(run_id) == "succeeded"
    db.alter_stream("ventas", max_retries="0")
    db.execute("ALTER SERVER tienda OPTIONS (SET port '1')")
    run_id = db.dict("SELECT * FROM sync_backfill('ventas', '2025-01-05', '2025-01-08')")["run_id"]
    assert db.wait(run_id) == "failed"
    assert db.query("SELECT DISTINCT status FROM insync.job WHERE run_id = %s ORDER BY 1", run_id) == [("cancelled",), ("failed",)]


def test_a_backfill_lets_others_through(db, sqlite):
    """Scheduled runs, pushed rows and verifications come between its slices; its progress is told."""
    days = [FIRST + timedelta(n) for n in range(300)]
    sqlite.execute("PRAGMA journal_mode = wal")
    sqlite.execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE, importe INTEGER, tocado TIMESTAMP)")
    sqlite.many("INSERT INTO ventas VALUES (?, ?, 1, ?)", [(n * 100 + i, str(d), f"{d} 12:00:00") for n, d in enumerate(days) for i in range(50)])
    db.create_server("tienda", connections="2", **sqlite.server_options())
    create(db)
    run_id = db.dict("SELECT * FROM sync_backfill('ventas', %s, %s)", days[0], days[-1] + timedelta(1))["run_id"]
    wait_for(lambda: db.value("SELECT count(*) FROM insync.job WHERE status = 'done'") > 5)
    row = db.dict("SELECT * FROM insync.progress WHERE run_id = %s", run_id)
    assert (row["state"], row["slices"]) == ("backfill", 300) and 0 < row["slices_done"] < 300 and row["time_left"].total_seconds() > 0
    sqlite.execute("INSERT INTO ventas VALUES (99999, '2026-05-05', 1, '2026-05-05 12:00:00')")
    assert db.run("ventas")["inserted"] == 1
    db.execute("SELECT sync_ingest('ventas', '[{\"id\": 99998, \"fecha\": \"2026-05-05\", \"importe\": 2}]')")
    db.execute("SELECT sync_verify('ventas', '2025-01-01', '2025-01-03')")
    db.execute("CALL sync_run('ventas')")
    assert db.value("SELECT count(*) FROM insync.job WHERE status = 'pending'") > 0, "all of that while slices were left"
    assert db.wait(run_id) == "succeeded"
    assert db.query("SELECT * FROM insync.progress") == [] and ledger(db) == held(db)


def test_slices_that_fill_an_empty_target_together_count(db, sqlite):
    """Both begin while it is empty; one has to apply its first batch again, after the other has committed."""
    sqlite.execute("PRAGMA journal_mode = wal")
    sqlite.execute("CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE)")
    sqlite.many("INSERT INTO ventas VALUES (?, ?)", [(d * 100 + n, f"2025-01-0{d}") for d in (1, 2) for n in range(20)])
    db.create_server("tienda", connections="2", **sqlite.server_options())
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date);"
               "CREATE FUNCTION primero() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NOT EXISTS (SELECT FROM public.ventas WHERE id = 100) THEN"
               " RAISE serialization_failure; END IF; RETURN NULL; END $$;"
               "CREATE TRIGGER primero AFTER INSERT ON ventas FOR EACH ROW WHEN (NEW.id = 200) EXECUTE FUNCTION primero()")  # fmt: skip
    db.create_stream("ventas", "tienda", "ventas", options={"slice_column": "fecha", "retry_delay": "1 second", "max_retries": "30"})
    run_id = db.dict("SELECT * FROM sync_backfill('ventas', '2025-01-01', '2025-01-03')")["run_id"]
    assert db.wait(run_id) == "succeeded"
    assert ledger(db) == held(db) == {"2025-01-01 00:00:00": 20, "2025-01-02 00:00:00": 20}


# ---- JSON APIs: the presets of two services, by a column that isn't the watermark

APIS = {
    "directus": (lambda table: Directus(table, cap=40), {"preset": "directus", "page_size": "40"}, lambda s: {"token": s.token}, {}),
    "supabase": (lambda table: Supabase(table, cap=40), {"preset": "supabase"}, lambda s: {"token": s.key}, {}),
    "ords": (lambda table: Ords(table, cap=40), {"preset": "ords"}, None, {}),
}


@pytest.fixture(params=APIS)
def api(request, db, seed):
    make, options, credentials, stream = APIS[request.param]
    chance = random.Random(seed)
    start = datetime(2025, 1, 1, tzinfo=UTC)
    rows = [{"id": n, "name": f"n{n}", "created_at": start + timedelta(minutes=chance.randrange(10 * 1440)), "updated_at": start + timedelta(days=20)}
            for n in range(1, 301)]  # fmt: skip
    table = Table("items", rows, changed="updated_at")
    with make(table) as server:
        db.create_rest_server("api", server.base_url, credentials=credentials and credentials(server), **options)
        db.create_stream("items", "api", "items", key="id", watermark="updated_at", options=stream | {
            "slice_column": "created_at", "deletes": "hard", "max_deletes": "100%", "lookback": "0 seconds"})  # fmt: skip
        db.run("items")
        yield table


def test_windows_of_an_api(db, api):
    bucket = "date_trunc('day', created_at AT TIME ZONE 'UTC')"
    assert ledger(db, "items") == held(db, bucket, "items")
    db.execute("UPDATE items SET name = 'x' WHERE id % 3 = 0; DELETE FROM items WHERE id % 5 = 0")
    gone = [row["id"] for row in api.rows()][::7]
    for number in gone:
        api.delete(number)
    time.sleep(1.1)  # as below
    row = db.dict("SELECT * FROM sync_backfill('items', '2025-01-01', '2025-01-11')")
    assert row["slices"] == 10 and db.wait(row["run_id"]) == "succeeded"
    assert db.query("SELECT id, name FROM items ORDER BY id") == sorted((row["id"], row["name"]) for row in api.rows())
    db.execute("SELECT sync_profile('items')")
    wait_for(lambda: db.value("SELECT count(*) FROM insync.run WHERE status IN ('queued', 'running')") == 0)
    assert ledger(db, "items") == held(db, bucket, "items")


def test_an_api_is_verified(db, api):
    for depth in ("keys", "rows"):
        assert db.dicts("SELECT * FROM sync_verify('items', depth => %s)", depth) == []
    db.execute("UPDATE items SET name = 'x' WHERE id = 33; DELETE FROM items WHERE id = 55")
    gone = next(row["id"] for row in api.rows() if row["id"] not in (33, 55))
    api.delete(gone)
    time.sleep(1.1)  # ORDS reads as of a whole second: in this one the row is still there
    rows = db.dicts("SELECT * FROM sync_verify('items', depth => 'rows', repair => true)")
    assert tuple(sum(row[name] for row in rows) for name in ("missing", "extra", "changed")) == (1, 1, 1)
    assert db.dicts("SELECT * FROM sync_verify('items')") == []
    assert db.query("SELECT id, name FROM items ORDER BY id") == sorted((row["id"], row["name"]) for row in api.rows())


def test_more_keys_than_a_request_holds_are_looked_up_in_parts(db, sqlite):
    """What vanished from a slice is looked up by its keys; here they are 68 MiB, and a request takes 64."""
    size, rows = 2000, 36_000
    sqlite.execute("CREATE TABLE ventas (id VARCHAR(2100) PRIMARY KEY, fecha DATE, tocado TIMESTAMP)")
    sqlite.execute(
        f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        f" INSERT INTO ventas SELECT printf('%.*c', {size}, 'x') || i, '{FIRST}', '{FIRST} 12:00:00' FROM n"
    )
    db.create_server("tienda", **sqlite.server_options())
    create(db, deletes="hard", max_deletes="100%")
    sqlite.execute("DELETE FROM ventas WHERE rowid > 10")
    run, _ = backfill(db, FIRST, FIRST + timedelta(1))
    assert run["deleted"] == rows - 10
    assert db.value("SELECT count(*) FROM ventas") == 10
