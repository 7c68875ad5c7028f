"""Detects a file that was copied while it was written, or that has the -wal file of another one beside it."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

WAL_HEADER = 32  # bytes before the first commit
FRAME_HEADER = 24
TAIL = 100  # events at the end of the log that are checked
WHOLE_BYTES = 8_388_608  # a file up to this size is checked as a whole
SELECT_END = """
    SELECT (SELECT id FROM log), event.position, event.time, event.version, event.data, event.metadata, event.tags
    FROM event
    ORDER BY event.position DESC
    LIMIT 1"""
SELECT_SINCE = """
    SELECT
        (SELECT id FROM log),
        known.position, known.time, known.version, known.data, known.metadata, known.tags,
        (SELECT max(position) FROM event),
        (SELECT count(*) FROM event WHERE position > ?1)
    FROM event AS known
    WHERE known.position = ?1"""
SELECT_TAIL = f"""
    SELECT count(*), max(position) - min(position) + 1, max(position)
    FROM (SELECT position FROM event ORDER BY position DESC LIMIT {TAIL})"""
# The newest event by the index, which is on other pages than the events.
SELECT_NEWEST_OF_TYPES = """
    SELECT max(newest)
    FROM (
        SELECT (
            SELECT position FROM event INDEXED BY event_type WHERE event.type = type.id ORDER BY position DESC LIMIT 1
        ) AS newest
        FROM type
    )"""
SELECT_TAGS = """
    SELECT
        length(event.tags) - length(replace(event.tags, char(10), '')) + (event.tags <> ''),
        (
            SELECT count(*)
            FROM segment
            CROSS JOIN segment_tag ON segment_tag.segment = segment.id AND segment_tag.position = event.position
            WHERE segment.last >= event.position AND segment.first <= event.position
        )
    FROM event
    WHERE position = ?"""


def foreign_wal(path: Path) -> str | None:
    """Return what shows that the -wal file belongs to another file, or None.

    The file by itself has the state of a checkpoint, and the commits in the -wal file begin there. Together they must
    have the newest event of the file unchanged, every position after it, and all pages. During a checkpoint the file by
    itself may be unreadable. This writes nothing, and moves no commit into the file.
    """
    uri = path.as_uri()
    try:
        with closing(_connected(f"{uri}?immutable=1")) as alone:
            end = alone.execute(SELECT_END).fetchone()
            sound_alone = _unsound(alone) is None
    except sqlite3.Error:
        return None
    if end is None:
        return None
    try:
        with closing(_connected(f"{uri}?mode=ro")) as whole:
            whole.execute("BEGIN")  # until this ends, nobody restarts the -wal file
            found = whole.execute(SELECT_SINCE, (end[1],)).fetchone()
            problem = _difference(end, found) or _torn_end(whole) or _missing_pages(path, whole)
            if problem is None and sound_alone and (unsound := _unsound(whole)) is not None:
                problem = f"the file is sound, and with its -wal file it is not ({unsound})"
    except sqlite3.DatabaseError as error:
        damaged = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        return f"with its -wal file it cannot be read ({error})" if damaged else None
    return problem


def torn_end(connection: sqlite3.Connection) -> str | None:
    """Return what shows, at the end of the log, that its pages are from different moments, or None.

    This checks only a few pages. If it cannot read them, it says nothing, and later reads will fail.
    """
    connection.execute("BEGIN")
    try:
        return _torn_end(connection)
    finally:
        connection.execute("ROLLBACK")


def _torn_end(connection: sqlite3.Connection) -> str | None:
    try:
        count, expected, head = connection.execute(SELECT_TAIL).fetchone()
        if not count:
            return None
        (newest,) = connection.execute(SELECT_NEWEST_OF_TYPES).fetchone()
        tags, indexed = connection.execute(SELECT_TAGS, (head,)).fetchone()
    except sqlite3.DatabaseError:
        return None
    if count != expected:
        return f"of the last {expected} positions only {count} have events"
    if newest != head:
        return f"its events end at {head}, their index at {newest}"
    return None if tags == indexed else f"the event at {head} has {tags} tags, {indexed} of them in the index"


def _unsound(connection: sqlite3.Connection) -> str | None:
    """Return what SQLite's own check finds in a small file. For a large one it would take too long."""
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if size * pages > WHOLE_BYTES:
        return None
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return None if found == "ok" else str(found).splitlines()[-1]


def _missing_pages(path: Path, whole: sqlite3.Connection) -> str | None:
    """Return what shows that the -wal file belongs to a longer file, or None: most pages beyond this one are missing.

    The -wal file can be read and closed here, because SQLite has no locks on it.
    """
    (size,) = whole.execute("PRAGMA page_size").fetchone()
    (pages,) = whole.execute("PRAGMA page_count").fetchone()
    within = path.stat().st_size // size
    if pages <= within:
        return None
    beyond: set[int] = set()
    with Path(f"{path}-wal").open("rb") as wal:
        salts = wal.read(WAL_HEADER)[16:24]
        while len(frame := wal.read(FRAME_HEADER)) == FRAME_HEADER and frame[8:16] == salts:
            page = int.from_bytes(frame[:4], "big")
            if within < page <= pages:
                beyond.add(page)
            wal.seek(size, os.SEEK_CUR)
    missing = pages - within - len(beyond)
    if missing < 2 or missing <= len(beyond):  # a page that was freed at once is never written
        return None
    return f"its -wal file belongs to one of {pages} pages, and of those beyond its {within}, {missing} are missing"


def _connected(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def _difference(end: Sequence[Any], found: Sequence[Any] | None) -> str | None:
    position = end[1]
    if found is None:
        return f"the file has an event at position {position}, with its -wal file it has none there"
    *same, head, count = found
    if tuple(same) != tuple(end):
        return f"the event at position {position} is another one with its -wal file than without"
    if head - position != count:
        return f"its -wal file goes on to position {head}, and not all positions after {position} are there"
    return None
