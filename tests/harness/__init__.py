"""Private servers for the tests and the demo: PostgreSQL with pg_insync, MariaDB, SQLite files, and a proxy that breaks
connections. Everything lives below the run directory, on loopback, on free ports, and is stopped by process id."""

from . import copies, elsewhere
from .busy_shop import BusyShop
from .cluster import Cluster
from .compare import assert_equal_tables
from .connector import Connector
from .database import Database
from .environment import wait_for
from .growth import Watch, growth
from .mariadb import MariaDB
from .misbehaving import MisbehavingDriver
from .proxy import Proxy
from .session import Session
from .sources import PostgresSource, SqliteSource
from .tracer import NotPermitted, Tracer

__all__ = [
    "BusyShop",
    "Cluster",
    "Connector",
    "Database",
    "MariaDB",
    "MisbehavingDriver",
    "NotPermitted",
    "PostgresSource",
    "Proxy",
    "Session",
    "SqliteSource",
    "Tracer",
    "Watch",
    "assert_equal_tables",
    "copies",
    "elsewhere",
    "growth",
    "wait_for",
]
