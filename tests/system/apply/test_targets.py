"""Targets that are not ordinary tables: rows are written where a query finds them, or the target is refused, and why."""

import psycopg
import pytest

from harness import Cluster, Database, elsewhere

ROWS = 250


@pytest.fixture(scope="module")
def led_cluster():
    """A cluster whose planner leads statements about some tables to others."""
    with Cluster("led", {"shared_preload_libraries": f"pg_insync,{elsewhere.library()}"}) as cluster:
        yield cluster


@pytest.fixture
def led(led_cluster, sqlite):
    """A database there, with a server `taller` for a SQLite table `piezas`."""
    led_cluster.create_database("led")
    db = Database(led_cluster, "led")
    fill(db, sqlite)
    yield db
    db.close()
    led_cluster.drop_database("led")


@pytest.fixture
def source(db, sqlite):
    return fill(db, sqlite)


def fill(db, sqlite):
    sqlite.execute("CREATE TABLE piezas (id INTEGER PRIMARY KEY, nombre VARCHAR(20))")
    sqlite.many("INSERT INTO piezas VALUES (?, ?)", [(id, f"pieza {id}") for id in range(1, ROWS + 1)])
    db.create_server("taller", **sqlite.server_options())
    return sqlite


def make_led_table(db, name):
    for table in (name, f"{name}_chunk"):
        db.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, nombre text, largo int)")


def root_size(db, table):
    return db.value("SELECT pg_relation_size(%s::regclass)", table)


@pytest.mark.wall
def test_a_first_load_goes_where_the_planner_leads_rows(led, sqlite):
    """COPY asks no planner: its rows would be in the table itself, where no query looks."""
    make_led_table(led, "hyper")
    led.create_stream("piezas", "taller", "piezas", target="hyper", options={"batch_rows": 100})
    assert led.counts(led.run("piezas")) == (ROWS, 0, 0, 0, 0)
    assert led.value("SELECT count(*) FROM hyper") == ROWS
    assert root_size(led, "hyper") == 0
    assert led.counts(led.run("piezas")) == (0, 0, ROWS, 0, 0)


@pytest.mark.wall
def test_counts_are_right_below_a_custom_scan(led, sqlite):
    make_led_table(led, "hyper")
    led.create_stream("piezas", "taller", "piezas", target="hyper", options={"deletes": "hard", "max_deletes": "100%"})
    led.run("piezas")
    sqlite.execute("UPDATE piezas SET nombre = 'otra' WHERE id <= 7")
    sqlite.execute("DELETE FROM piezas WHERE id > 240")
    sqlite.execute("INSERT INTO piezas VALUES (900, 'nueva')")
    assert led.counts(led.run("piezas")) == (1, 7, 233, 10, 0)
    assert led.value("SELECT count(*) FROM hyper WHERE nombre = 'otra'") == 7


def test_a_scheduled_run_that_changes_a_row_elsewhere_is_in_the_history(led, sqlite):
    from harness import wait_for

    make_led_table(led, "hyper")
    led.create_stream("piezas", "taller", "piezas", target="hyper", schedule="1 second")
    wait_for(lambda: led.value("SELECT count(*) FROM hyper") == ROWS, "the first load")
    sqlite.execute("UPDATE piezas SET nombre = 'otra' WHERE id = 3")
    wait_for(lambda: led.query("SELECT FROM insync.run WHERE updated = 1 AND status = 'succeeded'"), "the run in the history")


def test_rows_that_no_query_finds_fail_the_run_and_leave_nothing(led, sqlite):
    make_led_table(led, "lost")
    led.create_stream("piezas", "taller", "piezas", target="lost", options={"columns": {"largo": "length(batch.nombre)"}})
    run = led.run("piezas", expect="failed")
    assert run["sqlstate"] == "42809" and f"{ROWS} rows were inserted, and a query finds 0" in run["message"]
    assert led.value("SELECT count(*) FROM lost_chunk") == 0 and root_size(led, "lost") == 0
    assert led.value("SELECT position IS NULL OR position = '{}' FROM insync.watermark UNION ALL SELECT true LIMIT 1")
    make_led_table(led, "perdida")
    led.execute("DROP TABLE lost; ALTER TABLE perdida RENAME TO lost; ALTER TABLE lost_chunk RENAME TO otra")
    assert led.run("piezas")["inserted"] == ROWS, "the rows are read again"


def test_what_the_planner_refuses_is_refused_when_the_stream_is_made(led, sqlite):
    make_led_table(led, "packed")
    with pytest.raises(psycopg.Error, match="packed tables know no MERGE"):
        led.create_stream("piezas", "taller", "piezas", target="packed")
    led.execute("ALTER TABLE packed_chunk RENAME TO packed_apart")
    led.create_stream("piezas", "taller", "piezas", target="packed")
    led.execute("ALTER TABLE packed_apart RENAME TO packed_chunk")
    assert led.run("piezas", expect="failed")["sqlstate"] == "0A000"
    assert led.value("SELECT count(*) FROM packed") == 0 and root_size(led, "packed") == 0, "not even the first load began"


def make_hypertable(db, name):
    elsewhere.install_catalog()
    db.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    db.execute("INSERT INTO _timescaledb_catalog.hypertable VALUES ('public', %s)", name)


def test_a_hypertable_without_its_planner_is_refused(db, source):
    db.execute("CREATE TABLE medidas (id bigint PRIMARY KEY, nombre text)")
    db.create_stream("piezas", "taller", "piezas", target="medidas")
    make_hypertable(db, "medidas")
    with pytest.raises(psycopg.Error, match="is a hypertable, but TimescaleDB does not plan"):
        db.create_stream("otra", "taller", "piezas", target="medidas")
    assert db.run("piezas", expect="failed")["sqlstate"] == "42809"
    assert db.value("SELECT count(*) FROM medidas") == 0


def test_rows_hidden_in_a_hypertable_are_told_with_the_rescue(led, sqlite):
    make_led_table(led, "hyper")
    make_hypertable(led, "hyper")
    led.create_stream("piezas", "taller", "piezas", target="hyper")
    led.run("piezas")
    led.cluster.psql("COPY hyper (id, nombre) FROM STDIN;\n1\thidden\n\\.\n", led.name)
    assert led.value("SELECT nombre FROM hyper WHERE id = 1") == "pieza 1"
    run = led.run("piezas", expect="failed")
    assert "holds rows that no query finds" in run["message"] and "DELETE FROM ONLY public.hyper" in run["message"]


KINDS = {
    "view": ("CREATE TABLE t (id bigint PRIMARY KEY, nombre text); CREATE VIEW destino AS TABLE t", "It is a view"),
    "updatable-view": ("CREATE TABLE t (id bigint PRIMARY KEY, nombre text); CREATE VIEW destino AS TABLE t; CREATE RULE r AS ON INSERT TO destino"
                       " DO INSTEAD INSERT INTO t VALUES (NEW.*)", "It is a view"),
    "foreign": ("CREATE FOREIGN TABLE destino (id bigint, nombre text) SERVER lejos", "It is a foreign table"),
    "rule": ("CREATE TABLE destino (id bigint PRIMARY KEY, nombre text); CREATE TABLE t (LIKE destino);"
             "CREATE RULE desvio AS ON INSERT TO destino DO INSTEAD INSERT INTO t VALUES (NEW.*)", "has the rule desvio"),
    "foreign-partition": ("CREATE TABLE destino (id bigint PRIMARY KEY, nombre text) PARTITION BY RANGE (id);"
                          "CREATE TABLE cerca PARTITION OF destino FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);"
                          "ALTER TABLE destino DROP CONSTRAINT destino_pkey;"
                          "CREATE FOREIGN TABLE fuera PARTITION OF cerca FOR VALUES FROM (10) TO (50) SERVER lejos", "has the foreign table public.fuera"),
    "foreign-child": ("CREATE TABLE destino (id bigint PRIMARY KEY, nombre text);"
                      "CREATE FOREIGN TABLE fuera () INHERITS (destino) SERVER lejos", "has the foreign table public.fuera"),
}  # fmt: skip


@pytest.mark.parametrize("definition, reason", KINDS.values(), ids=KINDS)
def test_what_can_not_be_filled_is_refused_with_the_reason(db, source, definition, reason):
    db.execute("CREATE EXTENSION postgres_fdw; CREATE SERVER lejos FOREIGN DATA WRAPPER postgres_fdw")
    db.execute(definition)
    with pytest.raises(psycopg.Error) as refused:
        db.create_stream("piezas", "taller", "piezas", target="destino", key="id")
    assert reason in f"{refused.value.diag.message_primary} {refused.value.diag.message_detail}"
    assert db.query("SELECT FROM insync.stream") == []


def mark_distributed(db, method="h", replication="s"):
    """As Citus has it in its catalog, of which this is the part that is read."""
    db.execute('SET allow_system_table_mods = on; CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char", repmodel "char");'
               " RESET allow_system_table_mods")
    db.execute("INSERT INTO pg_dist_partition VALUES ('destino', %s, %s)", method, replication)


@pytest.mark.parametrize(
    "method, replication, kind",
    [("h", "s", "a distributed table of Citus"), ("n", "t", "a reference table of Citus"), ("n", "s", "a local table that Citus manages")],
)
def test_tables_of_citus_are_refused_when_the_stream_is_made(db, source, method, replication, kind):
    db.execute("CREATE TABLE destino (id bigint PRIMARY KEY, nombre text)")
    mark_distributed(db, method, replication)
    with pytest.raises(psycopg.Error, match=kind) as refused:
        db.create_stream("piezas", "taller", "piezas", target="destino")
    assert "undistribute_table('public.destino')" in refused.value.diag.message_hint


AFTERWARDS = {
    "rule": "CREATE TABLE t (LIKE destino); CREATE RULE desvio AS ON INSERT TO destino DO INSTEAD INSERT INTO t VALUES (NEW.*)",
    "child": "CREATE EXTENSION postgres_fdw; CREATE SERVER lejos FOREIGN DATA WRAPPER postgres_fdw; CREATE FOREIGN TABLE fuera () INHERITS (destino) SERVER lejos",
    "citus": None,
    "view": "CREATE TABLE t (LIKE destino INCLUDING ALL); INSERT INTO t TABLE destino; DROP TABLE destino; CREATE VIEW destino AS TABLE t",
}


@pytest.mark.parametrize("empty", [True, False], ids=["first-load", "later"])
@pytest.mark.parametrize("change", AFTERWARDS.values(), ids=AFTERWARDS)
def test_what_a_target_becomes_is_seen_by_each_run(db, source, change, empty):
    db.execute("CREATE TABLE destino (id bigint PRIMARY KEY, nombre text)")
    db.create_stream("piezas", "taller", "piezas", target="destino")
    if not empty:
        db.run("piezas")
        source.execute("UPDATE piezas SET nombre = 'otra'")
    if change:
        db.execute(change)
    else:
        mark_distributed(db)
    run = db.run("piezas", expect="failed")
    assert run["sqlstate"] in ("0A000", "42809") and run["inserted"] + run["updated"] == 0
    with pytest.raises(psycopg.Error):
        db.execute("CALL sync_run('piezas')")
    table = "t" if change and "VIEW" in change else "destino"
    assert db.value(f"SELECT count(*) FROM ONLY {table} WHERE nombre = 'otra'") == 0
    assert db.value(f"SELECT count(*) FROM ONLY {table}") == (0 if empty else ROWS)


def test_a_parent_whose_trigger_fills_its_children_works(db, source):
    """Partitions as they were made before PostgreSQL had them."""
    db.execute(
        "CREATE TABLE destino (id bigint PRIMARY KEY, nombre text);"
        "CREATE TABLE bajos (CHECK (id < 100), PRIMARY KEY (id)) INHERITS (destino);"
        "CREATE TABLE altos (CHECK (id >= 100), PRIMARY KEY (id)) INHERITS (destino);"
        "CREATE FUNCTION reparte() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.id < 100 THEN INSERT INTO public.bajos VALUES (NEW.*); ELSE INSERT INTO public.altos VALUES (NEW.*); END IF;"
        " RETURN NULL; END $$;"
        "CREATE TRIGGER reparte BEFORE INSERT ON destino FOR EACH ROW EXECUTE FUNCTION reparte()"
    )
    db.create_stream("piezas", "taller", "piezas", target="destino", options={"batch_rows": 100})
    db.run("piezas")
    assert db.query("SELECT tableoid::regclass::text, count(*) FROM destino GROUP BY 1 ORDER BY 1") == [("altos", 151), ("bajos", 99)]
    source.execute("UPDATE piezas SET nombre = 'otra' WHERE id IN (5, 205)")
    run = db.run("piezas")
    assert (run["updated"], run["unchanged"]) == (2, ROWS - 2)
    assert db.value("SELECT count(*) FROM destino") == ROWS


def test_a_trigger_that_takes_rows_away_is_its_owners_wish(db, source):
    """A table that serves as an inbox is empty after each batch."""
    db.execute(
        "CREATE TABLE destino (id bigint PRIMARY KEY, nombre text); CREATE TABLE archivo (id bigint PRIMARY KEY, nombre text);"
        "CREATE FUNCTION recoge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO public.archivo TABLE public.destino ON CONFLICT DO NOTHING; DELETE FROM public.destino; RETURN NULL; END $$;"
        "CREATE TRIGGER recoge AFTER INSERT ON destino FOR EACH STATEMENT EXECUTE FUNCTION recoge()"
    )
    db.create_stream("piezas", "taller", "piezas", target="destino")
    assert db.run("piezas")["inserted"] == ROWS
    assert db.value("SELECT count(*) FROM archivo") == ROWS


def test_rows_that_their_writer_may_not_see_fail_the_run(db, source):
    """He would insert them again in each run, as the table looks empty to him."""
    db.execute("CREATE ROLE escribano; GRANT USAGE ON FOREIGN SERVER taller TO escribano")
    try:
        db.execute(
            "CREATE TABLE destino (id bigint PRIMARY KEY, nombre text); GRANT SELECT, INSERT, UPDATE ON destino TO escribano;"
            "ALTER TABLE destino ENABLE ROW LEVEL SECURITY; CREATE POLICY a ON destino FOR INSERT WITH CHECK (true);"
            "CREATE POLICY b ON destino FOR SELECT USING (false)"
        )
        db.create_stream("piezas", "taller", "piezas", target="destino")
        db.alter_stream("piezas", owner="escribano")
        run = db.run("piezas", expect="failed")
        assert "are not found there" in run["message"] and "row-level security" in run["message"]
        assert db.value("SELECT count(*) FROM destino") == 0
    finally:
        db.execute("DROP OWNED BY escribano; DROP ROLE escribano")
