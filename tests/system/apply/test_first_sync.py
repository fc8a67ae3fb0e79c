"""The main job with SQLite: define a stream, load, follow changes, look at it."""

import datetime
import decimal

import pytest
from harness import assert_equal_tables, wait_for


def test_a_stream_needs_only_a_name_a_server_and_a_source(db, shop):
    made = db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    assert made["stream"] == "ventas"
    assert made["created"] is True
    columns = db.query(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
        "WHERE attrelid = 'ventas'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert [name for name, _, _ in columns] == ["id", "producto", "cantidad", "precio", "actualizado"]
    types = {name: type for name, type, _ in columns}
    assert types["precio"].startswith("numeric") and types["actualizado"] == "timestamp without time zone"
    assert db.value("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'ventas'::regclass AND contype = 'p'") == "PRIMARY KEY (id)"  # fmt: skip

    run = db.run("ventas")
    assert (run["inserted"], run["updated"], run["deleted"], run["rejected"]) == (5, 0, 0, 0)
    assert_equal_tables(shop.query("SELECT * FROM ventas"), db.query("SELECT * FROM ventas"))
    assert db.query("SELECT producto, precio, actualizado FROM ventas WHERE id IN (3, 5) ORDER BY id") == [
        ("Café molido", decimal.Decimal("3.20"), datetime.datetime(2025, 1, 5, 11, 30, 0, 123000)),
        ("Pan 🥖", None, datetime.datetime(2025, 1, 6, 12)),
    ]


def test_only_changed_rows_are_written(db, any_sqlite):
    shop = any_sqlite
    shop.script(
        "CREATE TABLE ventas (id INTEGER PRIMARY KEY, total DECIMAL(10,2), actualizado TIMESTAMP);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
        "INSERT INTO ventas SELECT i, i * 1.25, datetime('2025-01-01', '+' || i || ' minutes') FROM n;"
    )
    db.create_server("tienda", **shop.server_options())
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    db.run("ventas")
    before = dict(db.query("SELECT id, (ctid, xmin)::text FROM ventas"))
    shop.script(
        "UPDATE ventas SET total = total + 1, actualizado = '2025-02-01 00:00:00' WHERE id IN (10, 500);"
        "INSERT INTO ventas VALUES (1001, 7, '2025-02-01 00:00:01');"
    )
    run = db.run("ventas")
    assert (run["inserted"], run["updated"], run["deleted"], run["rejected"]) == (1, 2, 0, 0)
    after = dict(db.query("SELECT id, (ctid, xmin)::text FROM ventas"))
    assert {id for id in after if before.get(id) != after[id]} == {10, 500, 1001}
    assert_equal_tables(shop.query("SELECT * FROM ventas"), db.query("SELECT * FROM ventas"))


def test_a_poll_that_finds_nothing_writes_nothing(own_db, sqlite):
    """Neither rows nor WAL: polls that found nothing are counted in shared memory, and history keeps one row for all."""
    db = own_db
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY, m TIMESTAMP); INSERT INTO t VALUES (1, '2025-01-01 00:00:00')")
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("t", "tienda", "t", watermark="m", schedule="1 second")
    db.execute("CREATE EXTENSION pg_walinspect")
    polls = "SELECT coalesce(sum(polls), 0) FROM insync.live()"
    wait_for(lambda: db.value(polls) > 0, "a first quiet poll")
    runs = db.value("SELECT count(*) FROM insync.run")
    table, watermark = db.query("SELECT ctid, xmin, * FROM t"), db.query("SELECT ctid, xmin FROM insync.watermark")
    db.execute("VACUUM FREEZE")  # hint bits and pruning are written now, not by who reads next
    start, before = db.value("SELECT pg_current_wal_insert_lsn()"), db.value(polls)
    wait_for(lambda: db.value(polls) >= before + 3, "three more quiet polls")
    written = db.query(
        "SELECT resource_manager, record_type, description FROM pg_get_wal_records_info_till_end_of_wal(%s)"
        " WHERE resource_manager NOT IN ('Standby', 'XLOG')",
        start,
    ) if db.value("SELECT pg_current_wal_insert_lsn()") != start else []  # fmt: skip
    assert written == []
    assert db.value("SELECT count(*) FROM insync.run") == runs
    assert db.query("SELECT ctid, xmin, * FROM t") == table
    assert db.query("SELECT ctid, xmin FROM insync.watermark") == watermark

    sqlite.execute("INSERT INTO t VALUES (2, '2025-01-01 00:00:01')")
    wait_for(lambda: db.value("SELECT count(*) FROM t") == 2, "the new row")
    history = wait_for(
        lambda: (rows := db.query("SELECT polls, rows_read > 0, inserted FROM insync.run ORDER BY id")) and len(rows) >= runs + 2 and rows,
        "the quiet stretch in the history",
    )
    assert history[-2][0] >= 4 and history[-2][2] == 0, history


def test_without_a_watermark_the_whole_source_is_compared(db, shop):
    shop.execute("CREATE TABLE tiendas (codigo TEXT PRIMARY KEY NOT NULL, nombre TEXT)")
    shop.execute("INSERT INTO tiendas VALUES ('T01', 'A Coruña'), ('T02', 'Cádiz'), ('T03', 'León')")
    assert db.create_stream("tiendas", "tienda", "tiendas")["mode"] == "full"
    assert db.counts(db.run("tiendas")) == (3, 0, 0, 0, 0)
    shop.execute("UPDATE tiendas SET nombre = 'Jaén' WHERE codigo = 'T03'")
    assert db.counts(db.run("tiendas")) == (0, 1, 2, 0, 0)
    assert_equal_tables(shop.query("SELECT * FROM tiendas"), db.query("SELECT * FROM tiendas"))


def test_vanished_rows_are_deleted_if_asked(db, shop):
    db.create_stream("ventas", "tienda", "ventas", options={"mode": "full", "deletes": "hard", "max_deletes": "50%"})
    db.run("ventas")
    shop.execute("DELETE FROM ventas WHERE id IN (2, 4)")
    assert db.counts(db.run("ventas")) == (0, 0, 3, 2, 0)
    assert db.query("SELECT id FROM ventas ORDER BY id") == [(1,), (3,), (5,)]


def test_soft_deletes_set_a_column(db, shop):
    db.create_stream(
        "ventas", "tienda", "ventas",
        options={"mode": "full", "deletes": "soft", "deleted_column": "borrado", "max_deletes": "50%"},
    )  # fmt: skip
    db.run("ventas")
    shop.execute("DELETE FROM ventas WHERE id = 2")
    db.run("ventas")
    assert db.query("SELECT id FROM ventas WHERE borrado IS NOT NULL") == [(2,)]
    shop.execute("INSERT INTO ventas VALUES (2, 'Piñones', 1, 9.95, '2025-01-05 10:00:00')")
    db.run("ventas")
    assert db.query("SELECT id FROM ventas WHERE borrado IS NOT NULL") == []


def test_an_operation_column_deletes(db, sqlite):
    sqlite.script(
        "CREATE TABLE cambios (id INTEGER PRIMARY KEY, nombre TEXT, op CHAR(1), seq INTEGER NOT NULL);"
        "INSERT INTO cambios VALUES (1, 'uno', 'I', 1), (2, 'dos', 'I', 2), (3, 'tres', 'U', 3);"
    )
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream(
        "cambios", "tienda", "cambios", watermark="seq", options={"deletes": "hard", "operation_column": "op"}
    )
    db.run("cambios")
    assert db.value("SELECT count(*) FROM cambios") == 3
    sqlite.script("UPDATE cambios SET op = 'D', seq = 4 WHERE id = 2")
    run = db.run("cambios")
    assert run["deleted"] == 1
    assert db.query("SELECT id FROM cambios ORDER BY id") == [(1,), (3,)]


def test_a_change_table_tells_each_key_s_changes_in_order(db, sqlite):
    """Many rows for one key, over the borders of pages and batches: the last one counts, from the first run on."""
    sqlite.script(
        """CREATE TABLE cambios (seq INTEGER PRIMARY KEY, op CHAR(1) NOT NULL, id INTEGER NOT NULL, cantidad INTEGER);
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
        INSERT INTO cambios SELECT i, CASE WHEN i > 390 THEN 'D' WHEN i <= 20 THEN 'I' ELSE 'U' END, i % 20, i FROM n;"""
    )
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream(
        "estado", "tienda", "cambios", target="estado", key="id", watermark="seq",
        options={"deletes": "hard", "operation_column": "op", "lookback": 50, "page_rows": 30, "batch_rows": 7},
    )  # fmt: skip
    db.run("estado")
    living = [(i % 20, i) for i in range(381, 391)]
    assert sorted(db.query("SELECT id, cantidad FROM estado")) == sorted(living)
    sqlite.script("INSERT INTO cambios VALUES (401, 'D', 1, 381), (402, 'I', 11, 5), (403, 'U', 11, 6), (404, 'U', 2, 7), (405, 'D', 3, 383)")
    db.run("estado")
    changed = [row for row in living if row[0] not in (1, 2, 3)] + [(11, 6), (2, 7)]
    assert sorted(db.query("SELECT id, cantidad FROM estado")) == sorted(changed)
    with pytest.raises(AssertionError, match="is not unique"):  # which of them would be the last?
        db.run("estado", mode="full")


def test_expressions_constants_and_filter(db, shop):
    db.execute("CREATE TABLE resumen (id bigint PRIMARY KEY, tienda text, total numeric(12,2), nota text DEFAULT 'mía')")
    db.create_stream(
        "ventas", "tienda", "ventas", target="resumen", key="id", watermark="actualizado",
        options={
            "columns": {"id": "id", "tienda": "'T01'", "total": "round(cantidad * precio, 2)"},
            "columns_only": True,
            "filter": "precio > 5",
        },
    )  # fmt: skip
    db.run("ventas")
    assert db.query("SELECT id, tienda, total, nota FROM resumen ORDER BY id") == [
        (1, "T01", decimal.Decimal("25.00"), "mía"),
        (2, "T01", decimal.Decimal("9.95"), "mía"),
        (4, "T01", decimal.Decimal("25.00"), "mía"),
    ]
    db.execute("UPDATE resumen SET nota = 'revisado'")
    shop.execute("UPDATE ventas SET cantidad = 3, actualizado = '2025-03-01 00:00:00' WHERE id = 1")
    db.run("ventas")
    assert db.query("SELECT total, nota FROM resumen WHERE id = 1") == [(decimal.Decimal("37.50"), "revisado")]


def test_several_streams_write_one_target(db, shop):
    db.execute(
        "CREATE TABLE todas (tienda text, id bigint, producto text, cantidad int, precio numeric, actualizado timestamp,"
        " PRIMARY KEY (tienda, id))"
    )
    for code in ("T01", "T02"):
        db.create_stream(
            f"ventas_{code}", "tienda", "ventas", target="todas", key="tienda,id", watermark="actualizado",
            options={"columns": {"tienda": f"'{code}'"}},
        )  # fmt: skip
        db.run(f"ventas_{code}")
    assert db.query("SELECT tienda, count(*) FROM todas GROUP BY 1 ORDER BY 1") == [("T01", 5), ("T02", 5)]


def test_a_select_with_a_watermark_is_a_source(db, shop):
    db.create_stream(
        "grandes", "tienda", "SELECT id, producto, actualizado FROM ventas WHERE actualizado >= :watermark AND cantidad < 6",
        target="grandes", key="id", watermark="actualizado",
    )  # fmt: skip
    assert db.run("grandes")["inserted"] == 4
    shop.execute("INSERT INTO ventas VALUES (6, 'Sal', 1, 1, '2025-02-01 00:00:00'), (7, 'Azúcar', 9, 1, '2025-02-01 00:00:00')")
    assert db.run("grandes")["inserted"] == 1
    assert db.query("SELECT id FROM grandes ORDER BY id") == [(1,), (2,), (3,), (4,), (6,)]


def test_a_view_is_a_source(db, shop):
    shop.execute("CREATE VIEW caras AS SELECT id, producto, precio, actualizado FROM ventas WHERE precio > 10")
    db.create_stream("caras", "tienda", "caras", key="id", watermark="actualizado")
    db.run("caras")
    assert_equal_tables(shop.query("SELECT * FROM caras"), db.query("SELECT * FROM caras"))


def test_an_integer_watermark(db, sqlite):
    sqlite.script(
        "CREATE TABLE registro (id INTEGER PRIMARY KEY, texto TEXT, version BIGINT NOT NULL);"
        "INSERT INTO registro VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30);"
    )
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("registro", "tienda", "registro", watermark="version", options={"lookback": "15"})
    assert db.run("registro")["inserted"] == 3
    # 16 lies in the overlap (30 - 15), 14 below it: the first arrives, the second is what full reads are for
    sqlite.script("INSERT INTO registro VALUES (4, 'late', 16), (5, 'too late', 14)")
    assert db.run("registro")["inserted"] == 1
    assert db.run("registro", mode="full")["inserted"] == 1
    assert_equal_tables(sqlite.query("SELECT * FROM registro"), db.query("SELECT * FROM registro"))


def test_several_watermark_columns_are_coalesced(db, sqlite):
    sqlite.script(
        "CREATE TABLE clientes (id INTEGER PRIMARY KEY, nombre TEXT, creado TIMESTAMP NOT NULL, cambiado TIMESTAMP);"
        "INSERT INTO clientes VALUES (1, 'Íñigo', '2025-01-01 00:00:00', NULL), (2, 'Begoña', '2025-01-02 00:00:00', NULL);"
    )
    db.create_server("tienda", **sqlite.server_options())
    db.create_stream("clientes", "tienda", "clientes", watermark="cambiado,creado")
    assert db.run("clientes")["inserted"] == 2
    sqlite.script(
        "UPDATE clientes SET nombre = 'Íñigo L.', cambiado = '2025-02-01 00:00:00' WHERE id = 1;"
        "INSERT INTO clientes VALUES (3, 'Núria', '2025-02-02 00:00:00', NULL);"
    )
    run = db.run("clientes")
    assert (run["inserted"], run["updated"]) == (1, 1)
    assert_equal_tables(sqlite.query("SELECT * FROM clientes"), db.query("SELECT * FROM clientes"))


@pytest.mark.parametrize("policy, expected", [("add", "added"), ("ignore", "ignored"), ("fail", "failed")])
def test_a_new_column_at_the_source(db, shop, policy, expected):
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", options={"new_columns": policy})
    db.run("ventas")
    shop.script("ALTER TABLE ventas ADD COLUMN nota TEXT; UPDATE ventas SET nota = 'nueva', actualizado = '2025-03-01 00:00:00' WHERE id = 1")
    run = db.run("ventas", expect="failed" if policy == "fail" else "succeeded")
    present = db.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'ventas'::regclass AND attname = 'nota'")
    assert present == (1 if expected == "added" else 0)
    if policy == "add":
        assert db.value("SELECT nota FROM ventas WHERE id = 1") == "nueva"
    if policy == "fail":
        assert "nota" in run["message"]


def test_a_schedule_runs_by_itself(db, shop):
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", schedule="1 second")
    wait_for(lambda: db.value("SELECT count(*) FROM ventas") == 5, "the first scheduled run")
    shop.execute("INSERT INTO ventas VALUES (6, 'Sal', 1, 1, '2025-02-01 00:00:00')")
    wait_for(lambda: db.value("SELECT count(*) FROM ventas") == 6, "the next scheduled run")
    wait_for(lambda: (status := db.status("ventas"))["state"] == "idle" and status["next_run"], "a planned next run")


def test_sync_run_in_the_foreground_tells_its_progress(db, shop):
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    notices = []
    with db.connect() as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        connection.execute("CALL sync_run('ventas')")
    assert db.value("SELECT count(*) FROM ventas") == 5
    assert any("ventas" in notice for notice in notices), notices


def test_status_says_what_happened(db, shop):
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    db.run("ventas")
    status = db.status("ventas")
    assert (status["stream"], status["server"], status["source"], status["state"]) == ("ventas", "tienda", "ventas", "idle")
    assert status["last_status"] == "succeeded"
    assert "2025-01-06 12:00:00" in status["watermark"]
    assert status["rejects"] == 0


def test_explore_before_defining(db, shop):
    steps = db.dicts("SELECT * FROM sync_test('tienda')")
    assert steps and all(step["ok"] for step in steps), steps
    found = {row["source"].split(".")[-1]: row for row in db.dicts("SELECT * FROM sync_discover('tienda')")}
    assert "ventas" in found
    assert "id" in str(found["ventas"]["key"])
    preview = [row for (row,) in db.query("SELECT * FROM sync_preview('tienda', 'ventas', 3)")]
    assert len(preview) == 3 and preview[0]["producto"] == "Jamón ibérico"


def test_explain_shows_both_statements_and_runs_neither(db, shop):
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    text = "\n".join(statement for _, statement in db.query("SELECT * FROM sync_explain('ventas')"))
    assert "ventas" in text and "MERGE" in text.upper()
    assert db.value("SELECT count(*) FROM ventas") == 0


def test_every_option_is_documented(db):
    options = db.dicts("SELECT * FROM sync_options()")
    assert {"lookback", "driver", "password", "deletes", "max_rejects"} <= {option["name"] for option in options}
    assert all(option["description"] for option in options)


def test_the_sample_media_shop(db, sqlite, shared_data):
    """All eleven tables of the sample database, with its accents, equal at the end."""
    sqlite.connection.close()
    sqlite.path.write_bytes((shared_data / "chinook.sqlite").read_bytes())
    sqlite.connection = sqlite.connect()
    db.create_server("chinook", **sqlite.server_options())
    tables = [name for (name,) in sqlite.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    assert len(tables) == 11
    for table in tables:
        db.create_stream(table.lower(), "chinook", table)
    for table in tables:
        db.run(table.lower())
        target = db.value("SELECT target FROM sync_status(%s)", table.lower())
        assert_equal_tables(sqlite.query(f'SELECT * FROM "{table}"'), db.query(f"SELECT * FROM {target}"))
