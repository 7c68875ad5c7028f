"""Durability: what each contestant's own connection says of its journal and its syncs, asked in the run."""

import sqlite3
from typing import Any

import psycopg
from eventsourcing.application import Application
from eventsourcing.dcb.postgres_tt import PostgresDCBRecorderTT
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.sqlite import SQLiteDatastore

from bench.ours import Ours
from leftfold.live_sync import SyncLive
from leftfold.store.postgres.store import PostgresStore

EQUAL = {"journal_mode": "wal", "synchronous": "FULL"}
EQUAL_ON_POSTGRES = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
IN_WORDS = (
    "SQLite in WAL mode with synchronous FULL, PostgreSQL with fsync, full_page_writes and synchronous_commit on: "
    "each contestant's own connection says so"
)
SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")
Connection = sqlite3.Connection | psycopg.Connection[Any]


def check(*contestants: object) -> None:
    """Refuse to compare what is not equally durable."""
    for contestant in contestants:
        found, wanted = settings_of(contestant)
        if found != wanted:
            raise SystemExit(f"{contestant!r} runs with {found}, and is to be compared with {wanted}")


def settings_of(contestant: object) -> tuple[dict[str, str], dict[str, str]]:
    """The settings of the connection by which a contestant writes, and those that all have to have."""
    if isinstance(contestant, (Ours, SyncLive)):
        live = contestant.live if isinstance(contestant, Ours) else contestant._live
        return settings_of(live.store)
    if isinstance(contestant, Application):
        return settings_of(contestant.factory.datastore)  # type: ignore[attr-defined]
    if isinstance(contestant, PostgresDCBRecorderTT):
        return settings_of(contestant.datastore)
    if isinstance(contestant, SQLiteDatastore):
        with contestant.get_connection(commit=True) as connection:
            return _of_sqlite(connection._sqlite_conn), EQUAL
    if isinstance(contestant, PostgresDatastore):
        with contestant.get_connection() as connection:
            return _of_postgres(connection), EQUAL_ON_POSTGRES
    return _of_connection(contestant)


def _of_connection(contestant: object) -> tuple[dict[str, str], dict[str, str]]:
    connection: Any = getattr(contestant, "_writer", contestant)  # a store's; a floor is a connection itself
    if isinstance(contestant, PostgresStore):
        assert contestant._durable, "an append asks for it, whatever the connection has"
        connection = contestant._write_connection.connection
    if isinstance(connection, psycopg.Connection):
        return _of_postgres(connection), EQUAL_ON_POSTGRES
    return _of_sqlite(connection), EQUAL


def _of_sqlite(connection: sqlite3.Connection) -> dict[str, str]:
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    return {
        "journal_mode": journal.decode() if isinstance(journal, bytes) else journal,
        "synchronous": SYNCHRONOUS[synchronous],
    }


def _of_postgres(connection: psycopg.Connection[Any]) -> dict[str, str]:
    names = sorted(EQUAL_ON_POSTGRES)
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        shown = cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY (%s)", [names]).fetchall()
    return dict(shown)
