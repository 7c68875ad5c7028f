"""The format of an SQLite log: the schema of a new log, and the migration of an older one."""

import logging
import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

FORMAT = 4

# Let the present statements read a log of format 1 that is opened for reading only: they see it as one segment.
FORMAT_1_VIEWS = (
    "CREATE TEMP VIEW segment AS SELECT 1 AS first, 9223372036854775807 AS last, 1 AS id, 0 AS level",
    "CREATE TEMP VIEW segment_tag AS SELECT 1 AS segment, tag, position, type FROM tag",
    "CREATE TEMP VIEW segment_merge AS SELECT 1 AS id, 1 AS first, 1 AS last, 1 AS level WHERE 0",
    "CREATE TEMP VIEW segment_merged AS SELECT 1 AS id WHERE 0",
)

DELETE_TRIGGERS = "DELETE FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '%_is_never_replaced'"

log = logging.getLogger("leftfold.store")


def create_schema(connection: sqlite3.Connection) -> None:
    """Make the tables, indexes, views and triggers of an empty log, in the caller's transaction."""
    _run(connection, "schema.sql")
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def lift(connection: sqlite3.Connection, version: int, path: Path) -> None:
    """Migrate a log of an older format to the newest, in the caller's transaction: all of it or nothing.

    A migration from format 1 needs free space for a second copy of the tags.
    """
    for number in range(version + 1, FORMAT + 1):
        log.warning("%s: migrating the log from format %d to %d", path, number - 1, number)
        _run(connection, f"migrations/{number:04}.sql")
        connection.execute(f"PRAGMA user_version = {number}")
        log.warning("%s: the log now has format %d", path, number)


def hide_replacement_triggers(connection: sqlite3.Connection) -> None:
    """Let this connection insert without the triggers that refuse replacements, in the caller's transaction.

    In a large append they would cost as much as the rows themselves, and they only protect from other programs:
    leftfold's inserts do not replace, so the primary keys refuse a second row. The file keeps the triggers: their rows
    in the schema are deleted, this connection reads the schema, and the rows are restored. If another connection later
    changes the schema, or this build of SQLite forbids the deletion, the connection has the triggers, which only costs
    time.
    """
    connection.execute("SAVEPOINT without_triggers")
    try:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(DELETE_TRIGGERS)
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute("SELECT 1 FROM event LIMIT 0")
    except sqlite3.Error as error:
        log.debug("the triggers against replacement stay: %s", error)
    finally:
        connection.execute("PRAGMA writable_schema = OFF")
        connection.execute("ROLLBACK TO without_triggers")
        connection.execute("RELEASE without_triggers")


def look_like_newest(connection: sqlite3.Connection, version: int) -> None:
    """Let a connection that may only read see an older log as a log of the newest format."""
    if version == 1:
        for view in FORMAT_1_VIEWS:
            connection.execute(view)


def _run(connection: sqlite3.Connection, script: str) -> None:
    for command in _commands(files("leftfold.store.sqlite").joinpath(script).read_text()):
        connection.execute(command)


def _commands(script: str) -> Iterator[str]:
    """Yield the SQL commands of a script one by one; `executescript` would commit the caller's transaction."""
    command = ""
    for line in script.splitlines(keepends=True):
        command += line
        if sqlite3.complete_statement(command):
            yield command
            command = ""
