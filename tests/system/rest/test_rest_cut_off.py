"""Sources that end the pages of a request after so many rows, whatever they have (option max_results)."""

import datetime
import re

import pytest
from harness import assert_equal_tables
from harness.rest import Plain, ShopifyRest, Table
from harness.rest.table import UTC

START = datetime.datetime(2024, 1, 1, tzinfo=UTC)
HOUR = datetime.timedelta(hours=1)
SECOND = datetime.timedelta(seconds=1)
CURSOR = {"paging": "token", "next_path": "/next_cursor", "rows_path": "/data/items"}
IN_ORDER = {"order": "asc", "params": {"since": "[[{since}]]", "sort": "updated_at,id", "cursor": "[[{page_token}]]"}}
WINDOWS = {"params": {"since": "[[{since}]]", "until": "[[{until}]]", "cursor": "[[{page_token}]]"}}


def rows(times):
    return [{"id": id, "n": id % 7, "updated_at": time} for id, time in enumerate(times, 1)]


def uneven():
    """Years with little and an hour with much."""
    return [START + 100 * number * HOUR for number in range(120)] + [START + 9 * HOUR + number * SECOND for number in range(300)]


def check(db, table):
    assert_equal_tables([(row["id"], row["n"]) for row in table.rows()], db.query("SELECT id, n FROM items"))


@pytest.fixture
def items():
    return Table("items", rows(uneven()), changed="updated_at")


@pytest.fixture
def plain(db, items):
    with Plain(items, shape="envelope", cap=10) as server:
        server.deepest = 50
        db.create_rest_server("api", server.url, page_size="10")
        yield server


@pytest.mark.parametrize("options", [WINDOWS, IN_ORDER], ids=["windows", "in order"])
def test_such_a_request_is_asked_again_in_parts(db, items, plain, options):
    db.create_stream("items", "api", "items", key="id", watermark="updated_at", options=CURSOR | options | {"max_results": 50})
    run = db.run("items")
    check(db, items)
    assert run["inserted"] == 420 and run["rejected"] == 0
    later = START + 600 * 24 * HOUR
    for id in range(1, 200):
        items.update(id, n=100, updated_at=later + id * HOUR / 60)
    plain.forget()
    run = db.run("items")
    check(db, items)
    assert run["updated"] == 199
    assert all(request.query["since"] >= "2025-05-10" for request in plain.requests if "since" in request.query), "from where it was"


def test_without_the_option_rows_are_missing(db, items, plain):
    """The control: the source hides them without a word."""
    db.create_stream("items", "api", "items", key="id", watermark="updated_at", options=CURSOR | WINDOWS)
    assert db.run("items")["inserted"] == 50


@pytest.mark.parametrize(
    "options, message",
    [
        ({"params": {"cursor": "[[{page_token}]]"}}, "50 rows of a request.*asked for all"),
        ({"params": {"since": "[[{since}]]", "cursor": "[[{page_token}]]"}}, "50 rows of a request.*windows of time"),
        ({"order": "desc", "params": {"sort": "-updated_at", "cursor": "[[{page_token}]]"}}, "50 rows of a request.*None of them"),
    ],
    ids=["all", "no end", "newest first"],
)
def test_what_can_not_be_asked_in_parts_is_a_clear_error(db, plain, options, message):
    db.create_stream("items", "api", "items", key="id", watermark="updated_at", options=CURSOR | options | {"max_results": 50})
    assert re.search(message, db.run("items", expect="failed")["message"], re.DOTALL)


@pytest.mark.parametrize("options", [WINDOWS, IN_ORDER], ids=["windows", "in order"])
def test_more_rows_in_a_second_than_the_source_shows_is_a_clear_error(db, options):
    table = Table("items", rows([START] * 70 + [START + HOUR]), changed="updated_at")
    with Plain(table, shape="envelope", cap=10) as server:
        server.deepest = 50
        db.create_rest_server("api", server.url, page_size="10")
        db.create_stream("items", "api", "items", key="id", watermark="updated_at", options=CURSOR | options | {"max_results": 50})
        assert "50 rows of a request" in db.run("items", expect="failed")["message"]
        assert "2024-01-01T01" not in str(db.value("SELECT position::text FROM insync.watermark")), "nothing is passed over"


def test_shopify_shows_25_000_objects_of_a_request(db, monkeypatch):
    """Fifty here, of which the preset is told."""
    monkeypatch.setattr(ShopifyRest, "deepest", 50)
    table = Table("orders", rows(uneven()), changed="updated_at")
    with ShopifyRest(table, pace=1000) as server:
        db.create_rest_server("shop", server.base_url, credentials={"token": server.token}, preset="shopify_rest", rate="1000/s",
                              page_size="10", max_results="50")  # fmt: skip
        db.create_stream("items", "shop", "orders", target="items", key="id", watermark="updated_at")
        db.run("items")
        check(db, table)
