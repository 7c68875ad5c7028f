"""What SQLite's error codes mean for a log, and transactions that report by them."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from leftfold.errors import (
    OutcomeUnknown,
    StoreBusy,
    StoreCorrupt,
    StoreFailed,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)

CERTAINLY_NOT_COMMITTED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}


@contextmanager
def named_errors(where: str) -> Generator[None]:
    """Turn the driver's errors into leftfold's."""
    try:
        yield
    except sqlite3.Error as error:
        raise named(where, error) from error


def named(where: str, error: sqlite3.Error) -> StoreUnavailable:
    """The error of ours that says what a driver's error means (codes: https://www.sqlite.org/rescode.html)."""
    problem = str(error)
    match _primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(where, problem)
        case sqlite3.SQLITE_FULL:
            return StoreFull(where, problem)
        case sqlite3.SQLITE_IOERR if _code(error) == sqlite3.SQLITE_IOERR_SHMSIZE:  # no room for the -shm file
            return StoreFull(where, problem)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            return StoreReadOnly(where, problem)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreCorrupt(where, problem)
        case _:
            return StoreFailed(where, problem)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Take the write lock; commit at the end, or roll everything back.

    A commit that failed while it was being synced may be found committed after a crash: `OutcomeUnknown`.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(connection)
        if _primary_code(error) in CERTAINLY_NOT_COMMITTED:
            raise
        raise OutcomeUnknown(str(error)) from error


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # SQLite itself rolls back on some errors
        connection.execute("ROLLBACK")


def _primary_code(error: sqlite3.Error) -> int:
    return _code(error) & 0xFF


def _code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code
