"""Random changes of a source: transactions in SQL that SQLite, MariaDB and PostgreSQL all understand.

Every source has the same tables:
    sales      followed by a time watermark, with a lookback; never deleted from
    stock      read in full and compared by key; deleted from
    orders     followed through order_log, its change table with an operation column; deleted from
A bad row has a quantity below zero (a CHECK of the target refuses it) or a code that is no number (the target's cast).
"""

import datetime
from dataclasses import dataclass

TABLES = ("sales", "stock", "orders")
COLUMNS = "id, quantity, code, note"
BAD_CODE = "n/a"

LOOKBACK_S = 8  # of the streams that follow sales
LOOKBACK_NUMBERS = 1000  # of those that follow order_log
LATEST_S = 3  # a row is dated at most this long ago when its transaction begins …
LONGEST_HOLD_S = 2  # … which is then held open for at most this long
LATE_IDS = 7  # ids that this divides belong to the transactions held open, so that no other waits for them

WORDS = ("Jamón", "piñones", "café", "pan 🥖", "Güisqui", "O'Neill", 'a "quoted" \\ one', "", "naïve", "日本")


def now(ago_s=0.0):
    """A watermark: UTC with microseconds, as text that every source reads."""
    time = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago_s)
    return time.strftime("%Y-%m-%d %H:%M:%S.%f")


def is_bad(row):
    return int(row[1]) < 0 or not str(row[2]).isdigit()


def literal(value):
    return "NULL" if value is None else str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


@dataclass
class Change:
    """One transaction. `stamp` is the watermark that it writes, if any; `hold_s` how long it stays open."""

    statements: list
    stamp: str = None
    hold_s: float = 0


class Changes:
    """Makes changes for one source. `escape` doubles backslashes where the source's strings need that."""

    def __init__(self, chance, escape=False):
        self.chance, self.escape = chance, escape
        self.last_id = dict.fromkeys(TABLES, 0)

    def initial(self, table, rows):
        """Statements that fill a table before anybody reads it."""
        return self.inserts(table, [self.new_id(table) for _ in range(rows)], now(60))

    def random(self):
        """One random change."""
        kind = self.chance.choices(
            ("insert", "update", "delete", "replace", "spoil", "repair", "tie", "late"), (20, 30, 8, 4, 5, 5, 8, 8)
        )[0]
        return getattr(self, f"_{kind}")()

    def touch(self, table, rows=600):
        """Changes many rows at once, so that the next run has many batches."""
        if table == "orders":
            rows = min(rows, 250)  # each takes a number or two, and transactions that began before must stay in reach
        first = self.chance.randrange(1, max(2, self.last_id[table] - rows))
        stamp = now()
        return Change(self._set(table, f"id BETWEEN {first} AND {first + rows} AND id % {LATE_IDS} <> 0", stamp, bad=None), stamp)

    def repair_some(self, table):
        where = f"(quantity < 0 OR code = '{BAD_CODE}') AND id % 2 = 0 AND id % {LATE_IDS} <> 0"
        stamp = now()
        return Change(self._set(table, where, stamp, bad=False), stamp)

    def inserts(self, table, ids, stamp):
        """Statements that insert rows with these ids."""
        statements = []
        for start in range(0, len(ids), 500):
            rows = ", ".join(self._row(table, id, stamp) for id in ids[start : start + 500])
            columns = COLUMNS + (", changed" if table == "sales" else "")
            statements.append(f"INSERT INTO {table} ({columns}) VALUES {rows}")
        if table == "orders":
            statements.append(self._log("I", f"id IN ({', '.join(map(str, ids))})"))
        return statements

    def new_id(self, table):
        """The next id that isn't one of the late transactions'."""
        self.last_id[table] += 1
        if self.last_id[table] % LATE_IDS == 0:
            self.last_id[table] += 1
        return self.last_id[table]

    # ------------------------------------------------------------------------------------------- the kinds of changes

    def _insert(self):
        table, stamp = self._table(), self._stamp()
        return Change(self.inserts(table, [self.new_id(table) for _ in range(self.chance.randint(1, 5))], stamp), stamp)

    def _update(self):
        table, stamp = self._table(), self._stamp()
        return Change(self._set(table, f"id IN ({self._some_ids(table, 5)})", stamp, bad=None), stamp)

    def _tie(self):
        """Many rows with one watermark, more than a batch or a page holds."""
        return self.touch(self._table(), self.chance.choice((80, 150, 400)))

    def _delete(self):
        table = self.chance.choice(("stock", "orders"))
        where = f"id IN ({self._some_ids(table, 4)})"
        log = [self._log("D", where)] if table == "orders" else []
        return Change([*log, f"DELETE FROM {table} WHERE {where}"])

    def _replace(self):
        """The same key deleted and inserted again, in one transaction."""
        table, id = self.chance.choice(("stock", "orders")), 0
        while id % LATE_IDS == 0:
            id = self.chance.randint(1, self.last_id[table])
        deletes = [self._log("D", f"id = {id}")] if table == "orders" else []
        return Change([*deletes, f"DELETE FROM {table} WHERE id = {id}", *self.inserts(table, [id], None)])

    def _spoil(self):
        return self.spoil(self._table())

    def spoil(self, table):
        """Makes a row or two bad."""
        stamp = self._stamp()
        return Change(self._set(table, f"id IN ({self._some_ids(table, 2)})", stamp, bad=True), stamp)

    def _repair(self):
        return self.repair_some(self._table())

    def _late(self):
        """Rows dated now, committed when others, dated later, have long been read."""
        table, stamp = self._table(), now()
        self.last_id[table] += LATE_IDS - self.last_id[table] % LATE_IDS
        statements = self.inserts(table, [self.last_id[table]], stamp)
        known = ", ".join(str(self.chance.randrange(0, self.last_id[table], LATE_IDS)) for _ in range(3))
        statements += self._set(table, f"id IN ({known})", stamp, bad=None)
        return Change(statements, stamp, self.chance.uniform(0.2, LONGEST_HOLD_S))

    # ------------------------------------------------------------------------------------------------------- their parts

    def _table(self):
        return self.chance.choice(TABLES)

    def _stamp(self):
        return now(self.chance.choice((0, 0, 0, self.chance.uniform(0, LATEST_S))))

    def _some_ids(self, table, count):
        ids = [self.chance.randint(1, self.last_id[table]) for _ in range(self.chance.randint(1, count))]
        return ", ".join(str(id) for id in ids if id % LATE_IDS) or "0"

    def _values(self, bad=False):
        quantity, code = self.chance.randint(0, 1000), str(self.chance.randint(0, 99999))
        if bad:
            quantity, code = self.chance.choice(((-quantity - 1, code), (quantity, BAD_CODE)))
        note = f"{self.chance.choice(WORDS)} {self.chance.randint(0, 9999)}"
        return quantity, code, note.replace("\\", "\\\\") if self.escape else note

    def _row(self, table, id, stamp):
        values = (id, *self._values(self.chance.random() < 0.004)) + ((stamp,) if table == "sales" else ())
        return "(" + ", ".join(map(literal, values)) + ")"

    def _set(self, table, where, stamp, bad):
        """UPDATE to new values, the same for all rows. bad=None leaves bad rows alone, so that only a repair mends them."""
        quantity, code, note = self._values(bool(bad))
        only_good = f" AND quantity >= 0 AND code <> '{BAD_CODE}'" if bad is None else ""
        stamped = f", changed = {literal(stamp)}" if table == "sales" else ""
        pieces = f"quantity = {quantity}, code = {literal(code)}, note = {literal(note)}{stamped}"
        statements = [f"UPDATE {table} SET {pieces} WHERE ({where}){only_good}"]
        if table == "orders":
            # What was mended no longer answers to the condition that found it.
            mended = f"quantity = {quantity} AND code = {literal(code)} AND note = {literal(note)} AND id % {LATE_IDS} <> 0"
            statements.append(self._log("U", mended if bad is False else where))
        return statements

    @staticmethod
    def _log(operation, where):
        return f"INSERT INTO order_log (op, {COLUMNS}) SELECT '{operation}', {COLUMNS} FROM orders WHERE {where}"
