"""The ledger holds, in each commit, how many rows of a stream its target has in each slice."""

import random

import pytest

from harness import wait_for

SOURCE = """CREATE TABLE ventas (id INTEGER PRIMARY KEY, fecha DATE, momento TIMESTAMP, importe DECIMAL(10,2), baja INTEGER NOT NULL,
    tocado INTEGER NOT NULL)"""
DAYS = [f"2026-{month:02}-{day:02}" for month, day in ((1, 31), (2, 1), (2, 28), (3, 1), (3, 29), (10, 25), (12, 31))]


@pytest.fixture
def ventas(db, sqlite):
    sqlite.execute(SOURCE)
    db.create_server("tienda", **sqlite.server_options())
    return sqlite


def random_row(chance, number, touched):
    day = chance.choice(DAYS)
    moment = f"{day} {chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}"
    return (number, day if chance.random() > 0.1 else None, moment if chance.random() > 0.1 else None,
            chance.choice([1.5, 20, -3, None]), chance.random() < 0.2, touched)  # fmt: skip


def write_some(chance, source, touched, numbers=400, rows=120):
    for number in chance.sample(range(1, numbers), rows):
        source.execute("INSERT OR REPLACE INTO ventas VALUES (?, ?, ?, ?, ?, ?)", random_row(chance, number, touched))


def ledger(db, name="ventas"):
    return dict(db.query(
        "SELECT s.bucket::text, s.rows FROM insync.slice s JOIN insync.stream t ON t.id = s.stream_id"
        " WHERE t.name = %s AND s.rows <> 0", name))  # fmt: skip


def held(db, bucket="fecha::timestamp", table="ventas", where="true"):
    return dict(db.query(f"SELECT coalesce({bucket}, '-infinity')::text, count(*) FROM {table} WHERE {where} GROUP BY 1"))


def is_complete(db, name="ventas"):
    return db.value("SELECT l.complete FROM insync.ledger l JOIN insync.stream t ON t.id = l.stream_id WHERE t.name = %s", name)


def wait_for_runs(db, name="ventas"):
    for (run_id,) in db.query("SELECT id FROM insync.run WHERE stream = %s AND status IN ('queued', 'running')", name):
        db.wait(run_id)


HOUR = "date_trunc('hour', momento)"
MADRID = "date_trunc('day', momento AT TIME ZONE 'Europe/Madrid')"
TARGETS = {
    "dates": (None, {"slice_column": "fecha"}, "fecha::timestamp", "true"),
    "hours": (None, {"slice_column": "momento", "slice": "hour"}, HOUR, "true"),
    "weeks": (None, {"slice_column": "fecha", "slice": "week"}, "date_trunc('week', fecha::timestamp)", "true"),
    "months": (None, {"slice_column": "momento", "slice": "month"}, "date_trunc('month', momento)", "true"),
    "zone": (None, {"slice_column": "momento", "source_time_zone": "Europe/Madrid"}, MADRID, "true"),
    "other-zone": (None, {"slice_column": "momento", "source_time_zone": "UTC", "slice_time_zone": "Europe/Madrid"}, MADRID, "true"),
    "zone-and-abbreviation": (  # which not all systems have
        None, {"slice_column": "momento", "source_time_zone": "UTC", "slice_time_zone": "CET"},
        "date_trunc('day', momento AT TIME ZONE 'CET')", "true",
    ),
    "hard-deletes": (None, {"slice_column": "fecha", "deletes": "hard", "deleted_when": "baja = 1"}, "fecha::timestamp", "true"),
    "soft-deletes": (
        "CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, momento timestamp, importe numeric, baja int, tocado bigint,"
        " borrado boolean NOT NULL DEFAULT false)",
        {"slice_column": "fecha", "deletes": "soft", "deleted_column": "borrado", "deleted_when": "baja = 1"},
        "fecha::timestamp", "NOT borrado",
    ),
    "filter": (None, {"slice_column": "fecha", "filter": "importe > 0"}, "fecha::timestamp", "true"),
    "filter-of-another-table": (
        "CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric); CREATE TABLE pares AS SELECT 2 * g AS id FROM generate_series(1, 150) g",
        {"slice_column": "fecha", "filter": "EXISTS (SELECT FROM public.pares p WHERE p.id = batch.id)"}, "fecha::timestamp", "true",
    ),
    "expression": (
        "CREATE TABLE ventas (id bigint PRIMARY KEY, dia date, importe numeric)",
        {"columns": {"dia": "momento + interval '3 hours'"}}, "dia::timestamp", "true",
    ),
    "domain": (
        "CREATE DOMAIN dia AS date; CREATE TABLE ventas (id bigint PRIMARY KEY, fecha dia, importe numeric)", {}, "fecha::timestamp", "true",
    ),
    "trigger": (
        "CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric);"
        "CREATE FUNCTION mueve() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.fecha := NEW.fecha + NEW.id::int % 3;"
        " IF NEW.importe = 20 THEN RETURN NULL; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER mueve BEFORE INSERT OR UPDATE ON ventas FOR EACH ROW EXECUTE FUNCTION mueve()",
        {"slice_column": "fecha"}, "fecha::timestamp", "true",
    ),
    "partitions": (
        "CREATE TABLE ventas (id bigint, fecha date, importe numeric, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
        "CREATE TABLE ventas_1 PARTITION OF ventas FOR VALUES FROM (MINVALUE) TO (200);"
        "CREATE TABLE ventas_2 PARTITION OF ventas DEFAULT",
        {"slice_column": "fecha"}, "fecha::timestamp", "true",
    ),
    "rejects": (
        "CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric CHECK (importe <> -3))",
        {"slice_column": "fecha", "max_rejects": "100%"}, "fecha::timestamp", "true",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TARGETS)
def test_every_apply_counts(db, ventas, seed, kind):
    """First load (COPY where it can be), changes, deletes and full compares, in batches of 50, against the target itself."""
    table, options, bucket, where = TARGETS[kind]
    zone = options.get("slice_time_zone")
    if zone and not db.value("SELECT count(*) FROM pg_timezone_names WHERE name = %s", zone):
        pytest.skip(f"this system knows no time zone {zone}")
    chance = random.Random(f"{seed} {kind}")
    write_some(chance, ventas, 1, rows=200)
    if table:
        db.execute(table)
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"batch_rows": 50, "lookback": "0"} | options)
    db.run("ventas")
    assert is_complete(db) and ledger(db) == held(db, bucket, where=where), "after the first load"
    assert ledger(db), "something was counted"
    for touched in range(2, 5):
        write_some(chance, ventas, touched)
        db.run("ventas")
        assert ledger(db) == held(db, bucket, where=where), f"after changes {touched}"
    ventas.execute("UPDATE ventas SET momento = datetime(momento, '+1 hour') WHERE id % 3 = 0")
    db.run("ventas", "full")
    assert ledger(db) == held(db, bucket, where=where), "after a full read"


@pytest.mark.parametrize("deletes", ["hard", "soft"])
def test_rows_that_vanish_and_come_back_count(db, ventas, seed, deletes):
    chance = random.Random(seed)
    write_some(chance, ventas, 1, rows=200)
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric, borrado boolean NOT NULL DEFAULT false)")
    db.create_stream("ventas", "tienda", "ventas", options={"deletes": deletes, "deleted_column": "borrado", "max_deletes": "100%"}
                     if deletes == "soft" else {"deletes": deletes, "max_deletes": "100%"})  # fmt: skip
    db.run("ventas")
    gone = ventas.query("SELECT * FROM ventas WHERE id % 4 = 1")
    ventas.execute("DELETE FROM ventas WHERE id % 4 = 1")
    run = db.run("ventas", "full")
    assert run["deleted"] == len(gone) > 0
    assert ledger(db) == held(db, where="NOT borrado")
    ventas.many("INSERT INTO ventas VALUES (?, ?, ?, ?, ?, ?)", gone)
    db.run("ventas", "keys" if deletes == "soft" else "full")
    assert ledger(db) == held(db, where="NOT borrado")
    assert db.value("SELECT count(*) FROM ventas WHERE NOT borrado") == ventas.query("SELECT count(*) FROM ventas")[0][0]


@pytest.mark.parametrize("deletes", ["hard", "soft"])
def test_rows_that_vanish_through_a_trigger_count(db, ventas, seed, deletes):
    """One that moves rows to another slice as they are marked, or marks those that were to be deleted."""
    chance = random.Random(seed)
    write_some(chance, ventas, 1, rows=200)
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric, borrado boolean NOT NULL DEFAULT false);"
               "CREATE FUNCTION mueve() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'DELETE' THEN"
               " IF OLD.id % 8 = 1 THEN RETURN OLD; END IF; UPDATE public.ventas SET fecha = '1999-01-01' WHERE id = OLD.id; RETURN NULL; END IF;"
               " IF NEW.borrado THEN NEW.fecha := '1999-01-01'; NEW.borrado := NEW.id % 8 = 1; END IF; RETURN NEW; END $$;"
               "CREATE TRIGGER mueve BEFORE UPDATE OR DELETE ON ventas FOR EACH ROW EXECUTE FUNCTION mueve()")  # fmt: skip
    options = {"deletes": deletes, "max_deletes": "100%", "slice_column": "fecha"} | ({"deleted_column": "borrado"} if deletes == "soft" else {})
    db.create_stream("ventas", "tienda", "ventas", options=options)
    db.run("ventas")
    ventas.execute("DELETE FROM ventas WHERE id % 4 = 1")
    db.run("ventas", "full")
    assert "1999-01-01 00:00:00" in ledger(db) and ledger(db) == held(db, where="NOT borrado")


def test_a_table_that_was_there_is_counted_in_the_background(db, ventas, seed):
    chance = random.Random(seed)
    write_some(chance, ventas, 1)
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric)")
    db.execute("INSERT INTO ventas SELECT g, date '2020-01-01' + g % 50, 1 FROM generate_series(1, 1000) g")
    db.create_stream("ventas", "tienda", "ventas", target="ventas", watermark="tocado", options={"slice_column": "fecha"})
    run_id = db.value("SELECT id FROM insync.run WHERE stream = 'ventas' AND mode = 'profile'")
    assert db.wait(run_id) == "succeeded"
    assert is_complete(db) and ledger(db) == held(db)
    db.run("ventas")
    assert ledger(db) == held(db)
    db.execute("DELETE FROM ventas WHERE id > 900")  # by somebody else, whom nobody counts
    assert ledger(db) != held(db)
    assert db.wait(db.dict("SELECT * FROM sync_profile('ventas')")["run_id"]) == "succeeded"
    assert ledger(db) == held(db)


@pytest.fixture
def counting(db, ventas):
    """A profile of 1000 rows that waits in the middle of its count, for advisory lock 42: (its run, who holds the lock)."""
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric)")
    db.execute("INSERT INTO ventas SELECT g, date '2020-01-01' + g % 50, 1 FROM generate_series(1, 1000) g")
    # The owner's policy is asked for each row that is counted: there the profile can be stopped.
    db.execute("CREATE ROLE contable; GRANT ALL ON ventas TO contable; GRANT USAGE ON FOREIGN SERVER tienda TO contable")
    try:
        db.execute("SELECT sync_grant('contable')")
        db.execute("CREATE FUNCTION espera(n bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN"
                   " IF n = 1000 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN true; END $$")
        db.execute("CREATE POLICY todo ON ventas USING (public.espera(id)) WITH CHECK (true); ALTER TABLE ventas ENABLE ROW LEVEL SECURITY")
        db.create_stream("ventas", "tienda", "ventas", target="ventas", watermark="tocado", options={"slice_column": "fecha"})
        wait_for_runs(db)
        db.execute("SELECT sync_alter('ventas', '{\"owner\": \"contable\"}')")
        other = db.connect()
        other.execute("SELECT pg_advisory_lock(42)")
        run_id = db.dict("SELECT * FROM sync_profile('ventas')")["run_id"]
        wait_for(lambda: db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted") == 1)
        yield run_id, other
        other.close()
    finally:
        db.execute("SELECT sync_drop('ventas')")
        db.execute("DROP OWNED BY contable; DROP ROLE contable")


def test_a_paused_streams_rows_are_counted_once_it_goes_on(db, ventas):
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"slice_column": "fecha"})
    db.run("ventas")
    db.execute("SELECT sync_pause('ventas')")
    run_id = db.dict("SELECT * FROM sync_profile('ventas')")["run_id"]
    wait_for(lambda: not db.cluster.workers(db.name), "all workers to leave", timeout=60)
    db.execute("SELECT sync_resume('ventas')")
    assert db.wait(run_id) == "succeeded"


def test_a_verification_while_rows_are_counted_adds_none(db, ventas, counting):
    run_id, other = counting
    db.execute("CREATE OR REPLACE FUNCTION espera(n bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN true; END $$")
    db.query("SELECT * FROM sync_verify('ventas', '2020-01-01', '2020-01-05', 'counts')")
    other.execute("SELECT pg_advisory_unlock(42)")
    assert db.wait(run_id) == "succeeded"
    assert is_complete(db)
    assert ledger(db) == held(db)


def test_runs_go_on_while_rows_are_counted(db, ventas, counting):
    """What is applied after the profile's snapshot adds to what it counts, and nothing is counted twice."""
    run_id, other = counting
    for number in range(5000, 5040):
        ventas.execute("INSERT INTO ventas VALUES (?, '2026-05-05', NULL, 1, 0, 1)", (number,))
    assert db.run("ventas")["inserted"] == 40, "a run isn't kept waiting"
    assert db.value("SELECT status FROM insync.run WHERE id = %s", run_id) == "running"
    other.execute("SELECT pg_advisory_unlock(42)")
    assert db.wait(run_id) == "succeeded"
    assert ledger(db) == held(db)


def test_slices_that_are_defined_anew_while_rows_are_counted(db, ventas, counting):
    """Also where they are in the end what they were: a run between has been forgotten with the definition between."""
    run_id, other = counting
    for number in range(5000, 5040):
        ventas.execute("INSERT INTO ventas VALUES (?, '2026-05-05', NULL, 1, 0, 1)", (number,))
    assert db.run("ventas")["inserted"] == 40
    for unit in ("month", "day"):
        db.alter_stream("ventas", slice=unit)
    other.execute("SELECT pg_advisory_unlock(42)")
    assert db.wait(run_id) == "cancelled"
    wait_for_runs(db)
    assert is_complete(db) and ledger(db) == held(db)


def test_streams_that_share_a_target_count_their_own(db, ventas, seed):
    chance = random.Random(seed)
    write_some(chance, ventas, 1)
    db.execute("CREATE TABLE ventas (tienda text, id bigint, fecha date, importe numeric, PRIMARY KEY (tienda, id))")
    for shop in ("T01", "T02", "T03"):
        db.create_stream(shop, "tienda", "ventas", target="ventas", key="tienda,id", watermark="tocado",
                         options={"columns": {"tienda": f"'{shop}'"}, "slice_column": "fecha", "batch_rows": 20})  # fmt: skip
    for touched in (2, 3):
        runs = [db.trigger(shop) for shop in ("T01", "T02", "T03")]
        assert [db.wait(run) for run in runs] == ["succeeded"] * 3
        for shop in ("T01", "T02", "T03"):
            assert ledger(db, shop) == held(db, where=f"tienda = '{shop}'")
        write_some(chance, ventas, touched)


def test_replay_and_pushed_rows_count(db, ventas):
    ventas.execute("INSERT INTO ventas VALUES (1, '2026-01-05', NULL, -3, 0, 1), (2, '2026-01-05', NULL, 1, 0, 1)")
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric CHECK (importe <> -3))")
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"max_rejects": "100%", "slice_column": "fecha"})
    db.run("ventas")
    assert ledger(db) == {"2026-01-05 00:00:00": 1}
    db.execute("ALTER TABLE ventas DROP CONSTRAINT ventas_importe_check")
    db.execute("SELECT sync_replay('ventas')")
    assert ledger(db) == {"2026-01-05 00:00:00": 2}
    db.execute("""SELECT sync_ingest('ventas', '[{"id": 2, "fecha": "2026-01-06", "baja": 0, "tocado": 2},
                  {"id": 3, "fecha": "2026-01-07", "baja": 0, "tocado": 2}]')""")
    assert ledger(db) == held(db) == {"2026-01-05 00:00:00": 1, "2026-01-06 00:00:00": 1, "2026-01-07 00:00:00": 1}


def test_which_column_is_chosen(db, ventas):
    def column(name, table, **arguments):
        db.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, {table})")
        db.create_stream(name, "tienda", "ventas", target=name, **arguments)
        rows = db.query("SELECT l.column_name, l.unit, l.time_zone FROM insync.ledger l JOIN insync.stream s ON s.id = l.stream_id"
                        " WHERE s.name = %s", name)  # fmt: skip
        return rows[0] if rows else None

    assert column("a", "fecha date, momento timestamp") == ("fecha", "day", "UTC"), "the only date"
    assert column("b", "momento timestamp, importe numeric") == ("momento", "day", "UTC"), "the only time"
    assert column("c", "importe numeric") is None
    assert column("d", "importe numeric, cargado timestamptz DEFAULT now()") is None, "one that the source doesn't fill tells nothing"
    assert column("e", "fecha date, momento timestamp", options={"slice": "none"}) is None
    assert column("f", "fecha date, momento timestamptz", options={"slice": "hour", "slice_column": "momento", "source_time_zone": "Europe/Madrid"}) \
        == ("momento", "hour", "Europe/Madrid")  # fmt: skip
    for options, words in (
        ({"slice_column": "nada"}, 'has no column "nada"'), ({"slice_column": "importe"}, "neither a date nor a time"),
        ({"slice_column": "cargado"}, "is not filled by the stream"), ({"slice": "decade"}, 'invalid value for option "slice"'),
        ({"slice_column": "momento", "slice_time_zone": "Europa/Madriz"}, "time zone"),
    ):  # fmt: skip
        with pytest.raises(Exception, match=words):
            db.execute("DROP TABLE IF EXISTS g")
            column("g", "importe numeric, cargado timestamptz DEFAULT now(), momento timestamptz", options={"source_time_zone": "UTC"} | options)


def test_another_column_is_counted_anew(db, ventas, seed):
    chance = random.Random(seed)
    write_some(chance, ventas, 1)
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"slice_column": "fecha"})
    db.run("ventas")
    db.alter_stream("ventas", slice_column="momento", slice="month")
    wait_for_runs(db)
    assert is_complete(db) and ledger(db) == held(db, "date_trunc('month', momento)")
    db.execute("ALTER TABLE ventas DROP COLUMN momento")
    ventas.execute("ALTER TABLE ventas DROP COLUMN momento")
    db.run("ventas")
    assert not is_complete(db), "what isn't counted any more isn't trusted"
    db.execute("SELECT sync_drop('ventas')")
    assert db.query("SELECT count(*) FROM insync.slice UNION ALL SELECT count(*) FROM insync.ledger") == [(0,), (0,)]


@pytest.mark.parametrize("change", [{"slice": "month"}, {"columns": {"tienda": "'T02'"}}], ids=["slices", "rows"])
def test_slices_that_are_defined_anew_while_a_run_applies(db, ventas, seed, change):
    """The run goes on by what it began with; what it does to the target isn't added to slices of another kind."""
    write_some(random.Random(seed), ventas, 1)
    db.execute("CREATE TABLE ventas (tienda text, id bigint, fecha date, importe numeric, PRIMARY KEY (tienda, id));"
               "CREATE FUNCTION espera() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END $$;"
               "CREATE TRIGGER espera AFTER INSERT ON ventas FOR EACH ROW WHEN (NEW.id > 250) EXECUTE FUNCTION espera()")  # fmt: skip
    db.create_stream("ventas", "tienda", "ventas", key="tienda,id", watermark="tocado",
                     options={"slice_column": "fecha", "batch_rows": 20, "columns": {"tienda": "'T01'"}})  # fmt: skip
    other = db.connect()
    other.execute("SELECT pg_advisory_lock(42)")
    run_id = db.trigger("ventas")
    wait_for(lambda: db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted") == 1)
    db.alter_stream("ventas", **change)
    other.close()
    assert db.wait(run_id) == "succeeded"
    wait_for_runs(db)
    bucket, where = ("date_trunc('month', fecha::timestamp)", "true") if "slice" in change else ("fecha::timestamp", "tienda = 'T02'")
    assert is_complete(db) and ledger(db) == held(db, bucket, where=where)
    db.run("ventas", "full")
    assert is_complete(db) and ledger(db) == held(db, bucket, where=where) != {}


def test_rows_that_count_otherwise_are_counted_anew(db, ventas, seed):
    """Rows that were marked as deleted, where marks mean nothing any more; another shop's, as the stream is now of that."""
    chance = random.Random(seed)
    write_some(chance, ventas, 1)
    db.execute("CREATE TABLE ventas (tienda text, id bigint, fecha date, importe numeric, borrado boolean NOT NULL DEFAULT false,"
               " PRIMARY KEY (tienda, id))")  # fmt: skip
    options = {"slice_column": "fecha", "deletes": "soft", "deleted_column": "borrado", "max_deletes": "100%"}
    db.create_stream("ventas", "tienda", "ventas", key="tienda,id", options=options | {"columns": {"tienda": "'T01'"}})
    db.run("ventas")
    ventas.execute("DELETE FROM ventas WHERE id % 4 = 1")
    assert db.run("ventas")["deleted"] > 0 and ledger(db) == held(db, where="NOT borrado")
    db.alter_stream("ventas", deletes="ignore", deleted_column=None)
    wait_for_runs(db)
    assert is_complete(db) and ledger(db) == held(db)
    db.alter_stream("ventas", columns={"tienda": "'T02'"})
    assert ledger(db) == {}
    db.run("ventas")
    assert is_complete(db) and ledger(db) == held(db, where="tienda = 'T02'")


def test_a_column_of_another_type_is_counted_anew(db, ventas, seed):
    chance = random.Random(seed)
    write_some(chance, ventas, 1)
    options = {"slice_column": "momento", "slice_time_zone": "Asia/Tokyo"}
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options=options)
    db.run("ventas")
    assert ledger(db) == held(db, "date_trunc('day', momento)")
    db.execute("ALTER TABLE ventas ALTER momento TYPE date")
    db.run("ventas")
    assert not is_complete(db), "a run finds it"
    assert db.wait(db.dict("SELECT * FROM sync_profile('ventas')")["run_id"]) == "succeeded"
    assert is_complete(db) and ledger(db) == held(db, "momento::timestamp")
    write_some(chance, ventas, 2)
    db.run("ventas")
    assert is_complete(db) and ledger(db) == held(db, "momento::timestamp")
    db.execute("ALTER TABLE ventas ALTER momento TYPE timestamptz USING momento::timestamp AT TIME ZONE 'UTC' + interval '20 hours'")
    db.alter_stream("ventas", source_time_zone="UTC")
    wait_for_runs(db)
    assert is_complete(db) and ledger(db) == held(db, "date_trunc('day', momento AT TIME ZONE 'Asia/Tokyo')")


def test_times_count_as_the_target_rounds_them(db, ventas):
    ventas.many("INSERT INTO ventas VALUES (?, NULL, ?, 1, 0, 1)", enumerate(["2026-01-05 23:59:59.7", "2026-01-05 23:59:59.4", None]))
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, momento timestamp(0))")
    # As an expression: a plain column rounds nothing.
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"slice_column": "momento", "columns": {"momento": "momento"}})
    db.run("ventas")
    expected = {"-infinity": 1, "2026-01-05 00:00:00": 1, "2026-01-06 00:00:00": 1}
    assert ledger(db) == held(db, "date_trunc('day', momento)") == expected


def times_of_a_postgres(db, postgres, values):
    postgres.query("CREATE TABLE ventas (id int PRIMARY KEY, momento timestamptz, dia date)")
    postgres.query("INSERT INTO ventas VALUES " + ",".join(f"({n}, {moment}, {day})" for n, (moment, day) in enumerate(values)))
    options = dict(postgres.server_options)
    db.create_server("tienda", user=options.pop("user"), password=options.pop("password"), **options)


def run_and_profile(db, name, **options):
    """What the ledger has after a first load, which a profile must find again."""
    db.create_stream(name, "tienda", "ventas", target=name, options=options)
    db.run(name)
    counted = ledger(db, name)
    assert db.wait(db.dict("SELECT * FROM sync_profile(%s)", name)["run_id"]) == "succeeded"
    assert ledger(db, name) == counted
    return counted


def test_clocks_that_changed_at_odd_seconds(db, postgres):
    changes = {"Europe/Paris": "1911-03-10 23:50:39", "Africa/Monrovia": "1972-01-07 00:44:30", "Europe/Amsterdam": "1937-06-30 23:40:28"}
    times_of_a_postgres(db, postgres, [(f"timestamptz '{at}+00' + interval '{n} s'", "NULL") for at in changes.values() for n in range(-1200, 1200, 7)])
    for number, zone in enumerate(changes):
        counted = run_and_profile(db, f"ventas_{number}", slice_column="momento", slice_time_zone=zone, slice="hour")
        assert counted == held(db, f"date_trunc('hour', momento AT TIME ZONE '{zone}')", f"ventas_{number}")


@pytest.mark.parametrize("unit", ["hour", "day", "week", "month"])
def test_times_at_the_ends_of_all_time(db, postgres, unit):
    """They neither fail a run nor a profile: their slice is infinity or -infinity where none can be told."""
    far = ["294276-12-31 23:59:59.999999+00", "4714-11-24 00:00:00+00 BC", "infinity", "-infinity"]
    near = ["294276-11-30 12:00+00", "4713-01-02 00:00+00 BC", "0001-01-01 00:00+00 BC", "9999-12-31 23:59:59+00", "2026-01-01 00:00+00"]
    days = ["5874897-12-31", "4714-11-24 BC", "infinity", "-infinity", "294276-11-30", "4713-01-02 BC", "0001-01-01 BC", "9999-12-31", "2026-01-01"]
    times_of_a_postgres(db, postgres, [(f"'{moment}'", f"'{day}'") for moment, day in zip(far + near, days)])
    for number, options in enumerate([{"slice_column": "dia"}] + [{"slice_column": "momento", "slice_time_zone": zone}
                                                                  for zone in ("Asia/Tokyo", "America/New_York", "UTC")]):  # fmt: skip
        counted = run_and_profile(db, f"ventas_{number}", slice=unit, **options)
        times = "dia::text::timestamp" if number == 0 else f"momento AT TIME ZONE '{options['slice_time_zone']}'"
        # The driver knows no dates beyond the year 9999: those were rejected.
        expected = held(db, f"date_trunc('{unit}', {times})", f"ventas_{number}", "id >= 4")
        expected |= held(db, "CASE WHEN id IN (0, 2) THEN 'infinity' ELSE '-infinity' END::timestamp", f"ventas_{number}", "id < 4")
        assert counted == expected and {"infinity", "-infinity"} < set(counted)


def test_a_batch_that_fails_leaves_no_count(db, ventas):
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, fecha date, importe numeric)")
    for number in range(100):
        ventas.execute("INSERT INTO ventas VALUES (?, '2026-01-05', NULL, 1, 0, 1)", (number,))
    # At the end of the 50th row of the second batch, so that much of it has been noted by then.
    db.execute("CREATE FUNCTION falla() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " IF NEW.id = 90 THEN RAISE SQLSTATE 'XX001'; END IF; RETURN NULL; END $$;"
               "CREATE TRIGGER falla AFTER INSERT ON ventas FOR EACH ROW EXECUTE FUNCTION falla()")
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"batch_rows": 40, "slice_column": "fecha"})
    db.run("ventas", expect="failed")
    assert ledger(db) == held(db) == {"2026-01-05 00:00:00": 80}
    db.execute("DROP TRIGGER falla ON ventas")
    db.run("ventas")
    assert ledger(db) == held(db) == {"2026-01-05 00:00:00": 100}


def test_a_table_that_was_emptied_is_counted_from_nothing(db, ventas, seed):
    chance = random.Random(seed)
    write_some(chance, ventas, 1)
    db.create_stream("ventas", "tienda", "ventas", watermark="tocado", options={"slice_column": "fecha"})
    db.run("ventas")
    before = ledger(db)
    db.execute("TRUNCATE ventas; SELECT sync_reset('ventas')")
    db.run("ventas")
    assert ledger(db) == held(db) == before


def test_shops_whose_table_was_emptied_are_counted_from_nothing(db, ventas, seed):
    """Also those that find rows of the others in it again."""
    chance = random.Random(seed)
    write_some(chance, ventas, 1)
    db.execute("CREATE TABLE ventas (tienda text, id bigint, fecha date, importe numeric, PRIMARY KEY (tienda, id))")
    for shop in ("T01", "T02"):
        db.create_stream(shop, "tienda", "ventas", target="ventas", key="tienda,id", watermark="tocado",
                         options={"columns": {"tienda": f"'{shop}'"}, "slice_column": "fecha"})  # fmt: skip
        db.run(shop)
    before = ledger(db, "T01")
    db.execute("TRUNCATE ventas; SELECT sync_reset('T01'), sync_reset('T02')")
    for shop in ("T01", "T02"):
        db.run(shop)
        assert ledger(db, shop) == held(db, where=f"tienda = '{shop}'") == before
