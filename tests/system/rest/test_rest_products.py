"""Presets and paging against products that others wrote: what arrives is what each holds in its own storage. The light ones run in
./dev test, all of them, or those that are named, by ./dev servers."""

import datetime
import decimal
import random

import pytest
from harness import assert_equal_tables
from harness.compare import canonical
from harness.rest.products import COLUMNS, PRODUCTS, UTC

START = datetime.datetime(2025, 1, 1, tzinfo=UTC)
ROWS = 1500
WORDS = ("Jamón", "Grüße, \"Köln\"", "O'Neill", "a \\ b", "", " ", "<b>&amp;</b> 50 %", "日本 ☕", "line\nbreak", "null", "{since}")


def pytest_generate_tests(metafunc):
    if "product" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--servers")
        names = [name for name, product in PRODUCTS.items() if product.light] if chosen is None else chosen.split(",")
        names = list(PRODUCTS) if names == ["all"] else names
        if unknown := [name for name in names if name not in PRODUCTS]:
            raise pytest.UsageError(f"no such server: {', '.join(unknown)}; there are {', '.join(PRODUCTS)}")
        metafunc.parametrize("product", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def product(request, postgres_server):
    product = PRODUCTS[request.param]()
    try:
        yield product.start(postgres_server)
    finally:
        product.close()


def row(id, chance, **more):
    """Three rows share a time; every seventeenth has none."""
    return {
        "id": id, "name": f"{chance.choice(WORDS)} {id}", "quantity": chance.choice((None, 0, -5, 2**40)),
        "price": chance.choice((None, decimal.Decimal("12.50"), decimal.Decimal("-0.01"), decimal.Decimal("12345678.25"))),
        "active": chance.choice((True, False, None)), "changed": None if id % 17 == 0 else START + datetime.timedelta(minutes=id // 3),
    } | more  # fmt: skip


def instant(value):
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Shop:
    """A product with rows, and the stream `s` of them."""

    def __init__(self, product, db, seed):
        self.product, self.db, self.chance = product, db, random.Random(f"{seed} {product.name}")
        self.new = ROWS  # the id of the last row
        product.forward.each(1, None)
        product.fill([row(id, self.chance) for id in range(1, ROWS + 1)])
        product.create_server(db)
        options = {"deletes": "hard", "max_deletes": "100%", "max_retries": 0} | product.stream
        db.create_stream("s", "api", product.source, target="s", key=product.key, watermark=product.watermark, options=options)

    def insert(self, count, **more):
        rows = [row(id, self.chance, **{"changed": self.later(id)} | more) for id in range(self.new + 1, self.new + count + 1)]
        self.new += count
        self.product.insert(rows)

    @staticmethod
    def later(id):
        return START + datetime.timedelta(days=40, minutes=id)

    def update(self, *ids):
        for id in ids:
            self.product.update(id, quantity=self.chance.randrange(10**6), name=f"{self.chance.choice(WORDS)} again", changed=self.later(id))

    def target(self):
        columns = ", ".join(f'"{self.product.column(name)}"' for name in COLUMNS)
        return [(*line[:-1], instant(line[-1])) for line in self.db.query(f"SELECT {columns} FROM s")]

    def stored(self):
        return [(*line[:-1], instant(line[-1])) for line in self.product.stored()]

    def check(self):
        assert_equal_tables(self.stored(), self.target())


@pytest.fixture
def shop(product, db, seed):
    return Shop(product, db, seed)


def test_first_load_and_changes(shop):
    product, db = shop.product, shop.db
    assert [(step["step"], step["message"]) for step in db.dicts("SELECT * FROM sync_test('api', %s)", product.source) if not step["ok"]] == []
    assert db.run("s")["inserted"] == ROWS
    shop.check()

    shop.insert(5)
    shop.update(1, 2, 3, 17, 700, 701, ROWS)
    product.forward.forget()
    assert db.counts(db.run("s"))[:2] == (5, 7)
    shop.check()
    assert product.watermark is None or len(product.forward.requests) < 8, "changes are asked for"

    shop.insert(1, changed=None)
    assert db.run("s")["inserted"] == (1 if product.finds_null else 0)
    assert db.counts(db.run("s", "full"))[:2] == ((0, 0) if product.finds_null else (1, 0))
    shop.check()


@pytest.mark.parametrize("mode", ["keys", "full"])
def test_rows_that_are_deleted_while_pages_are_read_take_no_living_ones_along(shop, mode):
    """Before each page, rows of those before it are deleted, so that all that follow move."""
    db, product = shop.db, shop.product
    db.run("s")
    left = iter(range(1, ROWS))

    def delete(request, answer, server):
        if len(server.requests) < 100:
            product.delete(*(next(left) for _ in range(3)))
        return answer()

    product.forward.forget()
    product.forward.each(1, delete)
    run_id = db.trigger("s", mode)
    db.wait(run_id)
    product.forward.each(1, None)
    living = {canonical(line[0]) for line in shop.stored()}
    assert not living - {canonical(line[0]) for line in shop.target()}, "living rows were deleted"
    db.run("s", mode)
    if product.tells_deletes:
        db.run("s")
    shop.check()


def test_verification_finds_what_differs_and_repairs_it(shop):
    db, product = shop.db, shop.product
    db.run("s")
    key = f'"{product.column("id")}"::text'
    assert [line for line in db.dicts("SELECT * FROM sync_verify('s')") if line["state"] != "ok"] == []
    db.execute(f"UPDATE s SET quantity = 4711 WHERE {key} IN ('20', '900')")
    # one of them has no time
    db.execute(f"DELETE FROM s WHERE {key} IN ('30', '34')")
    (found,) = db.query("SELECT sum(missing), sum(changed), sum(extra) FROM sync_verify('s')")
    assert found == (2, 2, 0)
    db.query("SELECT count(*) FROM sync_verify('s', repair => true)")
    shop.check()


def test_the_catalog_names_the_source(product, db, seed):
    if not product.discovers:
        pytest.skip("it has no catalog")
    product.fill([row(id, random.Random(seed)) for id in range(1, 4)])
    product.create_server(db)
    assert product.source in [line["source"] for line in db.dicts("SELECT * FROM sync_discover('api')")]
