"""Inserting rows, several a statement."""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

ROWS_A_STATEMENT = (64, 8, 1)


def insert(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of one width; `into` is the statement up to its values.

    Python's driver gives up the interpreter lock at each step of a statement, and `executemany` is a step a row. With
    a busy event loop beside it, getting the lock back costs far more than the row.
    """
    start = 0
    for size in ROWS_A_STATEMENT:
        while len(rows) - start >= size:
            values = list(chain.from_iterable(rows[start : start + size]))
            connection.execute(_statement(into, len(rows[start]), size), values)
            start += size


@lru_cache(64)
def _statement(into: str, width: int, rows: int) -> str:
    one = f"({', '.join('?' * width)})"
    return f"{into} VALUES {', '.join([one] * rows)}"
