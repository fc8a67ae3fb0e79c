"""Logs at JSON APIs: several rows of one key with different watermarks, in whatever order they arrive. Within a run the row
with the greatest watermark stays, and among equal ones the one that arrived last; what an earlier run wrote has no say."""

import datetime
import random

from harness import assert_equal_tables
from harness.rest import Plain, Table
from harness.rest.table import UTC

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)
PAGES = {"offset": "{offset}", "limit": "{limit}"}
READS = {
    "newest": {"params": {"sort": "-updated_at,-event", **PAGES}, "order": "desc"},
    "window": {"params": {"since": "[[{since}]]", "until": "[[{until}]]", "sort": "place", **PAGES}},
    "slices": {"params": {"since": "[[{since}]]", "until": "[[{until}]]", "sort": "place", **PAGES}, "window": "10 minutes"},
    "compare": {"params": {"sort": "place", **PAGES}},
    "full": {"params": {"sort": "place", **PAGES}, "mode": "full"},
}
def at(minute):
    return None if minute is None else START + datetime.timedelta(minutes=minute)


class Log:
    """An API whose rows are versions of things, and the stream `s` of it, whose target has each thing once. `place` is where
    a row stands in the order that is none."""

    def __init__(self, db, read, batch_rows=1000, key="id", **options):
        self.db = db
        self.table = Table("log", key="event")
        self.server = Plain(self.table)
        self.server.ahead = at(180) - self.server.clock()  # not long after the rows
        db.create_rest_server("api", self.server.url, retries=0, page_size=5, paging="offset")
        # Without a lookback nothing is read again by chance; the hour is for polls that are to read again.
        given = {"batch_rows": batch_rows, "lookback": "0 seconds", "max_retries": 0} | READS[read] | options
        self.stream = {"target": "s", "key": key, "watermark": "updated_at", "options": given}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()

    def add(self, id, minute, place, **more):
        row = {"event": len(self.table.past) + 1, "id": id, "name": f"{id} at {minute}", "updated_at": at(minute), "place": place}
        self.table.insert(row | more)

    def shuffle(self, seed, minutes, ids=range(1, 11)):
        """A version of each thing for each of the minutes, a moment apart, in a random order."""
        versions = [(id, minute + id / 100) for minute in minutes for id in ids]
        places = list(range(len(versions)))
        random.Random(seed).shuffle(places)
        for (id, minute), place in zip(versions, places):
            self.add(id, minute, place)

    def create(self):
        self.db.create_stream("s", "api", "log", **self.stream)

    def run(self, **more):
        return self.db.run("s", **more)

    def newest(self):
        """The name of the newest version of each thing that the source has."""
        latest = {}
        for row in self.table.ordered([("updated_at", False)]):
            latest[row["id"]] = row["name"]
        return sorted(latest.items())

    def check(self):
        assert_equal_tables(self.newest(), self.db.query("SELECT id, name FROM s"))


def test_a_full_read_of_a_log_in_pages_loses_no_row(db):
    """The row at which two pages meet is known by more than its key, which later rows of the page have, too."""
    with Log(db, "full") as log:
        for place, id in enumerate([1, 2, 3, 4, 5, 6, 7, 5, 8, 9, 10, 5, 11, 12]):
            log.add(id, place, place)
        log.create()
        assert log.run()["rows_read"] == 14
        log.check()
