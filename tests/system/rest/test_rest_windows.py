"""Windows of time that are read from JSON APIs, and their totals, against stand-ins of the services."""

import datetime
import random

import pytest
from harness import Connector
from harness.rest import Directus, GitHub, NocoDB, OData, Ords, Plain, PostgREST, ShopifyGraphql, ShopifyRest, Stripe, Supabase, Table
from harness.rest.table import UTC

START = datetime.datetime(2025, 3, 1, tzinfo=UTC)
HOURS = 96


@pytest.fixture
def connector():
    with Connector() as connector:
        yield connector


def make_table(seed, name="items", text_ids=False):
    generator = random.Random(seed)
    rows = []
    for id in range(1, 401):
        created = START + datetime.timedelta(minutes=generator.randrange(HOURS * 4) * 15)
        updated = START + datetime.timedelta(minutes=generator.randrange(HOURS * 4) * 15)
        rows.append({"id": f"ch_{id:04}" if text_ids else id, "name": f"n{id}", "state": "open", "created": created, "created_at": created, "updated_at": updated})
    return Table(name, rows, changed="created" if text_ids else "updated_at")


def bounds(seed):
    generator = random.Random(seed)
    hours = sorted(generator.sample(range(1, HOURS), 4))
    moments = [START + datetime.timedelta(hours=hour) for hour in hours]
    return list(zip([None, *moments], [*moments, None]))


def as_bound(moment):
    return moment and moment.strftime("%Y-%m-%d %H:%M:%S")


def read_ids(connector, source, column, low, high, name="id", **request):
    window = {"column": column, "from": as_bound(low), "to": as_bound(high)}
    rows, frames = connector.read(source=source, key=["id"], mode="full", window=window, **request)
    assert frames[-1][0] == "D", frames
    columns = next(payload for kind, payload in frames if kind == "C")["columns"] if rows else []
    place = next((i for i, found in enumerate(columns) if found["name"] == name), 0)
    return [int.from_bytes(row[place], "big") if columns[place]["type"].startswith("int") else row[place].decode() for row in rows]


def open_api(connector, server, credentials=None, **options):
    frames = connector.call(verb="open", kind="rest", server={"base_url": server.base_url} | options, credentials=credentials or {})
    assert frames[-1][0] == "D", frames


def expected_ids(table, column, low, high):
    return [row["id"] for row in table.rows() if (low is None or row[column] >= low) and (high is None or row[column] < high)]


CASES = {
    "ords": (lambda table: Ords(table, cap=40), "items", {"preset": "ords"}, None, "created_at"),
    "shopify": (lambda table: ShopifyRest(table, pace=1000), "orders", {"preset": "shopify_rest", "rate": "1000/s"}, lambda s: {"token": s.token}, "created_at"),
    "supabase": (lambda table: Supabase(table, cap=40), "items", {"preset": "supabase"}, lambda s: {"token": s.key}, "created_at"),
    "odata": (lambda table: OData(table, page_rows=40), "items", {"preset": "odata"}, None, "created_at"),
    "nocodb": (lambda table: NocoDB(table, cap=40), "items", {"preset": "nocodb"}, lambda s: {"token": s.token}, "created_at"),
    "directus": (lambda table: Directus(table, cap=40), "items", {"preset": "directus", "page_size": "40"}, lambda s: {"token": s.token}, "created_at"),
    "stripe": (lambda table: Stripe(table), "charges", {"preset": "stripe"}, lambda s: {"token": s.key}, "created"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_presets_ask_for_windows_of_any_column(connector, seed, case):
    make, source, options, credentials, column = CASES[case]
    table = make_table(seed, source, text_ids=case == "stripe")
    with make(table) as server:
        open_api(connector, server, credentials and credentials(server), **options)
        for low, high in bounds(seed):
            server.forget()
            found = read_ids(connector, source, column, low, high)
            at_end = {row["id"] for row in table.rows() if row[column] == high} if case == "shopify" else set()  # its end is part of it
            assert sorted(set(found) - at_end) == sorted(expected_ids(table, column, low, high)), (low, high)
            assert len(found) == len(set(found))


FALLBACKS = {
    "github": (GitHub, "repos/acme/shop/items", {"preset": "github"}, lambda s: {"token": s.token}, {}),
    "shopify_graphql": (
        lambda table: ShopifyGraphql(table, pace=1000), "orders", {"preset": "shopify_graphql"}, lambda s: {"token": s.token},
        {"select": "id updatedAt"},
    ),
    "since and until": (
        lambda table: Plain(table, cap=40), "items", {}, None,
        {"params": {"since": "[[{since:iso}]]", "until": "[[{until:iso}]]", "after": "[[{last_key}]]"}, "paging": "last_key"},
    ),
    "since, in order": (
        lambda table: Plain(table, cap=40), "items", {}, None,
        {"params": {"since": "[[{since:iso}]]", "sort": "updated_at,id", "offset": "{offset}", "limit": "{limit}"}, "order": "asc", "paging": "keyset"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FALLBACKS)
def test_the_watermarks_own_filter_asks_for_windows_of_the_watermark(connector, seed, case):
    make, source, options, credentials, stream = FALLBACKS[case]
    table = make_table(seed, source.rpartition("/")[2])
    watermark = "updatedAt" if case == "shopify_graphql" else "updated_at"
    with make(table) as server:
        open_api(connector, server, credentials and credentials(server), **options)
        for low, high in bounds(seed):
            found = read_ids(connector, source, watermark, low, high, version=[watermark], options=stream)
            found = [int(str(id).rpartition("/")[2]) for id in found]
            # A filter without an end, and one whose end belongs to it, may show more.
            assert set(found) >= set(expected_ids(table, "updated_at", low, high)), (low, high)
            late = [id for id in found if high and table.by_key[id]["updated_at"] > high]
            assert len(late) <= 250 and (case != "since and until" or not late)


def test_reading_ends_behind_the_window_where_rows_come_in_order(connector, seed):
    table = make_table(seed)
    make, source, _, _, stream = FALLBACKS["since, in order"]
    with make(table) as server:
        open_api(connector, server)
        read_ids(connector, source, "updated_at", START, START + datetime.timedelta(hours=2), version=["updated_at"], options=stream)
        assert len(server.requests) <= 3


def test_a_source_that_shows_so_many_rows_and_no_more_is_asked_for_halves(connector, seed):
    table = make_table(seed)
    stream = {"slice_query": {"since": "[[{from:iso}]]", "until": "[[{to:iso}]]"}, "params": {"after": "[[{last_key}]]"}, "paging": "last_key"}
    options = stream | {"max_results": 50, "paging": "offset", "params": {"offset": "{offset}", "limit": "{limit}"}}
    with Plain(table, cap=40) as server:
        open_api(connector, server)
        found = read_ids(connector, "items", "updated_at", START, START + datetime.timedelta(hours=HOURS), options=options)
        assert set(found) == set(table.by_key)


@pytest.mark.parametrize(
    "request_, message, hint",
    [
        ({"window": {"column": "created_at", "from": "2025-03-01"}, "version": ["updated_at"]}, "cannot be asked for a window of", "Set the option slice_query, such as"),
        ({"window": {"column": "updated_at", "to": "2025-03-01"}, "version": ["updated_at"], "options": {"params": {"since": "[[{since}]]"}}}, "cannot be asked for a window of", "slice_query"),
        ({"window": {"column": "updated_at", "null": True}}, "cannot be asked for the rows without a time", ""),
        ({"window": {"column": "updated_at", "from": "soon"}, "options": {"slice_query": {"since": "{from}"}}}, 'invalid time "soon"', ""),
        ({"only": [["1"]]}, "cannot be read by their keys", ""),
    ],
)  # fmt: skip
def test_refusals(connector, seed, request_, message, hint):
    with Plain(make_table(seed)) as server:
        open_api(connector, server)
        frames = connector.call(verb="read", source="items", key=["id"], mode="full", **request_)
        assert frames[-1][0] == "E" and frames[-1][1]["class"] == "config", frames
        assert message in frames[-1][1]["message"] and hint in frames[-1][1]["hint"]


def totals(connector, table, low, **request):
    buckets = [(low + datetime.timedelta(hours=hour), low + datetime.timedelta(hours=hour + 6)) for hour in range(0, 24, 6)]
    frames = connector.call(
        verb="measure", source="items", key=["id"], group={"column": "created_at", "unit": "day"},
        buckets=[[as_bound(begin), as_bound(end)] for begin, end in buckets], **request,
    )  # fmt: skip
    found = {payload["group"]: payload["rows"] for kind, payload in frames if kind == "T"}
    return frames[-1], found, {as_bound(begin): len(expected_ids(table, "created_at", begin, end)) for begin, end in buckets}


def test_totals_of_buckets(connector, seed):
    table = make_table(seed)
    with Directus(table, cap=40) as server:
        open_api(connector, server, {"token": server.token}, preset="directus", page_size="40")
        end, found, expected = totals(connector, table, START, options={"params": {"meta": "*"}, "total_path": "/meta/filter_count"})
        assert end[0] == "D" and found == expected
        assert len(server.requests) == 4, "one request a bucket"
    with PostgREST(table, cap=40) as server:
        open_api(connector, server, preset="supabase", path="{source}", auth="none")
        end, found, expected = totals(connector, table, START, options={"headers": {"Prefer": "count=exact"}})
        assert end[0] == "D" and found == expected


def test_a_source_without_totals_says_so(connector, seed):
    table = make_table(seed)
    with Ords(table) as server:
        open_api(connector, server, preset="ords")
        end, _, _ = totals(connector, table, START)
        assert end[0] == "E" and "does not report how many rows" in end[1]["message"] and "total_path" in end[1]["hint"]
        end, _, _ = totals(connector, table, START, hash=["id"])
        assert end[0] == "E" and "reports only how many rows it has" in end[1]["message"]


def test_explain_shows_the_request_of_a_window(connector, seed):
    with Ords(make_table(seed)) as server:
        open_api(connector, server, preset="ords")
        window = {"column": "created_at", "from": "2025-03-01 00:00:00", "to": "2025-03-02 00:00:00"}
        frames = connector.call(verb="explain", source="items", key=["id"], mode="full", window=window)
        text = dict(frames)["T"]["statements"][0]["sql"]
        assert "2025-03-01T00:00:00Z" in text.replace("%3A", ":") and "created_at" in text, text
