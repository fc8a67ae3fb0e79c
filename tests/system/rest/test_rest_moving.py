"""Rows that change while their pages are read: a thousand a second, over fifty thousand rows."""

import datetime
import random
import threading
import time

from harness import assert_equal_tables
from harness.rest import PostgREST, Table
from harness.rest.table import UTC

ROWS = 50_000
RATE = 1_000


def test_a_thousand_updates_a_second_lose_nothing(db, seed):
    chance = random.Random(seed)
    start = datetime.datetime(2025, 1, 1, tzinfo=UTC)
    rows = [{"id": id, "n": 0, "updated_at": start + datetime.timedelta(seconds=id // 3)} for id in range(1, ROWS + 1)]
    table = Table("items", rows, changed="updated_at")
    done, updates = threading.Event(), 0

    def update():
        nonlocal updates
        begun = time.monotonic()
        while not done.wait(0.01):
            due = int((time.monotonic() - begun) * RATE) - updates
            if due > 0:
                table.update(*chance.sample(range(1, ROWS + 1), due), n=updates)
                updates += due

    with PostgREST(table, cap=1000) as server:
        db.create_rest_server("api", server.base_url, preset="supabase", path="{source}", auth="none")
        db.create_stream("items", "api", "items", key="id", watermark="updated_at")
        writer = threading.Thread(target=update)
        writer.start()
        try:
            first = db.run("items")
            second = db.run("items")
        finally:
            done.set()
            writer.join()
        assert first["inserted"] > 0 and second["updated"] > 0 and first["rejected"] == second["rejected"] == 0
        assert updates > 0
        print(f"{updates} updates; {first['rows_read']} and {second['rows_read']} rows read in {len(server.requests)} requests")
        db.run("items")
        expected = [(row["id"], row["n"], row["updated_at"]) for row in table.rows()]
        assert_equal_tables(expected, db.query("SELECT id, n, updated_at FROM items"))
