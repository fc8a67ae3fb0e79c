"""Option filter_leaves: what becomes of a row of the target that no longer passes the filter, in every kind of run; the
guard of deletes, the counts of slices and verifications hold."""

import pytest


@pytest.fixture
def shop(db, sqlite):
    """40 orders of two days; the filter takes the open ones."""
    sqlite.script(
        """CREATE TABLE orders (id INTEGER PRIMARY KEY, day DATE, state TEXT, changed TIMESTAMP);
           WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
           INSERT INTO orders SELECT i, CASE WHEN i <= 20 THEN '2025-01-06' ELSE '2025-01-07' END, 'open', '2025-01-08 10:00:00' FROM n;"""
    )
    db.create_server("tienda", **sqlite.server_options())
    return sqlite


def follow(db, leaves, **options):
    if leaves:
        options["filter_leaves"] = leaves
    db.create_stream("orders", "tienda", "orders", watermark="changed", options={"filter": "state = 'open'"} | options)
    assert db.run("orders")["inserted"] == 40


def close(shop, count=3, changed="2025-01-09 10:00:00"):
    shop.execute(f"UPDATE orders SET state = 'closed', changed = '{changed}' WHERE id <= {count}")


def held(db):
    return db.value("SELECT count(*) FROM orders")


def assert_counted(db):
    """The ledger has what the target has."""
    assert db.query("SELECT bucket::date, rows FROM insync.slice WHERE rows > 0 ORDER BY 1") == db.query("SELECT day, count(*) FROM orders GROUP BY 1 ORDER BY 1")


def read_again(db, mode):
    if mode == "backfill":
        run_id = db.dict("SELECT * FROM sync_backfill('orders', '2025-01-06', '2025-01-08')")["run_id"]
        assert db.wait(run_id) == "succeeded"
    else:
        db.run("orders", mode)


@pytest.mark.parametrize("mode", ["incremental", "full", "backfill"])
@pytest.mark.parametrize("leaves, left", [("delete", 37), ("keep", 40), (None, 40)], ids=["delete", "keep", "default"])
def test_a_row_that_leaves_the_filter(db, shop, mode, leaves, left):
    follow(db, leaves)
    close(shop)
    read_again(db, mode)
    assert held(db) == left
    if left == 37:
        assert db.value("SELECT max(deleted) FROM insync.run") == 3
        assert_counted(db)


@pytest.mark.parametrize("leaves, left", [("delete", 37), ("keep", 40), (None, 37)], ids=["delete", "keep", "default"])
def test_a_full_run_that_compares_keys(db, shop, leaves, left):
    """Without the option such a run takes them for deleted, as it always has; keep means keep."""
    follow(db, leaves, deletes="hard")
    close(shop)
    db.run("orders", "full")
    assert held(db) == left


def test_rows_that_never_passed_are_not_there(db, shop):
    close(shop, 10)
    db.create_stream("orders", "tienda", "orders", watermark="changed", options={"filter": "state = 'open'", "filter_leaves": "delete"})
    assert db.run("orders")["inserted"] == 30
    assert_counted(db)


def test_a_row_that_passes_again_comes_back(db, shop):
    follow(db, "delete")
    close(shop)
    db.run("orders")
    shop.execute("UPDATE orders SET state = 'open', changed = '2025-01-10 10:00:00' WHERE id = 2")
    assert db.run("orders")["inserted"] == 1
    assert held(db) == 38
    assert_counted(db)


def test_soft_deletes_mark_it(db, shop):
    follow(db, "delete", deletes="soft", deleted_column="gone")
    close(shop)
    db.run("orders")
    assert db.value("SELECT count(*) FROM orders WHERE gone IS NOT NULL") == 3 and held(db) == 40
    assert db.value("SELECT sum(rows) FROM insync.slice") == 37


def test_only_a_key_that_the_stream_can_read_goes(db, shop):
    """Rows that the source never had stay, whatever the filter says of them."""
    follow(db, "delete")
    db.execute("INSERT INTO orders VALUES (1000, '2025-01-06', 'closed', NULL)")
    close(shop)
    db.run("orders")
    assert db.value("SELECT count(*) FROM orders WHERE id = 1000") == 1


@pytest.mark.parametrize("depth", ["keys", "rows"])
def test_a_verification_sees_rows_that_should_have_left(db, shop, depth):
    follow(db, None)
    close(shop)
    db.run("orders")
    db.alter_stream("orders", filter_leaves="delete", min_age="0 seconds")
    (found,) = db.dicts("SELECT * FROM sync_verify('orders', depth => %s)", depth)
    assert (str(found["slice"])[:10], found["extra"], found["missing"], found["changed"]) == ("2025-01-06", 3, 0, 0)
    db.dicts("SELECT * FROM sync_verify('orders', depth => %s, repair => true)", depth)
    assert held(db) == 37 and db.query("SELECT * FROM sync_verify('orders', depth => %s)", depth) == []
    assert_counted(db)


def test_a_verification_sees_rows_that_a_condition_deletes(db, shop):
    """The same of deleted_when: a row that was deleted at the source, and is here, differs."""
    db.create_stream("orders", "tienda", "orders", watermark="changed", options={"min_age": "0 seconds"})
    db.run("orders")
    close(shop)
    db.run("orders")
    db.alter_stream("orders", deletes="hard", deleted_when="state = 'closed'")
    (found,) = db.dicts("SELECT * FROM sync_verify('orders')")
    assert found["extra"] == 3


def test_the_guard_of_deletes_holds(db, shop):
    follow(db, "delete", max_deletes="25%")
    close(shop, 15)
    run = db.run("orders", expect="failed")
    assert "15 of 40 rows of public.orders no longer pass the filter" in run["message"] and "max_deletes" in run["message"]
    assert held(db) == 40
    assert_counted(db)
    db.alter_stream("orders", max_deletes="50%")
    assert db.run("orders")["deleted"] == 15
    assert_counted(db)


def test_the_guard_counts_what_failed_runs_have_deleted(db, shop):
    """In batches of 8 the first ones pass; the runs after the one that fails must not go on from there."""
    follow(db, "delete", max_deletes="12", batch_rows=8, lookback="0 seconds")
    close(shop, 20)
    for _ in range(3):
        db.run("orders", expect="failed")
    assert held(db) >= 40 - 12
    assert_counted(db)


def test_rows_that_are_pushed_leave_too(db, shop):
    follow(db, "delete")
    db.execute("""SELECT sync_ingest('orders', '[{"id": 1, "day": "2025-01-06", "state": "closed", "changed": "2025-01-09T10:00:00"}]')""")
    assert held(db) == 39
    assert_counted(db)


def test_a_new_filter_takes_what_no_longer_passes_when_all_is_read_again(db, shop):
    follow(db, "delete")
    db.execute("SELECT sync_alter('orders', %s, reread => true)", '{"filter": "id > 5"}')
    assert db.run("orders")["deleted"] == 5
    assert held(db) == 35
    assert_counted(db)
