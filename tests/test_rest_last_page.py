"""Where a read ends: at the source's own sign, and with an error where there may be more that nobody asked for."""

import json

import psycopg
import pytest
from harness.rest import Response, Told


@pytest.fixture
def api():
    with Told() as server:
        yield server


def rows(first, end):
    return [{"id": number} for number in range(first, end)]


def create(db, api, **options):
    params = json.dumps(options.pop("params", {}))
    db.create_rest_server("api", api.url, params=params, **options)
    db.create_stream("items", "api", "items", key="id")


ONE_PAGE = {
    "a token": (lambda request: {"items": rows(0, 5), "next_cursor": "abc"}, {}, "has more pages"),
    "as many rows as were asked for": (lambda request: rows(0, 5), {"params": {"limit": "{limit}"}, "page_size": 5}, "may have more pages"),
    "a sign": (lambda request: {"items": rows(0, 5), "hasMore": True}, {}, "has more pages"),
    "a total": (lambda request: {"items": rows(0, 5), "total": 6}, {}, "has more pages"),
}


@pytest.mark.parametrize("tell, options, message", ONE_PAGE.values(), ids=ONE_PAGE)
def test_pages_that_no_option_asks_for_are_an_error(db, api, tell, options, message):
    api.tell = tell
    with pytest.raises(psycopg.Error, match=message) as error:
        create(db, api, **options)
    assert "Set paging and params" in error.value.diag.message_hint


@pytest.mark.parametrize("body, options", [
    (lambda: {"items": rows(0, 5), "next_cursor": "abc"}, {"paging": "none"}),
    (lambda: {"items": rows(0, 5), "next_cursor": "abc", "has_more": False}, {}),
    (lambda: rows(0, 5), {"paging": "none", "page_size": 5}),
    (lambda: rows(0, 4), {"page_size": 5}),
])  # fmt: skip
def test_one_page_can_be_all(db, api, body, options):
    api.tell = lambda request: body()
    create(db, api, params={"limit": "{limit}"}, **options)
    assert db.run("items")["inserted"] == len(body() if isinstance(body(), list) else body()["items"])


def test_a_member_that_is_called_total_ends_nothing(db, api):
    """It may be the page's; option total_path says what is."""

    def tell(request):
        page = rows(int(request.query["offset"]), 23)[:5]
        return {"items": page, "total": len(page)}

    api.tell = tell
    create(db, api, params={"offset": "{offset}"}, rows_path="/items")
    assert db.run("items")["inserted"] == 23


def test_a_page_that_is_missing_although_there_are_more_is_an_error(db, api):
    """Past the end some sources answer with status 404; before it, somebody on the way did."""
    gone = set()

    def tell(request):
        page = int(request.query["page"])
        if page in gone or page > 5:
            return Response(404)
        return {"items": rows(3 * page, 3 * page + 3), "has_more": page < 5}

    api.tell = tell
    create(db, api, params={"page": "{page}"}, rows_path="/items")
    gone.add(3)
    assert "404" in db.run("items", expect="failed")["message"]
    gone.clear()
    assert db.run("items")["inserted"] == 15


def test_a_page_with_room_for_one_row_is_not_the_last(db, api):
    """A source whose pages end after so many bytes: behind the row that shows where the read is, a large one has no room."""
    sizes = [1, 1, 1, 1, 9, 1, 1, 9, 9, 1]

    def tell(request):
        first = end = int(request.query["offset"])
        while end < len(sizes) and (end == first or sum(sizes[first : end + 1]) < 10):
            end += 1
        return {"items": rows(first, end), "hasMore": end < len(sizes)}

    api.tell = tell
    create(db, api, params={"offset": "{offset}"}, rows_path="/items")
    assert db.run("items")["inserted"] == len(sizes)


@pytest.mark.parametrize("parameters, is_next", [
    ('rel="next"', True), ("rel=next", True), ('rel="next last"', True), ('rel="prev next"', True), ('rel = "Next"', True),
    ('title="a; b"; rel=\'next\'; x=y', True), ('rel="nextish"', False), ('xrel="next"', False), ('rel="prev"', False), ("rel=", False),
])  # fmt: skip
def test_links_to_the_next_page(db, api, parameters, is_next):
    def tell(request):
        if "p" in request.query:
            return rows(1, 2)
        return Response(body=b'[{"id": 0}]', headers={"Link": f"</items?p=0>; rel=first, </items?p=2>; {parameters}, </>; rel=up"})

    api.tell = tell
    create(db, api)
    assert db.run("items")["inserted"] == 1 + is_next


@pytest.mark.parametrize("paging", ["offset", "last_key"])
def test_empty_pages_of_which_there_are_more_are_an_error(db, api, paging):
    api.tell = lambda request: {"items": [] if "after" in request.query or request.query.get("offset", "0") != "0" else rows(0, 5), "hasMore": True}
    params = {"offset": {"offset": "{offset}"}, "last_key": {"after": "[[{last_key}]]"}}[paging]
    with pytest.raises(psycopg.Error, match="brings nothing new"):
        create(db, api, params=params, rows_path="/items", paging=paging)
    assert len(api.requests) < 5


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500])
def test_a_status_that_stands_for_no_rows(db, api, status):
    answers = []
    api.tell = lambda request: answers.pop() if answers else rows(0, 5)
    create(db, api, on_status=json.dumps({str(status): "empty"}), retries=0)
    answers.append(Response(status, b"no such thing"))
    assert db.run("items")["rows_read"] == 0
    assert db.run("items")["inserted"] == 5
