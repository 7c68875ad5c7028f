"""Inserting many rows: several a statement."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

MANY = 512
TOGETHER = 64


def insert_many(connection: sqlite3.Connection, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
    """Insert rows, given by their columns; what a column has throughout is bound once a statement.

    Python's driver gives up the interpreter lock at each step of a statement, and `executemany` is a step a row: for
    `MANY` rows that costs more than the long statements, for the few of a group commit it costs less.
    """
    count = len(next(iter(columns.values())))
    same = tuple(name for name, column in columns.items() if column.count(column[0]) == count)
    other = tuple(name for name in columns if name not in same)
    first, width = [columns[name][0] for name in same], len(other)
    values = list(chain.from_iterable(zip(*[columns[name] for name in other], strict=True)))
    step = TOGETHER * width
    end = count // TOGETHER * step
    for start in range(0, end, step):
        connection.execute(_statement(table, same, other, TOGETHER), [*first, *values[start : start + step]])
    rest = [[*first, *values[start : start + width]] for start in range(end, len(values), width)]
    connection.executemany(_statement(table, same, other, 1), rest)


@lru_cache(64)
def _statement(table: str, same: tuple[str, ...], other: tuple[str, ...], rows: int) -> str:
    names = ", ".join((*same, *other))
    row = ", ".join([*[f"?{number}" for number in range(1, len(same) + 1)], *["?"] * len(other)])
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([f'({row})'] * rows)}"
