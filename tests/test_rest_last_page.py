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


MORE = {
    "a sign": ({"has_more": True}, {"params": {"offset": "{offset}"}}),
    "a total": ({"total": 9}, {"params": {"page": "{page}"}, "total_path": "/total"}),
    "a token": ({"has_more": True, "next": "abc"}, {"params": {"after": "[[{page_token}]]"}, "paging": "token", "next_path": "/next"}),
}


@pytest.mark.parametrize("status, more", [(204, {}), (404, {"on_status": '{"404": "empty"}'})])
@pytest.mark.parametrize("said, options", MORE.values(), ids=MORE)
def test_an_answer_without_content_does_not_end_pages_that_go_on(db, api, said, options, status, more):
    """The page before it says that there are more; a full read would take what is missing for deleted."""
    cut = []

    def tell(request):
        if request.query in ({"offset": "0"}, {"page": "1"}, {}):
            return {"items": rows(0, 5), **said}
        return Response(status) if cut else {"items": rows(int(request.query.get("offset", 5)), 9), "has_more": False}

    api.tell = tell
    create(db, api, rows_path="/items", **options, **more)
    assert db.run("items")["inserted"] == 9
    cut.append(True)
    db.execute("SELECT sync_alter('items', '{\"deletes\": \"hard\", \"max_retries\": 0}')")
    run = db.run("items", expect="failed")
    assert "page 2 of the source has no content" in run["message"] and str(status) in run["message"], run["message"]
    assert db.value("SELECT count(*) FROM items") == 9
    cut.clear()
    assert db.run("items")["deleted"] == 0


@pytest.mark.parametrize("options", [
    {"params": {"page": "{page}"}}, {"params": {"after": "[[{last_key}]]"}, "paging": "last_key"},
    {"paging": "link_header"}, {"params": {"after": "[[{page_token}]]"}, "paging": "token", "next_path": "/next"},
], ids=lambda options: options.get("paging", str(options["params"]) if "params" in options else ""))  # fmt: skip
def test_an_answer_without_content_ends_pages_that_nothing_says_go_on(db, api, options):
    def tell(request):
        if request.query in ({}, {"page": "1"}):
            body = json.dumps({"items": rows(0, 5), "next": "abc"}).encode()
            return Response(body=body, headers={"Link": '</items?p=2>; rel="next"'})
        return Response(204)

    api.tell = tell
    create(db, api, rows_path="/items", **options)
    assert db.run("items")["inserted"] == 5
    assert len({json.dumps(request.query) for request in api.requests}) == 2, "the page behind the first was asked for"
