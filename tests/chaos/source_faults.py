"""What breaks at the source, and between it and the connector."""

import contextlib
import sqlite3

from harness.rest import faults as api_faults

from .changes import now
from .faults import caught, fault

# The rest of the words are the drivers'.
LOST = (
    "08006",
    r"the connection to server .* was lost|could not connect to server|gave no answer within|stopped answering"
    r"|could not begin a transaction"
    r"|the connection to \S+ broke|could not reach",
)
# MariaDB's ODBC driver (3.1.15) reads through a null pointer in SQLExecDirect when the answer ends before its columns. That is
# what connectors are for: it costs the run, and says so.
DRIVER_CRASH = ("08006", r"connector exited unexpectedly \(signal 11")
SLOW = (
    "08006",
    r"the connector was silent|was too slow|stopped in the middle"
    r"|(?i:time.?out|timed out|canceling statement|max_statement_time|interrupted)",
)


def has_server(world, stream):
    return stream.source.has_server


def has_proxy(world, stream):
    return stream.source.proxy is not None


@fault("source killed and restarted", fails=(LOST,), fits=has_server)
def kill_source(world, stream):
    met = caught(world, stream)
    stream.source.kill()
    held = world.hold(0, 1)
    stream.source.restart()
    return f"{met}, down for {held}"


@fault("source file locked", fails=(("08006", "(?i)locked|busy|silent"), ("HV000", "(?i)locked|busy")),
       fits=lambda world, stream: not stream.source.has_server)  # fmt: skip
def lock_file(world, stream):
    met = caught(world, stream)
    try:
        release = stream.source.lock_out()
    except sqlite3.OperationalError as error:  # the reader holds it for longer than we wait
        return f"{met}, {error}"
    held = world.hold(0.5, 4.5)
    release()
    return f"{met}, for {held}"


@fault("connection cut", fails=(LOST,), fits=has_proxy)
def cut(world, stream):
    met = caught(world, stream)
    stream.source.proxy.cut()
    return met


@fault("connection cut in the middle of an answer", fails=(LOST, DRIVER_CRASH, ("HV000", "(?i)lost|malformed|packet")), fits=has_proxy)
def cut_after(world, stream):
    after = world.chance.choice((1, 20, 100, 1000, 5000, 20000))
    world.touch(stream)
    stream.source.proxy.cut(after)
    met = caught(world, stream)
    world.hold(0.2, 0.8)
    stream.source.proxy.cut_after = None
    stream.source.proxy.cut()
    return f"{met}, after {after} bytes"


@fault("connection refused", fails=(LOST,), fits=has_proxy)
def refuse(world, stream):
    met = caught(world, stream)
    stream.source.proxy.refuse()
    stream.source.proxy.cut()
    held = world.hold(0.3, 2)
    stream.source.proxy.refuse(False)
    return f"{met}, for {held}"


@fault("connection stalled", fails=(SLOW, LOST), fits=has_proxy)
def stall(world, stream):
    """For less or more than the time-out of a request."""
    met = caught(world, stream)
    stream.source.proxy.stall()
    held = world.hold(0.3, 6)
    stream.source.proxy.flow()
    return f"{met}, for {held}"


@fault("connection slow", fails=(SLOW,), fits=has_proxy)
def slow(world, stream):
    stream.source.proxy.throttle(rate := world.chance.choice((20_000, 100_000)))
    with contextlib.ExitStack() as mended:
        mended.callback(stream.source.proxy.throttle, None)
        met = caught(world, stream)
        world.hold(0.3, 2)
    return f"{met}, {rate} bytes a second"


# ------------------------------------------------------------------------------------------------------------- JSON APIs


def is_rest(world, stream):
    return stream.source.is_rest


def ill(world, stream, fault, every=1):
    """Each so-manieth request meets this for a while."""
    met = caught(world, stream)
    api = stream.source.api
    api.each(every, fault)
    with contextlib.ExitStack() as mended:
        mended.callback(api.each, 1, None)
        held = world.hold(0.3, 3)
    return f"{met}, for {held}"


@fault("API says: too many requests", fails=(("HV000", "status 429"),), fits=is_rest)
def storm(world, stream):
    """With a time to wait, which may be 0, or without."""
    wait = world.chance.choice((None, 0, 1))
    return f"{ill(world, stream, api_faults.storm(wait), world.chance.choice((1, 2, 5)))}, Retry-After {wait}"


@fault("API fails", fails=(("08006", "50[0-4]"),), fits=is_rest)
def server_error(world, stream):
    status = world.chance.choice((500, 502, 503, 504))
    return f"{ill(world, stream, api_faults.status(status), world.chance.choice((1, 2, 5)))}, status {status}"


@fault("API answers nonsense", fails=(("HV000", "(?i)json|utf-8|web page|no element of the array|levels"),), fits=is_rest)
def nonsense(world, stream):
    fault = world.chance.choice((api_faults.login_page, api_faults.truncated, api_faults.body("[1, 2, 3]"), api_faults.deep(10_000)))
    return ill(world, stream, fault, world.chance.choice((1, 2, 5)))


@fault("API cuts its answers", fails=(LOST,), fits=is_rest)
def cut_answer(world, stream):
    fault = api_faults.cut(world.chance.choice((0, 1, 500)), reset=world.chance.random() < 0.5)
    return ill(world, stream, fault, world.chance.choice((1, 3)))


@fault("rows of the far future", fits=lambda world, stream: stream.table == "sales")
def future(world, stream):
    """A row dated next year comes over, and doesn't take the watermark with it."""
    met = caught(world, stream)
    row = stream.source.changes.last_id["sales"]
    next_year = f"{int(now()[:4]) + 1}-01-01 00:00:00"
    with contextlib.suppress(Exception), stream.source.lock:
        stream.source.run([f"UPDATE sales SET changed = '{next_year}' WHERE id = {row}"])
    held = world.hold(0.2, 1)
    with stream.source.lock:
        stream.source.run([f"UPDATE sales SET changed = '{now()}' WHERE changed = '{next_year}'"])
    return f"{met}, for {held}"
