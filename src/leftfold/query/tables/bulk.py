"""Statements over many rows at once, made once for a few sizes.

One statement for many rows is not only faster than many: the driver lets go of the interpreter's lock once per
statement, and where other threads are busy each such moment can cost milliseconds.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa

SIZES = (256, 16, 1)
VARIABLES = 30_000  # SQLite takes 32,766 since 3.32


class Bulk:
    """A statement for a number of rows, each of `width` values in the order in which the statement has them."""

    def __init__(self, statement: Callable[[int], str], width: int) -> None:
        limit = VARIABLES // max(width, 1)
        self._sizes = [size for size in SIZES if size <= limit]
        self._statement = statement
        self._made: dict[int, str] = {}

    def run(self, connection: sa.Connection, rows: Sequence[Sequence[Any]]) -> Iterator[sa.CursorResult[Any]]:
        """Execute for all rows, in as few statements as the sizes allow."""
        start = 0
        for size in self._sizes:
            while len(rows) - start >= size:
                values = tuple(chain.from_iterable(rows[start : start + size]))
                yield connection.exec_driver_sql(self._sql(size), values)
                start += size

    def _sql(self, size: int) -> str:
        known = self._made.get(size)
        if known is None:
            known = self._made[size] = self._statement(size)
        return known
