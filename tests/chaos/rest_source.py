"""A JSON API as a source: PostgREST's contract over a SQLite file, so that its rows are changed by the same SQL as the others'."""

import contextlib
import sqlite3
import threading

from harness import Proxy, SqliteSource
from harness.rest import PostgREST
from harness.rest.table import UTC, parse_time, sort_rows

from .changes import TABLES
from .sources import Refused, Source

CAP = 150  # rows of a page, whatever is asked for


class SqlTable:
    """A table of a SQLite file in the words of harness.rest.Table that a stand-in reads with."""

    past = ()  # a heap without order is shown in the file's order

    def __init__(self, path, name, key):
        self.path, self.name, self.key = path, name, key
        self.threads = threading.local()  # a connection a thread, as sqlite3 wants it

    def rows(self):
        if not hasattr(self.threads, "connection"):
            self.threads.connection = sqlite3.connect(self.path, timeout=10)
            self.threads.connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in self.threads.connection.execute(f"SELECT * FROM {self.name}")]
        for row in rows:
            if "changed" in row:
                row["changed"] = parse_time(row["changed"])
        return rows

    def ordered(self, order):
        return sort_rows(self.rows(), order)


class Rest(Source):
    """Rows that a transaction held open changes are written when it ends, dated when it began."""

    has_server, is_rest = True, True
    page_option = "page_size"
    time_type, serial_type = "TIMESTAMP", "INTEGER PRIMARY KEY AUTOINCREMENT"
    log_source = "order_log"

    def start(self, rows):
        self.file = SqliteSource(self.name, wal=True)
        self.writer = self.file.connect()
        self.make_tables(rows)
        tables = [SqlTable(self.file.path, name, "id") for name in TABLES] + [SqlTable(self.file.path, "order_log", "seq")]
        self.api = PostgREST(*tables, cap=CAP)
        self.proxy = Proxy(self.api.port)
        return self

    def close(self):
        self.proxy.close()
        self.api.close()
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
        return statements

    def end(self, statements, commit):
        if commit:
            with contextlib.suppress(Refused):
                self.run(statements)

    def query(self, sql):
        with contextlib.closing(self.file.connect()) as reader:
            return reader.execute(sql).fetchall()

    def top(self, table):
        value = super().top(table)
        return self.api.time_text(parse_time(value).astimezone(UTC)) if table == "sales" else value

    def server_options(self):
        return {
            "base_url": f"http://127.0.0.1:{self.proxy.port}/", "preset": "supabase", "path": "{source}", "auth": "none",
            "connect_timeout": "2 seconds", "timeout": "3 seconds", "stall_timeout": "2 seconds", "retries": "2",
        }  # fmt: skip

    def kill(self):
        self.api.close()
        self.proxy.cut()

    def restart(self):
        self.api.start()
