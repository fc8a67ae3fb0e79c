"""sync_test(): what answers is connected, and only reading a source tells whether the credentials are accepted."""

import pytest
from harness.rest import Plain, Refusal, Relay, Table, bearer

ROWS = [{"id": id, "name": f"n{id}"} for id in range(1, 4)]


class Public(Plain):
    """Its root is open to everybody, or answers with the status `root`; its sources want a token."""

    def __init__(self, root=200):
        self.root = root
        super().__init__(Table("items", ROWS, changed=None))

    def handle(self, request):
        if request.path == "/":
            if self.root != 200:
                raise Refusal(self.root)
            return {"welcome": True}
        bearer("right").check(request)
        return super().handle(request)


def steps(db, *arguments):
    given = ", ".join(["%s"] * len(arguments))
    return {row["step"]: (row["ok"], row["message"]) for row in db.dicts(f"SELECT * FROM sync_test({given})", *arguments)}


def test_a_public_root_says_nothing_of_the_credentials(db):
    with Public() as server:
        db.create_rest_server("api", server.url, {"token": "wrong"}, auth="bearer")
        found = steps(db, "api")
        assert found["connect"][0] and "accepted" not in found["login"][1] and "sync_test('server', 'source')" in found["login"][1]
        found = steps(db, "api", "items")
        assert found["connect"][0] and not found["login"][0] and "401" in found["login"][1] and "read" not in found
        db.execute("ALTER USER MAPPING FOR CURRENT_USER SERVER api OPTIONS (SET token 'right')")
        found = steps(db, "api", "items")
        assert [ok for ok, _ in found.values()] == [True] * 5 and "3 rows of items have 2 columns" in found["read"][1]


@pytest.mark.parametrize("status", [400, 403, 404, 405, 406, 410, 429, 500, 501, 503])
def test_whatever_the_root_answers_is_connected(db, status):
    with Public(status) as server:
        db.create_rest_server("api", server.url, {"token": "right"}, auth="bearer", retries=0)
        found = steps(db, "api")
        assert found["connect"] == (True, f"{server.url} answers with status {status}")
        assert all(ok for ok, _ in steps(db, "api", "items").values())
        assert not steps(db, "api", "nothing")["read"][0]


def test_a_root_that_refuses_the_token(db):
    with Public(401) as server:
        db.create_rest_server("api", server.url, {"token": "wrong"}, auth="bearer")
        found = steps(db, "api")
        assert found["connect"][0] and not found["login"][0]


def test_fields_that_nobody_named_are_asked_for_by_their_option(db):
    with Relay(Table("items", ROWS, changed=None)) as server:
        db.create_rest_server("api", server.base_url, preset="graphql")
        ok, message = steps(db, "api", "items")["read"]
        assert not ok and 'option "select" is not set' in message and server.requests[-1].method == "GET", "it sends half a query"
        db.execute("ALTER SERVER api OPTIONS (ADD select 'id name')")
        assert steps(db, "api", "items")["read"][0]


def test_a_table_is_read(db, shop):
    assert steps(db, "tienda", "ventas")["read"] == (True, "ventas can be read")
    found = steps(db, "tienda", "nada")
    assert not found["read"][0] and "nada" in found["read"][1]


def test_sources_that_can_not_be_described_are_named_once(db):
    notices = []
    class Catalog(Plain):
        def handle(self, request):
            if request.path == "/list":
                return {"data": [f"system_{number}" for number in range(33)] + ["items"]}
            return super().handle(request)

    with Catalog(Table("items", ROWS, changed=None)) as server, db.connect() as session:
        session.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        db.create_rest_server("api", server.url, catalog="list", catalog_path="/data")
        assert [row[0] for row in session.execute("SELECT source FROM sync_discover('api')")] == ["items"]
    assert len(notices) == 1 and "system_0, system_1" in notices[0] and "and 23 more" in notices[0]
