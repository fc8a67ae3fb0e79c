"""What was deleted at a JSON API: a feed that tells it."""

import datetime
import random

import psycopg
import pytest
from harness import assert_equal_tables, wait_for
from harness.rest import Plain, ShopifyRest, Stripe, Table, faults
from harness.rest.table import UTC, parse_time

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)
HOUR = datetime.timedelta(hours=1)
PAGES = {"offset": "{offset}", "limit": "{limit}"}
# Without a lookback nothing is read again by chance.
CHANGES = {"params": {"since": "[[{since}]]", "sort": "updated_at,id", **PAGES}, "order": "asc", "paging": "keyset", "lookback": "0 seconds"}
FEED = {"source": "items/deleted", "params": {"since": "[[{since}]]", **PAGES}, "key": "id", "watermark": "deleted_at"}


class Shop:
    """A plain API of `items`, whose clock a test moves, and the stream `s` of it."""

    def __init__(self, db, rows=20, **options):
        self.db = db
        self.table = Table("items", [self.row(id) for id in range(1, rows + 1)])
        self.server = Plain(self.table)
        self.table.clock = self.clock
        self.last = START
        db.create_rest_server("api", self.server.url, retries=0)
        given = CHANGES | {"deletes": "hard", "delete_feed": FEED, "max_retries": 0} | options
        self.options = {name: value for name, value in given.items() if value is not None}

    @staticmethod
    def row(id, **more):
        return {"id": id, "name": f"n{id}", "updated_at": START + datetime.timedelta(minutes=id)} | more

    def clock(self):
        """The server's, to the millisecond that it shows, and never the same twice."""
        now = self.server.clock()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self.last = max(now, self.last + datetime.timedelta(milliseconds=1))
        return self.last

    def __enter__(self):
        self.db.create_stream("s", "api", "items", target="s", key="id", watermark="updated_at", options=self.options)
        self.run()
        self.check()
        return self

    def __exit__(self, *_):
        self.server.close()

    def run(self, **more):
        self.server.forget()
        return self.db.run("s", **more)

    def later(self, by=HOUR):
        self.server.ahead += by

    def delete(self, *ids):
        self.table.delete(*ids)

    def make_again(self, id, name="again"):
        self.table.insert(id=id, name=name)

    def paths(self):
        return [request.path for request in self.server.requests]

    def position(self):
        return self.db.value("SELECT position -> 'deletes' FROM insync.watermark")

    def check(self):
        assert_equal_tables([(row["id"], row["name"]) for row in self.table.rows()], self.db.query("SELECT id, name FROM s"))


# ------------------------------------------------------------------------------------------------------------- each API


def test_shopify_tells_deletes_in_its_events(db):
    table = Table("products", [{"id": id, "title": f"t{id}", "updated_at": START + datetime.timedelta(minutes=id)} for id in range(1, 31)])
    table.delete(30)
    with ShopifyRest(table, pace=50) as server:
        db.create_rest_server("api", server.base_url, {"token": server.token}, preset="shopify_rest", rate="100/s")
        feed = {
            "source": "events", "key": "subject_id", "watermark": "created_at",
            "params": {
                "filter": "Product", "verb": "destroy", "created_at_min": "[[{since:iso}]]", "created_at_max": "[[{until:iso}]]",
                "updated_at_min": "", "updated_at_max": "",
            },
        }  # fmt: skip
        db.create_stream("products", "api", "products", key="id", watermark="updated_at", options={"deletes": "hard", "delete_feed": feed})
        server.forget()
        db.run("products")
        assert "/admin/api/2025-01/events.json" not in [request.path for request in server.requests], "the first load reads no old events"
        table.delete(3, 4, *range(10, 20))
        table.update(5, title="new")
        server.forget()
        run = db.run("products")
        assert (run["inserted"], run["updated"], run["deleted"], run["rejected"]) == (0, 1, 12, 0)
        assert [request.path.rpartition("/")[2] for request in server.requests] == ["events.json", "products.json"]
        assert "updated_at_min" not in server.requests[0].query and server.requests[0].query["verb"] == "destroy"
        assert_equal_tables([(row["id"], row["title"]) for row in table.rows()], db.query("SELECT id, title FROM products"))
        before = db.query("SELECT position, updated_at FROM insync.watermark")
        db.run("products")
        assert db.query("SELECT position, updated_at FROM insync.watermark") == before, "a poll that finds nothing moves nothing"


def test_stripe_tells_deletes_in_its_events(db):
    """Times are numbers, pages follow an event's own id, and the key stands deep in it."""
    table = Table("customers", [{"id": f"cus_{id:03}", "name": f"n{id}", "created": START + datetime.timedelta(hours=id)} for id in range(250)], changed=None)
    with Stripe(table) as server:
        db.create_rest_server("api", server.base_url, {"token": server.key}, preset="stripe")
        feed = {"source": "events", "params": {"type": "customer.deleted"}, "key": "/data/object/id", "watermark": "created"}
        options = {"deletes": "soft", "deleted_column": "gone_at", "delete_feed": feed}
        db.create_stream("customers", "api", "customers", key="id", watermark="created", options=options)
        assert db.run("customers")["inserted"] == 250
        table.delete(*(f"cus_{id:03}" for id in range(220)))
        server.forget()
        db.run("customers")
        assert [request.path for request in server.requests].count("/v1/events") == 3
        assert db.value("SELECT count(*) FROM customers WHERE gone_at IS NOT NULL") == 220
        assert db.query("SELECT id FROM customers WHERE gone_at IS NULL ORDER BY 1") == [(f"cus_{id:03}",) for id in range(220, 250)]
        assert db.value("SELECT count(name) FROM customers") == 250, "a marked row keeps its values"
        before = db.query("SELECT ctid, xmin FROM customers ORDER BY id")
        db.run("customers")
        assert db.query("SELECT ctid, xmin FROM customers ORDER BY id") == before


def test_newest_first_without_a_filter(db):
    """A feed that can't be asked for a time is read until what is known."""

    class Trash(Plain):
        def _deleted(self, table, query):
            return super()._deleted(table, {})[::-1]

    gone = {"source": "items/deleted", "params": PAGES, "order": "desc", "key": ["/id"], "watermark": ["/deleted_at"], "page_size": 5, "paging": "offset"}
    with Shop(db, rows=60, delete_feed=gone) as shop:
        shop.server.__class__ = Trash
        for id in range(1, 31):
            shop.delete(id)
        shop.run()
        shop.check()
        for id in (31, 32):
            shop.later()
            shop.delete(id)
            assert shop.run()["deleted"] == 1
        assert shop.paths() == ["/items/deleted", "/items"], "not the pages that hold what is long known"
        shop.check()


# ----------------------------------------------------------------------------------------------------- gone and here again


def test_a_row_that_was_made_again_before_it_was_looked_for(db):
    with Shop(db) as shop:
        shop.delete(3, 4)
        shop.make_again(3)
        shop.run()
        assert shop.paths()[0] == "/items/deleted"
        shop.check()


def test_a_delete_that_is_read_twice_removes_nothing_that_came_later(db):
    with Shop(db, delete_feed=FEED | {"lookback": "1 day"}) as shop:
        shop.delete(3)
        assert shop.run()["deleted"] == 1
        shop.later()
        shop.make_again(3)
        assert shop.run()["inserted"] == 1
        shop.later()
        shop.table.update(7, name="moves the watermark on")
        assert db.counts(shop.run())[3] == 0
        shop.later()
        run = shop.run()
        assert parse_time(shop.server.requests[0].query["since"]) < shop.table.deleted[0][0], "it was read again"
        assert run["deleted"] == 0
        shop.check()
        shop.delete(3)
        assert shop.run()["deleted"] == 1, "another delete of the same row counts"
        shop.check()


def test_a_delete_that_is_seen_late_does_not_cost_the_row_that_was_made_again(db):
    """While a run reads pages, a row is deleted and made again. The run has the new row; its delete, it has not seen."""
    with Shop(db) as shop:

        def meanwhile(request, answer, server):
            shop.delete(3)
            shop.make_again(3)
            shop.later()
            shop.table.update(5, name="moves the watermark on, past the new row")
            return answer()

        shop.server.next(faults.regular, meanwhile)
        shop.run()
        assert shop.paths()[:2] == ["/items/deleted", "/items"]
        shop.check()
        shop.later()
        shop.run()
        shop.check()
        changes = [request for request in shop.server.requests if request.path == "/items"]
        assert parse_time(changes[0].query["since"]) <= shop.table.deleted[0][0]
        assert "reread" not in shop.position(), "the next run begins where it would have"


@pytest.mark.parametrize("fault", [faults.status(500), faults.cut()], ids=["500", "cut"])
def test_a_run_that_ends_between_the_deletes_and_the_changes(db, fault):
    """The deletes are committed; what has to be read again because of them is read by the next run."""
    with Shop(db) as shop:

        def meanwhile(request, answer, server):
            shop.delete(3)
            shop.make_again(3)
            shop.later()
            shop.table.update(5, name="moves the watermark on, past the new row")
            return answer()

        shop.server.next(faults.regular, meanwhile)
        shop.run()
        shop.delete(4)
        shop.server.next(faults.regular, fault)
        assert shop.run(expect="failed")["deleted"] == 2
        assert "reread" in shop.position() and db.query("SELECT FROM s WHERE id IN (3, 4)") == []
        shop.later()
        assert shop.run()["deleted"] == 0
        shop.check()


@pytest.mark.parametrize("victim", ["worker", "connector"])
def test_a_kill_between_the_deletes_and_the_changes(own_db, own_cluster, victim):
    db = own_db
    with Shop(db, delete_feed=FEED | {"page_size": 5}, batch_rows=5) as shop:
        shop.delete(*range(1, 13))
        shop.make_again(3)

        def kill(request, answer, server):
            killed.extend(own_cluster.workers() if victim == "worker" else own_cluster.connectors())
            for pid in killed:
                own_cluster.kill(pid)
            return answer()

        killed = []
        shop.server.next(faults.regular, faults.regular, kill)  # in the middle of the events
        run_id = db.trigger("s")
        wait_for(lambda: not shop.server.faults, "the kill", 60)

        def is_over():
            try:
                return db.value("SELECT status FROM insync.run WHERE id = %s", run_id) not in ("queued", "running")
            except psycopg.Error:
                return False

        wait_for(is_over, "the run's end", 60)
        assert killed
        shop.run()
        shop.check()


def test_whatever_happens_both_sides_are_alike_in_the_end(db, seed):
    """Rows come, go and come again, between runs and while their pages are read; runs fail in the middle."""
    chance = random.Random(seed)
    with Shop(db, rows=40, page_size=7, batch_rows=5, delete_feed=FEED | {"page_size": 3, "lookback": "30 minutes"}) as shop:
        names = iter(range(10**6))

        def change():
            for _ in range(chance.randrange(4)):
                id = chance.randint(1, 50)
                if id not in shop.table.by_key:
                    shop.make_again(id, f"v{next(names)}")
                elif chance.random() < 0.5:
                    shop.delete(id)
                else:
                    shop.table.update(id, name=f"v{next(names)}")
            if chance.random() < 0.1:
                shop.later(chance.choice([HOUR, HOUR / 10]))

        def meanwhile(request, answer, server):
            with server.lock:
                change()
                return faults.status(500)(request, answer, server) if chance.random() < 0.05 else answer()

        for _ in range(25):
            change()
            shop.server.each(1, meanwhile)
            assert db.wait(db.trigger("s")) in ("succeeded", "failed")
            shop.server.each(1, None)
            if chance.random() < 0.2:
                shop.run(mode="full")
        shop.run()
        shop.check()
        shop.run()
        shop.check()


def test_a_position_gets_short_again(db):
    """Events are known by themselves only as long as they can turn up again; then once more something is written, and no more."""
    with Shop(db) as shop:
        shop.delete(3, 4)
        shop.run()
        assert len(shop.position()["seen"]) == 2
        shop.later(2 * HOUR)
        shop.run()
        before = db.query("SELECT position, updated_at FROM insync.watermark")
        assert "seen" not in shop.position()
        shop.later(2 * HOUR)
        shop.run()
        assert db.query("SELECT position, updated_at FROM insync.watermark") == before
        shop.delete(5)
        shop.later(HOUR / 60)
        assert shop.run()["deleted"] == 1
        shop.check()


def test_more_deletes_than_a_position_remembers(db):
    """The oldest are applied again while they are in the overlap, and what was made again is read again with them."""
    with Shop(db, rows=6000, page_size=1000, delete_feed=FEED | {"page_size": 1000}, max_deletes="100%") as shop:
        shop.delete(*range(1, 5801))
        shop.make_again(3)
        assert shop.run()["deleted"] == 5800
        assert len(shop.position()["seen"]) == 4096
        shop.check()
        shop.later(HOUR / 60)
        shop.run()
        shop.check()
        shop.later(2 * HOUR)
        shop.run()
        shop.later(2 * HOUR)
        shop.run()
        assert "seen" not in shop.position()
        shop.run()
        assert [path for path in shop.paths() if path.endswith("deleted")] == ["/items/deleted"]
        shop.check()


def test_a_feed_that_does_not_show_all_of_a_request(db):
    """It is asked in parts of time where it can be; else the run fails, until everything was read."""
    feed = FEED | {"max_results": 50, "params": FEED["params"] | {"until": "[[{until}]]"}, "page_size": 20}
    with Shop(db, rows=500, delete_feed=feed, max_deletes="100%") as shop:
        for first in range(1, 401, 40):
            shop.later(HOUR / 6)
            shop.delete(*range(first, first + 40))
        shop.later(HOUR / 6)
        shop.server.deepest = 50
        shop.table.update(450, name="new")
        shop.run()
        shop.server.deepest = None
        assert {request.query.get("until") for request in shop.server.requests if request.path.endswith("deleted")} > {None}
        shop.check()
        db.alter_stream("s", delete_feed=FEED | {"max_results": 50})
        shop.later()
        shop.delete(*range(401, 460))
        run = shop.run(expect="failed")
        assert "the delete feed shows 50 rows of a request and no more" in run["message"]
        shop.later()
        shop.run(mode="full")
        shop.run()
        shop.check()


# ------------------------------------------------------------------------------------------------------ from when on, where


def test_a_full_run_begins_the_feed_anew(db):
    with Shop(db) as shop:
        shop.table.clock = lambda: shop.clock() - datetime.timedelta(minutes=5)
        shop.delete(3, 4)
        shop.make_again(4)
        shop.table.clock = shop.clock
        run = shop.run(mode="full")
        assert run["deleted"] == 1
        shop.check()
        before = db.query("SELECT ctid, xmin FROM s ORDER BY id")
        run = shop.run()
        assert (run["inserted"], run["updated"], run["deleted"]) == (0, 0, 0), "what was deleted before it is no news"
        assert len(shop.server.requests) == 2 and parse_time(shop.server.requests[0].query["since"]) < shop.table.deleted[0][0]
        assert db.query("SELECT ctid, xmin FROM s ORDER BY id") == before
        shop.delete(5)
        assert shop.run()["deleted"] == 1
        shop.check()


def test_a_guard_that_stops_a_full_run_leaves_the_feed_where_it_was(db):
    with Shop(db, max_deletes="1") as shop:
        shop.later()
        shop.delete(*range(1, 16))
        shop.later()
        before = shop.position()
        shop.run(mode="full", expect="failed")
        assert shop.position() == before
        assert shop.run()["deleted"] == 15, "the guard is for comparisons: the source itself says that these are gone"
        shop.check()


def test_a_reset_forgets_no_delete(db):
    with Shop(db) as shop:
        shop.delete(3)
        db.execute("SELECT sync_reset('s')")
        assert shop.run()["deleted"] == 1
        shop.check()
        shop.delete(4)
        db.execute("SELECT sync_reset('s', '2025-01-01T00:00:00Z')")
        assert shop.run()["deleted"] == 1
        shop.check()


def test_a_feed_that_is_added_later_counts_from_then_on(db):
    with Shop(db, deletes="hard", delete_feed=None) as shop:
        shop.delete(3)
        shop.later()
        db.alter_stream("s", delete_feed=FEED)
        shop.run()
        shop.later()
        shop.delete(4)
        shop.run()
        assert db.query("SELECT id FROM s WHERE id IN (3, 4)") == [(3,)]
        db.run("s", "full")
        shop.check()


def test_deletes_of_a_target_with_more_to_it(db):
    """Filters, expressions over other columns, NOT NULL, a constant in the key, and another stream of the same target."""
    db.execute("CREATE TABLE s (shop text, id bigint, name text NOT NULL, half numeric NOT NULL, updated_at timestamptz, PRIMARY KEY (shop, id))")
    table = Table("items", [Shop.row(id) for id in range(1, 11)])
    with Plain(table) as server:
        db.create_rest_server("api", server.url)
        for name in ("T01", "T02"):
            options = CHANGES | {"deletes": "hard", "delete_feed": FEED, "filter": "name <> 'n5'", "columns": {"shop": f"'{name}'", "half": "length(name) / 2.0"}}
            db.create_stream(name, "api", "items", target="s", key="shop, id", watermark="updated_at", options=options)
            assert db.run(name)["inserted"] == 9
        table.delete(3, 5)
        assert db.counts(db.run("T01"))[3] == 1
        assert db.query("SELECT shop FROM s WHERE id = 3") == [("T02",)]
        assert db.counts(db.run("T02"))[3] == 1
        assert db.value("SELECT count(*) FROM s") == 16


# ------------------------------------------------------------------------------------------------------ what goes wrong


def test_a_delete_that_the_target_refuses(db):
    """It costs one row, which sync_replay() deletes when it can be."""
    with Shop(db) as shop:
        db.execute("CREATE TABLE lines (item bigint REFERENCES s); INSERT INTO lines VALUES (3)")
        shop.delete(2, 3, 4)
        assert db.counts(shop.run())[3:] == (2, 1)
        (error,) = db.errors("s")
        assert (error["operation"], error["key"], error["sqlstate"]) == ("delete", {"id": "3"}, "23503")
        assert db.value("SELECT name FROM s WHERE id = 3") == "n3"
        assert db.query("SELECT * FROM sync_replay('s')") == [(0, 1)]
        db.execute("DELETE FROM lines")
        assert db.query("SELECT * FROM sync_replay('s')") == [(1, 0)]
        shop.check()
        assert db.errors("s") == []


def test_events_without_a_usable_key(db):
    class Odd(Plain):
        def _deleted(self, table, query):
            return [{"id": id, "deleted_at": self.clock()} for id in (None, "x", {"a": 1})] + super()._deleted(table, query)

    with Shop(db) as shop:
        shop.server.__class__ = Odd
        shop.delete(3)
        assert db.counts(shop.run())[3:] == (1, 3)
        shop.check()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sauce": "x"}, 'invalid option "sauce"'),
        ({"rows": "/events"}, 'invalid option "rows"'),
        ({"key": None}, "It names no key"),
        ({"key": []}, "neither a name nor a list of names"),
        ({"key": 7}, "neither a name nor a list of names"),
        ({"watermark": None}, "It names no watermark"),
        ({"source": None}, "It names no source"),
        ({"key": ["id", "deleted_at"]}, "has 2 fields, that of the source 1"),
        ({"delete_feed": {"source": "x"}}, "It has a delete_feed itself"),
        ({"params": {"since": "{sinze}"}}, "sinze"),
        ({"source": "nothing/here"}, "404"),
        ({"key": "nothing"}, 'have nothing at "nothing"'),
        ({"watermark": "/none/here"}, 'have nothing at "/none/here"'),
    ],
)
def test_a_feed_is_checked_when_a_stream_is_made(db, change, message):
    table = Table("items", [Shop.row(id) for id in range(1, 11)])
    table.delete(1)
    with Plain(table) as server:
        db.create_rest_server("api", server.url)
        feed = {name: value for name, value in (FEED | {"params": {}} | change).items() if value is not None}
        with pytest.raises(psycopg.Error) as error:
            db.create_stream("s", "api", "items", key="id", watermark="updated_at", options=CHANGES | {"deletes": "hard", "delete_feed": feed})
        assert message in str(error.value) + str(error.value.diag.message_detail) + str(error.value.diag.message_hint)


@pytest.mark.parametrize(
    "stream, message",
    [
        ({"deletes": "ignore"}, 'option "delete_feed" requires the option "deletes"'),
        ({"mode": "full"}, "requires an incremental stream"),
        ({"delete_feed": "events"}, "It is not a JSON object"),
        ({"watermark": "id"}, "requires a watermark that is a time"),
        ({"columns": {"id": "length(name)"}}, "cannot identify deleted rows by the source's key alone"),
    ],
)
def test_a_feed_has_to_fit_its_stream(db, stream, message):
    with Plain(Table("items", [Shop.row(id) for id in range(1, 11)])) as server:
        db.create_rest_server("api", server.url)
        stream = {"watermark": "updated_at"} | stream
        watermark = stream.pop("watermark")
        with pytest.raises(psycopg.Error) as error:
            db.create_stream("s", "api", "items", key="id", watermark=watermark, options=CHANGES | {"deletes": "hard", "delete_feed": FEED} | stream)
        assert message in str(error.value) + str(error.value.diag.message_detail)


def test_a_database_has_no_feed(db, shop):
    with pytest.raises(psycopg.Error, match='invalid option "delete_feed"') as error:
        db.create_stream("ventas", "tienda", "ventas", options={"deletes": "hard", "delete_feed": FEED})
    assert "for sources of insync_rest only" in error.value.diag.message_detail


def test_explain_shows_the_feed(db):
    with Shop(db) as shop:
        steps = dict(db.query("SELECT * FROM sync_explain('s')"))
        assert f"{shop.server.url}/items/deleted?" in steps["source: what was deleted"] and "since=" in steps["source: what was deleted"]
        assert "items/deleted" in steps["option: delete_feed"]
        assert list(steps).index("source: what was deleted") < min(place for place, step in enumerate(steps) if "in the order" in step)
