"""Inserting rows: one by one, or, of many, several a statement."""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

MANY = 512
TOGETHER = 64


def insert(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of one width; `into` is the statement up to its values.

    Python's driver gives up the interpreter lock at each step of a statement, and `executemany` is a step a row: for
    many rows that costs more than the long statements. For the few of a group commit it costs less.
    """
    if not rows:
        return
    width, start = len(rows[0]), 0
    while len(rows) >= MANY and len(rows) - start >= TOGETHER:
        values = list(chain.from_iterable(rows[start : start + TOGETHER]))
        connection.execute(_statement(into, width, TOGETHER), values)
        start += TOGETHER
    connection.executemany(_statement(into, width, 1), rows[start:])


@lru_cache(64)
def _statement(into: str, width: int, rows: int) -> str:
    one = f"({', '.join('?' * width)})"
    return f"{into} VALUES {', '.join([one] * rows)}"
