"""Rights, locks and files at the source: what is missing is said as what it is, and what may be read is read."""

import os

import psycopg
import pytest
from harness.environment import server_user
from harness.secrets import PASSWORD


def steps(db, server):
    return {row["step"]: (row["ok"], row["message"]) for row in db.dicts("SELECT * FROM sync_test(%s)", server)}


@pytest.fixture
def reader(mariadb):
    """A user of MariaDB who may connect and nothing else."""
    name = f"reader_{mariadb.name}"
    mariadb.query(f"CREATE USER {name}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT USAGE ON *.* TO {name}@'%'")
    mariadb.query("CREATE TABLE t (id int PRIMARY KEY, v varchar(9), secret varchar(9))")
    mariadb.query("INSERT INTO t VALUES (1, 'a', 'x')")
    mariadb.server.query(f"GRANT EXECUTE ON `{mariadb.name}`.* TO {name}@'%'")
    yield name
    mariadb.server.query(f"DROP USER {name}@'%'")


def test_a_missing_right_in_mariadb_is_told_as_one(db, mariadb, reader):
    db.create_server("erp", **(mariadb.server_options | {"user": reader}))
    ok, message = steps(db, "erp")["read"]
    assert not ok and "no table or view is visible" in message and "GRANT" in message.upper()
    with pytest.raises(psycopg.Error, match='permission denied for source "t"') as raised:
        db.create_stream("t", "erp", "t")
    assert "SELECT" in raised.value.diag.message_hint
    mariadb.server.query(f"GRANT SELECT ON `{mariadb.name}`.t TO {reader}@'%'")
    assert steps(db, "erp")["read"] == (True, "1 source is visible")
    db.create_stream("t", "erp", "t", options={"max_retries": 0})
    db.run("t")
    mariadb.server.query(f"REVOKE SELECT ON `{mariadb.name}`.t FROM {reader}@'%'")
    run = db.run("t", expect="failed")
    assert "denied" in run["message"] and "does not exist" not in run["message"]


def test_columns_that_may_be_read_are_read_in_mariadb(db, mariadb, reader):
    mariadb.server.query(f"GRANT SELECT (id, v) ON `{mariadb.name}`.t TO {reader}@'%'")
    db.create_server("erp", **(mariadb.server_options | {"user": reader}))
    db.create_stream("t", "erp", "t")
    db.run("t")
    assert db.dicts("SELECT * FROM t") == [{"id": 1, "v": "a"}]
    assert steps(db, "erp")["read"] == (True, "1 source is visible")


@pytest.fixture
def postgres_reader(postgres):
    name = f"reader_{postgres.name}"
    postgres.query(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    postgres.query("CREATE TABLE t (id int PRIMARY KEY, v text, secret text)")
    postgres.query("INSERT INTO t VALUES (1, 'a', 'x')")
    yield name
    postgres.query(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_missing_right_in_postgresql_is_told_as_one(db, postgres, postgres_reader):
    db.create_server("erp", **(postgres.server_options | {"user": postgres_reader}))
    ok, message = steps(db, "erp")["read"]
    assert not ok and "none can be read" in message and "permission denied" in message
    with pytest.raises(psycopg.Error, match='permission denied for source "public.t"'):
        db.create_stream("t", "erp", "t")


def test_columns_that_may_be_read_are_read_in_postgresql(db, postgres, postgres_reader):
    postgres.query(f"GRANT SELECT (id, v) ON t TO {postgres_reader}")
    db.create_server("erp", **(postgres.server_options | {"user": postgres_reader}))
    assert steps(db, "erp")["read"][0]
    db.create_stream("t", "erp", "t")
    db.run("t")
    assert db.dicts("SELECT * FROM t") == [{"id": 1, "v": "a"}]


def test_a_key_that_may_not_be_read_is_none(db, postgres, postgres_reader):
    postgres.query(f"GRANT SELECT (v) ON t TO {postgres_reader}")
    db.create_server("erp", **(postgres.server_options | {"user": postgres_reader}))
    assert db.create_stream("t", "erp", "t")["key_columns"] == "row_hash, row_copy"
    db.run("t")
    assert db.query("SELECT v FROM t") == [("a",)]


def test_locks_are_waited_for_as_long_as_lock_timeout_says(db, postgres):
    postgres.query("CREATE TABLE t (id int PRIMARY KEY)")
    db.create_server("erp", **postgres.server_options, lock_timeout="1 second")
    db.create_stream("t", "erp", "t", options={"max_retries": 0})
    db.run("t")
    with postgres.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        run = db.run("t", expect="failed")
        assert "lock timeout" in run["message"]
        blocker.rollback()
    db.run("t")


def test_locks_are_waited_for_as_long_as_lock_timeout_says_in_mariadb(db, mariadb):
    mariadb.query("CREATE TABLE t (id int PRIMARY KEY)")
    db.create_server("erp", **mariadb.server_options, lock_timeout="1 second")
    assert mariadb.server.query("SELECT @@global.lock_wait_timeout > 1") == [("1",)]
    assert db.value("SELECT r->>'seconds' FROM sync_preview('erp', 'SELECT @@lock_wait_timeout AS seconds') AS r") == "1"


@pytest.fixture
def read_only_folder(sqlite):
    """A WAL file in a folder in which nothing can be written."""
    sqlite.script("PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    sqlite.query("PRAGMA wal_checkpoint(TRUNCATE)")
    sqlite.connection.close()
    for name in ("-wal", "-shm"):
        if os.path.exists(f"{sqlite.path}{name}"):
            os.remove(f"{sqlite.path}{name}")
    os.chmod(sqlite.directory, 0o555)
    yield sqlite
    os.chmod(sqlite.directory, 0o755)
    sqlite.connection = sqlite.connect()


def test_a_wal_file_in_a_folder_that_cannot_be_written(db, read_only_folder):
    if server_user() is None:
        pytest.skip("the server runs as this user, who may be root")
    db.create_server("shop", **read_only_folder.server_options())
    with pytest.raises(psycopg.Error, match="in WAL mode") as raised:
        db.create_stream("t", "shop", "t")
    assert "may not write in folder" in raised.value.diag.message_detail and "immutable" in raised.value.diag.message_hint
    db.execute("ALTER SERVER shop OPTIONS (ADD immutable 'true')")
    db.create_stream("t", "shop", "t")
    assert db.run("t")["inserted"] == 2


def test_immutable_does_not_pass_over_a_wal(db, sqlite):
    sqlite.script("PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY)")
    db.create_server("shop", **sqlite.server_options(), immutable="true")
    sqlite.script("INSERT INTO t VALUES (1)")
    with pytest.raises(psycopg.Error, match="has changes that are not in it yet"):
        db.create_stream("t", "shop", "t")


@pytest.mark.parametrize("source, target", [('"Año 2026 x.y ñ"', "año 2026 x.y ñ"), ("`x.y`", "x.y"), ("[a]]b]", "a]b"), ("main.\"q\"\"q\"", 'q"q'), ("selections", "selections")])  # fmt: skip
def test_a_target_is_called_as_the_last_part_of_its_source(db, sqlite, source, target):
    name = '"' + target.replace('"', '""').replace("año", "Año") + '"'
    sqlite.script(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY); INSERT INTO {name} VALUES (1)")
    db.create_server("shop", **sqlite.server_options())
    db.create_stream("s", "shop", source)
    assert db.value("SELECT target_table FROM insync.stream") == target


def test_filtered_rows_have_a_count_of_their_own(db, sqlite):
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 1), (2, NULL), (3, 3), (4, 4)")
    db.create_server("shop", **sqlite.server_options())
    db.create_stream("t", "shop", "t", options={"filter": "n > 2 -- large ones", "batch_rows": 3})
    for inserted, unchanged in ((2, 0), (0, 2)):
        run = db.run("t")
        assert (run["inserted"], run["unchanged"], run["filtered"]) == (inserted, unchanged, 2)
    assert db.status("t")["filtered"] == 2
    notices = []
    with db.connect() as session:
        session.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        session.execute("CALL sync_run('t')")
    assert notices[-1].endswith("2 filtered out"), notices
