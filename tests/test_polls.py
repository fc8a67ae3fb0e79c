"""What a poll costs the source: once a session knows a stream's source, two statements, and what changes in the source's
definitions is noticed all the same."""

import re

import pytest
from harness import wait_for

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
    else:
        wait_for(lambda: db.query("SELECT FROM s WHERE id = 9"), "the row behind the change")
        assert db.value(f"SELECT {column}::text FROM s WHERE id = 9") == value


def test_more_than_a_page_is_read_in_one_state(db, mariadb):
    """A warm poll that meets more rows than a page holds starts over in a snapshot, and the next ones are short again."""
    mariadb.query(TABLE)
    mariadb.query("INSERT INTO t VALUES (1, 'a', '2026-01-01 10:00:00')")
    db.create_server("erp", **mariadb.server_options)
    db.create_stream("s", "erp", "t", watermark="w", target="s", schedule="1 second", options={"page_rows": 10, "batch_rows": 4})
    wait_for(lambda: db.query("SELECT FROM s"), "the first row")
    for round in range(2):
        rows = ", ".join(f"({100 * round + i}, 'x', '2026-01-01 11:0{round}:{i:02}')" for i in range(10, 45))
        mariadb.query(f"INSERT INTO t VALUES {rows}, ({100 * round + 99}, REPEAT('l', 20), NULL)")
        wait_for(lambda: db.value("SELECT count(*) FROM s") == 1 + 36 * (round + 1), "all rows")
