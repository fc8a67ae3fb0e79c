"""Where credentials are, and where they are not: logs, tables, messages, process lists, files of drivers, cores."""

import contextlib
import itertools
import json
import tempfile
from pathlib import Path

import psycopg
import pytest
from harness import secrets, wait_for
from harness.database import literal

# Found whole or in part wherever something repeats them.
USER, PASSWORD, WRONG = "us3rmark", "pa5smark;{}='\"é", "wr0ngmark;x={y}"
MARKS = {"pa5smark", "wr0ngmark"}


def mapping(db, server, password, verb="ALTER"):
    if verb == "CREATE":
        db.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER {server} OPTIONS (user {literal(USER)}, password {literal(password)})")
    else:
        db.execute(f"ALTER USER MAPPING FOR CURRENT_USER SERVER {server} OPTIONS (SET password {literal(password)})")


@pytest.fixture(params=["mariadb", "postgres"])
def source(request):
    """A source whose user and password are the marked ones, with a table `t` of 3 rows, one of them bad for the target."""
    found = request.getfixturevalue(request.param)
    rows = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), m TIMESTAMP NOT NULL); INSERT INTO t VALUES (1, '1', '2025-01-01'), (2, '2', '2025-01-01'), (3, 'x', '2025-01-01')"
    if request.param == "mariadb":
        found.query(f"CREATE OR REPLACE USER '{USER}'@'%' IDENTIFIED BY {literal(PASSWORD)}; GRANT ALL ON *.* TO '{USER}'@'%'")
        found.query(rows)
        drop = f"DROP USER '{USER}'@'%'"
    else:
        found.query(f"CREATE ROLE {USER} LOGIN SUPERUSER PASSWORD {literal(PASSWORD)}")
        for statement in rows.split("; "):
            found.query(statement)
        drop = f"DROP ROLE {USER}"
    found.options = {key: value for key, value in found.server_options.items() if key not in ("user", "password")}
    yield found
    found.query(drop)


def driver_files():
    """What ODBC drivers left in the usual directory."""
    directory = Path(tempfile.gettempdir())
    return {path for pattern in ("psqlodbc_*", "mylog_*", "*odbc*.log", "*trace*") for path in directory.glob(pattern)}


def messages_of(error):
    return " ".join(str(getattr(error.diag, name)) for name in dir(error.diag) if not name.startswith("_"))


def test_credentials_are_told_nowhere(own_cluster, own_db, source):
    """A workload that touches everything, with right and with wrong credentials, at a talkative log."""
    db, heard, before = own_db, [], driver_files()
    options = source.options | ({"driver_options": "CommLog=1;Debug=1"} if "PostgreSQL" in source.options["driver"] else {})
    db.create_server("shop", **options)
    mapping(db, "shop", PASSWORD, "CREATE")
    db.execute("CREATE TABLE t (id int PRIMARY KEY, v int, m timestamp)")
    own_cluster.write_settings(log_min_messages="debug1", log_min_error_statement="panic", log_min_duration_statement=-1)
    own_cluster.reload()
    wait_for(lambda: db.cluster.query("SHOW log_min_messages") == [("debug1",)], "the settings to count")

    def say(sql, *parameters):
        notices = []
        with db.connect() as session:
            session.add_notice_handler(notices.append)
            session.execute("SET client_min_messages = debug1")
            try:
                heard.append(str(session.execute(sql, parameters or None).fetchall() if "CALL" not in sql else session.execute(sql)))
            except psycopg.Error as error:
                heard.append(messages_of(error))
            heard.extend(f"{notice.message_primary} {notice.message_detail} {notice.message_hint} {notice.context}" for notice in notices)

    def everything():
        say("SELECT * FROM sync_test('shop')")
        say("SELECT * FROM sync_discover('shop')")
        say("SELECT * FROM sync_preview('shop', 't')")
        say("SELECT * FROM sync_preview('shop', 'nada')")
        say("SELECT * FROM sync_create('t', 'shop', 't', watermark => 'm')")
        say("SELECT * FROM sync_explain('t')")
        say("CALL sync_run('t')")
        say("SELECT * FROM sync_status()")
        with contextlib.suppress(psycopg.Error):
            run_id = db.trigger("t", "full")
            heard.append(db.wait(run_id) + str(db.query("SELECT * FROM insync.run WHERE id = %s", run_id)))
        say("SELECT * FROM sync_replay('t')")
        say("SELECT * FROM sync_options()")

    with own_cluster.log_of() as log:
        everything()
        assert db.value("SELECT count(*) FROM t") == 2 and len(db.errors("t")) == 1, "the credentials are right"
        with db.connect(autocommit=False) as blocker:
            blocker.execute("LOCK TABLE t")
            run_id = db.trigger("t", "full")
            (connector, *_) = wait_for(own_cluster.connectors, "a connector")
            heard += [Path(f"/proc/{connector}/{name}").read_bytes().decode(errors="replace") for name in ("cmdline", "environ", "limits", "status")]
            heard.append(str(db.query("SELECT * FROM pg_stat_activity")))
            blocker.rollback()
        db.wait(run_id)
        mapping(db, "shop", WRONG)
        everything()
        assert any("28" in text or "denied" in text or "authentication" in text for text in heard), "the wrong ones are refused"
        db.execute("ALTER SERVER shop OPTIONS (SET port '1')")
        everything()
        logged = [line for line in log().splitlines() if any(mark in line for mark in MARKS)]
    assert logged == []
    tables = [name for (name,) in db.query("SELECT c.oid::regclass::text FROM pg_class AS c WHERE relnamespace = 'insync'::regnamespace AND relkind IN ('r', 'v')")]
    heard += [json.dumps(db.query(f"SELECT to_jsonb(x) FROM {table} AS x")) for table in tables]
    assert [text for text in heard if any(mark in text for mark in MARKS)] == []
    assert len(heard) > 40
    left = [path for path in driver_files() - before if any(mark in path.read_text(errors="replace") for mark in MARKS)]
    assert left == [], "a driver's log holds the password"


def test_the_connector_leaves_no_core_and_private_files(own_cluster, own_db, sqlite):
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    own_db.create_server("tienda", **sqlite.server_options())
    own_db.create_stream("t", "tienda", "t")
    with own_db.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE t")
        run_id = own_db.trigger("t")
        (connector, *_) = wait_for(own_cluster.connectors, "a connector")
        limits = Path(f"/proc/{connector}/limits").read_text()
        status = Path(f"/proc/{connector}/status").read_text()
        blocker.rollback()
    assert own_db.wait(run_id) == "succeeded"
    (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core[4:6] == ["1", "1"], "0 keeps files from being written, but not Linux from piping a core to a program"
    assert "Umask:\t0077" in status


@pytest.mark.parametrize("options", [
    "driver 'PostgreSQL Unicode', password 'pa5smark'", "driver 'PostgreSQL Unicode', user 'u', host 'pa5smark'", "connection_string 'Driver=SQLite3;PWD=pa5smark'",
    "connection_string 'Driver=SQLite3;p w d={pa5smark}'", "driver 'SQLite3', driver_options 'Password=pa5smark'", "connection_string 'PWD=pa5smark;;Driver'",
    "connection_string 'Driver={x};pass word=pa5smark'", "dsn 'x', driver_options 'AccessToken=pa5smark'",
])  # fmt: skip
def test_a_refused_server_option_is_not_repeated(db, options):
    """Neither to the client nor, beside the statement itself, in the log."""
    db.execute("SET log_min_error_statement = panic")
    with db.cluster.log_of() as log, pytest.raises(psycopg.Error) as raised:
        db.execute(f"CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS ({options})")
    assert "pa5smark" not in messages_of(raised.value) or "host" in options, raised.value
    assert "pa5smark" not in log()
    assert db.query("SELECT * FROM pg_foreign_server WHERE srvname = 's'") == []


def test_the_search_of_the_logs_finds_a_password(tmp_path):
    """The check at a session's end must be able to fail."""
    file, known = tmp_path / "log", len(secrets.leaks)
    quiet = f"STATEMENT:  CREATE USER MAPPING … password '{secrets.PASSWORD}'\nLOG:  checkpoint\n"
    for text, expected in ((quiet, 0), (quiet + f"LOG:  could not connect: PWD={secrets.PASSWORD}\n", 1), ("ERROR:  s3cr3t\n", 1), ("", 0)):
        file.write_text(text)
        secrets.look(file)
        assert len(secrets.leaks) - known == expected
        del secrets.leaks[known:]
    secrets.look(tmp_path / "none")
    assert len(list(itertools.islice(secrets.leaks, known))) == known
