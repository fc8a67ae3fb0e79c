"""What must hold when everything is quiet: exactly the source's rows, each bad row once, books that add up, and nothing left
behind. Each check raises AssertionError; tests/system/faults/test_chaos.py spoils what each of them looks at, and expects that."""

import os
from collections import Counter
from pathlib import Path

from harness import assert_equal_tables, wait_for
from harness.compare import canonical
from harness.environment import BIN, alive, parents

from .changes import is_bad


def settle(world):
    """One quiet run of each stream, which must succeed; then nothing runs any more."""
    for stream in world.streams:
        run = world.db.run(stream.name)
        assert "beyond the source's clock" not in (run["message"] or ""), run["message"]
    world.db.query("SELECT sync_pause('%')")
    try:
        wait_for(lambda: not world.cluster.workers("chaos"), "the workers to leave", timeout=30)
    except AssertionError as error:
        raise AssertionError(f"{error}: {world.admin.query('SELECT pid, application_name, query FROM pg_stat_activity')}") from error


def check_all(world):
    for stream in world.streams:
        check_rows(world, stream)
        check_rejects(world, stream)
        check_watermark(world, stream)
        check_counts(world, stream)
        check_ledger(world, stream)
    check_history(world)
    check_processes(world)
    check_database(world)
    check_files(world)


def check_rows(world, stream):
    """The target holds the source's rows; a bad one is missing there, or is as it was when it was good."""
    columns = "id, quantity, code, note"
    source = stream.source.rows(stream.table)
    bad = {int(row[0]) for row in source if is_bad(row)}
    target = world.admin.query(f"SELECT {columns} FROM {stream.target} WHERE {stream.mine}")
    try:
        assert_equal_tables(
            [row for row in source if int(row[0]) not in bad],
            [row for row in target if row[0] not in bad],
        )
    except AssertionError as error:
        raise AssertionError(f"{stream.name}: {error}") from error


def check_rejects(world, stream):
    """Each row that is bad at the source is in insync.error once, as it is there now."""
    source = {int(row[0]): row for row in stream.source.rows(stream.table) if is_bad(row)}
    errors = world.admin.query("SELECT (record ->> 'id')::bigint, record FROM insync.error WHERE stream = %s", stream.name)
    found = Counter(id for id, _ in errors)
    missing, stale = source.keys() - found.keys(), found.keys() - source.keys()
    double = [id for id, times in found.items() if times > 1]
    assert not (missing or stale or double), (
        f"{stream.name}: insync.error lacks {len(missing)} {sorted(missing)[:5]}, has {len(stale)} that are not bad {sorted(stale)[:5]}, "
        f"and {len(double)} twice {sorted(double)[:5]}"
    )
    for id, record in errors:
        stored = tuple(canonical(record[name]) for name in ("id", "quantity", "code", "note"))
        current = tuple(canonical(value) for value in source[id])
        assert stored == current, f"{stream.name}: insync.error has {stored} where the source has {current}"


def check_watermark(world, stream):
    if stream.table == "stock":
        return
    watermark = world.admin.value("SELECT w.watermark FROM insync.watermark AS w JOIN insync.stream AS s ON s.id = stream_id WHERE name = %s",
                                  stream.name)  # fmt: skip
    top = stream.source.top(stream.table)
    assert canonical(watermark) == canonical(top), f"{stream.name}: the watermark is {watermark}, the source's highest {top}"


def check_ledger(world, stream):
    """The ledger has what counting gives. What users insert it doesn't see, unless all was counted since."""
    found = world.admin.query(
        "SELECT s.id, l.unit FROM insync.stream AS s JOIN insync.ledger AS l ON l.stream_id = s.id WHERE s.name = %s AND l.complete",
        stream.name,
    )
    assert len(found) == (stream.table == "sales"), f"{stream.name}: ledgers: {found}"
    if not found:
        return
    id, unit = found[0]
    slices = dict(world.admin.query("SELECT bucket::text, rows FROM insync.slice WHERE stream_id = %s AND rows <> 0", id))
    counted = f"SELECT coalesce(date_trunc('{unit}', changed), '-infinity')::text, count(*) FROM {stream.target} WHERE {stream.mine} GROUP BY 1"
    held, users = dict(world.admin.query(counted)), world.inserted_by_users[stream.name]
    if users:
        slices, held = sum(slices.values()), sum(held.values())
        assert slices <= held <= slices + users, f"{stream.name}: the ledger has {slices}, the target {held}, {users} of them by users"
        return
    assert slices == held, f"{stream.name}: the ledger has {slices}, the target {held}"


def check_counts(world, stream):
    """Counts and rows commit together, so over all runs they must give what is in the table."""
    booked = world.admin.value("SELECT coalesce(sum(inserted - deleted), 0) FROM insync.run WHERE stream = %s", stream.name)
    rows = world.admin.value(f"SELECT count(*) FROM {stream.target} WHERE {stream.mine}")
    users = world.inserted_by_users[stream.name]
    assert booked + users == rows, f"{stream.name}: {booked} rows by the books of its runs, {users} by users, but {rows} in the target"
    for run in world.admin.query(
        "SELECT id, rows_read, inserted, updated, unchanged, deleted, rejected FROM insync.run WHERE stream = %s AND mode = 'incremental'"
        " AND rows_read <> inserted + updated + unchanged + deleted + rejected", stream.name,
    ):  # fmt: skip
        raise AssertionError(f"{stream.name}: the counts of a run don't add up: {run}")


def check_history(world):
    for what, condition in (
        ("open, though nobody runs it", "status IN ('queued', 'running')"),
        ("ended before it began", "ended_at < started_at"),
        ("without a time", "ended_at IS NULL OR (started_at IS NULL AND status <> 'cancelled')"),
        ("failed without a reason", "status = 'failed' AND (message IS NULL OR message = '' OR sqlstate IS NULL)"),
        ("in error though it succeeded", "status = 'succeeded' AND sqlstate IS NOT NULL"),
    ):
        runs = world.admin.query(f"SELECT id, stream, status, started_at, ended_at, message FROM insync.run WHERE {condition}")
        assert not runs, f"{len(runs)} runs are {what}, such as {runs[0]}"
    failures = world.admin.query("SELECT stream, failures FROM sync_status() WHERE failures > 0")
    assert not failures, f"streams count failures though they succeeded: {failures}"


def check_processes(world):
    """No connector without a worker, wherever it may have gone; no worker; no second launcher."""
    program, home = os.path.realpath(BIN / "pg_insync_connector"), os.path.realpath(world.cluster.data)
    for pid, parent in parents().items():
        # A connector stays in the directory in which its worker began: those of other clusters are no business of ours.
        if link(pid, "exe") != program or link(pid, "cwd") != home:
            continue
        if link(parent, "exe") != os.path.realpath(BIN / "postgres"):
            raise AssertionError(f"a connector runs on without its worker: {pid}, a child of {parent}")
    assert not world.cluster.connectors(), "a connector is there, but nothing runs"
    launchers = world.admin.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_insync launcher'")
    assert len(launchers) == 1 and alive(launchers[0][0]), f"{len(launchers)} launchers"


def link(pid, name):
    """What /proc says of a process by a link: "exe", "cwd"."""
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def check_database(world):
    mine = "pid <> pg_backend_pid()"
    for what, query in (
        ("an advisory lock", f"SELECT pid, objid FROM pg_locks WHERE locktype = 'advisory' AND {mine}"),
        ("a replication slot", "SELECT slot_name FROM pg_replication_slots"),
        ("a prepared transaction", "SELECT gid FROM pg_prepared_xacts"),
        ("an open transaction", f"SELECT pid, query FROM pg_stat_activity WHERE xact_start IS NOT NULL AND {mine}"
         " AND backend_type IN ('client backend', 'pg_insync worker', 'pg_insync launcher')"),
        ("a temporary table", "SELECT relname FROM pg_class WHERE relpersistence = 't'"),
    ):  # fmt: skip
        found = world.admin.query(query)
        assert not found, f"{what} is left: {found}"


def check_files(world):
    data = Path(world.cluster.data)
    left = [path for path in [*data.glob("base/pgsql_tmp/*"), *data.glob("pg_tblspc/*/*/pgsql_tmp/*"), *data.glob("**/core*")] if path.is_file()]
    assert not left, f"files are left behind: {left}"
