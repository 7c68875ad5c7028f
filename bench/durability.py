"""Durability: what each contestant's own connection says of its journal and its syncs, asked in the run."""

import sqlite3

from eventsourcing.application import Application
from eventsourcing.sqlite import SQLiteDatastore

from bench.ours import Ours

EQUAL = {"journal_mode": "wal", "synchronous": "FULL"}
IN_WORDS = "WAL, synchronous FULL: each contestant's own connection says so"
SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")


def check(*contestants: object) -> None:
    """Refuse to compare what is not equally durable."""
    for contestant in contestants:
        found = settings_of(contestant)
        if found != EQUAL:
            raise SystemExit(f"{contestant!r} runs with {found}, and is to be compared with {EQUAL}")


def settings_of(contestant: object) -> dict[str, str]:
    """The settings of the connection by which a contestant writes."""
    if isinstance(contestant, Ours):
        return _settings(contestant.live.store._writer)  # type: ignore[attr-defined]
    if isinstance(contestant, Application):
        return settings_of(contestant.factory.datastore)  # type: ignore[attr-defined]
    if isinstance(contestant, SQLiteDatastore):
        with contestant.get_connection(commit=True) as connection:
            return _settings(connection._sqlite_conn)
    assert isinstance(contestant, sqlite3.Connection)
    return _settings(contestant)


def _settings(connection: sqlite3.Connection) -> dict[str, str]:
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    return {
        "journal_mode": journal.decode() if isinstance(journal, bytes) else journal,
        "synchronous": SYNCHRONOUS[synchronous],
    }
