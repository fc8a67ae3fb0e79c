"""A GraphQL server with connections as Relay's specification has them: a stand-in that takes queries of one form.

    POST /graphql {"query": "{ NAME(first: 100, after: \\"cursor\\") { edges { node { id name } } pageInfo { hasNextPage endCursor } } }"}
        {"data": {NAME: {"edges": [{"node": {…}}], "pageInfo": {"hasNextPage": …, "endCursor": …}}}}

Errors come with status 200, in "errors"."""

import base64
import re

from .server import Refusal, Server, iso_ms

QUERY = re.compile(
    r'\{\s*(\w+)\(first:\s*(\d+)(?:,\s*after:\s*"([^"]*)")?\)\s*\{\s*edges\s*\{\s*node\s*\{\s*([\w\s]+?)\s*\}\s*\}\s*'
    r"pageInfo\s*\{\s*hasNextPage\s+endCursor\s*\}\s*\}\s*\}"
)


class Relay(Server):
    def __init__(self, *tables, cap=100, **more):
        self.cap = cap
        super().__init__(*tables, **more)

    def time_text(self, moment):
        return iso_ms(moment)

    def handle(self, request):
        if request.path != "/graphql" or request.method != "POST":
            raise Refusal(404)
        match = QUERY.fullmatch(request.json()["query"])
        if not match:
            return {"errors": [{"message": "Syntax Error"}]}
        name, first, after, fields = match.groups()
        if name not in self.tables:
            return {"errors": [{"message": f'Cannot query field "{name}" on type "Query".'}]}
        last = int(base64.b64decode(after).removeprefix(b"id:")) if after else 0
        rows = [row for row in self.tables[name].ordered([("id", False)]) if row["id"] > last]
        page = rows[: min(int(first), self.cap)]
        unknown = [field for field in fields.split() if page and field not in page[0]]
        if unknown:
            return {"errors": [{"message": f'Cannot query field "{unknown[0]}".'}]}
        cursor = base64.b64encode(f"id:{page[-1]['id']}".encode()).decode() if page else None
        edges = [{"node": {field: row[field] for field in fields.split()}} for row in page]
        return {"data": {name: {"edges": edges, "pageInfo": {"hasNextPage": len(rows) > len(page), "endCursor": cursor}}}}
