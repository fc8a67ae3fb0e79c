"""A child resource for each row of a parent that changed."""

import datetime

from harness import assert_equal_tables
from harness.rest import Plain, Table
from harness.rest.table import UTC

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)


def test_lines_of_orders_that_changed(db):
    orders = Table("orders", [{"id": id, "updated_at": START + datetime.timedelta(hours=id)} for id in range(1, 31)])
    lines = Table("lines", [{"id": id, "orders_id": id % 30 + 1, "quantity": id, "updated_at": START} for id in range(1, 91)])
    with Plain(orders, lines, cap=10) as server:
        db.create_rest_server("api", server.url)
        pages = {"offset": "{offset}", "limit": "{limit}"}
        parent = {"source": "orders", "key": "id", "watermark": "updated_at", "order": "asc", "paging": "keyset",
                  "params": {"since": "[[{since}]]", "sort": "updated_at", **pages}}  # fmt: skip
        db.create_stream("lines", "api", "orders/{parent.id}/lines", target="lines", key="id", options={"parent": parent, "params": pages})
        db.run("lines")

        def check():
            assert_equal_tables([(row["id"], row["quantity"]) for row in lines.rows()], db.query("SELECT id, quantity FROM lines"))

        check()
        assert db.value("SELECT count(*) FROM lines WHERE parent_id::int = orders_id::int") == 90
        lines.update(5, quantity=1000)
        orders.update(6)  # whose line it is
        server.forget()
        run = db.run("lines")
        check()
        assert run["updated"] == 1
        assert {request.path for request in server.requests} == {"/orders", "/orders/30/lines", "/orders/6/lines"}
