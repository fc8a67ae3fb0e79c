"""What is wrong with the description of a REST source is said where it is written, and what is shown of it holds no secret."""

import json

import psycopg
import pytest
from harness.database import literal
from harness.rest import Told


@pytest.fixture
def api():
    with Told() as server:
        server.tell = lambda request: [{"id": number} for number in range(3)]
        yield server


def refusal(call, *arguments, **named):
    with pytest.raises(psycopg.Error) as error:
        call(*arguments, **named)
    diag = error.value.diag
    return f"{diag.message_primary} | {diag.message_detail} | {diag.message_hint}"


MISTAKES = {
    "misspelled": ({"params": '{"updated": "{sinze}"}'}, ('option "params"', 'the value of "updated"', "{sinze}", "Perhaps you meant {since}.")),
    "unclosed": ({"path": "v1/{source"}, ('option "path"', "{source has no }", "Perhaps you meant {source}.")),
    "part without an end": ({"body": "[[{since}"}, ('option "body"', "begins with [[ and has no ]]")),
    "line break": ({"headers": json.dumps({"X-Shop": "a\r\nX-Other: s3cr3t"})}, ('option "headers"', '"X-Shop"', "line break")),
    "no name": ({"headers": '{"X Shop": "s3cr3t"}'}, ('option "headers"', '"X Shop" is not the name of a header')),
}


@pytest.mark.parametrize("options, words", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_requests_are_refused_where_they_are_written(db, api, options, words):
    (name,), (value,) = options, options.values()
    given = json.loads(value) if value.startswith("{") else value
    db.execute("SET log_min_error_statement = panic")  # the statement itself holds what was given; nothing else in the log may
    db.create_rest_server("api", api.url)
    db.create_stream("items", "api", "items", key="id")
    api.forget()
    for message in (
        refusal(db.create_rest_server, "other", api.url, **options),
        refusal(db.execute, f"ALTER SERVER api OPTIONS (ADD {name} {literal(value)})"),
        refusal(db.create_stream, "t", "api", "items", key="id", options={name: given}),
        refusal(db.query, "SELECT sync_alter('items', %s::jsonb)", json.dumps({name: given})),
    ):
        assert all(word in message for word in words) and "s3cr3t" not in message, message
    assert api.requests == [], "nothing was asked for"


def test_mistakes_in_a_second_resource_are_found_as_early(db, api):
    db.create_rest_server("api", api.url)
    for name, value in {
        "parent": {"source": "shops", "params": {"a": "{parnet.id}"}},
        "delete_feed": {"source": "events/{sorce}", "key": "id", "watermark": "at"},
        "key_scan": {"headers": {"X-A": "a\n"}},
    }.items():
        options = {name: value, "deletes": "hard"}
        message = refusal(db.create_stream, "t", "api", "items", key="id", options=options)
        assert f'option "{name}"' in message, message
    assert api.requests == []


@pytest.mark.parametrize("source", ["items\n", "items\r\nHost: x", "it\tems"])
def test_a_source_is_one_line(db, api, source):
    db.create_rest_server("api", api.url)
    for call in (
        "sync_create('t', 'api', %s, key => 'id', target => 't')", "sync_preview('api', %s)", "sync_discover('api', %s)",
    ):  # fmt: skip
        assert "holds a line break" in refusal(db.query, f"SELECT * FROM {call}", source)
    assert api.requests == []


def test_explain_shows_no_credential_among_the_headers(db, api):
    """They belong in the user mapping; by habit, many stand here."""
    secret = {name: "s3cr3t" for name in ("Authorization", "X-Api-Key", "Cookie", "x-access-token", "Client-Secret")}
    db.create_rest_server("api", api.url, headers=json.dumps(secret | {"Accept-Language": "es"}))
    options = {"headers": {"X-Shop": "T01", "X-Auth": "s3cr3t"}, "key_scan": {"headers": {"X-Key": "s3cr3t", "X-Other": "otra"}}}
    db.create_stream("items", "api", "items", key="id", options=options)
    steps = dict(db.query("SELECT * FROM sync_explain('items')"))
    assert "s3cr3t" not in str(steps)
    shown = json.loads(steps["option: headers"].removesuffix(" (from stream)"))
    assert shown == dict.fromkeys(secret, "***") | {"Accept-Language": "es", "X-Shop": "T01", "X-Auth": "***"}
    assert '"X-Key":"***"' in steps["option: key_scan"] and "otra" in steps["option: key_scan"]
    assert db.run("items")["inserted"] == 3
    assert api.requests[-1].headers["x-api-key"] == "s3cr3t"


def test_a_preview_of_no_rows_has_none(db, api, sqlite):
    sqlite.script("CREATE TABLE items (id INTEGER PRIMARY KEY); INSERT INTO items VALUES (1), (2)")
    db.create_server("shop", **sqlite.server_options())
    db.create_rest_server("api", api.url)
    for server in ("api", "shop"):
        assert [db.value("SELECT count(*) FROM sync_preview(%s, 'items', %s)", server, rows) for rows in (0, 1, 2)] == [0, 1, 2]
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="must not be negative"):
            db.query("SELECT * FROM sync_preview(%s, 'items', -1)", server)


def test_no_pattern_is_every_source(db, api, sqlite):
    sqlite.script("CREATE TABLE items (id INTEGER PRIMARY KEY); CREATE TABLE others (id INTEGER PRIMARY KEY)")
    db.create_server("shop", **sqlite.server_options())
    api.tell = lambda request: {"names": ["items", "others"]} if request.path == "/list" else [{"id": 1}]
    db.create_rest_server("api", api.url, catalog="list", catalog_path="/names")
    for name in ("api", "shop"):
        assert db.query("SELECT source FROM sync_discover(%s, NULL) ORDER BY 1", name) == [("items",), ("others",)]
    with pytest.raises(psycopg.errors.NullValueNotAllowed):
        db.query("SELECT * FROM sync_discover(NULL, NULL)")


@pytest.mark.parametrize("where", ["server", "stream"])
def test_a_body_may_have_several_lines(db, api, where):
    """As JSON and GraphQL are written; a line end within a path or a name is a mistake all the same."""
    body = '{\n\t"query": "pedidos"[[,\r\n\t"desde": "{since}"]]\n}'
    options = {"body": body, "method": "POST", "path": "v1/{source}"}
    db.create_rest_server("api", api.url, **(options if where == "server" else {}))
    db.create_stream("pedidos", "api", "pedidos", key="id", options=options if where == "stream" else {})
    db.run("pedidos")
    assert {json.loads(request.body)["query"] for request in api.requests} == {"pedidos"}
    verb = "SET" if where == "server" else "ADD"
    for option in (r"path E'v1/\n{source}'", r"body E'{\x01}'"):
        assert "control character" in refusal(db.execute, f"ALTER SERVER api OPTIONS ({verb} {option})")
