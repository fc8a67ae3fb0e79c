"""What is said to people: words that every client can show."""

import re

import psycopg
import pytest
from harness.environment import CHECKOUT

LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"')


def test_texts_of_the_sources_are_ascii():
    """A client whose encoding lacks a character gets an error about that, and not the message."""
    files = [file for folder in ("bgworker", "extension") for file in (CHECKOUT / folder).rglob("*.[ch]*")]
    assert len(files) > 100
    found = []
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if not line.lstrip().startswith("//"):
                found += [f"{file.name}:{number}: {text}" for text in LITERAL.findall(line) if not text.isascii()]
    scripts = [file for file in (CHECKOUT / "sql").rglob("*.sql*") if file.is_file()]
    assert len(scripts) > 5
    for file in scripts:
        found += [f"{file.name}:{number}" for number, line in enumerate(file.read_text().splitlines(), 1) if not line.isascii()]
    assert found == []


@pytest.mark.parametrize("encoding", ["latin1", "sql_ascii", "win1252"])
def test_a_message_arrives_whatever_the_encoding_of_the_client(db, encoding):
    with db.connect() as session:
        session.execute(f"SET client_encoding = '{encoding}'")
        with pytest.raises(psycopg.Error) as raised:
            session.execute("CREATE SERVER a FOREIGN DATA WRAPPER insync_rest OPTIONS (auth 'basic')")
    assert "base_url" in str(raised.value), raised.value


def test_an_error_of_postgresql_has_its_context_once(db, sqlite):
    """It passes through our functions, and those around them are not asked again."""
    sqlite.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    db.create_server("shop", **sqlite.server_options())
    db.create_stream("t", "shop", "t")
    db.execute("CREATE VIEW on_it AS SELECT * FROM t")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist) as raised:
        db.execute("DO $$ BEGIN PERFORM sync_drop('t', drop_target => true); END $$")
    context = raised.value.diag.context
    assert context.count("inline_code_block") == 1 and context.count("DROP TABLE") == 1, context
    with pytest.raises(psycopg.Error) as raised:
        db.execute("DO $$ BEGIN PERFORM sync_trigger('nothing'); PERFORM sync_drop('nothing'); END $$")
    assert raised.value.diag.context.count("inline_code_block") == 1
