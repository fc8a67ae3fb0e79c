"""Directus' items API, as its documentation has it: a stand-in.

    GET /items/NAME?filter={"date_updated":{"_gte":"…"}}&sort=date_updated,-id&limit=&offset=|page=&fields=a,b&meta=*
        {"data": […], "meta": {total_count, filter_count}}
    GET /collections                           {"data": [{"collection": NAME, …}]}

Filters also come as filter[column][_gte]=. 100 rows where no limit is given; a limit above `cap` (QUERY_LIMIT_MAX) is refused
with 400, and with `requests_per_second` requests beyond that with 429 and Retry-After. Equals come in any order."""

import json
import random
import re

from .auth import bearer
from .limits import Bucket
from .server import Refusal, Server, iso_ms, whole
from .table import sort_rows, where

WORDS = {"_eq": "eq", "_neq": "ne", "_gt": "gt", "_gte": "ge", "_lt": "lt", "_lte": "le"}


class Directus(Server):
    token = "directus-token"

    def __init__(self, *tables, cap=1000, requests_per_second=None, seed=None, **more):
        self.cap, self.chance = cap, random.Random(seed)
        self.auth = bearer(self.token)
        self.bucket = Bucket(requests_per_second, requests_per_second) if requests_per_second else None
        super().__init__(*tables, **more)

    def time_text(self, moment):
        return iso_ms(moment)

    def handle(self, request):
        if self.bucket and not self.bucket.take():
            raise Refusal(429, problem("REQUESTS_EXCEEDED", "Too many requests, retry after 1000ms."), Retry_After=1)
        if request.path == "/collections":
            return {"data": [{"collection": table, "meta": None, "schema": {"name": table}} for table in self.tables]}
        name = request.path.removeprefix("/items/")
        if not request.path.startswith("/items/") or name not in self.tables or request.method != "GET":
            raise Refusal(403, problem("FORBIDDEN", "You don't have permission to access this."))
        table, query = self.tables[name], request.query
        try:
            rows = self._sorted(table, query.get("sort"))
            total = len(rows)
            rows = self._filtered(rows, json.loads(query["filter"]) if "filter" in query else self._bracketed(query))
        except (ValueError, KeyError, AttributeError) as error:
            raise Refusal(400, problem("INVALID_QUERY", f"Invalid query. {error}")) from error
        limit = self.cap if query.get("limit") == "-1" else whole(query, "limit", min(100, self.cap))
        if limit > self.cap:
            raise Refusal(400, problem("INVALID_QUERY", f'Invalid query. "limit" must be less than or equal to {self.cap}.'))
        offset = (whole(query, "page", 1, 1) - 1) * limit if "page" in query else whole(query, "offset", 0)
        page = rows[offset : offset + limit]
        if query.get("fields", "*") != "*":
            page = [{column: row[column] for column in query["fields"].split(",")} for row in page]
        body = {"data": page}
        if "meta" in query:
            body = {"meta": {"total_count": total, "filter_count": len(rows)}} | body
        return body

    def _sorted(self, table, order):
        pairs = [(name.lstrip("-"), name.startswith("-")) for name in order.split(",")] if order else [(table.key, False)]
        if (table.key, False) in pairs:
            return table.ordered(pairs)
        rows = table.rows()
        self.chance.shuffle(rows)
        return sort_rows(rows, pairs)

    @staticmethod
    def _bracketed(query):
        found = {}
        for name, value in query.items():
            if match := re.fullmatch(r"filter\[(\w+)\]\[(_\w+)\]", name):
                found.setdefault(match[1], {})[match[2]] = value
        return found

    def _filtered(self, rows, filters):
        for name, condition in filters.items():
            if name == "_and":
                for part in condition:
                    rows = self._filtered(rows, part)
            elif name == "_or":
                keys = {id(row) for part in condition for row in self._filtered(rows, part)}
                rows = [row for row in rows if id(row) in keys]
            else:
                for word, value in condition.items():
                    if word in ("_null", "_nnull"):
                        rows = [row for row in rows if (row[name] is None) == (word == "_null")]
                    else:
                        rows = where(rows, name, WORDS[word], value)
        return rows


def problem(code, message):
    return {"errors": [{"message": message, "extensions": {"code": code}}]}
