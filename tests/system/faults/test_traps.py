"""The known traps of syncing by watermark, one test each, numbered as in the catalogue of traps. What is about SQL
Server's own types and statements (4, 12) is tested by the statements that the connector produces, in tests/unit."""

import contextlib
import datetime

import pytest
from harness import Proxy, assert_equal_tables, wait_for


def items(source, db, rows, server="tienda", extra="", **arguments):
    """A table `t` (id, m, v) with these (id, m) rows and a stream on it by the watermark m."""
    source.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, m TIMESTAMP{extra}, v TEXT)")
    source.many("INSERT INTO t (id, m) VALUES (?, ?)", rows)
    db.create_server(server, **source.server_options())
    arguments.setdefault("watermark", "m")
    return db.create_stream("t", server, "t", **arguments)


def ids(db):
    return [id for (id,) in db.query("SELECT id FROM t ORDER BY id")]


def test_trap_01_equal_values_across_a_page_border(db, sqlite):
    moment = "2025-01-01 00:00:00"
    items(
        sqlite, db, [(i, moment) for i in range(1, 3001)],
        options={"initial_watermark": "2024-12-31 00:00:00", "page_rows": 100, "batch_rows": 30},
    )  # fmt: skip
    run = db.run("t")
    assert (run["inserted"], run["updated"], run["rejected"]) == (3000, 0, 0)
    assert ids(db) == list(range(1, 3001))


def test_trap_01_a_restart_inside_a_group_of_equal_values(db, sqlite):
    items(
        sqlite, db, [(i, "2025-01-01 00:00:00") for i in range(1, 3001)],
        options={"initial_watermark": "2024-12-31 00:00:00", "page_rows": 100, "batch_rows": 30, "lookback": "0 seconds"},
    )  # fmt: skip
    with db.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO t (id) VALUES (1500)")
        run_id = db.trigger("t")
        waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ((worker,),) = wait_for(lambda: db.query(waiting), "the run to wait in the middle of the group")
        db.query("SELECT pg_terminate_backend(%s)", worker)
        wait_for(lambda: not db.query(waiting), "the worker to go")
        blocker.rollback()
    assert 0 < len(ids(db)) < 3000
    with contextlib.suppress(AssertionError):
        db.wait(run_id)
    wait_for(lambda: db.wait(db.trigger("t")) == "succeeded", "a run to succeed")
    assert ids(db) == list(range(1, 3001))


def test_trap_02_equal_values_across_runs(db, sqlite):
    items(sqlite, db, [(1, "2025-01-01 10:00:00"), (2, "2025-01-01 10:00:00")], options={"lookback": "0 seconds"})
    db.run("t")
    sqlite.execute("INSERT INTO t (id, m) VALUES (3, '2025-01-01 10:00:00')")
    run = db.run("t")
    assert run["inserted"] == 1
    assert ids(db) == [1, 2, 3]


def test_trap_03_a_commit_that_comes_late(db, postgres):
    postgres.query("CREATE TABLE t (id int PRIMARY KEY, m timestamptz NOT NULL, v text)")
    db.create_server("erp", **postgres.server_options)
    with postgres.connect(autocommit=False) as late:
        late.execute("INSERT INTO t VALUES (1, '2025-01-01 10:00:00+00')")
        postgres.query("INSERT INTO t VALUES (2, '2025-01-01 10:05:00+00')")
        db.create_stream("t", "erp", "t", watermark="m")
        db.run("t")
        assert ids(db) == [2]
        late.commit()
    db.run("t")
    assert ids(db) == [1, 2]


def test_trap_08_the_source_s_clock_alone_counts(db, sqlite):
    """A source whose clock is hours ahead of ours, or years behind, loses nothing."""
    ahead = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None, microsecond=0) + datetime.timedelta(hours=6)
    items(sqlite, db, [(1, str(ahead))], options={"lookback": "0 seconds"})
    db.run("t")
    sqlite.execute("INSERT INTO t (id, m) VALUES (2, ?)", (str(ahead + datetime.timedelta(seconds=1)),))
    assert db.run("t")["inserted"] == 1
    db.execute("SELECT sync_reset('t', '1999-01-01 00:00:00')")
    sqlite.execute("INSERT INTO t (id, m) VALUES (3, '1999-05-05 05:05:05')")
    assert db.run("t")["inserted"] == 1
    assert ids(db) == [1, 2, 3]
    bounds = " ".join(text for _, text in db.query("SELECT * FROM sync_explain('t')")).lower()
    assert "now()" not in bounds and "current_timestamp" not in bounds


def test_trap_09_null_watermarks_included(db, sqlite):
    items(sqlite, db, [(1, "2025-01-01 00:00:00"), (2, None)])
    db.run("t")
    assert ids(db) == [1, 2]
    sqlite.script("INSERT INTO t (id, v) VALUES (3, 'new'); UPDATE t SET v = 'changed' WHERE id = 2")
    run = db.run("t")
    assert (run["inserted"], run["updated"]) == (1, 1)
    assert_equal_tables(sqlite.query("SELECT * FROM t"), db.query("SELECT * FROM t"))


def test_trap_09_null_watermarks_rejected(db, sqlite):
    items(sqlite, db, [(1, "2025-01-01 00:00:00"), (2, None)], options={"null_watermark": "reject"})
    run = db.run("t")
    assert (run["inserted"], run["rejected"]) == (1, 1)
    (error,) = db.errors("t")
    assert error["record"]["id"] == "2"
    db.run("t")
    assert len(db.errors("t")) == 1, "the same row is rejected once, however often it is met"


def test_trap_09_null_watermarks_fail(db, sqlite):
    items(sqlite, db, [(1, "2025-01-01 00:00:00")], options={"null_watermark": "fail"})
    db.run("t")
    sqlite.execute("INSERT INTO t (id) VALUES (2)")
    run = db.run("t", expect="failed")
    assert "1" in run["message"]


def test_trap_10_a_precise_watermark_is_not_truncated(db, sqlite):
    """A seventh digit stays in the watermark, so that the same rows aren't changes for ever."""
    items(sqlite, db, [(1, "2025-01-01 00:00:00.1234567")], options={"lookback": "0 seconds"})
    db.run("t")
    assert "00:00:00.1234567" in db.status("t")["watermark"]
    sqlite.execute("INSERT INTO t (id, m) VALUES (2, '2025-01-01 00:00:00.1234566')")
    db.run("t")
    assert ids(db) == [1], "a row below the watermark, with no overlap, belongs to the past"


def test_trap_11_a_watermark_is_never_rounded_up(db, sqlite):
    items(sqlite, db, [(1, "2025-01-01 00:00:00.1234561")], options={"lookback": "0 seconds"})
    db.run("t")
    sqlite.execute("INSERT INTO t (id, m) VALUES (2, '2025-01-01 00:00:00.1234562'), (3, '2025-01-01 00:00:00.1234569')")
    assert db.run("t")["inserted"] == 2
    times = db.query("SELECT m FROM t ORDER BY id")
    assert times == [(datetime.datetime(2025, 1, 1, 0, 0, 0, 123456),)] * 3, "the seventh digit is cut, not rounded"


def test_trap_13_naive_times_stay_naive(db, sqlite):
    """Hours that a time zone doesn't have, or has twice, arrive as they are, whatever zone the server lives in."""
    db.execute(f'ALTER DATABASE "{db.name}" SET timezone = \'Europe/Madrid\'')
    moments = ["2025-03-30 02:30:00", "2025-10-26 02:30:00", "2025-10-26 03:30:00"]
    items(sqlite, db, list(enumerate(moments, 1)))
    db.run("t")
    assert [text for (text,) in db.query("SELECT m::text FROM t ORDER BY id")] == moments
    assert "2025-10-26 03:30:00" in db.status("t")["watermark"]


def test_trap_13_the_hour_that_comes_twice(db, sqlite):
    """Clocks went back at 03:00: what is stamped 02:10 may come after what is stamped 02:50."""
    items(sqlite, db, [(1, "2025-10-26 02:50:00")], options={"source_time_zone": "Europe/Madrid", "lookback": "10 minutes"})
    db.run("t")
    sqlite.execute("INSERT INTO t (id, m) VALUES (2, '2025-10-26 02:10:00')")
    db.run("t")
    assert ids(db) == [1, 2]


def test_trap_14_vanished_rows_and_the_guard(db, sqlite):
    items(
        sqlite, db, [(i, "2025-01-01 00:00:00") for i in range(1, 101)],
        options={"mode": "full", "deletes": "hard", "max_deletes": "20%"},
    )  # fmt: skip
    db.run("t")
    sqlite.execute("DELETE FROM t WHERE id <= 10")
    assert db.run("t")["deleted"] == 10
    sqlite.execute("DELETE FROM t WHERE id <= 60")
    run = db.run("t", expect="failed")
    assert "max_deletes" in run["message"] or "delete" in run["message"]
    assert len(ids(db)) == 90
    sqlite.execute("DELETE FROM t")
    db.run("t", expect="failed")
    assert len(ids(db)) == 90, "an empty source is more likely a mistake than the truth"
    db.alter_stream("t", max_deletes="100%")
    assert db.run("t")["deleted"] == 90


def test_trap_15_a_primary_key_changes(db, sqlite):
    """By watermark the old key stays as an orphan; a full read that may delete removes it."""
    items(sqlite, db, [(1, "2025-01-01 00:00:00"), (2, "2025-01-01 00:00:00")], options={"deletes": "hard", "max_deletes": "50%"})
    db.run("t")
    sqlite.execute("UPDATE t SET id = 20, m = '2025-01-02 00:00:00' WHERE id = 2")
    db.run("t")
    assert 20 in ids(db)
    db.run("t", mode="full")
    assert ids(db) == [1, 20]


def test_trap_16_an_update_that_leaves_the_watermark_alone(db, sqlite):
    items(sqlite, db, [(i, f"2025-01-{i:02} 00:00:00") for i in range(1, 11)])
    db.run("t")
    sqlite.execute("UPDATE t SET v = 'behind the back' WHERE id = 3")
    db.run("t")
    assert db.value("SELECT v FROM t WHERE id = 3") is None
    run = db.run("t", mode="full")
    assert (run["inserted"], run["updated"], run["unchanged"]) == (0, 1, 9)
    assert db.value("SELECT v FROM t WHERE id = 3") == "behind the back"


def test_trap_18_zero_dates(db, mariadb):
    mariadb.query(
        "SET sql_mode = ''; CREATE TABLE t (id INT PRIMARY KEY, d DATE NOT NULL, m DATETIME NOT NULL);"
        "INSERT INTO t VALUES (1, '2025-01-01', '2025-01-01 00:00:00'), (2, '0000-00-00', '0000-00-00 00:00:00')"
    )
    db.create_server("shop", **mariadb.server_options)
    db.execute("CREATE TABLE t (id int PRIMARY KEY, d date, m timestamp)")
    db.create_stream("t", "shop", "t")
    db.run("t")
    assert db.query("SELECT * FROM t WHERE id = 2") == [(2, None, None)]
    db.execute("CREATE TABLE t2 (id int PRIMARY KEY, d date, m timestamp)")
    db.create_stream("t2", "shop", "t", target="t2", options={"zero_dates": "reject"})
    run = db.run("t2")
    assert (run["inserted"], run["rejected"]) == (1, 1)


@pytest.mark.parametrize("kind", ["mariadb", "postgres"])
def test_trap_19_one_snapshot_for_all_pages(db, kind, request):
    """While an incremental run reads page after page, the source moves a row from a page that is still to come to the
    end: the run neither misses nor doubles it, and the next one brings the change."""
    source = request.getfixturevalue(kind)
    source.query("CREATE TABLE t (id INT PRIMARY KEY, m INT NOT NULL, v VARCHAR(20))")
    numbers = "seq, seq, NULL FROM seq_1_to_2000" if kind == "mariadb" else "i, i, NULL FROM generate_series(1, 2000) i"
    source.query(f"INSERT INTO t SELECT {numbers}")
    db.create_server("shop", **source.server_options)
    db.execute("CREATE TABLE t (id int PRIMARY KEY, m int, v text)")
    db.create_stream("t", "shop", "t", watermark="m", options={"initial_watermark": "0", "page_rows": 50, "batch_rows": 50, "lookback": "0"})
    with db.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO t (id) VALUES (75)")
        run_id = db.trigger("t")
        wait_for(
            lambda: db.query("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"),
            "the run to wait",
        )
        source.query("UPDATE t SET m = 3000, v = 'moved' WHERE id = 1990")
        source.query("DELETE FROM t WHERE id = 1995")
        blocker.rollback()
    assert db.wait(run_id) == "succeeded"
    assert db.value("SELECT count(*) FROM t") == 2000
    assert db.value("SELECT v FROM t WHERE id = 1990") is None
    db.run("t")
    assert db.value("SELECT v FROM t WHERE id = 1990") == "moved"


def test_trap_20_bound_and_pages_come_from_one_connection(db, mariadb):
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, m DATETIME NOT NULL); INSERT INTO t SELECT seq, '2025-01-01' + INTERVAL seq SECOND FROM seq_1_to_1000")
    with Proxy(mariadb.server.port) as proxy:
        db.create_server("shop", **(mariadb.server_options | {"port": proxy.port}))
        db.create_stream("t", "shop", "t", watermark="m", options={"page_rows": 100})
        before = proxy.connections
        db.run("t")
        assert proxy.connections - before == 1
    assert db.value("SELECT count(*) FROM t") == 1000


def test_trap_21_text_keys_sort_as_the_source_sorts_them(db, mariadb):
    """A case-insensitive collation, accents and punctuation: pages go by the source's order, and no row falls between."""
    words = ["a", "B", "äx", "Z", "ñ", "n", "o", "_x", "1", "É", "e-f", "ef", "zz", "Ab", "aC"]
    values = ", ".join(f"('{word}', {number})" for number, word in enumerate(words))
    mariadb.query(f"SET NAMES utf8mb4; CREATE TABLE t (id VARCHAR(20) COLLATE utf8mb4_spanish_ci PRIMARY KEY, v INT); INSERT INTO t VALUES {values}")
    db.create_server("shop", **mariadb.server_options)
    db.create_stream("t", "shop", "t", options={"page_rows": 2, "batch_rows": 2})
    assert db.run("t")["inserted"] == len(words)
    assert_equal_tables(mariadb.query("SELECT * FROM t"), db.query("SELECT * FROM t"))


def test_trap_22_a_date_far_ahead_does_not_stop_the_feed(db, sqlite):
    items(sqlite, db, [(1, "2025-01-01 00:00:00"), (2, "9999-12-31 00:00:00")])
    db.run("t")
    assert ids(db) == [1, 2]
    assert db.status("t")["watermark"].startswith("2025-01-01")
    sqlite.execute("INSERT INTO t (id, m) VALUES (3, '2025-01-02 00:00:00')")
    db.run("t")
    assert ids(db) == [1, 2, 3]


def test_trap_22_what_users_do_to_the_target_moves_nothing(db, sqlite):
    items(sqlite, db, [(1, "2025-01-01 00:00:00"), (2, "2025-01-02 00:00:00")])
    db.run("t")
    db.execute("DELETE FROM t WHERE id = 2")
    db.execute("INSERT INTO t (id, m) VALUES (100, '2040-01-01')")
    sqlite.execute("INSERT INTO t (id, m) VALUES (3, '2025-01-03 00:00:00')")
    db.run("t")
    assert 3 in ids(db)
    assert db.status("t")["watermark"].startswith("2025-01-03")


@pytest.mark.parametrize("bad", ["610062", "61ff62", "c3"], ids=["NUL", "invalid", "cut-short"])
def test_trap_24_bytes_that_are_no_text(db, sqlite, bad):
    items(sqlite, db, [(1, "2025-01-01 00:00:00"), (2, "2025-01-01 00:00:00")])
    sqlite.execute(f"UPDATE t SET v = CAST(x'{bad}' AS TEXT) WHERE id = 1")
    sqlite.execute("UPDATE t SET v = 'sano ñ' WHERE id = 2")
    run = db.run("t")
    assert (run["inserted"], run["rejected"]) == (2, 0)
    text = db.value("SELECT v FROM t WHERE id = 1")
    assert "\ufffd" in text and text.replace("\ufffd", "") == bytes.fromhex(bad).decode(errors="ignore").replace("\0", "")
    assert db.value("SELECT v FROM t WHERE id = 2") == "sano ñ"

    db.create_stream("t2", "tienda", "t", target="t2", watermark="m", options={"text_policy": "reject"})
    run = db.run("t2")
    assert (run["inserted"], run["rejected"]) == (1, 1)
    (error,) = db.errors("t2")
    assert error["column_name"] == "v" and error["sqlstate"] == "22021"


def test_trap_25_bad_rows_are_found_by_halving(db, sqlite):
    """Some thousand rows with a few bad ones cost a few subtransactions a bad row, not one a row."""
    items(sqlite, db, [(i, "2025-01-01 00:00:00") for i in range(1, 4097)], options={"batch_rows": 4096})
    bad = [1, 2000, 4096]
    db.execute(f"ALTER TABLE t ADD CHECK (id NOT IN ({', '.join(map(str, bad))}))")
    before = db.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    run = db.run("t")
    used = db.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint") - before
    assert (run["inserted"], run["rejected"]) == (4093, 3)
    assert sorted(int(error["key"]["id"]) for error in db.errors("t")) == bad
    assert used < len(bad) * 2 * 13 + 30, f"{used} transaction ids for {len(bad)} bad rows"
