"""The tag index of an SQLite log: segments that new tags go into, and how they are merged."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Any, NamedTuple

from leftfold.model.record import NewEvent

MANY = 512
ROWS = (1_000, 100, 10, 1)  # a statement
ROWS_IF_LARGE = (10, 1)  # since what is bound is copied
LARGE = 4_194_304  # bytes of all rows


def insert_many(
    connection: sqlite3.Connection, table: str, columns: Mapping[str, Sequence[Any]], size: int = 0
) -> None:
    """Insert rows of `size` bytes, given by their columns; what a column has throughout is bound once a statement.

    Python's driver gives up the interpreter lock at each step of a statement, and `executemany` is a step a row: for
    `MANY` rows that costs more than the long statements, for the few of a group commit it costs less. And during a
    long statement another thread has the time to get something done.
    """
    count = len(next(iter(columns.values())))
    same = tuple(name for name, column in columns.items() if column.count(column[0]) == count)
    other = tuple(name for name in columns if name not in same)
    first, width = [columns[name][0] for name in same], len(other)
    values = list(chain.from_iterable(zip(*[columns[name] for name in other], strict=True)))
    start = 0
    for rows in ROWS if size < LARGE else ROWS_IF_LARGE:
        step = rows * width
        while start + step <= len(values):
            connection.execute(_statement(table, same, other, rows), [*first, *values[start : start + step]])
            start += step


@lru_cache(64)
def _statement(table: str, same: tuple[str, ...], other: tuple[str, ...], rows: int) -> str:
    names = ", ".join((*same, *other))
    row = ", ".join([*[f"?{number}" for number in range(1, len(same) + 1)], *["?"] * len(other)])
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([f'({row})'] * rows)}"


SEGMENT = 4_096  # events, before the next segment is begun
TOGETHER = 12  # segments of one level that are merged
UPKEEP = 256  # positions from one round of merging to the next
SPEED = 8  # tags are merged so many times faster than they come, by appends
STEP = 512  # tags that are merged at once between commits
DELETED = 4  # tags are deleted so many times faster than they are merged
END = 2**63 - 1  # where the newest segment ends

TagKey = tuple[str, int]
Step = tuple[str, tuple[str | int, ...]]  # a statement and its parameters

INSERT_TAG = "INSERT INTO segment_tag (segment, tag, position, type) VALUES (?, ?, ?, ?)"
SELECT_NEWEST_SEGMENT = "SELECT id, first FROM segment ORDER BY first DESC LIMIT 1"
SELECT_IDS = """
    SELECT min(id), max(id)
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
SELECT_MOST = """
    SELECT max(segments)
    FROM (SELECT count(*) AS segments FROM segment GROUP BY level UNION ALL SELECT count(*) FROM segment_merged)"""
SELECT_MERGES = "SELECT id, first, last, level FROM segment_merge ORDER BY level"
SELECT_REACHED = "SELECT tag, position FROM segment_tag WHERE segment = ? ORDER BY tag DESC, position DESC LIMIT 1"
SELECT_KEY_AT = """
    SELECT tag, position
    FROM segment_tag
    WHERE segment = ? AND (tag, position) > (?, ?)
    ORDER BY tag, position
    LIMIT 1 OFFSET ?"""
COPY = """
    INSERT INTO segment_tag (segment, tag, position, type)
    SELECT ?, tag, position, type
    FROM segment_tag
    WHERE segment IN ({sources}) AND (tag, position) > (?, ?){bound}
        AND EXISTS (SELECT 1 FROM segment_merge WHERE (id, first, last, level) = (?, ?, ?, ?))
        AND NOT EXISTS (
            SELECT 1 FROM segment_tag AS copied WHERE copied.segment = ? AND (copied.tag, copied.position) > (?, ?)
        )
    ORDER BY tag, position"""
DELETE_MERGE = "DELETE FROM segment_merge WHERE id = ?"

INSERT_MERGED = "INSERT INTO segment_merged (id) VALUES (?)"
SELECT_MERGED = "SELECT id FROM segment_merged ORDER BY id"
SELECT_BOUND = "SELECT tag, position FROM segment_tag WHERE segment = ? ORDER BY tag, position LIMIT 1 OFFSET ?"
DELETE_TAGS = "DELETE FROM segment_tag WHERE segment = (SELECT id FROM segment_merged WHERE id = ?)"
DELETE_TAGS_TO = f"{DELETE_TAGS} AND (tag, position) < (?, ?)"
DELETE_MERGED = "DELETE FROM segment_merged WHERE id = ?"


class TagRows(NamedTuple):
    """Tags that are to be written: each with the position and the type of its event."""

    tag: list[str]
    position: list[int]
    type: list[int]


class Merge(NamedTuple):
    """A segment that is being filled with the tags of those from `first` to `last`."""

    id: int
    first: int
    last: int
    level: int


def tag_rows(events: Sequence[NewEvent], positions: Sequence[int], types: Sequence[int]) -> TagRows:
    """The tags of these events, in their order, so that one page of the index is touched after the other."""
    tags = [tag for event in events for tag in event.tags]
    event_of = [number for number, event in enumerate(events) for _ in event.tags]
    order = sorted(range(len(tags)), key=tags.__getitem__)
    own = [event_of[each] for each in order]
    return TagRows([tags[each] for each in order], [positions[each] for each in own], [types[each] for each in own])


def index_tags(connection: sqlite3.Connection, positions: range, rows: TagRows) -> bool:
    """Write the tags of events, in the transaction that writes these at their positions.

    Whether that has filled a segment, and there are tags to merge now.
    """
    segment, first = connection.execute(SELECT_NEWEST_SEGMENT).fetchone()
    count = len(rows.tag)
    if count < MANY:
        connection.executemany(INSERT_TAG, zip(repeat(segment), *rows, strict=False))
    else:
        insert_many(connection, "segment_tag", {"segment": [segment] * count, **rows._asdict()})
    head = positions[-1]
    unmerged = False
    if head - first + 1 >= SEGMENT:
        connection.execute(END_SEGMENT, (head, first))
        connection.execute(INSERT_SEGMENT, (head + 1, END, _lowest_id(connection), 0))
        unmerged = settle(connection)
    if head // UPKEEP > (positions[0] - 1) // UPKEEP and _is_behind(connection):
        _keep_up(connection, SPEED * max(count, UPKEEP * count // len(positions), UPKEEP))
    return unmerged


def next_step(connection: sqlite3.Connection) -> Step | None:
    """The next tags to delete or to copy: one statement, which can be run by itself, and does nothing once it is late.

    For as long as a statement runs, other threads of Python do too; between two of them they have to give way first.
    """
    merged = connection.execute(SELECT_MERGED).fetchone()
    if merged:
        return _deletion(connection, merged[0])
    for row in connection.execute(SELECT_MERGES).fetchall():
        merge = Merge(*row)
        sources, reached = _state_of(connection, merge)
        if not _is_copied(connection, sources, reached):
            return _copy(merge, sources, reached, _bound(connection, sources, reached, STEP))
    return None


def settle(connection: sqlite3.Connection) -> bool:
    """Begin what is due, and end what has been done, in the caller's transaction; whether there is something to do."""
    for (id,) in connection.execute(SELECT_MERGED).fetchall():
        if _deletion(connection, id) is None:
            connection.execute(DELETE_MERGED, (id,))
    ended = False
    for merge in _merges(connection):
        sources, reached = _state_of(connection, merge)
        if _is_copied(connection, sources, reached):
            _put_in_place(connection, merge, sources)
            ended = True
    return ended or next_step(connection) is not None


def merge_tags(connection: sqlite3.Connection) -> bool:
    """Delete or merge some tags, in the caller's transaction; whether there may be more to do."""
    step = next_step(connection)
    if step is None:
        return settle(connection)
    connection.execute(*step)
    return True


def _is_behind(connection: sqlite3.Connection) -> bool:
    """Whether so many segments have come together that appends have to see to them."""
    (most,) = connection.execute(SELECT_MOST).fetchone()
    return int(most) > 3 * TOGETHER


def _keep_up(connection: sqlite3.Connection, tags: int) -> None:
    """Move every merge on by so many tags: one for each level, so that none waits for a larger one to end."""
    merges = _merges(connection)
    for merge in merges:
        _move_on(connection, merge, tags)
    _delete_merged(connection, tags * (1 + len(merges)))


def _merges(connection: sqlite3.Connection) -> list[Merge]:
    """The merges under way, those of small segments first; with those that are due."""
    for (level,) in connection.execute(SELECT_FULL_LEVELS, (END, TOGETHER)).fetchall():
        connection.execute(BEGIN_MERGE, (_highest_id(connection), level + 1, level, END, TOGETHER))
    return [Merge(*row) for row in connection.execute(SELECT_MERGES)]


def _move_on(connection: sqlite3.Connection, merge: Merge, tags: int) -> None:
    """Copy the next tags in their order; after the last the new segment takes the place of the old ones."""
    sources, reached = _state_of(connection, merge)
    copied = 0
    while copied <= tags // 2:
        bound = _bound(connection, sources, reached, tags - copied)
        copied += connection.execute(*_copy(merge, sources, reached, bound)).rowcount
        if bound is None:
            _put_in_place(connection, merge, sources)
            return
        reached = bound


def _state_of(connection: sqlite3.Connection, merge: Merge) -> tuple[list[int], TagKey]:
    """The segments that a merge copies, and what it has copied last."""
    sources = [id for (id,) in connection.execute(SELECT_SEGMENTS, merge[1:3])]
    return sources, _key(connection.execute(SELECT_REACHED, (merge.id,)).fetchone()) or ("", 0)


def _is_copied(connection: sqlite3.Connection, sources: Sequence[int], reached: TagKey) -> bool:
    return not any(_key_at(connection, source, reached, 0) for source in sources)


def _put_in_place(connection: sqlite3.Connection, merge: Merge, sources: Sequence[int]) -> None:
    connection.executemany(INSERT_MERGED, [(source,) for source in sources])
    connection.execute(DELETE_SEGMENTS, merge[1:3])
    connection.execute(INSERT_SEGMENT, (merge.first, merge.last, merge.id, merge.level))
    connection.execute(DELETE_MERGE, (merge.id,))


def _copy(merge: Merge, sources: Sequence[int], reached: TagKey, bound: TagKey | None) -> Step:
    """Copy what lies after one key and not after the other; sorting is quicker than merging dozens of sources."""
    copy = COPY.format(
        sources=", ".join("?" * len(sources)), bound="" if bound is None else " AND (tag, position) <= (?, ?)"
    )
    return copy, (merge.id, *sources, *reached, *(bound or ()), *merge, merge.id, *reached)


def _bound(connection: sqlite3.Connection, sources: Sequence[int], reached: TagKey, tags: int) -> TagKey | None:
    """How far to copy, so that it is at most `tags` and no small part of that; None when all that is left is so few.

    Each source that has a part in it is granted an equal share. Where few have one, as with tags that grow with time,
    those alone share it, up to where the next one begins.
    """
    firsts = sorted((first, source) for source in sources if (first := _key_at(connection, source, reached, 0)))
    parts = len(firsts)
    while parts:
        ends = [_key_at(connection, source, reached, tags // parts - 1) for _, source in firsts[:parts]]
        bound = min([end for end in ends if end] + [first for first, _ in firsts[parts : parts + 1]], default=None)
        if bound is None:
            return None
        having_part = sum(first <= bound for first, _ in firsts)
        if having_part * 2 > parts:
            return bound
        parts = having_part
    return None


def _key_at(connection: sqlite3.Connection, segment: int, after: TagKey, offset: int) -> TagKey | None:
    return _key(connection.execute(SELECT_KEY_AT, (segment, *after, max(offset, 0))).fetchone())


def _delete_merged(connection: sqlite3.Connection, tags: int) -> int:
    """Delete so many tags that nobody searches; how many it could have been more."""
    merged = connection.execute(SELECT_MERGED).fetchone()
    while tags > 0 and merged:
        (id,) = merged
        bound = _key(connection.execute(SELECT_BOUND, (id, tags)).fetchone())
        if bound:
            connection.execute(DELETE_TAGS_TO, (id, *bound))
            return 0
        tags -= connection.execute(DELETE_TAGS, (id,)).rowcount
        connection.execute(DELETE_MERGED, (id,))
        merged = connection.execute(SELECT_MERGED).fetchone()
    return tags


def _deletion(connection: sqlite3.Connection, merged: int) -> Step | None:
    """Delete some tags of a segment that has been merged; None when it has none."""
    bound = _key(connection.execute(SELECT_BOUND, (merged, STEP * DELETED)).fetchone())
    if bound:
        return DELETE_TAGS_TO, (merged, *bound)
    return (DELETE_TAGS, (merged,)) if connection.execute(SELECT_BOUND, (merged, 0)).fetchone() else None


def _key(row: tuple[bytes, int] | None) -> tuple[str, int] | None:
    """A tag and a position, as they were read."""
    return (str(row[0], "utf-8"), row[1]) if row else None


def _lowest_id(connection: sqlite3.Connection) -> int:
    """For a segment that new tags go into: all over it, wherever it lies."""
    (lowest, _) = connection.execute(SELECT_IDS).fetchone()
    return int(lowest) - 1


def _highest_id(connection: sqlite3.Connection) -> int:
    """For a segment that is filled in order: at the tree's right end that is quick, and leaves full pages."""
    (_, highest) = connection.execute(SELECT_IDS).fetchone()
    return int(highest) + 1
