"""A service of OData v4.01 (OASIS; JSON format): a stand-in.

    GET /odata/v4/              the service document
    GET /odata/v4/NAME?$filter=&$orderby=&$top=&$skip=&$select=&$count=true

$filter knows eq ne gt ge lt le, and, or, not and parentheses. Pages are the server's: `page_rows`, or what Prefer:
odata.maxpagesize asks for if that is less; @odata.nextLink is relative (unless `relative` is off) and carries a $skiptoken.
With Prefer: odata.track-changes the last page has an @odata.deltaLink, which gives what changed since, with @removed for
what was deleted; one older than `oldest_delta` gets 410."""

import re
import urllib.parse

from .server import Refusal, Server, iso_ms, whole
from .table import COMPARISONS, read_as, sort_rows

TOKEN = re.compile(r"\s*('(?:[^']|'')*'|[()]|[^\s()]+)")


class OData(Server):
    base = "/odata/v4/"

    def __init__(self, *tables, page_rows=1000, relative=True, **more):
        self.page_rows, self.relative = page_rows, relative
        self.oldest_delta = 0  # delta tokens that are less are no longer known
        super().__init__(*tables, **more)

    @property
    def base_url(self):
        return self.url + self.base

    def time_text(self, moment):
        return iso_ms(moment)

    def handle(self, request):
        if request.method != "GET" or not request.path.startswith(self.base):
            raise Refusal(404, error("NotFound", "resource not found"))
        name = request.path.removeprefix(self.base).strip("/")
        if not name:
            sets = [{"name": table, "kind": "EntitySet", "url": table} for table in self.tables]
            return self._answer(request, {"@odata.context": f"{self.base_url}$metadata", "value": sets})
        if name not in self.tables:
            raise Refusal(404, error("NotFound", f"there is no entity set {name}"))
        table, query = self.tables[name], request.query
        try:
            if "$deltatoken" in query:
                return self._delta(request, table, whole(query, "$deltatoken"))
            return self._page(request, table, query)
        except (ValueError, KeyError, IndexError) as problem:
            raise Refusal(400, error("BadRequest", f"the query can't be understood: {problem!r}")) from problem

    def _page(self, request, table, query):
        version = table.version
        order = [order_item(part) for part in query["$orderby"].split(",")] if "$orderby" in query else []
        rows = table.ordered(order) if (table.key, False) in order else sort_rows(table.ordered([(table.key, False)]), order)
        if "$filter" in query:
            wanted = Filter(query["$filter"], rows).test
            rows = [row for row in rows if wanted(row)]
        count = len(rows)
        rows = rows[whole(query, "$skip", 0) :]
        rows = rows[: whole(query, "$top", len(rows))]
        start = whole(query, "$skiptoken", 0)
        preferred = re.search(r"maxpagesize=(\d+)", request.headers.get("prefer", ""))
        size = min(self.page_rows, int(preferred[1])) if preferred else self.page_rows
        page, end = rows[start : start + size], start + size
        if "$select" in query:
            page = [{column: row[column] for column in query["$select"].split(",")} for row in page]
        body = {"@odata.context": f"{self.base_url}$metadata#{table.name}"}
        if query.get("$count") == "true":
            body["@odata.count"] = count
        body["value"] = page
        if end < len(rows):
            kept = [(name, value) for name, value in request.pairs if name != "$skiptoken"]
            body["@odata.nextLink"] = self._link(table, [*kept, ("$skiptoken", end)])
        elif "track-changes" in request.headers.get("prefer", ""):
            body["@odata.deltaLink"] = self._link(table, [("$deltatoken", version)])
        return self._answer(request, body)

    def _delta(self, request, table, since):
        if since < self.oldest_delta:
            raise Refusal(410, error("Gone", "the delta token is too old: read everything again"))
        with table.lock:
            version = table.version
            keys = list(dict.fromkeys(key for _, key, _ in table.past[since:]))
            rows = [table.by_key.get(key) or self._removed(table, key) for key in keys]
        return self._answer(request, {
            "@odata.context": f"{self.base_url}$metadata#{table.name}/$delta", "value": rows,
            "@odata.deltaLink": self._link(table, [("$deltatoken", version)]),
        })  # fmt: skip

    @staticmethod
    def _removed(table, key):
        return {"@removed": {"reason": "deleted"}, "@odata.id": f"{table.name}({key})", table.key: key}

    def _link(self, table, pairs):
        return ("" if self.relative else self.base_url) + f"{table.name}?{urllib.parse.urlencode(pairs, safe='$')}"

    def _answer(self, request, body):
        kind = "none" if "odata.metadata=none" in request.headers.get("accept", "") else "minimal"
        if kind == "none":  # of what describes the answer, only links and counts are left
            body.pop("@odata.context", None)
        answer = self.json_response(body, OData_Version="4.0")
        answer.headers["Content-Type"] = f"application/json;odata.metadata={kind};charset=utf-8"
        return answer


def error(code, message):
    return {"error": {"code": code, "message": message}}


def order_item(part):
    column, *way = part.split()
    if way not in ([], ["asc"], ["desc"]):
        raise ValueError(f"no order: {part}")
    return column, way == ["desc"]


class Filter:
    """The expression of $filter as a test of a row."""

    def __init__(self, text, rows):
        self.tokens, place = [], 0
        text = text.rstrip()
        while place < len(text):
            match = TOKEN.match(text, place)
            if not match:
                raise ValueError(text[place:])
            self.tokens.append(match[1])
            place = match.end()
        self.rows = rows
        self.test = self._any()
        if self.tokens:
            raise ValueError(f"{self.tokens[0]} is too much")

    def _next(self, word):
        if self.tokens[:1] == [word]:
            return self.tokens.pop(0)
        return None

    def _any(self):
        parts = [self._all()]
        while self._next("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _all(self):
        parts = [self._one()]
        while self._next("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def _one(self):
        if self._next("not"):
            inner = self._one()
            return lambda row: not inner(row)
        if self._next("("):
            inner = self._any()
            if not self._next(")"):
                raise ValueError("a parenthesis isn't closed")
            return inner
        column, word, literal = (self.tokens.pop(0) for _ in range(3))
        compare = COMPARISONS[word]
        if literal == "null":
            return lambda row: (row[column] is None) == (word == "eq")
        beside = next((row[column] for row in self.rows if row[column] is not None), None)
        if literal.startswith("'"):
            if not isinstance(beside, (str, type(None))):
                raise ValueError(f"{column} isn't text")  # services refuse a time in quotes
            value = literal[1:-1].replace("''", "'")
        else:
            value = read_as(literal, beside)
        return lambda row: (mine := row[column]) is not None and compare(mine, value)
