"""A source that says with a tag (ETag) that its answer is still the same."""

import datetime

import pytest
from harness import assert_equal_tables
from harness.rest import Plain, Table
from harness.rest.table import UTC

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def items():
    return Table("items", [{"id": id, "n": id, "updated_at": START + datetime.timedelta(hours=id)} for id in range(1, 21)])


@pytest.fixture
def server(db, items):
    with Plain(items) as server:
        server.etags = True
        db.create_rest_server("api", server.url)
        yield server


def check(db, items):
    assert_equal_tables([(row["id"], row["n"]) for row in items.rows()], db.query("SELECT id, n FROM items"))


WAYS = {
    "compared": {},
    "in order": {"watermark": "updated_at", "options": {"order": "asc", "params": {"since": "[[{since}]]", "sort": "updated_at,id"}}},
    "windows": {"watermark": "updated_at", "options": {"params": {"since": "[[{since}]]"}}},
}


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_is_still_the_same_is_not_sent_again(db, server, items, way):
    db.create_stream("items", "api", "items", target="items", key="id", **WAYS[way])
    for _ in range(2):  # the second request begins where the first one ended
        db.run("items")
    server.forget()
    for _ in range(3):
        run = db.run("items")
        assert run["rows_read"] == 0
    assert [request.status for request in server.requests] == [304] * 3
    assert sum(request.sent for request in server.requests) == 0
    check(db, items)
    items.update(3, n=300)
    items.insert(id=99, n=99)
    run = db.run("items")
    assert (run["inserted"], run["updated"]) == (1, 1)
    check(db, items)


def test_rows_that_vanish_give_another_answer(db, server, items):
    db.create_stream("items", "api", "items", target="items", key="id", options={"deletes": "hard"})
    db.run("items")
    items.delete(7)
    assert db.run("items")["deleted"] == 1
    check(db, items)
    server.forget()
    assert db.run("items")["deleted"] == 0
    assert server.requests[-1].status == 304


def test_a_run_that_failed_leaves_no_tag(db, server, items):
    """The rows of that answer are not in the table, so that it has to come again."""
    db.create_stream("items", "api", "items", target="items", key="id")
    db.execute("ALTER TABLE items ADD CONSTRAINT few CHECK (n < 5)")
    db.alter_stream("items", max_rejects=1)
    db.run("items", expect="failed")
    db.execute("ALTER TABLE items DROP CONSTRAINT few")
    assert db.run("items")["inserted"] == 20
    check(db, items)


def test_after_a_reset_all_is_compared_again(db, server, items):
    db.create_stream("items", "api", "items", target="items", key="id")
    db.run("items")
    db.execute("UPDATE items SET n = -1 WHERE id = 5")
    assert db.run("items")["rows_read"] == 0
    db.execute("SELECT sync_reset('items')")
    assert db.run("items")["updated"] == 1
    check(db, items)
