"""A delete that the target refuses, as a row of another table refers to the row: one rejected row, which can be replayed;
the rest is applied. In every way in which a delete is found."""

import datetime

import pytest
from harness import wait_for
from harness.rest import Plain, Table
from harness.rest.table import UTC

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)
PAGES = {"offset": "{offset}", "limit": "{limit}"}
CHANGES = {"params": {"since": "[[{since}]]", "sort": "{order:comma}", **PAGES}, "order": "asc", "paging": "keyset", "lookback": "0 seconds"}
FEED = {"source": "items/deleted", "params": {"since": "[[{since}]]", **PAGES}, "key": "id", "watermark": "deleted_at"}


class Odbc:
    """40 items of two days in a SQLite file, and the stream `items` of them."""

    def __init__(self, db, sqlite, **arguments):
        self.db, self.source = db, sqlite
        sqlite.script(
            """CREATE TABLE items (id INTEGER PRIMARY KEY, day DATE, state TEXT, changed TIMESTAMP);
               WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
               INSERT INTO items SELECT i, CASE WHEN i <= 20 THEN '2025-01-06' ELSE '2025-01-07' END, 'open', '2025-01-08 10:00:00' FROM n;"""
        )
        db.create_server("tienda", **sqlite.server_options())
        options = {"deletes": "hard", "max_retries": 0} | arguments.pop("options", {})
        db.create_stream("items", "tienda", "items", options=options, **arguments)
        assert db.run("items")["inserted"] == 40

    def delete(self, *ids):
        self.source.execute(f"DELETE FROM items WHERE id IN ({', '.join(map(str, ids))})")

    def mark(self, *ids):
        self.source.execute(f"UPDATE items SET state = 'gone', changed = '2025-01-09 10:00:00' WHERE id IN ({', '.join(map(str, ids))})")


class Rest:
    """The same behind an API."""

    def __init__(self, db, **options):
        rows = [{"id": id, "day": "2025-01-06", "state": "open", "updated_at": START + datetime.timedelta(minutes=id)} for id in range(1, 41)]
        self.db, self.table = db, Table("items", rows)
        self.server = Plain(self.table)
        self.table.clock = lambda: datetime.datetime.now(UTC)
        db.create_rest_server("api", self.server.url, retries=0)
        options = {"deletes": "hard", "max_retries": 0} | CHANGES | options
        db.create_stream("items", "api", "items", target="items", key="id", watermark="updated_at", options=options)
        assert db.run("items")["inserted"] == 40

    def delete(self, *ids):
        self.table.delete(*ids)

    def mark(self, *ids):
        for id in ids:
            self.table.update(id, state="gone", updated_at=datetime.datetime.now(UTC))


def refer(db, *ids, target="items", column="id"):
    """Rows of another table that refer to these."""
    db.execute(f"CREATE TABLE lines (item bigint REFERENCES {target} ({column}))")
    for id in ids:
        db.execute("INSERT INTO lines VALUES (%s)", id)


def ids(db):
    return [id for (id,) in db.query("SELECT id FROM items ORDER BY 1")]


def backfill(db):
    run_id = db.dict("SELECT * FROM sync_backfill('items', '2025-01-06', '2025-01-08')")["run_id"]
    assert db.wait(run_id) == "succeeded"
    return db.dict("SELECT * FROM insync.run WHERE id = %s", run_id)


# Of each way: how the shop is made, how rows go, and the run that finds it. The row itself says it in the last four.
WATERMARK = {"watermark": "changed"}
WAYS = {
    "full": (lambda db, sqlite: Odbc(db, sqlite), "delete", lambda db: db.run("items")),
    "full on request": (lambda db, sqlite: Odbc(db, sqlite, **WATERMARK), "delete", lambda db: db.run("items", "full")),
    "keys": (lambda db, sqlite: Odbc(db, sqlite, **WATERMARK), "delete", lambda db: db.run("items", "keys")),
    "backfill": (lambda db, sqlite: Odbc(db, sqlite, **WATERMARK, options={"slice_column": "day"}), "delete", backfill),
    "rest full": (lambda db, sqlite: Rest(db), "delete", lambda db: db.run("items", "full")),
    "rest keys": (lambda db, sqlite: Rest(db), "delete", lambda db: db.run("items", "keys")),
    "delete feed": (lambda db, sqlite: Rest(db, delete_feed=FEED), "delete", lambda db: db.run("items")),
    "deleted_when": (lambda db, sqlite: Odbc(db, sqlite, **WATERMARK, options={"deleted_when": "state = 'gone'"}), "mark", lambda db: db.run("items")),
    "rest deleted_when": (lambda db, sqlite: Rest(db, deleted_when="state = 'gone'"), "mark", lambda db: db.run("items")),
    "filter_leaves": (
        lambda db, sqlite: Odbc(db, sqlite, **WATERMARK, options={"filter": "state = 'open'", "filter_leaves": "delete"}), "mark", lambda db: db.run("items")),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_delete_is_one_rejected_row(db, sqlite, way):
    make, how, run = WAYS[way]
    shop = make(db, sqlite)
    refer(db, 4)
    getattr(shop, how)(3, 4, 5)
    result = run(db)
    assert (result["deleted"], result["rejected"]) == (2, 1), result["message"]
    left = [id for id in range(1, 41) if id not in (3, 5)]
    assert ids(db) == left
    (error,) = db.errors("items")
    assert (error["operation"], error["error_type"], error["sqlstate"]) == ("delete", "constraint", "23503")
    assert error["key"] == {"id": "4"} and error["constraint_name"] == "lines_item_fkey" and "lines" in error["message"]
    assert error["run_id"] == result["id"] and error["record"]["id"] == 4
    # Again, with nothing new: as it was.
    again = run(db)
    assert (again["deleted"], again["rejected"]) == (0, 0) and [row["id"] for row in db.errors("items")] == [error["id"]]
    assert db.query("SELECT applied, rejected FROM sync_replay('items')") == [(0, 1)]
    assert ids(db) == left and db.errors("items")[0]["operation"] == "delete"
    db.execute("DROP TABLE lines")
    assert db.query("SELECT applied, rejected FROM sync_replay('items')") == [(1, 0)]
    assert ids(db) == [id for id in left if id != 4] and db.errors("items") == []
    if db.query("SELECT FROM insync.slice"):
        assert db.query("SELECT bucket::date, rows FROM insync.slice WHERE rows > 0 ORDER BY 1") == db.query("SELECT day, count(*) FROM items GROUP BY 1 ORDER BY 1")


@pytest.mark.parametrize("way", [way for way in WAYS if WAYS[way][1] == "delete" and way != "delete feed"])
def test_the_next_comparison_deletes_what_no_row_refers_to(db, sqlite, way):
    make, how, run = WAYS[way]
    shop = make(db, sqlite)
    refer(db, 4)
    shop.delete(4)
    assert run(db)["rejected"] == 1
    db.execute("DROP TABLE lines")
    assert run(db)["deleted"] == 1
    assert db.errors("items") == [] and 4 not in ids(db)


@pytest.mark.parametrize("way", ["full on request", "keys"])
def test_a_row_that_is_back_has_no_rejected_delete(db, sqlite, way):
    make, how, run = WAYS[way]
    shop = make(db, sqlite)
    refer(db, 4)
    shop.delete(4)
    assert run(db)["rejected"] == 1
    sqlite.execute("INSERT INTO items VALUES (4, '2025-01-06', 'open', '2025-01-08 10:00:00')")
    assert run(db)["deleted"] == 0 and db.errors("items") == [] and 4 in ids(db)


def test_a_rejected_delete_of_a_table_of_changes(db, sqlite):
    sqlite.script(
        """CREATE TABLE changes (seq INTEGER PRIMARY KEY, id INTEGER, op TEXT);
           INSERT INTO changes VALUES (1, 1, 'I'), (2, 2, 'I'), (3, 3, 'I')"""
    )
    db.create_server("tienda", **sqlite.server_options())
    db.execute("CREATE TABLE items (id bigint PRIMARY KEY)")
    options = {"deletes": "hard", "operation_column": "op", "max_retries": 0}
    db.create_stream("items", "tienda", "changes", target="items", key="id", watermark="seq", options=options)
    assert db.run("items")["inserted"] == 3
    refer(db, 2)
    sqlite.script("INSERT INTO changes VALUES (4, 2, 'D'), (5, 3, 'D'), (6, 9, 'I')")
    run = db.run("items")
    assert (run["inserted"], run["deleted"], run["rejected"]) == (1, 1, 1) and ids(db) == [1, 2, 9]
    assert db.errors("items")[0]["operation"] == "delete"
    db.execute("DROP TABLE lines")
    assert db.query("SELECT applied, rejected FROM sync_replay('items')") == [(1, 0)] and ids(db) == [1, 9]


def test_a_rejected_delete_whose_key_nothing_tells(db, sqlite):
    """The target's key is computed: the row is named by its key here, which isn't taken for one of the source."""
    sqlite.script("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO items VALUES (1, 'a'), (2, 'b'), (3, 'c'), (1002, 'd')")
    db.create_server("tienda", **sqlite.server_options())
    db.execute("CREATE TABLE items (id bigint PRIMARY KEY, name text)")
    options = {"deletes": "hard", "columns": {"id": "id + 1000"}, "max_retries": 0}
    db.create_stream("items", "tienda", "items", target="items", key="id", options=options)
    assert db.run("items")["inserted"] == 4
    refer(db, 1002)
    sqlite.execute("DELETE FROM items WHERE id IN (2, 3)")
    run = db.run("items")
    assert (run["deleted"], run["rejected"]) == (1, 1) and ids(db) == [1001, 1002, 2002]
    (error,) = db.errors("items")
    assert (error["operation"], error["key"], error["record"]) == ("delete", None, {"id": 1002})
    assert db.query("SELECT applied, rejected FROM sync_replay('items')") == [(0, 1)]
    assert db.run("items")["rejected"] == 0 and len(db.errors("items")) == 1
    db.execute("DROP TABLE lines")
    assert db.query("SELECT applied, rejected FROM sync_replay('items')") == [(1, 0)]
    assert ids(db) == [1001, 2002] and db.errors("items") == []


def test_two_shops_of_one_table_and_a_rejected_delete(db, sqlite):
    sqlite.script("CREATE TABLE items (id INTEGER PRIMARY KEY); INSERT INTO items VALUES (1), (2), (3)")
    db.create_server("tienda", **sqlite.server_options())
    db.execute("CREATE TABLE items (shop text, id bigint, PRIMARY KEY (shop, id))")
    for shop in ("T01", "T02"):
        options = {"deletes": "hard", "columns": {"shop": f"'{shop}'"}}
        db.create_stream(shop, "tienda", "items", target="items", key="shop, id", options=options)
        db.run(shop)
    db.execute("CREATE TABLE lines (shop text, item bigint, FOREIGN KEY (shop, item) REFERENCES items); INSERT INTO lines VALUES ('T01', 2)")
    sqlite.execute("DELETE FROM items WHERE id > 1")
    assert [(db.run(shop)["deleted"], len(db.errors(shop))) for shop in ("T01", "T02")] == [(1, 1), (2, 0)]
    assert db.errors("T01")[0]["key"] == {"id": "2"}
    db.execute("DROP TABLE lines")
    assert db.query("SELECT applied, rejected FROM sync_replay('T01')") == [(1, 0)]
    assert db.query("SELECT * FROM items ORDER BY 1") == [("T01", 1), ("T02", 1)]


@pytest.mark.parametrize("deferred", ["", " DEFERRABLE INITIALLY DEFERRED"], ids=["immediate", "deferred"])
def test_a_hundred_refused_among_thousand(db, sqlite, deferred):
    sqlite.script(
        """CREATE TABLE items (id INTEGER PRIMARY KEY);
           WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO items SELECT i FROM n"""
    )
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("items", "tienda", "items", options={"deletes": "hard", "max_deletes": "100%"})
    assert db.run("items")["inserted"] == 2000
    db.execute(f"CREATE TABLE lines (item bigint REFERENCES items{deferred}); INSERT INTO lines SELECT i FROM generate_series(5, 1000, 10) AS i")
    sqlite.execute("DELETE FROM items WHERE id <= 1000")
    run = db.run("items")
    assert (run["deleted"], run["rejected"]) == (900, 100)
    assert db.value("SELECT count(*) FROM items") == 1100 and len(db.errors("items")) == 100


def test_a_trigger_that_refuses_is_such_a_reject(db, sqlite):
    Odbc(db, sqlite)
    db.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF old.id = 4 THEN RAISE EXCEPTION 'four stays'; END IF; RETURN old; END$$;"
        " CREATE TRIGGER keep BEFORE DELETE ON items FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    sqlite.execute("DELETE FROM items WHERE id IN (3, 4)")
    run = db.run("items")
    assert (run["deleted"], run["rejected"]) == (1, 1) and db.errors("items")[0]["message"] == "four stays"
    assert db.errors("items")[0]["sqlstate"] == "P0001"


def test_refused_deletes_count_for_max_rejects(db, sqlite):
    shop = Odbc(db, sqlite, options={"max_rejects": 1})
    refer(db, 3, 4)
    shop.delete(3, 4, 5)
    run = db.run("items", expect="failed")
    assert "max_rejects" in run["message"] and run["rejected"] == 2
    assert len(ids(db)) == 40 and sorted(error["key"]["id"] for error in db.errors("items")) == ["3", "4"]
    db.alter_stream("items", max_rejects=2)
    assert db.run("items")["deleted"] == 1


def test_marks_are_no_deletes(db, sqlite):
    shop = Odbc(db, sqlite, options={"deletes": "soft", "deleted_column": "gone_at"})
    refer(db, 4)
    shop.delete(3, 4)
    run = db.run("items")
    assert (run["deleted"], run["rejected"]) == (2, 0)


def test_a_mark_that_can_not_be_taken_off_stays(db, sqlite):
    """Something else here took its place meanwhile. The run says it, and the others' marks go."""
    shop = Odbc(db, sqlite, options={"deletes": "soft", "deleted_column": "gone_at"}, watermark="changed")
    shop.delete(3, 4, 5)
    assert db.run("items", "keys")["deleted"] == 3
    db.execute("CREATE UNIQUE INDEX one ON items ((id % 1000)) WHERE gone_at IS NULL")
    db.execute("INSERT INTO items (id, changed) VALUES (2004, '2025-01-08 10:00:00')")
    sqlite.execute("INSERT INTO items SELECT id + 2, day, state, '2025-01-08 10:00:00' FROM items WHERE id IN (1, 2)")
    sqlite.execute("INSERT INTO items VALUES (2004, '2025-01-06', 'open', '2025-01-08 10:00:00')")
    run = db.run("items", "keys")
    assert run["updated"] == 1 and "1 rows that the source has again stay marked as deleted" in run["message"]
    assert db.query("SELECT id FROM items WHERE gone_at IS NOT NULL ORDER BY 1") == [(4,), (5,)] and db.errors("items") == []


def test_a_scheduled_stream_goes_on(db, sqlite):
    shop = Odbc(db, sqlite)
    refer(db, 4)
    shop.delete(3, 4)
    db.alter_stream("items", schedule="1 second")
    wait_for(lambda: 3 not in ids(db), "the run that deletes it")
    status = db.status("items")
    assert (status["failures"], status["rejects"], status["state"]) == (0, 1, status["state"]) and status["state"] != "error"


def test_the_guard_does_not_count_what_was_refused_before(db, sqlite):
    shop = Odbc(db, sqlite, options={"max_deletes": "100%"})
    refer(db, *range(1, 13))
    shop.delete(*range(1, 13))
    assert db.run("items")["rejected"] == 12
    db.alter_stream("items", max_deletes="20%")
    assert db.run("items")["deleted"] == 0
    shop.delete(*range(13, 16))
    assert db.run("items")["deleted"] == 3
    shop.delete(*range(16, 40))
    assert "max_deletes" in db.run("items", expect="failed")["message"]
