"""Strapi's REST API, as its documentation has it: a stand-in.

    GET /api/NAME?filters[updated_at][$gte]=&sort=updated_at:asc,id:asc&pagination[start]=&pagination[limit]=&fields=a,b
        version 5: {"data": [{"id": …, "documentId": …, "name": …}], "meta": {"pagination": {start, limit, total}}}
        version 4: {"data": [{"id": …, "attributes": {"name": …}}], …}

25 rows where no limit is given, silently no more than `cap`; equals come in any order."""

import random
import re

from .auth import bearer
from .server import Refusal, Server, iso_ms, whole
from .table import sort_rows, where

WORDS = {"$eq": "eq", "$ne": "ne", "$gt": "gt", "$gte": "ge", "$lt": "lt", "$lte": "le"}


class Strapi(Server):
    token = "strapi-token"

    def __init__(self, *tables, version=5, cap=100, seed=None, **more):
        self.version, self.cap, self.chance = version, cap, random.Random(seed)
        self.auth = bearer(self.token)
        super().__init__(*tables, **more)

    def time_text(self, moment):
        return iso_ms(moment)

    def handle(self, request):
        name, query = request.path.removeprefix("/api/"), request.query
        if request.method != "GET" or name not in self.tables:
            raise Refusal(404, problem(404, "NotFoundError", "Not Found"))
        rows = self.tables[name].rows()
        self.chance.shuffle(rows)
        try:
            for parameter, value in query.items():
                if match := re.fullmatch(r"filters\[(\w+)\]\[\$null\]", parameter):
                    rows = [row for row in rows if (row[match[1]] is None) == (value == "true")]
                elif match := re.fullmatch(r"filters\[(\w+)\]\[(\$\w+)\]", parameter):
                    rows = where(rows, match[1], WORDS[match[2]], value)
            order = [part.partition(":") for part in query.get("sort", "id:asc").split(",")]
            rows = sort_rows(rows, [(column, word == "desc") for column, _, word in order])
        except (ValueError, KeyError) as error:
            raise Refusal(400, problem(400, "ValidationError", f"Invalid parameter: {error}")) from error
        start, limit = whole(query, "pagination[start]", 0), min(whole(query, "pagination[limit]", 25, 1), self.cap)
        page = rows[start : start + limit]
        if "fields" in query:
            page = [{"id": row["id"]} | {column: row[column] for column in query["fields"].split(",")} for row in page]
        return {"data": [self._shown(row) for row in page], "meta": {"pagination": {"start": start, "limit": limit, "total": len(rows)}}}

    def _shown(self, row):
        fields = {name: value for name, value in row.items() if name != "id"}
        return {"id": row["id"], "attributes": fields} if self.version == 4 else {"id": row["id"], "documentId": f"d{row['id']}"} | fields


def problem(status, name, message):
    return {"data": None, "error": {"status": status, "name": name, "message": message, "details": {}}}
