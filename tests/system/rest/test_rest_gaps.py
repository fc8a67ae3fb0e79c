"""Rows that shift to other pages while a read pages: what it didn't see is not deleted while it is there."""

import datetime

import pytest
from harness import assert_equal_tables
from harness.rest import Plain, Table
from harness.rest.table import UTC

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)
PAGES = {
    "page": {"params": {"page": "{page}", "limit": "{limit}"}},
    "link header": {"params": {"limit": "{limit}", "offset": ""}, "paging": "link_header"},
    "token": {"params": {"limit": "{limit}", "cursor": "[[{page_token}]]"}, "paging": "token", "next_path": "/next_cursor", "rows_path": "/data/items"},
    "offset": {"params": {"limit": "{limit}", "offset": "{offset}"}},
    "last key": {"params": {"limit": "{limit}", "after": "[[{last_key}]]"}, "paging": "last_key"},
}  # fmt: skip


class Shifting(Plain):
    """Cursors and links are offsets in disguise, as in many APIs, and nothing tells a total unless it is asked to."""

    has_total = False
    deletes = ()

    @staticmethod
    def _cursor(key):
        return str(key)

    def _envelope(self, request, table, rows, page, more):
        place = rows.index(page[-1]) + 1 if more else None
        return {"data": {"items": page}, "next_cursor": str(place) if more else None}

    def _next(self, request, key, limit):
        place = int(request.query.get("cursor") or 0) + limit
        return f"{self.url}{request.path}?cursor={place}&limit={limit}"

    def _page(self, request, rows, table):
        if request.query.get("cursor"):
            request.pairs = [(name, value) for name, value in request.pairs if name != "cursor"] + [("offset", request.query["cursor"])]
            at = request.query["offset"]
            response = super()._page(request, rows, table)
            if "Link" in response.headers:
                response.headers["Link"] = f'<{self.url}{request.path}?cursor={int(at) + 20}&limit=20>; rel="next"'
        else:
            response = super()._page(request, rows, table)
        if not self.has_total:
            del response.headers["X-Total-Count"]
        if self.deletes and len(self.requests) in self.deletes:
            table.delete(*self.deletes.pop(len(self.requests)))
        return response


@pytest.fixture
def table():
    return Table("items", [{"id": id, "n": id % 7, "updated_at": START + datetime.timedelta(minutes=id)} for id in range(1, 201)])


def check(db, table):
    assert_equal_tables([(row["id"], row["n"]) for row in table.rows()], db.query("SELECT id, n FROM items"))


@pytest.mark.parametrize("mode", ["keys", "full"])
@pytest.mark.parametrize("name", PAGES)
def test_neighbours_of_deleted_rows_stay(db, table, name, mode):
    """Five rows of the pages behind are deleted while they are read, and five others move past the reader."""
    shape = "envelope" if name == "token" else "array"
    with Shifting(table, shape=shape, cap=20) as server:
        db.create_rest_server("api", server.url, page_size="20")
        options = PAGES[name] | {"deletes": "hard", "max_deletes": "50"}
        db.create_stream("items", "api", "items", key="id", watermark="updated_at", options=options)
        db.run("items")
        server.forget()
        server.deletes = {2: [3, 4, 5], 4: [6, 7]}
        run = db.run("items", mode)
        assert not server.deletes, "they were deleted while rows were read"
        left = {id for id, _ in db.query("SELECT id, n FROM items")}
        assert {row["id"] for row in table.rows()} <= left, run
        assert left - {row["id"] for row in table.rows()} <= {3, 4, 5, 6, 7}
        db.run("items", mode)
        check(db, table)


def test_a_total_that_stands_makes_a_second_read_unnecessary(db, table):
    with Shifting(table, cap=20) as server:
        server.has_total = True
        db.create_rest_server("api", server.url, page_size="20")
        db.create_stream("items", "api", "items", key="id", watermark="updated_at", options=PAGES["page"] | {"deletes": "hard"})
        db.run("items")
        table.delete(8)
        server.forget()
        assert db.run("items", "keys")["deleted"] == 1
        assert len(server.requests) <= 11
        check(db, table)


def test_pages_that_are_said_to_be_stable_are_read_once(db, table):
    with Shifting(table, cap=20) as server:
        db.create_rest_server("api", server.url, page_size="20", stable_pages="true")
        db.create_stream("items", "api", "items", key="id", watermark="updated_at", options=PAGES["link header"] | {"deletes": "hard"})
        db.run("items")
        table.delete(8)
        server.forget()
        assert db.run("items", "keys")["deleted"] == 1
        assert len(server.requests) == 10
        check(db, table)


def test_rows_that_are_gone_in_both_reads_are_deleted(db, table):
    with Shifting(table, cap=20) as server:
        db.create_rest_server("api", server.url, page_size="20")
        db.create_stream("items", "api", "items", key="id", watermark="updated_at", options=PAGES["link header"] | {"deletes": "hard"})
        db.run("items")
        table.delete(8, 9, 150)
        server.forget()
        assert db.run("items", "keys")["deleted"] == 3
        assert len(server.requests) == 20
        check(db, table)
