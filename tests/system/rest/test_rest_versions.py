"""Logs at JSON APIs: several rows of one key with different watermarks, in whatever order they arrive. Within a run the row
with the greatest watermark stays, and among equal ones the one that arrived last; what an earlier run wrote has no say."""

import datetime
import random

import pytest
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
BATCHES = pytest.mark.parametrize("batch_rows", [7, 1000], ids=["batches", "batch"])


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
        # Without a lookback nothing is read again by chance.
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


# ---------------------------------------------------------------------------------------------------- which version stays


@BATCHES
@pytest.mark.parametrize("read", READS)
def test_the_newest_version_stays(db, seed, read, batch_rows):
    with Log(db, read, batch_rows) as log:
        log.shuffle(seed, range(0, 50, 10))
        log.create()
        run = log.run()
        assert run["batches"] > 1 or batch_rows == 1000
        log.check()
        # A poll, into a target that has rows.
        log.shuffle(seed + 1, range(100, 140, 10), ids=range(3, 20))
        log.run()
        log.check()
        log.run()
        log.check()


@pytest.mark.parametrize("read, batch_rows", [("newest", 7), ("newest", 1000), ("window", 1000), ("compare", 1000)])
def test_a_poll_that_reads_again(db, seed, read, batch_rows):
    """The lookback brings both a version that the target has and older ones: the target's row isn't written to and fro."""
    with Log(db, read, batch_rows, lookback="1 day") as log:
        log.shuffle(seed, range(0, 60, 10))
        log.create()
        log.run()
        before = db.query("SELECT ctid, xmin, id FROM s ORDER BY id")
        log.add(99, 70, 1000)
        assert db.counts(log.run())[:2] == (1, 0)
        assert db.query("SELECT ctid, xmin, id FROM s WHERE id <> 99 ORDER BY id") == before
        log.check()


@pytest.mark.parametrize("read", ["window", "compare", "full"])
def test_of_equal_watermarks_the_last_one_stays(db, read):
    with Log(db, read, batch_rows=2) as log:
        for place in range(12):
            log.add(place % 3, 10, place, name=f"place {place}")
        log.create()
        log.run()
        assert db.query("SELECT id, name FROM s ORDER BY id") == [(0, "place 9"), (1, "place 10"), (2, "place 11")]


@pytest.mark.parametrize("read", ["compare", "full"])
def test_a_row_without_a_watermark_is_taken_as_it_comes(db, read):
    with Log(db, read, batch_rows=1) as log:
        versions = [(1, 10), (1, None), (1, 5), (2, None), (2, 5), (3, 10), (3, None), (3, 11), (3, 7)]
        for place, (id, minute) in enumerate(versions):
            log.add(id, minute, place)
        log.create()
        log.run()
        assert db.query("SELECT id, name FROM s ORDER BY id") == [(1, "1 at None"), (2, "2 at 5"), (3, "3 at 11")]


@pytest.mark.parametrize("read", ["newest", "window", "full"])
def test_a_target_without_the_watermark(db, seed, read):
    """Which version is newer doesn't depend on what is kept of it."""
    columns = {"changed": "date_trunc('month', updated_at)::text"}
    db.execute("CREATE TABLE s (id int PRIMARY KEY, name text, changed text)")
    with Log(db, read, batch_rows=7, columns=columns) as log:
        log.shuffle(seed, range(0, 50, 10))
        log.create()
        log.run()
        log.check()
        assert db.query("SELECT DISTINCT changed FROM s") == [("2025-01-01 00:00:00+00",)]


@pytest.mark.parametrize("watermark_format, begin", [("auto", 0), ("epoch_ms", 1735689600000)])
def test_numbers_are_compared_as_numbers(db, watermark_format, begin):
    with Log(db, "compare", batch_rows=1, watermark_format=watermark_format) as log:
        for place, minute in enumerate([9, 10, 100, 99]):
            log.add(1, minute, place, updated_at=begin + minute)
        log.create()
        log.run()
        assert db.query("SELECT id, name FROM s") == [(1, "1 at 100")]


def test_texts_that_do_not_sort_are_refused(db):
    """Nobody knows how they are ordered: here the year comes last."""
    with Log(db, "compare", batch_rows=1) as log:
        for place, day in enumerate(["31/12/2025", "01/01/2026"]):
            log.add(1, place, place, updated_at=day)
        with pytest.raises(Exception, match="texts that do not sort"):
            log.create()


# ---------------------------------------------------------------------------------------------------------- earlier runs


@BATCHES
@pytest.mark.parametrize("read", ["newest", "window", "compare", "full"])
def test_a_source_that_was_restored_from_a_backup(db, seed, read, batch_rows):
    """What the target has from before is newer than anything that the source has now; the next read counts all the same."""
    with Log(db, read, batch_rows, lookback="1 day") as log:
        log.shuffle(seed, range(0, 50, 10))
        log.create()
        log.run()
        log.table.delete(*(row["event"] for row in log.table.rows() if row["updated_at"] >= at(30)))
        log.run()
        log.check()


@pytest.mark.parametrize("read", ["newest", "window"])
def test_a_full_read_brings_what_the_source_says(db, seed, read):
    """Beyond any lookback."""
    with Log(db, read, batch_rows=7) as log:
        log.shuffle(seed, range(0, 50, 10))
        log.create()
        log.run()
        log.table.delete(*(row["event"] for row in log.table.rows() if row["updated_at"] >= at(30)))
        log.run(mode="full")
        log.check()


def test_a_row_whose_watermark_was_set_back(db):
    with Log(db, "newest", batch_rows=1, lookback="1 day") as log:
        log.add(1, 50, 0)
        log.add(2, 60, 1)
        log.create()
        log.run()
        log.table.update(1, updated_at=at(20), name="as of yore")
        log.run()
        assert db.query("SELECT id, name FROM s ORDER BY id") == [(1, "as of yore"), (2, "2 at 60")]


# ------------------------------------------------------------------------------------------------- rejects, deletes, keys


@BATCHES
def test_an_older_version_does_not_take_the_place_of_a_rejected_one(db, batch_rows):
    with Log(db, "newest", 1 if batch_rows == 7 else batch_rows) as log:
        log.add(1, 10, 0)
        log.add(2, 10, 0)
        log.create()
        log.run()
        db.execute("ALTER TABLE s ADD CHECK (name <> 'bad')")
        log.add(1, 20, 0)
        log.add(1, 30, 0, name="bad")
        assert log.run()["rejected"] == 1
        assert db.query("SELECT id, name FROM s ORDER BY id") == [(1, "1 at 10"), (2, "2 at 10")]
        assert [error["record"]["name"] for error in db.errors("s")] == ["bad"]
        log.add(1, 40, 0)
        log.run()
        assert db.query("SELECT id, name FROM s ORDER BY id") == [(1, "1 at 40"), (2, "2 at 10")] and db.errors("s") == []


@BATCHES
def test_a_row_that_was_deleted_stays_so(db, batch_rows):
    """The newest word on a row is that it was deleted."""
    with Log(db, "newest", 1 if batch_rows == 7 else batch_rows, deletes="hard", deleted_when="name = 'gone'") as log:
        for id in (1, 2, 3):
            log.add(id, id, 0)
        log.create()
        log.run()
        log.add(2, 10, 0)
        log.add(2, 20, 0, name="gone")
        log.add(4, 15, 0)
        log.add(4, 25, 0, name="gone")
        log.run()
        assert db.query("SELECT id FROM s ORDER BY id") == [(1,), (3,)]


def test_an_older_version_that_the_filter_lets_through(db):
    """A newer row of the same key that isn't asked for takes nothing away from it."""
    with Log(db, "newest", filter="kind = 'price'") as log:
        for minute, kind in enumerate(["price", "stock", "price", "stock", "stock"]):
            log.add(1, minute, 0, kind=kind)
        log.create()
        log.run()
        assert db.query("SELECT kind FROM s") == [("price",)]


@pytest.mark.parametrize("read", ["newest", "full"])
def test_rows_of_one_computed_key(db, seed, read):
    """What the key is made of tells which rows are versions of one another."""
    columns = {"shop": "'T01'", "code": "'A' || id::text"}
    with Log(db, read, batch_rows=7, key="shop, code, id", columns=columns) as log:
        log.shuffle(seed, range(0, 50, 10))
        log.create()
        log.run()
        log.check()


@pytest.mark.parametrize("read", ["newest", "full"])
def test_rows_that_a_longer_key_tells_apart(db, read):
    """The field that looks like the key when the stream is made isn't all of it."""
    with Log(db, read, batch_rows=1, key="id, line") as log:
        for id in (1, 2, 3):
            log.add(id, 10 * id, id, line=1)
        log.create()
        log.run()
        for id in (1, 2, 3):
            log.add(id, 100 - id, 10 - id, line=2, name="new")
            log.add(id, 90 - id, 20 - id, line=3, name="new")
            log.add(id, 80 - id, 30 - id, line=3, name="old")
        log.run()
        found = db.query("SELECT line, id FROM s WHERE line > 1 AND name = 'new' ORDER BY line, id")
        assert found == [(line, id) for line in (2, 3) for id in (1, 2, 3)]


def test_a_full_read_of_a_log_in_pages_loses_no_row(db):
    """The row at which two pages meet is known by more than its key, which later rows of the page have, too."""
    with Log(db, "full") as log:
        for place, id in enumerate([1, 2, 3, 4, 5, 6, 7, 5, 8, 9, 10, 5, 11, 12]):
            log.add(id, place, place)
        log.create()
        assert log.run()["rows_read"] == 14
        log.check()
