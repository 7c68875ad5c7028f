"""leftfold's errors for the error codes of SQLite, and transactions that raise them."""

import sqlite3
from collections.abc import Callable, Generator
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
ERRORS: dict[int, Callable[[str, str], StoreUnavailable]] = {
    sqlite3.SQLITE_BUSY: StoreBusy,
    sqlite3.SQLITE_LOCKED: StoreBusy,
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_READONLY: StoreReadOnly,
    sqlite3.SQLITE_PERM: StoreReadOnly,
    sqlite3.SQLITE_CANTOPEN: StoreReadOnly,
    sqlite3.SQLITE_CORRUPT: StoreCorrupt,
    sqlite3.SQLITE_NOTADB: StoreCorrupt,
}


@contextmanager
def named_errors(where: str) -> Generator[None]:
    """Turn the driver's errors into leftfold's."""
    try:
        yield
    except sqlite3.Error as error:
        raise named(where, error) from error


def named(where: str, error: sqlite3.Error) -> StoreUnavailable:
    """Return leftfold's error for an error of the driver (codes: https://www.sqlite.org/rescode.html)."""
    problem, code = str(error), _primary_code(error)
    if _code(error) == sqlite3.SQLITE_IOERR_SHMSIZE:  # there is no room for the -shm file
        code = sqlite3.SQLITE_FULL
    if code == sqlite3.SQLITE_ERROR and problem.startswith("no such ") and not problem.endswith((": tag", ".tag")):
        # A table is gone. Only `tag` may be: it belongs to format 1, which another process may have migrated.
        code = sqlite3.SQLITE_CORRUPT
    return ERRORS.get(code, StoreFailed)(where, problem)


class Transaction:
    """Takes the write lock of a connection; commits at the end, or rolls everything back.

    Raise `OutcomeUnknown` if the commit failed during its sync: after a crash it may turn out to be committed. A class
    rather than a generator, which would take three times as long.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None:
            _roll_back(self._connection)
            return
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as problem:
            _roll_back(self._connection)
            if _primary_code(problem) in CERTAINLY_NOT_COMMITTED:
                raise
            raise OutcomeUnknown(str(problem)) from problem


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # SQLite itself rolls back on some errors
        connection.execute("ROLLBACK")


def _primary_code(error: sqlite3.Error) -> int:
    return _code(error) & 0xFF


def _code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code
