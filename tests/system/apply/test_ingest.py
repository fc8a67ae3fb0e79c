"""Rows that are pushed: sync_ingest() applies them as a run would, tells what became of them, and leaves the rest to the
runs."""

import contextlib
import datetime
import decimal

import psycopg
import pytest
from harness import Database, wait_for
from harness.scripted import ScriptedConnector, columns
from psycopg.types.json import Jsonb


@pytest.fixture
def stream(db, shop):
    """`ventas`, read once; a sale is of less than 50 pieces."""
    db.execute("CREATE TABLE ventas (id bigint PRIMARY KEY, producto text, cantidad int CONSTRAINT poca CHECK (cantidad < 50),"
               " precio numeric(10,2), actualizado timestamp)")
    db.create_stream("ventas", "tienda", "ventas", watermark="actualizado")
    db.run("ventas")
    return db


def sale(number, pieces=1, **more):
    return {"id": number, "producto": f"p{number}", "cantidad": pieces, "precio": 1.5, "actualizado": "2025-03-01T10:00:00"} | more


def ingest(db, records, stream="ventas"):
    """What became of the records: (received, inserted, updated, unchanged, deleted, rejected)."""
    return db.query("SELECT * FROM sync_ingest(%s, %s)", stream, Jsonb(records))[0]


def ingest_text(db, records, stream="ventas"):
    """The same for JSON as it is written."""
    return db.query("SELECT * FROM sync_ingest(%s, %s::jsonb)", stream, records)[0]


@pytest.mark.wall
def test_pushed_rows_are_counted_by_what_became_of_them(stream):
    known = {"id": 2, "producto": "Piñones", "cantidad": 1, "precio": 9.95, "actualizado": "2025-01-05 10:00:00"}
    assert ingest(stream, [sale(1), known, sale(10), sale(11), sale(12, pieces=99)]) == (5, 2, 1, 1, 0, 1)
    assert stream.query("SELECT id, cantidad FROM ventas ORDER BY id") == [(1, 1), (2, 1), (3, 5), (4, 1), (5, 10), (10, 1), (11, 1)]
    assert stream.value("SELECT actualizado FROM ventas WHERE id = 10") == datetime.datetime(2025, 3, 1, 10)
    (run,) = stream.dicts("SELECT * FROM insync.run WHERE mode = 'ingest'")
    assert (run["status"], run["trigger"], run["rows_read"]) == ("succeeded", "call", 5)
    assert stream.counts(run) == (2, 1, 1, 0, 1)


def test_one_object_is_one_row_and_nothing_is_none(stream):
    assert ingest(stream, sale(10)) == (1, 1, 0, 0, 0, 0)
    assert ingest(stream, []) == (0, 0, 0, 0, 0, 0)
    assert ingest(stream, sale(10)) == (1, 0, 0, 1, 0, 0)
    assert stream.value("SELECT count(*) FROM insync.run WHERE mode = 'ingest'") == 1, "what changes nothing leaves no run"


@pytest.mark.wall
def test_a_reject_is_kept_once_and_told_each_time(stream):
    for _ in range(3):
        assert ingest(stream, [sale(10, pieces=99), sale(11, precio="caro")])[-1] == 2
    found = {error["key"]["id"]: error for error in stream.errors("ventas")}
    assert sorted(found) == ["10", "11"] and len(stream.errors("ventas")) == 2
    assert (found["10"]["sqlstate"], found["10"]["constraint_name"]) == ("23514", "poca")
    assert found["11"]["sqlstate"] == "22P02" and "caro" in found["11"]["message"]
    assert ingest(stream, [sale(10, pieces=3)]) == (1, 1, 0, 0, 0, 0)
    assert [error["key"] for error in stream.errors("ventas")] == [{"id": "11"}], "a good version takes the reject's place"
    stream.execute("UPDATE insync.error SET record = record || '{\"precio\": 12.25}'")
    assert stream.dict("SELECT * FROM sync_replay('ventas')") == {"applied": 1, "rejected": 0}
    assert stream.value("SELECT precio FROM ventas WHERE id = 11") == decimal.Decimal("12.25")


def test_of_two_versions_in_one_call_the_later_wins(stream):
    assert ingest(stream, [sale(10, pieces=1), sale(11), sale(10, pieces=2)]) == (3, 2, 0, 1, 0, 0)
    assert stream.value("SELECT cantidad FROM ventas WHERE id = 10") == 2


def test_what_is_no_object_is_rejected_alone(stream):
    assert ingest(stream, [1, "x", None, [sale(12)], sale(10)]) == (5, 1, 0, 0, 0, 4)
    assert {error["message"] for error in stream.errors("ventas")} == {"the record is not a JSON object"}
    assert ingest(stream, "x") == (1, 0, 0, 0, 0, 1)


def test_numbers_keep_their_digits(stream):
    with stream.connect() as session:
        session.execute("ALTER TABLE ventas ALTER precio TYPE numeric, ALTER cantidad TYPE bigint, DROP CONSTRAINT poca")
        session.execute("""SELECT sync_ingest('ventas', '{"id": 9007199254740993, "cantidad": 9007199254740993, "precio": 12345678901234567890.12}')""")
        session.execute("""SELECT sync_ingest('ventas', '{"id": 7, "cantidad": "muchas", "precio": 12345678901234567890.12}')""")
    assert stream.query("SELECT cantidad, precio FROM ventas WHERE id = 9007199254740993") == [(9007199254740993, decimal.Decimal("12345678901234567890.12"))]
    stream.execute("UPDATE insync.error SET record = record || '{\"cantidad\": 1}'")
    stream.execute("SELECT sync_replay('ventas')")
    assert stream.value("SELECT precio FROM ventas WHERE id = 7") == decimal.Decimal("12345678901234567890.12"), "also as a reject"


def test_a_number_without_a_fraction_is_an_integer_however_it_is_written(stream):
    stream.execute("ALTER TABLE ventas ALTER cantidad TYPE bigint, DROP CONSTRAINT poca")
    assert ingest_text(stream, '[{"id": 10.0, "cantidad": 9007199254740993.00}, {"id": 1.1e1, "cantidad": -5.0, "producto": 5.0}]')[1] == 2
    wrong = '[{"id": 12, "cantidad": 5.5}, {"id": 13.0, "cantidad": 9223372036854775808.0}, {"id": 14, "cantidad": "5.0"}]'
    assert ingest_text(stream, wrong)[-1] == 3
    assert stream.query("SELECT id, cantidad, producto FROM ventas WHERE id > 9 ORDER BY id") == [(10, 9007199254740993, None), (11, -5, "5.0")]
    found = {error["key"]["id"]: error["message"] for error in stream.errors("ventas")}
    assert sorted(found) == ["12", "13", "14"] and "5.5" in found["12"], "the key of a reject is the column's value"
    assert ingest_text(stream, '{"id": 13.0, "cantidad": 1.0}')[1] == 1
    assert sorted(error["key"]["id"] for error in stream.errors("ventas")) == ["12", "14"]


def test_members_are_found_by_their_name_whatever_its_case(stream):
    assert ingest(stream, {"ID": 10, "Producto": "Té", "cantidad": 1, "zapato": 42}) == (1, 1, 0, 0, 0, 0)
    assert stream.query("SELECT * FROM ventas WHERE id = 10") == [(10, "Té", 1, None, None)], "what a database's table has not is left out"


def test_more_records_than_a_batch_holds(stream):
    with stream.connect() as session:
        session.execute("SET insync.batch_rows = 100")
        records = [sale(number) for number in range(1000, 1950)] + [sale(1005, precio="x")]
        (counts,) = session.execute("SELECT * FROM sync_ingest('ventas', %s)", [Jsonb(records)]).fetchall()
    assert counts == (951, 950, 0, 0, 0, 1)


def test_a_poll_does_not_undo_what_was_pushed(stream, shop):
    before = stream.query("SELECT position, watermark FROM insync.watermark")
    shop.execute("INSERT INTO ventas VALUES (10, 'Té', 3, 1.5, '2025-03-01 10:00:00')")
    assert ingest(stream, {"id": 10, "producto": "Té", "cantidad": 3, "precio": 1.5, "actualizado": "2025-03-01 10:00:00"})[1] == 1
    assert stream.query("SELECT position, watermark FROM insync.watermark") == before, "how far was read stays"
    assert stream.counts(stream.run("ventas"))[:2] == (0, 0)
    assert stream.value("SELECT cantidad FROM ventas WHERE id = 10") == 3


def test_deleted_rows_can_be_pushed(stream):
    stream.alter_stream("ventas", deletes="hard", deleted_when="producto = 'baja'")
    assert ingest(stream, [sale(1, producto="baja", cantidad=None), sale(10), sale(77, producto="baja")]) == (3, 1, 0, 1, 1, 0)
    assert stream.query("SELECT id FROM ventas WHERE id IN (1, 10, 77)") == [(10,)]


def test_a_push_takes_no_part_in_the_schedule(stream):
    """A stream that is only pushed to would never be polled otherwise."""
    stream.alter_stream("ventas", schedule="2 seconds")
    runs = "SELECT coalesce(max(last_poll), '-infinity') FROM insync.live()"
    first = stream.value(runs)

    def polled():
        ingest(stream, sale(10))
        return stream.value(runs) > first

    with contextlib.suppress(psycopg.errors.ObjectInUse):
        wait_for(polled, "a poll by schedule", 60)
    wait_for(lambda: stream.value(runs) > first, "a poll by schedule", 60)


# ---------------------------------------------------------------------------------------------------------------- callers


@pytest.fixture
def web(stream):
    """A role such as PostgREST's, which becomes the streams' owner for a request."""
    db, owner, name = stream, f"dueno_{stream.name}", f"web_{stream.name}"
    db.execute(f"CREATE ROLE {owner}; CREATE ROLE {name} LOGIN NOINHERIT; GRANT {owner} TO {name}")
    db.execute("SELECT sync_grant(%s)", owner)
    db.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {owner}; ALTER TABLE ventas OWNER TO {owner}")
    db.execute("SELECT sync_alter('ventas', jsonb_build_object('owner', %s::text))", owner)
    session = Database(db.cluster, db.name, name)
    yield session, owner
    session.close()
    db.execute(f"DROP OWNED BY {owner}, {name} CASCADE; DROP ROLE {owner}, {name}")


def test_an_ordinary_role_pushes_to_its_own_streams_only(stream, web):
    """As PostgREST calls /rpc/sync_ingest: named arguments in a transaction of the request's role."""
    session, owner = web
    call = "SELECT to_jsonb(r) FROM sync_ingest(stream => %s, records => %s) AS r"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(call, "ventas", Jsonb(sale(10)))
    stream.create_stream("ajenas", "tienda", "ventas", target="ajenas")
    with session.connect(autocommit=False) as request:
        request.execute(f"SET LOCAL ROLE {owner}")
        (answer,) = request.execute(call, ["ventas", Jsonb([sale(10), sale(11, pieces=99)])]).fetchone()
        request.commit()
        assert answer == {"received": 2, "inserted": 1, "updated": 0, "unchanged": 0, "deleted": 0, "rejected": 1}
        request.execute(f"SET LOCAL ROLE {owner}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="must be owner of stream ajenas"):
            request.execute(call, ["ajenas", Jsonb(sale(10))])
        request.rollback()
    assert stream.value("SELECT count(*) FROM ventas WHERE id = 10") == 1


def test_a_push_is_rolled_back_with_its_transaction(stream):
    with stream.connect(autocommit=False) as session:
        session.execute("SELECT sync_ingest('ventas', %s)", [Jsonb([sale(10), sale(11, pieces=99)])])
        session.rollback()
    assert stream.value("SELECT count(*) FROM ventas") == 5 and stream.errors("ventas") == []


def test_a_push_beside_a_run_waits_a_moment_and_says_what_to_do(stream, shop):
    shop.execute("UPDATE ventas SET cantidad = 7, actualizado = '2025-02-01 00:00:00' WHERE id = 1")
    with stream.connect(autocommit=False) as blocker:
        blocker.execute("UPDATE ventas SET cantidad = 8 WHERE id = 1")
        run_id = stream.trigger("ventas")
        wait_for(lambda: stream.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"), "the run to wait")
        with pytest.raises(psycopg.errors.ObjectInUse) as raised:
            ingest(stream, sale(10))
        assert 'stream "ventas" is running' in str(raised.value)
        blocker.rollback()
    assert stream.wait(run_id) == "succeeded"
    assert ingest(stream, sale(10))[1] == 1
    assert stream.value("SELECT cantidad FROM ventas WHERE id = 1") == 7


@pytest.mark.parametrize("call, message", [
    ("sync_ingest(NULL, '{}')", 'argument "stream" must not be null'), ("sync_ingest('ventas', NULL)", 'argument "records" must not be null'),
    ("sync_ingest('bentas', '{}')", 'stream "bentas" does not exist'),
])  # fmt: skip
def test_wrong_arguments(stream, call, message):
    with pytest.raises(psycopg.Error, match=message):
        stream.execute(f"SELECT {call}")


# ------------------------------------------------------------------------------------------------------------- REST


@pytest.fixture
def api(db):
    """A stream `cosas` of a REST server whose field `total` stands deeper in the row."""
    connector = ScriptedConnector(db)
    connector.describes(["id"], id="int8", Nombre="text", total="text")
    db.execute("CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1:1/')")
    db.create_stream("cosas", "api", "cosas", options={"fields": {"total": "text /price/amount"}})
    return db


def test_pointers_of_declared_fields_are_followed(api):
    assert ingest(api, {"id": 1, "Nombre": "a", "price": {"amount": 12.5, "currency": "EUR"}}, "cosas")[1] == 1
    assert ingest(api, {"id": 2, "nombre": "b", "total": "7"}, "cosas")[1] == 1, "or the field itself, if it is there"
    assert api.query("SELECT * FROM cosas ORDER BY id") == [(1, "a", "12.5"), (2, "b", "7")]


def test_new_members_become_columns_as_the_stream_says(api):
    assert ingest(api, [{"id": 1, "talla": 38, "peso": 1.5, "activo": True, "Tags": ["a"], "nada": None}, {"id": 2, "peso": 2}], "cosas")[1] == 2
    assert api.query("SELECT id, talla, peso, activo, tags FROM cosas ORDER BY id") == [
        (1, 38, decimal.Decimal("1.5"), True, ["a"]), (2, None, decimal.Decimal(2), None, None)]  # fmt: skip
    types = api.query("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'cosas'::regclass AND attnum > 3 ORDER BY 1")
    assert types == [("activo", "boolean"), ("peso", "numeric"), ("tags", "jsonb"), ("talla", "bigint")]
    api.alter_stream("cosas", new_columns="ignore")
    assert ingest(api, {"id": 3, "mas": 1}, "cosas")[1] == 1
    api.alter_stream("cosas", new_columns="fail")
    with pytest.raises(psycopg.Error, match='the source has a new column "mas"'):
        ingest(api, {"id": 4, "mas": 1}, "cosas")


def test_a_misspelt_member_is_rejected_and_adds_no_column(api):
    """The row would lose the value that was meant. A member like a column that the record has beside it is another one."""
    records = [{"id": 1, "nmbre": "a", "price": {"amount": 1}}, {"id": 2, "Nombre": "b", "total": "1"}]
    assert ingest(api, records, "cosas")[1:] == (1, 0, 0, 0, 1)
    (error,) = api.errors("cosas")
    assert error["key"] == {"id": "1"} and error["record"] == records[0] and error["sqlstate"] == "42703"
    assert 'member "nmbre"' in error["message"] and '"Nombre"' in error["message"]
    assert api.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'cosas'::regclass AND attnum > 0") == 3
    api.execute("UPDATE insync.error SET record = '{\"id\": 1, \"nombre\": \"a\"}'")
    assert api.query("SELECT * FROM sync_replay('cosas')") == [(1, 0)]
    assert ingest(api, {"id": 3, "Nombre": "c", "Nombres": "d", "price": {"amount": 1}}, "cosas")[1] == 1
    api.alter_stream("cosas", new_columns="add")
    assert ingest(api, {"id": 4, "nmbre": "e"}, "cosas")[1] == 1
    assert api.query("SELECT nombre, nombres, nmbre FROM cosas ORDER BY id") == [
        ("a", None, None), ("b", None, None), ("c", "d", None), (None, None, "e")]  # fmt: skip


def test_a_zone_and_a_time_of_day_are_not_left_out(db):
    connector = ScriptedConnector(db)
    connector.describes(["id"], id="int8", dia="date", hora="timestamp")
    db.execute("CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1:1/')")
    db.create_stream("cosas", "api", "cosas")
    records = [{"id": 1, "dia": "2025-01-05", "hora": "2025-01-05T10:00:00+02:00"}, {"id": 2, "dia": "2025-01-05T10:00:00", "hora": None},
               {"id": 3, "dia": "infinity", "hora": "2025-01-05 10:00"}, {"id": 4, "dia": "2025-01-05T00:00:00", "hora": "-infinity"}]  # fmt: skip
    assert ingest(db, records, "cosas")[1:] == (3, 0, 0, 0, 1)
    assert db.query("SELECT id, dia::text, hora::text FROM cosas ORDER BY id") == [
        (1, "2025-01-05", "2025-01-05 08:00:00"), (3, "infinity", "2025-01-05 10:00:00"), (4, "2025-01-05", "-infinity")]  # fmt: skip
    assert "not a day but a time" in db.errors("cosas")[0]["message"]


def test_a_misspelt_member_for_a_database_is_rejected(stream):
    record = sale(10)
    record["cantida"] = record.pop("cantidad")
    assert ingest(stream, record)[-1] == 1
    assert 'member "cantida"' in stream.errors("ventas")[0]["message"]


def test_other_members_go_to_the_column_that_gathers_them(db):
    connector = ScriptedConnector(db)
    connector.describes(["id"], id="int8", resto="jsonb")
    db.execute("CREATE SERVER api FOREIGN DATA WRAPPER insync_rest OPTIONS (base_url 'http://127.0.0.1:1/')")
    db.create_stream("cosas", "api", "cosas", options={"other_fields": "resto"})
    ingest(db, [{"id": 1, "a": 1, "b": {"c": None}}, {"id": 2}], "cosas")
    assert db.query("SELECT * FROM cosas ORDER BY id") == [(1, {"a": 1, "b": {"c": None}}), (2, {})]
    connector.answer(
        "read", ["C", columns(id="int8", resto="jsonb")], ["R", [(1, {"a": 1, "b": {"c": None}}), (2, {})]],
        ["P", {"position": {"at": 1}, "rows": 2}], ["D", {}],
    )  # fmt: skip
    assert db.counts(db.run("cosas"))[:2] == (0, 0)


def test_bad_records_are_found_wherever_they_stand(api):
    """They are looked for in halves, in which what is no object stands, too."""
    records = [{"id": number, "Nombre": "x"} for number in range(1001)]
    bad = [0, 499, 500, 501, 1000]
    for number in bad:
        records[number]["id"] = f"no {number}"
    records[250], records[750] = 5, 6
    assert ingest(api, records, "cosas") == (1001, 994, 0, 0, 0, 7)
    assert api.query("SELECT count(*), sum(id) FROM cosas") == [(994, sum(set(range(1001)) - {*bad, 250, 750}))]
    assert sorted(error["record"].get("id", "") for error in api.errors("cosas")) == sorted(["", "", *(f"no {number}" for number in bad)])


def test_an_older_version_that_comes_late_is_left_out(stream):
    """No poll would mend it: the row's change lies before the watermark."""
    new, old = (sale(1, pieces=pieces, actualizado=f"2025-03-0{pieces}T10:00:00") for pieces in (3, 2))
    assert ingest(stream, new) == (1, 0, 1, 0, 0, 0)
    assert ingest(stream, old) == (1, 0, 0, 1, 0, 0)
    assert ingest(stream, [sale(1, pieces=5, actualizado="2025-03-05T10:00:00"), old]) == (2, 0, 1, 1, 0, 0)
    assert ingest(stream, [sale(10, pieces=4, actualizado="2025-03-04T10:00:00"), sale(10, pieces=6)]) == (2, 1, 0, 1, 0, 0)
    assert stream.query("SELECT id, cantidad FROM ventas WHERE id IN (1, 10) ORDER BY 1") == [(1, 5), (10, 4)]
    assert ingest(stream, sale(1, pieces=7, actualizado=None)) == (1, 0, 1, 0, 0, 0), "what has no version is taken as it comes"
