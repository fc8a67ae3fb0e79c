"""What is read at 8 a.m.: sync_health(), one row a check, and insync.daily, one row a day."""

import datetime

import pytest
from harness import Database
from harness.database import literal

DAY = datetime.timedelta(days=1)


@pytest.fixture
def health(db):
    def look(session=db):
        return {row["check"]: (row["status"], row["message"], row["hint"]) for row in session.dicts("SELECT * FROM sync_health()")}

    return look


def count_slices(db, name, slices):
    """The ledger of a stream, as the workers write it: {day: rows}."""
    db.execute("DELETE FROM insync.slice WHERE stream_id = (SELECT id FROM insync.stream WHERE name = %s)", name)
    for day, rows in slices.items():
        db.execute("INSERT INTO insync.slice (stream_id, bucket, rows) SELECT id, %s, %s FROM insync.stream WHERE name = %s", day, rows, name)


def test_all_is_well(db, shop, health):
    well = {
        "workers": ("ok", "workers run what is due", None),
        "servers": ("ok", "every server that was tried last answered", None),
        "database": ("ok", "streams run in this database", None),
        "runs": ("ok", "there are no streams", None),
        "paused": ("ok", "no stream is paused", None),
        "rejects": ("ok", "no rows are rejected", None),
        "gaps": ("ok", "no rows are missing", None),
        "late": ("ok", "no stream is late", None),
    }
    assert health() == well
    db.create_stream("ventas", "tienda", "ventas", options={"slice": "none"})
    db.run("ventas")
    assert health() == well | {"runs": ("ok", "no stream fails, of 1 stream", None)}


def test_each_trouble_is_told_with_what_to_do(db, shop, health):
    db.execute("CREATE TABLE rechazos (id bigint PRIMARY KEY, cantidad int CHECK (cantidad < 3))")
    for name in ("rechazos", "rota", "parada", "guardada", "huecos", "tarde"):
        options = {"max_retries": 0} if name in ("huecos", "tarde") else {"max_retries": 0, "slice": "none"}
        if name == "guardada":
            options |= {"deletes": "hard", "max_deletes": 1}
        db.create_stream(name, "tienda", "ventas", target=name, options=options)
    db.execute("DROP TABLE rota")
    db.run("rechazos")
    db.run("rota", expect="failed")
    db.run("guardada")
    shop.execute("DELETE FROM ventas WHERE id > 1")
    db.run("guardada", expect="failed")
    db.execute("SELECT sync_pause('parada')")
    today = datetime.datetime.combine(db.value("SELECT current_date"), datetime.time())
    whole = {today - n * DAY: 50 for n in range(40)}
    count_slices(db, "huecos", {day: rows for day, rows in whole.items() if day not in (today - 20 * DAY, today - 30 * DAY)})
    count_slices(db, "tarde", {day: rows for day, rows in whole.items() if day < today - 6 * DAY})
    found = health()
    assert {check: row[0] for check, row in found.items()} == {
        "workers": "ok", "servers": "ok", "database": "ok", "runs": "critical", "paused": "warning", "rejects": "warning",
        "gaps": "warning", "late": "critical"}  # fmt: skip
    message = found["runs"][1]
    assert message.startswith("2 of 6 streams failing: guardada (") and "; rota (target public.rota does not exist)" in message, message
    assert "max_deletes" in message or "would" in message, message
    assert found["runs"][2].startswith("SELECT * FROM sync_status()")
    assert found["paused"] == ("warning", "1 of 6 streams paused: parada", "SELECT sync_resume('...') lets one go on.")
    assert found["rejects"][1] == "1 of 6 streams with rejected rows: rechazos (2)"
    assert found["gaps"] == ("warning", "1 with gaps: huecos (0 critical, 2 warnings)",
                             "SELECT * FROM sync_gaps() shows them; SELECT fix FROM sync_gaps() \\gexec repairs them.")  # fmt: skip
    assert found["late"] == ("critical", "1 late: rota (never loaded)", "SELECT * FROM sync_gaps() WHERE kind = 'late' says why.")


def test_work_beside_the_runs_that_fails_is_told(db, shop, health):
    db.create_stream("ventas", "tienda", "ventas")
    db.run("ventas")
    shop.execute("ALTER TABLE ventas RENAME TO otra")
    run_id = db.dict("SELECT * FROM sync_backfill('ventas', '2025-01-05', '2025-01-06')")["run_id"]
    assert db.wait(run_id) == "failed"
    status, message, _ = health()["runs"]
    assert status == "warning" and message.startswith('1 of 1 stream failing: ventas (backfill failed: source "ventas" does not exist'), message
    shop.execute("ALTER TABLE otra RENAME TO ventas")
    assert db.wait(db.dict("SELECT * FROM sync_backfill('ventas', '2025-01-05', '2025-01-06')")["run_id"]) == "succeeded"
    assert health()["runs"][0] == "ok"


def test_a_calendar_that_fails_hides_nothing(db, shop, health):
    db.execute("CREATE TABLE libres (dia date)")
    for name in ("a", "b"):
        db.create_stream(name, "tienda", "ventas", target=name, options={"holidays": "public.libres"} if name == "a" else None)
        today = datetime.datetime.combine(db.value("SELECT current_date"), datetime.time())
        count_slices(db, name, {today - n * DAY: 50 for n in range(40) if n != 10})
    db.execute("DROP TABLE libres")
    status, message, _ = health()["gaps"]
    assert status == "warning"
    assert message == '2 with gaps: option holidays of stream "a": relation public.libres does not exist; b (0 critical, 1 warning)'


def test_a_copy_of_the_database_says_so(db, shop, health):
    db.create_stream("ventas", "tienda", "ventas")
    db.execute("UPDATE insync.home SET database_oid = 1")
    assert health()["database"] == (
        "critical", "the streams are stopped, as they belong to another database or server: this one was restored, copied or upgraded",
        "To run them here: SELECT sync_resume();")  # fmt: skip


def test_where_no_workers_run(own_cluster, own_db):
    own_cluster.write_settings(shared_preload_libraries="")
    own_cluster.restart()
    row = own_db.dict("SELECT * FROM sync_health() WHERE \"check\" = 'workers'")
    assert (row["status"], row["message"]) == ("critical", "no workers run, because pg_insync is not preloaded")
    assert row["hint"].startswith("Add pg_insync to shared_preload_libraries")


def test_roles_see_the_health_of_their_own(db, shop, health):
    db.create_stream("secreta", "tienda", "ventas", target="secreta", options={"max_retries": 0})
    db.execute("DROP TABLE secreta")
    db.run("secreta", expect="failed")
    name = f"stranger_{db.name}"
    db.execute(f"CREATE ROLE {name} LOGIN")
    db.execute("SELECT sync_grant(%s)", name)
    stranger = Database(db.cluster, db.name, name)
    assert health()["runs"][0] == "critical"
    assert health(stranger)["runs"] == ("ok", "there are no streams", None)
    assert stranger.value("SELECT sum(streams + rows) FROM insync.daily") == 0
    stranger.close()
    db.execute(f"DROP OWNED BY {name}")
    db.execute(f"DROP ROLE {name}")


# ------------------------------------------------------------------------------------------------------------- daily


def add_run(db, stream, started, status="succeeded", trigger="schedule", mode="incremental", polls=1, ended=None, **counts):
    names = "".join(f", {name}" for name in counts)
    values = "".join(f", {value}" for value in counts.values())
    db.execute(
        f"INSERT INTO insync.run (stream_id, stream, mode, status, trigger, started_at, ended_at, polls{names})"
        f" SELECT id, name, '{mode}', '{status}', '{trigger}', '{started}', '{ended or started}', {polls}{values}"
        f" FROM insync.stream WHERE name = {literal(stream)}"
    )


def test_one_row_a_day(db, shop):
    for name in ("a", "b", "c", "d"):
        db.create_stream(name, "tienda", "ventas", target=name)
    # Monday: a fails and recovers by a retry, b fails and recovers the day after, c fails for good, d writes twice.
    add_run(db, "a", "2026-03-02 05:00+00", "failed")
    add_run(db, "a", "2026-03-02 05:20+00", trigger="retry", inserted=10, updated=5, deleted=1)
    add_run(db, "b", "2026-03-02 05:00+00", "failed", rejected=2)
    add_run(db, "c", "2026-03-02 05:00+00", "failed")
    add_run(db, "c", "2026-03-02 05:20+00", "failed", trigger="retry")
    add_run(db, "d", "2026-03-02 05:00+00", inserted=100)
    add_run(db, "d", "2026-03-02 05:10+00", mode="ingest", inserted=7)
    add_run(db, "d", "2026-03-02 05:20+00", "failed", mode="replay")
    # Tuesday to Thursday: d polls and finds nothing; c's schedule fails the same way, counted in one row.
    add_run(db, "b", "2026-03-03 05:00+00", inserted=1)
    add_run(db, "d", "2026-03-03 05:00+00", polls=300, ended="2026-03-05 05:00+00")
    add_run(db, "c", "2026-03-03 23:00+00", "failed", polls=2, ended="2026-03-04 01:00+00")
    days = {str(row["day"]): row for row in db.dicts("SELECT * FROM insync.daily")}
    told = {day: [row[name] for name in ("streams", "succeeded", "failed", "retried", "rows", "rejected", "open", "gaps")] for day, row in days.items()}
    today = str(db.value("SELECT current_date"))
    assert told == {
        today: [0, 0, 0, 0, 0, 0, None, 1],  # c was never loaded
        "2026-03-05": [1, 1, 0, 0, 0, 0, None, None],
        "2026-03-04": [2, 1, 1, 0, 0, 0, "c", None],
        "2026-03-03": [3, 2, 1, 0, 1, 0, "c", None],
        "2026-03-02": [4, 2, 2, 2, 123, 2, "c", None],
    }
    assert list(days) == sorted(days, reverse=True)
    # A success closes what was open, on all days.
    db.run("c")
    assert db.value("SELECT count(*) FROM insync.daily WHERE open IS NOT NULL") == 0
    # Days are those of the session's zone.
    with db.connect() as session:
        session.execute("SET TimeZone = 'Pacific/Honolulu'")
        assert session.execute("SELECT streams, rows FROM insync.daily WHERE day = '2026-03-01'").fetchone() == (4, 123)


def test_today(db, shop):
    for name in ("a", "b"):
        db.create_stream(name, "tienda", "ventas", target=name, options={"max_retries": 0})
    db.execute("DROP TABLE b")
    assert db.run("a")["inserted"] == 5
    db.run("b", expect="failed")
    today = datetime.datetime.combine(db.value("SELECT current_date"), datetime.time())
    count_slices(db, "a", {today - n * DAY: 50 for n in range(40) if n not in (10, 20)})
    row = db.dict("SELECT * FROM insync.daily WHERE day = current_date")
    assert (row["streams"], row["succeeded"], row["failed"], row["rows"], row["open"], row["overdue"], row["gaps"]) == (2, 1, 1, 5, "b", None, 3)  # b was never loaded
