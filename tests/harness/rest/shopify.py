"""Shopify's Admin REST API, as shopify.dev documents it: a stand-in.

    GET /admin/api/2025-01/NAME.json?updated_at_min=&updated_at_max=&limit=    {"NAME": […]}, newest id first
    GET /admin/api/2025-01/events.json?verb=destroy&filter=&created_at_min=    what was deleted

Pages follow Link: <…&page_info=…>; rel="next"; beside page_info only limit and fields may stand. 250 rows a page at most,
25,000 in all. A bucket of 40 calls leaks 2 a second (times `pace`, so that tests needn't wait), and a call that doesn't fit
gets 429 with Retry-After."""

import base64
import datetime
import json
import urllib.parse

from .auth import Header
from .limits import Bucket
from .server import Refusal, Server, whole
from .table import parse_time, where

SHOP_ZONE = datetime.timezone(datetime.timedelta(hours=-5))
FILTERS = {"since_id", "updated_at_min", "updated_at_max", "created_at_min", "created_at_max", "status", "order", "ids"}


class ShopifyRest(Server):
    base = "/admin/api/2025-01/"
    token = "shpat_stand_in"
    deepest = 25_000

    def __init__(self, *tables, pace=1, **more):
        self.auth = Header(x_shopify_access_token=self.token)
        self.bucket = Bucket(40, 2 * pace)
        super().__init__(*tables, **more)

    @property
    def base_url(self):
        return self.url + self.base

    def time_text(self, moment):
        return moment.astimezone(SHOP_ZONE).isoformat(timespec="seconds")

    def handle(self, request):
        name = request.path.removeprefix(self.base).removesuffix(".json")
        if not self.bucket.take():
            message = "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."
            raise Refusal(429, {"errors": message}, Retry_After="2.0", X_Shopify_Shop_Api_Call_Limit="40/40")
        if request.method != "GET" or not request.path.startswith(self.base) or not request.path.endswith(".json"):
            raise Refusal(404, {"errors": "Not Found"})
        answer = self._page(request, name, self._events() if name == "events" else self.table(name).rows())
        answer.headers["X-Shopify-Shop-Api-Call-Limit"] = f"{self.bucket.used}/{self.bucket.size}"
        return answer

    def _page(self, request, name, rows):
        query, seen = request.query, 0
        limit = min(whole(query, "limit", 50, 1), 250)
        filters = {key: value for key, value in query.items() if key in FILTERS | {"verb", "filter"}}
        last_id = None
        if "page_info" in query:
            if filters:
                raise Refusal(400, {"errors": {"page_info": f"Invalid value: {', '.join(filters)} cannot be passed with page_info."}})
            try:
                filters, last_id, seen = json.loads(base64.urlsafe_b64decode(query["page_info"]))
            except ValueError as error:
                raise Refusal(400, {"errors": {"page_info": "Invalid value."}}) from error
        try:
            rows = self._filtered(rows, filters)
        except ValueError as error:
            raise Refusal(400, {"errors": {"time": str(error)}}) from error
        rows = sorted((row for row in rows if last_id is None or row["id"] < last_id), key=lambda row: row["id"], reverse=True)
        page, more = rows[:limit], len(rows) > limit
        seen += len(page)
        if seen > self.deepest:
            raise Refusal(400, {"errors": "Pagination is limited to 25,000 objects."})
        last = page[-1]["id"] if page else None
        if "fields" in query:
            page = [{field: row[field] for field in query["fields"].split(",") if field in row} for row in page]
        answer = self.json_response({name: page})
        if more:
            info = base64.urlsafe_b64encode(json.dumps([filters, last, seen]).encode()).decode()
            kept = {"fields": query["fields"]} if "fields" in query else {}
            link = self.url + request.path + "?" + urllib.parse.urlencode({"limit": limit, "page_info": info} | kept)
            answer.headers["Link"] = f'<{link}>; rel="next"'
        return answer

    @staticmethod
    def _filtered(rows, filters):
        for name, value in filters.items():
            column, _, bound = name.rpartition("_")
            if bound in ("min", "max") and rows:
                rows = where(rows, column, "ge" if bound == "min" else "le", parse_time(value))
            elif name == "since_id":
                rows = where(rows, "id", "gt", int(value))
            elif name == "ids":
                rows = [row for row in rows if str(row["id"]) in value.split(",")]
            elif name in ("verb", "filter"):
                rows = [row for row in rows if row["verb" if name == "verb" else "subject_type"] in value.split(",")]
        return rows

    def _events(self):
        """One for each row that was deleted; ids grow with time."""
        gone = sorted((when, key, name) for name, table in self.tables.items() for when, key, _ in table.deleted)
        return [
            {"id": 1000 + number, "subject_id": key, "created_at": when, "subject_type": name.rstrip("s").capitalize(),
             "verb": "destroy", "arguments": [], "body": None, "message": f"{name} {key} was deleted."}
            for number, (when, key, name) in enumerate(gone)
        ]  # fmt: skip
