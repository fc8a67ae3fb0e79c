"""Streams whose owner lost a right, was renamed, dropped or replaced: they fail with words that help, and nobody else's
rights stand in."""

import psycopg
import pytest
from harness import Database
from harness.environment import PG_MAJOR


@pytest.fixture
def owner(db, shop):
    """The owner of the stream `suya` into propia.ventas, connected."""
    name = f"owner_{db.name}"
    db.execute(f"CREATE ROLE {name} LOGIN")
    db.execute("SELECT sync_grant(%s)", name)
    db.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {name}")
    db.execute(f"CREATE SCHEMA propia; GRANT CREATE, USAGE ON SCHEMA propia TO {name}")
    session = Database(db.cluster, db.name, name)
    session.create_stream("suya", "tienda", "ventas", target="propia.ventas", watermark="actualizado", options={"max_retries": 0})
    yield session
    session.close()
    for role in db.query("SELECT rolname FROM pg_roles WHERE rolname IN (%s, %s)", name, name + "_new"):
        db.execute(f"DROP OWNED BY {role[0]} CASCADE")
        db.execute(f"DROP ROLE {role[0]}")


def hand_over(db, owner):
    """The table becomes the superuser's, with the rights that a stream needs given to the owner."""
    db.execute("ALTER TABLE propia.ventas OWNER TO postgres")
    db.execute(f"GRANT SELECT, INSERT, UPDATE ON propia.ventas TO {owner.user}")


@pytest.mark.parametrize("loss, message", [
    ("REVOKE USAGE ON FOREIGN SERVER tienda FROM {owner}", "permission denied for foreign server tienda"),
    ("REVOKE USAGE, CREATE ON SCHEMA propia FROM {owner}", "permission denied for schema propia"),
    ("REVOKE INSERT ON propia.ventas FROM {owner}", "permission denied for table ventas"),
    ("REVOKE SELECT ON propia.ventas FROM {owner}", "permission denied for table ventas"),
    ("REVOKE INSERT ON propia.ventas FROM {owner}; GRANT INSERT (id, producto, cantidad) ON propia.ventas TO {owner}", "permission denied for table ventas"),
    ("DROP TABLE propia.ventas", "does not exist"),
    ("DROP SERVER tienda CASCADE", "stream \"suya\" does not exist"),
])  # fmt: skip
@pytest.mark.parametrize("runner", ["worker", "superuser"])
def test_a_lost_right_ends_the_run(db, owner, loss, message, runner):
    hand_over(db, owner)
    db.execute(loss.format(owner=owner.user))
    if runner == "worker" and "DROP SERVER" not in loss:
        run = db.run("suya", expect="failed")
        assert message in run["message"] and run["inserted"] == 0, run
        assert db.wait_for_state("suya", "error")["message"].startswith(run["message"][:40])
    else:
        with pytest.raises(psycopg.Error) as raised:
            db.execute("CALL sync_run('suya')")
        assert message in str(raised.value)
    if "propia.ventas" not in loss or "DROP" not in loss:
        assert db.value("SELECT count(*) FROM propia.ventas") == 0


def test_all_lacking_rights_are_named_at_once(db, owner):
    """When a stream is made, and when a run fails."""
    hand_over(db, owner)
    db.execute(f"REVOKE INSERT, UPDATE ON propia.ventas FROM {owner.user}")
    run = db.run("suya", expect="failed")
    assert f'Role "{owner.user}" lacks INSERT, UPDATE on propia.ventas.' in run["message"]
    assert f"GRANT INSERT, UPDATE ON propia.ventas TO {owner.user};" in run["message"]
    db.execute(f"CREATE TABLE propia.otra (LIKE propia.ventas INCLUDING ALL); GRANT SELECT ON propia.otra TO {owner.user}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
        owner.create_stream("otra", "tienda", "ventas", target="propia.otra", options={"deletes": "hard"})
    assert raised.value.diag.message_detail == f'Role "{owner.user}" lacks INSERT, UPDATE, DELETE on propia.otra.'
    db.execute(raised.value.diag.message_hint)
    owner.create_stream("otra", "tienda", "ventas", target="propia.otra", options={"deletes": "hard"})


def test_rights_of_a_group_count_while_they_are_inherited(db, owner):
    hand_over(db, owner)
    group = f"group_{db.name}"
    db.execute(f"CREATE ROLE {group}")
    db.execute(f"REVOKE ALL ON propia.ventas FROM {owner.user}; GRANT SELECT, INSERT, UPDATE ON propia.ventas TO {group}; GRANT {group} TO {owner.user}")
    assert db.run("suya")["inserted"] == 5
    # A membership itself says so since PostgreSQL 16; the role's word is for memberships that come then.
    db.execute(f"GRANT {group} TO {owner.user} WITH INHERIT FALSE" if PG_MAJOR >= 16 else f"ALTER ROLE {owner.user} NOINHERIT")
    assert "permission denied" in db.run("suya", "full", expect="failed")["message"]
    db.execute(f"ALTER ROLE {owner.user} INHERIT; REVOKE {group} FROM {owner.user}")
    assert "permission denied" in db.run("suya", "full", expect="failed")["message"]
    db.execute(f"DROP OWNED BY {group}; DROP ROLE {group}")


def test_a_member_without_inheritance_sees_and_does_nothing_until_it_sets_the_role(db, owner):
    member = f"member_{db.name}"
    db.execute(f"CREATE ROLE {member} LOGIN NOINHERIT; GRANT {owner.user} TO {member}")
    db.execute("SELECT sync_grant(%s)", member)
    session = Database(db.cluster, db.name, member)
    assert session.query("SELECT * FROM sync_status()") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("SELECT sync_reset('suya')")
    session.execute(f"SET ROLE {owner.user}")
    assert session.value("SELECT stream FROM sync_status()") == "suya"
    session.execute("SELECT sync_reset('suya')")
    session.close()
    db.execute(f"DROP OWNED BY {member}; DROP ROLE {member}")


@pytest.mark.parametrize("change", ["NOLOGIN", "CONNECTION LIMIT 0", "VALID UNTIL '2000-01-01'", "SET search_path = 'pg_catalog, propia'", "SET default_transaction_read_only = on",
                                    "SET statement_timeout = 1", "SET role = 'none'"])  # fmt: skip
def test_what_concerns_logins_does_not_stop_a_stream(db, owner, change):
    db.execute(f"ALTER ROLE {owner.user} {change}")
    assert db.run("suya")["inserted"] == 5


FUNCTIONS = ["SELECT * FROM sync_explain('suya')", "SELECT * FROM sync_replay('suya')", "SELECT sync_alter('suya', '{\"lookback\": \"1 hour\"}')", "CALL sync_run('suya')"]


def lose_owner(db, owner):
    owner.close()
    db.execute(f"REASSIGN OWNED BY {owner.user} TO postgres; DROP OWNED BY {owner.user}; DROP ROLE {owner.user}")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("loss", ["dropped", "renamed", "replaced"])
def test_a_stream_without_its_owner_does_nothing(db, owner, loss, function):
    name = owner.user
    if loss == "renamed":
        db.execute(f"ALTER ROLE {name} RENAME TO {name}_new")
    else:
        lose_owner(db, owner)
    if loss == "replaced":
        db.execute(f"CREATE ROLE {name} SUPERUSER")
    with pytest.raises(psycopg.Error) as raised:
        db.execute(function)
    assert name in str(raised.value) and raised.value.sqlstate == "42704", raised.value
    assert '\'{"owner": "..."}\'' in raised.value.diag.message_hint
    assert db.value("SELECT count(*) FROM propia.ventas") == 0
    run = db.run("suya", expect="failed")
    assert name in run["message"]
    # A superuser gives it another owner, and it goes on.
    db.execute("SELECT sync_alter('suya', '{\"owner\": \"postgres\"}')")
    db.execute("ALTER TABLE propia.ventas OWNER TO postgres")
    assert db.run("suya")["inserted"] == 5


def test_a_new_role_does_not_inherit_by_its_name(db, owner):
    """Neither what a dropped role left rejected, nor its code, is the business of who gets its name."""
    db.execute("ALTER TABLE propia.ventas ADD CHECK (cantidad < 3)")
    assert db.run("suya")["rejected"] == 2
    lose_owner(db, owner)
    db.execute(f"CREATE ROLE {owner.user} LOGIN")
    db.execute("SELECT sync_grant(%s)", owner.user)
    successor = Database(db.cluster, db.name, owner.user)
    for relation in ("stream", "watermark", "run", "error", "status", "progress", "live()"):
        assert successor.query(f"SELECT * FROM insync.{relation}") == []
    assert successor.query("SELECT * FROM sync_status()") == []
    assert successor.query("SELECT * FROM sync_trigger('%%')") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        successor.execute("SELECT sync_drop('suya')")
    # Unless a superuser says so.
    db.execute("SELECT sync_alter('suya', '{\"owner\": \"postgres\"}')")
    db.execute(f"GRANT SELECT, INSERT, UPDATE ON propia.ventas TO {owner.user}; GRANT USAGE ON SCHEMA propia TO {owner.user}")
    db.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {owner.user}")
    db.execute(f"SELECT sync_alter('suya', '{{\"owner\": \"{owner.user}\"}}')")
    assert successor.value("SELECT stream FROM sync_status()") == "suya"
    assert len(successor.query("SELECT * FROM insync.error")) == 2
    successor.close()


def test_a_stream_is_given_only_to_roles_that_one_could_be(db, owner):
    for role in ("postgres", "pg_monitor", "pg_write_server_files"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute(f"SELECT sync_alter('suya', '{{\"owner\": \"{role}\"}}')")
    with pytest.raises(psycopg.errors.UndefinedObject):
        owner.execute("SELECT sync_alter('suya', '{\"owner\": \"nadie\"}')")
    assert db.value("SELECT owner::text FROM insync.stream") == owner.user


def test_row_security_holds_for_the_owner_of_the_table_too(db, owner):
    db.execute("ALTER TABLE propia.ventas ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    db.execute("CREATE POLICY pocas ON propia.ventas USING (cantidad < 5) WITH CHECK (cantidad < 5)")
    run = db.run("suya", expect="failed")
    assert run["sqlstate"] == "42501" and "row-level security" in run["message"]
    assert db.value("SELECT count(*) FROM propia.ventas") == 0
    db.execute(f"ALTER ROLE {owner.user} BYPASSRLS")
    assert db.run("suya")["inserted"] == 5


def test_dropping_with_the_table_needs_the_owners_right_to_the_table(db, owner):
    hand_over(db, owner)
    for session in (db, owner):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="must be owner of table"):
            session.execute("SELECT sync_drop('suya', true)")
    assert db.value("SELECT count(*) FROM insync.stream") == 1


# ----------------------------------------------------------------------------------------- restored copies, PREPARE


def test_a_restored_copy_is_run_by_nobody(own_cluster, own_db, shop):
    own_db.create_server("tienda", **shop.server_options())
    own_db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    own_db.close()
    own_cluster.query(f"CREATE DATABASE copy TEMPLATE {own_db.name}")
    copy = Database(own_cluster, "copy")
    for statement in ("CALL sync_run('ventas')", "SELECT * FROM sync_trigger('ventas')"):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as raised:
            copy.execute(statement)
        assert "sync_resume()" in raised.value.diag.message_hint
    assert copy.value("SELECT count(*) FROM ventas") == 0
    copy.execute("SELECT sync_resume()")
    copy.execute("CALL sync_run('ventas')")
    assert copy.value("SELECT count(*) FROM ventas") == 5
    copy.close()


def test_a_copy_in_the_same_cluster_finds_its_owners_by_number(db, owner):
    """There a role that has got the name of a dropped owner is nobody's heir in the copy either."""
    lose_owner(db, owner)
    db.execute(f"CREATE ROLE {owner.user} LOGIN")
    db.execute("SELECT sync_grant(%s)", owner.user)
    db.close()
    name = f"copy_of_{db.name}"
    db.cluster.query(f"CREATE DATABASE {name} TEMPLATE {db.name}")
    copy, successor = Database(db.cluster, name), Database(db.cluster, name, owner.user)
    try:
        copy.execute("SELECT sync_resume()")
        assert owner.user in copy.run("suya", expect="failed")["message"]
        assert successor.query("SELECT * FROM insync.stream") == []
        assert copy.value("SELECT owner_id FROM insync.stream") != copy.value("SELECT %s::regrole::oid", owner.user)
    finally:
        copy.close(), successor.close()
        db.cluster.drop_database(name)


def test_a_copy_in_another_cluster_finds_its_owners_by_name(own_cluster, own_db, shop):
    """There roles have other numbers; whoever resumes the copy says that the names are the same people's."""
    own_db.execute("CREATE ROLE ana LOGIN; GRANT CREATE ON SCHEMA public TO ana")
    own_db.execute("SELECT sync_grant('ana')")
    own_db.create_server("tienda", **shop.server_options())
    own_db.execute("GRANT USAGE ON FOREIGN SERVER tienda TO ana")
    ana = Database(own_cluster, own_db.name, "ana")
    ana.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    own_db.execute("UPDATE insync.home SET system_identifier = '1'")  # as in a dump from elsewhere
    own_db.execute("UPDATE insync.stream SET owner_id = 1")
    assert ana.query("SELECT * FROM sync_status()") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ana.execute("SELECT sync_resume()")
    own_db.execute("SELECT sync_resume()")
    assert ana.run("ventas")["inserted"] == 5
    ana.close()


@pytest.mark.parametrize("statement", ["SELECT * FROM sync_trigger('ventas')", "SELECT sync_alter('ventas', '{\"schedule\": \"1 hour\"}')", "SELECT * FROM sync_resume('ventas')"])
def test_a_prepared_transaction_loses_no_wake_up(own_cluster, own_db, shop, statement):
    own_cluster.write_settings(max_prepared_transactions=2)
    own_cluster.restart()
    own_db.create_server("tienda", **shop.server_options())
    own_db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    with own_db.connect(autocommit=False) as session:
        session.execute(statement)
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot PREPARE"):
            session.execute("PREPARE TRANSACTION 'x'")
    assert own_db.query("SELECT * FROM pg_prepared_xacts") == []
    assert own_db.run("ventas")["inserted"] == 5
