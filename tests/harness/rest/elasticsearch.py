"""Elasticsearch's search API, as its documentation has it: a stand-in.

    POST /INDEX/_search {"size", "query": {"range": {f: {"gte", "lt"}}} or {"bool": {"filter": […]}}, "sort": […], "search_after": […]}
        {"hits": {"total": {"value", "relation"}, "hits": [{"_index", "_id", "_score", "_source": {…}, "sort": […]}]}}

Ids are texts. 10 hits where no size is given; more than 10,000 is refused. Sort values of times are milliseconds. Rows that are
equal in all that is sorted by come in any order, and search_after passes over those that were equal to it."""

import datetime
import decimal
import random

from .server import Refusal, Server, iso_ms
from .table import parse_time, where

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def sort_value(value):
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(milliseconds=1)
    return float(value) if isinstance(value, decimal.Decimal) else value


class Elasticsearch(Server):
    largest = 10_000

    def __init__(self, *tables, seed=None, **more):
        self.chance = random.Random(seed)
        super().__init__(*tables, **more)

    def time_text(self, moment):
        return iso_ms(moment)

    def handle(self, request):
        index, _, verb = request.path.removeprefix("/").partition("/")
        if verb != "_search" or request.method != "POST":
            raise Refusal(405, problem("no handler"))
        if index not in self.tables:
            raise Refusal(404, problem(f"no such index [{index}]"))
        if request.headers.get("content-type") != "application/json":
            raise Refusal(406, problem("Content-Type header is not supported"))
        asked = request.json()
        unknown = asked.keys() - {"size", "query", "sort", "search_after", "track_total_hits"}
        size = asked.get("size", 10)
        if unknown or size > self.largest:
            raise Refusal(400, problem(f"unknown key {unknown}" if unknown else "Result window is too large"))
        rows = self.tables[index].rows()
        self.chance.shuffle(rows)
        rows = self._filtered(rows, asked.get("query", {"match_all": {}}))
        total = len(rows)
        order = [pair for item in asked.get("sort", []) for pair in item.items()]
        if any(word.lower() != "asc" for _, word in order):
            raise Refusal(400, problem("this one sorts upwards only"))
        hits = [(self._sort_values(row, order), row) for row in rows]
        hits.sort(key=lambda hit: hit[0])
        if "search_after" in asked:
            hits = [hit for hit in hits if hit[0] > asked["search_after"]]
        with_source = request.query.get("_source")
        shown = []
        for values, row in hits[:size]:
            source = {name: value for name, value in row.items() if with_source is None or name in with_source.split(",")}
            shown.append({"_index": index, "_id": str(row["id"]), "_score": None, "_source": source} | ({"sort": values} if order else {}))
        relation = "eq" if asked.get("track_total_hits") or total <= self.largest else "gte"
        return {"took": 1, "timed_out": False, "hits": {"total": {"value": min(total, self.largest) if relation == "gte" else total,
                                                                  "relation": relation}, "max_score": None, "hits": shown}}  # fmt: skip

    @staticmethod
    def _sort_values(row, order):
        return [str(row["id"]) if name == "_id" else sort_value(row[name]) for name, _ in order]

    def _filtered(self, rows, query):
        (kind, what), *others = query.items()
        assert not others
        if kind == "bool":
            for part in what["filter"]:
                rows = self._filtered(rows, part)
        elif kind == "exists":
            rows = [row for row in rows if row[what["field"]] is not None]
        elif kind == "range":
            ((column, bounds),) = what.items()
            for word, bound in bounds.items():
                # Times are kept to the millisecond.
                if isinstance(rows and rows[0][column], datetime.datetime):
                    bound = parse_time(bound)
                    rows = [row for row in rows if compare(word, sort_value(row[column]), sort_value(bound))]
                else:
                    rows = where(rows, column, {"gte": "ge", "lt": "lt"}[word], bound)
        elif kind != "match_all":
            raise Refusal(400, problem(f"unknown query [{kind}]"))
        return rows


def compare(word, left, right):
    return left >= right if word == "gte" else left < right


def problem(reason):
    return {"error": {"type": "search_phase_execution_exception", "reason": reason}, "status": 400}
