"""Every preset against a stand-in that follows the contract of its service: the first load, then only what changed, and rows
that change while pages are read."""

import datetime
import decimal
import json
import random
import time
from dataclasses import dataclass, field

import pytest
from harness import assert_equal_tables
from harness.rest import (
    ClientCredentials, CouchDB, Directus, Elasticsearch, GitHub, JsonApi, NocoDB, OData, Ords, Plain, PostgREST, Redmine, Relay,
    ShopifyGraphql, ShopifyRest, Strapi, Stripe, Supabase, Table, WordPress, basic, faults,
)  # fmt: skip
from harness.rest.table import UTC, parse_time

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)
COLUMNS = ("id", "name", "quantity", "price", "remark", "created_at", "updated_at")
TIMES = ("created_at", "updated_at", "modified_gmt", "created")
WORDS = ("Jamón", "piñones", "café ☕", "O'Neill", 'a "quoted" \\ one', "", "日本", "<b>&amp;</b>", "line\nbreak")


def row(id, chance, **more):
    """Old enough that the overlap of a later run doesn't reach it; three rows share a time."""
    then = START + datetime.timedelta(minutes=id // 3 * 5, microseconds=chance.randrange(10**6) // 10**3 * 10**3)
    return {
        "id": id, "name": f"{chance.choice(WORDS)} {id}", "quantity": chance.randint(-5, 2**40),
        "price": decimal.Decimal(chance.randint(0, 10**14)) / 100, "remark": chance.choice((None, "ñ", "x" * 50)),
        "created_at": then, "updated_at": then.replace(microsecond=0) if id % 2 else then,
    } | more  # fmt: skip


def gid(kind):
    return lambda values: values | {"id": f"gid://shopify/{kind}/{values['id']}"}


@dataclass
class Case:
    """A service, and what a user says to read a table of it. `columns` are those of the target, by the names of the table."""

    make: object  # Table → stand-in
    source: str
    server: dict = field(default_factory=dict)  # options of CREATE SERVER
    credentials: object = None  # stand-in → options of the user mapping
    watermark: str = "updated_at"
    stream: dict = field(default_factory=dict)  # options of the stream
    columns: dict = field(default_factory=lambda: dict.fromkeys(COLUMNS))
    shown: object = staticmethod(lambda values: values)  # a row's values as the API has them
    finds_updates: bool = True
    reads_all: bool = False  # the API can't be asked for changes
    rows: int = 640
    table: str = "items"

    def column(self, name):
        return (self.columns[name] or name).lower()


def ords(table):
    server = Ords(table, cap=100)
    server.auth = ClientCredentials("etl", "s;cr=t é", path=Ords.token_path, style="basic")
    return server


def user(server):
    return {"user": "etl", "password": "geheim"}


def plain(**more):
    def make(table):
        server = Plain(table, cap=100, **more)
        server.auth = basic("etl", "geheim")
        return server

    return make


CAMEL = {name: name.split("_")[0] + "".join(part.capitalize() for part in name.split("_")[1:]) for name in COLUMNS}
BASIC = {"auth": "basic"}

CASES = {
    "ords": Case(ords, "items", {"preset": "ords", "auth": "oauth2"}, lambda server: {"client_id": "etl", "client_secret": "s;cr=t é"}),
    "shopify_rest": Case(
        lambda table: ShopifyRest(table, pace=50), "orders", {"preset": "shopify_rest", "rate": "100/s"},
        lambda server: {"token": server.token}, table="orders",
    ),
    "shopify_graphql": Case(
        lambda table: ShopifyGraphql(table, pace=50), "orders", {"preset": "shopify_graphql"}, lambda server: {"token": server.token},
        "updatedAt", {"select": "id name quantity price remark createdAt updatedAt"}, CAMEL, gid("Order"), table="orders",
    ),
    "supabase": Case(lambda table: Supabase(table, cap=100), "items", {"preset": "supabase"}, lambda server: {"token": server.key}),
    "postgrest": Case(lambda table: PostgREST(table, cap=100), "items", {"preset": "supabase", "path": "{source}", "auth": "none"}),
    "odata": Case(lambda table: OData(table, page_rows=100), "items", {"preset": "odata"}),
    "nocodb": Case(lambda table: NocoDB(table, cap=100), "items", {"preset": "nocodb"}, lambda server: {"token": server.token}),
    "directus": Case(lambda table: Directus(table, cap=100), "items", {"preset": "directus"}, lambda server: {"token": server.token}),
    "github": Case(GitHub, "repos/acme/shop/items", {"preset": "github"}, lambda server: {"token": server.token}),
    "stripe": Case(
        Stripe, "charges", {"preset": "stripe"}, lambda server: {"token": server.key}, "created",
        columns={"id": None, "name": None, "quantity": None, "price": None, "created": None}, finds_updates=False, table="charges",
    ),
    "wordpress": Case(
        WordPress, "items", {"preset": "wordpress", "auth": "basic", "path": "{source}"},
        lambda server: {"user": server.user, "password": server.password}, "modified_gmt",
        columns={"id": None, "name": None, "modified_gmt": None},
    ),
    "strapi": Case(Strapi, "items", {"preset": "strapi"}, lambda server: {"token": server.token}),
    "strapi, version 4": Case(lambda table: Strapi(table, version=4), "items", {"preset": "strapi"}, lambda server: {"token": server.token}),
    "redmine": Case(Redmine, "items", {"preset": "redmine"}, lambda server: {"token": server.token}),
    "jsonapi": Case(JsonApi, "items", {"preset": "jsonapi"}, watermark=None, shown=lambda values: values | {"id": str(values["id"])}, reads_all=True),
    "graphql": Case(Relay, "items", {"preset": "graphql"}, watermark=None, stream={"select": " ".join(COLUMNS)}, reads_all=True),
    "elasticsearch": Case(Elasticsearch, "items", {"preset": "elasticsearch"}, stream={"page_size": 100}),
    "couchdb": Case(
        CouchDB, "items", {"preset": "couchdb", "auth": "basic"}, lambda server: {"user": server.user, "password": server.password}, None,
        {"page_size": 100},
    ),
    "plain, offset": Case(
        plain(), "items", BASIC, user, stream={
            "params": {"since": "[[{since:iso_ms}]]", "sort": "updated_at,id", "offset": "{offset}", "limit": "{limit}"},
            "order": "asc", "paging": "keyset",
        },
    ),
    "plain, page": Case(
        plain(shape="envelope"), "items", BASIC, user, stream={
            "params": {"since": "[[{since:iso_ms}]]", "page": "{page}", "limit": "{limit}"},
            "page_size": 50, "rows_path": "/data/items", "more_path": "/has_more",
        },
    ),
    "plain, cursor": Case(
        plain(shape="envelope"), "items", BASIC, user, stream={
            "params": {"since": "[[{since:iso_ms}]]", "until": "[[{until:iso_ms}]]", "cursor": "[[{page_token}]]", "limit": "{limit}"},
            "rows_path": "/data/items", "paging": "token", "next_path": "/next_cursor", "batch_rows": 90,
        },
    ),
    "plain, relative next link": Case(
        plain(shape="envelope", relative_links=True), "items", BASIC, user, stream={
            "params": {"since": "[[{since:iso_ms}]]", "until": "[[{until:iso_ms}]]", "limit": "{limit}"},
            "paging": "next_url", "next_path": "/next",
        },
    ),
    "plain, last key": Case(
        plain(), "items", BASIC, user, stream={
            "params": {"since": "[[{since:iso_ms}]]", "until": "[[{until:iso_ms}]]", "after": "[[{last_key}]]", "limit": "{limit}"},
            "paging": "last_key",
        },
    ),
    "plain, newest first": Case(
        plain(), "items", BASIC, user, stream={
            "params": {"sort": "-updated_at,-id", "offset": "{offset}", "limit": "{limit}"}, "order": "desc", "batch_rows": 90,
        },
    ),
    "plain, without a filter": Case(
        plain(), "items", BASIC, user, stream={"params": {"after": "[[{last_key}]]"}, "batch_rows": 90}, reads_all=True,
    ),
    "plain, link header, found by itself": Case(plain(), "items", BASIC, user, stream={"params": {"since": "[[{since:iso}]]"}}),
}  # fmt: skip


class Shop:
    """A case at work: its stand-in, its stream `s`, and changes of its table."""

    def __init__(self, case, db, seed):
        self.case, self.db, self.chance = case, db, random.Random(seed)
        rows = [self.new_row(id) for id in range(1, case.rows + 1)]
        changed = {"wordpress": "modified_gmt", "stripe": None}.get(case.make.__name__.lower(), "updated_at")
        self.table = Table(case.table, rows, changed=changed)
        self.server = case.make(self.table)
        self.server.ahead = datetime.timedelta(seconds=60)  # so that what is quite new isn't left to a later run

    def new_row(self, id, **more):
        values = row(id, self.chance, **more)
        if self.case.make is Stripe:
            values = {"id": f"ch_{id:06}", "created": values["created_at"].replace(microsecond=0)} | {
                name: values[name] for name in ("name", "quantity", "price")
            }
        if self.case.make is GitHub:
            values["state"] = self.chance.choice(("open", "closed"))
        if self.case.make is WordPress:
            values["modified_gmt"] = values["updated_at"].replace(microsecond=0)
        return values

    def define(self):
        credentials = self.case.credentials and self.case.credentials(self.server)
        self.db.create_rest_server("api", self.server.base_url, credentials, **self.case.server)
        self.db.create_stream("s", "api", self.case.source, target="s", key="id", watermark=self.case.watermark, options=self.case.stream)

    def insert(self, count):
        first = len(self.table) + 1
        now = self.table.clock()
        for id in range(first, first + count):
            values = self.new_row(id)
            self.table.insert(values | {name: now for name in TIMES if name in values})

    def update(self, count, **values):
        keys = self.chance.sample(list(self.table.by_key)[: self.case.rows], count)
        self.table.update(*keys, **({"quantity": self.chance.randint(0, 10**6)} | values))

    def check(self):
        """The target holds what the API shows, row by row."""
        case = self.case
        found = self.db.query(f"SELECT {', '.join(chr(34) + case.column(name) + chr(34) for name in case.columns)} FROM s")
        expected = []
        for values in self.table.rows():
            values = {name: self.server.time_text(value) if name in TIMES else value for name, value in values.items()}
            shown = case.shown(values)
            expected.append([as_time(shown[name], name) for name in case.columns])
        assert_equal_tables(expected, [[as_time(value, name) for value, name in zip(line, case.columns)] for line in found])


def as_time(value, name):
    """A point in time in UTC, whether it is text, epoch seconds or a datetime; other columns' values as they are."""
    if name not in TIMES or value is None:
        return value
    if isinstance(value, str):
        value = parse_time(value)
    elif not hasattr(value, "tzinfo"):
        value = datetime.datetime.fromtimestamp(int(value), UTC)
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


@pytest.fixture(params=CASES)
def shop(request, db, seed):
    shop = Shop(CASES[request.param], db, f"{seed} {request.param}")
    with shop.server:
        yield shop


def test_first_load_and_changes(shop):
    shop.define()
    shop.db.run("s")
    shop.check()
    whole = sum(request.sent for request in shop.server.requests if request.status == 200)

    shop.server.forget()
    shop.insert(5)
    changes = (5, 0)
    if shop.case.finds_updates:
        shop.update(7)
        changes = (5, 7)
    run = shop.db.run("s")
    shop.check()
    assert (run["inserted"], run["updated"], run["rejected"]) == (*changes, 0)
    read = sum(request.sent for request in shop.server.requests if request.status == 200)
    assert read < whole / 5 or shop.case.reads_all, f"{read} bytes were read for {sum(changes)} changes, after {whole} for all"

    run = shop.db.run("s")
    shop.check()
    assert shop.db.counts(run)[:2] == (0, 0)


def test_rows_that_change_while_pages_are_read_are_not_lost(shop):
    """Before each page some rows change, as often as not those that would have been next; what moved away from the pages to
    come and what moved into them must all be there in the end."""
    if not shop.case.finds_updates:
        pytest.skip("the service doesn't tell of updates")
    shop.server.ahead = datetime.timedelta(seconds=5)  # a run ends with what is younger than itself by its source's clock
    shop.define()

    def change(request, answer, server):
        if "token" not in request.path:
            shop.update(15)
        return answer()

    shop.server.each(1, change)
    shop.db.run("s")
    shop.server.each(1, None)
    shop.db.run("s")
    shop.check()


def test_a_run_that_is_cut_off_goes_on_where_it_was(shop):
    """The server dies after some pages; the rows that came stay, and the next run brings the rest."""
    shop.define()
    shop.db.alter_stream("s", retries=0, max_retries=0)
    shop.server.next(*[faults.regular] * 2)
    shop.server.each(1, faults.status(503))
    run = shop.db.run("s", expect="failed")
    assert run["message"]
    shop.server.each(1, None)
    shop.db.run("s")
    shop.check()


def test_windows_end_at_the_present_of_a_source_that_was_idle(db, seed):
    """A connector that stayed with its source between two runs knows how late it is there."""
    case = CASES["plain, cursor"]
    shop = Shop(case, db, seed)
    with shop.server:
        shop.server.ahead = datetime.timedelta()
        shop.define()
        db.alter_stream("s", settle_time="0 seconds", schedule="2 seconds")  # its worker stays
        db.run("s")
        for _ in range(2):
            time.sleep(2)  # not to be told from the run's own second by the source's Date
            shop.update(3)
            changed = shop.table.clock()
            time.sleep(1.1)
            db.run("s")
            until = parse_time(shop.server.requests[-1].query["until"])
            assert until >= changed.replace(microsecond=0), "the window ends before the run began"
            shop.check()


@pytest.fixture
def seam(db, seed):
    """PostgREST with 640 rows in pages of 100, and a stream of its table."""
    shop = Shop(CASES["postgrest"], db, seed)
    with shop.server:
        shop.define()
        yield shop


def test_a_row_that_moves_from_the_seam_of_two_pages_to_their_end_takes_none_along(seam):
    """Pages overlap by a row. Where that row is changed before the next page, it is found again on that page, but at its end."""

    def change_last(request, answer, server):
        response = answer()
        shown = json.loads(response.body)
        if len(shown) > 1:
            # Into the middle of the page that comes, or behind it.
            seam.table.update(shown[-1]["id"], updated_at=parse_time(shown[-1]["updated_at"]) + datetime.timedelta(minutes=100))
        return response

    seam.server.each(1, change_last)
    seam.db.run("s")
    seam.server.each(1, None)
    seam.check()


def test_a_key_that_occurs_several_times_in_a_log_hides_no_rows(db):
    """In a table of changes a key comes again, on the next page, too, where it isn't the row at which the pages meet."""
    changes = [{"seq": number, "op": "I" if number <= 300 else "U", "id": number % 300, "v": number} for number in range(1, 1501)]
    changes += [{"seq": 1501 + id, "op": "D", "id": id, "v": 0} for id in range(0, 300, 7)]
    table = Table("log", changes[:300], key="seq", changed=None)
    with PostgREST(table, cap=150) as server:
        db.create_rest_server("api", server.base_url, preset="supabase", path="{source}", auth="none")
        options = {"deletes": "hard", "operation_column": "op", "batch_rows": 60}
        db.create_stream("log", "api", "log", target="kept", key="id", watermark="seq", options=options)
        db.run("log")
        chance = random.Random(1)
        table.insert(*({**change, "id": chance.randrange(300)} if change["op"] == "U" else change for change in changes[300:]))
        db.run("log")
        state = {}
        for change in table.ordered([("seq", False)]):
            state[change["id"]] = change
        expected = [(id, change["v"]) for id, change in state.items() if change["op"] != "D"]
        assert_equal_tables(expected, db.query("SELECT id, v FROM kept"))


def test_delta_links_tell_what_changed_and_what_is_gone(db, seed):
    """OData with change tracking: the last answer has the URL that the next run begins with."""
    chance = random.Random(seed)
    table = Table("Items", [row(id, chance) for id in range(1, 251)])
    with OData(table, page_rows=100) as server:
        db.create_rest_server("api", server.base_url, preset="odata")
        options = {
            "params": {}, "headers": {"Prefer": "odata.track-changes"}, "paging": "next_url", "next_path": "/@odata.nextLink",
            "response_watermark": "/@odata.deltaLink", "fields": {"removed": "jsonb /@removed"}, "deletes": "hard",
            "deleted_when": "removed IS NOT NULL",
        }  # fmt: skip
        db.create_stream("s", "api", "Items", target="s", key="id", options=options)
        db.run("s")
        assert db.value("SELECT count(*) FROM s") == 250
        table.update(5, 6, quantity=-1)
        table.delete(7)
        table.insert(row(251, chance))
        server.forget()
        assert db.counts(db.run("s")) == (1, 2, 0, 1, 0)
        assert len(server.requests) == 1 and "$deltatoken" in server.requests[0].query
        assert_equal_tables([(row["id"], row["quantity"]) for row in table.rows()], db.query("SELECT id, quantity FROM s"))


def test_documents_that_were_deleted_in_couchdb(db, seed):
    chance = random.Random(seed)
    table = Table("items", [row(id, chance) for id in range(1, 31)])
    with CouchDB(table) as server:
        db.create_rest_server("api", server.base_url, {"user": server.user, "password": server.password}, preset="couchdb", auth="basic")
        db.create_stream("s", "api", "items", target="s", key="_id", options={"deletes": "hard", "deleted_when": "_deleted", "page_size": 7})
        assert db.run("s")["inserted"] == 30
        table.delete(7, 8)
        table.update(9, quantity=-1)
        assert db.counts(db.run("s"))[:2] == (0, 1)
        assert db.value("SELECT count(*) FROM s") == 28 and db.value("SELECT quantity FROM s WHERE id = 9") == -1
        assert db.counts(db.run("s")) == (0, 0, 0, 0, 0)


def test_members_of_attributes_are_columns(db, seed):
    """And what stands beside them; links and the like are none."""
    chance = random.Random(seed)
    table = Table("items", [row(id, chance) for id in range(1, 4)])
    with JsonApi(table) as server:
        db.create_rest_server("api", server.base_url, preset="jsonapi")
        db.create_stream("s", "api", "items", target="s")
        db.run("s")
        columns = [name for (name,) in db.query("SELECT attname FROM pg_attribute WHERE attrelid = 's'::regclass AND attnum > 0 ORDER BY 1")]
        assert set(columns) | {"remark"} == {"type", "id", "relationships", *COLUMNS}  # a remark may never be set
        db.create_stream("rest", "api", "items", target="rest", options={"other_fields": "other"})
        table.insert(row(4, chance, colour="red"))
        db.run("rest")
        assert db.query("SELECT id, other FROM rest WHERE other <> '{}'") == [("4", {"colour": "red"})]


@pytest.mark.parametrize("preset, make, options", [
    ("odata", lambda table: OData(table, page_rows=20), {}),
    ("directus", lambda table: Directus(table, cap=100), {"page_size": 20}),
    ("nocodb", lambda table: NocoDB(table, cap=20), {}),
    ("ords", lambda table: Ords(table, cap=20), {}),
    ("strapi", Strapi, {"page_size": 20}),
    ("elasticsearch", Elasticsearch, {"page_size": 20}),
])  # fmt: skip
def test_a_watermark_that_counts_is_asked_for_as_a_number(db, seed, preset, make, options):
    chance = random.Random(seed)
    table = Table("items", [row(id, chance) for id in range(1, 101)])
    with make(table) as server:
        credentials = {"token": server.token} if hasattr(server, "token") else None
        more = {"auth": "none"} if preset == "ords" else {}
        db.create_rest_server("api", server.base_url, credentials, preset=preset, retries=0, **more)
        db.create_stream("s", "api", "items", target="s", key="id", watermark="id", options={"lookback": "5", "max_retries": 0} | options)
        assert db.run("s")["inserted"] == 100
        table.insert(row(101, chance), row(102, chance))
        run = db.run("s")
        assert (run["inserted"], run["rows_read"] < 20) == (2, True)


@pytest.mark.parametrize("preset, make", [("odata", lambda table: OData(table, page_rows=20)), ("directus", Directus)])
def test_a_watermark_that_is_a_day_is_asked_for_as_one(db, preset, make):
    """`Edm.Date` is compared with a day: a time is an error there."""
    rows = [{"id": id, "day": f"2025-01-{id:02}"} for id in range(1, 29)]
    table = Table("items", rows, changed=None)
    with make(table) as server:
        credentials = {"token": server.token} if hasattr(server, "token") else None
        db.create_rest_server("api", server.base_url, credentials, preset=preset, retries=0)
        db.create_stream("s", "api", "items", target="s", key="id", watermark="day", options={"lookback": "1 day", "max_retries": 0})
        assert db.run("s")["inserted"] == 28
        server.forget()
        table.insert({"id": 29, "day": "2025-01-29"})
        assert db.run("s")["inserted"] == 1
        asked = [request.query.get("$filter", request.query.get("filter", "")) for request in server.requests]
        assert any("2025-01-27" in text for text in asked) and not any("T00" in text for text in asked)


@pytest.mark.parametrize("mode", ["incremental", "full", "keys"])
def test_what_the_parent_tells_is_in_no_order_and_no_list_of_its_children(db, mode):
    orders = Table("orders", [{"id": id, "updated_at": START} for id in range(1, 6)])
    lines = Table("lines", [{"line": id, "order_id": id % 5 + 1, "n": id} for id in range(1, 21)], key="line", changed=None)
    with PostgREST(orders, lines) as server:
        db.create_rest_server("api", server.base_url, preset="supabase", path="{source}", auth="none", retries=0)
        parent = {"source": "orders", "key": "id", "watermark": "updated_at"}
        options = {"parent": parent, "path": "lines", "params": {"order_id": "eq.{parent.id}"}, "deletes": "hard", "max_deletes": "100%"}
        db.create_stream("s", "api", "lines", target="s", key="parent_id, line", options=options)
        assert db.run("s")["inserted"] == 20
        server.forget()
        db.run("s", mode)
        asked = [request.query for request in server.requests]
        assert {query["order"] for query in asked if "order_id" in query} == {"line.asc"}
        assert all("parent_id" not in value for query in asked for value in query.values())
        parents = {query["order"] for query in asked if "order_id" not in query and query.get("updated_at") != "is.null"}
        assert parents == {"updated_at.asc,id.asc" if mode == "incremental" else "id.asc"}
