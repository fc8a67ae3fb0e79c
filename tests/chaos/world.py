"""What the faults happen to: the sources with a thread that writes to each, a cluster, and a stream for every table."""

import contextlib
import random
import threading
import time
from dataclasses import dataclass

from harness import Cluster, Database, wait_for
from harness.environment import RUN

from .changes import TABLES
from .rest_source import Rest
from .sources import Maria, Postgres, Refused, Source, Sqlite

KINDS = {"sqlite": Sqlite, "mariadb": Maria, "postgres": Postgres, "rest": Rest}
OWNER = "clerk"  # owns streams and targets, and is no superuser
SETTINGS = {
    "max_connections": "80",
    "deadlock_timeout": "200ms",
    "max_prepared_transactions": "2",
    "log_lock_waits": "off",
    "autovacuum_naptime": "5s",
    "insync.linger": "1s",
    "max_wal_size": "256MB",
}
# Targets that two shops share, with a column that tells whose a row is; every other stream has a target of its own.
SHARED = {("sales", "sqlite"), ("sales", "mariadb"), ("stock", "mariadb"), ("stock", "postgres")}


@dataclass(frozen=True)
class Stream:
    source: Source
    table: str

    @property
    def name(self):
        return f"{self.table}_{self.source.name}"

    @property
    def shared(self):
        return (self.table, self.source.name) in SHARED

    @property
    def target(self):
        return self.table if self.shared else self.name

    @property
    def mine(self):
        """The condition for its part of the target."""
        return f"shop = '{self.source.name}'" if self.shared else "true"


class World:
    """Sources, cluster, streams. Leave it with close(); `keep` keeps the cluster's directory for who looks for a cause."""

    def __init__(self, seed, kinds=tuple(KINDS), rows=1500):
        self.seed, self.chance = seed, random.Random(seed)
        self.keep, self.kept = False, None
        self.sources = [KINDS[kind](kind, random.Random(f"{seed} {kind}")).start(rows) for kind in kinds]
        self.streams = [Stream(source, table) for source in self.sources for table in TABLES]
        self.cluster = Cluster("chaos", SETTINGS).start()
        self.cluster.create_database("chaos")
        self.admin = Database(self.cluster, "chaos")
        self.admin.execute(f"CREATE ROLE {OWNER} LOGIN")
        self.admin.execute(f"GRANT CREATE ON SCHEMA public TO {OWNER}")
        self.admin.execute(f"SELECT sync_grant('{OWNER}')")
        self.db = Database(self.cluster, "chaos", OWNER)
        for source in self.sources:
            self._define(source)
        self.inserted_by_users = dict.fromkeys((stream.name for stream in self.streams), 0)
        self.trouble = None  # an exception of a writer that is no refusal
        self.written = dict.fromkeys(kinds, 0)
        self.refused = dict.fromkeys(kinds, 0)
        self.control = None
        self.closers = []  # what faults have set up outside of the cluster
        self._quiet = threading.Event()
        self._threads = []

    def _define(self, source):
        options = dict(source.server_options())
        user, password = options.pop("user", None), options.pop("password", None)
        (self.admin.create_rest_server if source.is_rest else self.admin.create_server)(source.name, **options)
        self.admin.execute(f"GRANT USAGE ON FOREIGN SERVER {source.name} TO {OWNER}")
        if user:
            self.db.execute(f"CREATE USER MAPPING FOR {OWNER} SERVER {source.name} OPTIONS (user '{user}', password '{password}')")
        for stream in self.streams:
            if stream.source is not source:
                continue
            shop, key = ("shop text, ", "shop, id") if stream.shared else ("", "id")
            changed = ", changed timestamp" if stream.table == "sales" else ""
            self.db.execute(
                f"CREATE TABLE IF NOT EXISTS {stream.target} ({shop}id bigint, quantity int CHECK (quantity >= 0), code int, note text"
                f"{changed}, remark text, PRIMARY KEY ({key}))"
            )
            query, arguments, options = source.stream(stream.table)
            if stream.shared:
                options = options | {"columns": {"shop": f"'{source.name}'"}}
            self.db.create_stream(stream.name, source.name, query, target=stream.target, key=key, options=options, **arguments)

    def close(self):
        self._quiet.set()
        for thread in self._threads:
            thread.join()
        for closer in reversed(self.closers):
            closer()
        for source in self.sources:
            source.close()
        for session in (self.db, self.admin):
            session.close()
        if self.keep:
            self.kept = self.cluster.put_aside(RUN / "kept" / f"chaos-{self.seed}")
        else:
            self.cluster.destroy()

    # ---------------------------------------------------------------------------------------------------------- writing

    def write(self):
        """Starts the writers."""
        self._quiet.clear()
        self._threads = [threading.Thread(target=self._writer, args=(source,), daemon=True) for source in self.sources]
        for thread in self._threads:
            thread.start()

    def quiet(self):
        """Ends the writers; what was held open is committed."""
        self._quiet.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self.check_writers()

    def check_writers(self):
        if self.trouble:
            raise RuntimeError("a writer has ended") from self.trouble

    def _writer(self, source):
        try:
            while not self._quiet.is_set():
                self._refusable(source, lambda: source.write(source.changes.random()))
                self._refusable(source, source.tick)
                self._quiet.wait(source.changes.chance.uniform(0.02, 0.2))
            self._refusable(source, lambda: source.tick(at_once=True))
        except Exception as error:  # noqa: BLE001 - it ends the rounds, in the main thread
            self.trouble = error

    def _refusable(self, source, action):
        try:
            action()
            self.written[source.name] += 1
        except Refused:
            self.refused[source.name] += 1

    def touch(self, stream, rows=600):
        """Gives a stream much to do; a source that is down has it refused."""
        with contextlib.suppress(Refused):
            stream.source.touch(stream.table, rows)

    # ----------------------------------------------------------------------------------------------------------- looking

    def catch(self, stream, batches):
        """Makes the stream run, and returns what it was doing when it had applied so many batches, or had ended."""
        self.touch(stream)
        run_id = self.db.trigger(stream.name)

        def caught():
            row = self.db.query(
                "SELECT p.state, p.batches FROM insync.progress AS p WHERE p.stream = %s AND p.run_id = %s", stream.name, run_id
            )
            if row and row[0][1] >= batches:
                return f"{row[0][0]}, {row[0][1]} batches"
            status = self.db.value("SELECT status FROM insync.run WHERE id = %s", run_id)
            return status if status not in ("queued", "running") else None

        return wait_for(caught, f"a run of {stream.name}", timeout=60, interval=0.005)

    def worker(self, stream):
        """The process that runs the stream now, or None."""
        rows = self.db.query("SELECT pid FROM insync.progress WHERE stream = %s", stream.name)
        return rows[0][0] if rows else None

    def connector(self, stream):
        """The connector of the process that runs the stream now, or None."""
        worker = self.worker(stream)
        connectors = set(self.cluster.connectors())
        return next((pid for pid in self.cluster.children(worker) if pid in connectors), None) if worker else None

    def launcher(self):
        return self.admin.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_insync launcher'")

    def session(self, **more):
        """A session of the targets' owner."""
        return self.cluster.connect("chaos", OWNER, **more)

    def clock(self):
        return self.db.value("SELECT clock_timestamp()")

    def answers(self):
        """Waits until the server takes statements (again)."""

        def answer():
            with contextlib.suppress(Exception):
                return self.admin.value("SELECT 1")
            return None

        return wait_for(answer, "the server to answer", timeout=60)

    def hold(self, low, high):
        """Lets a fault last for a random while, in seconds."""
        seconds = self.chance.uniform(low, high)
        time.sleep(seconds)
        return f"{seconds:.1f} s"
