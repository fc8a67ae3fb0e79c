"""GitHub's REST API, for lists such as a repository's issues, as docs.github.com has it: a stand-in.

    GET /repos/OWNER/REPOSITORY/NAME?since=&sort=created|updated&direction=asc|desc&state=&per_page=&page=    an array

Newest created first where nothing is said; 30 rows, at most 100, with Link: next, last, prev, first. ETag and If-None-Match
give 304, which costs nothing of the limit: x-ratelimit-limit, -remaining, -reset, and 403 when none is left. A client must
name itself (User-Agent)."""

import hashlib
import urllib.parse

from .auth import bearer
from .limits import Window
from .server import Refusal, Response, Server, whole
from .table import parse_time, where


class GitHub(Server):
    token = "ghp_stand_in"
    columns = {"created": "created_at", "updated": "updated_at"}

    def __init__(self, *tables, hourly=5000, hour_s=3600, **more):
        self.auth = bearer(self.token)
        self.window = Window(hourly, hour_s)
        super().__init__(*tables, **more)

    def handle(self, request):
        if not request.headers.get("user-agent"):
            raise Refusal(403, {"message": "Please make sure your request has a User-Agent header"})
        parts = request.path.strip("/").split("/")
        if len(parts) != 4 or parts[0] != "repos" or parts[3] not in self.tables or request.method != "GET":
            raise Refusal(404, {"message": "Not Found", "status": "404"})
        if self.window.remaining <= 0 and not self.window.take():
            raise Refusal(403, {"message": "API rate limit exceeded for user ID 1."}, **self._limits())
        answer = self._page(request, self.tables[parts[3]])
        tag = answer.headers["ETag"] = f'W/"{hashlib.sha256(answer.body).hexdigest()}"'
        if request.headers.get("if-none-match") == tag:
            answer = Response(304, headers={"ETag": tag})
        elif not self.window.take():
            raise Refusal(403, {"message": "API rate limit exceeded for user ID 1."}, **self._limits())
        answer.headers |= {name.replace("_", "-"): str(value) for name, value in self._limits().items()}
        return answer

    def _limits(self):
        return {
            "x_ratelimit_limit": self.window.size, "x_ratelimit_remaining": self.window.remaining,
            "x_ratelimit_used": self.window.used, "x_ratelimit_reset": int(self.window.reset + 0.999),
            "x_ratelimit_resource": "core",
        }  # fmt: skip

    def _page(self, request, table):
        query = request.query
        size, number = min(whole(query, "per_page", 30, 1), 100), whole(query, "page", 1, 1)
        if query.get("sort", "created") not in self.columns or query.get("direction", "desc") not in ("asc", "desc"):
            raise Refusal(422, {"message": "Validation Failed"})
        descending = query.get("direction", "desc") == "desc"
        rows = table.ordered([(self.columns[query.get("sort", "created")], descending), (table.key, descending)])
        if rows and "state" in rows[0] and query.get("state", "open") != "all":
            rows = where(rows, "state", "eq", query.get("state", "open"))
        if "since" in query:
            try:
                rows = where(rows, "updated_at", "ge", parse_time(query["since"]))
            except ValueError as error:
                raise Refusal(422, {"message": "Validation Failed"}) from error
        answer = self.json_response(rows[(number - 1) * size : number * size])
        last = max(1, -(-len(rows) // size))
        pages = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        wanted = [name for name in pages if (number > 1 if name in ("prev", "first") else number < last)]
        links = [f'<{self._url(request, pages[name])}>; rel="{name}"' for name in wanted]
        if links:
            answer.headers["Link"] = ", ".join(links)
        return answer

    def _url(self, request, number):
        kept = [(name, value) for name, value in request.pairs if name != "page"]
        return self.url + request.path + "?" + urllib.parse.urlencode([*kept, ("page", number)])
