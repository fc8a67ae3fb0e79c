"""PostgreSQL as a source, through psqlodbc against a running server."""

from harness import Proxy, assert_equal_tables, wait_for


def test_load_and_follow(db, postgres):
    postgres.query(
        "CREATE TABLE ventas (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, nombre text, total numeric(14,3), actualizado timestamptz NOT NULL);"
    )
    postgres.query(
        "INSERT INTO ventas (nombre, total, actualizado) SELECT 'año ' || i, i / 8.0, '2025-01-01 00:00+00'::timestamptz + i * interval '1.000001 s'"
        " FROM generate_series(1, 12000) i"
    )
    db.create_server("erp", **postgres.server_options)
    made = db.create_stream("ventas", "erp", "public.ventas", watermark="actualizado", options={"page_rows": 5000, "batch_rows": 1111})
    assert made["mode"] == "incremental"
    assert db.value("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'ventas'::regclass AND attname = 'actualizado'") == "timestamp with time zone"  # fmt: skip
    run = db.run("ventas")
    assert (run["inserted"], run["updated"], run["rejected"]) == (12000, 0, 0)
    postgres.query("UPDATE ventas SET nombre = 'otro', actualizado = '2025-02-01 00:00:00.000001+02' WHERE id IN (1, 12000)")
    run = db.run("ventas")
    assert (run["inserted"], run["updated"]) == (0, 2)
    assert_equal_tables(postgres.query("SELECT * FROM ventas"), db.query("SELECT * FROM ventas"))


def test_types_arrive_whole(db, postgres):
    postgres.query(
        """CREATE TABLE tipos (id int PRIMARY KEY, b boolean, s smallint, l bigint, n numeric, f real, d double precision,
            t text, v varchar(20), c char(4), x bytea, dt date, tm time, ts timestamp, tz timestamptz, u uuid, j jsonb, j2 json,
            a text[], i interval, e inet)"""
    )
    postgres.query(
        r"""INSERT INTO tipos VALUES
            (1, true, -32768, 9223372036854775807, 12345678901234567890123456789.012345678901234567890, 1.5, 0.1,
             E'ñ 😀 \\ '' "', 'v', 'ab', '\x00ff', '2025-02-28', '23:59:59.999999', '2025-01-01 00:00:00.000001',
             '2025-07-01 12:00:00.654321+02', '6f1c2d3e-0000-4000-8000-0123456789ab', '{"a": [1, "é", null]}', '[1, 2]',
             ARRAY['uno', 'd,os'], '1 day 02:00', '10.0.0.1/24'),
            (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
            (3, false, 0, 0, 0, 0, 0, '', '', '', '', '0001-01-01', '00:00', '1900-01-01', '1900-01-01+00', '00000000-0000-0000-0000-000000000000', '{}', '{}', '{}', '0', '::1')"""
    )
    db.create_server("erp", **postgres.server_options)
    db.create_stream("tipos", "erp", "tipos")
    assert db.counts(db.run("tipos")) == (3, 0, 0, 0, 0)
    names = "id b s l n f d t v x dt tm ts tz u j j2 a i e".split()
    texts = ", ".join(f"{name}::text" for name in names)
    target = ", ".join("j2::jsonb::text" if name == "j2" else f"{name}::text" for name in names)
    assert_equal_tables(postgres.query(f"SELECT {texts.replace('j2::text', 'j2::jsonb::text')} FROM tipos"), db.query(f"SELECT {target} FROM tipos"))
    assert db.counts(db.run("tipos")) == (0, 0, 3, 0, 0)


def test_arrays_reach_array_columns_by_cast(db, postgres):
    postgres.query("CREATE TABLE etiquetas (id int PRIMARY KEY, e text[])")
    postgres.query("INSERT INTO etiquetas VALUES (1, ARRAY['a,b', 'c\"d', NULL]), (2, '{}')")
    db.create_server("erp", **postgres.server_options)
    db.execute("CREATE TABLE etiquetas (id int PRIMARY KEY, e text[])")
    db.create_stream("etiquetas", "erp", "etiquetas")
    db.run("etiquetas")
    assert db.query("SELECT * FROM etiquetas ORDER BY id") == [(1, ["a,b", 'c"d', None]), (2, [])]


def test_rows_of_an_open_transaction_arrive_after_its_commit(db, postgres):
    """The same as trap 3, with a real late commit."""
    postgres.query("CREATE TABLE t (id int PRIMARY KEY, m timestamptz NOT NULL)")
    db.create_server("erp", **postgres.server_options)
    with postgres.connect(autocommit=False) as late:
        late.execute("INSERT INTO t VALUES (1, '2025-01-01 10:00:00+00')")
        postgres.query("INSERT INTO t VALUES (2, '2025-01-01 10:05:00+00')")
        db.create_stream("t", "erp", "t", watermark="m")
        assert db.run("t")["inserted"] == 1
        late.commit()
    assert db.run("t")["inserted"] == 1
    assert db.query("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


def test_a_schema_and_a_view(db, postgres):
    postgres.query('CREATE SCHEMA "Ventas"')
    postgres.query('CREATE TABLE "Ventas"."Línea" (id int PRIMARY KEY, "Importe" numeric)')
    postgres.query('INSERT INTO "Ventas"."Línea" VALUES (1, 2.50)')
    postgres.query('CREATE VIEW "Ventas".doble AS SELECT id, "Importe" * 2 AS importe FROM "Ventas"."Línea"')
    db.create_server("erp", **postgres.server_options)
    db.create_stream("linea", "erp", '"Ventas"."Línea"', target="linea")
    db.create_stream("doble", "erp", '"Ventas".doble', target="doble", key="id")
    db.run("linea")
    db.run("doble")
    assert db.value("SELECT importe FROM doble") == 5
    sources = {source for (source,) in db.query("SELECT source FROM sync_discover('erp', '%%')")}
    assert any("doble" in source for source in sources), sources


def test_a_query_over_columns_that_count_by_themselves(db, postgres):
    """The driver calls their type "bigserial", which PostgreSQL can't cast to."""
    postgres.query(
        "CREATE TABLE cambios (seq bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, lote serial, id int NOT NULL, op char(1) NOT NULL)"
    )
    postgres.query("INSERT INTO cambios (id, op) SELECT i % 50, 'I' FROM generate_series(1, 200) i")
    db.create_server("erp", **postgres.server_options)
    db.create_stream(
        "cambios", "erp", "SELECT seq, lote, id, op FROM cambios WHERE seq >= :watermark", key="id", watermark="seq",
        options={"page_rows": 30, "batch_rows": 20},
    )  # fmt: skip
    db.run("cambios")
    assert_equal_tables(db.query("SELECT seq, lote, id FROM cambios"), [(150 + i, 150 + i, (150 + i) % 50) for i in range(1, 51)])


def test_a_lost_connection_is_called_that(db, postgres):
    """Whatever the driver was about when it found out: it may say no more than "internal SAVEPOINT failed"."""
    postgres.query("CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL)")
    postgres.query("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 6000) i")
    with Proxy(postgres.server.port) as proxy, db.connect(autocommit=False) as blocker:
        db.create_server("erp", **(postgres.server_options | {"port": proxy.port}))
        query = "SELECT id, v FROM t WHERE id >= :watermark"  # read in one transaction of the source
        db.create_stream("t", "erp", query, target="t", key="id", watermark="id", options={"page_rows": 500, "batch_rows": 100, "max_retries": 0})
        blocker.execute("INSERT INTO t VALUES (150, 'blocker')")
        run_id = db.trigger("t")
        wait_for(lambda: db.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), "the run to wait in its middle")
        proxy.cut()
        blocker.rollback()
        assert db.wait(run_id) == "failed"
    run = db.dict("SELECT * FROM insync.run WHERE id = %s", run_id)
    assert run["sqlstate"] == "08006" and "was lost" in run["message"], run["message"]
