"""A private PostgreSQL with pg_insync preloaded: start, stop, break and look at it."""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from . import secrets
from .environment import (
    BIN,
    CLEAN_ENVIRONMENT,
    PATIENCE,
    PG_MAJOR,
    POSTMASTER,
    RUN,
    alive,
    copy_tree,
    execute,
    free_port,
    give_to,
    locked,
    new_directory,
    parents,
    remove,
    server_user,
    wait_for,
)

SUPERUSER = "postgres"
PRISTINE = "pristine"

BASE_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_preload_libraries": "pg_insync",
    "max_worker_processes": "32",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "fsync": "off",  # the tests kill processes, not the machine
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %b %d ",
    "log_timezone": "UTC",
    "log_error_verbosity": "default",
    "logging_collector": "off",
    "autovacuum_naptime": "1h",
}

HBA = "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


def new_system(data):
    """A data directory from initdb. Those that are copied from the template have one system identifier, as clusters have
    that were copied as files; this one has its own."""
    execute(
        BIN / "initdb", "-D", data, "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust",
        "--no-sync", "--no-instructions", user=server_user(),
    )  # fmt: skip


def _template():
    """A data directory fresh from initdb, made once a run directory: copying it is ten times faster than initdb."""
    template = RUN / f"template-{PG_MAJOR}"
    if not (template / "complete").exists():
        user = server_user()
        remove(template)
        template.mkdir(parents=True)
        give_to(user, template)
        new_system(template / "data")
        (template / "complete").touch()
    return template / "data"


class Cluster:
    """One data directory and its postmaster. `settings` overrides BASE_SETTINGS; None as a value leaves a setting out.
    `make_data`, called with the path, makes another data directory than a copy of the template.
    `environment` is added to the postmaster's.

    >>> with Cluster() as cluster:
    ...     cluster.query("SELECT 1")
    """

    program = POSTMASTER

    def __init__(self, name="postgres", settings=None, keep=False, make_data=None, environment=None):
        self.user = server_user()
        self.directory = new_directory(name)
        self.data = self.directory / "data"
        self.log_file = self.directory / "log"
        self.port = free_port()
        self.environment = environment or {}
        self.pristine = False  # see keep_pristine()
        self.keep = keep  # survives this process: ./dev stop ends it
        self.settings = BASE_SETTINGS | {"port": str(self.port), "unix_socket_directories": str(self.directory)}
        self.settings |= settings or {}
        if make_data:
            give_to(self.user, self.directory)
            make_data(self.data)
        else:
            with locked("template"):
                template = _template()
            copy_tree(template, self.data)
        self.data.chmod(0o700)
        give_to(self.user, self.directory)
        (self.data / "pg_hba.conf").write_text(HBA)
        self.write_settings()
        if not keep:
            atexit.register(self.destroy)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.destroy()

    # ------------------------------------------------------------------------------------------------ start and stop

    def write_settings(self, **changes):
        """Writes the settings file with these changes; restart() or reload() makes them count."""
        self.settings |= changes
        lines = (
            f"{name} = '{str(value).replace(chr(39), chr(39) * 2)}'\n"
            for name, value in self.settings.items()
            if value is not None
        )
        (self.data / "postgresql.auto.conf").write_text("".join(lines))

    def start(self):
        """Starts the postmaster and returns when it accepts connections (recovery done)."""
        done = execute(
            BIN / "pg_ctl", "start", "-w", "-t", 120 * PATIENCE, "-p", self.program, "-D", self.data, "-l", self.log_file,
            user=self.user, env=self.environment, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"the server did not start:\n{done.stdout}{done.stderr}{self.log()[-4000:]}")
        return self

    def stop(self, mode="fast"):
        execute(BIN / "pg_ctl", "stop", "-w", "-D", self.data, "-m", mode, user=self.user)

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def reload(self):
        execute(BIN / "pg_ctl", "reload", "-D", self.data, user=self.user)

    def running(self):
        return (pid := self.postmaster_pid()) is not None and alive(pid)

    def put_aside(self, directory):
        """Stops the server and moves what is left of it to `directory`, for who looks for a cause; returns that."""
        if self.running():
            with contextlib.suppress(RuntimeError):
                self.stop("immediate")
        secrets.look(self.log_file)
        atexit.unregister(self.destroy)
        remove(directory)
        directory.parent.mkdir(exist_ok=True)
        return shutil.move(self.directory, directory)

    def destroy(self):
        """Stops the server and removes its directory."""
        if self.running():
            with contextlib.suppress(RuntimeError):
                self.stop("immediate")
        secrets.look(self.log_file)
        atexit.unregister(self.destroy)
        remove(self.directory)

    # ----------------------------------------------------------------------------------------- processes and breakage

    def postmaster_pid(self):
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None

    def children(self, pid=None):
        """Process ids of the children of `pid` (the postmaster by default), as /proc lists them."""
        parent = pid or self.postmaster_pid()
        return [child for child, its_parent in parents().items() if its_parent == parent]

    def connectors(self):
        """Process ids of the connectors of this cluster's workers."""
        parent_of, postmaster, found = parents(), self.postmaster_pid(), []
        for pid, parent in parent_of.items():
            if parent_of.get(parent) == postmaster:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if b"pg_insync_connector" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        found.append(pid)
        return found

    def workers(self, database=None):
        """Process ids of the workers that have a connector, or with `database` those that work there."""
        rows = self.query(
            "SELECT pid FROM pg_stat_activity WHERE backend_type ILIKE '%%insync%%worker%%' AND datname = coalesce(%s, datname)",
            database,
        )
        return [pid for (pid,) in rows]

    def kill_postmaster(self, processes=None):
        """kill -9 of the postmaster (or of these processes); returns when it and every child is gone, so that start()
        can recover."""
        postmaster = self.postmaster_pid()
        children = self.children(postmaster)
        grandchildren = [grandchild for child in children for grandchild in self.children(child)]
        for pid in processes or [postmaster]:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(alive(pid) for pid in [postmaster, *children, *grandchildren]), "the server to be gone")
        # Where nobody reaps orphans (a container without an init), the dead postmaster stays a zombie, and its lock
        # files would seem to be held.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        (self.directory / f".s.PGSQL.{self.port}.lock").unlink(missing_ok=True)

    def crash(self):
        """kill -9 of every process of the server at once: nobody writes what he still has in memory."""
        processes = [self.postmaster_pid(), *self.children()]
        for pid in processes:
            self.kill(pid, signal.SIGSTOP)  # so that nobody sees another one's death
        self.kill_postmaster(processes)

    @staticmethod
    def kill(pid, number=signal.SIGKILL):
        """Sends a signal; a process that has already gone is no error. Returns whether it was there."""
        try:
            os.kill(pid, number)
            return True
        except ProcessLookupError:
            return False

    # ---------------------------------------------------------------------------------------------------- talking to it

    def connect(self, dbname="postgres", user=SUPERUSER, **more):
        """A psycopg connection (autocommit unless told otherwise); waits while the server recovers from a crash."""
        import psycopg

        more.setdefault("autocommit", True)
        more.setdefault("connect_timeout", 30)

        def attempt():
            try:
                return psycopg.connect(host=str(self.directory), port=self.port, dbname=dbname, user=user, **more)
            except psycopg.OperationalError as error:
                if "recovery mode" in str(error) or "starting up" in str(error):
                    return None
                raise

        return wait_for(attempt, "the server to recover")

    def query(self, sql, *parameters, dbname="postgres", user=SUPERUSER):
        """Runs one statement in a connection of its own and returns its rows (None where it has none)."""
        with self.connect(dbname, user) as connection:
            cursor = connection.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else None

    def psql_environment(self, dbname="postgres"):
        return {"PGHOST": str(self.directory), "PGPORT": str(self.port), "PGDATABASE": dbname, "PGUSER": SUPERUSER}

    def psql(self, script, dbname="postgres", *arguments):
        """Runs a script with psql, stopping at the first error, and returns its output."""
        done = subprocess.run(
            [BIN / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments],
            input=script,
            env=CLEAN_ENVIRONMENT | self.psql_environment(dbname),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"psql exited with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def keep_pristine(self):
        """Makes a database with the extension, of which create_database() makes copies from now on: in a cluster that gets
        many, that is twice as fast. Workers never go there."""
        self.query(f"CREATE DATABASE {PRISTINE} IS_TEMPLATE true")
        self.query("CREATE EXTENSION pg_insync", dbname=PRISTINE)
        self.query(f"ALTER DATABASE {PRISTINE} ALLOW_CONNECTIONS false")
        self.pristine = True
        return self

    def create_database(self, name, extension=True):
        """Creates a database, with the extension in it unless told otherwise."""
        copied = extension and self.pristine
        self.query(f'CREATE DATABASE "{name}"' + (f" TEMPLATE {PRISTINE}" if copied else ""))
        if extension and not copied:
            self.query("CREATE EXTENSION pg_insync", dbname=name)

    def drop_database(self, name):
        self.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def log(self):
        """The server's log so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @contextlib.contextmanager
    def log_of(self):
        """What the log gets during the block: `with cluster.log_of() as text: …; assert 'x' in text()`."""
        start = self.log_file.stat().st_size

        def text():
            with open(self.log_file, "rb") as file:
                file.seek(start)
                return file.read().decode(errors="replace")

        yield text
