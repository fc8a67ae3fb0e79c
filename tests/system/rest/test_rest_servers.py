"""The servers that stand in for JSON APIs keep the contracts that the tests of REST sources rely on, the unpleasant parts first."""

import base64
import datetime
import decimal
import gzip
import http.client
import json
import urllib.parse

import pytest
from harness.rest import (
    ClientCredentials, Directus, GitHub, NocoDB, OData, Ords, Plain, PostgREST, ShopifyGraphql, ShopifyRest, Stripe, Table, Window,
    WordPress, faults, npm,
)  # fmt: skip
from harness.rest.table import UTC

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)


def rows(count, **more):
    """Three rows a second, so that there are ties."""
    times = [START + datetime.timedelta(seconds=id // 3, microseconds=123456) for id in range(count + 1)]
    return [{"id": id, "name": f"row {id}", "updated_at": times[id], **more} for id in range(1, count + 1)]


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)


def get(server, path, headers={}, method="GET", body=None, **parameters):
    """One request on a connection of its own; `path` is relative to the server's base_url, or a whole URL, or begins with /."""
    url = urllib.parse.urljoin(getattr(server, "base_url", server.url + "/"), path)
    parts = urllib.parse.urlsplit(url)
    query = "&".join(filter(None, [parts.query, urllib.parse.urlencode(parameters)]))
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        connection.request(method, parts.path + ("?" + query if query else ""), body, headers)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def next_of(answer):
    """The next link of a Link header, or None."""
    for part in (answer.headers["Link"] or "").split(", "):
        if 'rel="next"' in part:
            return part[part.index("<") + 1 : part.index(">")]
    return None


def ids(found):
    return [row["id"] for row in found]


# ------------------------------------------------------------------------------------------------------------ the plain one


@pytest.mark.parametrize("kind", ["offset", "page", "cursor", "after", "link"])
def test_plain_pages_hold_each_row_once(kind):
    with Plain(Table("items", rows(250)), shape="envelope", cap=100) as server:
        found, asked = [], {"limit": 1000}
        while True:
            answer = get(server, "items", **asked)
            content = answer.json
            found += ids(content["data"]["items"])
            if not content["has_more"]:
                break
            asked = {
                "offset": {"limit": 1000, "offset": len(found)}, "page": {"limit": 100, "page": len(found) // 100 + 1},
                "cursor": {"limit": 1000, "cursor": content["next_cursor"]}, "after": {"limit": 1000, "after": found[-1]},
                "link": dict(urllib.parse.parse_qsl((next_of(answer) or "?").partition("?")[2])),
            }[kind]  # fmt: skip
        assert found == list(range(1, 251)) and len(server.requests) == 3


def test_plain_filters_deletes_children_and_tags():
    table = Table("items", rows(30))
    lines = Table("lines", [{"id": id, "items_id": id % 5, "updated_at": START} for id in range(1, 21)])
    with Plain(table, lines) as server:
        server.etags = True
        assert ids(get(server, "items", since="2025-01-01T00:00:10Z").json) == [30]
        assert ids(get(server, "items", sort="-id", limit=2).json) == [30, 29]
        assert ids(get(server, "items/3/lines").json) == [3, 8, 13, 18] and get(server, "items/99/lines").status == 404
        table.delete(7)
        assert ids(get(server, "items/deleted").json) == [7] and 7 not in ids(get(server, "items").json)
        tag = get(server, "items").headers["ETag"]
        assert get(server, "items", {"If-None-Match": tag}).status == 304
        table.update(8, name="new")
        assert get(server, "items", {"If-None-Match": tag}).status == 200
        server.tombstones = True
        assert [row["id"] for row in get(server, "items").json if row["deleted"]] == [7]


def test_numbers_keep_their_digits():
    with Plain(Table("items", [{"id": 9007199254740993, "n": decimal.Decimal("12345678901234567890.12")}], changed=None)) as server:
        assert get(server, "items").body == b'[{"id":9007199254740993,"n":12345678901234567890.12}]'


# -------------------------------------------------------------------------------------------------------------------- ORDS


def test_ords_has_no_order_of_its_own():
    with Ords(Table("items", rows(200)), seed=1) as server:
        pages = [get(server, "items/", limit=100).json for _ in range(3)]
        assert len({tuple(ids(page["items"])) for page in pages}) == 3
        assert pages[0]["hasMore"] and pages[0]["count"] == 100 and {"self", "next"} <= {link["rel"] for link in pages[0]["links"]}
        only_time = {tuple(ids(get(server, "items/", limit=100, q='{"$orderby":{"updated_at":"ASC"}}').json["items"])) for _ in range(3)}
        assert len(only_time) == 3, "equals always come in one order"
        total = get(server, "items/", limit=100, q='{"$orderby":{"updated_at":"DESC","id":"ASC"}}').json["items"]
        assert ids(total)[:5] == [198, 199, 200, 195, 196]


def test_ords_limits_filters_and_past_states():
    table = Table("items", rows(600))
    with Ords(table, cap=200) as server:
        assert get(server, "items/").json["limit"] == 25
        assert get(server, "items/", limit=5000).json["count"] == 200
        for time in ('{"$date":"2025-01-01T00:03:19Z"}', '"2025-01-01T00:03:19Z"'):
            assert sorted(ids(get(server, "items/", q='{"updated_at":{"$gte":%s}}' % time).json["items"])) == [597, 598, 599, 600]
        either = '{"$or":[{"id":{"$lt":3}},{"$and":[{"id":{"$gt":10}},{"id":{"$lte":11}}]}]}'
        assert sorted(ids(get(server, "items/", q=either).json["items"])) == [1, 2, 11]
        before = datetime.datetime.now(UTC)
        table.delete(1)
        table.update(2, name="new")
        past = get(server, "items/", q='{"id":{"$lt":3},"$asof":{"$date":"%s"}}' % before.isoformat()).json["items"]
        assert {row["id"]: row["name"] for row in past} == {1: "row 1", 2: "row 2"}
        assert get(server, "items/", q='{"updated_at":{"$gte":{"$date":"yesterday"}}}').status == 400
        server.plain_dates = False
        assert get(server, "items/", q='{"updated_at":{"$gte":"2025-01-01T00:00:00Z"}}').status == 400


@pytest.mark.parametrize("style", ["basic", "form", "json"])
def test_client_credentials(style):
    with Ords(Table("items", rows(3))) as server:
        server.auth = ClientCredentials("me", "p:ss", path=Ords.token_path, style=style)
        assert get(server, "items/").status == 401
        body, headers = {"grant_type": "client_credentials"}, {"Content-Type": "application/x-www-form-urlencoded"}
        if style == "basic":
            headers["Authorization"] = "Basic " + base64.b64encode(b"me:p%3Ass").decode()
        else:
            body |= {"client_id": "me", "client_secret": "p:ss"}
        if style == "json":
            headers["Content-Type"] = "application/json"
        sent = json.dumps(body) if style == "json" else urllib.parse.urlencode(body)
        token = get(server, "oauth/token", headers, "POST", sent).json["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert get(server, "items/", bearer).status == 200
        server.auth.expire()
        assert get(server, "items/", bearer).status == 401


# --------------------------------------------------------------------------------------------------------------- the others


def test_postgrest():
    with PostgREST(Table("items", rows(30)), cap=10) as server:
        assert len(get(server, "items").json) == 10, "the cap holds, and nothing says so"
        counted = get(server, "items", {"Prefer": "count=exact"}, offset=25, order="updated_at.asc,id.asc")
        assert counted.status == 206 and counted.headers["Content-Range"] == "25-29/30" and ids(counted.json) == [26, 27, 28, 29, 30]
        assert get(server, "items", {"Prefer": "count=exact"}, offset=31).status == 416
        found = get(server, "items", updated_at="gte.2025-01-01T00:00:09.123456+00:00", order="id.desc", select="id")
        assert found.json == [{"id": id} for id in (30, 29, 28, 27)] and found.headers["Content-Range"] == "0-3/*"
        assert get(server, "items?updated_at=gte.2025-01-01T00:00:09+00:00").status == 400, "a + that wasn't escaped is a blank"
        either = get(server, "items", **{"or": "(updated_at.gt.2025-01-01T00:00:10Z,and(id.gt.2,id.lt.4))"})
        assert ids(either.json) == [3, 30]
        assert get(server, "items", nothing="eq.1").status == 400
        assert set(get(server, "/").json["paths"]) == {"/", "/items"}


def test_shopify_rest():
    table = Table("orders", rows(600))
    with ShopifyRest(table) as server:
        token = {"X-Shopify-Access-Token": server.token}
        assert get(server, "orders.json").status == 401
        answer = get(server, "orders.json", token, limit=1000, updated_at_min="2025-01-01T00:00:00Z")
        found, link = ids(answer.json["orders"]), next_of(answer)
        assert len(found) == 250 and answer.headers["X-Shopify-Shop-Api-Call-Limit"] == "1/40"
        assert get(server, link + "&updated_at_min=2025-01-01T00:00:00Z", token).status == 400
        while link:
            answer = get(server, link, token)
            found, link = found + ids(answer.json["orders"]), next_of(answer)
        assert sorted(found) == list(range(1, 601))
        table.delete(5)
        assert [event["subject_id"] for event in get(server, "events.json", token, verb="destroy", filter="Order").json["events"]] == [5]
        answers = [get(server, "orders.json", token, limit=1) for _ in range(60)]
        assert {answer.status for answer in answers} == {200, 429} and server.bucket.refused
        assert next(answer for answer in answers if answer.status == 429).headers["Retry-After"] == "2.0"


def test_shopify_graphql():
    with ShopifyGraphql(Table("orders", rows(40, customer={"first_name": "Ana"}))) as server:
        def ask(text, **variables):  # fmt: skip
            headers = {"X-Shopify-Access-Token": server.token, "Content-Type": "application/json"}
            return get(server, "graphql.json", headers, "POST", json.dumps({"query": text, "variables": variables})).json

        page = """query ($after: String) {
            orders(first: 15, after: $after, sortKey: UPDATED_AT, query: "updated_at:>='2025-01-01T00:00:05Z'") {
            edges { cursor node { id legacyResourceId updatedAt customer { firstName } } } pageInfo { hasNextPage endCursor } } }"""
        first = ask(page)["data"]["orders"]
        assert first["edges"][0]["node"] == {
            "id": "gid://shopify/Order/15", "legacyResourceId": "15", "updatedAt": "2025-01-01T00:00:05Z", "customer": {"firstName": "Ana"},
        }  # fmt: skip
        second = ask(page, after=first["pageInfo"]["endCursor"])["data"]["orders"]
        found = [int(edge["node"]["legacyResourceId"]) for edge in first["edges"] + second["edges"]]
        assert found == list(range(15, 41)) and first["pageInfo"]["hasNextPage"] and not second["pageInfo"]["hasNextPage"]
        assert "Parse error" in ask("{ orders(first: 1 { }")["errors"][0]["message"]
        answers = [ask("{ orders(first: 250) { nodes { id } } }") for _ in range(12)]
        throttled = [answer for answer in answers if "errors" in answer]
        assert throttled and throttled[0]["errors"][0]["message"] == "Throttled" and "data" not in throttled[0]
        assert throttled[0]["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] < 252


def test_odata():
    table = Table("Items", rows(50))
    with OData(table, page_rows=20) as server:
        assert get(server, "").json["value"] == [{"name": "Items", "kind": "EntitySet", "url": "Items"}]
        asked = {"$orderby": "updated_at,id", "$filter": "updated_at gt 2025-01-01T00:00:03Z and not (id eq 20 or name eq 'row 21')"}
        answer = get(server, "Items", {"Prefer": "odata.track-changes"}, **asked)
        found = ids(answer.json["value"])
        while link := answer.json.get("@odata.nextLink"):
            assert link.startswith("Items?"), "it is relative"
            answer = get(server, link, {"Prefer": "odata.track-changes"})
            found += ids(answer.json["value"])
        assert found == [id for id in range(9, 51) if id not in (20, 21)]
        delta = answer.json["@odata.deltaLink"]
        table.delete(3)
        table.update(4, name="new")
        changed = get(server, delta).json["value"]
        assert changed[0]["@removed"] == {"reason": "deleted"} and changed[0]["id"] == 3 and changed[1]["name"] == "new"
        server.oldest_delta = table.version + 1
        assert get(server, delta).status == 410
        assert get(server, "Items", **{"$filter": "updated_at ge '2025-01-01T00:00:03Z'"}).status == 400, "times stand without quotes"


def test_nocodb():
    with NocoDB(Table("items", rows(60)), cap=20) as server:
        token = {"xc-token": server.token}
        where = "(updated_at,gte,exactDate,2025-01-01 00:00:10+00:00)~and(id,gt,31)"
        page = get(server, "/api/v2/tables/items/records", token, where=where, sort="updated_at,id", limit=1000).json
        assert ids(page["list"]) == list(range(32, 52)) and page["pageInfo"]["totalRows"] == 29 and not page["pageInfo"]["isLastPage"]
        assert get(server, "/api/v2/tables/items/records", token, offset=60).status == 422
        orders = {tuple(ids(get(server, "/api/v2/tables/items/records", token, sort="updated_at").json["list"])) for _ in range(3)}
        assert len(orders) > 1, "equals always come in one order"
        page = get(server, "/api/v3/data/base/items/records", token, pageSize=20).json
        assert page["records"][0]["id"] == 1 and page["records"][0]["fields"]["name"] == "row 1" and "page=2" in page["next"]


def test_directus():
    with Directus(Table("items", rows(60)), cap=50, requests_per_second=8) as server:
        token = {"Authorization": f"Bearer {server.token}"}
        asked = {"filter": '{"updated_at":{"_gte":"2025-01-01T00:00:18.123Z"}}', "sort": "updated_at,id", "limit": 50, "meta": "*"}
        page = get(server, "items/items", token, **asked).json
        assert ids(page["data"]) == [54, 55, 56, 57, 58, 59, 60] and page["meta"]["filter_count"] == 7
        assert get(server, "items/items", token, limit=51).status == 400
        bracketed = get(server, "items/items", token, **{"filter[id][_lt]": 3}).json
        assert ids(bracketed["data"]) == [1, 2]
        refused = [answer for answer in (get(server, "items/items", token) for _ in range(20)) if answer.status == 429]
        assert refused and refused[0].headers["Retry-After"] == "1"


def test_github():
    table = Table("issues", [row | {"created_at": row["updated_at"], "state": ("open", "closed")[row["id"] % 2]} for row in rows(250)])
    with GitHub(table) as server:
        named = {"Authorization": f"Bearer {server.token}", "User-Agent": "tests"}
        assert get(server, "repos/acme/shop/issues", {"Authorization": f"Bearer {server.token}"}).status == 403
        asked = {"state": "all", "sort": "updated", "direction": "asc", "per_page": 500}
        answer = get(server, "repos/acme/shop/issues", named, **asked)
        tag, found = answer.headers["ETag"], ids(answer.json)
        while link := next_of(answer):
            answer = get(server, link, named)
            found += ids(answer.json)
        assert found == list(range(1, 251)) and len(server.requests) == 4
        left = server.window.remaining
        assert get(server, "repos/acme/shop/issues", named | {"If-None-Match": tag}, **asked).status == 304
        assert server.window.remaining == left
        assert ids(get(server, "repos/acme/shop/issues", named).json)[:2] == [250, 248], "newest first, open ones only"
        server.window = Window(1, 3600)
        assert get(server, "repos/acme/shop/issues", named).headers["x-ratelimit-remaining"] == "0"
        assert get(server, "repos/acme/shop/issues", named).status == 403


def test_stripe():
    table = Table("charges", [{"id": f"ch_{id:03}", "created": START + datetime.timedelta(seconds=id)} for id in range(250)], changed=None)
    with Stripe(table) as server:
        token = {"Authorization": f"Bearer {server.key}"}
        epoch = int(START.timestamp())
        page = get(server, "v1/charges", token, **{"created[gte]": epoch + 100, "limit": 100}).json
        assert page["has_more"] and page["data"][0] == {"id": "ch_249", "created": epoch + 249}
        last = page["data"][-1]["id"]
        page = get(server, "v1/charges", token, **{"created[gte]": epoch + 100, "limit": 100, "starting_after": last}).json
        assert not page["has_more"] and page["data"][-1]["id"] == "ch_100"
        assert get(server, "v1/charges", token, limit=101).status == 400
        table.update("ch_000", paid=True)
        (event,) = get(server, "v1/events", token, type="charge.updated").json["data"]
        assert event["data"]["object"]["paid"] is True


def test_wordpress():
    table = Table("posts", [row | {"modified_gmt": row["updated_at"].replace(microsecond=0)} for row in rows(50)], changed="modified_gmt")
    with WordPress(table, seed=3) as server:
        basic = {"Authorization": "Basic " + base64.b64encode(f"{server.user}:{server.password}".encode()).decode()}
        asked = {"orderby": "modified", "order": "asc", "per_page": 20, "modified_after": "2025-01-01T00:00:05"}
        page = get(server, "posts", basic, **asked)
        assert min(ids(page.json)) == 18 and page.headers["X-WP-TotalPages"] == "2", "modified_after is strict"
        assert get(server, "posts", basic, page=3, **asked).status == 400
        assert len({tuple(ids(get(server, "posts", basic, **asked).json)) for _ in range(3)}) > 1, "equals always come in one order"


# ------------------------------------------------------------------------------------------------------------------ faults


def test_faults_of_answers():
    with Plain(Table("items", rows(5)), shape="envelope") as server:
        server.next(faults.status(503), faults.storm(2), faults.storm(0), faults.storm(), faults.storm(3, as_date=True), faults.regular)
        answers = [get(server, "items") for _ in range(6)]
        assert [answer.status for answer in answers] == [503, 429, 429, 429, 429, 200]
        assert [answer.headers["Retry-After"] for answer in answers[:4]] == [None, "2", "0", None]
        assert "GMT" in answers[4].headers["Retry-After"]
        server.next(faults.login_page, faults.no_content, faults.truncated, faults.deep(), faults.huge(100_000))
        server.next(faults.gzip, faults.bomb(1 << 20))
        page, nothing, broken, deep, huge, packed, bomb = [get(server, "items") for _ in range(7)]
        assert page.status == 200 and page.headers["Content-Type"].startswith("text/html") and nothing.status == 204
        assert len(deep.body) == 20_000 and len(huge.json[0]) == 99_996
        assert len(gzip.decompress(bomb.body)) == (1 << 20) + 2 and len(bomb.body) < 5000
        with pytest.raises(ValueError):
            broken.json
        assert ids(json.loads(gzip.decompress(packed.body))["data"]["items"]) == [1, 2, 3, 4, 5]
        server.next(faults.invalid_utf8, faults.duplicate_in_row, faults.duplicate_in_envelope, faults.deep(20, in_row=True))
        bad, row, envelope, inner = [get(server, "items") for _ in range(4)]
        with pytest.raises(UnicodeDecodeError):
            bad.body.decode()
        assert row.body.count(b'"name"') == 6 and envelope.body.count(b'"data"') == 2 and len(inner.json["data"]["items"][0]) == 4
        server.each(3, faults.status(500))
        assert [get(server, "items").status for _ in range(6)] == [200, 200, 500, 200, 200, 500]


def test_faults_of_connections_and_ways():
    with Plain(Table("items", rows(50))) as server:
        server.next(faults.cut(100), faults.cut(reset=True), faults.hang_up, faults.drip(size=2000, pause_s=0.001))
        with pytest.raises(http.client.IncompleteRead):
            get(server, "items")
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            get(server, "items")
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            get(server, "items")
        assert len(get(server, "items").json) == 50
        server.next(faults.redirect("file:///etc/passwd"), faults.redirect_loop, faults.next_link("http://127.0.0.2/items"))
        assert get(server, "items").headers["Location"] == "file:///etc/passwd"
        assert get(server, "items", a=1).headers["Location"] == "/items?a=1"
        assert next_of(get(server, "items")) == "http://127.0.0.2/items"
        server.each(1, faults.same_page())
        assert get(server, "items", limit=2).body == get(server, "items", limit=2, offset=2).body
        server.each(1, None)
        server.close()
        with pytest.raises(ConnectionRefusedError):
            get(server, "items")
        server.start()
        assert len(get(server, "items").json) == 50


def test_a_stand_in_that_fails_says_so():
    server = Plain(Table("items", [{"id": 1}]))
    assert get(server, "items", since="2025-01-01T00:00:00Z").status == 500
    with pytest.raises(AssertionError, match="KeyError"):
        server.close()


# ---------------------------------------------------------------------------------------------------------- those from npm


def test_json_server():
    with npm.json_server(items=[{"id": id, "changed": f"2025-01-01T00:00:{id // 3:02}Z"} for id in range(1, 31)]) as server:
        page = get(server, "items", _sort="changed,id", _page=2, _limit=10, changed_gte="2025-01-01T00:00:01Z")
        assert ids(page.json) == list(range(13, 23)) and page.headers["X-Total-Count"] == "28" and "_page=3" in next_of(page)
        tag = page.headers["ETag"]
        assert get(server, "items/3", {"Content-Type": "application/json"}, "PATCH", '{"changed": "2025-02-01T00:00:00Z"}').status == 200
        assert ids(get(server, "items", changed_gte="2025-01-02").json) == [3] and tag


def test_oauth2_mock_server():
    with npm.oauth2_server() as server:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = get(server, "token", form, "POST", "grant_type=client_credentials&client_id=me&client_secret=secret")
        assert answer.status == 200 and answer.json["access_token"].count(".") == 2 and answer.json["expires_in"] > 0
