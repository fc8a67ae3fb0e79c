"""Shopify's Admin GraphQL API, as shopify.dev documents it: a stand-in that understands one connection a query.

    POST /admin/api/2025-01/graphql.json   {"query": "query($after: String) { orders(first: 100, after: $after,
        query: \"updated_at:>='…'\", sortKey: UPDATED_AT) { edges { cursor node { … } } pageInfo { hasNextPage endCursor } } }",
        "variables": {…}}

A query costs what `first` says, and 2; points come back at 100 a second (times `pace`) up to 2,000. One that can't be paid is
answered with status 200, no data, and errors[].message "Throttled". Fields are a row's columns in camel case; `id` is a gid."""

import base64
import json
import re

from .auth import Header
from .limits import Bucket
from .server import Refusal, Server
from .table import COMPARISONS, parse_time, sort_rows

TOKEN = re.compile(r'[\s,]+|(?:#[^\n]*)|(?P<token>\.\.\.|"""(?s:.*?)"""|"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|-?\d+(?:\.\d+)?|[{}()\[\]:!$=@|])')
TERM = re.compile(r"(\w+):(>=|<=|>|<|)('[^']*'|\"[^\"]*\"|\S+)")
SIGNS = {">=": "ge", "<=": "le", ">": "gt", "<": "lt", "": "eq"}


class Mistake(Exception):
    """What GraphQL answers with status 200 and `errors`."""


class ShopifyGraphql(Server):
    path = "/admin/api/2025-01/graphql.json"
    token = "shpat_stand_in"

    def __init__(self, *tables, pace=1, points=2000, **more):
        self.auth = Header(x_shopify_access_token=self.token)
        self.bucket = Bucket(points, 100 * pace)
        super().__init__(*tables, **more)

    @property
    def base_url(self):
        return self.url + "/admin/api/2025-01/"

    def handle(self, request):
        if request.path != self.path or request.method != "POST":
            raise Refusal(404, {"errors": "Not Found"})
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Refusal(415, {"errors": "Unsupported Media Type"})
        try:
            body = request.json()
            (field,) = Query(body["query"], body.get("variables") or {}).selections
            first = field.arguments.get("first")
            if field.name not in self.tables:
                raise Mistake(f"Field '{field.name}' doesn't exist on type 'QueryRoot'")
            if not isinstance(first, int) or not 1 <= first <= 250:
                raise Mistake("you must provide one of first or last, and at most 250")
        except (ValueError, KeyError, TypeError) as error:
            raise Refusal(400, {"errors": str(error)}) from error
        except Mistake as mistake:
            return {"errors": [{"message": str(mistake)}]}
        cost = first + 2
        if not self.bucket.take(cost):
            throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": "the rate limits of the API"}}
            return {"errors": [throttled], "extensions": {"cost": self._cost(cost, None)}}
        try:
            connection = self._connection(self.tables[field.name], field)
        except (Mistake, ValueError) as mistake:
            return {"errors": [{"message": str(mistake)}]}
        return {"data": {field.name: connection}, "extensions": {"cost": self._cost(cost, cost)}}

    def _cost(self, requested, actual):
        bucket = self.bucket
        status = {"maximumAvailable": float(bucket.size), "currentlyAvailable": int(bucket.available), "restoreRate": float(bucket.rate)}
        return {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}

    def _connection(self, table, field):
        given = field.arguments
        column = snake(given.get("sortKey") or "ID").lower()
        reverse = bool(given.get("reverse"))
        order = dict.fromkeys((column, "id"), reverse)
        rows = sort_rows(self._search(table.rows(), given.get("query") or ""), order.items())
        if given.get("after"):
            rows = rows[self._place_after(rows, column, given["after"], reverse) :]
        page = rows[: given["first"]]
        cursors = [self._cursor(row, column) for row in page]
        answer = {}
        for part in field.selections:
            if part.name == "edges":
                answer["edges"] = [self._edge(part, table, row, cursor) for row, cursor in zip(page, cursors)]
            elif part.name == "nodes":
                answer["nodes"] = [node(part, table, row) for row in page]
            elif part.name == "pageInfo":
                info = {
                    "hasNextPage": len(rows) > len(page), "hasPreviousPage": bool(given.get("after")),
                    "startCursor": cursors[0] if cursors else None, "endCursor": cursors[-1] if cursors else None,
                }  # fmt: skip
                answer["pageInfo"] = {name: info[name] for name in part.names()}
            else:
                raise Mistake(f"Field '{part.name}' doesn't exist on type 'Connection'")
        return answer

    @staticmethod
    def _edge(part, table, row, cursor):
        return {piece.name: cursor if piece.name == "cursor" else node(piece, table, row) for piece in part.selections}

    @staticmethod
    def _search(rows, text):
        for column, sign, value in TERM.findall(text):
            value = value.strip("'\"")
            compare = COMPARISONS[SIGNS[sign]]
            beside = rows[0].get(column) if rows else None
            value = parse_time(value) if hasattr(beside, "tzinfo") else type(beside)(value) if beside is not None else value
            rows = [row for row in rows if compare(row[column], value)]
        return rows

    def _cursor(self, row, column):
        value = row[column].isoformat() if hasattr(row[column], "isoformat") else row[column]
        return base64.b64encode(json.dumps({"last_id": row["id"], "last_value": value}).encode()).decode()

    @staticmethod
    def _place_after(rows, column, cursor, reverse):
        try:
            last = json.loads(base64.b64decode(cursor))
            value = last["last_value"]
        except (ValueError, KeyError) as error:
            raise Mistake("Invalid cursor for current pagination sort.") from error
        value = parse_time(value) if isinstance(value, str) and column.endswith("_at") else value
        for place, row in enumerate(rows):
            mine = (row[column], row["id"])
            if mine < (value, last["last_id"]) if reverse else mine > (value, last["last_id"]):
                return place
        return len(rows)


def snake(name):
    return name if name.isupper() else re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def node(field, table, row):
    """A row with the columns that were asked for."""
    answer = {}
    for part in field.selections:
        if part.name == "id" and field.name in ("node", "nodes"):
            answer["id"] = f"gid://shopify/{table.name.rstrip('s').capitalize()}/{row['id']}"
        elif part.name == "legacyResourceId":
            answer["legacyResourceId"] = str(row["id"])
        elif snake(part.name) not in row:
            raise Mistake(f"Field '{part.name}' doesn't exist on type '{table.name}'")
        else:
            value = row[snake(part.name)]
            answer[part.name] = node(part, table, value) if isinstance(value, dict) and part.selections else value
    return answer


class Field:
    def __init__(self, name, arguments, selections):
        self.name, self.arguments, self.selections = name, arguments, selections

    def names(self):
        return [part.name for part in self.selections]


class Query:
    """The part of GraphQL's grammar that such a query needs: fields with arguments and selections, and variables."""

    def __init__(self, text, variables):
        self.tokens = self._tokens(text)
        self.variables = variables
        if self.tokens[:1] == ["query"]:
            while self.tokens and self.tokens[0] != "{":  # name and declarations of variables
                if self.tokens[0] == "(":
                    while self.tokens.pop(0) != ")":
                        pass
                else:
                    self.tokens.pop(0)
        self.selections = self._selections()
        if self.tokens:
            raise Mistake(f"Parse error on {self.tokens[0]}")

    @staticmethod
    def _tokens(text):
        found, place = [], 0
        while place < len(text):
            match = TOKEN.match(text, place)
            if not match:
                raise Mistake(f"Parse error at {text[place : place + 20]!r}")
            place = match.end()
            if match["token"]:
                found.append(match["token"])
        return found

    def _take(self, expected=None):
        if not self.tokens or (expected and self.tokens[0] != expected):
            raise Mistake(f"Parse error on {self.tokens[0] if self.tokens else 'the end'}, expecting {expected or 'more'}")
        return self.tokens.pop(0)

    def _selections(self):
        self._take("{")
        found = []
        while self.tokens[:1] != ["}"]:
            name, arguments = self._take(), {}
            if self.tokens[:1] == ["("]:
                self._take("(")
                while self.tokens[:1] != [")"]:
                    key = self._take()
                    self._take(":")
                    arguments[key] = self._value()
                self._take(")")
            found.append(Field(name, arguments, self._selections() if self.tokens[:1] == ["{"] else []))
        self._take("}")
        return found

    def _value(self):
        token = self._take()
        if token == "$":
            return self.variables.get(self._take())
        if token.startswith('"'):
            return json.loads(token)
        if token in ("true", "false", "null"):
            return json.loads(token)
        return int(token) if re.fullmatch(r"-?\d+", token) else token
