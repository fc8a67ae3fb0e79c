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


def pages_of(request, **more):
    """500 of 2,500 rows behind a cursor."""
    first = int(request.query.get("cursor", "c0")[1:])
    return {"items": rows(first, first + 500)} | ({"next_cursor": f"c{first + 500}"} if first < 2000 else {}) | more


LOST = {
    "a misspelled next_path": ({"paging": "token", "next_path": "/next_curser", "params": {"cursor": "[[{page_token}]]"}}, pages_of),
    "a misspelled next_path beside a total": (
        {"paging": "token", "next_path": "/more", "params": {"cursor": "[[{page_token}]]"}},
        lambda request: {"items": rows(0, 499), "total": 2500, "cursors": {"x": "c1"}},
    ),
    "a wrong path to a link": (
        {"paging": "next_url", "next_path": "/links/next"}, lambda request: {"items": rows(0, 499), "paging": {"next": "/items?cursor=c500"}},
    ),
    "a wrong path and a full page": ({"paging": "next_url", "next_path": "/links/next"}, lambda request: {"items": rows(0, 500), "seq": "abc"}),
    "no Link header": ({"paging": "link_header"}, lambda request: rows(0, 500)),
    "no Link header, and a total": (
        {"paging": "link_header"}, lambda request: Response(body=json.dumps(rows(0, 499)).encode(), headers={"X-Total-Count": "2500"}),
    ),
    "a sign of more and no token": (
        {"paging": "token", "next_path": "/next", "params": {"cursor": "[[{page_token}]]"}}, lambda request: {"items": rows(0, 499), "has_more": True},
    ),
    "a limit that is not the reason": (
        {"paging": "token", "next_path": "/next", "params": {"cursor": "[[{page_token}]]", "limit": "{limit}"}, "page_size": 499},
        lambda request: {"items": rows(0, min(int(request.query["limit"]), 499))},
    ),
}  # fmt: skip


@pytest.mark.parametrize("options, tell", LOST.values(), ids=LOST)
def test_a_continuation_that_is_not_found_ends_no_read(db, api, options, tell):
    api.tell = tell
    with pytest.raises(psycopg.Error, match="more pages") as error:
        create(db, api, **options)
    assert "paging" in error.value.diag.message_hint


@pytest.mark.parametrize("name", ["nextCursor", "continuation", "page_state", "somewhere", "where_to_go_on"])
@pytest.mark.parametrize("has_limit", [True, False])
def test_a_token_that_the_vendor_renames_fails_the_run(db, api, name, has_limit):
    api.tell = pages_of
    params = {"cursor": "[[{page_token}]]"} | ({"limit": "{limit}"} if has_limit else {})
    create(db, api, rows_path="/items", paging="token", next_path="/next_cursor", params=params)
    assert db.run("items")["inserted"] == 2500
    db.alter_stream("items", max_retries=0)
    api.tell = lambda request: {name if key == "next_cursor" else key: value for key, value in pages_of(request).items()}
    assert "more pages" in db.run("items", expect="failed")["message"]


def test_a_full_page_is_the_last_where_a_token_is_left_out_as_it_was_before(db, api):
    """Google and others leave it out on the last page, be it as full as the others."""
    api.tell = pages_of
    create(db, api, rows_path="/items", paging="token", next_path="/next_cursor", params={"cursor": "[[{page_token}]]"})
    assert db.run("items")["inserted"] == 2500
    api.tell = lambda request: {"items": rows(0, 500)}
    assert db.run("items")["rows_read"] == 500


def test_a_full_page_is_the_last_where_half_of_it_leads_on(db, api):
    """Nothing is known of the source yet; asked for less, it shows where its token would be."""

    def tell(request):
        size = int(request.query["limit"])
        return {"items": rows(0, min(size, 500))} | ({"next_cursor": "c"} if size < 500 else {})

    api.tell = tell
    create(db, api, rows_path="/items", paging="token", next_path="/next_cursor", params={"cursor": "[[{page_token}]]", "limit": "{limit}"})
    assert db.run("items")["inserted"] == 500


@pytest.mark.parametrize("count", [10, 20, 25, 30, 50, 100, 200, 250, 500, 1000])
def test_a_round_number_of_rows_may_be_a_first_page(db, api, count):
    api.tell = lambda request: rows(0, count)
    with pytest.raises(psycopg.Error, match="may have more pages") as error:
        create(db, api)
    assert "set paging to none" in error.value.diag.message_hint
    db.create_stream("items", "api", "items", key="id", options={"paging": "none"})
    assert db.run("items")["inserted"] == count


def test_a_round_number_is_none_once_the_source_has_sent_more(db, api):
    api.tell = lambda request: rows(0, 137)
    create(db, api)
    db.run("items")
    api.tell = lambda request: rows(0, 100)
    assert db.run("items")["rows_read"] == 100


def test_a_round_number_of_rows_fails_a_run(db, api):
    api.tell = lambda request: rows(0, 7)
    create(db, api)
    db.run("items")
    db.alter_stream("items", max_retries=0)
    api.tell = lambda request: rows(0, 100)
    assert "may have more pages" in db.run("items", expect="failed")["message"]


def test_children_in_a_round_number_are_all_where_another_parent_has_more(db, api):
    counts = {1: 10, 2: 12, 3: 3}

    def tell(request):
        if request.path == "/orders":
            return [{"id": id, "updated_at": f"2025-01-0{id}T00:00:00Z"} for id in counts]
        parent = int(request.path.split("/")[2])
        return rows(100 * parent, 100 * parent + counts[parent])

    api.tell = tell
    db.create_rest_server("api", api.url)
    options = {"parent": {"source": "orders", "key": "id", "watermark": "updated_at"}, "max_retries": 0}
    db.create_stream("lines", "api", "orders/{parent.id}/lines", target="lines", key="parent_id, id", options=options)
    assert db.run("lines")["inserted"] == 25
    counts.update({2: 10, 3: 10})
    db.create_stream("more", "api", "orders/{parent.id}/lines", target="more", key="parent_id, id", options=options)
    assert "may have more pages" in db.run("more", expect="failed")["message"]


def test_who_only_looks_sees_a_round_number_of_rows(db, api):
    api.tell = lambda request: rows(0, 100)
    db.create_rest_server("api", api.url)
    assert len(db.query("SELECT * FROM sync_preview('api', 'items')")) > 0
    assert len(db.query("SELECT * FROM sync_discover('api', 'items')")) == 1
