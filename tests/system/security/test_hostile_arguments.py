"""Every function of the extension, called with arguments that make no sense: an error in words, and the server lives."""

import random

import psycopg
import pytest
from harness import Database

FUNCTIONS = """
SELECT p.oid::regprocedure::text AS signature, p.proname, n.nspname, p.prokind, p.proretset,
       (SELECT coalesce(array_agg(t::regtype::text ORDER BY i), '{}') FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, i)) AS types
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_insync') ORDER BY 1"""

DEEP = "[" * 2000 + "]" * 2000
TEXTS = ["", " ", "x", "tienda", "ventas", "mia", "%", "_", "%%%", "\\", "'", '"', "a,b", "{", '{"a', '{"a","a"}', ",", ",,", "{}", "x" * 100_000, "ñ" * 64, "☕" * 40,
         "a\nb", "\t", "$$", "%s%n%d", "'; DROP TABLE insync.stream; --", "SELECT", "SELECT 1", "select 1 as id;", "SELECT * FROM ventas WHERE id >= :watermark",
         "SELECT (((((((", "-1", "infinity", "9" * 400, "1 second", "* * * * *", "60 * * * *", "*/0 * * * *", "0-0/0 * * * *", "postgres", "public", "full", "incremental"]  # fmt: skip
JSONS = ["null", "true", "5", "1e300", '"x"', "[]", '[{"columns": 1}]', "{}", DEEP, '{"columns": ' + DEEP + "}", '{"columns": {"": "1"}}', '{"columns": {"x": ""}}',
         '{"columns": {"x": "1; SELECT 2"}}', '{"columns": {"x": "1)), ((2"}}', '{"columns": {"x": "1 --"}}', '{"columns": {"x": null}}', '{"columns": []}',
         '{"filter": "true) OR (true"}', '{"filter": "1"}', '{"filter": {}}', '{"": ""}', '{"name": ""}', '{"name": null}', '{"owner": null}', '{"owner": "nadie"}',
         '{"schedule": []}', '{"schedule": ""}', '{"page_rows": -1}', '{"page_rows": 1e10}', '{"page_rows": "9999999999999999999999"}', '{"time_zone": "../../etc/passwd"}',
         '{"calendar": "true) OR (true"}', '{"calendar": "1"}', '{"holidays": "x"}', '{"holidays": "insync.stream(id)"}', '{"open_days": "-"}', '{"short_below": "101%"}',
         '{"lookback": "-1 day"}', '{"max_rejects": "1000%"}', '{"deletes": "hard", "operation_column": "nada"}', '{"initial_watermark": "\'"}', '{"key": "x"}',
         '{"' + "k" * 10_000 + '": 1}', '{"columns": {"' + "k" * 200 + '": "1"}}']  # fmt: skip
VALUES = {
    "anyelement": ["1"],
    '"any"': ["1", "x"],
    "text": TEXTS,
    "name": [text for text in TEXTS if len(text) < 1000],
    "jsonb": JSONS,
    "integer": ["0", "-1", "1", "2147483647", "-2147483648"],
    "bigint": ["0", "-1", "1", "9223372036854775807", "-9223372036854775808"],
    "oid": ["0", "1", "1417", "1418", "2328", "4294967295"],
    "boolean": ["true", "false"],
    "interval": ["0", "-1 second", "-178000000 years", "178000000 years", "1 microsecond"],
    "timestamp without time zone": ["-infinity", "infinity", "4713-01-01 BC", "294276-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"],
    "timestamp with time zone": ["-infinity", "infinity", "4713-01-01 BC", "294276-12-31 23:59:59.999999+00", "1969-12-31 23:59:59.999999+00"],
    "text[]": ["{}", "{NULL}", "{a}", "{=}", "{a=}", "{=a}", "{driver=SQLite3,driver=SQLite3}", "{{a=b,c=d},{e=f,g=h}}", "[0:1]={a=b,c=d}", '{"a=b\nc"}', "{driver=" + "x" * 100_000 + "}"],
}  # fmt: skip
SENSIBLE = {"anyelement": "1", '"any"': "1", "text": "ventas", "name": "postgres", "jsonb": "{}", "integer": "1", "bigint": "1", "oid": "1417", "boolean": "false", "interval": "1 ms", "timestamp without time zone": "2026-01-01", "timestamp with time zone": "2026-01-01 00:00+00", "text[]": "{driver=SQLite3}"}


def call(function, arguments):
    """The statement that calls a function with these values, each a text or None."""
    given = ", ".join("NULL::" + kind if value is None else f"%s::{kind}" for kind, value in zip(function["types"], arguments))
    name = f'"{function["nspname"]}"."{function["proname"]}"({given})'
    statement = f"CALL {name}" if function["prokind"] == "p" else f"SELECT * FROM {name}"
    return statement, [value for value in arguments if value is not None]


def attempts(function):
    """All NULL, then each odd value at its place with sensible ones beside it, and NULLs beside it."""
    types = function["types"]
    yield [None] * len(types)
    for place, kind in enumerate(types):
        for beside in ([SENSIBLE[other] for other in types], [None] * len(types)):
            for value in [*VALUES[kind], None]:
                yield [*beside[:place], value, *beside[place + 1 :]]


def functions_of(db):
    found = db.dicts(FUNCTIONS)
    assert len(found) >= 20
    unknown = {kind for function in found for kind in function["types"]} - set(VALUES)
    assert not unknown, f"values for these types are wanted: {unknown}"
    return found


class Caller:
    """Calls functions in one session, which must outlive every call."""

    def __init__(self, session):
        self.session = session
        self.pid = session.value("SELECT pg_backend_pid()")
        self.calls = self.refusals = 0

    def call(self, statement, parameters):
        self.calls += 1
        try:
            self.session.execute(statement, *parameters)
        except psycopg.Error as error:
            self.refusals += 1
            shown = [str(parameter)[:60] for parameter in parameters]
            assert error.sqlstate is not None, f"{statement} {shown}: {error}"
            assert error.sqlstate[:2] not in ("XX", "57", "58") or error.sqlstate == "57014", f"{statement} {shown}: {error.sqlstate} {error}"
        # A function that changed the session, or lost it, would spoil what follows.
        assert self.session.connection.info.backend_pid == self.pid


@pytest.fixture
def world(db, shop):
    """The server `tienda`, streams `ventas` (the superuser's) and `mia` (an ordinary role's); gives both sessions."""
    name = f"caller_{db.name}"
    db.execute(f"CREATE ROLE {name} LOGIN")
    db.execute("SELECT sync_grant(%s)", name)
    db.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {name}; CREATE SCHEMA mio AUTHORIZATION {name}")
    session = Database(db.cluster, db.name, name)
    postmaster = db.cluster.postmaster_pid()
    for each, stream in ((db, "ventas"), (session, "mia")):
        each.execute("SET statement_timeout = '20s'")
        each.create_stream(stream, "tienda", "ventas", target="mio.ventas" if stream == "mia" else None, watermark="actualizado")
    with db.cluster.log_of() as log:
        yield {"superuser": db, "ordinary": session}
        assert db.cluster.postmaster_pid() == postmaster
        assert "was terminated by signal" not in log() and "server process" not in log()
    session.close()
    db.execute(f"DROP OWNED BY {name} CASCADE")
    db.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("role", ["superuser", "ordinary"])
def test_odd_arguments_are_refused_in_words(world, role):
    caller = Caller(world[role])
    functions = functions_of(world["superuser"])
    for function in functions:
        if function["proname"] == "sync_drop":
            continue  # its odd names are those of every other function, and it would end the play
        for arguments in attempts(function):
            caller.call(*call(function, arguments))
    assert caller.calls > 1000 and caller.refusals > 500
    assert world[role].value("SELECT 1") == 1


def test_random_arguments(world, seed):
    rng = random.Random(seed)
    caller = Caller(world["ordinary"])
    functions = [function for function in functions_of(world["superuser"]) if function["types"]]
    for _ in range(600):
        function = rng.choice(functions)
        caller.call(*call(function, [rng.choice([*VALUES[kind], SENSIBLE[kind], None]) for kind in function["types"]]))
    assert caller.refusals > 50


@pytest.mark.parametrize("statement", [
    "SELECT sync_run('ventas')", "CALL sync_status()", "SELECT * FROM sync_trigger('ventas') AS t (a, b, c)", "SELECT sync_trigger(s) FROM unnest(ARRAY['ventas', NULL, '%%']) AS s",
    "SELECT (sync_options()).*", "SELECT sync_explain(sync_explain('ventas')::text)", "SELECT count(*) FROM sync_options(), sync_options() AS o, sync_status()",
    "SELECT * FROM ROWS FROM (sync_options(), sync_status()) WITH ORDINALITY LIMIT 1", "SELECT * FROM sync_preview('tienda', 'ventas') AS p (a) LIMIT 0",
    "SELECT 1 WHERE EXISTS (SELECT FROM sync_status('ventas'))", "SELECT CASE WHEN false THEN sync_reset('ventas') END", "SELECT sync_drop(NULL, NULL), sync_drop(NULL)",
    "SELECT sync_preview('tienda', 'ventas', generate_series(-2, 2))", "SELECT sync_wait(i, '0 s') FROM generate_series(-1, 3) AS i",
    "SELECT sync_alter('ventas', jsonb_build_object('columns', jsonb_object_agg('c' || i, '1'))) FROM generate_series(1, 2000) AS i",
    "SELECT sync_create('x', 'tienda', 'ventas', options => jsonb_object_agg(i, i)) FROM generate_series(1, 5000) AS i",
    "SELECT sync_create('x', 'tienda', 'ventas', key => repeat('a,', 50000) || 'a')", "SELECT sync_create('x', 'tienda', 'SELECT ' || repeat('(', 5000) || '1' || repeat(')', 5000))",
    "SELECT sync_create('x', 'tienda', 'SELECT 1 AS id, ' || repeat('id,', 3000) || 'id FROM ventas', key => 'id')",
    "SELECT sync_alter('ventas', jsonb_build_object('filter', repeat('(', 20000) || 'true' || repeat(')', 20000)))",
    "SELECT sync_alter('ventas', jsonb_build_object('columns', jsonb_build_object('producto', repeat('NOT ', 50000) || 'true')))",
    "SELECT insync.is_owner(NULL), insync.is_owner('nadie'), insync.is_stream_owner(NULL), insync.is_stream_owner(-1)",
    "DO $$ BEGIN CALL sync_run('ventas'); END $$", "DO $$ BEGIN PERFORM sync_replay('ventas'); RAISE 'x'; EXCEPTION WHEN OTHERS THEN PERFORM sync_replay('ventas'); END $$",
    "BEGIN; DECLARE c CURSOR FOR SELECT * FROM sync_options(); FETCH 1 FROM c; MOVE 5 IN c; FETCH BACKWARD 1 FROM c; COMMIT",
    "CREATE TABLE made AS SELECT * FROM sync_status()", "CREATE FUNCTION f() RETURNS trigger LANGUAGE c AS '$libdir/pg_insync', 'sync_drop'; CREATE TABLE g (x int);"
    " CREATE TRIGGER t BEFORE INSERT ON g FOR EACH ROW EXECUTE FUNCTION f(); DROP TABLE g; DROP FUNCTION f()",
])  # fmt: skip
def test_odd_places(world, statement):
    caller = Caller(world["superuser"])
    try:
        caller.call(statement, [])
    finally:
        caller.session.execute("ROLLBACK")
    assert caller.session.value("SELECT count(*) FROM insync.stream") >= 2


def test_a_record_as_deep_as_jsonb_goes_is_replayed(world, shop):
    """insync.error.record is its owner's to write."""
    session = world["ordinary"]
    session.execute("ALTER TABLE mio.ventas ADD CONSTRAINT few CHECK (cantidad < 3)")
    assert session.run("mia")["rejected"] == 2
    caller = Caller(session)
    for record in (*JSONS, '{"id": ' + DEEP + "}", '{"id": "x", "cantidad": {}}', '{"id": 1e400}', '{"precio": "NaN"}', '{"actualizado": "infinity"}'):
        caller.call("UPDATE insync.error SET record = %s::jsonb", [record])
        caller.call("SELECT * FROM sync_replay('mia')", [])
    session.execute("DELETE FROM insync.error")


def test_an_ordinary_role_makes_no_function_of_the_library(world):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world["ordinary"].execute("CREATE FUNCTION mio.f(text, boolean) RETURNS void LANGUAGE c AS '$libdir/pg_insync', 'sync_drop'")
