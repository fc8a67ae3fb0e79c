"""Forty healthy streams of all kinds live through weeks without one warning; then each real fault in them is found.

Time is what the setting insync.as_of says: rows of a day come to the sources, the streams run, and history is written
back to that day. Workers are kept away, as their clock is the real one."""

import datetime
import math
import random

import psycopg
import pytest
from harness import SqliteSource
from harness.rest import Plain, Table

pytestmark = pytest.mark.minutes

DAY = datetime.timedelta(days=1)
UTC = datetime.timezone.utc
HISTORY, HEALTHY, FAULTS = 400, 42, 10  # days: before the first load, without any fault, with all of them


@pytest.fixture
def without_workers(cluster):
    cluster.write_settings(**{"insync.databases": "none_of_these"})
    cluster.reload()
    yield
    cluster.write_settings(**{"insync.databases": None})
    cluster.reload()


def poisson(chance, mean):
    if mean > 30:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count, product = count + 1, product * chance.random()
    return count


class Kind:
    """A table of a source: how it is made, what comes to it on a day, and how a stream follows it."""

    def __init__(self, world, name, columns, watermark=None, options=None, **more):
        self.world, self.name, self.columns, self.watermark, self.options, self.more = world, name, columns, watermark, options, more
        self.next_id = 1

    def make(self, source):
        source.execute(f"CREATE TABLE {self.name} (id INTEGER PRIMARY KEY, {self.columns})")

    def put(self, source, rows):
        if not rows:
            return
        width = len(rows[0]) + 1
        source.many(f"INSERT INTO {self.name} VALUES ({', '.join('?' * width)})", [(self.next_id + n, *row) for n, row in enumerate(rows)])
        self.next_id += len(rows)

    def day(self, source, day, chance):
        """What comes on a day; overridden."""


class Till(Kind):
    """Sales with a business date; `usual` a day, less in winter; closed on some weekdays, and three weeks in August."""

    def __init__(self, world, name, usual, closed=(), august=False, season=0.0, **more):
        super().__init__(world, name, "fecha DATE, importe INTEGER, tocado TIMESTAMP", "tocado", **more)
        self.usual, self.closed, self.august, self.season = usual, closed, august, season

    def day(self, source, day, chance, share=1.0):
        if day.weekday() in self.closed or (self.august and day.month == 8 and day.day < 22):
            return
        mean = self.usual * (1 + self.season * math.sin(2 * math.pi * day.timetuple().tm_yday / 365)) * share
        least = 1 if mean > 5 else 0  # a till of twelve sales a day that sells nothing on one is no false alarm
        count = max(least, poisson(chance, mean))
        self.put(source, [(str(day), chance.randrange(100), f"{day} {9 + n % 10:02}:00:00") for n in range(count)])


class Orders(Kind):
    """A lone date is the delivery, days or weeks ahead; rows are changed afterwards."""

    def __init__(self, world, name, usual, ahead):
        super().__init__(world, name, "entrega DATE, estado TEXT, modificado TIMESTAMP", "modificado")
        self.usual, self.ahead = usual, ahead

    def day(self, source, day, chance):
        rows = [(str(day + DAY * chance.randrange(1, self.ahead)), "abierto", f"{day} 10:00:00") for _ in range(poisson(chance, self.usual))]
        self.put(source, rows)
        source.execute(f"UPDATE {self.name} SET estado = 'servido', modificado = ? WHERE entrega = ?", (f"{day} 18:00:00", str(day)))


class Reference(Kind):
    """A few rows, of which one is added or changed now and then, or never."""

    def __init__(self, world, name, rows, chance_of_change, watermark=None):
        super().__init__(world, name, "nombre TEXT, alta DATE, modificado TIMESTAMP", watermark, {} if watermark else {"deletes": "hard"})
        self.rows, self.chance_of_change, self.begun = rows, chance_of_change, False

    def day(self, source, day, chance):
        if not self.begun:
            self.put(source, [(f"n{n}", str(day + DAY * (n % 30)), f"{day + DAY * (n % 30)} 08:00:00") for n in range(self.rows)])
            self.begun = True
        elif chance.random() < self.chance_of_change:
            if chance.random() < 0.5:
                self.put(source, [("nuevo", str(day), f"{day} 08:00:00")])
            else:
                source.execute(f"UPDATE {self.name} SET nombre = nombre || '*', modificado = ? WHERE id = 1", (f"{day} 08:00:00",))


class Log(Kind):
    """Rows are only added, at any hour."""

    def __init__(self, world, name, usual, watermark):
        super().__init__(world, name, "momento TIMESTAMP, texto TEXT", watermark)
        self.usual = usual

    def day(self, source, day, chance):
        self.put(source, [(f"{day} {n % 12:02}:{n % 60:02}:00", "x") for n in range(poisson(chance, self.usual))])


class Changing(Kind):
    """By the time of the last change alone: rows leave their days, old ones as well."""

    def __init__(self, world, name, added, changed):
        super().__init__(world, name, "nombre TEXT, modificado TIMESTAMP", "modificado")
        self.added, self.changed = added, changed

    def day(self, source, day, chance):
        for _ in range(poisson(chance, self.changed)):
            if self.next_id > 1:
                source.execute(f"UPDATE {self.name} SET nombre = 'y', modificado = ? WHERE id = ?", (f"{day} 09:00:00", chance.randrange(1, self.next_id)))
        self.put(source, [("x", f"{day} 09:00:00") for _ in range(poisson(chance, self.added))])


class Sparse(Kind):
    """Rows on few days: by chance, once a week, once a month, or in a season alone."""

    def __init__(self, world, name, when, watermark="tocado"):
        super().__init__(world, name, "fecha DATE, tocado TIMESTAMP", watermark)
        self.when = when

    def day(self, source, day, chance):
        self.put(source, [(str(day), f"{day} 09:00:00")] * self.when(day, chance))


class Remote(Kind):
    """A resource of a JSON API, with the time of its last change and, `ahead`, the day of its delivery."""

    def __init__(self, world, name, usual, ahead=None, changed=0.0, **more):
        super().__init__(world, name, "", **more)
        self.usual, self.ahead, self.changed = usual, ahead, changed

    def make(self, source):
        self.table = Table(self.name)
        self.world.api.tables[self.name] = self.table

    def day(self, source, day, chance):
        at = datetime.datetime.combine(day, datetime.time(10), UTC)
        for _ in range(poisson(chance, self.changed)):
            if self.next_id > 1:
                key = chance.randrange(1, self.next_id)
                self.table.insert(self.table.by_key[key] | {"updated_at": at})
        for _ in range(poisson(chance, self.usual)):
            row = {"id": self.next_id, "updated_at": at}
            if self.ahead is not None:
                row["delivery"] = str(day + DAY * chance.randrange(0, self.ahead + 1))
            self.table.insert(row)
            self.next_id += 1


class World:
    def __init__(self, db, api, chance):
        self.db, self.api, self.chance = db, api, chance
        self.source, self.cut_off = SqliteSource("todo"), SqliteSource("lejos")
        self.today = datetime.datetime.now(UTC).date() - DAY * (HEALTHY + FAULTS + 1)
        self.kinds = self.forty()
        self.broken = {}  # by stream: what comes to it instead, of a day; None: it can't be read

    def forty(self):
        since = {"params": {"since": "[[{since:iso}]]", "sort": "updated_at,id", "limit": "{limit}", "offset": "{offset}"}, "order": "asc", "paging": "offset"}
        kinds = [Till(self, f"caja_{n}", usual, **more) for n, (usual, more) in enumerate([
            (20, {}), (15, {"closed": (6,)}), (25, {"season": 0.6}), (12, {"closed": (0,), "august": True}), (3, {}), (0.7, {}),
            (150, {"options": {"slice_column": "fecha"}}), (20, {"closed": (5, 6)}), (20, {}), (30, {"options": {"slice": "week"}})])]  # fmt: skip
        kinds += [Orders(self, f"pedidos_{n}", usual, ahead) for n, (usual, ahead) in enumerate([(10, 3), (5, 20), (1, 60), (0.2, 10)])]
        kinds += [Reference(self, f"maestra_{n}", rows, changes, watermark) for n, (rows, changes, watermark) in enumerate([
            (1, 0, None), (2, 0, "modificado"), (30, 0.02, None), (200, 0.1, "modificado"), (500, 0, None), (3, 0.3, "modificado")])]  # fmt: skip
        kinds += [Log(self, f"registro_{n}", usual, watermark) for n, (usual, watermark) in enumerate([
            (20, "momento"), (20, "id"), (5, "momento"), (0.5, "momento"), (20, None)])]  # fmt: skip
        kinds += [Changing(self, f"ficha_{n}", *rates) for n, rates in enumerate([(2, 2), (10, 0.5), (0.1, 1), (5, 10), (20, 0.05)])]
        kinds += [Sparse(self, f"rara_{n}", when) for n, when in enumerate([
            lambda day, chance: 1 if chance.random() < 0.3 else 0, lambda day, chance: 8 if day.weekday() == 0 else 0,
            lambda day, chance: 40 if day.day == 1 else 0, lambda day, chance: 20 if day.month in (12, 1, 2, 3) else 0,
            lambda day, chance: 1 if chance.random() < 0.02 else 0])]  # fmt: skip
        kinds += [
            Remote(self, "repartos", 6, ahead=12, changed=3, watermark="updated_at", options=since), Remote(self, "articulos", 0.1, changed=0.2),
            Remote(self, "avisos", 7, watermark="updated_at", options=since), Remote(self, "fichas", 2, changed=4, watermark="updated_at", options=since),
            Remote(self, "entregas", 5, ahead=0),
        ]  # fmt: skip
        return kinds

    def source_of(self, kind):
        return self.cut_off if kind.name in ("caja_8", "maestra_3") else self.source

    def begin(self):
        db = self.db
        for source in (self.source, self.cut_off):
            source.execute("PRAGMA synchronous = off")  # 18,000 transactions
        db.create_server("tienda", **self.source.server_options())
        db.create_server("lejos", **self.cut_off.server_options())
        db.create_rest_server("api", self.api.url, retries=0)
        for kind in self.kinds:
            kind.make(self.source_of(kind))
        for number in range(HISTORY):
            self.come(self.today - DAY * (HISTORY - number))
        self.clock()
        for kind in self.kinds:
            remote = isinstance(kind, Remote)
            server = "api" if remote else "lejos" if self.source_of(kind) is self.cut_off else "tienda"
            db.create_stream(kind.name, server, kind.name, key="id", watermark=kind.watermark, schedule="0 5 * * *", options=kind.options or {}, **kind.more)

    def come(self, day):
        for kind in self.kinds:
            self.broken.get(kind.name, kind.day)(self.source_of(kind), day, self.chance)

    def clock(self):
        self.at = datetime.datetime.combine(self.today, datetime.time(5, 10), UTC)
        self.db.execute(f"SET insync.as_of = '{self.at}'")

    def run(self, fail=()):
        """All streams run, as at five of the day; history is written back to then."""
        began = self.db.value("SELECT clock_timestamp()")
        for kind in self.kinds:
            try:
                self.db.execute(f"CALL sync_run('{kind.name}')")
            except psycopg.Error:
                if kind.name not in fail:
                    raise
            else:
                assert kind.name not in fail
        self.db.execute("UPDATE insync.run SET started_at = %s, ended_at = %s WHERE started_at >= %s", *[self.at] * 2, began)
        self.db.execute("UPDATE insync.stream SET created_at = least(created_at, %s)", self.at)

    def live(self, days, fail=()):
        """Days go by, and at the end all streams run."""
        for _ in range(days):
            self.come(self.today)
            self.today += DAY
        self.clock()
        self.run(fail)

    def warnings(self):
        gaps = self.db.dicts("SELECT * FROM sync_gaps() WHERE severity IN ('warning', 'critical')")
        told = self.db.dicts("SELECT * FROM sync_coverage() WHERE severity IN ('warning', 'critical')")
        assert {gap["stream"] for gap in gaps} == {row["stream"] for row in told}
        return {(gap["stream"], gap["kind"]): gap for gap in gaps}

    def close(self):
        self.source.close()
        self.cut_off.close()


def test_forty_streams_live_without_a_false_alarm_and_each_fault_is_found(db, without_workers, seed):
    chance = random.Random(seed)
    with Plain() as api:
        world = World(db, api, chance)
        try:
            assert len(world.kinds) == 40
            world.begin()
            world.run()
            assert world.warnings() == {}, "after the first load"
            for days in (1, 2, 7, 11, 21):
                world.live(days)
                assert world.warnings() == {}, f"on {world.today}"
            health = {row["check"]: row for row in db.dicts("SELECT * FROM sync_health()")}
            assert (health["gaps"]["status"], health["late"]["status"]) == ("ok", "ok")
            judged = {row[0] for row in db.query("SELECT stream FROM sync_coverage() WHERE completeness IS NOT NULL")}
            assert {"caja_0", "caja_1", "caja_2", "caja_3", "caja_6", "caja_7", "caja_8", "caja_9", "registro_0", "registro_1", "avisos"} <= judged
            assert not judged & {"pedidos_1", "maestra_0", "maestra_1", "maestra_4", "ficha_0", "ficha_3", "rara_0", "rara_3", "repartos", "fichas"}
            for message in db.query("SELECT message FROM sync_coverage() WHERE stream = ANY (%s)", ["pedidos_1", "repartos"]):
                assert "are not filled steadily" in message[0] and "slice_column" in message[0]
            break_some(world, judged)
        finally:
            print(f"seed {seed}")
            world.close()


def break_some(world, judged):
    """Days that are missing or cut, a source that gets no rows or can't be reached, one that broke off, rows that vanish."""
    db, kinds = world.db, {kind.name: kind for kind in world.kinds}

    def nothing(source, day, chance):
        pass

    def cut(source, day, chance):
        kinds["caja_6"].day(source, day, chance, share=0.04)

    world.live(1)
    assert world.warnings() == {}
    first = world.today
    world.broken = {"caja_0": nothing, "registro_0": nothing, "avisos": nothing, "caja_6": cut, "caja_1": nothing}
    world.live(2)
    for name in ("caja_0", "caja_6"):
        del world.broken[name]  # from here on rows come again, and what was lost stays lost
    # Of the day that goes on half was read when the source was lost.
    kinds["caja_8"].day(world.source_of(kinds["caja_8"]), world.today, world.chance, share=0.5)
    world.clock()
    world.at = datetime.datetime.combine(world.today, datetime.time(12), UTC)
    world.run()
    path = world.cut_off.path
    path.rename(path.with_suffix(".away"))
    world.broken |= {"caja_8": nothing, "maestra_3": nothing}
    # Nobody's stream: rows go from the target, and from the source without a word.
    db.execute("DELETE FROM caja_2 WHERE mod(id, 7) = 0 AND fecha = %s", first - DAY * 10)
    for name in ("ficha_3", "maestra_1"):
        db.execute(f"DELETE FROM {name} WHERE id = 1")
    world.live(6, fail=("caja_8", "maestra_3"))
    found = world.warnings()
    told = {stream for stream, _ in found}
    assert told == {"caja_0", "caja_1", "caja_6", "caja_8", "maestra_3", "registro_0", "avisos"}
    missing, short = found["caja_0", "missing"], found["caja_6", "short"]
    assert (missing["from"].date(), missing["buckets"]) == (first, 2) and missing["fix"].startswith("SELECT sync_backfill('caja_0'")
    assert (short["from"].date(), short["buckets"]) == (first, 2)
    for name in ("caja_1", "registro_0", "avisos"):
        stopped = found[name, "stopped"]
        assert first - DAY <= stopped["from"].date() <= first, "from the Sunday on, if it began after one"
        assert stopped["severity"] == "critical" and stopped["days_behind"] is None
    assert found["avisos", "stopped"]["fix"] is not None, "an API that is asked by the watermark can be asked for a window of it"
    late = found["caja_8", "late"]
    assert late["from"].date() == first + DAY * 2 and late["severity"] == "critical" and late["fix"] == "SELECT sync_trigger('caja_8')"
    assert found["maestra_3", "late"]["severity"] == "critical" and found["maestra_3", "late"]["days_behind"] >= 4
    health = {row["check"]: row for row in db.dicts("SELECT * FROM sync_health()")}
    assert (health["gaps"]["status"], health["late"]["status"]) == ("critical", "critical")
    assert "caja_8" in health["late"]["message"] and "maestra_3" in health["late"]["message"]
    # What no watermark shows, a verification does, whatever the stream's days are like.
    assert len(db.query("SELECT * FROM sync_verify('caja_2', depth => 'keys') WHERE missing > 0")) == 1
    assert len(db.query("SELECT * FROM sync_verify('ficha_3', depth => 'keys') WHERE missing > 0")) == 1
    assert "ficha_3" not in judged
    found = world.warnings()
    assert {"caja_2", "ficha_3"} <= {stream for stream, _ in found}
