"""What ./dev needs of the harness: python3 -m harness start NAME | stop [NAME] | regress."""

import contextlib
import os
import signal
import subprocess
import sys

from .cluster import Cluster
from .environment import BIN, BUILD, CHECKOUT, CLEAN_ENVIRONMENT, RUN, SERVERS, alive, give_to, remove, server_user
from .environment import wait_for


def start(name):
    """Starts a server that outlives this process and prints shell assignments with which to reach it."""
    cluster = Cluster(name, {"autovacuum_naptime": "1min"}, keep=True).start()
    print(f"PGHOST={cluster.directory}\nPGPORT={cluster.port}\nPGUSER=postgres\nPGDATABASE=postgres")


def stop(name="*"):
    """Ends every server of the run directory (or those called `name`), by process id, and removes its data."""
    for directory in sorted({*SERVERS.glob(f"{name}-*"), *(RUN / "servers").glob(f"{name}-*")}):
        for pid_file, number in ((directory / "data/postmaster.pid", signal.SIGINT), (directory / "server.pid", signal.SIGTERM)):
            with contextlib.suppress(FileNotFoundError, IndexError, ValueError, ProcessLookupError):
                pid = int(pid_file.read_text().split()[0])
                # A stale file may name a process that is somebody else's by now.
                if os.readlink(f"/proc/{pid}/cwd").startswith(str(directory)):
                    os.kill(pid, number)
                    wait_for(lambda pid=pid: not alive(pid), f"{directory.name} to stop", timeout=60)
                    print(f"stopped {directory.name}", file=sys.stderr)
        remove(directory)


def regress():
    """Runs regress/sql with pg_regress and regress/specs with pg_isolation_regress in a private cluster. Each file
    regress/sources/NAME.sql is made a SQLite file first, $INSYNC_SOURCES/NAME.sqlite for the scripts."""
    root = CHECKOUT / "regress"
    pgxs = BIN.parent / "lib/pgxs/src/test"
    output = BUILD / "regress"
    failed = False
    if not [*root.glob("sql/*.sql"), *root.glob("specs/*.spec")]:
        print("there are no SQL tests", file=sys.stderr)
        return failed
    with Cluster("regress") as cluster:
        sources = cluster.directory / "sources"
        sources.mkdir()
        for script in sorted((root / "sources").glob("*.sql")):
            subprocess.run(["sqlite3", "-bail", sources / f"{script.stem}.sqlite"], input=script.read_bytes(), check=True)
        give_to(server_user(), sources)
        environment = CLEAN_ENVIRONMENT | {"INSYNC_SOURCES": str(sources), "LC_MESSAGES": "C"}
        for program, folder, suffix in (
            ("regress/pg_regress", "sql", ".sql"),
            ("isolation/pg_isolation_regress", "specs", ".spec"),
        ):
            names = sorted(path.stem for path in (root / folder).glob(f"*{suffix}"))
            if not names:
                continue
            results = output / folder
            (results / "results").mkdir(parents=True, exist_ok=True)
            done = subprocess.run(
                [
                    pgxs / program,
                    f"--inputdir={root}",
                    f"--outputdir={results}",
                    f"--bindir={BIN}",
                    f"--host={cluster.directory}",
                    f"--port={cluster.port}",
                    "--user=postgres",
                    "--dbname=contrib_regression",
                    "--load-extension=pg_insync",
                    *names,
                ],
                env=environment,
                check=False,
            )
            if done.returncode != 0:
                failed = True
                for name in ("regression.diffs", "output_iso/regression.diffs"):
                    if (results / name).exists():
                        print((results / name).read_text())
    return failed


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["start", name]:
            start(name)
        case ["stop", *names]:
            stop(*names)
        case ["regress"]:
            sys.exit(regress())
        case _:
            sys.exit(f"unknown arguments {sys.argv[1:]}")
