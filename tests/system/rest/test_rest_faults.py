"""Servers of JSON that are ill, overloaded or wicked: each fault has its clear error, no row is lost, and the next run goes on."""

import datetime
import re

import pytest
from harness import assert_equal_tables
from harness.rest import ClientCredentials, Plain, Table, basic, faults
from harness.rest.table import UTC
from harness.secrets import PASSWORD

ROWS = 400
START = datetime.datetime(2025, 1, 1, tzinfo=UTC)
SERVER = {"auth": "basic", "timeout": "60 s", "stall_timeout": "60 s", "max_response": "1 MB"}
# For servers that say nothing more. To others a busy machine may not give this time.
IMPATIENT = {"timeout": "3 s", "stall_timeout": "1 s"}
# Rows in no order, in a window that counts only as a whole; and rows in their order, where each page counts.
WINDOWS = {
    "params": {"since": "[[{since:iso_ms}]]", "until": "[[{until:iso_ms}]]", "cursor": "[[{page_token}]]", "limit": "{limit}"},
    "rows_path": "/data/items", "paging": "token", "next_path": "/next_cursor", "page_size": 50,
}  # fmt: skip
IN_ORDER = {
    "params": {"since": "[[{since:iso_ms}]]", "sort": "updated_at,id", "offset": "{offset}", "limit": "{limit}"},
    "rows_path": "/data/items", "order": "asc", "paging": "keyset", "page_size": 50, "batch_rows": 50,
}  # fmt: skip
LINKS = {
    "params": {"since": "[[{since:iso_ms}]]", "until": "[[{until:iso_ms}]]", "limit": "{limit}"},
    "rows_path": "/data/items", "paging": "next_url", "next_path": "/next", "page_size": 50,
}  # fmt: skip


class Shop:
    """A plain server of `items`, and the stream `s` that reads it."""

    def __init__(self, db):
        self.db = db
        self.table = Table("items", [self.row(id) for id in range(1, ROWS + 1)])
        self.server = Plain(self.table, shape="envelope")
        self.server.auth = basic("etl", PASSWORD)

    @staticmethod
    def row(id):
        then = START + datetime.timedelta(minutes=id // 3)
        return {"id": id, "name": f"café {id}", "quantity": 2**53 + id, "updated_at": then}

    def define(self, stream=WINDOWS, credentials=None, **server):
        credentials = credentials or {"user": "etl", "password": PASSWORD}
        self.db.create_rest_server("api", self.server.url, credentials, **(SERVER | server))
        self.db.create_stream("s", "api", "items", target="s", key="id", watermark="updated_at", options={"max_retries": 0} | stream)

    def change(self):
        """Something for the next run, too."""
        self.table.insert(self.row(len(self.table) + 1) | {"updated_at": datetime.datetime.now(UTC)})
        self.table.update(7, name="changed meanwhile")

    def check(self, *without):
        found = self.db.query("SELECT id, name, quantity, updated_at FROM s")
        rows = [row for row in self.table.rows() if row["id"] not in without]
        expected = [(row["id"], row["name"], row["quantity"], milliseconds(row["updated_at"])) for row in rows]
        assert_equal_tables(expected, found)


def milliseconds(moment):
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@pytest.fixture
def shop(db):
    shop = Shop(db)
    with shop.server:
        yield shop


FATAL = {
    "500": (faults.status(500), "answered with status 500"),
    "401": (faults.status(401), "answered with status 401"),
    "403": (faults.status(403), "answered with status 403"),
    "404": (faults.status(404), "answered with status 404"),
    "429": (faults.storm(), "answered with status 429"),
    "429 for a day": (faults.storm(86400), "answered with status 429"),
    "429 until a date": (faults.storm(86400, as_date=True), "answered with status 429"),
    "cut in the body": (faults.cut(), "connection to 127.0.0.1:[0-9]+ broke"),
    "reset in the body": (faults.cut(10, reset=True), "connection to 127.0.0.1:[0-9]+ broke"),
    "no answer, twice": (faults.hang_up, "connection to 127.0.0.1:[0-9]+ broke"),
    "stall in the body": (faults.stall(), "stopped in the middle"),
    "silence": (faults.silence, "stopped in the middle"),
    "drip": (faults.drip(), "too slow"),
    # What wrong bytes unpack to depends on them: nothing, or a text that is none of JSON or has no end.
    "bad gzip": (faults.bad_gzip, "cannot be unpacked|not valid JSON|ends in the middle|broke"),
    "wrong checksum": (faults.wrong_checksum, "cannot be unpacked|broke"),
    "zip bomb": (faults.bomb(64 << 20), "larger than allowed"),
    "huge": (faults.huge(64 << 20), "larger than allowed"),
    "login page": (faults.login_page, "web page"),
    "plain text": (faults.body("not today", "text/plain"), "JSON"),
    "truncated": (faults.truncated, "ends"),
    "nothing at all": (faults.body(""), "empty|JSON"),
    "10 000 levels": (faults.deep(), "items|rows"),
    "a million levels": (faults.body("[" * 1_000_000), "level|nest|deep|ends|JSON"),
    "rows that are no objects": (faults.rewrite(lambda content: content | {"data": {"items": [1, 2]}}), "object"),
    "rows that are no array": (faults.rewrite(lambda content: content | {"data": {"items": 5}}), "items"),
    "two sets of rows": (faults.duplicate_in_envelope, "twice"),
    "redirect to another server": (faults.redirect("http://127.0.0.2:1/items"), "redirects to another server"),
    "redirect to a file": (faults.redirect("file:///etc/passwd"), "not an http or https"),
    "redirect in a circle": (None, "redirects in a loop"),
}


def patience(name):
    return IMPATIENT if "stall" in name or "silence" in name else {}


@pytest.mark.parametrize("name", FATAL)
def test_a_fault_ends_the_run_with_a_clear_error_and_the_next_goes_on(shop, name):
    fault, message = FATAL[name]
    # A kept connection that is found closed is no fault, so that one has to be closed anew.
    times = 6 if fault is None else 2 if fault is faults.hang_up else 1
    shop.define(**patience(name))
    shop.db.alter_stream("s", retries=0)
    shop.server.next(faults.regular, faults.regular, faults.regular, *[fault or faults.redirect_loop] * times)
    run = shop.db.run("s", expect="failed")
    assert re.search(message, run["message"]), run["message"]
    assert "s3cr3t" not in run["message"]
    assert not shop.server.faults, "the fault was met"
    shop.change()
    run = shop.db.run("s")
    shop.check()
    assert run["rejected"] == 0


@pytest.mark.parametrize("name", ["cut in the body", "stall in the body", "500", "truncated"])
def test_rows_in_their_order_are_kept_up_to_the_fault(shop, name):
    fault, _ = FATAL[name]
    shop.define(IN_ORDER, **patience(name))
    shop.db.alter_stream("s", retries=0)
    shop.server.next(faults.regular, faults.regular, faults.regular, fault)
    shop.db.run("s", expect="failed")
    kept = shop.db.value("SELECT count(*) FROM s")
    shop.change()
    shop.server.forget()
    shop.db.run("s")
    shop.check()
    assert kept > 0
    assert len(shop.server.requests) < ROWS / 50 + 1, "it didn't begin at the beginning"


ABSORBED = {
    "429 storm": [faults.storm()] * 3,
    "429 storm, Retry-After 0": [faults.storm(0)] * 3,
    "429 storm, a second": [faults.storm(1)] * 2,
    "429 storm, a date": [faults.storm(1, as_date=True)] * 2,
    "500s": [faults.status(500), faults.status(502), faults.status(503, Retry_After="1"), faults.status(504)],
    "408 and 425": [faults.status(408), faults.status(425)],
    "lost connections": [faults.cut(), faults.hang_up, faults.cut(5, reset=True)],
    "stall": [faults.stall()],
    "packed": [faults.gzip],
}


@pytest.mark.parametrize("name", ABSORBED)
def test_what_passes_is_waited_for(shop, name):
    shop.define(**patience(name))
    shop.server.next(faults.regular, faults.regular, *ABSORBED[name])
    run = shop.db.run("s")
    shop.check()
    assert (run["inserted"], run["rejected"]) == (ROWS, 0)
    assert not shop.server.faults


def test_every_third_request_fails(shop):
    shop.define()
    shop.server.each(3, faults.status(503))
    shop.db.run("s")
    shop.check()


IN_ROWS = {
    "a member twice": (faults.duplicate_in_row, "twice"),
    "10 000 levels in a row": (faults.deep(in_row=True), "level|nest|deep"),
}


@pytest.mark.parametrize("name", IN_ROWS)
def test_a_row_that_cant_be_read_is_rejected_alone(shop, name):
    fault, message = IN_ROWS[name]
    shop.define({"new_columns": "ignore"} | WINDOWS)
    shop.server.next(faults.regular, faults.regular, fault)
    run = shop.db.run("s")
    assert run["rejected"] == 1
    (error,) = shop.db.errors("s")
    assert re.search(message, error["message"]), error["message"]
    present = {id for (id,) in shop.db.query("SELECT id FROM s")}
    (missing,) = set(range(1, ROWS + 1)) - present
    shop.check(missing)
    shop.table.update(missing, name="well again")
    shop.db.run("s")
    shop.check()


def test_text_that_is_no_utf8_is_replaced(shop):
    shop.define()
    shop.server.next(faults.regular, faults.regular, faults.invalid_utf8)
    shop.db.run("s")
    replaced = shop.db.query("SELECT name FROM s WHERE name LIKE %s", "%\ufffd%")
    assert replaced == [("caf\ufffd",)]
    assert shop.db.value("SELECT count(*) FROM s") == ROWS


def test_a_token_that_ends_in_the_middle_of_a_run_is_renewed(shop):
    shop.server.auth = ClientCredentials("etl", PASSWORD)
    shop.define(auth="oauth2", credentials={"client_id": "etl", "client_secret": PASSWORD})
    shop.server.each(3, faults.expire_tokens)
    shop.db.run("s")
    shop.check()
    assert shop.server.auth.issued > 2


def test_a_token_that_is_refused_is_an_error_that_keeps_the_secret(shop):
    shop.server.auth = ClientCredentials("etl", PASSWORD)
    shop.define(auth="oauth2", credentials={"client_id": "etl", "client_secret": PASSWORD}, token_body="form")
    shop.db.run("s")
    shop.server.auth.client_secret = "another"
    shop.server.auth.expire()
    run = shop.db.run("s", expect="failed")
    assert "token endpoint gave no token" in run["message"]
    told = str(shop.db.query("SELECT * FROM insync.run")) + str(shop.db.query("SELECT * FROM sync_status('s')"))
    assert "s3cr3t" not in told


def test_a_next_link_to_another_server_takes_no_credentials_there(shop):
    other = Plain(shop.table, shape="envelope")
    with other:
        shop.define(LINKS)
        shop.server.next(faults.regular, faults.next_link(f"{other.url}/items?limit=50"))
        run = shop.db.run("s", expect="failed")
        assert "credentials to another server" in run["message"]
        assert other.requests == []
    shop.db.run("s")
    shop.check()


@pytest.mark.parametrize("stream", [WINDOWS, IN_ORDER, LINKS], ids=["token", "in order", "next link"])
def test_endless_pages_are_an_error(shop, stream):
    shop.define(stream)
    shop.server.next(faults.regular)
    shop.server.each(1, faults.same_page())
    run = shop.db.run("s", expect="failed")
    assert re.search("nothing new|a loop", run["message"]), run["message"]
    assert len(shop.server.requests) < 30
    shop.server.each(1, None)
    shop.change()
    shop.db.run("s")
    shop.check()


def test_a_server_that_is_gone_comes_back(shop):
    shop.define()
    shop.db.alter_stream("s", retries=0)
    shop.server.close()
    run = shop.db.run("s", expect="failed")
    assert "could not reach 127.0.0.1" in run["message"]
    shop.server.start()
    shop.db.run("s")
    shop.check()


@pytest.mark.parametrize("stream", [WINDOWS, IN_ORDER, LINKS], ids=["token", "in order", "next link"])
def test_a_load_of_many_batches_that_fails_goes_on(shop, stream):
    shop.define(stream | {"batch_rows": 70})
    shop.db.alter_stream("s", retries=0)
    shop.server.next(*[faults.regular] * 5, faults.cut())
    shop.db.run("s", expect="failed")
    shop.change()
    shop.db.run("s")
    shop.check()


def test_an_api_that_can_only_be_compared_goes_on(shop):
    """Without a parameter for changes each run reads everything; one that fails has lost nothing."""
    shop.define({"params": {"offset": "{offset}", "limit": "{limit}"}, "rows_path": "/data/items", "page_size": 50, "batch_rows": 70})
    shop.db.alter_stream("s", retries=0)
    shop.server.next(*[faults.regular] * 5, faults.cut())
    shop.db.run("s", expect="failed")
    shop.change()
    shop.db.run("s")
    shop.check()
    assert shop.db.counts(shop.db.run("s"))[:2] == (0, 0)
