"""Who looks after a server without owning its streams: members of pg_monitor and roles that row security doesn't hold for
see the state of all streams, as a superuser does, and no values of rows."""

import psycopg
import pytest
from harness import Database


@pytest.fixture
def troubled(db, shop):
    """A stream with rejects and a gap, and one that fails."""
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, producto text, cantidad int CHECK (cantidad < 3), precio numeric, actualizado timestamp)")
    db.create_stream("secreta", "tienda", "ventas", target="ventas", watermark="actualizado", options={"slice_column": "actualizado"})
    assert db.run("secreta")["rejected"] == 2
    db.create_stream("rota", "tienda", "ventas", target="roto")
    db.execute("DROP TABLE roto")
    db.run("rota", expect="failed")
    db.execute("INSERT INTO insync.slice (stream_id, bucket, rows) SELECT id, timestamp '2024-11-01', 5 FROM insync.stream WHERE name = 'secreta'")
    return db


@pytest.fixture(params=["pg_monitor", "BYPASSRLS"])
def watcher(request, troubled):
    name = f"watcher_{troubled.name}"
    if request.param == "pg_monitor":
        troubled.execute(f"CREATE ROLE {name} LOGIN; GRANT pg_monitor TO {name}")
    else:
        troubled.execute(f"CREATE ROLE {name} LOGIN BYPASSRLS")
        troubled.execute("SELECT sync_grant(%s)", name)
    troubled.execute(f"CREATE SCHEMA {name} AUTHORIZATION {name}")
    session = Database(troubled.cluster, troubled.name, name)
    yield session
    session.close()
    troubled.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


VIEWS = {
    "status": "SELECT stream, state, target, failures, rejects, message FROM insync.status ORDER BY 1",
    "sync_status": "SELECT stream, state, target, failures, rejects, message FROM sync_status() ORDER BY 1",
    "gaps": "SELECT * FROM insync.gaps ORDER BY 1, 3",
    "sync_gaps": "SELECT * FROM sync_gaps() ORDER BY 1, 3",
    "coverage": "SELECT * FROM insync.coverage ORDER BY 1",
    "sync_coverage": "SELECT * FROM sync_coverage() ORDER BY 1",
    "health": "SELECT * FROM sync_health()",
    "daily": "SELECT * FROM insync.daily",
    "progress": "SELECT stream FROM insync.progress",
    "run": "SELECT * FROM insync.run ORDER BY id",
    "slice": "SELECT * FROM insync.slice ORDER BY 1, 2",
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_watcher_sees_what_a_superuser_sees(troubled, watcher, view):
    expected = troubled.query(VIEWS[view])
    assert expected or view == "progress"
    assert watcher.query(VIEWS[view]) == expected


def test_there_is_something_to_see(troubled):
    """Or the comparison with a superuser would say nothing."""
    assert [row[0] for row in troubled.query("SELECT kind FROM sync_gaps('secreta')")] != []
    checks = dict(troubled.query('SELECT "check", status FROM sync_health()'))
    assert checks["runs"] == "critical" and checks["rejects"] == "warning" and checks["gaps"] != "ok"


@pytest.mark.parametrize("owner", ["watcher", "superuser"])
def test_a_view_over_the_views_works(troubled, watcher, owner):
    """A dashboard's own view, whoever made it."""
    maker = watcher if owner == "watcher" else troubled
    maker.execute(f"CREATE VIEW {watcher.user}.v AS SELECT s.stream, s.rejects, c.severity FROM insync.status AS s LEFT JOIN insync.coverage AS c USING (stream)")
    troubled.execute(f"GRANT SELECT ON {watcher.user}.v TO {watcher.user}")
    assert watcher.query(f"SELECT * FROM {watcher.user}.v ORDER BY 1") == troubled.query(
        "SELECT s.stream, s.rejects, c.severity FROM insync.status AS s LEFT JOIN insync.coverage AS c USING (stream) ORDER BY 1"
    )


@pytest.fixture
def monitor(troubled):
    name = f"monitor_{troubled.name}"
    troubled.execute(f"CREATE ROLE {name} LOGIN; GRANT pg_monitor TO {name}")
    session = Database(troubled.cluster, troubled.name, name)
    yield session
    session.close()
    troubled.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@pytest.mark.parametrize("sql", [
    "SELECT record FROM insync.error", "SELECT key FROM insync.error", "SELECT message FROM insync.error", "SELECT * FROM insync.error",
    "SELECT * FROM insync.difference", "SELECT position FROM insync.watermark", "SELECT options FROM insync.stream", "SELECT * FROM insync.mended",
    "DELETE FROM insync.error", "UPDATE insync.error SET record = '{}'", "SELECT sync_pause('%%')", "SELECT * FROM sync_trigger('%%')",
    "SELECT sync_drop('secreta')", "SELECT sync_alter('secreta', '{}')", "SELECT * FROM sync_verify('secreta')", "SELECT * FROM sync_preview('tienda', 'ventas')",
])  # fmt: skip
def test_a_monitor_reads_no_values_and_changes_nothing(monitor, sql):
    with pytest.raises(psycopg.Error) as raised:
        monitor.execute(sql)
    assert raised.value.sqlstate == "42501", raised.value


def test_a_monitor_sees_why_rows_are_rejected_but_not_which(monitor):
    assert monitor.query("SELECT DISTINCT stream, sqlstate, constraint_name FROM insync.error") == [("secreta", "23514", "ventas_cantidad_check")]


def test_a_monitor_with_streams_of_its_own_reads_and_mends_only_their_rows(troubled, monitor):
    troubled.execute("SELECT sync_grant(%s)", monitor.user)
    assert monitor.query("SELECT * FROM insync.error") == [] and monitor.query("SELECT * FROM insync.difference") == []
    assert monitor.execute("DELETE FROM insync.error").rowcount == 0
    assert [name for (name,) in monitor.query("SELECT stream FROM sync_status()")] == ["rota", "secreta"]
    for call in ("sync_drop('secreta')", "sync_alter('secreta', '{}')", "sync_reset('secreta')", "sync_replay('secreta')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            monitor.execute(f"SELECT {call}")
    assert len(troubled.errors("secreta")) == 2


def test_sync_revoke_takes_what_sync_grant_gave(troubled):
    db, name = troubled, f"gone_{troubled.name}"
    db.execute(f"CREATE ROLE {name} LOGIN")
    rights = "SELECT count(*) FROM (SELECT relacl FROM pg_class UNION ALL SELECT proacl FROM pg_proc UNION ALL SELECT nspacl FROM pg_namespace UNION ALL SELECT attacl FROM pg_attribute) AS x (acl), unnest(acl) AS item WHERE item::text LIKE %s || '=%%'"
    db.execute("SELECT sync_grant(%s)", name)
    assert db.value(rights, name) > 30
    db.execute("SELECT sync_revoke(%s)", name)
    assert db.value(rights, name) == 0
    db.execute(f"DROP ROLE {name}")


def test_sync_revoke_says_that_streams_go_on(troubled, shop):
    db, name, told = troubled, f"maker_{troubled.name}", []
    db.execute(f"CREATE ROLE {name} LOGIN; GRANT USAGE ON FOREIGN SERVER tienda TO {name}; CREATE SCHEMA mio AUTHORIZATION {name}")
    db.execute("SELECT sync_grant(%s)", name)
    with db.connect(name) as session:
        session.execute("SELECT sync_create('mia', 'tienda', 'ventas', target => 'mio.ventas')")
    with db.connect() as session:
        session.add_notice_handler(lambda notice: told.append(notice.message_primary))
        session.execute("SELECT sync_revoke(%s)", (name,))
    assert told == [f'role "{name}" still owns streams, which go on: mia']
    assert db.run("mia")["inserted"] == 5
    with pytest.raises(psycopg.Error, match="owns pg_insync"):
        db.execute("SELECT sync_revoke(current_user::text)")
    db.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")
