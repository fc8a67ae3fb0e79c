"""A stream whose source is the misbehaving driver: the fixtures and the words of the tests of drivers (import the fixtures).
"""

import datetime
import decimal
import re

import pytest

from .database import Database
from .environment import wait_for
from .misbehaving import PASSWORD, MisbehavingDriver

ROWS = 10


@pytest.fixture(scope="module")
def driver():
    driver = MisbehavingDriver()
    yield driver
    driver.remove()


@pytest.fixture(scope="module")
def driver_cluster(driver):
    with driver.cluster(**{"insync.max_value": "1MB"}) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def shared_db(driver_cluster):
    """One stream `ventas`, made while the driver behaved; each test gives it orders and takes them back."""
    driver_cluster.create_database("tienda")
    db = Database(driver_cluster, "tienda")
    options = {"driver": MisbehavingDriver.name, "driver_options": MisbehavingDriver.orders(rows=ROWS)}
    db.create_server("tienda", user="etl", password=PASSWORD, connect_timeout="60s", query_timeout="60s", **options)
    db.create_stream("ventas", "tienda", "ventas", options={"max_retries": 0})
    yield db
    db.close()


def order(db, patience=None, **orders):
    """Gives the driver its orders, and both time-outs: a driver that hangs is given up on soon, unless `patience` says
    otherwise; anything else may take as long as it takes on a busy machine."""
    hangs = orders.get("misbehave") in ("hang", "loop", "fork-and-hang") or orders.get("value") == "endless"
    patience = patience or ("1s" if hangs else "60s")
    given = MisbehavingDriver.orders(**({"rows": ROWS} | orders))
    db.execute(
        f"ALTER SERVER tienda OPTIONS (SET driver_options '{given}', SET query_timeout '{patience}', SET connect_timeout '{patience}')"
    )


def expected_row(number):
    day = datetime.date(2025, 1, number % 28 + 1)
    time = datetime.datetime(day.year, day.month, day.day, 10, 0, 0, 123000)
    return (number, f"nombre {number}", decimal.Decimal(f"{number}.25"), number + 0.5, day, time)


def rows(db):
    return db.query("SELECT id, nombre, total, peso, dia, hecho FROM ventas ORDER BY id")


def assert_target_is_right(db, count=ROWS):
    assert rows(db) == [expected_row(number) for number in range(1, count + 1)]


@pytest.fixture
def db(shared_db, driver, driver_cluster):
    """The stream with an empty target, and around the test the promise: the server, a session that was open all along, the
    log and the process table are as if nothing had happened, and the driver that behaves again is read in full."""
    postmaster = driver_cluster.postmaster_pid()
    shared_db.execute("TRUNCATE ventas")
    with shared_db.connect() as control, driver_cluster.log_of() as log:
        control.execute("CREATE TEMPORARY TABLE mine AS SELECT 42 AS answer")
        yield shared_db
        assert control.execute("SELECT answer FROM mine").fetchone() == (42,)
        assert driver_cluster.postmaster_pid() == postmaster
        order(shared_db)
        shared_db.execute("TRUNCATE ventas")
        shared_db.execute("ALTER SERVER tienda OPTIONS (SET driver 'Misbehaving')")
        shared_db.run("ventas")
        assert_target_is_right(shared_db)
        assert shared_db.status("ventas")["state"] == "idle"
        wait_for(lambda: not driver.processes(), "every connector and what it started to be gone")
        assert PASSWORD not in log()
        for trouble in ("was terminated by signal", "PANIC", "terminating any other active server processes"):
            assert trouble not in log()


def failed(db, *words):
    """Runs the stream, which must fail, and returns what the run and the status say; each word is a pattern."""
    run = db.run("ventas", expect="failed")
    status = db.wait_for_state("ventas", "error")
    assert status["message"] and run["ended_at"] is not None
    assert PASSWORD not in run["message"]
    for word in words:
        assert re.search(word, run["message"]), run["message"]
    return run["message"]
