"""One database of a cluster with the extension in it, and the words in which the tests talk to it."""

import contextlib
import select

from .cluster import SUPERUSER, Cluster
from .environment import PATIENCE, wait_for


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def literal(text):
    return "'" + str(text).replace("'", "''") + "'"


class Database:
    """Statements run in autocommit, in one connection that is opened anew when the server went away."""

    def __init__(self, cluster: Cluster, name: str, user: str = SUPERUSER):
        self.cluster, self.name, self.user = cluster, name, user
        self.connection = None

    def connect(self, user=None, **more):
        return self.cluster.connect(self.name, user or self.user, **more)

    def execute(self, sql, *parameters):
        """Runs a statement and returns psycopg's cursor."""
        if not self._connected():
            self.connection = self.connect()
        return self.connection.execute(sql, parameters or None)

    def _connected(self):
        """Whether the connection can be used: a server that went away has left its last words, or the end, to read."""
        if self.connection is None or self.connection.closed:
            return False
        if select.select([self.connection.fileno()], [], [], 0)[0]:
            with contextlib.suppress(Exception):
                self.connection.execute("SELECT 1")
        return not self.connection.closed

    def query(self, sql, *parameters):
        return self.execute(sql, *parameters).fetchall()

    def value(self, sql, *parameters):
        """The first column of the only row."""
        rows = self.query(sql, *parameters)
        assert len(rows) == 1, f"{sql}: {len(rows)} rows, not one"
        return rows[0][0]

    def dicts(self, sql, *parameters):
        """Rows as dictionaries by column name."""
        cursor = self.execute(sql, *parameters)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    def dict(self, sql, *parameters):
        rows = self.dicts(sql, *parameters)
        assert len(rows) == 1, f"{sql}: {len(rows)} rows, not one"
        return rows[0]

    def close(self):
        if self.connection is not None:
            with contextlib.suppress(Exception):
                self.connection.close()

    # ---------------------------------------------------------------------------------------------------- pg_insync

    def create_server(self, name, user=None, password=None, **options):
        """CREATE SERVER with these options and, with `user`, a mapping for the current user."""
        given = ", ".join(f"{key} {literal(value)}" for key, value in options.items())
        self.execute(f"CREATE SERVER {quote(name)} FOREIGN DATA WRAPPER insync_odbc OPTIONS ({given})")
        if user is not None:
            self.execute(
                f"CREATE USER MAPPING FOR CURRENT_USER SERVER {quote(name)} "
                f"OPTIONS (user {literal(user)}, password {literal(password)})"
            )

    def create_rest_server(self, name, base_url, credentials=None, **options):
        """CREATE SERVER for a JSON API and, with credentials (a dictionary of options), a mapping for the current user."""
        given = ", ".join(f"{key} {literal(value)}" for key, value in ({"base_url": base_url} | options).items())
        self.execute(f"CREATE SERVER {quote(name)} FOREIGN DATA WRAPPER insync_rest OPTIONS ({given})")
        if credentials:
            given = ", ".join(f"{key} {literal(value)}" for key, value in credentials.items())
            self.execute(f"CREATE USER MAPPING FOR CURRENT_USER SERVER {quote(name)} OPTIONS ({given})")

    def create_stream(self, name, server, source, options=None, **arguments):
        """sync_create() with named arguments; returns its row."""
        from psycopg.types.json import Jsonb

        arguments = {"server": server, "source": source} | arguments
        if options is not None:
            arguments["options"] = Jsonb(options)
        given = "".join(f", {key} => %s" for key in arguments)
        return self.dict(f"SELECT * FROM sync_create(%s{given})", name, *arguments.values())

    def alter_stream(self, stream, **options):
        from psycopg.types.json import Jsonb

        self.execute("SELECT sync_alter(%s, %s)", stream, Jsonb(options))

    def trigger(self, name, mode=None):
        """Asks the workers for one stream's run and returns its id."""
        return self.dict("SELECT * FROM sync_trigger(%s, %s)", name, mode)["run_id"]

    def wait(self, run_id, timeout=f"{120 * PATIENCE} s"):
        return self.value("SELECT sync_wait(%s, %s)", run_id, timeout)

    def run(self, name, mode=None, expect="succeeded"):
        """Has the workers run a stream, waits, and returns the run's row, whose status must be `expect`."""
        run_id = self.trigger(name, mode)
        status = self.wait(run_id)
        run = self.dict("SELECT * FROM insync.run WHERE id = %s", run_id)
        assert status == expect, f"run of {name} {status}, not {expect}: {run['message']} ({run['sqlstate']})"
        return run

    def counts(self, run):
        """What a run did, of the counts that tell: (inserted, updated, unchanged, deleted, rejected)."""
        return tuple(run[name] for name in ("inserted", "updated", "unchanged", "deleted", "rejected"))

    def status(self, name):
        return self.dict("SELECT * FROM sync_status(%s)", name)

    def errors(self, name):
        return self.dicts("SELECT * FROM insync.error WHERE stream = %s ORDER BY id", name)

    def wait_for_state(self, name, *states, timeout=60):
        return wait_for(
            lambda: (now := self.status(name))["state"] in states and now, f"{name} to be {' or '.join(states)}", timeout
        )
