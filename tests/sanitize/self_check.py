"""What ./dev sanitize runs before the tests: errors made on purpose leave reports, and nothing else does. Without this,
a library that was built or loaded in another way would pass as clean."""

import os
import shutil
from pathlib import Path

import psycopg
import pytest
from harness import wait_for
from harness.environment import BIN, BUILD

REPORTS = Path(os.environ["INSYNC_REPORTS"])


@pytest.fixture
def faults(own_cluster):
    """A cluster with the functions of faults.cpp."""
    library = own_cluster.directory / "pg_insync_faults.so"
    shutil.copy(BUILD / library.name, library)
    for function in ("read_beyond", "overflow", "throw_over_frames"):
        own_cluster.query(f"CREATE FUNCTION {function}(int) RETURNS int LANGUAGE c AS '{library}'")
    own_cluster.query(f"CREATE FUNCTION fail_to_copy_an_error() RETURNS boolean LANGUAGE c AS '{library}'")
    return own_cluster


@pytest.mark.parametrize(
    "call, words", [("read_beyond(4)", "heap-buffer-overflow"), ("overflow(1)", "signed integer overflow")]
)
def test_an_error_in_a_backend_is_reported(faults, call, words):
    with pytest.raises(psycopg.OperationalError):
        faults.query(f"SELECT {call}")
    (report,) = REPORTS.iterdir()
    text = report.read_text()
    assert words in text and "faults.cpp" in text, text
    report.unlink()


def test_errors_that_postgresql_throws_over_our_frames_are_none(faults):
    assert faults.query("SELECT read_beyond(3), overflow(-1), throw_over_frames(1000)") == [(0, 2**31 - 2, 0)]
    assert [*REPORTS.iterdir()] == []


def test_an_error_that_can_not_be_copied_stays_an_error(faults):
    assert faults.query("SELECT fail_to_copy_an_error()") == [(True,)]
    assert [*REPORTS.iterdir()] == []


def test_library_and_connector_are_instrumented(own_db, sqlite):
    assert b"__asan_report_load8" in (BIN.parent / "lib/pg_insync.so").read_bytes()
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    own_db.create_server("shop", **sqlite.server_options())
    own_db.create_stream("t", "shop", "t")
    with own_db.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE t")
        run_id = own_db.trigger("t")
        connector = wait_for(own_db.cluster.connectors, "the worker's connector")[0]
        assert "libasan" in Path(f"/proc/{connector}/maps").read_text()
        assert "log_path=" in Path(f"/proc/{connector}/environ").read_text()
    assert own_db.wait(run_id) == "succeeded"
