"""A child resource for each row of a parent that changed."""

import datetime

import psycopg
import pytest
from harness import assert_equal_tables
from harness.rest import Plain, Table, faults
from harness.rest.table import UTC

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)


PAGES = {"offset": "{offset}", "limit": "{limit}"}
PARENT = {"source": "orders", "key": "id", "watermark": "updated_at", "order": "asc", "paging": "keyset",
          "params": {"since": "[[{since}]]", "sort": "updated_at", **PAGES}}  # fmt: skip


def shop(count=30, lines_each=3):
    orders = Table("orders", [{"id": id, "updated_at": START + datetime.timedelta(hours=id)} for id in range(1, count + 1)])
    lines = [{"id": id, "orders_id": id % count + 1, "quantity": id, "updated_at": START} for id in range(1, count * lines_each + 1)]
    return orders, Table("lines", lines)


def define(db, server, **options):
    db.create_rest_server("api", server.url)
    db.create_stream("lines", "api", "orders/{parent.id}/lines", target="lines", key="id",
                     options={"parent": PARENT, "params": PAGES, "max_retries": 0, "retries": 0} | options)  # fmt: skip


def check(db, lines):
    assert_equal_tables([(row["id"], row["quantity"]) for row in lines.rows()], db.query("SELECT id, quantity FROM lines"))


def asked_for(server):
    """The orders whose lines were asked for, in their order."""
    return [int(request.path.split("/")[2]) for request in server.requests if request.path.endswith("/lines")]


def test_lines_of_orders_that_changed(db):
    orders, lines = shop()
    with Plain(orders, lines, cap=10) as server:
        define(db, server)
        db.run("lines")
        check(db, lines)
        assert db.value("SELECT count(*) FROM lines WHERE parent_id::int = orders_id::int") == 90
        lines.update(5, quantity=1000)
        orders.update(6)  # whose line it is
        server.forget()
        run = db.run("lines")
        check(db, lines)
        assert run["updated"] == 1
        assert {request.path for request in server.requests} == {"/orders", "/orders/30/lines", "/orders/6/lines"}


def test_a_run_that_is_cut_off_goes_on_at_the_parent_where_it_was(db):
    orders, lines = shop()
    with Plain(orders, lines, cap=10) as server:
        define(db, server, batch_rows=12)
        server.forget()

        def cut(request, answer, server):
            return faults.status(503)(request, answer, server) if request.path == "/orders/20/lines" else answer()

        server.each(1, cut)
        db.run("lines", expect="failed")
        held = db.value("SELECT count(*) FROM lines")
        assert 36 <= held < 90, "what was read until then is kept"
        server.each(1, None)
        server.forget()
        db.run("lines")
        check(db, lines)
        assert min(asked_for(server)) > 10, "the first parents are not read again"


def test_a_parent_that_went_away_meanwhile_has_no_children_where_that_is_said(db):
    orders, lines = shop()
    with Plain(orders, lines, cap=10) as server:
        define(db, server)
        gone = faults.status(404)
        server.each(1, lambda request, answer, server: gone(request, answer, server) if "/7/" in request.path else answer())
        run = db.run("lines", expect="failed")
        assert "404" in run["message"]
        db.alter_stream("lines", on_status={"404": "empty"})
        db.run("lines")
        assert db.value("SELECT count(*) FROM lines") == 87


def test_parents_without_children_and_none_at_all(db):
    """What the children's columns are can't be found out then; the message says what to do."""
    orders, lines = Table("orders", []), Table("lines", [])
    with Plain(orders, lines, cap=10) as server:
        db.create_rest_server("api", server.url)
        with pytest.raises(psycopg.Error) as refused:
            db.create_stream("lines", "api", "orders/{parent.id}/lines", target="lines", key="id", options={"parent": PARENT, "params": PAGES})
        assert "fields" in f"{refused.value.diag.message_detail} {refused.value.diag.message_hint}"
        orders.insert(id=1)
        with pytest.raises(psycopg.Error) as refused:
            db.create_stream("lines", "api", "orders/{parent.id}/lines", target="lines", key="id", options={"parent": PARENT, "params": PAGES})
        assert "fields" in f"{refused.value.diag.message_detail} {refused.value.diag.message_hint}"
        declared = {"id": "bigint", "orders_id": "bigint", "quantity": "bigint"}
        db.create_stream("lines", "api", "orders/{parent.id}/lines", target="lines", key="id",
                         options={"parent": PARENT, "params": PAGES, "fields": declared})  # fmt: skip
        db.run("lines")
        lines.insert(id=5, orders_id=1, quantity=9)
        orders.update(1)
        db.run("lines")
        check(db, lines)
