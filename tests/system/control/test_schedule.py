"""Streams share time and workers: each keeps to its schedule, whatever the others do."""

import pytest
from harness import Database, Proxy, copies, wait_for

pytestmark = pytest.mark.minutes


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


# ------------------------------------------------------------------------------------------ where a schedule begins


@pytest.fixture
def crons(own_db, shop_of):
    """Streams that run each minute, none of which has ever: a new one, one that was resumed, one whose schedule was
    altered, one whose history was deleted, and one in a restored copy of the database. Returns (database, stream) each."""
    shop_of(own_db)
    for name in ("nueva", "seguida", "alterada", "olvidada"):
        schedule = None if name == "alterada" else "* * * * *"
        own_db.create_stream(name, "tienda", "ventas", target=name, watermark="actualizado", schedule=schedule)
    own_db.execute("SELECT sync_pause('seguida')")
    folder = copies.new_folder(own_db.cluster, "dump")
    copies.tool(own_db.cluster, "pg_dump", "-Fc", "-f", folder / "dump", dbname=own_db.name)
    own_db.cluster.create_database("copia", extension=False)
    copies.tool(own_db.cluster, "pg_restore", "--exit-on-error", "-d", "copia", folder / "dump")
    copy = Database(own_db.cluster, "copia")
    copy.execute("SELECT sync_resume()")
    own_db.execute("SELECT sync_resume('seguida')")
    own_db.alter_stream("alterada", schedule="*/1 * * * *", time_zone="Asia/Kathmandu")
    own_db.execute("DELETE FROM insync.run WHERE stream = 'olvidada'")
    yield [(own_db, "nueva"), (own_db, "seguida"), (own_db, "alterada"), (own_db, "olvidada"), (copy, "nueva")]
    copy.close()


@pytest.fixture
def shop_of(sqlite):
    """Makes the server `tienda` with the table `ventas` in a database."""
    sqlite.script(
        "CREATE TABLE ventas (id INTEGER PRIMARY KEY, actualizado TIMESTAMP NOT NULL);"
        "INSERT INTO ventas VALUES (1, '2025-01-05 10:00:00'), (2, '2025-01-06 10:00:00')"
    )

    def make(db):
        db.create_server("tienda", **sqlite.server_options())
        return sqlite

    return make


def test_a_cron_stream_that_never_ran_runs_at_its_next_time(crons):
    for db, stream in crons:
        wait_for(lambda: db.query(f"SELECT FROM {stream}"), f"the first scheduled run of {stream}", 150)
        assert db.status(stream)["last_run"]


def test_what_lies_before_a_resume_is_not_made_up_for(own_db, shop_of):
    """A nightly load that was paused for nights waits for the next one, and so does its verification."""
    shop_of(own_db)
    nightly = "0 3 29 2 *"
    own_db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", schedule=nightly, options={"verify_schedule": nightly})
    own_db.execute("CALL sync_run('ventas')")
    own_db.execute("SELECT sync_pause('ventas')")
    age(own_db, "20 years")
    own_db.execute("SELECT sync_resume('ventas')")
    status = wait_for(lambda: (now := own_db.status("ventas"))["next_run"] and now, "the schedule to be looked at")
    assert own_db.value("SELECT %s > now()", status["next_run"])
    assert own_db.query("SELECT mode, trigger FROM insync.run WHERE mode <> 'profile'") == [("incremental", "call")]


def test_a_missed_time_since_then_happens_once(own_db, shop_of):
    shop_of(own_db)
    own_db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", schedule="0 3 29 2 *")
    own_db.cluster.stop()
    own_db.cluster.write_settings(**{"insync.max_workers": 1})
    own_db.cluster.start()
    assert own_db.query("SELECT * FROM insync.run") == []
    age(own_db, "20 years")
    own_db.alter_stream("ventas", max_rejects=10)  # no time: the workers look, and the schedule counts from where it did
    wait_for(lambda: own_db.query("SELECT FROM ventas"), "the missed run")
    status = wait_for(lambda: (now := own_db.status("ventas"))["state"] == "idle" and now["next_run"] and now, "its end")
    assert own_db.value("SELECT %s > now()", status["next_run"])
    assert own_db.query("SELECT trigger, status FROM insync.run WHERE mode = 'incremental'") == [("schedule", "succeeded")]


def age(db, by):
    """As if what is noted of the streams had happened so much earlier; a negative time sets the clock back."""
    db.execute(
        f"UPDATE insync.watermark SET last_run_at = last_run_at - '{by}'::interval, last_success_at = last_success_at - '{by}'::interval,"
        f" verify_planned_at = verify_planned_at - '{by}'::interval"
    )
    db.execute(f"UPDATE insync.stream SET schedule_since = schedule_since - '{by}'::interval, created_at = created_at - '{by}'::interval")
    db.execute(f"UPDATE insync.run SET started_at = started_at - '{by}'::interval, ended_at = ended_at - '{by}'::interval")


@pytest.mark.parametrize("schedule", ["1 second", "* * * * *"])
def test_a_clock_that_was_set_back_stops_no_schedule(own_db, shop_of, schedule):
    """What is noted lies in the future then: taken for now at each look, the next run would never come."""
    shop = shop_of(own_db)
    own_db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    own_db.execute("CALL sync_run('ventas')")
    age(own_db, "-10 years")
    own_db.cluster.restart()
    shop.execute("INSERT INTO ventas VALUES (3, '2025-02-01 00:00:00')")
    own_db.execute("UPDATE insync.stream SET schedule = %s", schedule)
    own_db.cluster.restart()
    wait_for(lambda: own_db.value("SELECT count(*) FROM ventas") == 3, "the schedule to go on", 150)


# -------------------------------------------------------------------------------------------- what survives a restart


def quiet_polls(db):
    return db.value("SELECT coalesce(max(polls), 0) FROM insync.live()")


def test_quiet_polls_are_noted_rarely_and_survive_a_restart(own_db, shop_of):
    shop_of(own_db)
    own_db.create_stream("ventas", "tienda", "ventas", watermark="actualizado", schedule="1 second")
    wait_for(lambda: quiet_polls(own_db) >= 2, "two polls that find nothing")
    age(own_db, "2 hours")
    noted = "SELECT xmin::text FROM insync.watermark WHERE last_run_at > now() - interval '1 hour' AND last_run_at = last_success_at"
    version = wait_for(lambda: own_db.query(noted), "a poll to be noted")
    before = quiet_polls(own_db)
    wait_for(lambda: quiet_polls(own_db) >= before + 3, "more polls that find nothing")
    assert own_db.query(noted) == version, "one note is enough for some minutes"
    assert own_db.value("SELECT count(*) FROM insync.run WHERE mode = 'incremental'") == 1

    own_db.execute("UPDATE insync.stream SET schedule = '1 hour'")
    own_db.cluster.crash()
    own_db.cluster.start()
    status = wait_for(lambda: (now := own_db.status("ventas"))["next_run"] and now, "the schedule to be looked at")
    assert own_db.value("SELECT %s > now() + interval '50 minutes'", status["next_run"])
    assert own_db.value("SELECT %s > now() - interval '10 minutes'", status["last_run"])
    assert own_db.query("SELECT succeeded, failed FROM insync.daily WHERE day = current_date") == [(1, 0)]
    assert own_db.value("SELECT count(*) FROM insync.run WHERE mode = 'incremental'") == 1


def test_a_new_extension_knows_nothing_of_the_streams_before(db, shop):
    """Numbers of streams begin again with it: what shared memory holds of the old ones isn't the new ones'."""
    db.create_stream("vieja", "tienda", "ventas", target="vieja", watermark="actualizado", schedule="1 second")
    wait_for(lambda: quiet_polls(db) >= 2, "polls that find nothing")
    number = db.value("SELECT id FROM insync.stream")
    db.execute("DROP EXTENSION pg_insync CASCADE")
    db.execute("CREATE EXTENSION pg_insync")
    db.create_server("tienda", **shop.server_options())
    db.create_stream("nueva", "tienda", "ventas", target="nueva", watermark="actualizado", schedule="1 day")
    assert db.value("SELECT id FROM insync.stream") == number
    wait_for(lambda: db.query("SELECT FROM nueva"), "the first run of the new stream")


def test_settings_are_read_again_between_the_batches_of_a_run(own_cluster, own_db, sqlite):
    """A first load can take hours, and what the server was told meanwhile holds for the rest of it."""
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e')")
    own_db.create_server("tienda", **sqlite.server_options())
    own_db.create_stream("t", "tienda", "t", options={"batch_rows": 1})
    own_db.execute("CREATE TABLE seen (id integer, linger text)")
    own_db.execute(
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (NEW.id,"
        " current_setting('insync.linger')); RETURN NEW; END $$"
    )
    own_db.execute("CREATE TRIGGER look BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.v <> '') EXECUTE FUNCTION look()")
    with own_db.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO t VALUES (3, '')")
        run = own_db.trigger("t")
        wait_for(lambda: own_db.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), "the third row to wait")
        own_cluster.write_settings(**{"insync.linger": "1234ms"})
        own_cluster.reload()

        def is_told():
            with own_db.connect() as session:
                return session.execute("SHOW insync.linger").fetchone() == ("1234ms",)

        wait_for(is_told, "the server to read its configuration")
        blocker.rollback()
    assert own_db.wait(run) == "succeeded"
    seen = dict(own_db.query("SELECT id, linger FROM seen"))
    assert seen[1] == "5s" and seen[5] == "1234ms", seen
