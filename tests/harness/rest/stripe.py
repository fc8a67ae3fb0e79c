"""Stripe's lists, as docs.stripe.com has them: a stand-in.

    GET /v1/NAME?created[gte]=&limit=&starting_after=ID      {"object": "list", "url", "has_more", "data": […]}
    GET /v1/events?type=NAME.updated&created[gte]=…          what was changed, with the object as it is now

Newest first, whatever is asked. 10 rows where no limit is given, and none above 100. Times are epoch seconds; a row's
`created` never changes, so that changes are found in the events only."""

import re

from .auth import bearer
from .server import Refusal, Server, whole
from .table import COMPARISONS

WORDS = {"gte": "ge", "gt": "gt", "lte": "le", "lt": "lt"}


class Stripe(Server):
    key = "sk_test_stand_in"

    def __init__(self, *tables, **more):
        self.auth = bearer(self.key)
        super().__init__(*tables, **more)

    def time_text(self, moment):
        return int(moment.timestamp())

    def handle(self, request):
        name = request.path.removeprefix("/v1/")
        if request.method != "GET" or (name != "events" and name not in self.tables):
            raise Refusal(404, problem(f"Unrecognized request URL (GET: {request.path})."))
        rows = self._events(request.query.get("type")) if name == "events" else self.tables[name].rows()
        rows.sort(key=lambda row: (row["created"], row["id"]), reverse=True)
        for parameter, value in request.query.items():
            if match := re.fullmatch(r"created\[(\w+)\]", parameter):
                if match[1] not in WORDS or not value.isdigit():
                    raise Refusal(400, problem(f"Invalid integer: {value}"))
                compare, bound = COMPARISONS[WORDS[match[1]]], int(value)
                rows = [row for row in rows if compare(int(row["created"].timestamp()), bound)]
        return self._page(request, rows)

    @staticmethod
    def _page(request, rows):
        query = request.query
        limit = whole(query, "limit", 10, 1)
        if limit > 100:
            raise Refusal(400, problem("Invalid integer: limit must be less than or equal to 100"))
        for name in ("starting_after", "ending_before"):
            if name in query:
                places = [place for place, row in enumerate(rows) if str(row["id"]) == query[name]]
                if not places:
                    raise Refusal(400, problem(f"No such object: '{query[name]}'"))
                rows = rows[places[0] + 1 :] if name == "starting_after" else rows[max(0, places[0] - limit) : places[0]]
        return {"object": "list", "url": request.path, "has_more": len(rows) > limit, "data": rows[:limit]}

    def _events(self, kind):
        found = []
        for name, table in self.tables.items():
            with table.lock:
                for number, (when, key, before) in enumerate(table.past):
                    now = table.by_key.get(key)
                    what = "created" if before is None else "deleted" if now is None else "updated"
                    event = {"id": f"evt_{name}_{number:06}", "object": "event", "created": when, "type": f"{name.rstrip('s')}.{what}"}
                    found.append(event | {"data": {"object": now or before}})
        return [event for event in found if kind in (None, event["type"])]


def problem(message):
    return {"error": {"type": "invalid_request_error", "message": message}}
