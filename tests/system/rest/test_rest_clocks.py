"""Watermarks beside the source's clock: what lies beyond it moves nothing, as what is written until then would be missed."""

import datetime
import json
import time

import pytest
from harness.rest import Told

OFFSET = datetime.timedelta(hours=5)


@pytest.mark.parametrize("format, unit", [("epoch", 1), ("epoch_ms", 1000)])
def test_a_number_that_is_a_time_far_in_the_future_moves_no_watermark(db, format, unit):
    now = int(time.time())
    items = [{"id": 1, "at": (now - 86400) * unit}, {"id": 2, "at": (now + 10 * 365 * 86400) * unit}]
    with Told() as api:
        api.tell = lambda request: [item for item in items if item["at"] >= int(request.query.get("since", 0))]
        db.create_rest_server("api", api.url, params=json.dumps({"since": f"[[{{since:{format}}}]]"}), watermark_format=format)
        db.create_stream("items", "api", "items", key="id", watermark="at")
        assert db.run("items")["inserted"] == 2
        items.append({"id": 3, "at": now * unit})
        run = db.run("items")
    assert run["inserted"] == 1
    assert "beyond the source's clock" in run["message"]


def test_a_number_that_is_a_time_soon_moves_the_watermark_to_the_clock(db):
    now = int(time.time())
    items = [{"id": 1, "at": now + 3600}]
    with Told() as api:
        api.tell = lambda request: [item for item in items if item["at"] >= int(request.query.get("since", 0))]
        db.create_rest_server("api", api.url, params='{"since": "[[{since:epoch}]]"}', watermark_format="epoch")
        db.create_stream("items", "api", "items", key="id", watermark="at", options={"lookback": "0"})
        db.run("items")
        items.append({"id": 2, "at": int(time.time()) + 60})
        assert db.run("items")["inserted"] == 1


@pytest.mark.parametrize("options", [{"window": "1 hour"}, {"max_results": 20}], ids=["slices", "halves"])
def test_times_without_a_zone_move_the_watermark_by_rows_only(db, options):
    """The source's clock, in its headers, is in UTC; its rows are five hours behind, so that slices end in their future."""
    local_now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - OFFSET

    def item(number, before):
        return {"id": number, "at": (local_now - before).strftime("%Y-%m-%dT%H:%M:%S")}

    def tell(request):
        since, until = request.query.get("since", ""), request.query.get("until", "9")
        return [item for item in items if since[:19] <= item["at"] <= until[:19]][: options.get("max_results")]

    items = [item(number, datetime.timedelta(minutes=48 - number)) for number in range(48)]
    with Told() as api:
        api.tell = tell
        db.create_rest_server("api", api.url, params='{"since": "[[{since}]]", "until": "[[{until}]]"}', **options)
        db.create_stream("items", "api", "items", key="id", watermark="at")
        for _ in range(2):
            db.run("items")
        assert db.value("SELECT count(*) FROM items") == 48
        items.append(item(48, -datetime.timedelta(minutes=1)))
        assert db.run("items")["inserted"] == 1


UNITS = {"epoch": 1, "epoch_ms": 1000, "epoch_us": 1000000}


@pytest.mark.parametrize("unit", UNITS)
def test_numbers_that_are_times_are_known_by_their_digits(db, unit):
    """So that a lookback of ten minutes is none of a second."""
    start = int(time.time()) - 86400
    rows = [{"id": id, "changed": (start + id) * UNITS[unit]} for id in range(1, 31)]
    with Told() as server:
        server.tell = lambda request: [row for row in rows if row["changed"] >= int(request.query.get("since", 0))]
        db.create_rest_server("api", server.url, params='{"since": "[[{since}]]"}', paging="none")
        notices = []
        with db.connect() as session:
            session.add_notice_handler(lambda notice: notices.append(notice.message_primary))
            session.execute("SELECT * FROM sync_create('s', 'api', 'items', key => 'id', watermark => 'changed')")
        assert any(f"taken for times ({unit})" in notice for notice in notices), notices
        db.run("s")
        server.forget()
        db.run("s")
        assert int(server.requests[-1].query["since"]) == (start + 30 - 600) * UNITS[unit]
        assert db.value("SELECT options ->> 'watermark_format' FROM insync.stream WHERE name = 's'") == unit


@pytest.mark.parametrize("first", [1, 2**43, 9999999000, 170000000, 10**18])
def test_other_numbers_are_numbers(db, first):
    rows = [{"id": id, "changed": first + id} for id in range(1, 31)]
    with Told() as server:
        server.tell = lambda request: [row for row in rows if row["changed"] >= int(request.query.get("since", 0))]
        db.create_rest_server("api", server.url, params='{"since": "[[{since}]]"}', paging="none")
        db.create_stream("s", "api", "items", target="s", key="id", watermark="changed")
        db.run("s")
        server.forget()
        db.run("s")
        assert int(server.requests[-1].query["since"]) == first + 30 - 1000


def test_numbers_that_only_look_like_times_can_be_named(db):
    rows = [{"id": id, "changed": 1700000000 + id} for id in range(1, 31)]
    with Told() as server:
        server.tell = lambda request: [row for row in rows if row["changed"] >= int(request.query.get("since", 0))]
        db.create_rest_server("api", server.url, params='{"since": "[[{since}]]"}', paging="none")
        db.create_stream("s", "api", "items", target="s", key="id", watermark="changed", options={"watermark_format": "number"})
        db.run("s")
        server.forget()
        db.run("s")
        assert int(server.requests[-1].query["since"]) == 1700000030 - 1000


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.9])
def test_a_row_of_the_present_second_moves_the_watermark(db, fraction):
    """The source's clock shows whole seconds; a row that was written since then is no row of the future."""
    rows = [{"id": 1, "changed": "2025-01-01T00:00:00.000000Z"}]
    with Told() as server:
        server.tell = lambda request: [row for row in rows if row["changed"] >= request.query.get("since", "")[:19]]
        db.create_rest_server("api", server.url, params='{"since": "[[{since}]]"}', paging="none", order="asc")
        db.create_stream("s", "api", "items", key="id", watermark="changed")
        db.run("s")
        time.sleep((fraction - time.time()) % 1)
        written = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        rows.append({"id": 2, "changed": written})
        run = db.run("s")
    assert run["message"] is None
    assert db.value("SELECT watermark FROM insync.watermark") == written


@pytest.mark.parametrize("earlier", [0, 1, 20, 30])
def test_rows_of_the_future_are_all_read_where_an_answer_has_only_some_rows(db, earlier):
    """They come last, and those behind the first page of them are as much to be read as the others."""
    rows = [{"id": id, "changed": f"2025-01-01T00:00:{id:02}Z"} for id in range(earlier)]
    rows += [{"id": 100 + id, "changed": f"2099-01-01T00:00:{id:02}Z"} for id in range(59)]
    with Told() as server:
        server.tell = lambda request: [row for row in rows if row["changed"] >= request.query.get("since", "")[:19]][:20]
        db.create_rest_server("api", server.url, params='{"since": "[[{since}]]"}', paging="none", order="asc", max_results=20)
        db.create_stream("s", "api", "items", key="id", watermark="changed")
        assert db.run("s")["inserted"] == earlier + 59
