"""A plain JSON API, as a company's own developers write one. A stand-in: it follows no published contract, but knows each
of the usual ways to page, all at once, and a stream picks one."""

import base64
import hashlib
import urllib.parse

from .server import Refusal, Response, Server, iso_ms, whole
from .table import parse_time, sort_rows


class Plain(Server):
    """GET /NAME reads the table of that name, GET /NAME/KEY/CHILD the rows of CHILD whose `NAME_id` is that key, and
    GET /NAME/deleted?since= what was deleted: {"id", "deleted_at"}.

    Filters   since, until (the table's `changed`, `>=` and `<=`), unchanged (it is null), any column = value
    Order     sort=column,-column; without it, by key
    Pages     limit with offset | page | cursor | after (the last key seen)
    Answer    an array, with Link and X-Total-Count; or with shape="envelope" an object: data.items, data.total,
              has_more, next (a URL), next_cursor, as_of (the highest `changed` that it knows)
    """

    def __init__(self, *tables, shape="array", cap=1000, default_limit=100, relative_links=False, **more):
        self.shape, self.cap, self.default_limit, self.relative_links = shape, cap, default_limit, relative_links
        self.past_the_end = 200  # what a page beyond the last gets
        self.deepest = None  # rows of a request after which its pages end without a word
        self.tombstones = False  # deleted rows come too, with "deleted": true
        self.etags = False
        super().__init__(*tables, **more)

    def time_text(self, moment):
        return iso_ms(moment)

    def handle(self, request):
        parts = request.path.strip("/").split("/")
        if request.method not in ("GET", "HEAD"):
            raise Refusal(405)
        if len(parts) == 2 and parts[1] == "deleted":
            table = self.table(parts[0])
            return self._page(request, self._deleted(table, request.query), table)
        rows, table = self._rows(parts)
        query = request.query
        rows = self._filtered(rows, table, query)
        if "sort" in query:
            rows = sort_rows(rows, [(name.lstrip("-"), name.startswith("-")) for name in query["sort"].split(",")])
        rows = rows[: self.deepest]
        return self._page(request, rows, table)

    def _rows(self, parts):
        """The rows that a path names, by key, and their table."""
        if len(parts) == 3:
            parent, child = self.table(parts[0]), self.table(parts[2])
            if not any(str(row[parent.key]) == parts[1] for row in parent.rows()):
                raise Refusal(404)
            return [row for row in child.ordered([(child.key, False)]) if str(row[f"{parent.name}_id"]) == parts[1]], child
        if len(parts) != 1:
            raise Refusal(404)
        table = self.table(parts[0])
        if not self.tombstones:
            return table.ordered([(table.key, False)]), table
        gone = {key: row | {table.changed: when, "deleted": True} for when, key, row in table.deleted if key not in table.by_key}
        return [row | {"deleted": False} for row in table.rows()] + list(gone.values()), table

    def _filtered(self, rows, table, query):
        try:
            if query.get("since"):
                since = parse_time(query["since"])
                rows = [row for row in rows if row[table.changed] is not None and row[table.changed] >= since]
            if query.get("until"):
                until = parse_time(query["until"])
                rows = [row for row in rows if row[table.changed] is not None and row[table.changed] <= until]
        except ValueError as error:
            raise Refusal(400, {"error": str(error)}) from error
        if query.get("unchanged"):
            rows = [row for row in rows if row[table.changed] is None]
        known = {"since", "until", "unchanged", "sort", "limit", "offset", "page", "cursor", "after"}
        for name, value in query.items():
            if name not in known:
                rows = [row for row in rows if str(row.get(name)) == value]
        return rows

    def _page(self, request, rows, table):
        query = request.query
        limit = min(whole(query, "limit", self.default_limit, 1), self.cap)
        if "page" in query:
            offset = (whole(query, "page", 1, 1) - 1) * limit
        elif query.get("cursor"):
            last = base64.urlsafe_b64decode(query["cursor"]).decode().removeprefix("behind ")
            offset = self._behind(rows, table, last)
        elif query.get("after"):
            offset = self._behind(rows, table, query["after"])
        else:
            offset = whole(query, "offset", 0)
        page = rows[offset : offset + limit]
        if not page and offset > 0 and self.past_the_end != 200:
            raise Refusal(self.past_the_end, {"error": "there is no such page"})
        more = offset + len(page) < len(rows)
        response = self.json_response(page if self.shape == "array" else self._envelope(request, table, rows, page, more))
        if more:
            response.headers["Link"] = f'<{self._next(request, page[-1][table.key], limit)}>; rel="next"'
        response.headers["X-Total-Count"] = str(len(rows))
        if self.etags:
            tag = response.headers["ETag"] = f'"{hashlib.sha1(response.body).hexdigest()}"'
            if request.headers.get("if-none-match") == tag:
                return Response(304, headers={"ETag": tag})
        return response

    @staticmethod
    def _behind(rows, table, key):
        """The place behind the row with this key, or, where it is gone and keys are numbers, behind its like."""
        for place, row in enumerate(rows):
            if str(row[table.key]) == key:
                return place + 1
        return next((place for place, row in enumerate(rows) if key.isdigit() and row[table.key] > int(key)), len(rows))

    def _envelope(self, request, table, rows, page, more):
        last = page[-1][table.key] if more else None
        return {
            "data": {"items": page, "total": len(rows)},
            "has_more": more,
            "next": self._next(request, last, len(page)) if more else None,
            "next_cursor": self._cursor(last) if more else None,
            "as_of": max((row[table.changed] for row in table.rows() if row[table.changed]), default=None) if table.changed else None,
        }

    @staticmethod
    def _cursor(key):
        return base64.urlsafe_b64encode(f"behind {key}".encode()).decode()

    def _next(self, request, key, limit):
        kept = [(name, value) for name, value in request.pairs if name not in ("offset", "page", "cursor", "after", "limit")]
        query = urllib.parse.urlencode([*kept, ("cursor", self._cursor(key)), ("limit", limit)])
        return ("" if self.relative_links else self.url) + f"{request.path}?{query}"

    def _deleted(self, table, query):
        since = parse_time(query["since"]) if query.get("since") else None
        until = parse_time(query["until"]) if query.get("until") else None
        return [
            {table.key: key, "deleted_at": when}
            for when, key, _ in table.deleted
            if (since is None or when >= since) and (until is None or when <= until)
        ]
