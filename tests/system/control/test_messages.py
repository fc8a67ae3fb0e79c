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


# Words of the project's own dialect, which a reader whose first language is not English must look up or read twice.
PLAIN_WORDS = {
    "contraction": re.compile(r"\b\w+n't\b|\b(?:it|he|that|there|what)'s\b|\w'(?:ll|re|ve)\b"),
    "dialect": re.compile(
        r"\b(?:anew|heed\w*|whoever|nobody|somebody|thither|thereby|whose middle|told (?:by|apart|from)|tells? (?:apart|by)|at home|"
        r"of its own|came to grief|comes to grief|hasn't got|by and by|all the same|(?<!there )is no (?:date|time|JSON|http|name|object|type)\b)"
    ),
}
PRIMARY = re.compile(r'\b(?:Error|Failure|failure|error)\s?\(\s*(?:ERRCODE_\w+|FailureClass::\w+)\s*,\s*"((?:[^"\\\n]|\\.)*)"(\s*[,)])?')
COMMENT = re.compile(r"^COMMENT ON [^']*? IS\s+'((?:[^']|'')*)'", re.M)


def faults_of_words(text):
    for rule, pattern in PLAIN_WORDS.items():
        if match := pattern.search(text):
            yield f"{rule} {match.group(0)!r} in {text!r}"


def faults_of_source(text):
    """Of the literals in C++ that are sentences, with their lines; the words of statements and comments are not meant."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("//"):
            for literal in LITERAL.findall(line):
                if " " in literal:
                    yield from ((number, fault) for fault in faults_of_words(literal))
    for match in PRIMARY.finditer(text):
        number, (message, end) = text.count("\n", 0, match.start()) + 1, match.groups()
        if re.match(r"[A-Z][a-z]+ ", message):
            yield number, f"primary message begins with a capital: {message!r}"
        if end and message.endswith("."):
            yield number, f"primary message ends with a period: {message!r}"


def faults_of_comments(text):
    for match in COMMENT.finditer(text):
        number, comment = text.count("\n", 0, match.start()) + 1, match.group(1).replace("''", "'")
        yield from ((number, fault) for fault in faults_of_words(comment))
        if comment.endswith("."):
            yield number, f"comment ends with a period: {comment!r}"


def test_messages_and_descriptions_are_in_plain_words():
    found = []
    for folder in ("bgworker", "extension"):
        for file in sorted((CHECKOUT / folder).rglob("*.[ch]pp")):
            found += [f"{file.relative_to(CHECKOUT)}:{number}: {fault}" for number, fault in faults_of_source(file.read_text())]
    for file in sorted((CHECKOUT / "sql/objects").glob("*.sql")):
        found += [f"{file.relative_to(CHECKOUT)}:{number}: {fault}" for number, fault in faults_of_comments(file.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line, rule",
    [
        ('throw pg::Error(ERRCODE_SYNTAX_ERROR, "a watermark can\'t be that");', "contraction"),
        ('throw Failure(FailureClass::config, "The watermark is wrong");', "begins with a capital"),
        ('throw Failure(FailureClass::config,\n    "the watermark is wrong.", "");', "ends with a period"),
        ('.description = "Rows that nobody reads."', "dialect"),
        ('throw Failure(FailureClass::config, "SQLite3 does not know the function");', None),
        ("// a comment that isn't shown", None),
    ],
)
def test_the_check_of_words_names_the_rule(line, rule):
    found = list(faults_of_source("\n" + line))
    assert [number for number, _ in found] == ([] if rule is None else [2]), found
    assert rule is None or rule in found[0][1]


def test_the_check_of_comments_reads_comments_of_several_lines():
    (found,) = faults_of_comments("\nCOMMENT ON TABLE a IS\n    'rows that aren''t here';\n")
    assert found[0] == 2 and "contraction" in found[1]


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
