"""Decimals on SQLite: text whose plain order is the order of the numbers, and exact arithmetic over such texts.

`a3 123.45` is 123.45: a letter for how many digits its size has, the size (the digits before the point), a space, the
number. The text of a negative number begins with a capital letter and has complements of the digits, so that the
larger number comes first: `Z6-876.54~ -123.45`. Zeros at the end of a fraction are spaces at the end of the text,
which the collation RTRIM ignores: 1.1 and 1.10 are equal and both keep their digits. Every SQLite has that collation,
so any tool can sort, compare, group and index such a column. The number itself is what follows the first space.
"""

import sqlite3
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from leftfold.errors import UnsupportedValue

COLLATION = "RTRIM"
FORMER_COLLATION = "leftfold_decimal"
"""The collation of tables of a former form, in which decimals were stored as they are written."""

MOST_DIGITS = 131_072
MOST_PLACES = 16_383
BOUNDS = f"at most {MOST_DIGITS:,} digits before the point and {MOST_PLACES:,} behind it"
LEADS, NEGATIVE_LEADS = " abcdef", " ZYXWVU"
COMPLEMENTS = str.maketrans("0123456789", "9876543210")
EXACT = Context(prec=1_000_000, Emax=10_000_000, Emin=-10_000_000)
QUOTIENTS = Context(prec=40)


def checked(value: Decimal) -> Decimal:
    """Return the number if it can be ordered and fits in PostgreSQL; raise `UnsupportedValue` otherwise."""
    shown = str(value)
    if "E" not in shown and shown[-1].isdigit() and len(shown) < MOST_PLACES:
        return value
    if value.is_nan():
        raise UnsupportedValue(value, "numbers that have an order", "keep None where there is no number")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and (exponent < -MOST_PLACES or (value and value.adjusted() >= MOST_DIGITS)):
        raise UnsupportedValue(value, BOUNDS, "round it")
    return value


def to_text(value: Decimal) -> str:
    """Return the text of a number, which sorts as the number does."""
    shown = str(checked(value))
    if "E" in shown:
        shown = format(value, "f")
    if not shown[-1].isdigit():
        return "z Infinity" if value > 0 else "A -Infinity"
    negative = shown[0] == "-"
    if negative:
        shown = shown[1:]
    zeros = ""
    whole, _, fraction = shown.partition(".")
    if shown[-1] == "0" and fraction:
        kept = fraction.rstrip("0")
        zeros = " " * (len(fraction) - len(kept))
        shown = f"{whole}.{kept}" if kept else whole
    size = str(len(whole))
    if negative and value:
        return f"{NEGATIVE_LEADS[len(size)]}{f'{size}-{shown}'.translate(COMPLEMENTS)}~ -{shown}{zeros}"
    return f"{LEADS[len(size)]}{size} {shown}{zeros}"


def from_text(text: str) -> Decimal:
    """Return the number of such a text."""
    shown = text.partition(" ")[2]
    bare = shown.rstrip(" ")
    zeros = len(shown) - len(bare)
    if not zeros:
        return Decimal(bare)
    return Decimal(f"{bare}{'' if '.' in bare else '.'}{'0' * zeros}")


def number_of(value: Any) -> Decimal:
    """Return the number in a column, a parameter or a computation: such a text, plain text, an integer or a float."""
    if isinstance(value, str):
        return from_text(value) if value[:1].isalpha() and " " in value else Decimal(value)
    return Decimal(repr(value) if isinstance(value, float) else value)


def add_functions(connection: sqlite3.Connection) -> None:
    """Let a connection's statements compute with decimals, and read tables of a former form."""
    connection.create_collation(FORMER_COLLATION, _compared)
    for name, function in FUNCTIONS.items():
        connection.create_function(name, -1, function, deterministic=True)
    create_window_function: Callable[[str, int, Any], None] = connection.create_window_function
    create_window_function("leftfold_sum", 1, Sum)
    create_window_function("leftfold_avg", 1, Average)


class Sum:
    """The exact sum; NULL if there are no values."""

    def __init__(self) -> None:
        self._sum = Decimal(0)
        self._count = 0

    def step(self, value: Any) -> None:
        """Add a value."""
        if value is not None:
            self._sum = EXACT.add(self._sum, number_of(value))
            self._count += 1

    def inverse(self, value: Any) -> None:
        """Remove a value that has left the window."""
        if value is not None:
            self._sum = EXACT.subtract(self._sum, number_of(value))
            self._count -= 1

    def value(self) -> str | None:
        """Return the present result."""
        return to_text(self._sum) if self._count else None

    finalize = value


class Average(Sum):
    """The sum, divided by the number of values."""

    def value(self) -> str | None:
        """Return the present result."""
        return to_text(_quotient(self._sum, Decimal(self._count))) if self._count else None

    finalize = value


def _compared(left: str, right: str) -> int:
    first, second = number_of(left), number_of(right)
    if first.is_nan() or second.is_nan():
        return first.is_nan() - second.is_nan()
    return (first > second) - (first < second)


def _quotient(left: Decimal, right: Decimal) -> Decimal:
    return QUOTIENTS.divide(left, right)


def _rounded(value: Decimal, places: Decimal = Decimal(0)) -> Decimal:
    if not value.is_finite():
        return value
    return value.quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP, EXACT)


def _each(function: Callable[..., Decimal]) -> Callable[..., str | None]:
    """Return the function over SQLite's values: NULL if an argument is NULL."""

    def compute(*values: Any) -> str | None:
        return None if None in values else to_text(function(*map(number_of, values)))

    return compute


def _plain(value: Any) -> str | None:
    return None if value is None else format(number_of(value), "f")


FUNCTIONS: dict[str, Callable[..., str | None]] = {
    "leftfold_decimal": _each(Decimal),
    "leftfold_plain": _plain,
    "leftfold_add": _each(EXACT.add),
    "leftfold_subtract": _each(EXACT.subtract),
    "leftfold_multiply": _each(EXACT.multiply),
    "leftfold_divide": _each(_quotient),
    "leftfold_remainder": _each(EXACT.remainder),
    "leftfold_negative": _each(EXACT.minus),
    "leftfold_abs": _each(EXACT.abs),
    "leftfold_round": _each(_rounded),
}
