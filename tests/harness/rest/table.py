"""The data behind a stand-in: rows that tests change while they are read."""

import bisect
import datetime
import decimal
import functools
import operator
import threading

UTC = datetime.timezone.utc


def utc_now():
    return datetime.datetime.now(UTC)


@functools.lru_cache(4096)
def parse_time(text):
    """A point in time from ISO 8601 text, with or without a zone (UTC then); anything else raises ValueError."""
    moment = datetime.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_as(text, beside):
    """The value that a parameter's text means where it is compared with `beside`; ValueError if it is none."""
    if isinstance(beside, datetime.datetime):
        return parse_time(text)
    if isinstance(beside, bool):
        return {"true": True, "false": False}[text.lower()]
    if isinstance(beside, (int, float, decimal.Decimal)):
        try:
            return int(text) if isinstance(beside, int) else decimal.Decimal(text)
        except decimal.InvalidOperation as error:
            raise ValueError(f"no number: {text}") from error
    return text


COMPARISONS = {"eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}


def where(rows, column, comparison, value):
    """The rows for which that holds, as SQL has it: null compares with nothing. `value` may still be text."""
    beside = next((row[column] for row in rows if row[column] is not None), None)
    value = read_as(value, beside) if isinstance(value, str) else value
    compare = COMPARISONS[comparison]
    return [row for row in rows if (mine := row[column]) is not None and compare(mine, value)]


def beginning_at(rows, column, value):
    """Of rows that are sorted by a column, those from that value on: where() for who has a hundred thousand of them."""
    return rows[bisect.bisect_left(rows, value, key=operator.itemgetter(column)) :]


class Table:
    """Rows by key. A stored row is never changed, only replaced, so whoever holds a list of them has one state.

    Points in time are datetimes with a zone; each stand-in writes them in its own form and precision. `changed` is the
    column that insert() and update() set to clock(), where they aren't given a value for it."""

    def __init__(self, name, rows=(), key="id", changed="updated_at", clock=utc_now):
        self.name, self.key, self.changed, self.clock = name, key, changed, clock
        self.lock = threading.RLock()
        self.by_key = {}
        self.past = []  # (when, key, the row before or None), for as_of()
        self.deleted = []  # (when, key, the last row)
        self.version = 0  # counts changes
        self._sorted = {}  # order → (version, rows)
        self._sorted_past = None, ()  # the last (order, time) that was asked for, and its rows
        for row in rows:
            self.by_key[row[key]] = dict(row)

    def insert(self, *rows, **values):
        """Inserts (or replaces) rows given as dictionaries, or one given by its values."""
        with self.lock:
            for row in (*rows, values) if values else rows:
                row = dict(row)
                if self.changed and self.changed not in row:
                    row[self.changed] = self.clock()
                self._replace(row[self.key], row)

    def update(self, *keys, **values):
        """Gives these rows these values."""
        with self.lock:
            if self.changed and self.changed not in values:
                values[self.changed] = self.clock()
            for key in keys:
                self._replace(key, self.by_key[key] | values)

    def delete(self, *keys):
        with self.lock:
            for key in keys:
                self.deleted.append((self.clock(), key, self.by_key[key]))
                self._replace(key, None)

    def _replace(self, key, row):
        self.past.append((self.clock(), key, self.by_key.get(key)))
        self.version += 1
        if row is None:
            del self.by_key[key]
        else:
            self.by_key[key] = row

    def rows(self):
        """Every row as it is now."""
        with self.lock:
            return list(self.by_key.values())

    def as_of(self, moment):
        """Every row as it was then: at a time, or after so many changes (see `version`)."""
        with self.lock:
            state = dict(self.by_key)
            after = moment if isinstance(moment, int) else bisect.bisect_right(self.past, moment, key=operator.itemgetter(0))
            for _, key, row in reversed(self.past[after:]):
                if row is None:
                    state.pop(key, None)
                else:
                    state[key] = row
            return list(state.values())

    def ordered(self, order, as_of=None):
        """Every row as it is now, or was then, sorted by `order`, a list of (column, descending)."""
        order = tuple(order)
        with self.lock:
            if as_of is None or not self.past or (not isinstance(as_of, int) and self.past[-1][0] <= as_of):
                return self._ordered_now(order)
            if self._sorted_past[0] != (order, as_of):
                self._sorted_past = (order, as_of), sort_rows(self.as_of(as_of), order)
            return self._sorted_past[1]

    def _ordered_now(self, order):
        version, rows = self._sorted.get(order, (-1, ()))
        if version != self.version:
            # In the order of before the rows are nearly sorted, which sort() likes.
            kept = dict.fromkeys(row[self.key] for row in rows if row[self.key] in self.by_key) | self.by_key
            rows = sort_rows(kept.values(), order)
            self._sorted[order] = (self.version, rows)
        return rows

    def __len__(self):
        return len(self.by_key)


def sort_rows(rows, order, nulls_first=False):
    """Rows sorted by a sequence of (column, descending). Without nulls_first, nulls are above all values, as in PostgreSQL
    and Oracle; with it, below."""
    rows, order = list(rows), list(order)
    if not order:
        return rows
    plain = not any(None in map(operator.itemgetter(column), rows) for column, _ in order)
    if plain and len({descending for _, descending in order}) == 1:
        rows.sort(key=operator.itemgetter(*(column for column, _ in order)), reverse=order[0][1])
        return rows
    for column, descending in reversed(order):
        # What stands second is compared only where the first is equal, that is, among values or among nulls.
        rows.sort(key=lambda row: (nulls_first, row[column]) if row[column] is not None else (not nulls_first,), reverse=descending)
    return rows
