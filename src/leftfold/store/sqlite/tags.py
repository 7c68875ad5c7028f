"""The tag index of an SQLite log: the segments that hold new tags, and how they are merged."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from leftfold.model.record import NewEvent

BULK_INSERT_ROWS = 512
ROWS_PER_STATEMENT = (1_000, 100, 10, 1)
LARGE_ROWS_PER_STATEMENT = (10, 1)  # because SQLite copies the bound values
LARGE_BYTES = 4_194_304  # of all rows


def insert_many(
    connection: sqlite3.Connection, table: str, columns: Mapping[str, Sequence[Any]], size: int = 0
) -> None:
    """Insert rows of `size` bytes in all, given by their columns, with long statements.

    A value that a whole column shares is bound once for each statement. Python's driver releases the interpreter lock
    at each step of a statement, and `executemany` takes one step for each row. For `BULK_INSERT_ROWS` rows that costs
    more than long statements; for the few rows of a group commit it costs less. Other threads also get time to work
    during a long statement.
    """
    count = len(next(iter(columns.values())))
    same = tuple(name for name, column in columns.items() if column.count(column[0]) == count)
    other = tuple(name for name in columns if name not in same)
    first = [columns[name][0] for name in same]
    _insert_rows(connection, table, (same, first), other, zip(*[columns[name] for name in other], strict=True), size)


def _insert_rows(
    connection: sqlite3.Connection,
    table: str,
    shared: tuple[tuple[str, ...], list[Any]],
    names: tuple[str, ...],
    values_of_rows: Iterable[tuple[Any, ...]],
    size: int = 0,
) -> None:
    """Insert rows with long statements; `shared` are the columns in which all have the same value, and these values."""
    (same, first), width = shared, len(names)
    values = list(chain.from_iterable(values_of_rows))
    start = 0
    for rows in ROWS_PER_STATEMENT if size < LARGE_BYTES else LARGE_ROWS_PER_STATEMENT:
        step = rows * width
        while start + step <= len(values):
            connection.execute(_statement(table, same, names, rows), [*first, *values[start : start + step]])
            start += step


@lru_cache(64)
def _statement(table: str, same: tuple[str, ...], other: tuple[str, ...], rows: int) -> str:
    names = ", ".join((*same, *other))
    row = ", ".join([*[f"?{number}" for number in range(1, len(same) + 1)], *["?"] * len(other)])
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([f'({row})'] * rows)}"


EVENTS_PER_SEGMENT = 4_096
SEGMENTS_PER_MERGE = 12  # of one level
POSITIONS_PER_UPKEEP = 256  # between two rounds of merging by appends
MERGE_SPEED = 8  # how many tags an append merges for each tag that it adds
TAGS_PER_STEP = 512  # that are merged at once between commits
DELETE_SPEED = 4  # how many merged tags are deleted for each tag that is copied
LAST_POSITION = 2**63 - 1  # where the newest segment ends

TagKey = tuple[str, int]
MergeStep = tuple[str, tuple[str | int, ...]]  # a statement and its parameters

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


TagRows = list[tuple[str, int, int]]
"""Tags to write, each with the position and the type of its event, in the order of the index."""


class Merge(NamedTuple):
    """A new segment that is being filled with the tags of the segments from `first` to `last`."""

    id: int
    first: int
    last: int
    level: int


def tag_rows(events: Sequence[NewEvent], positions: Sequence[int], types: Sequence[int]) -> TagRows:
    """Return the tags of these events in the order of the index, so that its pages are written one after the other."""
    rows = zip(events, positions, types, strict=True)
    return sorted([(tag, position, type) for event, position, type in rows for tag in event.tags], key=itemgetter(0))


class TagIndex:
    """Writes tags into the newest segment, which it remembers until it is told to forget it.

    The store does so whenever somebody else may have committed, or a commit of its own failed.
    """

    def __init__(self) -> None:
        self._newest: tuple[int, int] | None = None  # id and first position of the segment

    def __repr__(self) -> str:
        return f"<TagIndex at segment {self._newest}>"

    def forget(self) -> None:
        """Look for the newest segment at the next commit."""
        self._newest = None

    def add(self, connection: sqlite3.Connection, positions: range, rows: TagRows) -> bool:
        """Write the tags of events, in the transaction that writes the events at these positions.

        Return whether this has filled a segment, so that there are tags to merge.
        """
        segment, first = self._newest or connection.execute(SELECT_NEWEST_SEGMENT).fetchone()
        self._newest = segment, first
        if len(rows) == 1:
            connection.execute(INSERT_TAG, (segment, *rows[0]))
        elif len(rows) < BULK_INSERT_ROWS:
            connection.executemany(INSERT_TAG, [(segment, *row) for row in rows])
        else:
            _insert_rows(connection, "segment_tag", (("segment",), [segment]), ("tag", "position", "type"), rows)
        head = positions[-1]
        if (
            head - first + 1 < EVENTS_PER_SEGMENT
            and head // POSITIONS_PER_UPKEEP == (positions[0] - 1) // POSITIONS_PER_UPKEEP
        ):
            return False
        return self._keep(connection, positions, len(rows), first)

    def _keep(self, connection: sqlite3.Connection, positions: range, count: int, first: int) -> bool:
        """Begin a segment if the newest is full, and merge some tags if too many segments wait."""
        self._newest = None
        head = positions[-1]
        unmerged = False
        if head - first + 1 >= EVENTS_PER_SEGMENT:
            connection.execute(END_SEGMENT, (head, first))
            connection.execute(INSERT_SEGMENT, (head + 1, LAST_POSITION, _lowest_id(connection), 0))
            unmerged = finish_merges(connection)
        if head // POSITIONS_PER_UPKEEP > (positions[0] - 1) // POSITIONS_PER_UPKEEP and _is_behind(connection):
            of_all = POSITIONS_PER_UPKEEP * count // len(positions)
            _keep_up(connection, MERGE_SPEED * max(count, of_all, POSITIONS_PER_UPKEEP))
        return unmerged


def next_step(connection: sqlite3.Connection) -> MergeStep | None:
    """Return the statement that deletes or copies the next tags, or None if there are none.

    It can run in a transaction of its own, and does nothing if it comes too late. It is a single statement because
    other Python threads can run while it does; between two statements they would first have to yield.
    """
    merged = connection.execute(SELECT_MERGED).fetchone()
    if merged:
        return _deletion(connection, merged[0])
    for row in connection.execute(SELECT_MERGES).fetchall():
        merge = Merge(*row)
        sources, reached = _state_of(connection, merge)
        if not _is_copied(connection, sources, reached):
            return _copy(merge, sources, reached, _bound(connection, sources, reached, TAGS_PER_STEP))
    return None


def finish_merges(connection: sqlite3.Connection) -> bool:
    """Start merges that are due and finish those that are done, in the caller's transaction; return if work is left."""
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
    """Delete or merge some tags, in the caller's transaction; return whether there may be more to do."""
    step = next_step(connection)
    if step is None:
        return finish_merges(connection)
    connection.execute(*step)
    return True


def _is_behind(connection: sqlite3.Connection) -> bool:
    """Return whether there are so many segments that appends have to merge some."""
    (most,) = connection.execute(SELECT_MOST).fetchone()
    return int(most) > 3 * SEGMENTS_PER_MERGE


def _keep_up(connection: sqlite3.Connection, tags: int) -> None:
    """Advance every merge by so many tags. There is one for each level, so that none waits for a larger one."""
    merges = _merges(connection)
    for merge in merges:
        _move_on(connection, merge, tags)
    _delete_merged(connection, tags * (1 + len(merges)))


def _merges(connection: sqlite3.Connection) -> list[Merge]:
    """Return the merges under way, smallest segments first, after starting those that are due."""
    for (level,) in connection.execute(SELECT_FULL_LEVELS, (LAST_POSITION, SEGMENTS_PER_MERGE)).fetchall():
        connection.execute(BEGIN_MERGE, (_highest_id(connection), level + 1, level, LAST_POSITION, SEGMENTS_PER_MERGE))
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
    """Return the segments that a merge copies, and the tag and position that it copied last."""
    sources = [id for (id,) in connection.execute(SELECT_SEGMENTS, merge[1:3])]
    return sources, _key(connection.execute(SELECT_REACHED, (merge.id,)).fetchone()) or ("", 0)


def _is_copied(connection: sqlite3.Connection, sources: Sequence[int], reached: TagKey) -> bool:
    return not any(_key_at(connection, source, reached, 0) for source in sources)


def _put_in_place(connection: sqlite3.Connection, merge: Merge, sources: Sequence[int]) -> None:
    connection.executemany(INSERT_MERGED, [(source,) for source in sources])
    connection.execute(DELETE_SEGMENTS, merge[1:3])
    connection.execute(INSERT_SEGMENT, (merge.first, merge.last, merge.id, merge.level))
    connection.execute(DELETE_MERGE, (merge.id,))


def _copy(merge: Merge, sources: Sequence[int], reached: TagKey, bound: TagKey | None) -> MergeStep:
    """Return the statement that copies the tags between two keys. Sorting beats merging many sources."""
    copy = COPY.format(
        sources=", ".join("?" * len(sources)), bound="" if bound is None else " AND (tag, position) <= (?, ?)"
    )
    return copy, (merge.id, *sources, *reached, *(bound or ()), *merge, merge.id, *reached)


def _bound(connection: sqlite3.Connection, sources: Sequence[int], reached: TagKey, tags: int) -> TagKey | None:
    """Return how far to copy, so that it is at most `tags` and a good part of that; None to copy everything left.

    Each source that takes part gets an equal share. If only a few sources have tags there, as with tags that grow with
    time, only they share, up to where the next source begins.
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
    """Delete up to so many tags of merged segments, which nobody searches; return how many more could have been."""
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


def _deletion(connection: sqlite3.Connection, merged: int) -> MergeStep | None:
    """Return the statement that deletes some tags of a merged segment, or None if it has none."""
    bound = _key(connection.execute(SELECT_BOUND, (merged, TAGS_PER_STEP * DELETE_SPEED)).fetchone())
    if bound:
        return DELETE_TAGS_TO, (merged, *bound)
    return (DELETE_TAGS, (merged,)) if connection.execute(SELECT_BOUND, (merged, 0)).fetchone() else None


def _key(row: tuple[bytes, int] | None) -> tuple[str, int] | None:
    """Return the tag and the position of a row."""
    return (str(row[0], "utf-8"), row[1]) if row else None


def _lowest_id(connection: sqlite3.Connection) -> int:
    """Return an id for a segment of new tags, which are inserted all over it."""
    (lowest, _) = connection.execute(SELECT_IDS).fetchone()
    return int(lowest) - 1


def _highest_id(connection: sqlite3.Connection) -> int:
    """Return an id for a segment that is filled in order. The right end of the tree is fast, and its pages get full."""
    (_, highest) = connection.execute(SELECT_IDS).fetchone()
    return int(highest) + 1
