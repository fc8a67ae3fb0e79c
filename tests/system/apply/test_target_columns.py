"""Columns of the target over time: renamed ones, and those that PostgreSQL fills by itself."""

import datetime

import psycopg
import pytest
from harness import wait_for
from harness.rest import Plain, Table


@pytest.fixture
def source(db, sqlite):
    sqlite.execute("CREATE TABLE piezas (id INTEGER PRIMARY KEY, nombre TEXT, alta TIMESTAMP, serie INTEGER)")
    sqlite.many("INSERT INTO piezas VALUES (?, ?, ?, ?)", [(id, f"pieza {id}", "2025-01-01 10:00:00", id * 10) for id in (1, 2, 3)])
    db.create_server("taller", **sqlite.server_options())
    return sqlite


def statements_of(hint):
    """The two ways out that a hint names."""
    assert "Give it its old name: ALTER TABLE" in hint
    back = hint[hint.index("ALTER TABLE") : hint.index(";")]
    forth = hint[hint.index("SELECT sync_alter") :].rstrip(";") if "sync_alter" in hint else None
    return back, forth


@pytest.mark.parametrize("way", ["back", "forth"])
@pytest.mark.parametrize("column", ["nombre", "alta"])
def test_a_renamed_column_fails_the_run_and_both_ways_out_work(db, source, column, way):
    db.create_stream("piezas", "taller", "piezas", options={"source_time_zone": "Europe/Madrid"})
    db.run("piezas")
    before = db.query(f"SELECT id, {column} FROM piezas ORDER BY id")
    db.execute(f"ALTER TABLE piezas RENAME COLUMN {column} TO otro_nombre")
    source.execute("INSERT INTO piezas VALUES (4, 'nueva', '2025-01-01 10:00:00', 40)")
    message = db.run("piezas", expect="failed")["message"]
    assert f'column "{column}" of target public.piezas is called "otro_nombre" now' in message
    assert db.value("SELECT count(*) FROM piezas") == 3
    db.execute(statements_of(message.partition("HINT: ")[2])[way == "forth"])
    assert db.run("piezas")["inserted"] == 1
    name = column if way == "back" else "otro_nombre"
    assert db.query(f"SELECT id, {name} FROM piezas WHERE id < 4 ORDER BY id") == before
    assert db.value(f"SELECT count(*) FROM piezas WHERE {name} IS NULL") == 0


def test_a_name_that_another_source_column_has_is_not_taken_for_it(db, source):
    """Else the renamed column's values would be overwritten with those of the other one."""
    db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text)")
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    db.execute("ALTER TABLE piezas RENAME COLUMN nombre TO serie")
    assert 'is called "serie" now' in db.run("piezas", expect="failed")["message"]
    assert db.query("SELECT serie FROM piezas ORDER BY id") == [("pieza 1",), ("pieza 2",), ("pieza 3",)]


def test_a_column_that_was_put_aside_for_another_is_left_alone(db, source):
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    db.execute("ALTER TABLE piezas RENAME COLUMN nombre TO nombre_viejo; ALTER TABLE piezas ADD COLUMN nombre text")
    assert db.run("piezas")["updated"] == 3
    assert db.query("SELECT nombre_viejo = nombre FROM piezas") == [(True,)] * 3


def test_a_column_that_was_dropped_is_not_missed(db, source):
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    db.execute("ALTER TABLE piezas DROP COLUMN serie")
    source.execute("UPDATE piezas SET nombre = 'otra' WHERE id = 1")
    assert db.run("piezas")["updated"] == 1


@pytest.mark.parametrize("what", ["named", "deleted", "key"])
def test_renamed_columns_of_every_use_are_told_by_their_new_name(db, source, what):
    db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text, rotulo text, borrada timestamptz)")
    options = {"columns": {"rotulo": "upper(batch.nombre)"}, "deletes": "soft", "deleted_column": "borrada"}
    db.create_stream("piezas", "taller", "piezas", options=options)
    db.run("piezas")
    column = {"named": "rotulo", "deleted": "borrada", "key": "id"}[what]
    db.execute(f"ALTER TABLE piezas RENAME COLUMN {column} TO otro")
    message = db.run("piezas", expect="failed")["message"]
    assert f'column "{column}" of target public.piezas is called "otro" now' in message
    back, forth = statements_of(message.partition("HINT: ")[2])
    db.execute(back if what == "key" else forth)
    source.execute("UPDATE piezas SET nombre = 'z' WHERE id = 1")
    source.execute("DELETE FROM piezas WHERE id = 2")
    assert db.run("piezas")["rejected"] == 0
    if what == "named":
        assert db.value("SELECT otro FROM piezas WHERE id = 1") == "Z"
    if what == "deleted":
        assert db.value("SELECT count(*) FROM piezas WHERE otro IS NOT NULL") == 1


def test_a_verification_and_records_that_are_pushed_notice_it_as_well(db, source):
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    db.execute("ALTER TABLE piezas RENAME COLUMN nombre TO titulo")
    for statement in ("SELECT * FROM sync_verify('piezas')", "SELECT * FROM sync_ingest('piezas', '[{\"id\": 9, \"nombre\": \"n\"}]')",
                      "CALL sync_run('piezas')"):  # fmt: skip
        with pytest.raises(psycopg.Error, match='is called "titulo" now'):
            db.execute(statement)


def test_an_identity_column_that_can_not_be_updated_is_refused(db, source):
    """GENERATED ALWAYS: the first value would stay, whatever the source makes of it."""
    db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text, serie bigint GENERATED ALWAYS AS IDENTITY)")
    with pytest.raises(psycopg.Error, match="is GENERATED ALWAYS AS IDENTITY and cannot be updated") as refused:
        db.create_stream("piezas", "taller", "piezas")
    hint = refused.value.diag.message_hint
    db.execute(hint[: hint.index(";")])
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    source.execute("UPDATE piezas SET serie = 77 WHERE id = 2")
    assert db.run("piezas")["updated"] == 1
    assert db.value("SELECT serie FROM piezas WHERE id = 2") == 77
    db.execute("ALTER TABLE piezas ALTER COLUMN serie SET GENERATED ALWAYS")
    assert db.run("piezas", expect="failed")["sqlstate"] == "428C9", "each run looks, as somebody may have made it one"


def test_an_identity_column_that_the_target_numbers_itself_is_none_of_the_streams(db, source):
    db.execute("CREATE TABLE piezas (id bigint PRIMARY KEY, nombre text, serie bigint GENERATED ALWAYS AS IDENTITY (START 500))")
    options = {"columns_only": True, "columns": {"id": "batch.id", "nombre": "batch.nombre"}}
    db.create_stream("piezas", "taller", "piezas", key="id", options=options)
    assert db.run("piezas")["inserted"] == 3
    assert db.value("SELECT min(serie) FROM piezas") == 500


def has_column(db, name):
    return bool(db.query("SELECT FROM pg_attribute WHERE attrelid = 'piezas'::regclass AND attname = %s AND NOT attisdropped", name))


def test_a_new_column_does_not_queue_behind_a_reader(db, source):
    """Whoever comes after would queue behind it. The run leaves the column out and says so; a later one adds it."""
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    source.execute("ALTER TABLE piezas ADD COLUMN color TEXT DEFAULT 'rojo'")
    source.execute("INSERT INTO piezas VALUES (4, 'nueva', '2025-01-01 10:00:00', 40, 'verde')")
    with db.connect(autocommit=False) as reader:
        reader.execute("SELECT count(*) FROM piezas")
        run = db.run("piezas")
        assert run["inserted"] == 1 and 'new column "color" is not in the target yet' in run["message"]
        assert 'new column "color" is not in the target yet' in db.status("piezas")["message"]
        assert not has_column(db, "color")
        assert "is not in the target yet" in db.run("piezas")["message"], "it isn't forgotten"
    run = db.run("piezas")
    assert 'new column "color" was added' in run["message"] and run["updated"] == 4
    assert db.query("SELECT id, color FROM piezas ORDER BY id") == [(1, "rojo"), (2, "rojo"), (3, "rojo"), (4, "verde")]


def test_a_wider_column_does_not_queue_behind_a_reader(db, sqlite):
    """What the narrow one can't hold is rejected until then."""
    sqlite.script("CREATE TABLE piezas (id INTEGER PRIMARY KEY, peso INTEGER); INSERT INTO piezas VALUES (1, 24)")
    db.create_server("taller", **sqlite.server_options())
    db.create_stream("piezas", "taller", "piezas")
    db.run("piezas")
    sqlite.script("DROP TABLE piezas; CREATE TABLE piezas (id INTEGER PRIMARY KEY, peso DECIMAL(10,2)); INSERT INTO piezas VALUES (1, 24), (2, 24.75)")
    with db.connect(autocommit=False) as reader:
        reader.execute("SELECT count(*) FROM piezas")
        run = db.run("piezas")
        assert run["rejected"] == 1 and 'column "peso" of the target stays bigint for now' in run["message"]
    run = db.run("piezas")
    assert "was widened" in run["message"] and str(db.value("SELECT peso FROM piezas WHERE id = 2")) == "24.75" and db.errors("piezas") == []


def test_a_lock_that_ends_while_a_run_goes_on(db):
    """A later batch of the same run adds the column."""
    rows = [{"id": id, "name": f"n{id}"} for id in range(1, 41)]
    table = Table("items", rows, changed=None)
    with Plain(table) as server, db.connect(autocommit=False) as reader, db.connect() as other:
        db.create_rest_server("api", server.url)
        options = {"params": {"after": "[[{last_key}]]", "limit": "{limit}"}, "paging": "last_key", "page_size": 10, "batch_rows": 10}
        db.create_stream("piezas", "api", "items", target="piezas", key="id", options=options)
        db.run("piezas")
        for id in range(1, 41):
            table.update(id, color="rojo")
        reader.execute("SELECT count(*) FROM piezas")

        def release(request, answer, server):
            if request.query.get("after") == "20":
                wait_for(lambda: other.execute("SELECT FROM insync.progress WHERE batches >= 1").fetchall(), "the first batch, without the column")
                reader.rollback()
            return answer()

        server.each(1, release)
        run = db.run("piezas")
        assert "was added" in run["message"] and has_column(db, "color")
        colours = [color for (color,) in db.query("SELECT color FROM piezas ORDER BY id")]
        assert colours[0] is None and colours[-1] == "rojo"


def test_a_feed_of_deletes_goes_on_while_a_column_waits(db):
    """Its rows have the columns of the key alone, which says nothing of the others."""
    start = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
    table = Table("items", [{"id": id, "updated_at": start} for id in range(1, 41)])
    table.clock = lambda: datetime.datetime.now(datetime.timezone.utc)
    with Plain(table) as server:
        db.create_rest_server("api", server.url)
        pages = {"since": "[[{since}]]", "offset": "{offset}", "limit": "{limit}"}
        feed = {"source": "items/deleted", "params": pages, "key": "id", "watermark": "deleted_at"}
        options = {"params": {"sort": "{order:comma}", **pages}, "order": "asc", "paging": "keyset", "deletes": "hard", "delete_feed": feed, "batch_rows": 5}
        db.create_stream("piezas", "api", "items", target="piezas", key="id", watermark="updated_at", options=options)
        db.run("piezas")
        for id in range(1, 21):
            table.update(id, color="rojo")
        table.delete(*range(30, 41))
        with db.connect(autocommit=False) as reader:
            reader.execute("SELECT count(*) FROM piezas")
            run = db.run("piezas")
            assert run["deleted"] == 11 and "is not in the target yet" in run["message"]
        table.delete(29)
        table.update(20, color="verde")
        assert db.run("piezas")["deleted"] == 1 and has_column(db, "color")
