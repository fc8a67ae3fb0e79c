"""A source that never rests, and the check that whoever follows it has each row once."""

import random
import threading

from .compare import assert_equal_tables
from .environment import wait_for
from .sources import SqliteSource

TARGET = "CREATE TABLE {} (id bigint PRIMARY KEY, cantidad int CHECK (cantidad >= 0), nota text, version bigint NOT NULL)"


class BusyShop:
    """A SQLite file with a table `ventas` that a thread writes all the time, from `seed`: new rows, changed rows, and
    here and there a bad one that the target refuses. The watermark `version` grows with each commit and is read without
    an overlap, so that what a follower loses stays lost."""

    def __init__(self, seed, rows=2000):
        self.source = SqliteSource("busy", wal=True)
        self.chance = random.Random(seed)
        self.rows, self.version, self.bad = 0, 0, []
        self.thread, self.failure = None, None
        self.stopping = threading.Event()
        self.source.script(
            """CREATE TABLE ventas (id INTEGER PRIMARY KEY, cantidad INTEGER, nota TEXT, version INTEGER NOT NULL);
            CREATE INDEX ventas_version ON ventas (version);"""
        )
        self.write(rows)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Begins to write, also after a rest."""
        if self.thread is None:
            self.stopping.clear()
            self.thread = threading.Thread(target=self._work, daemon=True)
            self.thread.start()
        return self

    def write(self, new=None):
        """One commit: some new rows, of which every fiftieth or so is bad, and new versions of good old ones."""
        inserted = []
        for _ in range(new or self.chance.randint(1, 20)):
            self.rows += 1
            self.version += 1
            bad = self.chance.random() < 0.02
            if bad:
                self.bad.append(self.rows)
            inserted.append((self.rows, -1 if bad else self.rows % 7, f"nota {self.rows}", self.version))
        changed = []
        for id in {self.chance.randint(1, self.rows) for _ in range(self.chance.randint(0, 10))}.difference(self.bad):
            self.version += 1
            changed.append((f"version {self.version}", self.version, id))
        self.source.execute("BEGIN IMMEDIATE")
        self.source.connection.executemany("INSERT INTO ventas VALUES (?, ?, ?, ?)", inserted)
        self.source.connection.executemany("UPDATE ventas SET nota = ?, version = ? WHERE id = ?", changed)
        self.source.execute("COMMIT")

    def _work(self):
        try:
            while not self.stopping.wait(0.02):
                self.write()
        except Exception as error:
            self.failure = error

    def rest(self):
        """Ends the writing, so that followers can be compared."""
        self.stopping.set()
        if self.thread is not None:
            self.thread.join()
        self.thread = None
        assert self.failure is None, self.failure

    def close(self):
        try:
            self.rest()
        finally:
            self.source.close()

    # ----------------------------------------------------------------------------------------------------- followers

    def follow(self, db, name="ventas", target=None, schedule="1 second", options=None):
        """Makes server, target and a stream in `db` that runs each second, and waits for its first rows."""
        target = target or name
        if not db.query("SELECT FROM pg_foreign_server WHERE srvname = 'tienda'"):
            db.create_server("tienda", **self.source.server_options())
        db.execute(TARGET.format(target))
        self.create_stream(db, name, target, schedule, options)
        if schedule:
            wait_for(lambda: db.value(f"SELECT count(*) FROM {target}") > 0, f"the first rows in {target}")

    @staticmethod
    def create_stream(db, name="ventas", target="ventas", schedule=None, options=None):
        db.create_stream(
            name, "tienda", "ventas", target=target, watermark="version", schedule=schedule,
            options={"lookback": "0", "retry_delay": "1 second", "max_retries": 100, "batch_rows": 500} | (options or {}),
        )  # fmt: skip

    def goes_on(self, db, table="ventas"):
        """Waits until what is written from now on arrives."""
        now = self.version
        wait_for(lambda: db.value(f"SELECT coalesce(max(version), 0) FROM {table}") > now, f"{table} to go on", timeout=120)

    def assert_followed(self, *databases, name="ventas", table="ventas"):
        """Rests, lets each follower catch up by itself, and compares: every good row, every bad one rejected once."""
        self.rest()
        expected = self.source.query("SELECT * FROM ventas WHERE cantidad >= 0")
        for db in databases:
            wait_for(lambda db=db: self._watermark(db, name) == str(self.version), f"{name} to read to the end", timeout=120)
            assert_equal_tables(expected, db.query(f"SELECT * FROM {table}"))
            assert sorted(int(error["record"]["id"]) for error in db.errors(name)) == sorted(self.bad)

    @staticmethod
    def _watermark(db, name):
        return db.status(name)["watermark"]
