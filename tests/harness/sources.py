"""Sources that need little: SQLite files, and a PostgreSQL of its own."""

import sqlite3

from .cluster import Cluster
from .environment import BIN, give_to, new_directory, remove, server_user
from .secrets import PASSWORD


class SqliteSource:
    """A SQLite file that the server's user can read and write (WAL needs the latter). execute() and query() use one
    autocommit connection; begin a transaction by hand where a test needs one."""

    driver = "SQLite3"

    def __init__(self, name="shop", wal=False):
        self.directory = new_directory("sqlite")
        self.path = self.directory / f"{name}.sqlite"
        self.connection = self.connect()
        self.connection.execute(f"PRAGMA journal_mode = {'wal' if wal else 'delete'}")
        self.connection.execute("CREATE TABLE _made (x)")  # so that the file exists before it changes hands
        self.connection.execute("DROP TABLE _made")
        give_to(server_user(), self.directory)

    def connect(self):
        """One more connection, for a test in which two sessions matter."""
        return sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)

    def execute(self, sql, parameters=()):
        return self.connection.execute(sql, parameters)

    def script(self, sql):
        self.connection.executescript(sql)

    def many(self, sql, rows):
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(sql, rows)
        self.connection.execute("COMMIT")

    def query(self, sql, parameters=()):
        return self.connection.execute(sql, parameters).fetchall()

    def server_options(self):
        """The options of CREATE SERVER for this file."""
        return {"driver": self.driver, "database": str(self.path)}

    def close(self):
        self.connection.close()
        remove(self.directory)


class PostgresSource(Cluster):
    """A PostgreSQL that knows nothing of the extension, with the user `etl`; streams come by TCP with a password."""

    driver = "PostgreSQL Unicode"
    program = BIN / "postgres"
    user_name, password = "etl", PASSWORD

    def __init__(self):
        super().__init__("source", {"shared_preload_libraries": None})

    def start(self):
        super().start()
        self.query(
            f"DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{self.user_name}') THEN "
            f"CREATE ROLE {self.user_name} LOGIN SUPERUSER PASSWORD '{self.password}'; END IF; END$$"
        )
        return self

    def server_options(self, database):
        return {"driver": self.driver, "host": "127.0.0.1", "port": str(self.port), "database": database}
