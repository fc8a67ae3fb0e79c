"""Products that others wrote, with a table of items each, behind a Forward that lets a test act between two requests. Rows are
changed and read where the product itself keeps them: in a PostgreSQL, or in its memory by another way of its API."""

import contextlib
import datetime
import decimal
import http.client
import json

import psycopg
from psycopg import sql

from . import npm
from .server import Response, Server

UTC = datetime.timezone.utc
COLUMNS = ("id", "name", "quantity", "price", "active", "changed")
TYPES = {"id": "integer", "name": "text", "quantity": "bigint", "price": "numeric(12,2)", "active": "boolean", "changed": "timestamptz"}


class Forward(Server):
    """Sends each request on to a server, whose name for itself is this one's, and its answer back."""

    target = None  # port of the server, once it runs

    def handle(self, request):
        connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=60)
        try:
            headers = {name: value for name, value in request.headers.items() if name not in ("connection", "content-length")}
            connection.request(request.method, request.target, request.body or None, headers)
            answer = connection.getresponse()
            own = ("connection", "keep-alive", "transfer-encoding", "content-length")
            return Response(answer.status, answer.read(), {name: value for name, value in answer.getheaders() if name.lower() not in own})
        finally:
            connection.close()


class Product:
    """What is the same for all: `server` and `stream` are the options that a user gives, `base` the path of base_url, `names` the names of
    COLUMNS in the target where they have others there."""

    name = None
    light = False  # a few MB and a start of seconds: ./dev test has it, too
    base, source, key, watermark = "/", "items", "id", "changed"
    server, stream, credentials = {}, {}, None
    names = {}
    discovers = False  # it has a catalog
    tells_deletes = False  # what was deleted comes with what was changed
    finds_null = True  # an incremental run finds a new row without a watermark
    timeout = 60

    def __init__(self):
        self.forward = Forward()
        self.npm = None

    def start(self, postgres):
        """Runs it, over a database of this PostgreSQL if it takes one."""
        self.npm = npm.NpmServer(self.name, self.command, self.timeout, self.files(), **self.environment())
        self.forward.target = self.npm.port
        return self

    def command(self, programs, port):
        return ["node", "main.js", port]

    def files(self):
        """What its directory has to hold, by path."""
        return {}

    def environment(self):
        return {}

    def close(self):
        self.forward.close()
        if self.npm:
            self.npm.close()

    @property
    def base_url(self):
        return self.forward.url + self.base

    def create_server(self, db):
        options = {name: value if isinstance(value, str) else json.dumps(value) for name, value in self.server.items()}
        db.create_rest_server("api", self.base_url, self.credentials, retries=0, **options)

    def column(self, name):
        return self.names.get(name, name)

    def call(self, method, path, body=None, **headers):
        """A request past the Forward; returns the JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.npm.port, timeout=60)
        try:
            text = None if body is None else json.dumps(body, default=plain)
            connection.request(method, path, text, {"Content-Type": "application/json", "Accept": "*/*"} | headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
            return json.loads(content) if content else None
        finally:
            connection.close()

    # What each does in its own way: fill(rows) replaces all rows, stored() gives them as tuples of COLUMNS.


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError(type(value))


class Feathers(Product):
    name, light = "feathers", True
    server = {
        "params": {
            "$limit": "{limit}", "$skip": "{offset}", "$sort[changed]": "1", "$sort[id]": "1", "changed[$gte]": "[[{since:iso_ms}]]",
        },
        "total_path": "/total", "order": "asc", "paging": "keyset", "page_size": 100,
        "slice_query": {"{slice_column}[$gte]": "[[{from:iso_ms}]]", "{slice_column}[$lt]": "[[{to:iso_ms}]]"},
    }  # fmt: skip
    finds_null = False  # null can't be written in its queries

    def fill(self, rows):
        self.call("DELETE", "/items")
        self.insert(rows)

    def insert(self, rows):
        self.call("POST", "/items", rows)

    def update(self, id, **values):
        self.call("PATCH", f"/items/{id}", values)

    def delete(self, *ids):
        for id in ids:
            self.call("DELETE", f"/items/{id}")

    def stored(self):
        rows, last = [], 0
        while page := self.call("GET", f"/items?$limit=100&$sort[id]=1&$skip={last}")["data"]:
            rows, last = rows + page, last + len(page)
        return [tuple(row[name] for name in COLUMNS) for row in rows]


class PouchDB(Product):
    name, light, watermark = "pouchdb", True, None
    server, stream = {"preset": "couchdb", "auth": "none"}, {"page_size": 200, "deleted_when": "_deleted"}
    key, tells_deletes = "_id", True
    names = {"id": "_id"}

    def start(self, postgres):
        super().start(postgres)
        self.call("PUT", "/items")
        return self

    def docs(self):
        return {row["doc"]["_id"]: row["doc"] for row in self.call("GET", "/items/_all_docs?include_docs=true")["rows"]}

    def fill(self, rows):
        self.call("DELETE", "/items")
        self.call("PUT", "/items")
        self.insert(rows)

    def insert(self, rows):
        self.bulk([{"_id": str(row["id"])} | {name: row[name] for name in COLUMNS[1:]} for row in rows])

    def update(self, id, **values):
        self.bulk([self.call("GET", f"/items/{id}") | values])

    def delete(self, *ids):
        self.bulk([self.call("GET", f"/items/{id}") | {"_deleted": True} for id in ids])

    def bulk(self, docs):
        refused = [line for line in self.call("POST", "/items/_bulk_docs", {"docs": docs}) if "error" in line]
        assert not refused, refused

    def stored(self):
        return [(id, *(doc[name] for name in COLUMNS[1:])) for id, doc in self.docs().items()]


class JsonApi(Product):
    name, light, watermark = "jsonapi", True, None
    server = {"preset": "jsonapi"}

    def command(self, programs, port):
        return ["node", "main.js", port, self.forward.url]

    def fill(self, rows):
        self.call("PUT", "/rows", [{"type": "items"} | row | {"id": str(row["id"])} for row in rows])

    def insert(self, rows):
        for row in rows:
            self.send("POST", "/items", row)

    def update(self, id, **values):
        self.send("PATCH", f"/items/{id}", values | {"id": id})

    def send(self, method, path, row):
        data = {"type": "items", "id": str(row["id"]), "attributes": {name: value for name, value in row.items() if name != "id"}}
        self.call(method, path, {"data": data}, **{"Content-Type": "application/vnd.api+json"})

    def delete(self, *ids):
        for id in ids:
            self.call("DELETE", f"/items/{id}")

    def stored(self):
        return [tuple(row[name] for name in COLUMNS) for row in self.call("GET", "/rows")]


class OverPostgres(Product):
    """A product whose rows are those of a table of PostgreSQL, `table`, with the columns `stored_as` and constants beside them."""

    table, stored_as, constants = "items", {}, {}

    def start(self, postgres):
        self.postgres, self.database = postgres, f"product_{self.name}"
        postgres.drop_database(self.database)
        postgres.create_database(self.database, extension=False)
        self.connection = postgres.connect(self.database)
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            self.connection.execute("CREATE ROLE product SUPERUSER LOGIN PASSWORD 'product'")
        self.prepare()
        return super().start(postgres)

    def close(self):
        super().close()
        self.connection.close()
        self.postgres.drop_database(self.database)

    def prepare(self):
        self.make_table()

    def make_table(self):
        columns = ", ".join(f"{name} {type}" for name, type in TYPES.items())
        self.connection.execute(f"CREATE TABLE items ({columns}, PRIMARY KEY (id))")

    @property
    def account(self):
        return {"host": "127.0.0.1", "port": self.postgres.port, "database": self.database, "user": "product", "password": "product"}

    @property
    def database_url(self):
        return f"postgres://product:product@127.0.0.1:{self.postgres.port}/{self.database}"

    def stored_column(self, name):
        return sql.Identifier(self.stored_as.get(name, name))

    def fill(self, rows):
        self.connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(self.table)))
        self.insert(rows)

    def insert(self, rows):
        columns = [self.stored_column(name) for name in COLUMNS] + [sql.Identifier(name) for name in self.constants]
        values = [sql.Placeholder()] * len(COLUMNS) + [sql.SQL(text) for text in self.constants.values()]
        command = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(self.table), sql.SQL(", ").join(columns), sql.SQL(", ").join(values)
        )
        with self.connection.cursor() as cursor:
            cursor.executemany(command, [self.values(row) for row in rows])

    def values(self, row):
        return [row[name] for name in COLUMNS]

    def update(self, id, **values):
        sets = sql.SQL(", ").join(sql.SQL("{} = {}").format(self.stored_column(name), sql.Placeholder()) for name in values)
        command = sql.SQL("UPDATE {} SET {} WHERE {} = %s").format(sql.Identifier(self.table), sets, self.stored_column("id"))
        assert self.connection.execute(command, [*values.values(), id]).rowcount == 1

    def delete(self, *ids):
        command = sql.SQL("DELETE FROM {} WHERE {} = ANY (%s)").format(sql.Identifier(self.table), self.stored_column("id"))
        assert self.connection.execute(command, [list(ids)]).rowcount == len(ids)

    def stored(self):
        columns = sql.SQL(", ").join(self.stored_column(name) for name in COLUMNS)
        return self.connection.execute(sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(self.table))).fetchall()


class PostGraphile(OverPostgres):
    name, light, watermark = "postgraphile", True, None
    server, source = {"preset": "graphql", "select": " ".join(COLUMNS)}, "allItems"

    def command(self, programs, port):
        return [programs / "postgraphile", "-c", self.database_url, "-s", "public", "-n", "127.0.0.1", "-p", port, "--disable-query-log"]


class Parse(OverPostgres):
    name, key, source, base = "parse", "number", "Item", "/parse/"
    table, stored_as = "Item", {"id": "number"}
    constants = {"objectId": "substr(md5(random()::text), 1, 10)", "createdAt": "now()", "updatedAt": "now()"}
    names = {"id": "number"}
    server = {
        "path": "classes/{source}", "rows_path": "/results", "total_path": "/count", "order": "asc", "paging": "keyset", "page_size": 100,
        "params": {
            "where": '[[{"{watermark}": {"$gte": {"__type": "Date", "iso": "{since:iso_ms}"}}}]]', "order": "{order:comma}",
            "limit": "{limit}", "skip": "{offset}", "count": "1",
        },
        "null_query": {"where": '{"{watermark}": null}'},
        "slice_query": {
            "where": '{"{slice_column}": {"$exists": true[[, "$gte": {"__type": "Date", "iso": "{from:iso_ms}"}]][[, "$lt": {"__type": "Date", "iso": "{to:iso_ms}"}]]}}',
        },
        "headers": {"X-Parse-Application-Id": "shop"},
    }  # fmt: skip
    stream = {"fields": {"changed": "timestamptz /changed/iso"}}

    def command(self, programs, port):
        return ["node", "main.js", port, self.database_url]


class Cap(OverPostgres):
    name, source, base, table = "cap", "Items", "/odata/v4/shop/", "shop_items"
    server, discovers = {"preset": "odata"}, True

    def prepare(self):
        self.make_table()
        self.connection.execute("ALTER TABLE items RENAME TO shop_items")

    def command(self, programs, port):
        return [programs / "cds-serve", "all", "--port", port]

    def files(self):
        database = {"kind": "postgres", "impl": "@cap-js/postgres", "credentials": self.account}
        fields = "key id: Integer; name: String; quantity: Int64; price: Decimal(12, 2); active: Boolean; changed: Timestamp;"
        return {
            "package.json": json.dumps({"name": "shop", "cds": {"requires": {"db": database, "auth": {"kind": "dummy"}}}}),
            "srv/shop.cds": f"service Shop {{ entity Items {{ {fields} }} }}",
        }


class Directus(OverPostgres):
    name, timeout = "directus", 300
    server, credentials, discovers = {"preset": "directus"}, {"token": "secret-token"}, True

    def command(self, programs, port):
        node = npm.installed("node") / "node_modules/node/bin/node"  # it takes none that is older
        return ["sh", "-c", f"{node} {programs}/directus bootstrap && exec {node} {programs}/directus start"]

    def environment(self):
        return {
            "KEY": "key", "SECRET": "secret", "ADMIN_EMAIL": "admin@example.com", "ADMIN_PASSWORD": "secret", "ADMIN_TOKEN": "secret-token",
            "DB_CLIENT": "pg", "DB_HOST": "127.0.0.1", "DB_PORT": str(self.postgres.port), "DB_DATABASE": self.database,
            "DB_USER": "product", "DB_PASSWORD": "product", "HOST": "127.0.0.1", "TELEMETRY": "false",
        }  # fmt: skip


class Strapi(OverPostgres):
    name, key, timeout = "strapi", "documentId", 300
    table, stored_as, names = "items", {"id": "number"}, {"id": "number"}
    constants = {"document_id": "substr(md5(random()::text), 1, 24)", "created_at": "now()", "updated_at": "now()", "published_at": "now()"}
    source, server = "items", {"preset": "strapi", "auth": "none"}

    def prepare(self):
        pass  # Strapi makes its tables

    def command(self, programs, port):
        return [programs / "strapi", "start"]

    def files(self):
        types = {
            "number": "integer", "name": "text", "quantity": "biginteger", "price": "decimal", "active": "boolean", "changed": "datetime",
        }  # fmt: skip
        schema = {
            "kind": "collectionType", "collectionName": "items", "info": {"singularName": "item", "pluralName": "items", "displayName": "Item"},
            "options": {"draftAndPublish": False}, "attributes": {name: {"type": type} for name, type in types.items()},
        }  # fmt: skip
        parts = ["logger", "errors", "security", "cors", "poweredBy", "query", "body", "session", "favicon", "public"]
        part = "module.exports = require('@strapi/strapi').factories.createCore{}('api::item.item'{});"
        return {
            "package.json": json.dumps({"name": "shop", "dependencies": {"@strapi/strapi": "5"}, "strapi": {"uuid": "shop"}}),
            "config/server.js": "module.exports = { host: '127.0.0.1', port: Number(process.env.PORT), app: { keys: ['a', 'b'] } };",
            "config/admin.js": "module.exports = { auth: { secret: 's' }, apiToken: { salt: 's' }, transfer: { token: { salt: 's' } }, serveAdminPanel: false };",
            "config/database.js": f"module.exports = {{ connection: {json.dumps({'client': 'postgres', 'connection': self.account})} }};",
            "config/middlewares.js": f"module.exports = {json.dumps(['strapi::' + name for name in parts])};",
            "config/api.js": "module.exports = {};",
            "src/api/item/content-types/item/schema.json": json.dumps(schema),
            "src/api/item/controllers/item.js": part.format("Controller", ""), "src/api/item/services/item.js": part.format("Service", ""),
            "src/api/item/routes/item.js": part.format("Router", ", {config: {find: {auth: false}}}"), "public/uploads/.gitkeep": "",
        }  # fmt: skip


PRODUCTS = {product.name: product for product in (Feathers, PouchDB, JsonApi, PostGraphile, Parse, Cap, Directus, Strapi)}
