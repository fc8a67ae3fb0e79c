"""Code that belongs to a stream's owner (triggers, expressions, policies, casts) runs as the owner and as nobody else,
whoever runs the stream, and leaves nothing behind in the session that ran it."""

import psycopg
import pytest
from harness import Database

# What each piece of the owner's code tries, once. None of these may work while somebody else runs the stream.
FORBIDDEN = [
    "SET ROLE postgres",
    "SET LOCAL ROLE postgres",
    "RESET ROLE",
    "SET SESSION AUTHORIZATION postgres",
    "RESET SESSION AUTHORIZATION",
    "SELECT set_config('role', 'postgres', true)",
    "SELECT set_config('session_authorization', 'postgres', false)",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "CREATE ROLE evil_child SUPERUSER",
    "CREATE TEMP TABLE evil_temp (x int)",
    "CREATE TEMP VIEW evil_view AS SELECT 1",
    "LISTEN evil",
    "PREPARE evil AS SELECT 1",
    "DECLARE evil CURSOR WITH HOLD FOR SELECT 1",
    "COMMIT",
    "DO 'BEGIN COMMIT; END'",
    "CALL sync_run('malo')",
    "ALTER SYSTEM SET log_statement = 'all'",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT passwd FROM pg_shadow",
    "SELECT umoptions FROM pg_user_mapping",
    "LOAD 'pg_insync'",
    "SET session_replication_role = replica",
    "SET insync.connector = '/bin/true'",
    "SET insync.odbc_drivers = '*'",
    "UPDATE insync.stream SET owner = 'postgres'",
    "DELETE FROM insync.watermark",
    "INSERT INTO insync.run (stream_id, stream, mode, status, trigger) SELECT id, name, 'full', 'queued', 'request' FROM insync.stream",
    "ALTER TABLE insync.stream DISABLE ROW LEVEL SECURITY",
    "CREATE FUNCTION insync.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT sync_grant('public')",
    "SELECT evil.as_postgres()",
]

# These are an owner's right, and must not outlive the run.
FLEETING = [
    "SELECT set_config('search_path', 'evil, pg_catalog', false)",
    "SELECT set_config('lc_monetary', 'C', false), set_config('array_nulls', 'off', false)",
    "SELECT set_config('DateStyle', 'SQL, DMY', false)",
    "SELECT set_config('evil.mark', 'here', false)",
    "SET standard_conforming_strings = off",
    "SET CONSTRAINTS ALL DEFERRED; INSERT INTO evil.later VALUES (1)",
]

SCHEMA = """
CREATE TABLE evil.caught (place text, attempt text, outcome text, who text DEFAULT current_user);
CREATE TABLE evil.later (x int);
CREATE TABLE evil.attempts (attempt text);
CREATE FUNCTION evil.note(place text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    item record;
BEGIN
    INSERT INTO evil.caught VALUES (note.place, '', 'reached');
    IF (SELECT count(*) FROM evil.caught AS c WHERE c.place = note.place AND c.attempt = '') = 1 THEN
        FOR item IN SELECT * FROM evil.attempts LOOP
            BEGIN
                EXECUTE item.attempt;
                INSERT INTO evil.caught VALUES (note.place, item.attempt, 'done');
            EXCEPTION WHEN OTHERS THEN
                INSERT INTO evil.caught VALUES (note.place, item.attempt, SQLSTATE || ' ' || SQLERRM);
            END;
        END LOOP;
    END IF;
    RETURN 'x';
END $$;
CREATE FUNCTION evil.quietly(place text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN evil.note(place); END $$;
CREATE FUNCTION evil.on_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM evil.note(TG_ARGV[0]);
    RETURN coalesce(NEW, OLD);
END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON evil.later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil.on_row('later');
CREATE DOMAIN evil.name AS text CHECK (evil.note('domain') = 'x' OR VALUE IS NULL);
CREATE TYPE evil.color AS ENUM ('red');
CREATE FUNCTION evil.to_color(text) RETURNS evil.color LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.note('cast'); RETURN 'red'::evil.color; END $$;
CREATE CAST (text AS evil.color) WITH FUNCTION evil.to_color(text) AS ASSIGNMENT;
CREATE TABLE evil.ventas (
    id bigint PRIMARY KEY, producto evil.name, cantidad int CHECK (evil.note('check') = 'x' AND cantidad < 100), precio numeric,
    actualizado timestamp, color evil.color, more text, defaulted text DEFAULT evil.note('default'),
    generated text GENERATED ALWAYS AS (evil.quietly('generated')) STORED);
CREATE INDEX ON evil.ventas ((cantidad::text || evil.quietly('index')));
CREATE INDEX ON evil.ventas (precio) WHERE evil.quietly('index predicate') = 'x';
CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON evil.ventas FOR EACH ROW EXECUTE FUNCTION evil.on_row('before');
CREATE TRIGGER b AFTER INSERT OR UPDATE OR DELETE ON evil.ventas FOR EACH ROW EXECUTE FUNCTION evil.on_row('after');
CREATE TRIGGER c AFTER INSERT OR UPDATE ON evil.ventas FOR EACH STATEMENT EXECUTE FUNCTION evil.on_row('statement');
CREATE CONSTRAINT TRIGGER d AFTER INSERT OR UPDATE ON evil.ventas DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil.on_row('deferred');
ALTER TABLE evil.ventas ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON evil.ventas USING (evil.note('policy') = 'x') WITH CHECK (evil.note('policy check') = 'x');
CREATE TABLE evil.child (id bigint REFERENCES evil.ventas ON DELETE CASCADE);
CREATE TRIGGER a BEFORE DELETE ON evil.child FOR EACH ROW EXECUTE FUNCTION evil.on_row('cascade');
"""

PLACES = {"domain", "cast", "check", "default", "generated", "index", "index predicate", "before", "after", "statement", "deferred",
          "policy", "policy check", "columns", "filter"}  # fmt: skip


@pytest.fixture
def mallory(db, shop):
    """An owner whose table and stream are full of code, connected; the stream is called `malo`."""
    name = f"mallory_{db.name}"
    db.execute(f"CREATE ROLE {name} LOGIN")
    db.execute("SELECT sync_grant(%s)", name)
    db.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {name}")
    db.execute(f"CREATE SCHEMA evil AUTHORIZATION {name}")
    session = Database(db.cluster, db.name, name)
    session.execute(SCHEMA)
    # A superuser's carelessness: the clause is refused when the function is called.
    db.execute("CREATE FUNCTION evil.as_postgres() RETURNS text LANGUAGE sql SET role = 'postgres' AS 'SELECT current_user::text'")
    session.create_stream(
        "malo", "tienda", "ventas", target="evil.ventas", watermark="actualizado",
        options={"columns": {"color": "'red'::text", "more": "evil.note('columns')"}, "filter": "evil.note('filter') = 'x'"},
    )  # fmt: skip
    # What is planned at the definition may run the owner's code already: as the owner, who made it.
    assert session.query("SELECT DISTINCT who FROM evil.caught WHERE who <> %s", name) == []
    session.execute("TRUNCATE evil.caught")
    for attempt in FORBIDDEN + FLEETING:
        session.execute("INSERT INTO evil.attempts VALUES (%s)", attempt)
    yield session
    session.close()
    db.execute(f"DROP OWNED BY {name} CASCADE")
    db.execute(f"DROP ROLE {name}")


STATE = """
SELECT current_user, session_user, current_setting('role'), current_setting('search_path'), current_setting('lc_monetary'), current_setting('array_nulls'),
       current_setting('DateStyle'), current_setting('standard_conforming_strings'), current_setting('session_replication_role'),
       coalesce(current_setting('evil.mark', true), ''), current_setting('insync.connector'), current_setting('transaction_isolation'),
       (SELECT array_agg(c) FROM pg_listening_channels() AS c), (SELECT count(*) FROM pg_prepared_statements WHERE name = 'evil'),
       (SELECT count(*) FROM pg_cursors WHERE name = 'evil'), pg_my_temp_schema()"""


def run_by(db, how, act):
    """Has `act` done by a worker or in a superuser's session, whose state must be as before."""
    if how == "worker":
        return act(db.execute, db)
    with db.connect() as session:
        before = session.execute(STATE).fetchone()
        act(session.execute, None)
        assert session.execute(STATE).fetchone() == before


def verify(db, mallory, places):
    """To be called before anybody else touches the table: planning a query on it calls its index expressions. Every place was reached, as the owner only, and nothing that is forbidden worked."""
    assert db.query("SELECT * FROM evil.caught WHERE who <> %s", mallory.user) == []
    reached = {place for (place,) in db.query("SELECT DISTINCT place FROM evil.caught")}
    assert places <= reached, places - reached
    done = db.query("SELECT DISTINCT place, attempt FROM evil.caught WHERE outcome = 'done' AND attempt = ANY (%s)", FORBIDDEN)
    assert done == []
    tried = db.value("SELECT count(DISTINCT attempt) FROM evil.caught WHERE place = 'before' OR place = 'cascade'")
    assert tried == 1 + len(FORBIDDEN) + len(FLEETING)
    assert not db.value("SELECT rolsuper FROM pg_roles WHERE rolname = %s", mallory.user)
    assert db.query("SELECT * FROM pg_roles WHERE rolname = 'evil_child'") == []
    assert db.value("SELECT owner::text FROM insync.stream") == mallory.user
    assert db.value("SELECT relrowsecurity FROM pg_class WHERE oid = 'insync.stream'::regclass")


@pytest.mark.parametrize("how", ["worker", "superuser"])
def test_a_run_is_its_owner_s(db, mallory, how):
    def act(execute, workers):
        if workers:
            assert workers.run("malo")["inserted"] == 5
        else:
            execute("CALL sync_run('malo')")

    run_by(db, how, act)
    verify(db, mallory, PLACES)
    assert mallory.value("SELECT count(*) FROM evil.ventas") == 5


@pytest.mark.parametrize("how", ["worker", "superuser"])
def test_a_second_run_that_updates_and_deletes_is_its_owner_s(db, shop, mallory, how):
    mallory.execute("SELECT sync_alter('malo', '{\"deletes\": \"hard\", \"max_deletes\": \"100%\"}')")
    db.run("malo")
    mallory.execute("INSERT INTO evil.child VALUES (1)")
    mallory.execute("TRUNCATE evil.caught")
    shop.execute("UPDATE ventas SET cantidad = cantidad + 1")
    shop.execute("DELETE FROM ventas WHERE id = 1")

    def act(execute, workers):
        if workers:
            assert workers.run("malo", "full")["deleted"] == 1
        else:
            execute("CALL sync_run('malo', 'full')")

    run_by(db, how, act)
    verify(db, mallory, (PLACES | {"cascade"}) - {"default"})
    assert mallory.value("SELECT count(*) FROM evil.ventas") == 4


def test_a_replay_is_its_owner_s(db, shop, mallory):
    mallory.execute("ALTER TABLE evil.ventas ADD CONSTRAINT few CHECK (cantidad < 3)")
    assert db.run("malo")["rejected"] == 2
    mallory.execute("ALTER TABLE evil.ventas DROP CONSTRAINT few")
    mallory.execute("TRUNCATE evil.caught")
    run_by(db, "superuser", lambda execute, _: execute("SELECT * FROM sync_replay('malo')"))
    verify(db, mallory, PLACES)
    assert mallory.value("SELECT count(*) FROM evil.ventas") == 5


@pytest.mark.parametrize("statement", ["SELECT * FROM sync_status()", "SELECT * FROM sync_status('m%%')", "TABLE insync.status",
                                       "TABLE insync.progress", "SELECT * FROM sync_preview('tienda', 'ventas')",
                                       "SELECT * FROM sync_pause('%%')", "SELECT * FROM sync_cancel('%%')"])  # fmt: skip
def test_who_looks_runs_no_code_of_others(db, mallory, statement):
    db.query(statement)
    assert db.query("SELECT * FROM evil.caught") == []


@pytest.mark.parametrize("statement", ["SELECT * FROM sync_explain('malo')", "SELECT sync_alter('malo', '{\"lookback\": \"1 hour\"}')",
                                       "SELECT sync_reset('malo')", "SELECT sync_drop('malo')", "SELECT sync_drop('hecho', true)"])  # fmt: skip
def test_what_a_superuser_does_with_a_stream_is_its_owner_s(db, mallory, statement):
    mallory.execute("DROP TABLE evil.child")
    mallory.create_stream("hecho", "tienda", "ventas", target="evil.hecho")  # the one of which it has made the table
    mallory.execute("TRUNCATE evil.caught")
    run_by(db, "superuser", lambda execute, _: execute(statement))
    if "drop" not in statement:
        assert db.query("SELECT * FROM evil.caught WHERE who <> %s", mallory.user) == []


def test_partitions_are_routed_as_the_owner(db, mallory):
    mallory.execute(
        """CREATE TABLE evil.parted (id bigint PRIMARY KEY, producto text, cantidad int) PARTITION BY HASH (id);
           CREATE TABLE evil.part PARTITION OF evil.parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
           CREATE TRIGGER a BEFORE INSERT ON evil.part FOR EACH ROW EXECUTE FUNCTION evil.on_row('before')"""
    )
    mallory.create_stream("partes", "tienda", "ventas", target="evil.parted")
    run_by(db, "superuser", lambda execute, _: execute("CALL sync_run('partes')"))
    assert db.value("SELECT count(*) FROM evil.part") == 5
    assert db.query("SELECT DISTINCT who FROM evil.caught") == [(mallory.user,)]


@pytest.mark.parametrize("definition", ["CREATE VIEW evil.other AS SELECT id, producto FROM evil.ventas",
                                        "CREATE MATERIALIZED VIEW evil.other AS SELECT id, producto FROM evil.ventas",
                                        "CREATE SEQUENCE evil.other"])  # fmt: skip
def test_a_target_is_a_table(mallory, definition):
    mallory.execute(definition)
    with pytest.raises(psycopg.Error, match="is not a table"):
        mallory.create_stream("otra", "tienda", "ventas", target="evil.other", key="id")


def test_a_rule_writes_as_the_owner(db, mallory):
    """MERGE knows no rules, so such a target is refused in words, or its rule acts with the owner's rights."""
    mallory.execute("CREATE TABLE evil.ruled (id bigint PRIMARY KEY, producto text)")
    mallory.execute("CREATE RULE r AS ON INSERT TO evil.ruled DO ALSO SELECT evil.note('rule')")
    with pytest.raises(psycopg.Error, match="rule"):
        mallory.create_stream("regla", "tienda", "ventas", target="evil.ruled")
    assert db.query("SELECT * FROM evil.caught WHERE who <> %s", mallory.user) == []


def test_a_replay_fires_the_callers_triggers_as_the_caller(db, mallory):
    """What the caller's own transaction has deferred isn't the stream owner's to do."""
    mallory.execute("ALTER TABLE evil.ventas ADD CONSTRAINT few CHECK (cantidad < 3)")
    db.run("malo")
    mallory.execute("ALTER TABLE evil.ventas DROP CONSTRAINT few")
    db.execute("CREATE SCHEMA mine")
    db.execute(
        """CREATE TABLE mine.t (x int); CREATE TABLE mine.who (who text DEFAULT current_user);
           CREATE FUNCTION mine.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO mine.who DEFAULT VALUES; RETURN NULL; END $$;
           CREATE CONSTRAINT TRIGGER t AFTER INSERT ON mine.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION mine.note()"""
    )
    with db.connect(autocommit=False) as session:
        session.execute("INSERT INTO mine.t VALUES (1)")
        assert session.execute("SELECT rejected FROM sync_replay('malo')").fetchone() == (0,)
        session.commit()
    assert db.query("SELECT who FROM mine.who") == [("postgres",)]
