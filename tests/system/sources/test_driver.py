"""A source can't hurt the database: an ODBC driver that crashes, hangs, lies and litters (tests/driver) fails one run with
an error that says what happened. The server goes on, other sessions don't notice, nothing is left behind, and the next
run after the driver came to its senses succeeds."""

import datetime
import re

import pytest
from harness import MisbehavingDriver
from harness.database import literal
from harness.driver_stream import (  # noqa: F401
    ROWS,
    assert_target_is_right,
    db,
    driver,
    driver_cluster,
    failed,
    order,
    rows,
    shared_db,
)
from harness.misbehaving import PASSWORD

SIGNAL = {"segfault": "signal 11", "abort": "signal 6", "overflow": "signal 11", "exit": "status 0"}
PLACES = ["connect", "execute", "fetch"]
SHOWN_WORDS = 500  # characters


# -------------------------------------------------------------------------------------------------- crashes


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("deed", SIGNAL)
def test_a_driver_that_crashes(db, deed, at):
    order(db, misbehave=deed, at=at)
    failed(db, "connector exited unexpectedly", SIGNAL[deed])
    assert rows(db) == []


@pytest.mark.parametrize("at", PLACES)
def test_a_driver_that_throws(db, at):
    order(db, misbehave="throw", at=at)
    failed(db, "C\\+\\+ exception", "std::runtime_error")


@pytest.mark.parametrize("deed", [*SIGNAL, "throw"])
def test_a_library_that_crashes_when_it_is_loaded(db, deed):
    db.execute(f"ALTER SERVER tienda OPTIONS (SET driver 'constructor-{deed}')")
    failed(db, "connector exited unexpectedly|C\\+\\+ exception")


@pytest.mark.parametrize("deed", [*SIGNAL, "throw", "hang"])
def test_a_library_that_fails_when_it_is_unloaded_has_done_its_work(db, deed):
    order(db, "1s" if deed == "hang" else None)
    db.execute(f"ALTER SERVER tienda OPTIONS (SET driver 'destructor-{deed}')")
    db.run("ventas")
    assert_target_is_right(db)


@pytest.mark.parametrize("deed", [*SIGNAL, "throw", "hang"])
def test_a_driver_that_fails_at_the_farewell_has_done_its_work(db, deed):
    order(db, misbehave=deed, at="disconnect")
    db.run("ventas")
    assert_target_is_right(db)


def test_a_crash_after_batches_keeps_what_was_committed(db):
    db.alter_stream("ventas", batch_rows=500, page_rows=500)
    order(db, misbehave="segfault", at="late-fetch", rows=3000)
    failed(db, "signal 11")
    committed = db.value("SELECT count(*) FROM ventas")
    assert 0 < committed < 3000 and committed % 500 == 0
    order(db, rows=3000)
    db.run("ventas")
    assert_target_is_right(db, 3000)
    db.alter_stream("ventas", batch_rows=None, page_rows=None)


@pytest.mark.parametrize(
    "name, password, spelling",
    [(MisbehavingDriver.name, PASSWORD, PASSWORD), (MisbehavingDriver.name, "*", "*"), (MisbehavingDriver.quoting_name, "hunter2}{hunter3", "hunter2}}{hunter3")],
    ids=["plain", "asterisk", "braces"],
)
def test_last_words_tell_no_secret(db, name, password, spelling):
    """A driver's last words are shown, but for the password: as it is, as it stands in the connection string, and where
    one half of it comes before what is shown. One like the mark that takes its place is no trouble."""
    db.execute(f"ALTER SERVER tienda OPTIONS (SET driver '{name}')")
    db.execute(f"ALTER USER MAPPING FOR CURRENT_USER SERVER tienda OPTIONS (SET password {literal(password)})")
    try:
        for behind in (0, 10, SHOWN_WORDS - max(len(spelling) // 2, 3)):
            order(db, misbehave="last-words", at="connect", value=behind)
            message = failed(db, "signal 6", "Its last output: \\.\\.\\.[^*]*" + re.escape("***" + "." * behind) + "\n")
            assert spelling == "*" or spelling[len(spelling) // 2 :] not in message
    finally:
        db.execute(f"ALTER USER MAPPING FOR CURRENT_USER SERVER tienda OPTIONS (SET password {literal(PASSWORD)})")


# ------------------------------------------------------------------------------- hangs, memory, processes, descriptors


@pytest.mark.parametrize("deed, at", [("hang", "connect"), ("hang", "execute"), ("hang", "fetch"), ("loop", "fetch")])
def test_a_driver_that_hangs(db, deed, at):
    order(db, misbehave=deed, at=at)
    if at == "connect":  # that has a deadline of its own
        failed(db, "gave no answer within", "connect_timeout")
    else:
        failed(db, "silent for", "query_timeout")


def test_a_stream_s_own_time_for_a_query_comes_before_its_server_s(db):
    db.alter_stream("ventas", query_timeout="1s")
    order(db, "100s", misbehave="hang", at="fetch")
    db.execute("ALTER SERVER tienda OPTIONS (SET connect_timeout '1s')")  # the longer one of the two ends a silence
    try:
        failed(db, "silent for 3 seconds", "query_timeout")
    finally:
        db.alter_stream("ventas", query_timeout=None)


def test_a_library_that_hangs_when_it_is_loaded(db):
    order(db, "1s")
    db.execute("ALTER SERVER tienda OPTIONS (SET driver 'constructor-hang')")
    failed(db, "gave no answer within", "connect_timeout")


@pytest.mark.parametrize("at", ["connect", "fetch"])
@pytest.mark.parametrize("deed", ["allocate", "map"])
def test_a_driver_that_eats_memory(db, deed, at):
    if db.value("SHOW insync.connector_memory") == "0":
        pytest.skip("sanitizers need more address space than any limit would leave")
    order(db, misbehave=deed, at=at)
    failed(db, "out of memory|connector exited unexpectedly")


@pytest.mark.parametrize("at", ["connect", "fetch"])
@pytest.mark.parametrize("deed", ["print", "complain", "read-input", "surroundings", "fork"])
def test_a_driver_that_litters_is_read_all_the_same(db, driver_cluster, deed, at):
    """Junk on its standard output and error, reading the standard input, another locale, umask, directory and signal
    handlers, a child that stays: none of it reaches the rows, the log or the system."""
    order(db, misbehave=deed, at=at)
    size = driver_cluster.log_file.stat().st_size
    db.run("ventas")
    assert_target_is_right(db)
    assert driver_cluster.log_file.stat().st_size - size < 100_000


@pytest.mark.parametrize("at", PLACES)
def test_a_driver_that_closes_what_is_not_its_own(db, at):
    order(db, misbehave="close", at=at)
    failed(db, "connector exited unexpectedly")


def test_a_child_of_a_driver_that_hangs(db):
    order(db, misbehave="fork-and-hang", at="fetch")
    failed(db, "silent for")


def test_a_child_that_holds_the_pipe_of_a_driver_that_crashed(db):
    """The pipe stays open, so only the dead connector itself tells that nothing more will come."""
    order(db, "100s", misbehave="fork-and-crash", at="fetch")
    started = db.value("SELECT clock_timestamp()")
    failed(db, "signal 11")
    assert db.value("SELECT clock_timestamp()") - started < datetime.timedelta(seconds=60)


# --------------------------------------------------------------------------------------------------- lies about data


@pytest.mark.parametrize("value", ["invalid-utf8", "nul"])
def test_texts_that_are_none_are_mended(db, value):
    order(db, misbehave="text", value=value)
    db.run("ventas")
    assert "�" in db.value("SELECT nombre FROM ventas WHERE id = 3")


@pytest.mark.parametrize(
    "orders, column",
    [
        ({"misbehave": "text", "value": "number"}, "total"),
        ({"misbehave": "date", "value": "month"}, "dia"),
        ({"misbehave": "date", "value": "year"}, "hecho"),
        ({"misbehave": "date", "value": "hour"}, "hecho"),
        ({"misbehave": "indicator", "value": 2**31}, "nombre"),
        ({"misbehave": "indicator", "value": 2**63 - 1}, "nombre"),
        ({"misbehave": "endless-chunks"}, "nombre"),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values()) if isinstance(value, dict) else value,
)
def test_one_impossible_value_costs_one_row(db, orders, column):
    db.execute("DELETE FROM insync.error")
    order(db, **orders)
    assert db.run("ventas")["rejected"] == 1
    assert [number for number, *_ in rows(db)] == [number for number in range(1, ROWS + 1) if number != 3]
    (error,) = db.errors("ventas")
    assert (error["column_name"], error["record"]["id"]) == (column, "3")


@pytest.mark.parametrize("length", [-3, -(2**63)])
def test_an_impossible_length_ends_the_run(db, length):
    order(db, misbehave="indicator", value=length)
    failed(db, f"a value of {length} bytes", "nombre")


@pytest.mark.parametrize(
    "orders, words",
    [
        ({"misbehave": "row-count"}, "more rows than it was asked for"),
        ({"misbehave": "same-key"}, "order"),
        ({"misbehave": "unordered"}, "order"),
        ({"misbehave": "columns", "value": 0}, "has no columns"),
        ({"misbehave": "columns", "value": 1700}, "1700 columns.*1600"),
        ({"misbehave": "columns", "value": 32767}, "32767 columns.*1600"),
        ({"misbehave": "error", "at": "catalog"}, "out of memory or of ideas"),
        ({"misbehave": "error", "at": "execute", "value": "long"}, "out of memory or of ideas"),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values()) if isinstance(value, dict) else "",
)
def test_a_lie_about_the_whole_ends_the_run(db, orders, words):
    order(db, **orders)
    failed(db, words)


def test_diagnostics_without_an_end(db):
    """The driver manager itself collects them; that the connector dies or is killed for it is all that can be had."""
    order(db, misbehave="error", at="execute", value="endless")
    failed(db, "the connector")
