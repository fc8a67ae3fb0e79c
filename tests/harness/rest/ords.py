"""Oracle REST Data Services (AutoREST), as its developer's guide documents it: a stand-in, not ORDS.

    GET /ords/erp/NAME/?q={…}&offset=&limit=       items, hasMore, limit, offset, count, links
    GET /ords/erp/metadata-catalog/                what there is
    POST /ords/erp/oauth/token                     where auth is ClientCredentials(path=Ords.token_path)

`q` holds filters ({"column": value}, $eq $ne $gt $gte $lt $lte $between $null $notnull $like, $and, $or), the order ($orderby)
and a past state ($asof: a date or a system change number). Without $orderby, and among equals, the order is another one in
each request: no rows of a table have an order of their own. The limit is 25 where none is given, and never above `cap`."""

import fnmatch
import json
import random
import urllib.parse

from .server import Refusal, Server, whole
from .table import COMPARISONS, beginning_at, parse_time, sort_rows

WORDS = {"$eq": "eq", "$ne": "ne", "$gt": "gt", "$gte": "ge", "$lt": "lt", "$lte": "le"}


class Ords(Server):
    base = "/ords/erp/"
    token_path = "/ords/erp/oauth/token"

    def __init__(self, *tables, cap=500, plain_dates=True, item_links=True, seed=None, **more):
        self.cap, self.plain_dates, self.item_links = cap, plain_dates, item_links
        self.chance = random.Random(seed)
        super().__init__(*tables, **more)

    @property
    def base_url(self):
        return self.url + self.base

    def handle(self, request):
        name = request.path.removeprefix(self.base).strip("/")
        if request.method != "GET" or not request.path.startswith(self.base):
            raise Refusal(404, problem("NotFound", "Not Found"))
        if name == "metadata-catalog":
            items = [{"name": table, "links": [{"rel": "describes", "href": f"{self.base_url}{table}/"}]} for table in self.tables]
            return {"items": items, "hasMore": False, "limit": 25, "offset": 0, "count": len(items), "links": []}
        table = self.table(name)
        offset = whole(request.query, "offset", 0)
        limit = min(whole(request.query, "limit", 25, 1), self.cap)
        rows = self._rows(table, request.query.get("q"))
        page = rows[offset : offset + limit]
        here = f"{self.base_url}{name}/"
        more = offset + len(page) < len(rows)
        if self.item_links:
            page = [row | {"links": [{"rel": "self", "href": f"{here}{row[table.key]}"}]} for row in page]
        return {
            "items": page, "hasMore": more, "limit": limit, "offset": offset, "count": len(page),
            "links": self._links(here, request, offset, limit, more),
        }  # fmt: skip

    @staticmethod
    def _links(here, request, offset, limit, more):
        def page_at(place):
            kept = {"q": request.query["q"]} if "q" in request.query else {}
            return here + "?" + urllib.parse.urlencode(kept | {"offset": place, "limit": limit})

        links = {"self": here, "describedby": here.replace("/ords/erp/", "/ords/erp/metadata-catalog/"), "first": page_at(0)}
        if more:
            links["next"] = page_at(offset + limit)
        if offset:
            links["prev"] = page_at(max(0, offset - limit))
        return [{"rel": rel, "href": href} for rel, href in links.items()]

    def _rows(self, table, text):
        try:
            filters = json.loads(text) if text else {}
            order = [(name.lower(), descends(way)) for name, way in filters.pop("$orderby", {}).items()]
            state = filters.pop("$asof", None)
            state = None if state is None else self._value(state)
            if (table.key, False) in order:  # a total order needs no shuffling
                rows = table.ordered(order, state)
                column, descending = order[0]
                given = filters.get(column)
                if isinstance(given, dict) and list(given) == ["$gte"] and not descending and rows and rows[-1][column] is not None:
                    rows = beginning_at(rows, column, self._value(filters.pop(column)["$gte"], rows[-1][column]))
            else:
                rows = table.rows() if state is None else table.as_of(state)
                self.chance.shuffle(rows)
                rows = sort_rows(rows, order)
            if filters and rows:
                wanted = self._all(filters, rows)
                rows = [row for row in rows if wanted(row)]
            return rows
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refusal(400, problem("BadRequest", f"The request could not be processed: {error!r}")) from error

    def _all(self, filters, rows):
        """The test of a row that stands for all of these filters; `rows` tell which columns are times."""
        tests = [self._test(name, condition, rows) for name, condition in filters.items()]
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _test(self, name, condition, rows):
        if name in ("$and", "$or"):
            parts, combine = [self._all(part, rows) for part in condition], all if name == "$and" else any
            return lambda row: combine(part(row) for part in parts)
        if isinstance(condition, list):  # several conditions for one column
            return self._test("$and", [{name: part} for part in condition], rows)
        if not isinstance(condition, dict) or "$date" in condition:
            condition = {"$eq": condition}
        name = name.lower()
        beside = next((row[name] for row in rows if row[name] is not None), None)
        if len(condition) > 1:
            return self._test("$and", [{name: {word: given}} for word, given in condition.items()], rows)
        ((word, given),) = condition.items()
        if word in ("$null", "$notnull"):
            return lambda row: (row[name] is None) == (word == "$null")
        if word == "$like":
            pattern = given.replace("%", "*").replace("_", "?")
            return lambda row: row[name] is not None and fnmatch.fnmatchcase(row[name], pattern)
        if word == "$between":
            low, high = (self._value(value, beside) for value in given)
            return lambda row: row[name] is not None and low <= row[name] <= high
        compare, value = COMPARISONS[WORDS[word]], self._value(given, beside)
        return lambda row: (mine := row[name]) is not None and compare(mine, value)

    def _value(self, given, beside=None):
        """What a filter means: {"$date": text} is a time, and so is text that a time is compared with, if the server takes that."""
        if isinstance(given, dict):
            (text,) = (given[name] for name in ("$date", "$timestamp") if name in given)
            return parse_time(text)
        if isinstance(given, str) and hasattr(beside, "tzinfo"):
            if not self.plain_dates:
                raise ValueError("ORA-01861: literal does not match format string")
            return parse_time(given)
        return given


def descends(way):
    """Whether a way of $orderby descends: "DESC", -1, or with a place for the nulls."""
    word = str(way[0] if isinstance(way, list) else way).upper()
    if word not in ("ASC", "DESC", "1", "-1"):
        raise ValueError(f"no way to order: {way}")
    return word in ("DESC", "-1")


def problem(code, message):
    return {"code": code, "title": message, "message": message, "type": f"tag:oracle.com,2020:error/{code}", "instance": "tag:stand-in"}
