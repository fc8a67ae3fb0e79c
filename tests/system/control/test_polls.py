"""What a poll costs the source: once a session knows a stream's source, two statements; and whatever a longer read of changes
notices is noticed all the same."""

import re

import pytest
from harness import assert_equal_tables, wait_for

POLLS = 3


def mariadb_statements(source):
    """The statements of the streams' sessions at the source, oldest first, by session."""
    rows = source.server.query(
        "SELECT thread_id, command_type, CONVERT(argument USING utf8mb4) FROM mysql.general_log"
        f" WHERE user_host LIKE '%{source.server.user}%' ORDER BY event_time"
    )
    return [(thread, text) for thread, command, text in rows if command in ("Query", "Execute")]


def is_clock(text):
    return "UTC_TIMESTAMP" in text or "clock_timestamp" in text


def last_polls(statements):
    """The statements of the last whole polls, each beginning with its clock, of one session."""
    polls = []
    for session, text in statements:
        if is_clock(text):
            polls.append([])
        if polls:
            polls[-1].append((session, text))
    return polls[1:-1][-POLLS:]  # not the clock of the login, nor what may still be under way


def assert_two_each(polls):
    assert len({session for poll in polls for session, _ in poll}) == 1, polls
    for poll in polls:
        assert len(poll) == 2, [text for _, text in poll]


TABLE = "CREATE TABLE t (id int PRIMARY KEY, v varchar(20), w timestamp NULL)"


@pytest.fixture
def logged_mariadb(mariadb):
    mariadb.server.query("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1; TRUNCATE mysql.general_log")
    yield mariadb
    mariadb.server.query("SET GLOBAL general_log = 0; SET GLOBAL log_output = 'FILE'")


@pytest.mark.parametrize("source", ["t", "SELECT * FROM t", "SELECT id, v, w FROM t WHERE w >= :watermark"])
def test_a_warm_poll_is_two_statements_in_mariadb(db, logged_mariadb, source):
    mariadb = logged_mariadb
    mariadb.query(TABLE)
    mariadb.query("INSERT INTO t VALUES (1, 'a', '2026-01-01 10:00:00'), (2, 'b', '2026-01-01 10:00:01'), (3, 'null', NULL)")
    db.create_server("erp", **mariadb.server_options)
    db.create_stream("s", "erp", source, key="id", watermark="w", target="s", schedule="1 second")
    polls = wait_for(lambda: len(found := last_polls(mariadb_statements(mariadb))) == POLLS and all(len(p) == 2 for p in found) and found, "some warm polls", 90)
    assert_two_each(polls)
    mariadb.query("INSERT INTO t VALUES (4, 'later', '2026-01-01 10:00:02')")
    wait_for(lambda: db.query("SELECT FROM s WHERE id = 4"), "a new row")
    assert db.value("SELECT count(*) FROM s") == (3 if "watermark" in source else 4)


@pytest.mark.parametrize("source", ["t", "SELECT * FROM t"])
def test_a_warm_poll_is_two_statements_in_postgresql(db, postgres, source):
    postgres.query("CREATE TABLE t (id int PRIMARY KEY, v text, w timestamptz)")
    postgres.query("INSERT INTO t VALUES (1, 'a', '2026-01-01 10:00:00'), (2, 'b', '2026-01-01 10:00:01'), (3, 'null', NULL)")
    postgres.query(f"ALTER ROLE {postgres.server.user_name} IN DATABASE {postgres.name} SET log_statement = 'all'")
    db.create_server("erp", **postgres.server_options)
    with postgres.server.log_of() as text:
        db.create_stream("s", "erp", source, key="id", watermark="w", target="s", schedule="1 second")

        def found():
            lines = re.findall(r"\[(\d+)\] client backend " + postgres.name + r" LOG:  (?:statement|execute [^:]*): (.*)", text())
            polls = last_polls(lines)
            return len(polls) == POLLS and all(len(poll) == 2 for poll in polls) and polls

        assert_two_each(wait_for(found, "some warm polls", 90))
    postgres.query("INSERT INTO t VALUES (4, 'later', '2026-01-01 10:00:02')")
    wait_for(lambda: db.query("SELECT FROM s WHERE id = 4"), "a new row")


CHANGES = {
    "a new column": ("ALTER TABLE t ADD COLUMN extra int DEFAULT 7", "id, n, v, w", "9, 24, 'z', '2026-01-01 10:00:02'", "extra", "7"),
    "a dropped column": ("ALTER TABLE t DROP COLUMN v", "id, n, w", "9, 24, '2026-01-01 10:00:02'", "v", None),
    "another type": ("ALTER TABLE t MODIFY COLUMN n varchar(9) NOT NULL", "id, n, v, w", "9, 'abc', 'z', '2026-01-01 10:00:02'", "n", "abc"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("engine", ["mariadb", "postgres", "sqlite"])
def test_definitions_that_change_between_polls_are_noticed_at_once(db, engine, change, request):
    if engine == "sqlite" and change == "another type":
        pytest.skip("SQLite's columns cannot be altered")
    place = request.getfixturevalue(engine)
    run = place.script if engine == "sqlite" else place.query
    ddl, columns, values, column, value = CHANGES[change]
    if engine == "postgres":
        ddl = ddl.replace("MODIFY COLUMN n varchar(9) NOT NULL", "ALTER COLUMN n TYPE varchar(9)")
    run("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, v varchar(20), w timestamp NOT NULL)")
    run("INSERT INTO t VALUES (1, 5, 'a', '2026-01-01 10:00:00')")
    db.create_server("erp", **(place.server_options() if engine == "sqlite" else place.server_options))
    db.create_stream("s", "erp", "t", watermark="w", target="s", schedule="1 second", options={"new_columns": "add", "max_retries": 100, "retry_delay": "1 second"})
    wait_for(lambda: db.query("SELECT FROM s"), "the first row")
    run("INSERT INTO t VALUES (2, 5, 'a', '2026-01-01 10:00:01')")
    wait_for(lambda: db.query("SELECT FROM s WHERE id = 2"), "a row by a warm poll")
    run(ddl)
    run(f"INSERT INTO t ({columns}) VALUES ({values})")
    if change == "another type":  # for the target's integer it is a bad value, and that is told with the value

        def told():
            rejects = db.errors("s")
            return rejects and rejects[0]["record"]["n"] or (db.query("SELECT n::text FROM s WHERE id = 9") or [(None,)])[0][0]

        assert wait_for(told, "the value, or a reject with it") == value
    elif change == "a dropped column":
        wait_for(lambda: 'no longer has the column "v"' in (db.status("s")["message"] or ""), "the failure that tells")
    else:
        wait_for(lambda: db.query("SELECT FROM s WHERE id = 9"), "the row behind the change")
        assert db.value(f"SELECT {column}::text FROM s WHERE id = 9") == value




# --------------------------------------------------------------------------------------- what only longer reads looked at


@pytest.fixture(params=["mariadb", "postgres"])
def place(request, db):
    """A source whose worker stays, with its session, as another stream of the server is due each second."""
    source = request.getfixturevalue(request.param)
    source.engine = request.param
    source.query("CREATE TABLE beat (id int PRIMARY KEY, w int NOT NULL)")
    db.create_server("shop", **source.server_options)
    db.create_stream("beat", "shop", "beat", watermark="w", schedule="1 second")
    return source


def make_warm(db, name="t", **arguments):
    db.create_stream(name, "shop", **({"source": "t", "target": "t", "key": "id", "watermark": "w"} | arguments))
    for _ in range(3):
        db.run(name)


def assert_same(db, place, columns="id, w"):
    assert_equal_tables(place.query(f"SELECT {columns} FROM t"), db.query(f"SELECT {columns} FROM t"))


@pytest.mark.parametrize("key", [("PRIMARY KEY (id)", "PRIMARY KEY (id, color)"), ("UNIQUE (id, size)", "UNIQUE (id, color)")], ids=["primary", "unique"])
def test_a_key_that_changes_between_polls_stops_the_stream(db, place, key):
    before, after = key
    place.query(f"CREATE TABLE t (id int NOT NULL, size int NOT NULL, color varchar(10) NOT NULL, w int NOT NULL, CONSTRAINT k {before})")
    place.query("INSERT INTO t VALUES (1, 1, 'red', 1), (2, 1, 'red', 2)")
    make_warm(db, key="id, size" if "size" in before else "id")
    drop = "CONSTRAINT k" if place.engine == "postgres" else "PRIMARY KEY" if "PRIMARY" in before else "KEY k"
    place.query(f"ALTER TABLE t DROP {drop}, ADD CONSTRAINT k {after}")
    place.query("INSERT INTO t VALUES (1, 1, 'blue', 3)")
    assert 'source "' in (message := db.run("t", expect="failed")["message"]) and "has changed" in message
    assert db.query("SELECT id, color FROM t ORDER BY 1") == [(1, "red"), (2, "red")]


def test_a_key_that_is_gone_is_looked_for_in_the_rows(db, place):
    place.query("CREATE TABLE t (id int NOT NULL, w int NOT NULL, CONSTRAINT k PRIMARY KEY (id))")
    place.query("INSERT INTO t VALUES (1, 1), (2, 2)")
    make_warm(db)
    place.query("ALTER TABLE t DROP " + ("PRIMARY KEY" if place.engine == "mariadb" else "CONSTRAINT k"))
    for _ in range(2):
        assert db.run("t")["rejected"] == 0
    place.query("INSERT INTO t VALUES (2, 3)")
    assert "is not unique in the source" in db.run("t", expect="failed")["message"]


@pytest.mark.parametrize("source", ["t", "SELECT id, w FROM t", "SELECT id, w FROM t WHERE w >= :watermark"], ids=["table", "query", "bound"])
def test_a_sequence_that_restarts_between_polls_is_read_in_full(db, place, source):
    place.query("CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL)")
    place.query("INSERT INTO t VALUES (1, 5001), (2, 5002)")
    make_warm(db, source=source, options={"lookback": "5"})
    place.query("TRUNCATE t")
    place.query("INSERT INTO t VALUES (2, 1), (3, 2)")
    assert "read again" in db.run("t")["message"]
    assert db.query("SELECT id, w FROM t ORDER BY 1") == [(1, 5001), (2, 1), (3, 2)]
    place.query("INSERT INTO t VALUES (4, 3)")
    assert db.run("t")["inserted"] == 1


def test_a_watermark_whose_type_changes_between_polls_is_read_in_full(db, postgres):
    postgres.query("CREATE TABLE beat (id int PRIMARY KEY, w int NOT NULL)")
    postgres.query("CREATE TABLE t (id int PRIMARY KEY, w timestamp NOT NULL)")
    postgres.query("INSERT INTO t VALUES (1, '2026-01-01 10:00:00')")
    db.create_server("shop", **postgres.server_options)
    db.create_stream("beat", "shop", "beat", watermark="w", schedule="1 second")
    make_warm(db)
    postgres.query("ALTER TABLE t ALTER COLUMN w TYPE timestamptz USING w AT TIME ZONE 'Asia/Tokyo'")
    postgres.query("INSERT INTO t VALUES (2, '2026-01-01 01:00:01+00')")
    assert "everything was read again" in db.run("t")["message"]
    assert [key for (key,) in db.query("SELECT id FROM t ORDER BY 1")] == [1, 2]


@pytest.mark.parametrize("definition", ["id int PRIMARY KEY, w int NOT NULL, extra int DEFAULT 7", "extra int DEFAULT 7, w bigint NOT NULL, id bigint PRIMARY KEY"], ids=["one more column", "others"])
def test_another_table_in_the_place_of_one_that_was_renamed(db, place, definition):
    place.query("CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL)")
    place.query("INSERT INTO t VALUES (1, 1), (2, 2)")
    make_warm(db, options={"new_columns": "add"})
    place.query("ALTER TABLE t RENAME TO t_old")
    place.query(f"CREATE TABLE t ({definition})")
    place.query("INSERT INTO t (id, w) VALUES (1, 1), (2, 2), (3, 3)")
    assert db.run("t")["inserted"] == 1
    assert db.value("SELECT extra FROM t WHERE id = 3") == 7


def test_a_table_of_the_same_name_that_is_found_first(db, postgres):
    """An unqualified name means what it would mean to a session that begins now."""
    postgres.query("CREATE TABLE beat (id int PRIMARY KEY, w int NOT NULL); CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL)")
    postgres.query("INSERT INTO t VALUES (1, 1)")
    db.create_server("shop", **postgres.server_options)
    db.create_stream("beat", "shop", "beat", watermark="w", schedule="1 second")
    make_warm(db)
    user = postgres.server.user_name
    postgres.query(f'CREATE SCHEMA "{user}" AUTHORIZATION "{user}"')
    postgres.query(f'CREATE TABLE "{user}".t (id int PRIMARY KEY, w int NOT NULL); GRANT SELECT ON "{user}".t TO "{user}"')
    postgres.query(f'INSERT INTO "{user}".t VALUES (2, 2)')
    assert db.run("t")["inserted"] == 1


def test_a_query_whose_columns_change_between_polls(db, place):
    place.query("CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL, price int NOT NULL)")
    place.query("INSERT INTO t VALUES (1, 1, 5)")
    make_warm(db, source="SELECT id, w, price FROM t WHERE id > 0")
    place.query("ALTER TABLE t " + ("MODIFY COLUMN price decimal(10,2) NOT NULL" if place.engine == "mariadb" else "ALTER COLUMN price TYPE numeric(10,2)"))
    place.query("INSERT INTO t VALUES (2, 2, 24.75)")
    db.execute("ALTER TABLE t ALTER COLUMN price TYPE numeric")
    assert db.run("t")["inserted"] == 1
    assert [str(price) for (price,) in db.query("SELECT price FROM t ORDER BY id")] in (["5", "24.75"], ["5.00", "24.75"])
    place.query("ALTER TABLE t DROP COLUMN price")
    assert "price" in db.run("t", expect="failed")["message"]


def test_a_query_cannot_leave_its_session_writable(db, postgres):
    """A function that the query calls makes the session writable for the next statement: that is made read-only first."""
    postgres.query("CREATE TABLE beat (id int PRIMARY KEY, w int NOT NULL); CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL); CREATE TABLE touched (n int)")
    postgres.query("INSERT INTO t VALUES (1, 1)")
    postgres.query(f'GRANT INSERT, SELECT ON touched TO "{postgres.server.user_name}"')
    postgres.query(
        """CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
            PERFORM set_config('default_transaction_read_only', 'off', false);
            IF current_setting('transaction_read_only') = 'off' THEN INSERT INTO touched VALUES (1); END IF;
            RETURN 0; END $$"""
    )
    db.create_server("shop", **postgres.server_options)
    db.create_stream("beat", "shop", "beat", watermark="w", schedule="1 second")
    make_warm(db, source="SELECT id, w + writes() AS w FROM t")
    for number in range(2, 6):
        postgres.query("INSERT INTO t VALUES (%s, %s)", number, number)
        assert db.run("t")["inserted"] == 1
    assert postgres.query("SELECT count(*) FROM touched") == [(0,)]


# ------------------------------------------------------------------------------------------------- rows of all kinds


@pytest.mark.parametrize("nulls", ["include", "reject", "fail"])
@pytest.mark.parametrize("source", ["t", "SELECT id, w FROM t"], ids=["table", "query"])
def test_rows_without_a_watermark(db, place, source, nulls):
    place.query("CREATE TABLE t (id int PRIMARY KEY, w int)")
    place.query("INSERT INTO t VALUES (1, 1), (2, 2)")
    make_warm(db, source=source, options={"null_watermark": nulls})
    place.query("INSERT INTO t VALUES (3, NULL), (4, 4)")
    if nulls == "fail":
        assert "1 rows have no watermark" in db.run("t", expect="failed")["message"]
        place.query("UPDATE t SET w = 3 WHERE id = 3")
    run = db.run("t")
    assert (run["inserted"], run["rejected"]) == ((1, 1) if nulls == "reject" else (2, 0))
    assert db.status("t")["watermark"] == "4"
    place.query("INSERT INTO t VALUES (5, 5)")
    again = db.run("t")
    assert (again["inserted"], again["updated"]) == (1, 0)
    assert_equal_tables(place.query("SELECT id, w FROM t" + (" WHERE w IS NOT NULL" if nulls == "reject" else "")), db.query("SELECT id, w FROM t"))


def test_rows_without_a_key_are_rejected(db, place):
    place.query("CREATE TABLE t (id int UNIQUE, w int NOT NULL)")
    place.query("INSERT INTO t VALUES (1, 1)")
    make_warm(db)
    place.query("INSERT INTO t VALUES (NULL, 9), (2, 2)")
    run = db.run("t")
    assert (run["inserted"], run["rejected"]) == (1, 1)
    assert db.status("t")["watermark"] == "2"
    place.query("INSERT INTO t VALUES (3, 3)")
    assert db.run("t")["inserted"] == 1


@pytest.mark.parametrize("rows", [9, 10, 11, 999, 1000, 1001, 2500])
def test_more_than_a_poll_reads(db, place, rows):
    place.query("CREATE TABLE t (id int PRIMARY KEY, w int, v varchar(30) NOT NULL)")
    place.query("INSERT INTO t VALUES (1, 1, 'a')")
    make_warm(db, options={"page_rows": 10, "batch_rows": 4, "lookback": "0"} if rows < 12 else {"lookback": "0"})
    for turn in range(2):
        values = ", ".join(f"({turn * 10000 + number}, {turn * 10000 + number}, 'x')" for number in range(10, 10 + rows - 1))
        place.query(f"INSERT INTO t VALUES {values}, ({turn * 10000 + 9999}, NULL, 'no watermark')")
        run = db.run("t")
        assert (run["inserted"], run["rejected"]) == (rows, 0)
        assert_same(db, place, "id, w, v")
        db.run("t")


def test_long_values_are_read_whole(db, place):
    place.query("CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL, v text NOT NULL)")
    place.query("INSERT INTO t VALUES (1, 1, 'a')")
    make_warm(db)
    for number, length in enumerate((10, 3000, 5, 40000, 60000, 7), 2):
        place.query(f"INSERT INTO t VALUES ({number}, {number}, REPEAT('x', {length}))")
        assert db.run("t")["inserted"] == 1
    assert_same(db, place, "id, w, v")
    values = ", ".join(f"({number}, {number}, REPEAT('y', 20000))" for number in range(100, 1200))
    place.query(f"INSERT INTO t VALUES {values}")
    assert db.run("t")["inserted"] == 1100
    assert_same(db, place, "id, w, v")


def test_a_row_that_is_bad_once_is_told_once(db, mariadb):
    mariadb.query("CREATE TABLE beat (id int PRIMARY KEY, w int NOT NULL); CREATE TABLE t (id int PRIMARY KEY, w int NOT NULL, v date)")
    mariadb.query("INSERT INTO t VALUES (1, 1, '2026-01-01')")
    db.create_server("shop", **mariadb.server_options)
    db.create_stream("beat", "shop", "beat", watermark="w", schedule="1 second")
    make_warm(db, options={"zero_dates": "reject", "lookback": "0"})
    values = ", ".join(f"({number}, {number}, '2026-01-01')" for number in range(10, 1500))
    mariadb.query(f"SET sql_mode = ''; INSERT INTO t VALUES (2, 2, '0000-00-00'), {values}")
    assert db.run("t")["rejected"] == 1
    assert len(db.errors("t")) == 1
