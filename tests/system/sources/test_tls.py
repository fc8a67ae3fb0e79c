"""Encrypted sessions: option tls keeps its promise with each driver, or is refused; sync_test() says what a session is."""

import subprocess

import psycopg
import pytest
from harness import MariaDB, PostgresSource
from harness.environment import give_to, new_directory, remove, server_user


@pytest.fixture(scope="module")
def certificates():
    """An authority, a certificate of it for 127.0.0.1, and another authority."""
    directory = new_directory("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=directory)

    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN=authority {name}",
                "-keyout", f"{name}.key", "-out", f"{name}.crt")  # fmt: skip
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr")
    (directory / "extensions").write_text("subjectAltName = IP:127.0.0.1, DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", "extensions", "-out", "server.crt")  # fmt: skip
    for file in directory.iterdir():
        file.chmod(0o644)
    yield directory
    remove(directory)


@pytest.fixture(scope="module")
def encrypted_mariadb(certificates):
    options = (f"--ssl-ca={certificates / 'ca.crt'}", f"--ssl-cert={certificates / 'server.crt'}", f"--ssl-key={certificates / 'server.key'}")
    with MariaDB(options=options) as server:
        server.create_database("shop")
        server.query("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)", "shop")
        yield {"driver": "MariaDB Unicode", "host": "127.0.0.1", "port": server.port, "database": "shop",
               "user": server.user, "password": server.password}  # fmt: skip


@pytest.fixture(scope="module")
def encrypted_postgres(certificates):
    source = PostgresSource()
    try:
        for name, mode in (("server.crt", 0o644), ("server.key", 0o600)):
            copy = source.data / name
            copy.write_bytes((certificates / name).read_bytes())
            copy.chmod(mode)
            give_to(server_user(), copy)
        source.write_settings(ssl="on")
        source.start()
        source.query("CREATE TABLE t (id int PRIMARY KEY)")
        source.query("INSERT INTO t VALUES (1)")
        yield source.server_options("postgres") | {"user": source.user_name, "password": source.password}
    finally:
        source.destroy()


@pytest.fixture(params=["mariadb", "postgresql"])
def encrypted(request):
    return request.getfixturevalue("encrypted_mariadb" if request.param == "mariadb" else "encrypted_postgres")


def steps(db, server):
    return {row["step"]: row for row in db.dicts("SELECT * FROM sync_test(%s)", server)}


def test_require_encrypts_and_says_that_nothing_is_verified(db, encrypted):
    db.create_server("s", **encrypted, tls="require")
    told = steps(db, "s")
    assert "tls" in told, told["connect"]["message"]
    told = told["tls"]
    assert told["ok"] and told["message"].startswith("the session is encrypted (")
    assert told["message"].endswith("the certificate was not verified")
    db.create_stream("t", "s", "t")
    assert db.run("t")["inserted"] == 1


def test_verify_takes_a_certificate_of_the_authority(db, encrypted, certificates):
    db.create_server("s", **encrypted, tls="verify", tls_ca=certificates / "ca.crt")
    assert steps(db, "s")["tls"]["message"].endswith("the certificate was verified")


def test_verify_refuses_a_certificate_of_another_authority(db, encrypted, certificates):
    db.create_server("s", **encrypted, tls="verify", tls_ca=certificates / "other.crt")
    told = steps(db, "s")
    assert not told["connect"]["ok"] and "tls" not in told, told


def test_verify_refuses_a_self_signed_certificate_by_the_systems_authorities(db, encrypted):
    db.create_server("s", **encrypted, tls="verify")
    assert not steps(db, "s")["connect"]["ok"]


def test_disable_is_in_clear_and_says_so(db, encrypted):
    db.create_server("s", **encrypted, tls="disable")
    assert "in clear" in steps(db, "s")["tls"]["message"]


def test_require_fails_where_the_source_has_no_tls(db, mariadb, postgres):
    """The promise is never given up for a session in clear."""
    mariadb.query("CREATE TABLE t (id int PRIMARY KEY)")
    db.create_server("m", **mariadb.server_options, tls="require")
    db.create_server("p", **postgres.server_options, tls="require")
    for server in ("m", "p"):
        assert not steps(db, server)["connect"]["ok"]
        with pytest.raises(psycopg.Error):
            db.query("SELECT * FROM sync_preview(%s, 't')", server)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"driver": "FreeTDS", "driver_options": "Encrypt=yes"}, 'does not know the keyword "Encrypt"'),
        ({"driver": "FreeTDS", "driver_options": "TrustServerCertificate=no"}, 'does not know the keyword "TrustServerCertificate"'),
        ({"driver": "MariaDB Unicode", "driver_options": "SSL_MODE=REQUIRED"}, "does not know the keyword"),
        ({"driver": "PostgreSQL Unicode", "driver_options": "Encrypt=yes"}, 'does not know the keyword "Encrypt"'),
        ({"driver": "PostgreSQL Unicode", "driver_options": "SSLmode=disable", "tls": "verify"}, "exclude each other"),
        ({"driver": "FreeTDS", "tls": "verify"}, "cannot guarantee option tls 'verify'"),
        ({"driver": "MariaDB Unicode", "tls": "prefer"}, "cannot guarantee option tls 'prefer'"),
        ({"driver": "Oracle", "tls": "require"}, "cannot guarantee option tls 'require'"),
        ({"driver": "SQLite3", "database": "/tmp/x", "tls": "require"}, "cannot guarantee option tls 'require'"),
    ],
)
def test_what_a_driver_would_ignore_is_refused_before_it_connects(db, options, message):
    db.create_server("s", **({"host": "127.0.0.1", "port": "1"} if options["driver"] != "SQLite3" else {}), **options)
    told = steps(db, "s")["driver"]
    if options["driver"] == "Oracle" and "registered" in told["message"]:
        pytest.skip("no Oracle driver is registered here")
    assert not told["ok"] and message in told["message"], told


@pytest.mark.parametrize(
    ("base_url", "tls", "refused"),
    [("http://x/", "require", True), ("http://x/", "verify", True), ("https://x/", "disable", True), ("https://x/", "verify", False)],
)
def test_the_url_of_an_api_and_option_tls_agree(db, base_url, tls, refused):
    if refused:
        with pytest.raises(psycopg.Error, match="contradict each other"):
            db.create_rest_server("a", base_url, tls=tls)
    else:
        db.create_rest_server("a", base_url, tls=tls)
