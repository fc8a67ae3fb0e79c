"""MariaDB as a source, through odbc-mariadb against a running server."""

import decimal

import pytest
from harness import Proxy, assert_equal_tables

SALES = """CREATE TABLE ventas (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, producto VARCHAR(60) NOT NULL, cantidad INT NOT NULL,
    precio DECIMAL(12,4), actualizado DATETIME(6) NOT NULL, KEY (actualizado));
INSERT INTO ventas (producto, cantidad, precio, actualizado)
    SELECT CONCAT('artículo ñ ', seq), seq MOD 7, seq * 1.0001, '2025-01-01' + INTERVAL seq * 1000003 MICROSECOND FROM seq_1_to_{rows}"""


def server(db, source, name="shop", **changes):
    db.create_server(name, **(source.server_options | changes))


def test_load_and_follow(db, mariadb):
    mariadb.query(SALES.format(rows=20000))
    server(db, mariadb)
    made = db.create_stream("ventas", "shop", "ventas", watermark="actualizado", options={"batch_rows": 3000, "page_rows": 7000})
    assert made["key_columns"] == "id"
    run = db.run("ventas")
    assert (run["inserted"], run["updated"], run["rejected"]) == (20000, 0, 0)
    mariadb.query(
        "UPDATE ventas SET cantidad = 99, actualizado = '2025-02-01 00:00:00.000001' WHERE id MOD 5000 = 0;"
        "INSERT INTO ventas (producto, cantidad, precio, actualizado) VALUES ('nuevo 😀', 1, 1.5, '2025-02-01 00:00:00.000002')"
    )
    run = db.run("ventas")
    assert (run["inserted"], run["updated"], run["rejected"]) == (1, 4, 0)
    assert_equal_tables(
        mariadb.query("SELECT id, producto, cantidad, precio, actualizado FROM ventas"),
        db.query("SELECT id, producto, cantidad, precio, actualizado::text FROM ventas"),
    )


def test_types_keep_every_digit_and_character(db, mariadb):
    mariadb.query(
        """SET NAMES utf8mb4; CREATE TABLE tipos (id INT PRIMARY KEY, ti TINYINT, si SMALLINT UNSIGNED, bi BIGINT, ub BIGINT UNSIGNED,
            de DECIMAL(38,10), fl FLOAT, db DOUBLE, te TEXT, lt LONGTEXT, ch CHAR(5), bl BLOB, vb VARBINARY(16), da DATE,
            ti6 TIME(6), dt DATETIME(6), ts TIMESTAMP(6) NULL, ye YEAR, en ENUM('uno','dós'), se SET('a','b','c'), js JSON, bt BIT(1));
        INSERT INTO tipos VALUES
            (1, -128, 65535, -9223372036854775808, 18446744073709551615, 1234567890123456789012345678.0123456789, 1.5, 0.1,
             'ñandú 😀 \\'"\\\\', REPEAT('largo€', 50000), 'ab', x'00FF10', x'DEADBEEF', '2025-02-28', '23:59:59.999999',
             '9999-12-30 23:59:59.999999', '2025-06-01 12:00:00.123456', 2025, 'dós', 'a,c', '{"a": [1, "é"]}', b'1'),
            (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
            (3, 0, 0, 0, 0, 0, 0, 0, '', '', '', '', '', '1000-01-01', '00:00:00', '1000-01-01 00:00:00', '2025-01-01', 1901, 'uno', '', '[]', b'0')"""
    )
    server(db, mariadb)
    db.create_stream("tipos", "shop", "tipos")
    assert db.counts(db.run("tipos")) == (3, 0, 0, 0, 0)
    texts = "id, ti, si, bi, ub, de, db, te, lt, da, ti6, dt, ts, ye, en, se"
    assert_equal_tables(
        mariadb.query(f"SELECT {texts} FROM tipos"),
        db.query("SELECT " + texts.replace(" ts,", " ts AT TIME ZONE 'UTC',") + " FROM tipos"),
    )
    row = db.dict("SELECT ub, de, bl, vb, js::jsonb AS js, fl FROM tipos WHERE id = 1")
    assert row == {
        "ub": 18446744073709551615, "de": decimal.Decimal("1234567890123456789012345678.0123456789"), "bl": b"\x00\xff\x10",
        "vb": b"\xde\xad\xbe\xef", "js": {"a": [1, "é"]}, "fl": 1.5,
    }  # fmt: skip
    assert db.query("SELECT ch FROM tipos WHERE id = 1")[0][0].rstrip() == "ab"
    assert db.value("SELECT bt::text FROM tipos WHERE id = 1") in ("1", "true", "t", "\\x01")
    # a second full read finds the same values: nothing is written twice for a difference in form
    assert db.counts(db.run("tipos")) == (0, 0, 3, 0, 0)


def test_a_connection_that_is_cut_is_taken_up_again(db, mariadb):
    mariadb.query(SALES.format(rows=30000))
    with Proxy(mariadb.server.port) as proxy:
        server(db, mariadb, port=proxy.port)
        db.create_stream(
            "ventas", "shop", "ventas", watermark="actualizado",
            options={"batch_rows": 1000, "page_rows": 2000, "retry_delay": "1 second"},
        )  # fmt: skip
        proxy.cut(after=500_000)
        run_id = db.trigger("ventas")
        db.wait(run_id)
        db.wait_for_state("ventas", "idle")
        assert proxy.connections >= 2
    assert_equal_tables(mariadb.query("SELECT id, producto FROM ventas"), db.query("SELECT id, producto FROM ventas"))


def test_a_wrong_password_is_said_and_not_told(db, mariadb):
    mariadb.query(SALES.format(rows=1))
    server(db, mariadb, password="wr0ng-one")
    steps = db.dicts("SELECT * FROM sync_test('shop')")
    assert not steps[-1]["ok"] and "denied" in steps[-1]["message"].lower()
    assert "wr0ng-one" not in str(steps)
    assert "wr0ng-one" not in db.cluster.log()


def test_a_server_that_is_away_comes_back(db, mariadb):
    mariadb.query(SALES.format(rows=10))
    with Proxy(mariadb.server.port) as proxy:
        server(db, mariadb, port=proxy.port)
        db.create_stream("ventas", "shop", "ventas", watermark="actualizado", options={"retry_delay": "1 second"})
        proxy.refuse()
        proxy.cut()
        run_id = db.trigger("ventas")
        db.wait_for_state("ventas", "recovering")
        proxy.refuse(False)
        db.wait(run_id)
        db.wait_for_state("ventas", "idle")
    assert db.value("SELECT count(*) FROM ventas") == 10


def test_names_that_need_quoting(db, mariadb):
    mariadb.query("CREATE TABLE `más «ventas» \"x\"` (`mi clave` INT PRIMARY KEY, `select` INT, `Año` INT); INSERT INTO `más «ventas» \"x\"` VALUES (1, 2, 3)")
    server(db, mariadb)
    db.create_stream("rara", "shop", '`más «ventas» "x"`', target="rara")
    db.run("rara")
    assert db.query('SELECT "mi clave", "select", "año" FROM rara') == [(1, 2, 3)]


def test_a_composite_key_over_pages(db, mariadb):
    mariadb.query(
        "CREATE TABLE lineas (tienda CHAR(3), pedido INT, linea INT, importe DECIMAL(10,2), PRIMARY KEY (tienda, pedido, linea));"
        "INSERT INTO lineas SELECT CONCAT('T0', seq MOD 3), seq DIV 30, seq MOD 30, seq FROM seq_1_to_3000"
    )
    server(db, mariadb)
    db.create_stream("lineas", "shop", "lineas", options={"page_rows": 101, "batch_rows": 37})
    assert db.run("lineas")["inserted"] == 3000
    assert_equal_tables(mariadb.query("SELECT * FROM lineas"), db.query("SELECT * FROM lineas"))


def test_the_sample_media_shop(db, mariadb, shared_data):
    mariadb.server.query((shared_data / "chinook_mysql.sql").read_text())
    try:
        db.create_server("chinook", **(mariadb.server_options | {"database": "Chinook"}))
        for (table,) in mariadb.server.query("SHOW TABLES", "Chinook"):
            db.create_stream(table.lower(), "chinook", table)
            db.run(table.lower())
            target = db.value("SELECT target FROM sync_status(%s)", table.lower())
            names = [name for (name,) in db.query("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", target)]
            assert_equal_tables(
                mariadb.server.query(f"SELECT * FROM {table}", "Chinook"),
                db.query("SELECT {} FROM {}".format(", ".join(f'"{name}"::text' for name in names), target)),
            )
    finally:
        mariadb.server.query("DROP DATABASE Chinook")


@pytest.mark.parametrize("lookback", ["0 seconds", "1 hour"])
def test_microseconds_survive_as_bounds(db, mariadb, lookback):
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY, m DATETIME(6) NOT NULL); INSERT INTO t VALUES (1, '2025-01-01 00:00:00.999999')")
    server(db, mariadb)
    db.create_stream("t", "shop", "t", watermark="m", options={"lookback": lookback})
    db.run("t")
    mariadb.query("INSERT INTO t VALUES (2, '2025-01-01 00:00:00.999999'), (3, '2025-01-01 00:00:01.000000')")
    assert db.run("t")["inserted"] == 2
    assert "00:00:01" in db.status("t")["watermark"]
