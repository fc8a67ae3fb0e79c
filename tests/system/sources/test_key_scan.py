"""Rows that vanished at the source, found by reading nothing but keys."""

import datetime

import psycopg
import pytest
from harness import assert_equal_tables, wait_for
from harness.rest import Directus, Elasticsearch, NocoDB, OData, Plain, PostgREST, ShopifyGraphql, ShopifyRest, Strapi, Table, faults
from harness.rest.table import UTC
from psycopg.types.json import Jsonb

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)
PAGES = {"offset": "{offset}", "limit": "{limit}"}
CHANGES = {"params": {"since": "[[{since}]]", "sort": "{order:comma}", **PAGES}, "order": "asc", "paging": "keyset", "page_size": 100}


def rows(count, id=int):
    times = [START + datetime.timedelta(minutes=number) for number in range(count + 1)]
    return [{"id": id(number), "name": f"a name of some length {number}", "remark": "ñ" * 60, "updated_at": times[number]} for number in range(1, count + 1)]


class Shop:
    """An API with `items` and the stream `s` of it, loaded."""

    def __init__(self, db, server, table, count=300, source="items", preset=None, **options):
        self.db, self.server, self.table = db, server, table
        self.options = {"deletes": "hard", "max_retries": 0} | options
        credentials = {"token": server.token} if hasattr(server, "token") else None
        more = {"preset": preset} if preset else {}
        if preset == "shopify_rest":
            more["rate"] = "100/s"
        if preset == "supabase":
            more |= {"path": "{source}", "auth": "none"}
        db.create_rest_server("api", server.base_url, credentials, retries=0, **more)
        watermark = "updatedAt" if preset == "shopify_graphql" else "updated_at"
        db.create_stream("s", "api", source, target="s", key="id", watermark=watermark, options=self.options)
        assert self.run()["inserted"] == count

    def run(self, mode=None, **more):
        self.server.forget()
        return self.db.run("s", mode, **more)

    def sent(self):
        return sum(request.sent for request in self.server.requests)

    def versions(self):
        """Which version of each row the target holds."""
        return dict(self.db.query("SELECT id, (ctid, xmin)::text FROM s"))


def plain(db, count=300, **options):
    table = Table("items", rows(count))
    return Shop(db, Plain(table), table, count, **CHANGES | options)


# -------------------------------------------------------------------------------------------------------------- each API


APIS = {
    "supabase": (lambda table: PostgREST(table, cap=100), "items", {}, {"select": "id"}),
    "odata": (lambda table: OData(table, page_rows=100), "items", {}, {"$select": "id"}),
    "directus": (lambda table: Directus(table, cap=100), "items", {}, {"fields": "id"}),
    "nocodb": (lambda table: NocoDB(table, cap=100), "items", {}, {"fields": "id"}),
    "strapi": (Strapi, "items", {}, {"fields": "id"}),
    "elasticsearch": (Elasticsearch, "items", {"page_size": 100}, {"_source": "id"}),
    "shopify_rest": (lambda table: ShopifyRest(table, pace=50), "products", {}, {"fields": "id"}),
    "shopify_graphql": (lambda table: ShopifyGraphql(table, pace=50), "products", {"select": "id name remark updatedAt"}, {}),
}


@pytest.mark.parametrize("preset", APIS)
def test_a_preset_asks_for_keys_alone(db, preset):
    make, source, options, parameters = APIS[preset]
    table = Table(source, rows(300))
    with make(table) as server:
        shop = Shop(db, server, table, source=source, preset=preset, **options)
        before = shop.versions()
        run = shop.run("full")
        assert (run["deleted"], run["updated"]) == (0, 0)
        requests, sent = len(server.requests), shop.sent()
        table.delete(*range(11, 31))
        # One that the scan has no business to mend, and one that is left to the incremental reads.
        table.update(40, name="otro", updated_at=table.by_key[40]["updated_at"])
        table.insert(rows(400)[-1])
        run = shop.run("keys")
        assert (run["mode"], run["inserted"], run["updated"], run["deleted"], run["rejected"]) == ("keys", 0, 0, 20, 0)
        assert run["rows_read"] == 281
        after = shop.versions()
        gone = before.keys() - after.keys()
        assert {str(key).rpartition("/")[2] for key in gone} == set(map(str, range(11, 31)))
        assert after == {key: version for key, version in before.items() if key not in gone}, "no other row was touched"
        assert len(server.requests) <= requests and shop.sent() < sent / 2, "it is less to send"
        assert all(request.query.get(name) == value for request in server.requests for name, value in parameters.items())
        assert shop.run("keys")["deleted"] == 0
        shop.run()
        assert db.value("SELECT count(*) FROM s") == 281


def test_without_options_for_it_whole_rows_are_asked_for(db):
    shop = plain(db)
    with shop.server:
        before = shop.versions()
        shop.table.delete(5, 6)
        assert shop.run("keys")["deleted"] == 2
        assert shop.versions() == {key: version for key, version in before.items() if key not in (5, 6)}


# ------------------------------------------------------------------------------------------------------------ what it does


def test_the_guard_refuses(db):
    shop = plain(db, max_deletes="10%")
    with shop.server:
        before = shop.versions()
        shop.table.delete(*range(1, 101))
        run = shop.run("keys", expect="failed")
        assert "100 of 300 rows" in run["message"] and "max_deletes" in run["message"] and run["deleted"] == 0
        assert shop.versions() == before
        shop.table.delete(*range(101, 301))
        db.alter_stream("s", max_deletes="90%")
        assert "300 of 300 rows" in shop.run("keys", expect="failed")["message"], "an empty source"
        db.alter_stream("s", max_deletes="100%")
        assert shop.run("keys")["deleted"] == 300


def test_marked_rows_come_back(db):
    """Also those that come back as they were, which no incremental read sees."""
    shop = plain(db, deletes="soft", deleted_column="gone_at")
    with shop.server:
        gone = {id: shop.table.by_key[id] for id in (5, 6, 7)}
        shop.table.delete(*gone)
        assert shop.run("keys")["deleted"] == 3
        assert db.query("SELECT id, name IS NULL FROM s WHERE gone_at IS NOT NULL ORDER BY 1") == [(5, False), (6, False), (7, False)]
        before = shop.versions()
        assert shop.run("keys")["deleted"] == 0 and shop.versions() == before, "marked once"
        shop.table.insert(gone[5], gone[6] | {"updated_at": datetime.datetime.now(UTC)})
        shop.run()
        assert db.query("SELECT id FROM s WHERE gone_at IS NOT NULL ORDER BY 1") == [(5,), (7,)]
        run = shop.run("keys")
        assert (run["updated"], run["deleted"]) == (1, 0)
        assert db.query("SELECT id FROM s WHERE gone_at IS NOT NULL") == [(7,)]
        untouched = {key: version for key, version in before.items() if key not in (5, 6)}
        assert {key: version for key, version in shop.versions().items() if key in untouched} == untouched


def test_a_mark_that_the_row_itself_asks_for_stays(db):
    """A deleted row that the source goes on showing, with a sign: its key alone doesn't say so."""
    shop = plain(db, deletes="soft", deleted_column="gone_at", deleted_when="name = 'gone'")
    with shop.server:
        shop.table.update(5, name="gone")
        shop.run()
        assert shop.run("keys")["updated"] == 0
        assert db.query("SELECT id FROM s WHERE gone_at IS NOT NULL") == [(5,)]


def test_a_filter_says_nothing_of_keys(db):
    table = Table("items", rows(50))
    with Plain(table) as server:
        shop = Shop(db, server, table, 49, **CHANGES | {"filter": "name NOT LIKE '% 7'"})
        table.delete(9)
        assert shop.run("keys")["deleted"] == 1
        assert db.value("SELECT count(*) FROM s") == 48


def test_reconcile_by_keys(db):
    table = Table("items", rows(50))
    with Plain(table) as server:
        shop = Shop(db, server, table, 50, **CHANGES | {"reconcile": "1 hour", "reconcile_by": "keys"})
        table.delete(5)
        table.update(6, name="otro", updated_at=table.by_key[6]["updated_at"])
        db.alter_stream("s", schedule="1 second")
        db.execute("UPDATE insync.stream SET created_at = now() - interval '2 hours'")
        wait_for(lambda: db.value("SELECT count(*) FROM s") == 49, "the run that finds it")
        wait_for(lambda: db.query("SELECT FROM insync.watermark WHERE reconciled_at > now() - interval '1 hour'"), "the run's end")
        assert db.query("SELECT mode, deleted, updated FROM insync.run WHERE deleted > 0") == [("keys", 1, 0)]
        assert db.query("SELECT FROM s WHERE name = 'otro'") == []
        steps = dict(db.query("SELECT * FROM sync_explain('s')"))
        assert "/items?" in steps["source: keys, to find deleted rows"] and "since" not in steps["source: keys, to find deleted rows"]
        assert shop.options["reconcile_by"] == "keys"


def test_two_streams_of_one_target(db):
    db.execute("CREATE TABLE s (shop text, id bigint, name text NOT NULL, updated_at timestamptz, PRIMARY KEY (shop, id))")
    table = Table("items", rows(30))
    with Plain(table) as server:
        db.create_rest_server("api", server.base_url)
        for name in ("T01", "T02"):
            options = CHANGES | {"deletes": "hard", "columns": {"shop": f"'{name}'"}}
            db.create_stream(name, "api", "items", target="s", key="shop, id", watermark="updated_at", options=options)
            db.run(name)
        table.delete(3, 4)
        assert db.run("T01", "keys")["deleted"] == 2
        assert db.query("SELECT shop, count(*) FROM s GROUP BY 1 ORDER BY 1") == [("T01", 28), ("T02", 30)]


def test_a_key_of_more_than_the_sources(db):
    """The target tells rows by a second column of the source, which is asked for with the key."""
    table = Table("items", [row | {"shop": f"T{row['id'] % 3}"} for row in rows(30)])
    with PostgREST(table) as server:
        db.create_rest_server("api", server.base_url, preset="supabase", path="{source}", auth="none")
        db.create_stream("s", "api", "items", target="s", key="shop, id", watermark="updated_at", options={"deletes": "hard"})
        assert db.run("s")["inserted"] == 30
        table.delete(5)
        server.forget()
        assert db.run("s", "keys")["deleted"] == 1
        assert {request.query["select"] for request in server.requests} == {"id,shop"}
        assert db.query("SELECT FROM s WHERE id = 5") == []


def test_children_of_parents(db):
    """The keys of lines, order by order; whose line it is, is part of the key."""
    orders = Table("orders", [{"id": id, "updated_at": START} for id in range(1, 31)])
    lines = Table("lines", [{"id": id, "orders_id": id % 30 + 1, "n": id, "updated_at": START} for id in range(1, 91)])
    with Plain(orders, lines) as server:
        db.create_rest_server("api", server.url)
        parent = {"source": "orders", "key": "id", "watermark": "updated_at", "order": "asc", "paging": "keyset",
                  "params": {"since": "[[{since}]]", "sort": "updated_at", **PAGES}}  # fmt: skip
        options = {"parent": parent, "params": PAGES, "deletes": "hard", "max_deletes": "100%"}
        db.create_stream("lines", "api", "orders/{parent.id}/lines", target="lines", key="parent_id, id", options=options)
        assert db.run("lines")["inserted"] == 90
        lines.delete(1, 2, 3)
        orders.delete(9)
        server.forget()
        assert db.run("lines", "keys")["deleted"] == 6
        assert_equal_tables([(row["id"],) for row in lines.rows() if row["orders_id"] != 9], db.query("SELECT id FROM lines"))


def test_a_full_count_of_keys_begins_a_feed_anew(db):
    feed = {"source": "items/deleted", "params": {"since": "[[{since}]]", **PAGES}, "key": "id", "watermark": "deleted_at"}
    shop = plain(db, delete_feed=feed)
    with shop.server:
        shop.table.clock = lambda: datetime.datetime.now(UTC) - datetime.timedelta(minutes=5)
        shop.table.delete(5)
        before = db.value("SELECT position #>> '{deletes,start}' FROM insync.watermark")
        wait_for(lambda: f"{datetime.datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" > before, "the next second")
        assert shop.run("keys")["deleted"] == 1
        assert db.value("SELECT position #>> '{deletes,start}' FROM insync.watermark") > before
        assert db.value("SELECT position ->> 'watermark' FROM insync.watermark") is not None, "the rest of the position stays"
        assert shop.run()["deleted"] == 0


# ------------------------------------------------------------------------------------------------------- what comes between


def test_what_is_pushed_meanwhile_stays(db):
    """A row that is new at the source while pages are read: nobody can write it before the scan has ended."""
    shop = plain(db)
    refused = []
    with shop.server:

        def push(request, answer, server):
            response = answer()
            new = {"id": -1, "name": "nueva", "updated_at": datetime.datetime.now(UTC).isoformat()}
            shop.table.insert(new | {"updated_at": START, "remark": None})  # on a page that was read already
            with db.connect() as session, pytest.raises(psycopg.errors.ObjectInUse) as error:
                session.execute("SELECT sync_ingest('s', %s)", [Jsonb(new)])
            refused.append(error.value.diag.message_primary)
            db_row.append(new)
            return response

        db_row = []
        shop.table.delete(7)
        shop.server.next(faults.regular, push)
        run = shop.run("keys")
        assert refused == ['stream "s" is running'] and run["deleted"] == 1
        db.execute("SELECT sync_ingest('s', %s)", Jsonb(db_row))
        assert shop.run("keys")["deleted"] == 0
        assert db.value("SELECT name FROM s WHERE id = -1") == "nueva"


@pytest.mark.parametrize("fault", [faults.status(500), faults.cut()], ids=["500", "cut"])
def test_a_scan_that_ends_in_the_middle_deletes_nothing(db, fault):
    shop = plain(db, batch_rows=50)
    with shop.server:
        before = shop.versions()
        state = db.query("SELECT position, watermark FROM insync.watermark")
        shop.table.delete(5)
        shop.server.next(faults.regular, faults.regular, fault)
        assert shop.run("keys", expect="failed")["deleted"] == 0
        assert shop.versions() == before and db.query("SELECT position, watermark FROM insync.watermark") == state
        assert shop.run("keys")["deleted"] == 1


@pytest.mark.parametrize("victim", ["worker", "connector"])
def test_a_kill_in_the_middle(own_db, own_cluster, victim):
    db, killed = own_db, []
    shop = plain(db, batch_rows=50)
    with shop.server:
        shop.table.delete(5)

        def kill(request, answer, server):
            killed.extend(own_cluster.workers() if victim == "worker" else own_cluster.connectors())
            for pid in killed:
                own_cluster.kill(pid)
            return answer()

        shop.server.next(faults.regular, faults.regular, kill)
        run_id = db.trigger("s", "keys")

        def is_over():
            try:
                return db.value("SELECT status FROM insync.run WHERE id = %s", run_id) not in ("queued", "running")
            except psycopg.Error:
                return False

        wait_for(is_over, "the run's end", 60)
        assert killed and db.value("SELECT count(*) FROM s") == 300
        assert shop.run("keys")["deleted"] == 1
        assert_equal_tables([(row["id"], row["name"]) for row in shop.table.rows()], db.query("SELECT id, name FROM s"))


def test_a_row_without_a_key_keeps_everything(db):
    class Odd(Plain):
        def _filtered(self, rows, table, query):
            return [*super()._filtered(rows, table, query), {"id": None, "name": "nadie", "updated_at": START}]

    shop = plain(db)
    with shop.server:
        shop.table.delete(5)
        shop.server.__class__ = Odd
        run = shop.run("keys")
        assert run["deleted"] == 0 and run["message"] == "nothing was deleted, because 1 rows of the source could not be read"
        assert db.errors("s") == []
        shop.server.__class__ = Plain
        assert shop.run("keys")["deleted"] == 1


def test_rejected_rows_and_keys_that_fit_no_row(db):
    """A key that the target can't hold isn't in it; and what was rejected stays to be replayed."""
    table = Table("items", rows(40, str))
    table.insert({"id": "x", "name": "no number", "remark": None, "updated_at": START})
    db.execute("CREATE TABLE s (id int PRIMARY KEY, name text, remark text, updated_at timestamptz)")
    with Plain(table) as server:
        shop = Shop(db, server, table, 40, **CHANGES | {"columns": {"id": "id::int"}})
        assert len(db.errors("s")) == 1
        table.delete("5")
        assert shop.run("keys")["deleted"] == 1
        assert len(db.errors("s")) == 1 and db.value("SELECT count(*) FROM s") == 39


# ------------------------------------------------------------------------------------------------------------- databases


def test_a_database_is_asked_for_its_keys(db, shop):
    shop.script("ALTER TABLE ventas ADD COLUMN nota TEXT; UPDATE ventas SET nota = hex(randomblob(2000))")
    options = {"deletes": "hard", "max_deletes": "100%", "reconcile": "1 day", "reconcile_by": "keys"}
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", options=options)
    db.run("ventas")
    before = dict(db.query("SELECT id, (ctid, xmin)::text FROM ventas"))
    whole = db.run("ventas", "full")
    shop.execute("DELETE FROM ventas WHERE id = 2")
    shop.execute("UPDATE ventas SET producto = 'otro' WHERE id = 3")
    shop.execute("INSERT INTO ventas (id, producto, cantidad, actualizado) VALUES (9, 'Té', 1, '2025-01-07 12:00:00')")
    run = db.run("ventas", "keys")
    assert (run["rows_read"], run["inserted"], run["updated"], run["deleted"]) == (5, 0, 0, 1)
    assert run["bytes"] < whole["bytes"] / 10
    del before[2]
    assert dict(db.query("SELECT id, (ctid, xmin)::text FROM ventas")) == before
    assert dict(db.query("SELECT * FROM sync_explain('ventas')"))["source: keys, to find deleted rows"].startswith('SELECT s."id" FROM')
    assert db.run("ventas")["inserted"] == 1


def test_a_query_with_a_key_of_two_columns(db, shop):
    shop.script("CREATE TABLE lineas (venta INTEGER, linea TEXT, n INTEGER, PRIMARY KEY (venta, linea)) WITHOUT ROWID;"
                "INSERT INTO lineas WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 500)"
                " SELECT n / 10, 'l' || (n % 10), n FROM x")  # fmt: skip
    options = {"deletes": "soft", "deleted_column": "borrada", "page_rows": 70, "batch_rows": 30}
    db.create_stream("lineas", "tienda", "SELECT * FROM lineas", key="venta, linea", options=options)
    assert db.run("lineas")["inserted"] == 500
    shop.execute("DELETE FROM lineas WHERE n % 100 = 0")
    assert db.run("lineas", "keys")["deleted"] == 5
    assert db.query("SELECT n FROM lineas WHERE borrada IS NOT NULL ORDER BY n") == [(n,) for n in (100, 200, 300, 400, 500)]


# ---------------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    "options, message",
    [
        ({"reconcile_by": "keys"}, 'option "reconcile_by" requires the option "reconcile"'),
        ({"reconcile_by": "key"}, 'invalid value for option "reconcile_by"'),
        ({"reconcile_by": "keys", "reconcile": "1 day", "deletes": "ignore"}, 'option "reconcile_by" requires the option "deletes"'),
        ({"reconcile_by": "keys", "reconcile": "1 day", "operation_column": "name"}, "exclude each other"),
        ({"reconcile_by": "keys", "reconcile": "1 day", "columns": {"id": "length(name)"}}, "cannot identify deleted rows by the source's key alone"),
        ({"key_scan": {"selct": "id"}}, 'invalid option "selct"'),
        ({"key_scan": {"source": "ids"}}, '"source" is an argument of sync_create()'),
        ({"key_scan": {"parent": {"source": "x"}}}, "It has a parent itself"),
        ({"key_scan": "id"}, "It is not a JSON object"),
    ],
)
def test_options_are_checked(db, options, message):
    with Plain(Table("items", rows(10))) as server:
        db.create_rest_server("api", server.base_url)
        with pytest.raises(psycopg.Error) as error:
            db.create_stream("s", "api", "items", key="id", watermark="updated_at", options=CHANGES | {"deletes": "hard"} | options)
        assert message in str(error.value) + str(error.value.diag.message_detail)


def test_who_ignores_deletes_has_no_use_for_keys(db, shop):
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    for call in ("SELECT * FROM sync_trigger('ventas', 'keys')", "CALL sync_run('ventas', 'keys')"):
        with pytest.raises(psycopg.Error, match="mode keys finds deleted rows, which stream \"ventas\" ignores"):
            db.execute(call)
