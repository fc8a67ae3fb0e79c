"""NocoDB's data API v2 and v3, as its documentation has it: a stand-in.

    GET /api/v2/tables/NAME/records?where=(f,gte,exactDate,2025-01-01)~and(…)&sort=f,-id&offset=&limit=&fields=a,b
        {"list": […], "pageInfo": {totalRows, page, pageSize, isFirstPage, isLastPage}}
    GET /api/v3/data/BASE/NAME/records?where=&sort=&page=&pageSize=
        {"records": [{"id": …, "fields": {…}}], "next": a URL or null}

25 rows where no limit is given, silently no more than `cap`. Equals are in another order in each request."""

import random
import re
import urllib.parse

from .auth import Header
from .server import Refusal, Server, whole
from .table import sort_rows, where

WORDS = {"eq": "eq", "neq": "ne", "gt": "gt", "gte": "ge", "ge": "ge", "lt": "lt", "lte": "le", "le": "le"}


class NocoDB(Server):
    token = "nc-token"

    def __init__(self, *tables, cap=1000, seed=None, **more):
        self.cap, self.chance = cap, random.Random(seed)
        self.auth = Header(xc_token=self.token)
        super().__init__(*tables, **more)

    def time_text(self, moment):
        return moment.strftime("%Y-%m-%d %H:%M:%S+00:00")

    def handle(self, request):
        match = re.fullmatch(r"/api/(?:v2/tables|(v3)/data/\w+)/(\w+)/records", request.path)
        if not match or request.method != "GET" or match[2] not in self.tables:
            raise Refusal(404, {"error": "TABLE_NOT_FOUND", "message": "Table not found"})
        table, query = self.tables[match[2]], request.query
        try:
            rows = self._sorted(table, query.get("sort"))
            for condition in filter(None, query.get("where", "").split("~and")):
                rows = self._filtered(rows, condition)
        except (ValueError, KeyError) as error:
            raise Refusal(422, {"error": "INVALID_FILTER", "message": f"Invalid filter expression: {error}"}) from error
        return self._page_v3(request, rows, table) if match[1] else self._page_v2(query, rows)

    def _sorted(self, table, order):
        pairs = [(name.lstrip("-"), name.startswith("-")) for name in order.split(",")] if order else [(table.key, False)]
        if (table.key, False) in pairs:
            return table.ordered(pairs)
        rows = table.rows()
        self.chance.shuffle(rows)
        return sort_rows(rows, pairs)

    @staticmethod
    def _filtered(rows, condition):
        column, word, *values = condition.removeprefix("(").removesuffix(")").split(",")
        if word in ("is", "isnot"):
            return [row for row in rows if (row[column] is None) == (word == "is")]
        if values[:1] == ["exactDate"]:
            values = values[1:]
        return where(rows, column, WORDS[word], values[0])

    def _page_v2(self, query, rows):
        limit = min(whole(query, "limit", 25, 1), self.cap)
        offset = whole(query, "offset", 0)
        if offset and offset >= len(rows):
            raise Refusal(422, {"error": "INVALID_OFFSET_VALUE", "message": f"Offset value '{offset}' is invalid"})
        page = rows[offset : offset + limit]
        if "fields" in query:
            page = [{name: row[name] for name in query["fields"].split(",")} for row in page]
        info = {
            "totalRows": len(rows), "page": offset // limit + 1, "pageSize": limit,
            "isFirstPage": offset == 0, "isLastPage": offset + len(page) >= len(rows),
        }  # fmt: skip
        return {"list": page, "pageInfo": info}

    def _page_v3(self, request, rows, table):
        number, size = whole(request.query, "page", 1, 1), min(whole(request.query, "pageSize", 25, 1), self.cap)
        page = rows[(number - 1) * size : number * size]
        following = None
        if number * size < len(rows):
            kept = [(name, value) for name, value in request.pairs if name != "page"]
            following = self.url + request.path + "?" + urllib.parse.urlencode([*kept, ("page", number + 1)])
        records = [{"id": row[table.key], "fields": {name: row[name] for name in row if name != table.key}} for row in page]
        return {"records": records, "next": following}
