"""Who may do what: nothing is PUBLIC's, streams run as their owner, credentials stay in user mappings."""

import os

import psycopg
import pytest
from harness import Database, wait_for
from harness.environment import PG_MAJOR


def as_role(db, role):
    return Database(db.cluster, db.name, role)


@pytest.fixture
def role(db):
    """A login role without any rights, dropped with what it owns."""
    name = f"analista_{db.name}"
    db.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    db.execute(f"DROP OWNED BY {name} CASCADE")
    db.execute(f"DROP ROLE {name}")


@pytest.fixture
def granted(db, shop, role):
    """A role that may use the extension and the server `tienda`, connected."""
    db.execute("SELECT sync_grant(%s)", role)
    db.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {role}")
    db.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    session = as_role(db, role)
    yield session
    session.close()


def refused(db, sql, *parameters, sqlstate="42501"):
    with pytest.raises(psycopg.Error) as raised:
        db.execute(sql, *parameters)
    assert raised.value.sqlstate == sqlstate, raised.value
    return raised.value


def test_nothing_is_granted_to_public(db):
    functions = db.query(
        """SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
           JOIN pg_extension e ON e.oid = d.refobjid AND d.deptype = 'e' AND e.extname = 'pg_insync'
           WHERE has_function_privilege('public', p.oid, 'EXECUTE')"""
    )
    assert functions == []
    tables = db.query(
        """SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'insync'::regnamespace AND relkind IN ('r', 'v')
           AND has_table_privilege('public', oid, 'SELECT, INSERT, UPDATE, DELETE')"""
    )
    assert tables == []
    assert not db.value("SELECT has_schema_privilege('public', 'insync', 'USAGE')")


def test_a_stranger_can_do_nothing(db, shop, role):
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    stranger = as_role(db, role)
    for call in ("sync_status()", "sync_trigger('ventas')", "sync_create('x', 'tienda', 'ventas')", "sync_drop('ventas')",
                 "sync_test('tienda')", "sync_preview('tienda', 'ventas')", "sync_options()"):  # fmt: skip
        refused(stranger, f"SELECT * FROM {call}")
    for table in ("stream", "run", "error", "watermark", "status", "progress"):
        refused(stranger, f"SELECT * FROM insync.{table}")
    stranger.close()


def test_a_granted_role_needs_usage_on_the_server(db, shop, role):
    db.execute("SELECT sync_grant(%s)", role)
    session = as_role(db, role)
    refused(session, "SELECT * FROM sync_create('v', 'tienda', 'ventas')")
    refused(session, "SELECT * FROM sync_preview('tienda', 'ventas')")
    session.close()


def test_a_stream_runs_with_its_owner_s_rights(db, granted):
    granted.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    assert granted.run("ventas")["inserted"] == 5
    assert db.value("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'ventas'::regclass") == granted.user
    db.execute("ALTER TABLE ventas OWNER TO postgres")
    db.execute("UPDATE ventas SET cantidad = 0")
    granted.execute("SELECT sync_reset('ventas')")
    run = granted.run("ventas", expect="failed")
    assert run["sqlstate"] == "42501"


@pytest.fixture
def colleague(db):
    """A role that may use the extension, and may not log in."""
    name = f"colega_{db.name}"
    db.execute(f"CREATE ROLE {name}")
    db.execute("SELECT sync_grant(%s)", name)
    db.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {name}")
    yield name
    db.execute(f"DROP OWNED BY {name} CASCADE")
    db.execute(f"DROP ROLE {name}")


def test_a_stream_is_given_only_to_who_the_giver_may_become(db, granted, colleague):
    """Otherwise its expressions would run with the rights of somebody who never asked for it."""
    granted.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    db.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ventas TO {colleague}")
    give = "SELECT sync_alter('ventas', jsonb_build_object('owner', %s::text))"
    refused(granted, give, colleague)
    refused(granted, give, "postgres")
    if PG_MAJOR >= 16:  # a member without the right to SET ROLE
        db.execute(f"GRANT {colleague} TO {granted.user} WITH SET FALSE, INHERIT TRUE")
        refused(granted, give, colleague)
        db.execute(f"GRANT {colleague} TO {granted.user} WITH SET TRUE")
    else:
        db.execute(f"GRANT {colleague} TO {granted.user}")
    granted.execute(give, colleague)
    assert db.value("SELECT owner FROM insync.stream WHERE name = 'ventas'") == colleague
    assert db.run("ventas")["inserted"] == 5


def test_code_in_a_stream_has_no_more_rights_than_its_owner(db, granted):
    """Expressions and triggers of a role can't act as the superuser who runs or replays the stream."""
    granted.execute("CREATE FUNCTION public.quien() RETURNS text LANGUAGE sql VOLATILE AS 'SELECT current_user::text'")
    granted.create_stream("ventas", "tienda", "ventas", watermark="actualizado", options={"columns": {"hecho_por": "public.quien()"}})
    db.execute("CALL sync_run('ventas')")
    assert db.query("SELECT DISTINCT hecho_por FROM ventas") == [(granted.user,)]


def test_a_shadowing_operator_is_not_reached(db, granted):
    """A search path set by the owner does not lead the worker's own statements to the owner's operators."""
    granted.execute("CREATE FUNCTION public.igual(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'shadowed'; END$$")
    granted.execute("CREATE OPERATOR public.= (leftarg = bigint, rightarg = bigint, function = public.igual)")
    granted.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    assert granted.run("ventas")["rejected"] == 0


def test_others_streams_are_out_of_reach(db, granted):
    db.create_stream("suya", "tienda", "ventas", watermark="actualizado")
    db.run("suya")
    assert granted.query("SELECT * FROM sync_status()") == []
    for table in ("stream", "run", "error", "watermark"):
        assert granted.query(f"SELECT * FROM insync.{table}") == []
    for call in ("sync_drop('suya')", "sync_alter('suya', '{}')", "sync_reset('suya')", "sync_replay('suya')", "sync_explain('suya')"):
        with pytest.raises(psycopg.Error) as raised:
            granted.execute(f"SELECT {call}")
        assert raised.value.sqlstate in ("42501", "42704", "P0002"), raised.value
    with pytest.raises(psycopg.Error):
        granted.execute("CALL sync_run('suya')")


def test_an_owner_does_not_write_the_bookkeeping(granted):
    granted.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    refused(granted, "UPDATE insync.watermark SET position = NULL")
    refused(granted, "UPDATE insync.stream SET owner = 'postgres'")
    refused(granted, "DELETE FROM insync.run")


@pytest.mark.parametrize("option", ["driver 'SQLite3'", "dsn 'x'", "connection_string 'DRIVER=SQLite3'"])
def test_only_a_superuser_names_drivers(db, role, option):
    db.execute(f"GRANT USAGE ON FOREIGN DATA WRAPPER insync_odbc TO {role}")
    session = as_role(db, role)
    refused(session, f"CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS ({option})")
    session.close()


def test_a_server_s_owner_does_not_change_its_driver(db, shop, role):
    db.execute(f"GRANT USAGE ON FOREIGN DATA WRAPPER insync_odbc TO {role}")
    db.execute(f"ALTER SERVER tienda OWNER TO {role}")
    session = as_role(db, role)
    refused(session, "ALTER SERVER tienda OPTIONS (SET driver 'MariaDB Unicode')")
    session.close()


def test_passwords_are_seen_nowhere(db, mariadb):
    secret = mariadb.server.password
    mariadb.query("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
    with db.cluster.log_of() as log:
        db.create_server("shop", **mariadb.server_options)
        db.create_stream("t", "shop", "t")
        run_id = db.trigger("t")
        for pid in db.cluster.connectors():
            for name in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{pid}/{name}", "rb") as file:
                        assert secret.encode() not in file.read()
                except FileNotFoundError:
                    pass
        db.wait(run_id)
        mariadb.query("DROP TABLE t")
        db.run("t", expect="failed")
        assert secret not in str(db.query("SELECT * FROM insync.stream, insync.run, insync.watermark"))
        assert secret not in str(db.query("SELECT * FROM sync_status()"))
        text = "\n".join(line for line in log().splitlines() if "CREATE USER MAPPING" not in line)
        assert secret not in text


def test_row_contents_stay_out_of_the_log(db, shop):
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, producto text, cantidad int CHECK (cantidad < 3), precio numeric, actualizado timestamp)")
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    with db.cluster.log_of() as log:
        assert db.run("ventas")["rejected"] == 2
        assert "Café molido" not in log()


def test_the_connector_has_a_clean_environment(own_db, sqlite):
    sqlite.script("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    own_db.create_server("tienda", **sqlite.server_options())
    own_db.create_stream("t", "tienda", "t")
    with own_db.connect(autocommit=False) as blocker:
        blocker.execute("INSERT INTO t VALUES (1)")
        run_id = own_db.trigger("t")
        connectors = wait_for(own_db.cluster.connectors, "a connector")
        with open(f"/proc/{connectors[0]}/environ", "rb") as file:
            names = {entry.split(b"=")[0].decode() for entry in file.read().split(b"\0") if entry}
        assert not {name for name in names if name.startswith(("PG", "LD_"))}, names
        data = str(own_db.cluster.data)
        opened = []
        for descriptor in os.listdir(f"/proc/{connectors[0]}/fd"):
            try:
                opened.append(os.readlink(f"/proc/{connectors[0]}/fd/{descriptor}"))
            except FileNotFoundError:
                pass
        assert not [path for path in opened if path.startswith(data)], opened
        blocker.rollback()
    own_db.wait(run_id)


def test_row_security_of_the_target_holds(db, granted):
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, producto text, cantidad int, precio numeric, actualizado timestamp)")
    db.execute(f"GRANT SELECT, INSERT, UPDATE ON ventas TO {granted.user}")
    db.execute("ALTER TABLE ventas ENABLE ROW LEVEL SECURITY")
    db.execute("CREATE POLICY pocas ON ventas USING (cantidad < 5) WITH CHECK (cantidad < 5)")
    granted.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    granted.trigger("ventas")
    status = granted.wait_for_state("ventas", "idle", "error", "recovering")
    assert db.value("SELECT count(*) FROM ventas WHERE cantidad >= 5") == 0, status


@pytest.mark.wall
def test_a_stream_s_sql_changes_no_setting_of_who_runs_it(db, granted, sqlite):
    """An expression that sets the search path must reach neither the extension's own statements, which run as its owner,
    nor the session that ran the stream."""
    db.execute(f"CREATE SCHEMA evil AUTHORIZATION {granted.user}")
    granted.execute("CREATE TABLE evil.caught (who text)")
    granted.execute(
        "CREATE FUNCTION evil.md5(text) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO evil.caught VALUES (current_user); RETURN pg_catalog.md5($1); END $$"
    )
    granted.execute("CREATE TABLE evil.ventas (id bigint PRIMARY KEY, producto text, cantidad int CHECK (cantidad < 3), w text)")
    granted.create_stream(
        "malo", "tienda", "ventas", target="evil.ventas",
        options={"columns": {"w": "set_config('search_path', 'evil, pg_catalog', false)"}},
    )
    with db.connect() as session:
        before = session.execute("SHOW search_path").fetchone()
        session.execute("CALL sync_run('malo')")
        assert session.execute("SHOW search_path").fetchone() == before
    assert db.value("SELECT count(*) FROM insync.error") > 0, "the run had rows to reject"
    assert db.query("SELECT who FROM evil.caught WHERE who = 'postgres'") == []
