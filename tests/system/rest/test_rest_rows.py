"""What a JSON API's rows become: columns of their types, numbers digit for digit, and rejects where a row can't be taken."""

import decimal
import json

import psycopg
import pytest
from harness.rest import Response, Server


class Said(Server):
    """Answers every request with the same text. A stand-in for whatever API says that."""

    said = b"[]"

    def say(self, text):
        self.said = text if isinstance(text, bytes) else text.encode()

    def handle(self, request):
        return Response(body=self.said, headers={"Content-Type": "application/json"})


@pytest.fixture
def api(db):
    with Said() as server:
        db.create_rest_server("api", server.url)
        yield server


def stream(db, name, **more):
    db.create_stream(name, "api", "items", target=name, **more)


def types_of(db, table):
    return dict(
        db.query(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attname !~ '^insync_'",
            table,
        )
    )


def test_types_are_discovered_and_numbers_keep_their_digits(db, api):
    api.say("""[
        {"id": 9007199254740993, "wide": 12345678901234567890.12, "huge": 18446744073709551616, "price": 1.50, "on": "2026-01-31",
         "at": "2026-01-31T10:00:00.5Z", "local": "2026-01-31T10:00:00", "time": "10:00:00", "code": "007", "yes": true,
         "guid": "123e4567-e89b-12d3-a456-426655440000", "tags": ["a", 1.50], "mixed": 1, "nothing": null},
        {"id": 2, "wide": 1, "huge": 1, "price": 2, "on": null, "mixed": "one", "late": "x", "tags": {}}]""")
    stream(db, "s", key="id")
    db.run("s")
    assert types_of(db, "s") == {
        "id": "bigint", "wide": "numeric", "huge": "numeric", "price": "numeric", "on": "date", "at": "timestamp with time zone",
        "local": "timestamp without time zone", "time": "time without time zone", "code": "text", "yes": "boolean", "guid": "uuid",
        "tags": "jsonb", "mixed": "text", "late": "text",
    }  # fmt: skip
    first, second = db.dicts("SELECT *, tags::text AS tags_text FROM s ORDER BY id DESC")
    assert first["id"] == 9007199254740993
    assert str(first["wide"]) == "12345678901234567890.12"
    assert first["huge"] == decimal.Decimal(18446744073709551616)
    assert (str(first["price"]), str(second["price"])) == ("1.50", "2")
    assert first["at"].isoformat() == "2026-01-31T10:00:00.500000+00:00"
    assert (first["code"], first["mixed"], second["mixed"], first["late"]) == ("007", "1", "one", None)
    assert first["tags_text"] == '["a", 1.50]'


def test_declared_fields(db, api):
    """A type, a place deeper in the row, or both; the key is one of them. A member that comes up later is a column, too."""
    fields = {"number": "integer /order/id", "total": "numeric(12,2) /sums/total", "city": "/address/city", "placed": "timestamptz"}
    api.say('[{"order": {"id": 1}, "sums": {"total": 10.5}, "address": {"city": "A"}, "placed": "2026-01-31 10:00:00"}]')
    stream(db, "s", key="number", options={"fields": json.dumps(fields)})
    db.run("s")
    types = types_of(db, "s")
    assert {name: types[name] for name in fields} == {
        "number": "integer", "total": "numeric(12,2)", "city": "text", "placed": "timestamp with time zone",
    }  # fmt: skip
    assert types["order"] == "jsonb"
    api.say('[{"order": {"id": 1}, "sums": {"total": 11}, "address": {}, "new": 5}, {"order": {"id": 2}, "sums": null, "new": null}]')
    db.run("s")
    assert db.query("SELECT number, total::text, city, placed, new FROM s ORDER BY number") == [
        (1, "11.00", None, None, 5),
        (2, None, None, None, None),
    ]


def test_fields_that_are_no_column_are_gathered(db, api):
    api.say('[{"id": 1, "name": "a"}]')
    stream(db, "s", key="id", options={"other_fields": "rest", "fields": '{"id": "bigint", "name": "text"}'})
    db.run("s")
    api.say('[{"id": 1, "name": "b", "x": 1.50, "y": {"z": ["\\u0000"]}}, {"name": "c", "id": 2, "q\\"": "\\n"}]')
    db.run("s")
    assert db.query("SELECT id, name, rest->>'x', rest->'y'->'z'->>0, rest->>'q\"' FROM s ORDER BY id") == [
        (1, "b", "1.50", "\ufffd", None),
        (2, "c", None, None, "\n"),
    ]


BAD = {
    "a member twice": ('{"id": 2, "name": "x", "name": "y"}', "22032", 'member "name" occurs twice in the row'),
    "10,000 levels": ('{"id": 2, "name": ' + "[" * 10000 + "]" * 10000 + "}", "22032", 'member "name" is nested deeper than 999 levels'),
    "no object": ("7", "22032", "the row is a number, not an object"),
    "no key": ('{"id": null, "name": "x"}', "23502", 'key column "id" is null'),
    "no integer": ('{"id": 2, "count": 1.5}', "22P02", 'value of column "count" is not a valid int8'),
    "no time": ('{"id": 2, "at": 1769846400}', "22007", 'value of column "at" is not a valid timestamptz'),
    "beyond bigint": ('{"id": 2, "count": 9223372036854775808}', "22003", 'value of column "count" is out of range for type int8'),
    "beyond numeric": ('{"id": 2, "price": 1e999999}', "22003", 'value of column "price" is out of range for type numeric'),
}


@pytest.mark.parametrize("row, sqlstate, message", BAD.values(), ids=BAD)
def test_a_bad_row_is_rejected_and_the_page_goes_on(db, api, row, sqlstate, message):
    good = '{"id": %d, "name": "a", "count": 1, "price": 0.5, "at": "2026-01-31T10:00:00Z"}'
    api.say(f"[{good % 1}]")
    stream(db, "s", key="id")
    db.run("s")
    api.say(f"[{good % 1}, {row}, {good % 3}]")
    run = db.run("s")
    assert run["rejected"] == 1
    assert db.query("SELECT id FROM s ORDER BY id") == [(1,), (3,)]
    error = db.errors("s")[0]
    assert (error["sqlstate"], error["message"]) == (sqlstate, message)


def test_damaged_text_follows_the_policy(db, api):
    damaged = {"nul": b'"a\\u0000"', "half": b'"\\ud800"', "bytes": b'"\xff"', "list": b'["\\u0000", "\xc3", "\\udc00"]'}
    api.say(b'[{"id": 1, ' + b", ".join(b'"%s": %s' % (name.encode(), value) for name, value in damaged.items()) + b"}]")
    stream(db, "replaced", key="id")
    db.run("replaced")
    assert db.query("SELECT nul, half, bytes, list FROM replaced") == [("a\ufffd", "\ufffd", "\ufffd", ["\ufffd"] * 3)]
    for name, value in damaged.items():
        api.say(b'[{"id": 1, "%s": %s}]' % (name.encode(), value))
        stream(db, name, key="id", options={"text_policy": "reject"})
        assert db.run(name)["rejected"] == 1
        error = db.errors(name)[0]
        assert (error["sqlstate"], error["column_name"]) == ("22021", name)


BROKEN = {
    "truncated": ('[{"id": 1}, {"id"', "the answer ends in the middle of its JSON"),
    "a web page": ("<!DOCTYPE html><title>Login</title>", "the answer is a web page, not JSON"),
    "nothing": ("", "the answer is empty where JSON was expected"),
    "no rows": ('{"error": {"code": 7}}', "there are no rows at rows_path"),
    "10,000 levels": ("[" * 10000, "the answer ends in the middle of its JSON"),
}


@pytest.mark.parametrize("text, message", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_fails_the_run_and_the_next_goes_on(db, api, text, message):
    api.say('{"items": [{"id": 1}]}')
    stream(db, "s", key="id", options={"rows_path": "/items", "max_retries": 0})
    db.run("s")
    api.say(text)
    run = db.run("s", expect="failed")
    assert message in run["message"]
    api.say('{"items": [{"id": 1}, {"id": 2}]}')
    db.run("s")
    assert db.query("SELECT id FROM s ORDER BY id") == [(1,), (2,)]


def test_a_member_twice_around_the_rows_is_an_error(db, api):
    api.say('{"items": [{"id": 1}], "items": []}')
    with pytest.raises(psycopg.Error, match='member "items" occurs twice'):
        stream(db, "s", key="id", options={"rows_path": "/items"})


def test_a_number_without_a_fraction_is_an_integer_for_rejects_as_well(db, api):
    """A reject is found again by its key, which is the column's value, not the text of the page."""
    api.say('[{"id": 1, "n": 1}]')
    stream(db, "s", key="id")
    db.run("s")
    api.say('[{"id": 1, "n": 2.0}, {"id": 5.0, "n": 9007199254740993.0}, {"id": 6.0, "n": "x"}, {"id": 7.00, "n": 1.5}]')
    assert db.run("s")["rejected"] == 2
    assert db.query("SELECT id, n FROM s ORDER BY 1") == [(1, 2), (5, 9007199254740993)]
    assert sorted(error["key"]["id"] for error in db.errors("s")) == ["6", "7"]
    api.say('[{"id": 1, "n": 2}, {"id": 5, "n": 3}, {"id": 6, "n": 6}, {"id": 7.0, "n": "y"}]')
    db.run("s")
    assert [error["key"]["id"] for error in db.errors("s")] == ["7"]
    db.execute("UPDATE insync.error SET record = record || '{\"n\": 7}'")
    assert db.dict("SELECT * FROM sync_replay('s')") == {"applied": 1, "rejected": 0}
