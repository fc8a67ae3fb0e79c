"""PostgREST, and Supabase in front of it, as their documentation has it: a stand-in.

    GET /                 an OpenAPI document with a path and a definition for each table
    GET /NAME?column=op.value&order=a.asc,b.desc.nullslast&limit=&offset=&select=a,b

Operators eq neq gt gte lt lte is in, not. before them, and or=(…) and and=(…) of such. Or a header Range: 0-24. Content-Range
tells where the page lies, and with Prefer: count=exact also the total; the status is 206 then, or 416 past the end. More rows
than `cap` (db-max-rows) never come, and nothing says so. Without an order, rows that were changed come last, as in a heap."""

import datetime
import decimal
import re

from .auth import Header
from .server import Refusal, Server
from .table import COMPARISONS, read_as, sort_rows

WORDS = {"eq": "eq", "neq": "ne", "gt": "gt", "gte": "ge", "lt": "lt", "lte": "le"}
TYPES = {
    bool: ("boolean", "boolean"), int: ("integer", "bigint"), float: ("number", "double precision"), str: ("string", "text"),
    decimal.Decimal: ("number", "numeric"), datetime.datetime: ("string", "timestamp with time zone"),
}  # fmt: skip


class PostgREST(Server):
    base = "/"

    def __init__(self, *tables, cap=1000, **more):
        self.cap = cap
        super().__init__(*tables, **more)

    @property
    def base_url(self):
        return self.url + self.base

    def time_text(self, moment):
        text = moment.isoformat()
        return re.sub(r"(\.\d*?)0+(?=[+-])", r"\1", text) if "." in text else text

    def handle(self, request):
        if request.method not in ("GET", "HEAD") or not request.path.startswith(self.base):
            raise Refusal(404, {"message": "no Route matched with those values"})
        name = request.path.removeprefix(self.base).strip("/")
        if not name:
            return self._description()
        if name not in self.tables:
            raise Refusal(404, {"code": "PGRST205", "message": f"Could not find the table 'public.{name}' in the schema cache"})
        table = self.tables[name]
        try:
            rows = self._rows(table, request)
        except KeyError as error:
            raise Refusal(400, {"code": "42703", "message": f"column {name}.{error.args[0]} does not exist"}) from error
        except ValueError as error:
            raise Refusal(400, {"code": "22P02", "message": f"invalid input syntax: {error}"}) from error
        return self._page(request, rows)

    def _rows(self, table, request):
        query = request.query
        if "order" in query:
            order = [self._order(part) for part in query["order"].split(",")]
            if any(first != descending for _, descending, first in order):
                rows = table.rows()
                for column, descending, first in reversed(order):
                    rows = sort_rows(rows, [(column, descending)], nulls_first=first != descending)
            else:
                rows = table.ordered([(column, descending) for column, descending, _ in order])
        else:
            touched = {key: place for place, (_, key, _) in enumerate(table.past)}
            rows = sorted(table.rows(), key=lambda row: touched.get(row[table.key], -1))
        for name, condition in request.pairs:
            if name not in ("select", "order", "limit", "offset"):
                test = self._test(name, condition, rows)
                rows = [row for row in rows if test(row)]
        return rows

    @staticmethod
    def _order(part):
        """(column, descending, nulls first)."""
        column, *ways = part.split(".")
        if set(ways) - {"asc", "desc", "nullsfirst", "nullslast"}:
            raise Refusal(400, {"code": "PGRST100", "message": f'"failed to parse order ({part})"'})
        descending = "desc" in ways
        return column, descending, "nullsfirst" in ways or (descending and "nullslast" not in ways)

    def _test(self, name, condition, rows):
        if name in ("or", "and"):
            parts = re.split(r",(?![^()]*\))", condition.removeprefix("(").removesuffix(")"))
            tests = [self._test(*re.match(r"(or|and|\w+)(?:\.|(?=\())(.*)", part).groups(), rows) for part in parts]
            return lambda row: (any if name == "or" else all)(test(row) for test in tests)
        if rows and name not in rows[0]:
            raise KeyError(name)
        word, _, text = condition.partition(".")
        if word == "not":
            inner = self._test(name, text, rows)
            return lambda row: not inner(row)
        if word == "is":
            wanted = {"null": None, "true": True, "false": False}[text]
            return lambda row: row[name] is wanted
        beside = next((row[name] for row in rows if row[name] is not None), None)
        if word == "in":
            values = [read_as(value.strip('"'), beside) for value in text.removeprefix("(").removesuffix(")").split(",")]
            return lambda row: row[name] in values
        if word not in WORDS:
            raise Refusal(400, {"code": "PGRST100", "message": f'"failed to parse filter ({condition})"'})
        compare, value = COMPARISONS[WORDS[word]], read_as(text.strip('"'), beside)
        return lambda row: (mine := row[name]) is not None and compare(mine, value)

    def _page(self, request, rows):
        query, offset, limit = request.query, 0, None
        if ranged := re.fullmatch(r"(\d+)-(\d*)", request.headers.get("range", "")):
            offset, last = int(ranged[1]), ranged[2]
            limit = int(last) - offset + 1 if last else None
        try:
            offset, limit = int(query.get("offset", offset)), int(query["limit"]) if "limit" in query else limit
        except ValueError as error:
            raise Refusal(400, {"code": "PGRST100", "message": str(error)}) from error
        page = rows[offset : offset + min(self.cap, limit if limit is not None else self.cap)]
        counted = "count=exact" in request.headers.get("prefer", "")
        if counted and offset > len(rows):
            raise Refusal(416, {
                "code": "PGRST103", "message": "Requested range not satisfiable",
                "details": f"An offset of {offset} was requested, but there are only {len(rows)} rows.",
            }, Content_Range=f"*/{len(rows)}")  # fmt: skip
        if "select" in query and query["select"] != "*":
            page = [{name: row[name] for name in query["select"].split(",")} for row in page]
        extent = f"{offset}-{offset + len(page) - 1}" if page else "*"
        partial = counted and len(page) < len(rows)
        return self.json_response(page, 206 if partial else 200, Content_Range=f"{extent}/{len(rows) if counted else '*'}")

    def _description(self):
        definitions = {}
        for name, table in self.tables.items():
            properties = {}
            for column, value in next(iter(table.rows()), {}).items():
                kind, form = TYPES.get(type(value), (None, "jsonb"))
                properties[column] = {"format": form} | ({"type": kind} if kind else {})
                if column == table.key:
                    properties[column]["description"] = "Note:\nThis is a Primary Key.<pk/>"
            definitions[name] = {"type": "object", "required": [table.key], "properties": properties}
        paths = {"/": {"get": {"summary": "OpenAPI description (this document)"}}}
        paths |= {f"/{name}": {"get": {"tags": [name]}, "post": {"tags": [name]}} for name in self.tables}
        return {"swagger": "2.0", "info": {"title": "standard public schema"}, "paths": paths, "definitions": definitions}


class Supabase(PostgREST):
    """Below /rest/v1/, with a gateway that wants the key twice: as apikey and as bearer."""

    base = "/rest/v1/"
    key = "service-role-key"

    @property
    def base_url(self):
        return self.url + "/"

    def __init__(self, *tables, **more):
        self.auth = Header(apikey=self.key, authorization=f"Bearer {self.key}")
        super().__init__(*tables, **more)
