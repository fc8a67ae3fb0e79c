"""Answers that are no array of objects, and requests and fields that have no value yet."""

import datetime
import json

import psycopg
import pytest
from harness.rest import Plain, Refusal, Response, Server, Table
from harness.rest.table import UTC


class Says(Server):
    """Answers each path with a text of some media type."""

    def __init__(self, **paths):
        self.paths = paths
        super().__init__()

    def handle(self, request):
        name = request.path.removeprefix("/")
        if name not in self.paths:
            raise Refusal(404)
        said = self.paths[name]
        text, media = said if isinstance(said, tuple) else (said, "application/json")
        return Response(body=text.encode(), headers={"Content-Type": media})


def read(db, server, source, key=None, **options):
    db.create_rest_server("api", server.url)
    db.create_stream("s", "api", source, target="s", key=key, options=options)
    run = db.run("s")
    assert run["rejected"] == 0
    return run


def types(db):
    return dict(db.query(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 's'::regclass AND attnum > 0 AND NOT attisdropped"
    ))  # fmt: skip


def test_rows_as_a_map_by_key(db):
    rates = '{"date": "2025-01-05", "rates": {"EUR": {"rate": 1.50, "big": 9007199254740993}, "d\\u00f3lar": {}, "x/y": {"rate": 2}}}'
    with Says(rates=rates) as server:
        read(db, server, "rates", rows_form="map", rows_path="/rates")
        assert db.query("SELECT * FROM s ORDER BY _key") == [("EUR", db.value("SELECT 1.50"), 9007199254740993), ("dólar", None, None), ("x/y", 2, None)]
        assert db.run("s")["inserted"] == 0


def test_a_map_of_plain_values(db):
    with Says(rates='{"EUR": 1, "USD": 1.1}') as server:
        read(db, server, "rates", rows_form="map")
        assert [(key, float(value)) for key, value in db.query("SELECT _key, value FROM s ORDER BY 1")] == [("EUR", 1.0), ("USD", 1.1)]


@pytest.mark.parametrize("text, options", [
    ('{"values": [["id", "name"], [1, "a"], [2, null]]}', {}),
    ('{"columns": ["id", "name"], "rows": [[1, "a"], [2, null]]}', {"rows_path": "/rows"}),
    ('{"fields": [{"name": "id", "type": "int"}, {"name": "name"}], "data": [[1, "a"], [2, null]]}', {"rows_path": "/data"}),
    ('[[1, "a"], [2, null]]', {"row_names": "id, name"}),
], ids=["header", "columns", "fields", "option"])  # fmt: skip
def test_rows_as_arrays(db, text, options):
    with Says(items=text) as server:
        read(db, server, "items", key="id", rows_form="arrays", **options)
        assert types(db) == {"id": "bigint", "name": "text"} and db.query("SELECT * FROM s ORDER BY id") == [(1, "a"), (2, None)]


def test_arrays_without_names_get_numbers(db):
    with Says(items="[[1, true], [2, false]]") as server:
        read(db, server, "items", key="c1", rows_form="arrays")
        assert db.query("SELECT c1, c2 FROM s ORDER BY 1") == [(1, True), (2, False)]


@pytest.mark.parametrize("media, options", [("application/x-ndjson", {}), ("application/json", {"rows_form": "ndjson"})])
def test_rows_as_json_lines(db, media, options):
    with Says(items=('{"id": 1, "n": 9007199254740993}\n\n{"id": 2}\r\n', media)) as server:
        read(db, server, "items", **options)
        assert db.query("SELECT * FROM s ORDER BY id") == [(1, 9007199254740993), (2, None)]


CSV = 'id,name,code,price\r\n1,"Jamón, ""ibérico""",007,12.50\r\n2,,008,\r\n3,"a\nb",009,-1\r\n'


@pytest.mark.parametrize("text", [CSV, "\ufeff" + CSV, CSV.replace(",", ";").replace("Jamón;", "Jamón,")], ids=["comma", "mark", "semicolon"])
def test_rows_as_csv(db, text):
    with Says(items=(text, "text/csv; charset=utf-8")) as server:
        read(db, server, "items")
        assert types(db) == {"id": "bigint", "name": "text", "code": "text", "price": "numeric"}
        rows = db.query("SELECT id, name, code, price::text FROM s ORDER BY id")
        assert rows == [(1, 'Jamón, "ibérico"', "007", "12.50"), (2, None, "008", None), (3, "a\nb", "009", "-1")]


def test_csv_that_is_broken_fails(db):
    """A record that was cut off would be one whose last values are gone."""
    texts = {"items": 'id,name\n1,"a\n', "more": "id\n1,2\n", "fewer": "id,name\n1,a\n2\n", "twice": "id,name,name\n1,a,b\n"}
    words = {"items": "has no end", "more": "another number of fields", "fewer": "another number of fields", "twice": "a name twice"}
    with Says(**{source: (text, "text/csv") for source, text in texts.items()}) as server:
        db.create_rest_server("api", server.url)
        for source, word in words.items():
            with pytest.raises(psycopg.Error, match=word):
                db.create_stream("s", "api", source, key="id")


# ------------------------------------------------------------------------------------------------------- what has no value


class Search(Server):
    """Takes a query as JSON, which says since when and for which days."""

    def __init__(self):
        start = datetime.datetime(2025, 1, 1, tzinfo=UTC)
        self.rows = [{"id": id, "at": (start + datetime.timedelta(days=id)).strftime("%Y-%m-%dT%H:%M:%SZ")} for id in range(1, 31)]
        super().__init__()

    def handle(self, request):
        asked = request.json()
        rows = [row for row in self.rows if row["at"] >= asked.get("since", "") and asked.get("from", "") <= row["at"] < asked.get("to", "3")]
        return {"total": len(rows), "items": rows}


def test_a_member_of_a_body_without_a_value_is_left_out(db):
    with Search() as server:
        db.create_rest_server("api", server.url)
        body = {"kind": "all", "since": "{since}", "nested": {"page": "{page_token}"}, "list": ["a", "{page_token}"]}
        db.create_stream("s", "api", "search", target="s", key="id", watermark="at", options={"method": "POST", "body": body, "lookback": "0 seconds"})
        server.forget()
        assert db.run("s")["inserted"] == 30
        assert server.requests[0].json() == {"kind": "all", "nested": {}, "list": ["a"]}
        server.forget()
        assert db.run("s")["rows_read"] == 1
        assert server.requests[0].json()["since"] == server.rows[-1]["at"]


def test_a_window_is_asked_for_in_a_body(db):
    with Search() as server:
        db.create_rest_server("api", server.url)
        options = {
            "method": "POST", "body": {"since": "{since}"}, "slice_body": '{"from": "{from}", "to": "{to}"}', "slice_column": "at", "deletes": "hard",
            "lookback": "0 seconds", "total_path": "/total",
        }  # fmt: skip
        db.create_stream("s", "api", "search", target="s", key="id", watermark="at", options=options)
        db.run("s")
        db.execute("DELETE FROM s WHERE id IN (4, 5, 20)")
        server.forget()
        run_id = db.dict("SELECT * FROM sync_backfill('s', '2025-01-05', '2025-01-08')")["run_id"]
        assert db.wait(run_id) == "succeeded"
        assert db.value("SELECT count(*) FROM s") == 29
        assert all(set(request.json()) == {"from", "to"} for request in server.requests)


def test_a_field_without_a_value_is_a_column_from_its_first_one_on(db):
    """Its type is known then, and not text for ever."""
    table = Table("items", [{"id": id, "name": f"n{id}", "sold_at": None, "price": None} for id in range(1, 31)], changed=None)
    with Plain(table) as server:
        db.create_rest_server("api", server.url)
        options = {"params": {"after": "[[{last_key}]]", "limit": "{limit}"}, "paging": "last_key", "page_size": 10}
        db.create_stream("s", "api", "items", target="s", key="id", options=options)
        db.run("s")
        assert types(db) == {"id": "bigint", "name": "text"}
        assert "new column" not in (db.run("s")["message"] or ""), "there is nothing to be said"
        table.update(15, sold_at=datetime.datetime(2025, 1, 5, 10, tzinfo=UTC), price=3)
        run = db.run("s")
        assert 'new column "sold_at" was added' in run["message"] and run["updated"] == 1 and run["rejected"] == 0
        assert types(db) == {"id": "bigint", "name": "text", "sold_at": "timestamp with time zone", "price": "bigint"}
        assert db.value("SELECT price FROM s WHERE id = 15") == 3


def test_a_field_that_an_expression_names_is_a_column_without_a_value(db):
    with Says(items='[{"id": 1, "note": null, "other": null}]') as server:
        read(db, server, "items", columns={"note": "coalesce(note, 'none')"})
        assert types(db) == {"id": "bigint", "note": "text"} and db.query("SELECT note FROM s") == [("none",)]


@pytest.mark.parametrize("format, unit", [("epoch", 1), ("epoch_ms", 1000)])
def test_the_lag_of_a_watermark_that_is_a_number_of_seconds(db, format, unit):
    now = datetime.datetime.now(UTC)
    rows = [{"id": id, "at": int((now - datetime.timedelta(hours=id)).timestamp()) * unit} for id in range(1, 5)]
    with Says(items=json.dumps(rows)) as server:
        db.create_rest_server("api", server.url, params='{"since": "[[{since}]]"}', watermark_format=format)
        db.create_stream("s", "api", "items", target="s", key="id", watermark="at")
        db.run("s")
        hours = db.value("SELECT extract(epoch FROM lag) / 3600 FROM sync_status('s')")
        assert 0.9 < hours < 1.5


def test_ties_in_the_sample_do_not_hide_the_key(db):
    """Sorted by the watermark alone, a row of one page can come on the next again."""
    rows = [{"id": id, "at": "2025-01-05T10:00:00Z"} for id in range(1, 41)]

    class Shuffled(Server):
        def handle(self, request):
            offset, limit = int(request.query["offset"]), int(request.query["limit"])
            if "id" in request.query["sort"]:
                return rows[offset : offset + limit]
            return rows[max(0, offset - 3) : max(0, offset - 3) + limit]

    with Shuffled() as server:
        db.create_rest_server("api", server.url)
        params = {"since": "[[{since}]]", "sort": "{order:comma}", "offset": "{offset}", "limit": "{limit}"}
        row = db.create_stream("s", "api", "items", target="s", watermark="at", options={"params": params, "order": "asc", "paging": "keyset", "page_size": 10})
        assert row["key_columns"] == "id"
        assert db.run("s")["inserted"] == 40
