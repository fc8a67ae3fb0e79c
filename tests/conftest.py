"""Fixtures of the tests against real servers. Servers live as long as the session, databases and tables as long as one
test, so that tests can't see each other and the suite stays fast. A test that breaks the server takes `own_cluster`.

`./dev test` runs the files in several processes at once (pytest-xdist), each with servers of its own; a test looks at its own
servers' processes, directories and ports only, and waits for what it waits for, however busy the machine is."""

import collections
import itertools
import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Cluster, Database, MariaDB, PostgresSource, SqliteSource, secrets  # noqa: E402
from harness.environment import SERVERS, alive, remove  # noqa: E402

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
numbers = itertools.count(1)


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=None, help="seed of the random tests (default: a new one)")
    parser.addoption("--servers", default=None, help="products from npm to test against: names with commas between, or all (default: the light ones)")
    parser.addoption("--runs", type=int, default=100, help="how often test_leaks.py does what must not leak (./dev leaks: 10000)")


def is_worker(config):
    """Whether this is one of the processes among which pytest-xdist divides the files."""
    return hasattr(config, "workerinput")


def pytest_configure(config):
    if is_worker(config):
        config.option.seed = config.workerinput["seed"]
    elif config.getoption("--seed") is None:
        config.option.seed = random.SystemRandom().randrange(2**31)
    config.addinivalue_line("markers", "minutes: has few tests and takes a minute or more; begins first where files are divided among workers")
    config.addinivalue_line("markers", "wall: crosses the wall between C++ and PostgreSQL; ./dev valgrind runs these")


def pytest_report_header(config):
    return f"seed: {config.getoption('--seed')} (repeat with --seed {config.getoption('--seed')})"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """What a worker is told by its parent."""
    node.workerinput["seed"] = node.config.getoption("--seed")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """What the parent hears from a worker that has ended."""
    secrets.leaks.extend(getattr(node, "workeroutput", {}).get("leaks", []))


def pytest_sessionstart(session):
    """Removes what a killed session left behind."""
    if is_worker(session.config):
        return
    for directory in SERVERS.glob("*-*-*"):
        name, pid, _ = directory.name.rsplit("-", 2)
        if name != "demo" and pid.isdigit() and not alive(int(pid)):
            postmaster = directory / "data/postmaster.pid"
            if not postmaster.exists() or not alive(int(postmaster.read_text().split()[0])):
                remove(directory)


def pytest_collection_modifyitems(config, items):
    """Where the files are divided among workers, the long ones begin first: else one worker would end long after the others.
    How long a file is, is told by the number of its tests, or by the mark `minutes`."""
    if is_worker(config):
        tests = collections.Counter(item.path for item in items)
        long = {item.path for item in items if item.get_closest_marker("minutes")}
        items.sort(key=lambda item: (item.path not in long, -tests[item.path]))


def pytest_sessionfinish(session):
    """Fails a session in which some server's log got to know a password."""
    if is_worker(session.config):
        session.config.workeroutput["leaks"] = secrets.leaks
    elif secrets.leaks and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    for leak in secrets.leaks:
        terminalreporter.write_line(f"FAILED: a password in the log: {leak}", red=True, bold=True)
    if failed := os.environ.get("INSYNC_FAILED_PARTS"):
        terminalreporter.write_line(f"FAILED before these tests: {failed}", red=True, bold=True)


@pytest.fixture
def seed(request):
    """The session's seed; a random test starts its own generator with it and prints it when it fails."""
    value = request.config.getoption("--seed")
    print(f"seed {value}")
    return value


@pytest.fixture(scope="session")
def shared_data():
    """The directory of sample databases beside the checkout, where there is one."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no sample data beside the checkout ({SHARED_DATA.name})")
    return SHARED_DATA


@pytest.fixture(scope="session")
def cluster():
    with Cluster() as cluster:
        yield cluster.keep_pristine()


@pytest.fixture
def own_cluster():
    """A cluster that a test may stop, kill and configure."""
    with Cluster("own") as cluster:
        yield cluster


def new_database(cluster):
    name = f"test_{next(numbers)}"
    cluster.create_database(name)
    return Database(cluster, name)


@pytest.fixture
def db(cluster):
    """A new database with the extension in the session's cluster."""
    database = new_database(cluster)
    yield database
    database.close()
    cluster.drop_database(database.name)


@pytest.fixture
def own_db(own_cluster):
    """A new database with the extension in a cluster of the test's own."""
    database = new_database(own_cluster)
    yield database
    database.close()


@pytest.fixture
def sqlite():
    source = SqliteSource()
    yield source
    source.close()


@pytest.fixture(params=[False, True], ids=["rollback-journal", "wal"])
def any_sqlite(request):
    """SQLite in both of its journal modes."""
    source = SqliteSource(wal=request.param)
    yield source
    source.close()


@pytest.fixture(scope="session")
def mariadb_server():
    with MariaDB() as server:
        yield server


class SourceDatabase:
    """A database of a source server: `server_options` for CREATE SERVER, query() with that database."""

    def __init__(self, server, name, **server_options):
        self.server, self.name, self.server_options = server, name, server_options


@pytest.fixture
def mariadb(mariadb_server):
    """A new database on the session's MariaDB."""
    source = SourceDatabase(
        mariadb_server, f"shop_{next(numbers)}", driver="MariaDB Unicode", host="127.0.0.1", port=mariadb_server.port
    )
    source.server_options |= {"database": source.name, "user": mariadb_server.user, "password": mariadb_server.password}
    source.query = lambda sql: mariadb_server.query(sql, source.name)
    mariadb_server.create_database(source.name)
    yield source
    mariadb_server.drop_database(source.name)


@pytest.fixture(scope="session")
def postgres_server():
    with PostgresSource() as server:
        yield server


@pytest.fixture
def postgres(postgres_server):
    """A new database on a PostgreSQL that serves as a source."""
    name = f"shop_{next(numbers)}"
    source = SourceDatabase(postgres_server, name, **postgres_server.server_options(name))
    source.server_options |= {"user": postgres_server.user_name, "password": postgres_server.password}
    source.query = lambda sql, *parameters: postgres_server.query(sql, *parameters, dbname=name)
    source.connect = lambda **more: postgres_server.connect(name, **more)
    postgres_server.create_database(name, extension=False)
    yield source
    postgres_server.drop_database(name)


@pytest.fixture
def shop(db, sqlite):
    """A SQLite source with a table `ventas` of 5 rows and a server `tienda` for it."""
    sqlite.script(
        """CREATE TABLE ventas (id INTEGER PRIMARY KEY, producto VARCHAR(40) NOT NULL, cantidad INTEGER NOT NULL,
               precio DECIMAL(10,2), actualizado TIMESTAMP);
           INSERT INTO ventas VALUES
               (1, 'Jamón ibérico', 2, 12.50, '2025-01-05 10:00:00'), (2, 'Piñones', 1, 9.95, '2025-01-05 10:00:00'),
               (3, 'Café molido', 5, 3.20, '2025-01-05 11:30:00.123'), (4, 'Güisqui', 1, 25.00, '2025-01-06 09:15:00'),
               (5, 'Pan 🥖', 10, NULL, '2025-01-06 12:00:00');"""
    )
    db.create_server("tienda", **sqlite.server_options())
    return sqlite
