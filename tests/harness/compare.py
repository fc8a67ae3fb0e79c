"""Comparing what a source holds with what the target holds, whatever types their drivers make of a value."""

import datetime
import decimal
import re
from collections import Counter


def canonical(value):
    """One text for one value: 1, 1.0, Decimal('1.00') and '1' agree; times, bytes and booleans too."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, datetime.datetime):
        text = value.isoformat(sep=" ")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, (int, float, decimal.Decimal)):
        return plain(decimal.Decimal(str(value)))
    text = str(value)
    try:
        number = decimal.Decimal(text)
    except decimal.InvalidOperation:
        if re.search(r"\d\d:\d\d:\d\d\.\d+$", text):
            return text.rstrip("0").rstrip(".")
        return text
    if not number.is_finite() or text.strip() != text or (len(text) > 1 and text[0] in "0+" and text[1] != "."):
        return text
    return plain(number)


def plain(number):
    """Every digit of a Decimal (normalize() would round to 28), without trailing zeros."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def shortened(row):
    return "(" + ", ".join(text if len(text) < 120 else f"{text[:100]}… {len(text)} characters" for text in map(repr, row)) + ")"


def assert_equal_tables(source_rows, target_rows):
    """Fails unless both hold the same rows, each as often; says how many differ and shows the first few."""
    source = Counter(tuple(canonical(value) for value in row) for row in source_rows)
    target = Counter(tuple(canonical(value) for value in row) for row in target_rows)
    if source == target:
        return
    missing, surplus = source - target, target - source

    def show(rows):
        return "\n  ".join(shortened(row) for row in list(rows.elements())[:5]) or "none"

    raise AssertionError(
        f"source has {source.total()} rows, target {target.total()}\n"
        f"only in the source ({missing.total()}):\n  {show(missing)}\n"
        f"only in the target ({surplus.total()}):\n  {show(surplus)}"
    )
