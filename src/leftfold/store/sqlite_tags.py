"""The tag index of an SQLite log: segments that new tags go into, and their merging, a little with each append.

A tree over all tags takes each new one to a page of its own, and every touched page is written twice. So tags are
written into a small segment; a full one is left as it is, and once there are `TOGETHER` of one level they become one
of the next. What a commit does for that is bounded, and is part of its transaction.
"""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from leftfold.store.sqlite_insert import insert

SEGMENT = 8_192  # events, before the next segment is begun
TOGETHER = 16  # segments of one level that are merged
UPKEEP = 256  # positions from one round of merging to the next
SPEED = 4  # tags are merged so many times faster than they come
END = 2**63 - 1  # where the newest segment ends

TagRow = tuple[str, int, int]

INSERT_TAG = "INSERT INTO segment_tag (segment, tag, position, type)"
SELECT_NEWEST_SEGMENT = "SELECT id, first FROM segment ORDER BY first DESC LIMIT 1"
SELECT_NEXT_ID = """
    SELECT 1 + max(id)
    FROM (SELECT id FROM segment UNION ALL SELECT id FROM segment_merge UNION ALL SELECT id FROM segment_merged)"""
END_SEGMENT = "UPDATE segment SET last = ? WHERE first = ?"
INSERT_SEGMENT = "INSERT INTO segment (first, last, id, level) VALUES (?, ?, ?, ?)"
DELETE_SEGMENTS = "DELETE FROM segment WHERE first BETWEEN ? AND ?"
SELECT_SEGMENTS = "SELECT id FROM segment WHERE first BETWEEN ? AND ? ORDER BY first"

SELECT_FULL_LEVELS = """
    SELECT level
    FROM segment
    WHERE last < ? AND level + 1 NOT IN (SELECT level FROM segment_merge)
    GROUP BY level
    HAVING count(*) >= ?"""
BEGIN_MERGE = """
    INSERT INTO segment_merge (id, first, last, level)
    SELECT ?, min(first), max(last), ?
    FROM (SELECT first, last FROM segment WHERE level = ? AND last < ? ORDER BY first LIMIT ?)"""
SELECT_MERGES = "SELECT id, first, last, level FROM segment_merge ORDER BY level"
SELECT_REACHED = "SELECT tag, position FROM segment_tag WHERE segment = ? ORDER BY tag DESC, position DESC LIMIT 1"
DELETE_MERGE = "DELETE FROM segment_merge WHERE id = ?"

INSERT_MERGED = "INSERT INTO segment_merged (id) VALUES (?)"
SELECT_MERGED = "SELECT id FROM segment_merged ORDER BY id LIMIT 1"
SELECT_BOUND = "SELECT tag, position FROM segment_tag WHERE segment = ? ORDER BY tag, position LIMIT 1 OFFSET ?"
DELETE_TAGS_TO = "DELETE FROM segment_tag WHERE segment = ? AND (tag, position) < (?, ?)"
DELETE_TAGS = "DELETE FROM segment_tag WHERE segment = ?"
DELETE_MERGED = "DELETE FROM segment_merged WHERE id = ?"


class Merge(NamedTuple):
    """A segment that is being filled with the tags of those from `first` to `last`."""

    id: int
    first: int
    last: int
    level: int


def index_tags(connection: sqlite3.Connection, rows: Sequence[TagRow], before: int, head: int) -> None:
    """Write the tags (tag, position, type) of the events after `before` to `head`, in the transaction that does."""
    segment, first = connection.execute(SELECT_NEWEST_SEGMENT).fetchone()
    insert(connection, INSERT_TAG, [(segment, *row) for row in sorted(rows)])
    if head - first + 1 >= SEGMENT:
        connection.execute(END_SEGMENT, (head, first))
        connection.execute(INSERT_SEGMENT, (head + 1, END, _next_id(connection), 0))
    if head // UPKEEP > before // UPKEEP:
        _keep_up(connection, SPEED * max(len(rows), UPKEEP * len(rows) // (head - before), UPKEEP))


def _keep_up(connection: sqlite3.Connection, tags: int) -> None:
    """Move every merge on by so many tags: one for each level, so that none waits for a larger one to end."""
    for (level,) in connection.execute(SELECT_FULL_LEVELS, (END, TOGETHER)).fetchall():
        connection.execute(BEGIN_MERGE, (_next_id(connection), level + 1, level, END, TOGETHER))
    merges = [Merge(*row) for row in connection.execute(SELECT_MERGES)]
    for merge in merges:
        _move_on(connection, merge, tags)
    _delete_merged(connection, tags * (1 + len(merges)))


def _move_on(connection: sqlite3.Connection, merge: Merge, tags: int) -> None:
    """Copy the next tags in their order; after the last the new segment takes the place of the old ones."""
    sources = [id for (id,) in connection.execute(SELECT_SEGMENTS, merge[1:3])]
    tag, position = _key(connection.execute(SELECT_REACHED, (merge.id,)).fetchone()) or ("", 0)
    parameters = [value for source in sources for value in (source, tag, position)]
    copied = connection.execute(_copy(len(sources)), (merge.id, *parameters, tags)).rowcount
    if copied < tags:
        connection.executemany(INSERT_MERGED, [(source,) for source in sources])
        connection.execute(DELETE_SEGMENTS, merge[1:3])
        connection.execute(INSERT_SEGMENT, (merge.first, merge.last, merge.id, merge.level))
        connection.execute(DELETE_MERGE, (merge.id,))


@lru_cache
def _copy(sources: int) -> str:
    """Each source is read in the order of its key, and SQLite merges them: no step sorts more than it copies."""
    source = "SELECT tag, position, type FROM segment_tag WHERE segment = ? AND (tag, position) > (?, ?)"
    return f"""
        INSERT INTO segment_tag (segment, tag, position, type)
        SELECT ?, tag, position, type
        FROM ({" UNION ALL ".join([source] * sources)} ORDER BY tag, position LIMIT ?)"""


def _delete_merged(connection: sqlite3.Connection, tags: int) -> None:
    """Delete so many tags that nobody searches."""
    merged = connection.execute(SELECT_MERGED).fetchone()
    while tags > 0 and merged:
        (id,) = merged
        bound = _key(connection.execute(SELECT_BOUND, (id, tags)).fetchone())
        if bound:
            connection.execute(DELETE_TAGS_TO, (id, *bound))
            return
        tags -= connection.execute(DELETE_TAGS, (id,)).rowcount
        connection.execute(DELETE_MERGED, (id,))
        merged = connection.execute(SELECT_MERGED).fetchone()


def _key(row: tuple[bytes, int] | None) -> tuple[str, int] | None:
    """A tag and a position, as they were read."""
    return (str(row[0], "utf-8"), row[1]) if row else None


def _next_id(connection: sqlite3.Connection) -> int:
    (id,) = connection.execute(SELECT_NEXT_ID).fetchone()
    return int(id)
