"""First loads by COPY: they leave what the apply statement would leave, and give way where it does more."""

import pytest

from harness.database import literal

ROWS = 300
SOURCE = """CREATE TABLE tipos (id int PRIMARY KEY, b boolean, s smallint, i int, l bigint, n numeric, f real, d double precision,
    t text, x bytea, dt date, tm time, ts timestamp, tz timestamptz, u uuid, j jsonb)"""
FILL = f"""INSERT INTO tipos SELECT g, g % 2 = 0, g - 150, g * 1000 - 150000, g * 10000000000, g / 7.0, g / 8.0, g / 3.0::float8,
    'ñ ' || repeat(chr(97 + g % 26), g % 5), decode(lpad(to_hex(g), 4, '0'), 'hex'), date '2024-01-01' + g,
    time '00:00:00.123456' + g * interval '1 min', timestamp '2024-01-01 00:00:00.654321' + g * interval '1 hour',
    timestamptz '2024-03-30 22:00:00.5+01' + g * interval '10 min', ('00000000-0000-4000-8000-' || lpad(g::text, 12, '0'))::uuid,
    jsonb_build_object('n', g, 'é', NULL) FROM generate_series(1, {ROWS}) g"""
COLUMNS = "id bigint PRIMARY KEY, b boolean, s int, i smallint, l bigint, n numeric, f real, d float8, t text, x bytea, dt date, tm time,"
REST = " ts timestamp, tz timestamptz, u uuid, j jsonb"
PLAIN = COLUMNS.replace("i smallint", "i int") + REST


@pytest.fixture
def erp(db, postgres):
    postgres.query(SOURCE)
    postgres.query(FILL)
    postgres.query("UPDATE tipos SET b = NULL, s = NULL, n = NULL, t = NULL, j = NULL, ts = NULL WHERE id % 10 = 0")
    db.execute("CREATE EXTENSION pg_walinspect")
    db.create_server("erp", **postgres.server_options)
    return postgres


def copied_records(db, table, start):
    """Records of the log since then that hold several rows of the table: only COPY writes such."""
    return db.value(
        "SELECT count(*) FROM pg_get_wal_records_info(%s::pg_lsn, pg_current_wal_lsn()) WHERE record_type LIKE 'MULTI_INSERT%%'"
        " AND block_ref LIKE '%%/' || pg_relation_filenode(%s::regclass) || ' %%'",
        start, table,
    )  # fmt: skip


def load(db, name):
    """Loads the table of that name; its run, and how many records of the log COPY wrote for it."""
    db.create_stream(name, "erp", "tipos", target=name, options={"batch_rows": 100, "max_rejects": "100%"})
    start = db.value("SELECT pg_current_wal_lsn()")
    run = db.run(name)
    return run, copied_records(db, name, start)


def rejects(db, name):
    return sorted((e["key"]["id"], e["sqlstate"], e["column_name"] or "") for e in db.errors(name))


def compare(db, table):
    """The table filled by COPY and the same filled row by row, as it isn't empty when the run begins."""
    for name in ("copiada", "fundida"):
        db.execute(table.format(name=name))
    db.execute("INSERT INTO fundida (id) OVERRIDING SYSTEM VALUE VALUES (150)")
    run, records = load(db, "copiada")
    other, none = load(db, "fundida")
    assert none == 0
    assert run["inserted"] == other["inserted"] + other["updated"] + other["unchanged"] and run["rejected"] == other["rejected"]
    assert rejects(db, "copiada") == rejects(db, "fundida")
    if "150" in (key for key, *_ in rejects(db, "fundida")):
        db.execute("DELETE FROM fundida WHERE id = 150")
    assert db.query("SELECT c::text FROM copiada c ORDER BY id") == db.query("SELECT c::text FROM fundida c ORDER BY id")
    return run, records


@pytest.mark.wall
@pytest.mark.parametrize(
    "table",
    [
        f"CREATE TABLE {{name}} ({PLAIN})",
        # Other widths and lengths: what the type's own cast makes of them.
        "CREATE TABLE {name} (id int PRIMARY KEY, s bigint, i bigint, t varchar(10))",
        "CREATE TABLE {name} (id int PRIMARY KEY, s smallint, t char(9), j jsonb)",
        # Columns in another order, of its own, with defaults, generated, counted.
        "CREATE TABLE {name} (t text, propia text DEFAULT 'mía', id bigint PRIMARY KEY, doble bigint GENERATED ALWAYS AS (id * 2) STORED, l bigint)",
        "CREATE TABLE {name} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, l bigint)",
        "CREATE TABLE {name} (id bigint PRIMARY KEY, l bigint) PARTITION BY RANGE (id);"
        "CREATE TABLE {name}_1 PARTITION OF {name} FOR VALUES FROM (0) TO (120); CREATE TABLE {name}_2 PARTITION OF {name} DEFAULT",
    ],
)
def test_a_first_load_is_copied(db, erp, table):
    run, records = compare(db, table)
    assert (run["inserted"], run["rejected"]) == (ROWS, 0)
    assert records > 0 or "PARTITION" in table
    assert db.counts(db.run("copiada")) == (0, 0, ROWS, 0, 0), "the next run finds all as it should be"


@pytest.mark.parametrize(
    "table, sqlstate, bad",
    [
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, i smallint)", "22003", "i NOT BETWEEN -32768 AND 32767"),
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, l int)", "22003", "true"),
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, t varchar(4))", "22001", "char_length(t) > 4"),
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, n numeric(3,2))", "22003", "abs(round(n, 2)) >= 10 OR round(n, 2) <> n"),
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, t text NOT NULL)", "23502", "t IS NULL"),
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, dt date CHECK (dt < '2024-02-01' OR id = 150))", "23514", "dt >= '2024-02-01' AND id <> 150"),
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, b boolean, UNIQUE (b))", "23505", "id > 2 AND b IS NOT NULL"),
    ],
)
def test_a_bad_row_costs_one_row(db, erp, table, sqlstate, bad):
    if "NOT NULL" in table or "UNIQUE" in table:  # the row that makes the other table not empty would be in the way
        db.execute(table.format(name="copiada"))
        run, _ = load(db, "copiada")
    else:
        run, _ = compare(db, table)
    assert [int(e["key"]["id"]) for e in sorted(db.errors("copiada"), key=lambda e: int(e["key"]["id"]))] == [
        id for (id,) in erp.query(f"SELECT id FROM tipos WHERE {bad} ORDER BY id")
    ]
    assert run["inserted"] + run["rejected"] == ROWS
    assert {e["sqlstate"] for e in db.errors("copiada")} == {sqlstate}
    assert db.value("SELECT count(*) FROM copiada") == run["inserted"]


@pytest.mark.parametrize(
    "table, options",
    [
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, l text)", {}),
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, f float8)", {}),
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, l bigint)", {"filter": "l % 3 = 0 OR id = 150"}),
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, l bigint)", {"columns": {"l": "batch.l + 1"}}),
        ("CREATE TABLE {name} (tienda text DEFAULT '', id bigint, l bigint, PRIMARY KEY (tienda, id))", {"columns": {"tienda": "'T01'"}}),
        ("CREATE DOMAIN {name}_largo AS bigint CHECK (VALUE <> 5); CREATE TABLE {name} (id bigint PRIMARY KEY, l {name}_largo)", {}),
        ("CREATE TABLE {name} (id bigint PRIMARY KEY, ts timestamptz)", {"source_time_zone": "Europe/Madrid"}),
    ],
)
def test_what_has_to_be_computed_is_not_copied(db, erp, table, options):
    for name in ("copiada", "fundida"):
        db.execute(table.format(name=name))
    db.execute("INSERT INTO fundida (id) VALUES (150)" + (" ON CONFLICT DO NOTHING" if "tienda" not in table else ""))
    key = {"key": "tienda, id"} if "tienda" in table else {}
    for name in ("copiada", "fundida"):
        start = db.value("SELECT pg_current_wal_lsn()")
        db.create_stream(name, "erp", "tipos", target=name, options={"batch_rows": 100} | options, **key)
        db.run(name)
        assert copied_records(db, name, start) == 0
    if "tienda" in table:
        db.execute("DELETE FROM fundida WHERE tienda = ''")
    assert db.query("SELECT c::text FROM copiada c ORDER BY id") == db.query("SELECT c::text FROM fundida c ORDER BY id")
    assert db.value("SELECT count(*) FROM copiada") > 90


def test_triggers_have_their_say(db, erp):
    db.execute("CREATE TABLE copiada (id bigint PRIMARY KEY, t text)")
    db.execute(
        "CREATE FUNCTION antes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id % 3 = 0 AND NEW.id <> 150 THEN RETURN NULL; END IF;"
        " NEW.t := 'por el disparador'; RETURN NEW; END $$"
    )
    db.execute("CREATE TRIGGER antes BEFORE INSERT ON copiada FOR EACH ROW EXECUTE FUNCTION antes()")
    run, _ = load(db, "copiada")
    assert run["inserted"] == 201 and db.query("SELECT DISTINCT t FROM copiada") == [("por el disparador",)]


def test_row_security_and_rights_are_heeded(db, erp):
    db.execute("CREATE ROLE cargador")
    try:
        db.execute("GRANT USAGE ON FOREIGN SERVER erp TO cargador")
        user, password = (literal(erp.server_options[name]) for name in ("user", "password"))
        db.execute(f"CREATE USER MAPPING FOR cargador SERVER erp OPTIONS (user {user}, password {password})")
        db.execute("CREATE TABLE vigilada (id bigint PRIMARY KEY, l bigint)")
        db.execute("ALTER TABLE vigilada ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON vigilada USING (true) WITH CHECK (id <> 7)")
        db.execute("CREATE TABLE ajena (id bigint PRIMARY KEY, l bigint)")
        db.execute("CREATE TABLE porcolumna (id bigint PRIMARY KEY, l bigint, oculta text)")
        db.execute("GRANT SELECT, INSERT, UPDATE ON vigilada, ajena TO cargador")
        db.execute("GRANT SELECT (id, l), INSERT (id, l), UPDATE (id, l) ON porcolumna TO cargador")
        for name in ("vigilada", "ajena", "porcolumna"):
            db.create_stream(name, "erp", "tipos", target=name)
            db.execute("SELECT sync_alter(%s, '{\"owner\": \"cargador\"}')", name)
        start = db.value("SELECT pg_current_wal_lsn()")
        assert db.run("porcolumna")["inserted"] == ROWS and copied_records(db, "porcolumna", start) > 0
        db.execute("REVOKE INSERT ON ajena FROM cargador")
        assert db.run("ajena", expect="failed")["sqlstate"] == "42501"
        assert db.value("SELECT count(*) FROM ajena") == 0
        assert db.run("vigilada", expect="failed")["sqlstate"] == "42501"
        assert db.value("SELECT count(*) FROM vigilada") == 0
    finally:
        db.execute("DROP OWNED BY cargador; DROP ROLE cargador")


def test_a_client_in_another_encoding(db, erp):
    db.execute("CREATE TABLE latina (id bigint PRIMARY KEY, t text, j jsonb)")
    db.create_stream("latina", "erp", "tipos", target="latina")
    with db.connect() as connection:
        connection.execute("SET client_encoding = 'LATIN1'")
        connection.execute("CALL sync_run('latina')")
    assert db.query("SELECT id, t, j::text FROM latina ORDER BY id") == erp.query("SELECT id, t, j::text FROM tipos ORDER BY id")


@pytest.mark.parametrize(
    "domain, sqlstate", [("AS int NOT NULL", "23502"), ("AS text CHECK (VALUE IS NOT NULL)", "23514")], ids=["not-null", "check"]
)
def test_domains_of_other_columns_are_asked(db, erp, domain, sqlstate):
    """COPY leaves a column that it isn't given NULL, whatever its domain says to that."""
    db.execute(f"CREATE DOMAIN obligatorio {domain}")
    db.execute("CREATE TABLE copiada (id bigint PRIMARY KEY, l bigint, propia obligatorio)")
    run, _ = load(db, "copiada")
    assert (run["inserted"], run["rejected"]) == (0, ROWS)
    assert {e["sqlstate"] for e in db.errors("copiada")} == {sqlstate}


def test_a_check_that_reads_the_table_sees_the_rows_before(db, erp):
    db.execute("CREATE TABLE copiada (id bigint PRIMARY KEY, dt date)")
    db.execute(
        "CREATE FUNCTION libre(mes date) RETURNS boolean LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NOT EXISTS (SELECT FROM public.copiada c WHERE date_trunc('month', c.dt) = date_trunc('month', mes)); END $$"
    )
    db.execute("ALTER TABLE copiada ADD CHECK (libre(dt))")
    run, _ = load(db, "copiada")
    assert run["inserted"] == erp.query("SELECT count(DISTINCT date_trunc('month', dt)) FROM tipos")[0][0]


def test_a_table_that_takes_insert_alone(db, erp):
    """As those of TimescaleDB: its planner leads an INSERT elsewhere, and a trigger refuses what comes another way."""
    db.execute("CREATE TABLE copiada (id bigint PRIMARY KEY, l bigint)")
    db.execute(
        "CREATE FUNCTION solo_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_stat_clear_snapshot(); IF EXISTS (SELECT FROM pg_stat_progress_copy WHERE pid = pg_backend_pid()) THEN"
        " RAISE EXCEPTION 'invalid INSERT on the root table' USING ERRCODE = '0A000'; END IF; RETURN NEW; END $$"
    )
    db.execute("CREATE TRIGGER solo BEFORE INSERT ON copiada FOR EACH ROW EXECUTE FUNCTION solo_insert()")
    run, _ = load(db, "copiada")
    assert (run["inserted"], run["rejected"]) == (ROWS, 0)


def test_a_batch_without_rows_fires_no_trigger(db, erp):
    db.execute("CREATE TABLE copiada (id bigint PRIMARY KEY, tz timestamptz)")
    db.execute("CREATE TABLE disparos (filas bigint)")
    db.execute(
        "CREATE FUNCTION cuenta() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO public.disparos SELECT count(*) FROM nuevas; RETURN NULL; END $$"
    )
    db.execute("CREATE TRIGGER cuenta AFTER INSERT ON copiada REFERENCING NEW TABLE AS nuevas FOR EACH STATEMENT EXECUTE FUNCTION cuenta()")
    load(db, "copiada")
    assert db.query("SELECT filas FROM disparos") == [(100,)] * 3
    erp.query("CREATE TABLE vacia (id int PRIMARY KEY, tz timestamptz)")
    db.execute("TRUNCATE disparos; CREATE TABLE nada (LIKE copiada INCLUDING ALL)")
    db.execute("CREATE TRIGGER cuenta AFTER INSERT ON nada REFERENCING NEW TABLE AS nuevas FOR EACH STATEMENT EXECUTE FUNCTION cuenta()")
    db.create_stream("nada", "erp", "vacia", target="nada", watermark="tz")
    db.run("nada")
    assert db.query("SELECT filas FROM disparos") == []
