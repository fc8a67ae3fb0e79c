"""What a source is, and the three that ODBC reads. Another kind of source is one more class with the same words, as the one
in rest_source.py:

    start(), close()               its server and its tables, with the first rows in them
    write(change)                  runs one Change; one that is to be held open goes on by itself
    tick()                         commits what was held open long enough
    touch(table)                   changes many rows at once
    server_options()               options of CREATE SERVER, with user and password where it has them
    stream(table)                  (source, arguments, options) for sync_create()
    rows(table)                    what the table holds: (id, quantity, code, note)
    top(table)                     the highest watermark there
    kill(), restart()              its server dies at once, and comes back (has_server says whether there is one)
    proxy                          what stands between it and the connector, or None
"""

import contextlib
import signal
import sqlite3
import subprocess
import threading
import time

from harness import MariaDB, PostgresSource, Proxy, SqliteSource
from harness.environment import CLEAN_ENVIRONMENT

from .changes import LOOKBACK_NUMBERS, LOOKBACK_S, TABLES, Changes, now

SCHEMA = (
    "CREATE TABLE sales (id INTEGER PRIMARY KEY, quantity INTEGER NOT NULL, code VARCHAR(20) NOT NULL,"
    " note VARCHAR(60) NOT NULL, changed {time} NOT NULL)",
    "CREATE INDEX sales_changed ON sales (changed)",
    "CREATE TABLE stock (id INTEGER PRIMARY KEY, quantity INTEGER NOT NULL, code VARCHAR(20) NOT NULL, note VARCHAR(60) NOT NULL)",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, quantity INTEGER NOT NULL, code VARCHAR(20) NOT NULL, note VARCHAR(60) NOT NULL)",
    "CREATE TABLE order_log (seq {serial}, op CHAR(1) NOT NULL, id INTEGER NOT NULL, quantity INTEGER NOT NULL,"
    " code VARCHAR(20) NOT NULL, note VARCHAR(60) NOT NULL)",
)
# A source statement may take this long, so that one that hangs fails within a round.
TIMEOUTS = {"connect_timeout": "2 seconds", "query_timeout": "3 seconds"}


class Refused(Exception):
    """The source didn't take a change: it was down, locked, or cut off. Whether it committed is not known."""


class Source:
    """What all sources have in common."""

    has_server = False
    is_rest = False
    page_option = "page_rows"
    proxy = None
    log_source = "SELECT seq, op, id, quantity, code, note FROM order_log WHERE seq >= :watermark"
    escapes = False  # whether a backslash in its strings must be doubled

    def __init__(self, name, chance):
        self.name = name
        self.changes = Changes(chance, self.escapes)
        self.late = []  # (transaction, when to commit it, the highest number of the change table when it began)
        self.lock = threading.RLock()  # a writer thread and whoever asks for a touch

    def make_tables(self, rows):
        for statement in SCHEMA:
            self.run([statement.format(time=self.time_type, serial=self.serial_type)])
        for table in TABLES:
            self.run(self.changes.initial(table, rows))

    def write(self, change):
        """Runs a change. The streams are promised that a row is committed within the lookback of its watermark: where
        this machine was too slow for that, the rows are dated again."""
        with self.lock:
            if change.hold_s:
                top = self._top_number()
                self.late.append((self.begin(change.statements), time.monotonic() + change.hold_s, top))
                return
            begun = time.monotonic()
            self.run(change.statements)
            if change.stamp and time.monotonic() - begun > LOOKBACK_S / 3:
                self.run([f"UPDATE sales SET changed = '{now()}' WHERE changed = '{change.stamp}'"])

    def tick(self, at_once=False):
        """Commits what was held open long enough, and gives up what was held for longer than was promised: no row may
        come later than the lookback of its stream."""
        with self.lock:
            due = [item for item in self.late if at_once or time.monotonic() >= item[1]]
            self.late = [item for item in self.late if item not in due]
            for transaction, until, top in due:
                self.end(transaction, commit=time.monotonic() < until + 1 and self._is_near(top))

    def _is_near(self, number):
        try:
            return self._top_number() < number + LOOKBACK_NUMBERS - 300
        except Refused:
            return False

    def _top_number(self):
        try:
            return int(self.top("orders") or 0)
        except Exception as error:  # noqa: BLE001 - whatever its driver says when it is down
            raise Refused(str(error)) from error

    def touch(self, table, rows=600):
        with self.lock:
            self.write(self.changes.touch(table, rows))

    def stream(self, table):
        # Full reads are small; changes are read in several pages and many batches.
        sizes = {"batch_rows": 60, self.page_option: 200, "max_retries": 100, "retry_delay": "1 second", "retry_backoff": "fixed"}
        if table == "sales":
            return "sales", {"watermark": "changed", "schedule": "1 second"}, sizes | {"lookback": f"{LOOKBACK_S} seconds", "slice": "hour"}
        if table == "stock":
            return "stock", {"schedule": "2 seconds"}, sizes | {"deletes": "hard", "max_deletes": "100%"}
        return self.log_source, {"watermark": "seq", "schedule": "1 second"}, sizes | {
            "deletes": "hard", "operation_column": "op", "lookback": LOOKBACK_NUMBERS,
        }  # fmt: skip

    def rows(self, table):
        return self.query(f"SELECT id, quantity, code, note FROM {table}")

    def top(self, table):
        return self.query("SELECT max(changed) FROM sales" if table == "sales" else "SELECT max(seq) FROM order_log")[0][0]

    def kill(self):
        raise NotImplementedError

    def restart(self):
        raise NotImplementedError


class Sqlite(Source):
    """A file. A transaction held open shuts out every other writer, so lateness is only in the dates."""

    time_type, serial_type = "TIMESTAMP", "INTEGER PRIMARY KEY AUTOINCREMENT"
    log_source = "order_log"  # the change table itself, the others' by a query

    def start(self, rows):
        self.file = SqliteSource(self.name)
        self.writer = self.file.connect()
        self.writer.execute("PRAGMA busy_timeout = 3000")
        self.make_tables(rows)
        return self

    def close(self):
        self.writer.close()
        self.file.close()

    def run(self, statements):
        try:
            self.writer.execute("BEGIN IMMEDIATE")
            for statement in statements:
                self.writer.execute(statement)
            self.writer.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self.writer.in_transaction:
                self.writer.execute("ROLLBACK")
            raise Refused(str(error)) from error

    def begin(self, statements):
        self.run(statements)
        return None

    def end(self, transaction, commit):
        """It is committed already."""

    def query(self, sql):
        with contextlib.closing(self.file.connect()) as reader:
            return reader.execute(sql).fetchall()

    def server_options(self):
        return self.file.server_options() | TIMEOUTS

    def lock_out(self):
        """Locks the whole file; returns what lets it go."""
        locker = self.file.connect()
        locker.execute("PRAGMA busy_timeout = 5000")
        locker.execute("BEGIN EXCLUSIVE")

        def release():
            locker.execute("ROLLBACK")
            locker.close()

        return release


class Maria(Source):
    """A MariaDB server; a transaction is a client of its own."""

    has_server = True
    time_type, serial_type, escapes = "DATETIME(3)", "BIGINT AUTO_INCREMENT PRIMARY KEY", True
    session = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET innodb_lock_wait_timeout = 2; BEGIN;\n"

    def start(self, rows):
        # A source must not forget what it has committed when it is killed.
        self.server = MariaDB(options=("--innodb-flush-log-at-trx-commit=2",)).start()
        self.server.create_database("shop")
        self.proxy = Proxy(self.server.port)
        self.make_tables(rows)
        return self

    def close(self):
        self.proxy.close()
        self.server.destroy()

    def run(self, statements):
        try:
            self.server.query(self.session + ";\n".join(statements) + ";\nCOMMIT", "shop")
        except RuntimeError as error:
            raise Refused(str(error)) from error

    def begin(self, statements):
        client = subprocess.Popen(
            ["mariadb", "--no-defaults", "-u", "root", f"--socket={self.server.socket}", "--default-character-set=utf8mb4",
             "--unbuffered", "shop"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=CLEAN_ENVIRONMENT, text=True,
        )  # fmt: skip
        with contextlib.suppress(BrokenPipeError):  # the server is down; end() finds that out
            client.stdin.write(self.session + ";\n".join(statements) + ";\n")
            client.stdin.flush()
        return client

    def end(self, client, commit):
        with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
            client.communicate("COMMIT;\n" if commit else "ROLLBACK;\n", timeout=10)
        if client.poll() is None:
            client.kill()
            client.wait()

    def query(self, sql):
        return self.server.query(sql, "shop")

    def server_options(self):
        return {
            "driver": "MariaDB Unicode", "host": "127.0.0.1", "port": self.proxy.port, "database": "shop",
            "user": self.server.user, "password": self.server.password,
        } | TIMEOUTS  # fmt: skip

    def kill(self):
        self.server.stop(signal.SIGKILL)

    def restart(self):
        self.server.start()


class Postgres(Source):
    """A PostgreSQL server; a transaction held open has a session of its own. Two connections may read it at a time."""

    has_server = True
    time_type, serial_type = "TIMESTAMP(6)", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"

    def start(self, rows):
        self.server = PostgresSource().start()
        self.server.create_database("shop", extension=False)
        self.proxy = Proxy(self.server.port)
        self.writer = None
        self.make_tables(rows)
        return self

    def close(self):
        self.proxy.close()
        self.server.destroy()

    def run(self, statements):
        import psycopg

        try:
            if self.writer is None or self.writer.closed:
                self.writer = self._connect()
            with self.writer.transaction():
                for statement in statements:
                    self.writer.execute(statement)
        except psycopg.Error as error:
            raise Refused(str(error)) from error

    def _connect(self, **more):
        return self.server.connect("shop", options="-c lock_timeout=2s -c timezone=UTC", **more)

    def begin(self, statements):
        import psycopg

        session = None
        try:
            session = self._connect(autocommit=False)
            for statement in statements:
                session.execute(statement)
            return session
        except psycopg.Error as error:
            if session:
                session.close()
            raise Refused(str(error)) from error

    def end(self, session, commit):
        import psycopg

        with contextlib.suppress(psycopg.Error), contextlib.closing(session):
            session.commit() if commit else session.rollback()

    def query(self, sql):
        return self.server.query(sql, dbname="shop")

    def server_options(self):
        options = self.server.server_options("shop") | {"port": self.proxy.port}
        return options | {"user": self.server.user_name, "password": self.server.password, "connections": 2} | TIMEOUTS

    def kill(self):
        self.server.kill_postmaster()

    def restart(self):
        self.server.start()

