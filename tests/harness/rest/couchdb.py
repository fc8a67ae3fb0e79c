"""CouchDB's changes feed, as its documentation has it: a stand-in.

    GET /DB/_changes?since=&limit=&include_docs=true
        {"results": [{"seq", "id", "changes": [{"rev"}], "deleted": true, "doc": {"_id", "_rev", …}}], "last_seq": …, "pending": 0}

Each document is there once, at its last change; one that was deleted has a stub with _deleted. A sequence is a text whose
number alone means something."""

import itertools

from .auth import basic
from .server import Refusal, Server, whole
from .table import Table


class CouchDB(Server):
    user, password = "reader", "geheim"

    def __init__(self, table: Table, **more):
        self.auth = basic(self.user, self.password)
        self.sequence, self.numbers, self.known = {}, itertools.count(1), {}
        super().__init__(table, **more)

    def handle(self, request):
        name, _, verb = request.path.removeprefix("/").partition("/")
        if verb != "_changes" or name not in self.tables:
            raise Refusal(404, {"error": "not_found", "reason": "Database does not exist."})
        self._follow(self.tables[name])
        query = request.query
        after = int(query.get("since", "0").partition("-")[0])
        changes = sorted((number, key) for key, number in self.sequence.items() if number > after)
        page = changes[: whole(query, "limit", len(changes) or 1, 1)]
        last = page[-1][0] if page else after
        return {"results": [self._change(number, key) for number, key in page], "last_seq": f"{last}-g1AAAA", "pending": len(changes) - len(page)}

    def _follow(self, table):
        rows = {row[table.key]: row for row in table.rows()}
        for key in sorted(rows.keys() | self.known.keys(), key=str):
            if self.known.get(key) is not rows.get(key):
                self.sequence[key] = next(self.numbers)
        self.known = {key: rows.get(key) for key in rows.keys() | self.known.keys()}

    def _change(self, number, key):
        row = self.known[key]
        doc = {"_id": str(key), "_rev": f"{number}-abc"} | (row if row is not None else {"_deleted": True})
        change = {"seq": f"{number}-g1AAAA", "id": str(key), "changes": [{"rev": doc["_rev"]}], "doc": doc}
        return change if row is not None else change | {"deleted": True}
