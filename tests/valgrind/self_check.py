"""What ./dev valgrind runs before the tests: an error made on purpose is reported, and an ereport out of our frames is no
error."""

import os
import shutil
from pathlib import Path

import report
from harness.environment import BUILD

REPORTS = Path(os.environ["INSYNC_REPORTS"])


def test_an_error_of_ours_is_reported(own_cluster, capsys):
    library = own_cluster.directory / "pg_insync_faults.so"
    shutil.copy(BUILD / library.name, library)
    for function in ("throw_over_frames", "decide_by_nothing"):
        own_cluster.query(f"CREATE FUNCTION {function}(int) RETURNS int LANGUAGE c AS '{library}'")
    assert own_cluster.query("SELECT throw_over_frames(100)") == [(0,)]
    assert report.main(REPORTS) == 0, capsys.readouterr().out
    own_cluster.query("SELECT decide_by_nothing(1)")
    assert report.main(REPORTS) == 1
    assert "decide_by_nothing" in capsys.readouterr().out
    own_cluster.stop()
    for path in REPORTS.iterdir():
        path.unlink()
