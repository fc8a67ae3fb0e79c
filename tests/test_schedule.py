"""Streams share time and workers: each keeps to its schedule, whatever the others do."""

from harness import Proxy, wait_for


def test_a_slow_source_delays_only_itself(db, shop, mariadb):
    mariadb.query("CREATE TABLE lenta (id INT PRIMARY KEY); INSERT INTO lenta VALUES (1)")
    with Proxy(mariadb.server.port) as proxy:
        db.create_server("shop", **(mariadb.server_options | {"port": proxy.port}))
        db.create_stream("lenta", "shop", "lenta")
        db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
        proxy.stall()
        slow = db.trigger("lenta")
        assert db.run("ventas")["inserted"] == 5
        assert db.value("SELECT status FROM insync.run WHERE id = %s", slow) in ("queued", "running")
        proxy.flow()
        assert db.wait(slow) == "succeeded"


def test_missed_schedules_happen_once(own_db, shop):
    own_db.create_server("tienda", **shop.server_options())
    own_db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", schedule="1 second")
    wait_for(lambda: own_db.query("SELECT 1 FROM ventas LIMIT 1"), "the first scheduled run")
    own_db.cluster.stop()
    shop.execute("INSERT INTO ventas VALUES (6, 'Sal', 1, 1, '2025-02-01 00:00:00')")
    own_db.cluster.start()
    wait_for(lambda: own_db.value("SELECT count(*) FROM ventas") == 6, "the missed run after the restart")
    assert own_db.value("SELECT count(*) FROM insync.run WHERE inserted > 0") == 2


def test_a_trigger_wakes_a_worker_that_lingers(own_cluster, own_db, sqlite):
    """A worker that waits for its next run takes up what is triggered meanwhile, and doesn't sleep on."""
    own_cluster.write_settings(**{"insync.linger": "3s"})
    own_cluster.reload()
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')")
    own_db.create_server("tienda", **sqlite.server_options())
    own_db.create_stream("t", "tienda", "t", schedule="3 seconds")
    own_db.create_stream("u", "tienda", "t", target="u")
    for number in range(2, 12):
        sqlite.execute("INSERT INTO t VALUES (?, 'b')", (number,))
        assert own_db.run("u")["inserted"] >= 1


def test_streams_take_turns_when_workers_are_few(own_cluster, own_db, sqlite):
    """With one worker for two busy servers, each visit runs one stream: none may always be the first."""
    own_cluster.write_settings(**{"insync.max_workers": 1})
    own_cluster.reload()
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    for server in ("tienda", "otra"):
        own_db.create_server(server, **sqlite.server_options())
    slow = {"filter": "(SELECT true FROM pg_catalog.pg_sleep(0.8))"}  # longer than a schedule waits
    for name, server in (("a", "tienda"), ("b", "tienda"), ("c", "otra")):
        own_db.create_stream(name, server, "t", target=name, schedule="1 second", options=slow)
    own_db.create_stream("d", "tienda", "t", target="d")
    requested = own_db.trigger("d")
    for name in ("a", "b", "c"):
        wait_for(lambda name=name: own_db.query(f"SELECT FROM {name}"), f"the turn of {name}", timeout=30)
    assert own_db.wait(requested, "30 s") == "succeeded"
