"""Open a log of an older format; half-way through lifting it say so, and wait to be killed."""

import sqlite3
import sys
from functools import partial
from typing import Any

from leftfold.store import SQLiteStore


class Stopping(sqlite3.Connection):
    """A connection that stops where something of the older format is changed: its tags, its view, its triggers."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if "DROP " in sql or "TRIGGER type_is_never_updated" in sql:
            print("half way", flush=True)
            sys.stdin.read()
        return super().execute(sql, parameters)


sqlite3.connect = partial(sqlite3.connect, factory=Stopping)
SQLiteStore(sys.argv[1])
