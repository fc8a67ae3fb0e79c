"""How requests to a JSON API travel: TLS, proxies, and where credentials go and don't."""

import datetime
import ssl
import subprocess

import psycopg
import pytest
from harness.environment import new_directory, remove
from harness.rest import ClientCredentials, Plain, Response, Table, Told, basic, bearer
from harness.rest import nginx
from harness.rest.auth import Header, QueryParameter
from harness.rest.server import Refusal
from harness.rest.table import UTC
from harness.secrets import PASSWORD

ROWS = [{"id": id, "name": f"café {id}", "updated_at": datetime.datetime(2025, 1, 1, tzinfo=UTC)} for id in range(1, 251)]
STREAM = {"params": {"offset": "{offset}", "limit": "{limit}"}, "page_size": 50, "max_retries": 0, "retries": 0}


def plain(**more):
    return Plain(Table("items", ROWS), **more)


@pytest.fixture(scope="module")
def certificates():
    """A directory that the server's user can read, with a certificate of 127.0.0.1 and one of elsewhere, each with its key."""
    directory = new_directory("certificates")
    directory.chmod(0o755)
    for name, place in (("here", "IP:127.0.0.1"), ("elsewhere", "DNS:elsewhere.example.com")):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
             f"/CN={name}", "-addext", f"subjectAltName={place}", "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.crt"],
            check=True, capture_output=True,
        )  # fmt: skip
        (directory / f"{name}.crt").chmod(0o644)
    yield directory
    remove(directory)


def with_tls(server, certificates, name="here"):
    """The server speaks TLS with that certificate from now on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.crt", certificates / f"{name}.key")
    server.listener.socket = context.wrap_socket(server.listener.socket, server_side=True, do_handshake_on_connect=False)
    return server.url.replace("http:", "https:")


def load(db, url, credentials=None, expect="succeeded", **options):
    db.create_rest_server("api", url, credentials, **options)
    db.create_stream("s", "api", "items", target="s", key="id", options=STREAM)
    return db.run("s", expect=expect)


def test_a_certificate_that_is_trusted(db, certificates):
    with plain() as server:
        load(db, with_tls(server, certificates), tls_ca=certificates / "here.crt")
        assert db.value("SELECT count(*) FROM s") == len(ROWS)


@pytest.mark.skipif(nginx.PROGRAM is None, reason="nginx is not installed")
def test_http_2_is_spoken_where_it_is_offered(db, certificates):
    """Over one connection, all pages."""
    with nginx.Nginx(certificates / "here.crt", certificates / "here.key") as server:
        server.write("items", [{"id": row["id"], "name": row["name"]} for row in ROWS], 50)
        db.create_rest_server("api", server.url, tls_ca=certificates / "here.crt")
        options = {"path": "{source}/{page}.json", "paging": "page", "rows_path": "/items", "more_path": "/has_more"}
        db.create_stream("s", "api", "items", target="s", key="id", options=options)
        before = len(server.logged())
        db.run("s")
        assert db.value("SELECT count(*) FROM s") == len(ROWS)
        spoken = server.logged()[before:]
        assert [path for _, _, path in spoken] == [f"/items/{page}.json" for page in range(1, 6)]
        assert {protocol for protocol, _, _ in spoken} == {"HTTP/2.0"}
        assert len({connection for _, connection, _ in spoken}) == 1


@pytest.mark.parametrize("name, trusted", [("here", None), ("here", "elsewhere"), ("elsewhere", "elsewhere")])
def test_a_certificate_that_is_not(db, certificates, name, trusted):
    """Nobody vouches for it; somebody else does; it is another server's."""
    with plain() as server:
        ca = {"tls_ca": certificates / f"{trusted}.crt"} if trusted else {}
        db.create_rest_server("api", with_tls(server, certificates, name), **ca)
        steps = {row["step"]: row for row in db.dicts("SELECT * FROM sync_test('api')")}
        assert not steps["connect"]["ok"]
        assert "no secure connection to 127.0.0.1" in steps["connect"]["message"]
        assert "certificate" in steps["connect"]["message"]
        assert server.requests == []


def test_https_where_http_is_spoken(db):
    with plain() as server:
        db.create_rest_server("api", server.url.replace("http:", "https:"))
        steps = {row["step"]: row for row in db.dicts("SELECT * FROM sync_test('api')")}
        assert not steps["connect"]["ok"]
        assert "no secure connection" in steps["connect"]["message"]


class QueryKey(QueryParameter):
    """The parameter is the gateway's and none of the API behind it."""

    def check(self, request):
        super().check(request)
        request.pairs = [(name, value) for name, value in request.pairs if name != self.name]


@pytest.mark.parametrize("way", ["redirect", "next link"])
def test_what_looks_like_a_credential_among_the_headers_stays_at_home(db, way):
    """They belong in the user mapping; where a DBA put them among the options, they are as secret."""
    with Told() as other, Told() as server:
        other.tell = lambda request: [{"id": 2}]
        there = f"{other.url}/items"
        server.tell = lambda request: Response(302, headers={"Location": there}) if way == "redirect" else {"items": [{"id": 1}], "next": there}
        db.create_rest_server("api", server.url, headers='{"X-Api-Key": "s3cr3t"}')
        with pytest.raises(psycopg.Error, match="to another server"):
            db.query("SELECT * FROM sync_preview('api', 'items')")
        assert server.requests[-1].headers["x-api-key"] == "s3cr3t" and other.requests == []


@pytest.mark.parametrize("leads", ["the source", "the option"])
def test_a_path_leads_nowhere_else(db, leads):
    """Who may use a server names sources of it; the address is the server's."""
    with Told() as other, Told() as server:
        other.tell = server.tell = lambda request: [{"id": 1}]
        source = f"{other.url}/items" if leads == "the source" else other.url.removeprefix("http://")
        db.create_rest_server("api", server.url, **({} if leads == "the source" else {"path": "http://127.0.0.1:1/{source}"}))
        with pytest.raises(psycopg.Error, match="leads away from base_url"):
            db.query("SELECT * FROM sync_preview('api', %s)", source)
        assert server.requests == other.requests == []


AUTHS = {
    "basic": (lambda: basic("etl", PASSWORD), {"auth": "basic"}, {"user": "etl", "password": PASSWORD}),
    "bearer": (lambda: bearer("s3cr3t.token/+="), {"auth": "bearer"}, {"token": "s3cr3t.token/+="}),
    "bearer and header": (
        lambda: Header(authorization="Bearer s3cr3t/", apikey="s3cr3t/"), {"auth": "bearer", "auth_name": "apikey"}, {"token": "s3cr3t/"},
    ),
    "header": (lambda: Header(x_own_token="s3cr3t/"), {"auth": "header", "auth_name": "X-Own-Token"}, {"token": "s3cr3t/"}),
    "query": (lambda: QueryKey("api key", "s3cr3t/&"), {"auth": "query", "auth_name": "api key"}, {"token": "s3cr3t/&"}),
} | {
    f"oauth2, {style}": (
        lambda style=style: ClientCredentials("etl:1", PASSWORD, style=style), {"auth": "oauth2", "token_body": style},
        {"client_id": "etl:1", "client_secret": PASSWORD},
    )
    for style in ("basic", "form", "json")
}  # fmt: skip


@pytest.mark.parametrize("name", AUTHS)
def test_credentials_are_sent_and_never_told(db, name):
    make, options, credentials = AUTHS[name]
    with plain() as server:
        server.auth = make()
        load(db, server.url, credentials, **options)
        assert db.value("SELECT count(*) FROM s") == len(ROWS)
        told = [
            db.query("SELECT * FROM sync_explain('s')"), db.query("SELECT * FROM sync_test('api')"), db.query("SELECT * FROM insync.run"),
            db.query("SELECT * FROM sync_status('s')"),
        ]  # fmt: skip
        # The credentials are wrong now, and the server repeats all that it was told.
        server.auth.check = lambda request: refuse(request)
        db.run("s", expect="failed")
        told += [db.query("SELECT * FROM sync_test('api')"), db.query("SELECT * FROM insync.run")]
        assert "s3cr3t" not in str(told) and "czNjcjN0" not in str(told)
        assert "***" in str(told)


def refuse(request):
    raise Refusal(401, {"you": f"{request.target} {request.headers} {request.body}"})


def test_a_proxy(db):
    """A proxy takes requests with the whole URL; the server's name needn't be known here."""
    with plain() as proxy:
        regular = proxy.handle

        def handle(request):
            assert request.target.startswith("http://api.invalid/")
            request.path = request.path.removeprefix("http://api.invalid")
            return regular(request)

        proxy.handle = handle
        load(db, "http://api.invalid/", proxy=proxy.url)
        assert db.value("SELECT count(*) FROM s") == len(ROWS)



@pytest.mark.parametrize("credentials", [True, False])
@pytest.mark.parametrize("way", ["redirect", "next link", "link header", "delta link"])
def test_an_answer_leads_nowhere_else(db, way, credentials):
    """An API that anybody may read could have the database's host ask what only that reaches."""
    with Told() as other, Told() as server:
        other.tell = lambda request: [{"id": 2}]
        there = f"{other.url}/secret"
        answers = {
            "redirect": lambda: Response(302, headers={"Location": there}),
            "next link": lambda: {"items": [{"id": 1}], "next": there},
            "link header": lambda: Response(body=b'[{"id": 1}]', headers={"Link": f'<{there}>; rel="next"'}),
            "delta link": lambda: {"items": [{"id": 1}], "delta": there},
        }
        server.tell = lambda request: answers[way]()
        options = {"auth": "bearer"} if credentials else {}
        db.create_rest_server("api", server.url, {"token": "abc"} if credentials else None, **options)
        if way == "delta link":
            db.create_stream("s", "api", "items", target="s", key="id", options={"response_watermark": "/delta", "max_retries": 0})
            db.run("s")
            assert "to another server" in db.run("s", expect="failed")["message"]
        else:
            with pytest.raises(psycopg.Error, match="to another server") as error:
                db.query("SELECT * FROM sync_preview('api', 'items')")
            assert "allowed_origins" in error.value.diag.message_hint
        assert other.requests == []


def test_pages_may_be_elsewhere_where_the_server_says_so(db):
    with Told() as other, Told() as server:
        other.tell = lambda request: [{"id": 2}]
        server.tell = lambda request: Response(body=b'[{"id": 1}]', headers={"Link": f'<{other.url}/more>; rel="next"'})
        db.create_rest_server("api", server.url, allowed_origins=f"https://files.example.com, {other.url}/")
        db.create_stream("s", "api", "items", target="s", key="id")
        assert db.run("s")["inserted"] == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]"])
def test_no_redirect_leads_to_the_machine_itself(db, host):
    """Not even to an origin that the server's options allow: who redirects may choose the path."""
    with Told() as other, Told() as server:
        port = other.url.rsplit(":", 1)[1].strip("/")
        there = f"http://{host}:{port}"
        other.tell = lambda request: [{"id": 2}]
        server.tell = lambda request: Response(302, headers={"Location": f"{there}/secret"})
        db.create_rest_server("api", server.url, allowed_origins=there, connect_timeout="2 seconds", retries=0)
        with pytest.raises(psycopg.Error) as error:
            db.query("SELECT * FROM sync_preview('api', 'items')")
        assert other.requests == []
        if host in ("127.0.0.1", "localhost", "0.0.0.0"):
            assert "redirects to an address of this machine" in str(error.value)


def test_redirects_within_the_origin_are_followed(db):
    with Told() as server:
        server.tell = lambda request: [{"id": 1}] if request.path == "/new" else Response(302, headers={"Location": "/new"})
        db.create_rest_server("api", server.url)
        assert len(db.query("SELECT * FROM sync_preview('api', 'items')")) == 1


def test_origins_that_are_none_are_refused(db):
    with Told() as server:
        server.tell = lambda request: [{"id": 1}]
        db.create_rest_server("api", server.url, allowed_origins="files.example.com")
        with pytest.raises(psycopg.Error, match="allowed_origins"):
            db.query("SELECT * FROM sync_preview('api', 'items')")
