"""Watermarks as real sources write them: in several layouts, ahead of the clock, of mixed kinds, of altered columns and restarted
sequences, as texts; and what of the overlap is read again."""

import datetime
import random

import psycopg
import pytest
from harness import wait_for

UTC = datetime.timezone.utc


def ids(db, table="t"):
    return [id for (id,) in db.query(f"SELECT id FROM {table} ORDER BY id")]


def refused(db, sql, *parameters):
    with pytest.raises(psycopg.Error) as error:
        db.execute(sql, *parameters)
    return error.value


# ---------------------------------------------------------------------------------------------- layouts of SQLite's times

LAYOUTS = {
    "blank": lambda at: at.strftime("%Y-%m-%d %H:%M:%S"),
    "T": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S"),
    "Z": lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "fraction": lambda at: at.strftime("%Y-%m-%d %H:%M:%S.5"),
    "milliseconds": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.250Z"),
    "west": lambda at: (at - datetime.timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%S-05:00"),
    "east": lambda at: (at + datetime.timedelta(hours=14)).strftime("%Y-%m-%d %H:%M:%S+14:00"),
}


@pytest.mark.parametrize("source", ["t", "SELECT id, m FROM t WHERE m >= :watermark"], ids=["table", "query"])
def test_times_written_in_several_ways_are_compared_as_times(db, sqlite, seed, source):
    """Rows of steadily later times, each in a layout of its own, some of which sort below the one before as texts."""
    chance = random.Random(seed)
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, m TEXT NOT NULL)")
    at = datetime.datetime(2025, 1, 5, 21, 0, 0)
    sqlite.execute("INSERT INTO t VALUES (0, ?)", (LAYOUTS["Z"](at),))
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", source, target="t", key="id", watermark="m", options={"lookback": "0 seconds"})
    db.run("t")
    for number in range(1, 25):
        at += datetime.timedelta(seconds=chance.choice([1, 61, 3601]))
        layout = chance.choice(sorted(LAYOUTS))
        sqlite.execute("INSERT INTO t VALUES (?, ?)", (number, LAYOUTS[layout](at)))
        db.run("t")
        assert ids(db) == list(range(number + 1)), f"{layout} at {at}"


def test_a_time_column_with_and_without_t(db, sqlite):
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, m TIMESTAMP)")
    sqlite.execute("INSERT INTO t VALUES (1, '2025-01-05T10:00:00'), (2, '2025-01-05 10:00:00')")
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "t", watermark="m")
    db.run("t")
    sqlite.execute("INSERT INTO t VALUES (3, '2025-01-05 12:00:00')")
    assert db.run("t")["inserted"] == 1
    sqlite.execute("INSERT INTO t VALUES (4, '2025-01-05T11:55:00')")
    assert db.run("t")["inserted"] == 1, "within the lookback, however it is written"
    assert db.status("t")["watermark"] == "2025-01-05 12:00:00"


# ------------------------------------------------------------------------------------------------------- ahead of the clock


@pytest.mark.parametrize("kind", ["sqlite", "mariadb DATETIME", "mariadb TIMESTAMP", "postgres timestamp", "postgres timestamptz"])
def test_a_row_dated_an_hour_ahead_hides_none_that_comes_before_it(db, kind, request):
    engine, _, column = kind.partition(" ")
    source = request.getfixturevalue(engine)
    now, later = {
        "sqlite": ("datetime('now')", "datetime('now', '+1 hour')"), "mariadb": ("now()", "now() + INTERVAL 1 HOUR"),
        "postgres": ("now()", "now() + interval '1 hour'"),
    }[engine]  # fmt: skip
    run = source.query
    run(f"CREATE TABLE t (id int PRIMARY KEY, m {column or 'TIMESTAMP'} NOT NULL)")
    run(f"INSERT INTO t VALUES (1, {now})")
    db.create_server("shop", **(source.server_options() if engine == "sqlite" else source.server_options))
    db.create_stream("t", "shop", "t", watermark="m")
    db.run("t")
    run(f"INSERT INTO t VALUES (2, {later})")
    assert db.run("t")["inserted"] == 1
    run(f"INSERT INTO t VALUES (3, {now})")
    assert db.run("t")["inserted"] == 1
    assert ids(db) == [1, 2, 3]
    assert "beyond the source's clock" in db.status("t")["message"]


def test_a_first_load_of_a_row_dated_ahead_notes_none_that_is_to_come(db, sqlite):
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, m TEXT)")
    sqlite.execute("INSERT INTO t VALUES (1, datetime('now', '-1 minute')), (2, datetime('now', '+23 hours'))")
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "t", watermark="m")
    db.run("t")
    sqlite.execute("INSERT INTO t VALUES (3, datetime('now'))")
    assert db.run("t")["inserted"] == 1


def test_times_of_a_zone_ahead_move_the_watermark_by_that_zone_s_clock(db, sqlite):
    """The source writes the local time of a zone nine hours ahead: with that said, its rows are of the present."""
    local = datetime.datetime.now(UTC).replace(tzinfo=None, microsecond=0) + datetime.timedelta(hours=9)
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, m TIMESTAMP)")
    sqlite.execute("INSERT INTO t VALUES (1, ?)", (str(local - datetime.timedelta(seconds=5)),))
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "t", watermark="m", options={"source_time_zone": "+09:00"})
    run = db.run("t")
    assert db.status("t")["watermark"] == str(local - datetime.timedelta(seconds=5))
    assert run["message"] is None


# ----------------------------------------------------------------------------------------------- kinds that don't go together


def test_instants_and_local_times_are_not_combined(db, mariadb):
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, created DATETIME NOT NULL, changed TIMESTAMP NULL, made DATE)")
    db.create_server("shop", **mariadb.server_options)
    error = refused(db, "SELECT sync_create('t', 'shop', 't', watermark => 'changed, created')")
    assert 'watermark columns "changed" and "created" cannot be combined' in str(error)
    assert "timestamp" in error.diag.message_detail and "datetime" in error.diag.message_detail
    db.create_stream("t", "shop", "t", watermark="created, made")  # one clock's dates and times


def test_a_date_and_a_time_are_combined_at_the_finer_of_them(db, mariadb):
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, changed DATE, created DATETIME NOT NULL);"
                  "INSERT INTO t SELECT seq, NULL, '2025-01-05 10:00:00' + INTERVAL seq SECOND FROM seq_1_to_40")  # fmt: skip
    db.create_server("shop", **mariadb.server_options)
    db.create_stream("t", "shop", "t", watermark="changed, created", options={"page_rows": 7, "lookback": "1 hour"})
    for _ in range(2):
        db.run("t")
    mariadb.query("UPDATE t SET changed = '2025-01-06' WHERE id = 3")
    assert db.run("t")["updated"] == 1
    assert ids(db) == list(range(1, 41))


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_a_column_that_gains_a_zone_is_read_again(db, engine, request):
    source = request.getfixturevalue(engine)
    naive, zoned = {"postgres": ("timestamp", "timestamptz"), "mariadb": ("DATETIME", "TIMESTAMP")}[engine]
    source.query(f"CREATE TABLE t (id int PRIMARY KEY, m {naive} NOT NULL)")
    source.query("INSERT INTO t VALUES (1, '2025-01-05 10:00:00')")
    db.create_server("shop", **source.server_options)
    db.create_stream("t", "shop", "t", watermark="m")
    db.run("t")
    if engine == "postgres":
        source.query("ALTER TABLE t ALTER m TYPE timestamptz USING m AT TIME ZONE 'Asia/Tokyo'")
        source.query("INSERT INTO t VALUES (2, '2025-01-05 10:30:00+09')")
    else:
        source.query(f"SET time_zone = '+09:00'; ALTER TABLE t MODIFY m {zoned} NOT NULL; INSERT INTO t VALUES (2, '2025-01-05 10:30:00')")
    run = db.run("t")
    assert run["inserted"] == 1
    assert "changed from type" in run["message"]
    source.query("INSERT INTO t VALUES (3, '2025-01-05 01:40:00+00')" if engine == "postgres" else "SET time_zone = '+00:00'; INSERT INTO t VALUES (3, '2025-01-05 01:40:00')")
    run = db.run("t")
    assert (run["inserted"], run["message"]) == (1, None)


# ------------------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("engine", ["sqlite", "mariadb", "postgres"])
@pytest.mark.parametrize("source", ["t", "SELECT id, seq, v FROM t WHERE seq >= :watermark"], ids=["table", "query"])
def test_a_sequence_that_was_restarted_is_told_and_read_in_full(db, engine, source, request):
    database = request.getfixturevalue(engine)
    run = database.query
    run("CREATE TABLE t (id int PRIMARY KEY, seq int NOT NULL, v varchar(20))")
    values = ", ".join(f"({number}, {number}, 'old')" for number in range(1, 3001))
    run(f"INSERT INTO t VALUES {values}")
    db.create_server("shop", **(database.server_options() if engine == "sqlite" else database.server_options))
    db.create_stream("t", "shop", source, target="t", key="id", watermark="seq")
    db.run("t")
    run("DELETE FROM t")
    run("INSERT INTO t VALUES (1, 1, 'new'), (2, 2, 'new'), (3001, 3, 'new')")
    told = db.run("t")
    assert (told["inserted"], told["updated"]) == (1, 2)
    assert 'below the stream\'s, "3000"' in told["message"]
    assert db.status("t")["watermark"] == "3"
    run("INSERT INTO t VALUES (3002, 4, 'new')")
    after = db.run("t")
    assert (after["inserted"], after["message"]) == (1, None)


def test_a_restarted_log_is_followed_from_its_first_row(db, sqlite):
    sqlite.script("CREATE TABLE log (seq INTEGER, id INTEGER, op TEXT, v TEXT); INSERT INTO log VALUES (5000, 1, 'I', 'a'), (5001, 2, 'I', 'b')")
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "log", target="t", key="id", watermark="seq", options={"deletes": "hard", "operation_column": "op"})
    db.run("t")
    sqlite.script("DELETE FROM log; INSERT INTO log VALUES (1, 1, 'D', NULL), (2, 3, 'I', 'c')")
    db.run("t")
    assert ids(db) == [2, 3]


def test_an_empty_source_is_not_read_again_and_again(db, sqlite):
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY, seq INTEGER); INSERT INTO t VALUES (1, 5000)")
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "t", watermark="seq")
    db.run("t")
    sqlite.execute("DELETE FROM t")
    assert "below the stream's" in db.run("t")["message"]
    assert db.run("t")["message"] is None
    sqlite.execute("INSERT INTO t VALUES (2, 1)")
    assert db.run("t")["inserted"] == 1


# -------------------------------------------------------------------------------------------------------------- texts


@pytest.mark.parametrize("engine", ["sqlite", "mariadb", "postgres"])
@pytest.mark.parametrize(
    "values, reason",
    [(("9", "10"), "not written in one form"), (("31/12/2024", "01/01/2025"), "begin with the year"),
     (("5-Jan-2025", "6-Jan-2025"), "begin with the year"), (("v9", "v10"), "not written in one form")],
)  # fmt: skip
def test_texts_that_do_not_sort_are_refused(db, engine, values, reason, request):
    source = request.getfixturevalue(engine)
    source.query("CREATE TABLE t (id int PRIMARY KEY, w varchar(40) NOT NULL)")
    source.query(f"INSERT INTO t VALUES (1, '{values[0]}'), (2, '{values[1]}')")
    db.create_server("shop", **(source.server_options() if engine == "sqlite" else source.server_options))
    error = refused(db, "SELECT sync_create('t', 'shop', 't', watermark => 'w')")
    assert 'watermark column "w" holds texts that do not sort' in str(error)
    assert reason in error.diag.message_detail


@pytest.mark.parametrize("engine", ["sqlite", "mariadb", "postgres"])
@pytest.mark.parametrize(
    "first, then", [("9", "10"), ("01/02/2025", "02/01/2025"), ("2025-01-05T10:00:00", "2025-01-05 10:30:00")], ids=["numbers", "dates", "layouts"]
)
def test_texts_that_cease_to_sort_fail_the_run_instead_of_being_lost(db, engine, first, then, request):
    source = request.getfixturevalue(engine)
    source.query("CREATE TABLE t (id int PRIMARY KEY, w varchar(40) NOT NULL)")
    db.create_server("shop", **(source.server_options() if engine == "sqlite" else source.server_options))
    db.create_stream("t", "shop", "t", watermark="w")
    source.query(f"INSERT INTO t VALUES (1, '{first}')")
    run_id = db.trigger("t")
    if first == "01/02/2025":
        assert db.wait(run_id) == "failed"
        return
    assert db.wait(run_id) == "succeeded"
    source.query(f"INSERT INTO t VALUES (2, '{then}')")
    if engine == "sqlite" and "-" in first:  # compared as times there
        assert db.run("t")["inserted"] == 1
        return
    run = db.run("t", expect="failed")
    assert "holds texts that do not sort" in run["message"]


def test_texts_of_one_form_are_followed_and_said_to_be_texts(db, sqlite):
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY, w TEXT); INSERT INTO t VALUES (1, '0008'), (2, '0009')")
    db.create_server("tienda", **sqlite.server_options())
    notices = []
    db.execute("SELECT 1")
    db.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    db.create_stream("t", "tienda", "t", watermark="w")
    assert any('watermark column "w" is a text' in notice for notice in notices)
    db.run("t")
    sqlite.execute("INSERT INTO t VALUES (3, '0010')")
    assert db.run("t")["inserted"] == 1


# -------------------------------------------------------------------------------------------------------------- given ones


@pytest.fixture
def timed(db, shop):
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    db.run("ventas")
    return db


@pytest.mark.parametrize("watermark", ["yesterday", "infinity", "now", "2062-01-01 00:00:00", "2062-01-01", "12345", "-infinity", "", "5/1/2025"])
def test_a_reset_that_would_stop_the_stream_is_refused(timed, watermark):
    before = timed.query("SELECT position, watermark FROM insync.watermark")
    error = refused(timed, "SELECT sync_reset('ventas', %s)", watermark)
    assert f'invalid watermark "{watermark}" for stream "ventas"' in str(error) and error.sqlstate == "22023"
    assert timed.query("SELECT position, watermark FROM insync.watermark") == before
    error = refused(timed, "SELECT sync_alter('ventas', jsonb_build_object('initial_watermark', %s::text))", watermark)
    assert error.sqlstate == ("22023" if watermark else "HV00D")  # an option that is empty


@pytest.mark.parametrize("watermark", ["2025-01-05", "2025-01-05T10:00:00", "0001-01-01", "2026-01-01 00:00:00"])
def test_a_reset_to_a_time_that_the_clock_has_passed(timed, watermark):
    timed.execute("SELECT sync_reset('ventas', %s)", watermark)
    timed.run("ventas")


def test_a_reset_beyond_the_highest_number_is_refused(db, sqlite):
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY, seq INTEGER); INSERT INTO t VALUES (1, 41), (2, 42)")
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "t", watermark="seq")
    for watermark in ("43", "1e3", "NaN", "forty"):
        error = refused(db, "SELECT sync_reset('t', %s)", watermark)
        assert f'invalid watermark "{watermark}"' in str(error)
    assert 'highest is "42"' in refused(db, "SELECT sync_reset('t', '43')").diag.message_detail
    db.execute("SELECT sync_reset('t', '42')")
    error = refused(db, "SELECT sync_create('u', 'tienda', 't', target => 'u', watermark => 'seq', options => '{\"initial_watermark\": \"43\"}')")
    assert 'invalid watermark "43"' in str(error)


def test_a_reset_without_the_source_is_checked_by_what_is_known(timed, shop):
    timed.execute("ALTER SERVER tienda OPTIONS (SET database '/nowhere.sqlite')")
    refused(timed, "SELECT sync_reset('ventas', '2062-01-01 00:00:00')")
    timed.execute("SELECT sync_reset('ventas', '2025-01-05 00:00:00')")


# ---------------------------------------------------------------------------------------------------------------- overlap


@pytest.mark.parametrize("engine", ["sqlite", "mariadb", "postgres"])
@pytest.mark.parametrize("source", ["t", "SELECT id, m, v FROM t WHERE m >= :watermark"], ids=["table", "query"])
def test_a_bulk_load_with_one_time_is_read_until_nothing_can_come_late(db, engine, source, request):
    database = request.getfixturevalue(engine)
    database.query("CREATE TABLE t (id int PRIMARY KEY, m TIMESTAMP NOT NULL, v int)")
    rows = ", ".join(f"({number}, '2025-01-05 10:20:30', 0)" for number in range(1, 1001))
    database.query(f"INSERT INTO t VALUES {rows}")
    db.create_server("shop", **(database.server_options() if engine == "sqlite" else database.server_options))
    db.create_stream("t", "shop", source, target="t", key="id", watermark="m", options={"lookback": "1 second"})
    first = db.run("t")
    assert (first["inserted"], first["reread"]) == (1000, 1000 if source == "t" else 0), "a load is followed by its overlap"
    again = db.run("t")
    assert (again["rows_read"], again["reread"]) == (1000, 1000)
    assert db.status("t")["reread"] == 1000
    wait_for(lambda: db.run("t")["rows_read"] == 0, "the overlap to be settled")
    assert db.status("t")["reread"] == 0
    # What the lookback doesn't promise is found as well while it changes how many rows there are.
    database.query("INSERT INTO t VALUES (1001, '2025-01-05 10:20:30', 1)")
    assert db.run("t")["inserted"] == 1
    wait_for(lambda: db.run("t")["rows_read"] == 0, "the overlap to be settled again")
    database.query("INSERT INTO t VALUES (1002, '2025-01-05 10:20:31', 1)")
    assert db.run("t")["inserted"] == 1
    assert db.value("SELECT count(*) FROM t") == 1002


def test_an_overlap_within_its_lookback_is_read_each_time(db, sqlite):
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, m TIMESTAMP, v INTEGER)")
    sqlite.many("INSERT INTO t VALUES (?, datetime('now'), 0)", [(number,) for number in range(500)])
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "t", watermark="m")
    for value in range(1, 4):
        db.run("t")
        sqlite.execute("UPDATE t SET v = ? WHERE id = 7", (value,))  # a late commit: its time is that of before
        assert db.run("t")["updated"] == 1


def test_quiet_polls_show_what_they_read_again(db, sqlite):
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, m TIMESTAMP)")
    sqlite.many("INSERT INTO t VALUES (?, datetime('now'))", [(number,) for number in range(50)])
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "t", watermark="m", schedule="1 second")
    polls = "SELECT polls FROM insync.live() WHERE polls > 2"
    wait_for(lambda: db.query(polls), "quiet polls")
    assert db.status("t")["reread"] == 50
    sqlite.execute("INSERT INTO t VALUES (50, datetime('now'))")
    quiet = "SELECT polls, reread FROM insync.run WHERE message = 'nothing new'"
    wait_for(lambda: db.query(quiet), "the row of the quiet polls")
    ((polls, reread),) = db.query(quiet + " LIMIT 1")
    assert reread == 50
