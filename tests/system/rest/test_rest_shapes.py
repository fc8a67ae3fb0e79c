"""The answers of well-known APIs, one line each, from their published contracts: what a stream without any option makes of them.

Each is read whole by its own links, or refused with the options to set; in no case are the rows of the first page taken for all.
Where the source has no more than these, and says so as it does, they are read."""

import json
import re
from dataclasses import dataclass

import psycopg
import pytest
from harness.rest import Response, Told

TOTAL = 60
SIZE = 20


@dataclass
class Page:
    """What an answer is made of."""

    url: str
    start: int
    total: int

    @property
    def rows(self):
        return [{"id": id, "name": f"row {id}"} for id in range(self.start, min(self.start + SIZE, self.total))]

    @property
    def more(self):
        return self.start + SIZE < self.total

    @property
    def next(self):
        return self.start + SIZE if self.more else None

    @property
    def pages(self):
        return -(-self.total // SIZE)

    @property
    def number(self):
        return self.start // SIZE + 1

    @property
    def token(self):
        return f"t{self.next}==" if self.more else None

    @property
    def link(self):
        return f"{self.url}/items?start={self.next}" if self.more else None

    @property
    def path(self):
        return f"/items?start={self.next}" if self.more else None

    @property
    def query(self):
        return f"?start={self.next}" if self.more else None

    def given(_, **members):
        """Members that the API leaves out where it has no more."""
        return {name: value for name, value in members.items() if value is not None}

    def link_header(self, body, **headers):
        links = [f'<{self.url}/items?start=0>; rel="first"'] + ([f'<{self.link}>; rel="next"'] if self.more else [])
        return Response(body=json.dumps(body).encode(), headers={"Content-Type": "application/json", "Link": ", ".join(links)} | headers)

    def headers(self, body, **headers):
        return Response(body=json.dumps(body).encode(), headers={name.replace("_", "-"): str(value) for name, value in headers.items()})


PAGED, REFUSED = "paged", "refused"
ROUND = "refused where the number of rows is a round one"

# fmt: off
SHAPES = {
    "airtable": (REFUSED, "offset", lambda p: {"records": p.rows} | p.given(offset=p.more and f"itr1/rec{p.next}" or None)),
    "algolia": (REFUSED, "page", lambda p: {"hits": p.rows, "nbHits": p.total, "page": p.number - 1, "nbPages": p.pages, "hitsPerPage": SIZE}),
    "amazon selling partner": (REFUSED, "NextToken", lambda p: {"payload": {"Orders": p.rows} | p.given(NextToken=p.token)}),
    "asana": (PAGED, "", lambda p: {"data": p.rows, "next_page": p.more and {"offset": p.token, "path": p.path, "uri": p.link} or None}),
    "azure": (PAGED, "", lambda p: {"value": p.rows} | p.given(nextLink=p.link)),
    "bigcommerce": (PAGED, "", lambda p: {"data": p.rows, "meta": {"pagination": {
        "total": p.total, "count": len(p.rows), "per_page": SIZE, "current_page": p.number, "total_pages": p.pages,
        "links": p.given(next=p.query, current="?start=0")}}}),
    "bitbucket": (PAGED, "", lambda p: {"size": p.total, "pagelen": SIZE, "page": p.number, "values": p.rows} | p.given(next=p.link)),
    "coinbase": (PAGED, "", lambda p: {"pagination": {"limit": SIZE, "previous_uri": None, "next_uri": p.path}, "data": p.rows}),
    "confluence": (PAGED, "", lambda p: {"results": p.rows, "start": p.start, "limit": SIZE, "size": len(p.rows), "_links": {
        "base": f"{p.url}/wiki", "context": "/wiki"} | p.given(next=p.path)}),
    "contentful": (REFUSED, "", lambda p: {"sys": {"type": "Array"}, "total": p.total, "skip": p.start, "limit": SIZE, "items": p.rows}),
    "django rest framework": (PAGED, "", lambda p: {"count": p.total, "next": p.link, "previous": None, "results": p.rows}),
    "docusign": (PAGED, "", lambda p: {"resultSetSize": str(len(p.rows)), "totalSetSize": str(p.total), "envelopes": p.rows} | p.given(nextUri=p.path)),
    "dropbox": (REFUSED, "cursor", lambda p: {"entries": p.rows, "cursor": f"c{p.start}", "has_more": p.more}),
    "dynamodb": (REFUSED, "", lambda p: {"Items": p.rows, "Count": len(p.rows), "ScannedCount": len(p.rows)} | p.given(
        LastEvaluatedKey=p.more and {"id": {"S": "x"}} or None)),
    "elasticsearch": (REFUSED, "", lambda p: {"took": 3, "_shards": {"total": 5}, "hits": {
        "total": {"value": p.total, "relation": "eq"}, "max_score": None, "hits": p.rows}}),
    "facebook graph": (PAGED, "", lambda p: {"data": p.rows, "paging": {"cursors": {"before": "a", "after": "b"}} | p.given(next=p.link)}),
    "feathers": (REFUSED, "", lambda p: {"total": p.total, "limit": SIZE, "skip": p.start, "data": p.rows}),
    "github": (PAGED, "", lambda p: p.link_header(p.rows)),
    "github search": (REFUSED, "", lambda p: {"total_count": p.total, "incomplete_results": False, "items": p.rows}),
    "gitlab": (PAGED, "", lambda p: p.link_header(p.rows, **{"X-Total": str(p.total), "X-Next-Page": str(p.number + 1) if p.more else ""})),
    "gitlab without links": (REFUSED, "page", lambda p: p.headers(p.rows, X_Next_Page=p.number + 1 if p.more else "", X_Per_Page=SIZE)),
    "google": (REFUSED, "pageToken", lambda p: {"kind": "list", "items": p.rows} | p.given(nextPageToken=p.token)),
    "google with a sync token": (REFUSED, "pageToken", lambda p: {"items": p.rows} | p.given(
        nextPageToken=p.token, nextSyncToken=None if p.more else "sync==")),
    "hal": (PAGED, "", lambda p: {"_embedded": {"items": p.rows}, "_links": p.given(
        self={"href": "/items"}, next=p.more and {"href": p.path} or None), "page": {
        "size": SIZE, "totalElements": p.total, "totalPages": p.pages, "number": p.number - 1}}),
    "harvest": (PAGED, "", lambda p: {"time_entries": p.rows, "per_page": SIZE, "total_pages": p.pages, "total_entries": p.total,
        "next_page": p.more and p.number + 1 or None, "page": p.number, "links": {"first": f"{p.url}/items", "next": p.link}}),
    "hubspot": (PAGED, "", lambda p: {"results": p.rows} | p.given(paging=p.more and {"next": {"after": p.token, "link": p.query}} or None)),
    "intercom": (REFUSED, "starting_after", lambda p: {"type": "list", "data": p.rows, "total_count": p.total, "pages": {
        "type": "pages", "page": p.number, "per_page": SIZE, "total_pages": p.pages} | p.given(
        next=p.more and {"page": p.number + 1, "starting_after": p.token} or None)}),
    "jira": (REFUSED, "", lambda p: {"startAt": p.start, "maxResults": SIZE, "total": p.total, "issues": p.rows}),
    "jira agile": (REFUSED, "", lambda p: {"startAt": p.start, "maxResults": SIZE, "isLast": not p.more, "values": p.rows}),
    "jira, tokens": (REFUSED, "pageToken", lambda p: {"isLast": not p.more, "issues": p.rows} | p.given(nextPageToken=p.token)),
    "json:api": (PAGED, "", lambda p: {"data": p.rows, "links": {"self": "/items", "next": p.link}}),
    "json:api, link objects": (PAGED, "", lambda p: {"data": p.rows, "links": {"self": "/items", "next": p.more and {"href": p.link} or None}}),
    "json-server": (REFUSED, "page", lambda p: {"first": 1, "prev": None, "next": p.more and p.number + 1 or None, "last": p.pages,
        "pages": p.pages, "items": p.total, "data": p.rows}),
    "kubernetes": (REFUSED, "continue", lambda p: {"kind": "List", "metadata": {"resourceVersion": "9"} | p.given(
        **{"continue": p.token}, remainingItemCount=p.more and p.total - p.next or None), "items": p.rows}),
    "laravel": (PAGED, "", lambda p: {"data": p.rows, "links": {"first": "/items", "last": None, "prev": None, "next": p.link}, "meta": {
        "current_page": p.number, "last_page": p.pages, "per_page": SIZE, "total": p.total}}),
    "laravel, simple": (PAGED, "", lambda p: {"current_page": p.number, "data": p.rows, "next_page_url": p.link, "prev_page_url": None}),
    "linkedin": (PAGED, "", lambda p: {"elements": p.rows, "paging": {"start": p.start, "count": SIZE, "total": p.total, "links": [
        {"type": "application/json", "rel": "next", "href": p.path}] if p.more else []}}),
    "magento": (REFUSED, "", lambda p: {"items": p.rows, "search_criteria": {"page_size": SIZE, "current_page": p.number}, "total_count": p.total}),
    "mailchimp": (REFUSED, "", lambda p: {"members": p.rows, "list_id": "a", "total_items": p.total, "_links": [
        {"rel": "self", "href": f"{p.url}/items", "method": "GET"}]}),
    "microsoft graph": (PAGED, "", lambda p: {"@odata.context": "$metadata#items", "value": p.rows} | p.given(**{"@odata.nextLink": p.link})),
    "netsuite": (PAGED, "", lambda p: {"links": [{"rel": "self", "href": "/items"}] + ([{"rel": "next", "href": p.link}] if p.more else []),
        "count": len(p.rows), "hasMore": p.more, "items": p.rows, "offset": p.start, "totalResults": p.total}),
    "notion": (REFUSED, "cursor", lambda p: {"object": "list", "results": p.rows, "next_cursor": p.token, "has_more": p.more}),
    "oracle ords": (PAGED, "", lambda p: {"items": p.rows, "hasMore": p.more, "limit": SIZE, "offset": p.start, "count": len(p.rows), "links": [
        {"rel": "self", "href": "/items"}] + ([{"rel": "next", "href": p.link}] if p.more else [])}),
    "parse": (ROUND, "", lambda p: {"results": p.rows}),
    "paypal": (PAGED, "", lambda p: {"items": p.rows, "total_items": p.total, "total_pages": p.pages, "links": [
        {"href": f"{p.url}/items", "rel": "self", "method": "GET"}] + ([{"href": p.link, "rel": "next", "method": "GET"}] if p.more else [])}),
    "pipedrive": (REFUSED, "start", lambda p: {"success": True, "data": p.rows, "additional_data": {"pagination": {
        "start": p.start, "limit": SIZE, "more_items_in_collection": p.more} | p.given(next_start=p.next)}}),
    "pipedrive, cursors": (REFUSED, "cursor", lambda p: {"success": True, "data": p.rows, "additional_data": {"next_cursor": p.token}}),
    "postgrest": (REFUSED, "", lambda p: p.headers(p.rows, Content_Range=f"{p.start}-{p.start + len(p.rows) - 1}/{p.total}")),
    "postgrest, not counted": (ROUND, "", lambda p: p.headers(p.rows, Content_Range=f"{p.start}-{p.start + len(p.rows) - 1}/*")),
    "quickbooks": (ROUND, "", lambda p: {"QueryResponse": {"Customer": p.rows, "startPosition": 1, "maxResults": len(p.rows)}, "time": "2025"}),
    "reddit": (REFUSED, "after", lambda p: {"kind": "Listing", "data": {"after": p.token, "before": None, "dist": len(p.rows), "children": p.rows}}),
    "redmine": (REFUSED, "", lambda p: {"issues": p.rows, "total_count": p.total, "offset": p.start, "limit": SIZE}),
    "salesforce": (PAGED, "", lambda p: {"totalSize": p.total, "done": not p.more, "records": p.rows} | p.given(nextRecordsUrl=p.path)),
    "sap odata 2": (PAGED, "", lambda p: {"d": {"results": p.rows} | p.given(__next=p.link)}),
    "sap odata 2, counted": (REFUSED, "", lambda p: {"d": {"__count": str(p.total), "results": p.rows}}),
    "sendgrid": (PAGED, "", lambda p: {"result": p.rows, "_metadata": {"self": "/items", "count": p.total} | p.given(next=p.link)}),
    "servicenow": (PAGED, "", lambda p: p.link_header({"result": p.rows}, **{"X-Total-Count": str(p.total)})),
    "slack": (REFUSED, "cursor", lambda p: {"ok": True, "members": p.rows, "response_metadata": {"next_cursor": p.token or ""}}),
    "smartsheet": (REFUSED, "page", lambda p: {"pageNumber": p.number, "pageSize": SIZE, "totalPages": p.pages, "totalCount": p.total, "data": p.rows}),
    "spring": (REFUSED, "", lambda p: {"content": p.rows, "last": not p.more, "totalPages": p.pages, "totalElements": p.total, "size": SIZE,
        "number": p.number - 1, "first": p.number == 1, "numberOfElements": len(p.rows), "empty": False}),
    "spring, slices": (REFUSED, "", lambda p: {"content": p.rows, "last": not p.more, "size": SIZE, "number": p.number - 1, "first": True}),
    "square": (REFUSED, "cursor", lambda p: {"objects": p.rows} | p.given(cursor=p.token)),
    "strapi": (REFUSED, "page", lambda p: {"data": p.rows, "meta": {"pagination": {
        "page": p.number, "pageSize": SIZE, "pageCount": p.pages, "total": p.total}}}),
    "stripe": (REFUSED, "", lambda p: {"object": "list", "url": "/v1/items", "has_more": p.more, "data": p.rows}),
    "tmdb": (REFUSED, "page", lambda p: {"page": p.number, "results": p.rows, "total_pages": p.pages, "total_results": p.total}),
    "twilio": (PAGED, "", lambda p: {"items": p.rows, "page": p.number - 1, "page_size": SIZE, "uri": "/items", "next_page_uri": p.path}),
    "twilio, meta": (PAGED, "", lambda p: {"items": p.rows, "meta": {"page": 0, "key": "items", "next_page_url": p.link}}),
    "twitter": (REFUSED, "next_token", lambda p: {"data": p.rows, "meta": {"result_count": len(p.rows)} | p.given(next_token=p.token)}),
    "wordpress": (PAGED, "", lambda p: p.link_header(p.rows, **{"X-WP-Total": str(p.total), "X-WP-TotalPages": str(p.pages)})),
    "wordpress without links": (REFUSED, "", lambda p: p.headers(p.rows, X_WP_Total=p.total, X_WP_TotalPages=p.pages)),
    "xero": (REFUSED, "page", lambda p: {"Id": "a", "Status": "OK", "Invoices": p.rows, "pagination": {
        "page": p.number, "pageSize": SIZE, "pageCount": p.pages, "itemCount": p.total}}),
    "zendesk": (PAGED, "", lambda p: {"tickets": p.rows, "next_page": p.link, "previous_page": None, "count": p.total}),
    "zendesk, cursors": (PAGED, "", lambda p: {"tickets": p.rows, "meta": {"has_more": p.more, "after_cursor": "x", "before_cursor": "y"},
        "links": {"prev": f"{p.url}/items?start=0", "next": p.link or f"{p.url}/items?start={TOTAL}"}}),
    "zoho": (REFUSED, "", lambda p: {"data": p.rows, "info": {"per_page": SIZE, "count": len(p.rows), "page": p.number, "more_records": p.more}}),
    "zoho, tokens": (REFUSED, "page_token", lambda p: {"data": p.rows, "info": {
        "per_page": SIZE, "count": len(p.rows), "more_records": p.more, "next_page_token": p.token}}),
}
# fmt: on


@pytest.fixture
def api(db):
    with Told() as server:
        db.create_rest_server("api", server.url)
        yield server


def show(api, shape, total):
    def tell(request):
        return shape(Page(api.url, int(request.query.get("start", 0)), total))

    def handle(request):
        request.path = re.sub("^/wiki", "", request.path)
        content = tell(request)
        return content if isinstance(content, Response) else api.json_response(content)

    api.handle = handle


# These leave out a token, and have nothing else that says that a full page is the last.
SAY_NOTHING = ("airtable", "amazon selling partner", "azure", "bitbucket", "confluence", "dynamodb", "facebook graph", "google",
               "google with a sync token", "hubspot", "kubernetes", "microsoft graph", "sap odata 2", "sendgrid", "square", "twitter")  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_no_first_page_is_taken_for_all(db, api, name):
    outcome, hint, shape = SHAPES[name]
    show(api, shape, TOTAL)
    if outcome == PAGED:
        db.create_stream("s", "api", "items", target="s", key="id")
        assert db.run("s")["inserted"] == TOTAL
    else:
        with pytest.raises(psycopg.Error, match="more pages, and no option says how to ask for them") as error:
            db.create_stream("s", "api", "items", target="s", key="id")
        assert error.value.diag.message_hint.startswith("Set paging and params"), error.value.diag.message_hint
        assert f'"{hint}"' in error.value.diag.message_hint if hint else True, error.value.diag.message_hint

    # What is all is read: as many rows as a page has where the source says that there are no more, else a few.
    total = 7 if outcome == ROUND or name in SAY_NOTHING else SIZE
    show(api, shape, total)
    db.create_stream("all", "api", "items", target="all_of_it", key="id")
    assert db.run("all")["inserted"] == total
