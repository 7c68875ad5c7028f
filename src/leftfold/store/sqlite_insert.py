"""Inserting many rows: several a statement."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

MANY = 512
ROWS = (1_000, 100, 10, 1)  # a statement
ROWS_IF_LARGE = (10, 1)  # since what is bound is copied
LARGE = 4_194_304  # bytes of all rows


def insert_many(
    connection: sqlite3.Connection, table: str, columns: Mapping[str, Sequence[Any]], size: int = 0
) -> None:
    """Insert rows of `size` bytes, given by their columns; what a column has throughout is bound once a statement.

    Python's driver gives up the interpreter lock at each step of a statement, and `executemany` is a step a row: for
    `MANY` rows that costs more than the long statements, for the few of a group commit it costs less. And during a
    long statement another thread has the time to get something done.
    """
    count = len(next(iter(columns.values())))
    same = tuple(name for name, column in columns.items() if column.count(column[0]) == count)
    other = tuple(name for name in columns if name not in same)
    first, width = [columns[name][0] for name in same], len(other)
    values = list(chain.from_iterable(zip(*[columns[name] for name in other], strict=True)))
    start = 0
    for rows in ROWS if size < LARGE else ROWS_IF_LARGE:
        step = rows * width
        while start + step <= len(values):
            connection.execute(_statement(table, same, other, rows), [*first, *values[start : start + step]])
            start += step


@lru_cache(64)
def _statement(table: str, same: tuple[str, ...], other: tuple[str, ...], rows: int) -> str:
    names = ", ".join((*same, *other))
    row = ", ".join([*[f"?{number}" for number in range(1, len(same) + 1)], *["?"] * len(other)])
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([f'({row})'] * rows)}"
