"""The worker's side of REST sources: one pace for all that reads a server, what sync_explain() shows, and credentials that
stand nowhere else than in the user mapping."""

import contextlib
import datetime
import json
from pathlib import Path

import psycopg
import pytest
from harness import Database, wait_for
from harness.rest import ClientCredentials, Ords, Plain, PostgREST, QueryParameter, Table, basic, bearer
from harness.rest.table import UTC

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)
ENVELOPE = {"rows_path": "/data/items", "params": json.dumps({"limit": "{limit}", "offset": "{offset}", "sort": "id"}), "paging": "offset"}


def rows(count):
    return [{"id": number, "name": f"n{number}", "updated_at": START + datetime.timedelta(minutes=number)} for number in range(count)]


class Api(Plain):
    """Takes the parameter `key` for a credential, not for a column's value."""

    def _filtered(self, rows, table, query):
        return super()._filtered(rows, table, {name: value for name, value in query.items() if name != "key"})


def plain(*names, count=40):
    return Api(*(Table(name, rows(count)) for name in names), shape="envelope")


# ------------------------------------------------------------------------------------------------------------------ pace


@pytest.mark.parametrize("limit", [{"rate": "10/s"}, {"pause": "100 ms"}])
def test_two_workers_at_one_server_keep_its_rate_together(db, limit):
    interval = 0.1
    with plain("unas", "otras") as server:
        db.create_rest_server("api", server.url, connections=2, page_size=4, **ENVELOPE, **limit)
        for name in ("unas", "otras"):
            db.create_stream(name, "api", name, key="id")
        server.forget()
        runs = [db.trigger(name) for name in ("unas", "otras")]
        assert [db.wait(run) for run in runs] == ["succeeded"] * 2
        assert db.value("SELECT max(started_at) < min(ended_at) FROM insync.run"), "the two ran at the same time"
        times = sorted(request.time for request in server.requests)
    assert len(times) >= 20
    # A request can come late, and the next one seem early: by as much as this machine lets somebody wait.
    late = 5 * interval
    for first in range(len(times)):
        for last in range(first + 1, len(times)):
            assert times[last] - times[first] >= (last - first) * interval - late
    assert times[-1] - times[0] >= 15 * interval


def test_a_session_keeps_the_rate_with_the_workers(db):
    """CALL sync_run in two sessions and a worker at once: they ask the same queue."""
    with plain("unas", "otras", count=20) as server:
        db.create_rest_server("api", server.url, connections=2, page_size=4, rate="10/s", **ENVELOPE)
        for name in ("unas", "otras"):
            db.create_stream(name, "api", name, key="id")
        server.forget()
        run_id = db.trigger("unas")
        db.execute("CALL sync_run('otras')")
        assert db.wait(run_id) == "succeeded"
        times = sorted(request.time for request in server.requests)
    assert len(times) >= 10 and times[-1] - times[0] >= (len(times) - 6) * 0.1


# -------------------------------------------------------------------------------------------------------------- positions


@pytest.mark.parametrize("since, order", [("[[{since}]]", "none"), ("[[{since}]]", "asc"), (None, "none")], ids=["window", "anchored", "compare"])
def test_a_first_load_of_several_batches(db, since, order):
    """Where a position can't be told before all was read, each batch is kept all the same, and the next run begins anew."""
    params = {"limit": "{limit}", "offset": "{offset}", "sort": "updated_at,id"} | ({"since": since} if since else {})
    with plain("items") as server:
        db.create_rest_server("api", server.url, page_size=10, **ENVELOPE | {"params": json.dumps(params), "order": order})
        db.create_stream("items", "api", "items", key="id", watermark="updated_at", options={"batch_rows": 7})
        run = db.run("items")
        assert (run["inserted"], run["rejected"]) == (40, 0) and run["batches"] >= 4
        server.tables["items"].insert({"id": 100, "name": "nueva", "updated_at": START + datetime.timedelta(days=1)})
        assert db.run("items")["inserted"] == 1
    assert db.value("SELECT count(*) FROM items") == 41
    if since is None:
        assert "compared" in db.status("items")["message"]


def test_a_constant_in_the_key_is_not_asked_for(db):
    """Many shops in one table: the column that tells them apart is the streams' own, and no field of the source."""
    with PostgREST(Table("items", rows(5))) as server:
        db.create_rest_server("api", server.base_url, preset="supabase", path="{source}", auth="none")
        for shop in ("T01", "T02"):
            options = {"columns": {"shop": f"'{shop}'"}}
            db.create_stream(shop, "api", "items", target="items", key="shop, id", watermark="updated_at", options=options)
            assert db.run(shop)["inserted"] == 5
        assert all("shop" not in request.query.get("order", "") for request in server.requests)
    assert db.value("SELECT count(*) FROM items") == 10


# --------------------------------------------------------------------------------------------------------------- explain


def test_explain_tells_every_option_and_where_it_comes_from(db):
    with Ords(Table("items", rows(10))) as server:
        db.create_rest_server("api", server.base_url, preset="ords", rate="50/s")
        db.create_stream("items", "api", "items", key="id", watermark="updated_at", options={"page_size": 5})
        steps = dict(db.query("SELECT * FROM sync_explain('items')"))
    assert steps["option: rows_path"] == "/items (from preset ords)"
    assert steps["option: rate"] == "50/s (from server)"
    assert steps["option: page_size"] == "5 (from stream)"
    assert any(step.startswith("source: ") and server.url in text for step, text in steps.items()), steps
    assert "MERGE INTO" in steps["apply"]


# --------------------------------------------------------------------------------------------------------------- secrets

SECRET, WRONG = "pa5smark;{}='&é", "wr0ngmark;&x={y}"
MARKS = ("pa5smark", "wr0ngmark")
KINDS = {
    "basic": ({"auth": "basic"}, "password", {"user": "etl"}, lambda: basic("etl", SECRET)),
    "bearer": ({"auth": "bearer"}, "token", {}, lambda: bearer("pa5smark-token")),
    "query": ({"auth": "query", "auth_name": "key"}, "token", {}, lambda: QueryParameter("key", SECRET)),
    "oauth2": ({"auth": "oauth2", "token_body": "form"}, "client_secret", {"client_id": "etl"}, lambda: ClientCredentials("etl", SECRET)),
}


def messages_of(error):
    return " ".join(str(getattr(error.diag, name)) for name in dir(error.diag) if not name.startswith("_"))


@pytest.mark.parametrize("kind", KINDS)
def test_credentials_are_told_nowhere(own_cluster, own_db, kind):
    """With right and with wrong ones, at a talkative log."""
    db, heard = own_db, []
    options, secret_option, others, auth = KINDS[kind]
    secret = "pa5smark-token" if kind == "bearer" else SECRET
    own_cluster.write_settings(log_min_messages="debug1", log_min_error_statement="panic", log_min_duration_statement=-1)
    own_cluster.reload()
    wait_for(lambda: db.cluster.query("SHOW log_min_messages") == [("debug1",)], "the settings to count")

    def say(sql):
        notices = []
        with db.connect() as session:
            session.add_notice_handler(notices.append)
            session.execute("SET client_min_messages = debug1")
            try:
                heard.append(str(session.execute(sql).fetchall() if "CALL" not in sql else session.execute(sql)))
            except psycopg.Error as error:
                heard.append(messages_of(error))
        heard.extend(f"{notice.message_primary} {notice.message_detail} {notice.message_hint} {notice.context}" for notice in notices)

    def everything():
        for sql in ("SELECT * FROM sync_test('api')", "SELECT * FROM sync_discover('api', 'items')", "SELECT * FROM sync_preview('api', 'items')",
                    "SELECT * FROM sync_preview('api', 'nada')", "SELECT * FROM sync_create('t', 'api', 'items', key => 'id')",
                    "SELECT * FROM sync_explain('t')", "CALL sync_run('t')", "SELECT * FROM sync_status()"):  # fmt: skip
            say(sql)
        with contextlib.suppress(psycopg.Error):
            run_id = db.trigger("t")
            heard.append(db.wait(run_id) + str(db.query("SELECT * FROM insync.run WHERE id = %s", run_id)))

    with plain("items") as server, own_cluster.log_of() as log:
        server.auth = auth()
        db.create_rest_server("api", server.url, others | {secret_option: secret}, retries=0, **ENVELOPE, **options)
        everything()
        assert db.value("SELECT count(*) FROM items") == 40, heard
        with db.connect(autocommit=False) as blocker:
            blocker.execute("LOCK TABLE items")
            run_id = db.trigger("t")
            (connector, *_) = wait_for(own_cluster.connectors, "a connector")
            heard += [Path(f"/proc/{connector}/{name}").read_bytes().decode(errors="replace") for name in ("cmdline", "environ")]
            heard.append(str(db.query("SELECT * FROM pg_stat_activity")))
            blocker.rollback()
        db.wait(run_id)
        db.execute(f"ALTER USER MAPPING FOR CURRENT_USER SERVER api OPTIONS (SET {secret_option} '{WRONG}')")
        everything()
        assert any("401" in text or "refused" in text or "denied" in text for text in heard), heard
        server.close()
        everything()
        logged = [line for line in log().splitlines() if any(mark in line for mark in MARKS)]
    assert logged == []
    tables = [name for (name,) in db.query("SELECT c.oid::regclass::text FROM pg_class AS c WHERE relnamespace = 'insync'::regnamespace AND relkind IN ('r', 'v')")]
    heard += [json.dumps(db.query(f"SELECT to_jsonb(x) FROM {table} AS x")) for table in tables]
    assert [text for text in heard if any(mark in text for mark in MARKS)] == []


def test_somebody_elses_credentials_are_not_used(db):
    """A role with USAGE on the server, but without a mapping, asks the API as nobody."""
    name = f"ajeno_{db.name}"
    with plain("items") as server:
        server.auth = bearer("suyo")
        db.create_rest_server("api", server.url, {"token": "suyo"}, auth="bearer", retries=0, **ENVELOPE)
        db.execute(f"CREATE ROLE {name} LOGIN; GRANT USAGE ON FOREIGN SERVER api TO {name}")
        db.execute("SELECT sync_grant(%s)", name)
        stranger = Database(db.cluster, db.name, name)
        try:
            assert db.query("SELECT count(*) FROM sync_preview('api', 'items')") == [(10,)]
            for call in ("sync_preview('api', 'items')", "sync_create('x', 'api', 'items', key => 'id', target => 'pg_temp.x')"):
                server.forget()
                with pytest.raises(psycopg.Error):
                    stranger.execute(f"SELECT * FROM {call}")
                assert not any("suyo" in str(request.headers) for request in server.requests)
            assert stranger.query("SELECT umoptions FROM pg_user_mappings") == [(None,)]
        finally:
            stranger.close()
            db.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")
