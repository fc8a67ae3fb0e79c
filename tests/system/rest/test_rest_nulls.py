"""Rows of an API whose watermark is NULL until their first change, and watermarks of several columns."""

import datetime

import psycopg
import pytest
from harness import assert_equal_tables
from harness.rest import ClientCredentials, Directus, NocoDB, OData, Ords, Plain, PostgREST, Strapi, Table, faults
from harness.rest.table import UTC

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)
MINUTE = datetime.timedelta(minutes=1)


def rows(count=260):
    """Every other row was never changed; the sources sort these behind all others."""
    return [{"id": id, "n": id % 7, "made_at": START + id * MINUTE, "updated_at": START + (count - id) * MINUTE if id % 2 else None}
            for id in range(1, count + 1)]  # fmt: skip


def ords(table):
    server = Ords(table, cap=50)
    server.auth = ClientCredentials("etl", "secret", path=Ords.token_path, style="basic")
    return server, {"client_id": "etl", "client_secret": "secret"}


def with_token(make):
    def build(table):
        server = make(table, cap=50)
        return server, {"token": server.token}

    return build


PRESETS = {
    "ords": (ords, {"preset": "ords", "auth": "oauth2"}),
    "postgrest": (lambda table: (PostgREST(table, cap=50), None), {"preset": "supabase", "path": "{source}", "auth": "none"}),
    "odata": (lambda table: (OData(table, page_rows=50), None), {"preset": "odata"}),
    "nocodb": (with_token(NocoDB), {"preset": "nocodb"}),
    "directus": (with_token(Directus), {"preset": "directus", "page_size": "50"}),
    "strapi": (with_token(Strapi), {"preset": "strapi", "page_size": "50"}),
}
SORTED = {"since": "[[{since:iso_ms}]]", "sort": "updated_at,id"}
OWN = {
    "offset": {"order": "asc", "paging": "keyset", "params": SORTED | {"offset": "{offset}", "limit": "{limit}"}, "page_size": 50},
    "offset, with a query": {
        "order": "asc", "paging": "keyset", "params": SORTED | {"offset": "{offset}", "limit": "{limit}"}, "page_size": 50,
        "null_query": {"unchanged": "1"},
    },
    "page": {"order": "asc", "params": SORTED | {"page": "{page}", "limit": "{limit}"}, "page_size": 50},
    "link header": {"order": "asc", "paging": "link_header", "params": SORTED | {"limit": "{limit}"}, "page_size": 50},
    "token": {
        "order": "asc", "paging": "token", "next_path": "/next_cursor", "rows_path": "/data/items",
        "params": SORTED | {"cursor": "[[{page_token}]]", "limit": "{limit}"}, "page_size": 50,
    },
    "window": {"params": {"since": "[[{since:iso_ms}]]", "until": "[[{until:iso_ms}]]", "page": "{page}", "limit": "{limit}"}, "page_size": 50},
    "newest first": {"order": "desc", "params": {"sort": "-updated_at,-id", "offset": "{offset}", "limit": "{limit}"}, "page_size": 50},
}  # fmt: skip


class Source:
    def __init__(self, db, server, table):
        self.db, self.server, self.table = db, server, table

    def create(self, watermark="updated_at", **options):
        self.db.create_stream("items", "api", "items", key="id", watermark=watermark, options=options)

    def check(self):
        assert_equal_tables([(row["id"], row["n"]) for row in self.table.rows()], self.db.query("SELECT id, n FROM items"))


@pytest.fixture(params=PRESETS)
def source(request, db):
    make, options = PRESETS[request.param]
    table = Table("items", rows())
    server, credentials = make(table)
    with server:
        db.create_rest_server("api", server.base_url, credentials, **options)
        yield Source(db, server, table)


@pytest.fixture
def own(db):
    table = Table("items", rows())
    with Plain(table, cap=50) as server:
        db.create_rest_server("api", server.url)
        yield Source(db, server, table)


def test_rows_that_were_never_changed_are_loaded_and_found_later(db, source):
    source.create(batch_rows=70)
    run = db.run("items")
    source.check()
    assert run["rejected"] == 0 and "rows without a watermark" in run["message"]
    source.table.insert(id=1001, n=1, made_at=START, updated_at=None)
    source.table.update(4, 5, n=100)
    source.server.ahead = datetime.timedelta(seconds=5)
    assert db.counts(db.run("items"))[:2] == (1, 2)
    source.check()


def test_rows_without_a_watermark_can_be_rejected(db, source):
    source.create(null_watermark="reject")
    assert db.run("items")["rejected"] == 130
    assert db.value("SELECT count(*) FROM items") == 130
    assert db.value("SELECT count(*) FROM insync.error WHERE message LIKE 'watermark column \"updated_at\" is null'") == 130


def test_rows_without_a_watermark_can_fail_the_run(db, source):
    source.create(null_watermark="fail", max_retries=0)
    assert "no watermark" in db.run("items", expect="failed")["message"]
    source.table.update(*range(2, 261, 2), n=3)
    db.run("items")
    source.check()


@pytest.mark.parametrize("options", OWN.values(), ids=OWN)
def test_a_first_load_by_options_of_ones_own_has_all_rows(db, own, options):
    if "rows_path" in options:
        own.server.shape = "envelope"
    own.create(**options)
    run = db.run("items")
    own.check()
    if "null_query" in options:
        own.table.insert(id=1001, n=1, made_at=START, updated_at=None)
        db.run("items")
        own.check()
    elif options.get("order") == "asc" and options.get("paging") != "token":
        assert "null_query" in run["message"], "it is said that later ones are not found"


def test_a_first_load_that_was_cut_off_has_them_in_the_end(db, own):
    own.create(**OWN["offset"], batch_rows=20, retries=0, max_retries=0)
    own.server.next(*[faults.regular] * 2)
    own.server.each(1, faults.status(503))
    db.run("items", expect="failed")
    own.server.each(1, None)
    db.run("items")
    own.check()
    assert "unread_nulls" not in db.value("SELECT position::text FROM insync.watermark")


def test_rows_deleted_while_they_are_loaded_do_not_hide_the_others(db, own):
    """The end of the rows with a watermark is further to the front than as many rows as were read of them."""
    own.create(**OWN["offset"])
    gone = iter(range(1, 261, 2))

    def delete(request, answer, server):
        response = answer()
        if request.query.get("since"):
            own.table.delete(*[next(gone) for _ in range(20)])
        return response

    own.server.each(1, delete)
    db.run("items")
    own.server.each(1, None)
    left = {row["id"] for row in own.table.rows()}
    assert left <= {id for (id,) in db.query("SELECT id FROM items")}


def test_sources_that_sort_them_first_are_asked_no_more_than_once(db):
    table = Table("items", rows())
    with Directus(table, cap=50) as server:
        sort = server._sorted
        server._sorted = lambda table, order: sorted(sort(table, order), key=lambda row: (row["updated_at"] is not None, 0))
        db.create_rest_server("api", server.base_url, {"token": server.token}, preset="directus", page_size="50")
        db.create_stream("items", "api", "items", key="id", watermark="updated_at")
        db.run("items")
        assert db.value("SELECT count(*) FROM items") == 260


@pytest.mark.parametrize("preset", ["directus", "postgrest", "nocodb", "odata", "ords"])
def test_the_first_of_several_watermark_columns_that_is_set_counts(db, preset):
    make, options = PRESETS[preset]
    table = Table("items", rows())
    server, credentials = make(table)
    with server:
        db.create_rest_server("api", server.base_url, credentials, **options)
        source = Source(db, server, table)
        source.create("updated_at, made_at")
        assert db.run("items")["inserted"] == 260
        source.check()
        now = table.clock()
        server.ahead = datetime.timedelta(seconds=5)
        table.insert(id=1001, n=1, made_at=now, updated_at=None)
        table.update(8, 9, n=100)
        server.forget()
        run = db.run("items")
        assert db.counts(run)[:2] == (1, 2)
        source.check()
        assert run["rows_read"] < 150, "neither column is read from its beginning"


def test_several_watermark_columns_that_a_request_can_not_ask_for_are_refused(db, own):
    with pytest.raises(psycopg.Error, match="cannot ask for several watermark columns") as error:
        own.create("updated_at, made_at", **OWN["offset"])
    assert "{watermark}" in error.value.diag.message_hint


def test_several_watermark_columns_of_a_source_that_is_read_whole(db, own):
    own.create("updated_at, made_at", params={"page": "{page}"})
    db.run("items")
    own.check()


def test_the_request_for_them_is_explained(db, source):
    source.create()
    told = db.query("SELECT * FROM sync_explain('items')")
    assert "rows without a watermark" in str(told)


def test_a_source_without_such_rows_can_say_so(db):
    table = Table("items", [row for row in rows() if row["updated_at"]])
    with PostgREST(table, cap=50) as server:
        db.create_rest_server("api", server.base_url, preset="supabase", path="{source}", auth="none", null_query="{}")
        db.create_stream("items", "api", "items", key="id", watermark="updated_at")
        db.run("items")
        assert not any("is.null" in request.target for request in server.requests)
