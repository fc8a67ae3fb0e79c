"""What a source may reach on the database's own machine: nothing but its own connection. Drivers run as the server's
operating system user, so a file that one writes or a library that one loads is as good as superuser rights."""

import shutil

import psycopg
import pytest
from harness import Database
from harness.database import literal, quote
from harness.environment import new_directory, give_to, remove, server_user


@pytest.fixture
def outside():
    """A directory in which the server's user could write."""
    directory = new_directory("outside")
    give_to(server_user(), directory)
    yield directory
    remove(directory)


@pytest.fixture
def analyst(db, shop):
    """A role with USAGE on the SQLite server `tienda` and nothing else, connected."""
    name = f"reach_{db.name}"
    db.execute(f"CREATE ROLE {name} LOGIN")
    db.execute("SELECT sync_grant(%s)", name)
    db.execute(f"GRANT USAGE ON FOREIGN SERVER tienda TO {name}")
    db.execute(f"GRANT CREATE ON SCHEMA public TO {name}")
    session = Database(db.cluster, db.name, name)
    yield session
    session.close()
    db.execute(f"DROP OWNED BY {name} CASCADE")
    db.execute(f"DROP ROLE {name}")


def give_mapping(session, server, user, password):
    session.execute(f"DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER {quote(server)}")
    session.execute(
        f"CREATE USER MAPPING FOR CURRENT_USER SERVER {quote(server)} OPTIONS (user {literal(user)}, password {literal(password)})"
    )


# ------------------------------------------------------------------------------------------------------------- SQLite


@pytest.mark.parametrize(
    "call",
    ["blob_export(x'41', '{path}')", 'BLOB_Export(x\'41\', "{path}")', "\"blob_export\"(x'41', '{path}')", "[blob_export] (x'41', '{path}')",
     "blob_import('{path}')", "load_extension('{path}')", "/* */ load_extension /* */ ('{path}', 'main')", "fts3_tokenizer('a', x'00')"],
)  # fmt: skip
@pytest.mark.parametrize("role", ["analyst", "superuser"])
def test_a_query_on_sqlite_reaches_no_file(db, analyst, outside, call, role):
    session = db if role == "superuser" else analyst
    path = outside / "file"
    source = f"SELECT 1 AS id, {call.format(path=path)} AS v"
    for statement, arguments in (
        ("SELECT * FROM sync_preview('tienda', %s)", (source,)),
        ("SELECT * FROM sync_create('x', 'tienda', %s, key => 'id')", (source,)),
    ):
        with pytest.raises(psycopg.Error, match="must not use SQLite's function"):
            session.execute(statement, *arguments)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("text", ["SELECT 1 AS id; ATTACH DATABASE '{path}' AS y", "SELECT 1 AS id) s; ATTACH DATABASE '{path}' AS y; --",
                                  "VACUUM INTO '{path}'", "ATTACH DATABASE '{path}' AS y", "PRAGMA journal_mode = wal",
                                  "WITH x AS (SELECT 1) INSERT INTO ventas (id) SELECT 99"])  # fmt: skip
def test_a_source_is_one_query(db, shop, analyst, outside, text):
    with pytest.raises(psycopg.Error):
        analyst.execute("SELECT * FROM sync_preview('tienda', %s)", text.format(path=outside / "file"))
    assert list(outside.iterdir()) == []
    assert shop.query("SELECT count(*) FROM ventas") == [(5,)]


def test_a_view_of_the_source_reaches_no_file(db, shop, outside):
    """Who writes the shop's file is a stranger to the database's machine."""
    shop.execute(f"CREATE VIEW trap AS SELECT id, blob_export(x'41', '{outside}/file') AS v FROM ventas")
    shop.execute(f"CREATE VIEW peep AS SELECT id, blob_import('{db.cluster.data}/PG_VERSION') AS v FROM ventas")
    for view in ("trap", "peep"):
        with pytest.raises(psycopg.Error, match="unsafe use of blob"):
            db.execute("SELECT * FROM sync_preview('tienda', %s)", view)
    assert list(outside.iterdir()) == []


# ----------------------------------------------------------------------------------------------------- user mappings


@pytest.mark.parametrize("form", ["x;{keyword}={path};a=b", "x}};{keyword}={path};a={{b", "{{x}};{keyword}={path};"])
@pytest.mark.parametrize("place", ["user", "password"])
def test_credentials_of_sqlite_are_no_keywords(analyst, outside, form, place):
    for keyword in ("Tracefile", "LoadExt", "Database"):
        value = form.format(keyword=keyword, path=outside / "file")
        give_mapping(analyst, "tienda", *((value, "x") if place == "user" else ("x", value)))
        assert len(analyst.query("SELECT * FROM sync_preview('tienda', 'ventas')")) == 5, keyword
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("form", ["x;{keyword};a=b", "x}};{keyword};a={{b", "{{x}};{keyword};", "}}}};{keyword};"])
@pytest.mark.parametrize("driver, keyword, sign", [
    ("FreeTDS", "DumpFile={path}", None),
    ("PostgreSQL Unicode", "pqopt={{hostaddr=127.0.0.9}}", "127.0.0.9"),
    ("PostgreSQL ANSI", "pqopt={{hostaddr=127.0.0.9}}", "127.0.0.9"),
    ("MariaDB Unicode", "SOCKET={path};TCPIP=0", "file"),
])  # fmt: skip
def test_credentials_are_no_keywords(db, outside, driver, keyword, sign, form):
    """A keyword inside a user name or password has no effect. (The drivers can't connect: nobody listens there.)"""
    keyword = keyword.format(path=outside / "file")
    host = {} if driver == "MariaDB Unicode" else {"host": "127.0.0.1"}

    def messages(**more):
        return str(db.query("SELECT message FROM sync_test('s') WHERE NOT ok"))

    db.create_server("s", driver=driver, port="1", driver_options=keyword, **host)
    seen = messages() + str(list(outside.iterdir()))
    assert (sign or "file") in seen, f"the keyword works where it may stand: {seen}"
    for left in outside.iterdir():
        left.unlink()
    db.execute("ALTER SERVER s OPTIONS (DROP driver_options)")
    for mapping in ((form.format(keyword=keyword), "p"), ("u", form.format(keyword=keyword))):
        give_mapping(db, "s", *mapping)
        seen = messages()
        assert seen != "[]"
        assert sign is None or sign not in seen.replace(mapping[0], ""), seen
        assert list(outside.iterdir()) == []


# -------------------------------------------------------------------------------------------------------- file access


@pytest.mark.parametrize("changes", ["SET database '{path}'", "ADD driver_options 'Tracefile={path}'", "SET driver 'FreeTDS'",
                                     "DROP driver, ADD dsn 'x'", "DROP driver, DROP database, ADD connection_string 'Driver=SQLite3;Database={path}'",
                                     "ADD host '{path}'", "ADD connect_timeout '5 s'"])  # fmt: skip
def test_the_owner_of_a_server_points_it_nowhere_else(db, analyst, outside, changes):
    db.execute(f"GRANT USAGE ON FOREIGN DATA WRAPPER insync_odbc TO {analyst.user}")
    db.execute(f"ALTER SERVER tienda OWNER TO {analyst.user}")
    try:
        before = db.value("SELECT srvoptions::text FROM pg_foreign_server WHERE srvname = 'tienda'")
        with pytest.raises(psycopg.Error) as raised:
            analyst.execute(f"ALTER SERVER tienda OPTIONS ({changes.format(path=outside / 'file')})")
        assert raised.value.sqlstate == "42501", raised.value
        assert db.value("SELECT srvoptions::text FROM pg_foreign_server WHERE srvname = 'tienda'") == before
    finally:
        db.execute("ALTER SERVER tienda OWNER TO postgres")


@pytest.mark.parametrize("options", ["host '127.0.0.1'", "driver '{path}'", "driver '/usr/lib/x86_64-linux-gnu/odbc/libsqlite3odbc.so', database '{path}'",
                                     "connection_string 'FILEDSN={path}'", "connection_string 'DSN=a;SAVEFILE={path}'"])  # fmt: skip
def test_who_is_no_superuser_makes_no_server(db, analyst, outside, options):
    db.execute(f"GRANT USAGE ON FOREIGN DATA WRAPPER insync_odbc TO {analyst.user}")
    with pytest.raises(psycopg.Error) as raised:
        analyst.execute(f"CREATE SERVER other FOREIGN DATA WRAPPER insync_odbc OPTIONS ({options.format(path=outside / 'file')})")
    assert raised.value.sqlstate in ("42501", "HV00D"), raised.value


def test_a_driver_is_no_path(db, shop, outside):
    """Not even a superuser names a library by its path, unless insync.odbc_drivers has it."""
    library = outside / "libsqlite3odbc.so"
    shutil.copy("/usr/lib/x86_64-linux-gnu/odbc/libsqlite3odbc.so", library)
    with pytest.raises(psycopg.Error, match="is not allowed"):
        db.execute(f"CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (driver {literal(library)}, database {literal(shop.path)})")
    db.execute(f"CREATE SERVER s FOREIGN DATA WRAPPER insync_odbc OPTIONS (connection_string {literal(f'Driver={library};Database={shop.path}')})")
    with pytest.raises(psycopg.Error, match="is not allowed"):
        db.execute("SELECT * FROM sync_preview('s', 'ventas')")


@pytest.mark.parametrize("setting", ["insync.odbc_drivers", "insync.connector", "insync.connector_memory", "insync.max_value", "insync.databases"])
def test_settings_of_the_machine_are_a_superusers(analyst, setting):
    with pytest.raises(psycopg.Error) as raised:
        analyst.execute(f"SET {setting} = '1'")
    assert raised.value.sqlstate in ("42501", "55P02"), raised.value
