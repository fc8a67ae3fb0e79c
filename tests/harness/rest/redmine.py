"""Redmine's REST API, as its wiki has it: a stand-in.

    GET /issues.json?updated_on=>=2025-01-01T00:00:00Z&status_id=*&sort=updated_on,id:desc&offset=&limit=
        {"issues": […], "total_count": …, "offset": …, "limit": …}

25 rows where no limit is given, silently no more than 100. Without status_id=* closed issues are left out."""

import random
import re

from .auth import Header
from .server import Refusal, Server, whole
from .table import sort_rows, where


class Redmine(Server):
    token = "redmine-key"

    def __init__(self, *tables, seed=None, **more):
        self.chance = random.Random(seed)
        self.auth = Header(x_redmine_api_key=self.token)
        super().__init__(*tables, **more)

    def handle(self, request):
        name, query = request.path.removeprefix("/").removesuffix(".json"), request.query
        if request.method != "GET" or not request.path.endswith(".json") or name not in self.tables:
            raise Refusal(404, {"errors": ["not found"]})
        rows = self.tables[name].rows()
        self.chance.shuffle(rows)
        if query.get("status_id") != "*":
            rows = [row for row in rows if row.get("state") != "closed"]
        for column, condition in query.items():
            if match := re.fullmatch(r"(>=|<=)(.+)", condition):
                rows = where(rows, column, {">=": "ge", "<=": "le"}[match[1]], match[2])
        order = [part.partition(":") for part in query.get("sort", "id:desc").split(",")]
        rows = sort_rows(rows, [(column, word == "desc") for column, _, word in order])
        offset, limit = whole(query, "offset", 0), min(whole(query, "limit", 25, 1), 100)
        return {name: rows[offset : offset + limit], "total_count": len(rows), "offset": offset, "limit": limit}
