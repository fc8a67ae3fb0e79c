"""What an ordinary role can't see or do: others' streams, rejects, runs and credentials, whatever it asks with."""

import psycopg
import pytest
from harness import Database


def refused(session, sql, *parameters, sqlstates=("42501",)):
    with pytest.raises(psycopg.Error) as raised:
        session.execute(sql, *parameters)
    assert raised.value.sqlstate in sqlstates, raised.value
    return raised.value


@pytest.fixture
def theirs(db, shop):
    """Streams of the superuser: `secreta`, which has rejected rows, and one that has failed."""
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, producto text, cantidad int CHECK (cantidad < 3), precio numeric, actualizado timestamp)")
    db.create_stream("secreta", "tienda", "ventas", watermark="actualizado")
    assert db.run("secreta")["rejected"] == 2
    db.create_stream("rota", "tienda", "ventas", target="roto")
    db.execute("DROP TABLE roto")
    db.run("rota", expect="failed")
    return db


@pytest.fixture
def stranger(db, theirs):
    """A role that may make streams of its own and has one, `mia`, connected."""
    name = f"stranger_{db.name}"
    db.execute(f"CREATE ROLE {name} LOGIN")
    db.execute("SELECT sync_grant(%s)", name)
    db.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {name}")
    db.execute(f"CREATE SCHEMA mio AUTHORIZATION {name}")
    session = Database(db.cluster, db.name, name)
    session.execute("CREATE TABLE mio.ventas (id bigint PRIMARY KEY, producto text, cantidad int CHECK (cantidad < 10))")
    session.create_stream("mia", "tienda", "ventas", target="mio.ventas")
    assert session.run("mia")["rejected"] == 1
    yield session
    session.close()
    db.execute(f"DROP OWNED BY {name} CASCADE")
    db.execute(f"DROP ROLE {name}")


RELATIONS = {"stream": "name", "watermark": "stream_id", "run": "stream", "error": "stream", "status": "stream", "progress": "stream", "coverage": "stream"}


@pytest.mark.parametrize("relation", RELATIONS)
def test_only_ones_own_rows_are_seen(theirs, stranger, relation):
    mine = {f"{stranger.value('SELECT id FROM insync.stream')}", "mia"}
    seen = {str(value) for (value,) in stranger.query(f"SELECT {RELATIONS[relation]} FROM insync.{relation}")}
    assert seen <= mine
    if relation != "progress":
        assert seen and len(theirs.query(f"SELECT 1 FROM insync.{relation}")) > len(stranger.query(f"SELECT 1 FROM insync.{relation}"))


LEAKY = """
CREATE FUNCTION mio.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END $$;
CREATE FUNCTION mio.leak_equal(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
    AS $$ BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END $$;
CREATE OPERATOR mio.=== (leftarg = text, rightarg = text, function = mio.leak_equal);
"""


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("condition", ["mio.leak({row}::text)", "{row}::text OPERATOR(mio.===) 'x'", "1 / (length({row}::text) - length({row}::text)) = 1"])
def test_a_leaky_condition_sees_only_ones_own_rows(theirs, stranger, relation, condition):
    """A cheap function in WHERE must come after the policies and after the views' own conditions."""
    stranger.execute(LEAKY)
    notices = []
    with stranger.connect() as session:
        session.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        session.execute("SET jit = off")  # plans that were switched off cost so much that it would compile them for seconds
        for planner in ("", "SET enable_seqscan = off", "SET enable_hashjoin = off"):
            if planner:
                session.execute(planner)
            try:
                session.execute(f"SELECT count(*) FROM insync.{relation} AS r WHERE {condition.format(row='r')}")
                if relation == "status":
                    session.execute(f"SELECT count(*) FROM sync_status('%') AS r WHERE {condition.format(row='r')}")
            except psycopg.errors.DivisionByZero:
                pass
    for secret in ("secreta", "rota", "Jamón", "Café", "roto"):
        assert secret not in "".join(notices)
    if "leak" in condition and relation != "progress":
        assert notices, "the function is called for the role's own rows"


def test_statistics_tell_nothing_of_others_rows(theirs, stranger):
    theirs.execute("ANALYZE insync.error, insync.stream, insync.run, insync.watermark")
    assert stranger.query("SELECT tablename, attname FROM pg_stats WHERE schemaname = 'insync'") == []
    refused(stranger, "SELECT * FROM pg_statistic")
    plan = str(stranger.query("EXPLAIN (COSTS OFF) SELECT * FROM insync.error WHERE message LIKE 'a%%'"))
    assert "secreta" not in plan


CALLS = ["sync_alter({name}, '{{}}')", "sync_drop({name})", "sync_drop({name}, true)", "sync_explain({name})", "sync_reset({name})",
         "sync_reset({name}, '2025-01-01')", "sync_replay({name})", "sync_ingest({name}, '{{}}')"]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_a_stream_of_somebody_elses_is_refused(theirs, stranger, call):
    before = theirs.query("SELECT * FROM insync.stream, insync.watermark ORDER BY 1")
    error = refused(stranger, "SELECT " + call.format(name="'secreta'"))
    assert str(error).splitlines()[0] == "must be owner of stream secreta"
    refused(stranger, "SELECT " + call.format(name="'nadie'"), sqlstates=("42704",))
    assert theirs.query("SELECT * FROM insync.stream, insync.watermark ORDER BY 1") == before
    assert len(theirs.errors("secreta")) == 2


@pytest.mark.parametrize("call", ["sync_trigger('%%')", "sync_trigger('s%%')", "sync_pause('%%')", "sync_resume('%%')", "sync_cancel('%%')", "sync_status('%%')",
                                  "sync_status('\\_%%')", "sync_trigger('%%______a')", "sync_gaps('%%')", "sync_coverage('%%')", "sync_coverage('%%______a')"])  # fmt: skip
def test_patterns_reach_ones_own_streams(theirs, stranger, call):
    with theirs.connect(autocommit=False) as blocker:
        blocker.execute("LOCK TABLE ventas IN ACCESS EXCLUSIVE MODE")
        run_id = theirs.trigger("secreta")
        assert {str(row[0]) for row in stranger.query(f"SELECT * FROM {call}")} <= {"mia"}
        blocker.rollback()
    assert theirs.wait(run_id) == "succeeded"
    assert theirs.value("SELECT NOT bool_or(paused) FROM insync.stream WHERE name = 'secreta'")


def test_sync_run_of_somebody_elses_stream_is_refused(theirs, stranger):
    refused(stranger, "CALL sync_run('secreta')")
    refused(stranger, "CALL sync_run('secreta', 'full')")


def test_runs_of_others_do_not_exist(theirs, stranger):
    """Run ids can be guessed; the answer must be the same as for one that was never given out."""
    others = [run for (run,) in theirs.query("SELECT id FROM insync.run WHERE stream <> 'mia'")]
    assert others
    for run in (*others, 987654321, 0, -1):
        error = refused(stranger, f"SELECT sync_wait({run})", sqlstates=("42704",))
        assert str(error).splitlines()[0] == f"run {run} does not exist"


def test_messages_suggest_no_names_of_others(theirs, stranger):
    """A name that is nearly right is helped to, but only to what the role may see."""
    assert "Perhaps you meant" in str(refused(theirs, "SELECT sync_reset('secretas')", sqlstates=("42704",)))
    for nearly in ("secretas", "sEcreta", "rot"):
        for call in (*CALLS, "sync_trigger({name})", "sync_pause({name})", "sync_cancel({name})", "sync_gaps({name})", "sync_coverage({name})"):
            error = refused(stranger, "SELECT " + call.format(name=f"'{nearly}'"), sqlstates=("42704",))
            assert "secreta" not in str(error).replace("secretas", "").replace("sEcreta", "") and '"rota"' not in str(error), error
    assert "mia" in str(refused(stranger, "SELECT sync_reset('mias')", sqlstates=("42704",)))


@pytest.mark.parametrize("statement", [
    "UPDATE insync.stream SET owner = current_user", "UPDATE insync.error SET message = ''", "UPDATE insync.error SET stream_id = 1",
    "INSERT INTO insync.error SELECT * FROM insync.error", "TRUNCATE insync.error", "DELETE FROM insync.run", "SELECT * FROM insync.mended",
    "UPDATE insync.home SET database_oid = 0", "DELETE FROM insync.home", "SELECT nextval('insync.run_id_seq')", "SELECT * FROM insync.error_id_seq",
    "CREATE TABLE insync.t (x int)", "CREATE TRIGGER t BEFORE UPDATE ON insync.error FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE POLICY p ON insync.error USING (true)", "ALTER VIEW insync.status SET (security_invoker = false)", "DO 'BEGIN LOCK TABLE insync.stream; END'",
    "CREATE TABLE mio.t (id int REFERENCES insync.stream)", "CREATE RULE r AS ON SELECT TO insync.status DO INSTEAD SELECT 1", "GRANT SELECT ON insync.mended TO PUBLIC",
    "COMMENT ON TABLE insync.run IS ''", "SELECT sync_grant('postgres')", "SELECT insync_odbc_validator('{}', 0)",
])  # fmt: skip
def test_the_books_are_the_extensions(theirs, stranger, statement):
    refused(stranger, statement)


def test_rejects_of_others_are_not_mended(theirs, stranger):
    before = theirs.query("SELECT * FROM insync.error ORDER BY id")
    mine = stranger.value("SELECT count(*) FROM insync.error")
    assert stranger.execute("UPDATE insync.error SET record = record || '{\"cantidad\": 5}'").rowcount == mine == 1
    assert stranger.execute("DELETE FROM insync.error").rowcount == mine
    assert theirs.query("SELECT * FROM insync.error WHERE stream = 'secreta' ORDER BY id") == [row for row in before if row[2] == "secreta"]


def test_credentials_of_others_are_not_read(db, mariadb, stranger):
    secret = mariadb.server.password
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    db.create_server("shop", **mariadb.server_options)
    db.execute(f"GRANT USAGE ON FOREIGN SERVER shop TO {stranger.user}")
    db.create_stream("t", "shop", "t")
    db.run("t")
    shown = ""
    for relation in ("pg_user_mappings", "information_schema.user_mapping_options", "pg_foreign_server", "information_schema.foreign_server_options",
                     "pg_stat_activity", "insync.run", "insync.stream", "sync_options()", "pg_settings", "pg_file_settings"):  # fmt: skip
        try:
            shown += str(stranger.query(f"SELECT * FROM {relation}"))
        except psycopg.errors.InsufficientPrivilege:
            pass
    assert secret not in shown and "s3cr3t" not in shown
    refused(stranger, "SELECT * FROM pg_user_mapping")
    # Without a mapping of its own the role has no credentials, and the refusal holds none.
    error = refused(stranger, "SELECT * FROM sync_preview('shop', 't')", sqlstates=("28000", "HV000"))
    assert "s3cr3t" not in str(error)
    assert "s3cr3t" not in str(stranger.query("SELECT * FROM sync_test('shop')"))


def test_locks_and_notifications_tell_no_names(theirs, stranger):
    told = []
    with stranger.connect() as listener:
        listener.add_notify_handler(told.append)
        for channel in ("insync", "pg_insync", "sync"):
            listener.execute(f"LISTEN {channel}")
        with theirs.connect(autocommit=False) as blocker:
            blocker.execute("LOCK TABLE ventas IN ACCESS EXCLUSIVE MODE")
            run_id = theirs.trigger("secreta")
            locks = stranger.query("SELECT locktype, classid, objid, objsubid, mode FROM pg_locks WHERE locktype = 'advisory'")
            texts = stranger.query("SELECT application_name, query FROM pg_stat_activity")
            blocker.rollback()
        assert theirs.wait(run_id) == "succeeded"
        listener.execute("SELECT 1")
        assert "secreta" not in str(locks) + str(texts) + str(told)


@pytest.mark.parametrize("take", ["pg_try_advisory_lock(1768846201, {id})", "pg_try_advisory_lock((1768846201::bigint << 32) | {id})",
                                  "pg_try_advisory_xact_lock(1768846201, {id})", "pg_try_advisory_lock_shared(1768846201, {id})"])  # fmt: skip
def test_nobody_stops_a_stream_with_an_advisory_lock(theirs, stranger, take):
    stream_id = theirs.value("SELECT id FROM insync.stream WHERE name = 'secreta'")
    with stranger.connect(autocommit=False) as session:
        session.execute(f"SELECT {take.format(id=stream_id)}")
        assert theirs.run("secreta")["status"] == "succeeded"
        session.rollback()
