"""What the worker makes of frames that only some sources send: columns that come up while rows are read, a source that
hasn't changed, warnings, and questions for leave to send a request."""

import json
import os
import subprocess

import psycopg
import pytest
from harness.environment import BIN, CLEAN_ENVIRONMENT
from harness.scripted import ScriptedConnector, columns


@pytest.fixture
def connector(db):
    """A REST server `api` whose connector is scripted."""
    connector = ScriptedConnector(db)
    connector.describes(["id"], id="int8", nombre="text")
    db.execute("CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1:1/')")
    return connector


def rows_frames(*rows, position):
    """A batch: its rows, and the position behind them."""
    return [["R", rows], ["P", {"position": {"at": position}, "rows": len(rows)}]]


def make_stream(db, **options):
    db.create_stream("cosas", "api", "cosas", options={"max_retries": 0} | options)


def table(db):
    return db.query("SELECT * FROM cosas ORDER BY id")


# ------------------------------------------------------------------------------------------- columns that come up later


def test_columns_that_come_up_while_rows_are_read_are_added(db, connector):
    make_stream(db, deletes="hard", max_deletes="100%")
    connector.answer(
        "read",
        ["C", columns(id="int8", nombre="text")], *rows_frames((1, "uno"), (2, "dos"), position=1),
        ["C", columns(id="int8", nombre="text", color="text")], *rows_frames((3, "tres", "rojo"), position=2),
        ["C", columns(id="int8", nombre="text", color="text", talla="int8")], *rows_frames((4, "cuatro", None, 38), position=3),
        ["D", {}],
    )  # fmt: skip
    db.execute("INSERT INTO cosas VALUES (9, 'viejo')")
    run = db.run("cosas")
    assert table(db) == [(1, "uno", None, None), (2, "dos", None, None), (3, "tres", "rojo", None), (4, "cuatro", None, 38)]
    assert db.counts(run) == (4, 0, 0, 1, 0), "the keys of the batches before the new columns count"
    known = db.value("SELECT jsonb_path_query_array(source_columns, '$[*].name') FROM insync.stream")
    assert known == ["id", "nombre", "color", "talla"]
    connector.answer(
        "read", ["C", columns(id="int8", nombre="text", color="text", talla="int8")],
        *rows_frames((1, "uno", None, None), (2, "dos", None, None), (3, "tres", "rojo", None), (4, "cuatro", None, 38), position=3), ["D", {}],
    )  # fmt: skip
    assert db.counts(db.run("cosas")) == (0, 0, 4, 0, 0), "next time they are known"


def test_a_column_that_comes_up_is_ignored_or_fails_the_run_as_the_stream_says(db, connector):
    make_stream(db, new_columns="ignore")
    connector.answer(
        "read",
        ["C", columns(id="int8", nombre="text")], *rows_frames((1, "uno"), position=1),
        ["C", columns(id="int8", nombre="text", color="text")], *rows_frames((2, "dos", "rojo"), position=2), ["D", {}],
    )  # fmt: skip
    db.run("cosas")
    assert table(db) == [(1, "uno"), (2, "dos")]
    db.alter_stream("cosas", new_columns="fail")
    db.execute("UPDATE insync.stream SET source_columns = source_columns - 2")
    assert 'the source has a new column "color"' in db.run("cosas", expect="failed")["message"]


def test_columns_in_the_middle_of_a_batch_are_refused(db, connector):
    make_stream(db)
    connector.answer("read", ["C", columns(id="int8", nombre="text")], ["R", [(1, "uno")]], ["C", columns(id="int8")], ["D", {}])
    assert "columns in the middle of a batch" in db.run("cosas", expect="failed")["message"]
    assert table(db) == []


# ------------------------------------------------------------------------------------------ what the end of a read says


def test_a_source_that_says_that_it_has_not_changed_loses_no_row(db, connector):
    make_stream(db, deletes="hard")
    frames = [["C", columns(id="int8", nombre="text")], *rows_frames(*((i, str(i)) for i in range(50)), position=1)]
    connector.answer("read", *frames, ["D", {}])
    db.run("cosas")
    connector.answer("read", frames[0], ["D", {"unchanged": True}])
    assert db.run("cosas")["deleted"] == 0
    assert len(table(db)) == 50
    connector.answer("read", frames[0], ["D", {}])
    assert "would be deleted" in db.run("cosas", expect="failed")["message"], "without the word, all of them are gone"


def test_a_warning_at_the_end_of_a_read_stands_in_the_status(db, connector):
    make_stream(db)
    warning = "no watermark: read and compared in full"
    connector.answer("read", ["C", columns(id="int8", nombre="text")], *rows_frames((1, "uno"), position=1), ["D", {"warning": warning}])
    assert db.run("cosas")["message"] == warning
    assert db.status("cosas")["message"] == warning


# ------------------------------------------------------------------------------------------------------------------ pace


def test_all_streams_of_a_server_keep_its_pace_together(db, connector):
    """Two workers at one server: whenever the requests come, no window has more of them than the rate allows."""
    db.execute("ALTER SERVER api OPTIONS (ADD connections '2')")
    interval = 0.2
    connector.answer(
        "read", ["C", columns(id="int8", nombre="text")], ["requests", {"count": 10, "interval_ms": interval * 1000}], ["D", {}]
    )
    for name in ("unas", "otras"):
        db.create_stream(name, "api", name)
    runs = [db.trigger(name) for name in ("unas", "otras")]
    assert [db.wait(run) for run in runs] == ["succeeded"] * 2
    times = connector.requests()
    assert len(times) == 20
    # A request can go out late, so the next one may seem early; of any n + 1 in a row the first and the last are at
    # least (n - 1) intervals apart, but for how late the first was.
    late = 2 * interval
    for first in range(len(times)):
        for last in range(first + 1, len(times)):
            assert times[last] - times[first] >= (last - first) * interval - late
    overlap = db.value("SELECT max(started_at) < min(ended_at) FROM insync.run")
    assert overlap, "the two ran at the same time"



@pytest.mark.skipif("INSYNC_REPORTS" in os.environ, reason="a sanitizer takes address space by the terabyte")
def test_a_connector_without_room_for_a_thread_writes_all_the_same(sqlite):
    """A thread's stack is as large as `ulimit -s` says, and counts to the address space that insync.connector_memory grants."""
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3);")
    shell = 'ulimit -Ss 1000000 && ulimit -v 900000 && exec "$0"'
    requests = [
        {"verb": "open", "kind": "odbc", "server": sqlite.server_options()},
        {"verb": "read", "source": "t", "key": ["id"], "mode": "full"},
    ]
    lines = "".join(json.dumps(request) + "\n" for request in requests).encode()
    done = subprocess.run(
        ["bash", "-c", shell, BIN / "pg_insync_connector"], input=lines, capture_output=True, env=CLEAN_ENVIRONMENT, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b'"rows":3' in done.stdout, done.stdout
