"""SQL for criteria in SQLite: chooses the index for each item, and merges the items in the order of their positions."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.store.reading import ReadOptions

DATA_COLUMNS = "event.position, event.type, event.version, event.data"
COLUMNS = f"{DATA_COLUMNS}, event.time, event.metadata, event.tags"
IN_COLUMNS = """
    SELECT
        min(data >= '' AND version BETWEEN 0 AND 4294967295),
        group_concat(position),
        group_concat(type * 4294967296 + version),
        group_concat(data, x'0a')
    FROM ({rows})"""
BETWEEN = "position > ? AND position <= ?"
MAX_SCANS_PER_STATEMENT = 200
FROM_TAG = """
    FROM segment
    CROSS JOIN segment_tag AS driver ON driver.segment = segment.id
    WHERE segment.last > ? AND tag = ?"""
SEGMENT_OF_DRIVER = "(SELECT id FROM segment WHERE first <= driver.position ORDER BY first DESC LIMIT 1)"
RARITY_BOUNDS = (64, 512, 4096)
LAST_POSITION = 2**63 - 1


class PositionQuery(NamedTuple):
    """A SELECT of positions in the order of one index. Its last two parameters are the bounds of the range.

    A query by segment also takes the lower bound as its first parameter. SQLite does not know that the order of the
    segments is the order of the positions.
    """

    sql: str
    by_segment: bool = False


EVERYTHING = PositionQuery(f"SELECT position FROM event WHERE {BETWEEN}")
SYSTEM_TYPES = "SELECT id FROM type WHERE name >= 'leftfold.' AND name < 'leftfold/'"
USERS = PositionQuery(f"SELECT position FROM event WHERE type NOT IN ({SYSTEM_TYPES}) AND {BETWEEN}")


class IndexScan(NamedTuple):
    """One way to find the events of an item, with its parameters except those of the range."""

    query: PositionQuery
    parameters: tuple[Any, ...]


def select(
    connection: sqlite3.Connection, scans: Sequence[IndexScan], options: ReadOptions
) -> Iterator[tuple[Any, ...]]:
    """Return the rows of the events that any of the scans finds, each once, in order."""
    if not scans:
        return iter(())
    if len(scans) > MAX_SCANS_PER_STATEMENT:
        return _by_position(connection, _merged(connection, scans, options), options)
    sql = statement(tuple(scan.query for scan in scans), _columns(options), reverse=options.reverse)
    return connection.execute(sql, _parameters(scans, options))


def select_columns(
    connection: sqlite3.Connection, scans: Sequence[IndexScan], options: ReadOptions
) -> tuple[Any, ...] | None:
    """Return the rows of a read with `data_only` as one row: each column as one text, the data as lines.

    The row is: whether types, versions and data are what they should be; the positions; the types and versions; the
    data. It is None if there are no events, or too many scans for one statement. SQLite makes it in one step, without
    the interpreter and its lock: it lets go of the lock, and waits for it, at each row that it returns.
    """
    if not 0 < len(scans) <= MAX_SCANS_PER_STATEMENT:
        return None
    rows = statement(tuple(scan.query for scan in scans), DATA_COLUMNS, reverse=options.reverse)
    row: tuple[Any, ...] = connection.execute(IN_COLUMNS.format(rows=rows), _parameters(scans, options)).fetchone()
    return row if row[0] is not None else None


def _columns(options: ReadOptions) -> str:
    """Return the columns to read; each one costs time."""
    return DATA_COLUMNS if options.data_only else COLUMNS


@lru_cache(1024)
def statement(queries: tuple[PositionQuery, ...], columns: str = COLUMNS, *, reverse: bool = False) -> str:
    """Return the statement for the events of some scans. It takes the parameters of each scan, then the limit.

    It has no ORDER BY of its own: the CROSS JOIN follows the chosen positions in their order, and a sort would read the
    data of the whole batch before it returned the first row (the query plans are tested).
    """
    return f"""
        SELECT {columns}
        FROM ({_positions(queries, "DESC" if reverse else "ASC")}) AS chosen
        CROSS JOIN event ON event.position = chosen.position"""


def _positions(queries: tuple[PositionQuery, ...], order: str) -> str:
    """Return a SELECT of the first positions of all queries; of several, each query by segment has a limit."""
    by_segment_order = f"ORDER BY segment.first {order}, position {order} LIMIT ?"
    if len(queries) == 1 and queries[0].by_segment:
        return f"{queries[0].sql} {by_segment_order}"
    parts = [
        f"SELECT position FROM ({each.sql} {by_segment_order})" if each.by_segment else each.sql for each in queries
    ]
    return f"{' UNION '.join(parts)} ORDER BY position {order} LIMIT ?"


def _merged(connection: sqlite3.Connection, scans: Sequence[IndexScan], options: ReadOptions) -> list[int]:
    """Return positions from more scans than one statement can have."""
    order = "DESC" if options.reverse else "ASC"
    found: set[int] = set()
    for start in range(0, len(scans), MAX_SCANS_PER_STATEMENT):
        some = scans[start : start + MAX_SCANS_PER_STATEMENT]
        sql = _positions(tuple(scan.query for scan in some), order)
        found.update(position for (position,) in connection.execute(sql, _parameters(some, options)))
    return sorted(found, reverse=options.reverse)[: options.limit]


def _by_position(
    connection: sqlite3.Connection, positions: Sequence[int], options: ReadOptions
) -> Iterator[tuple[Any, ...]]:
    order = "DESC" if options.reverse else "ASC"
    sql = f"SELECT {_columns(options)} FROM event WHERE position IN ({_marks(positions)}) ORDER BY position {order}"
    return connection.execute(sql, positions)


def at_positions(connection: sqlite3.Connection, positions: Sequence[int]) -> list[tuple[Any, ...]]:
    """Return the rows of the events at these positions."""
    parts = (
        positions[start : start + MAX_SCANS_PER_STATEMENT]
        for start in range(0, len(positions), MAX_SCANS_PER_STATEMENT)
    )
    every = ReadOptions(0)
    return [row for part in parts for row in _by_position(connection, part, every)]


def _parameters(scans: Sequence[IndexScan], options: ReadOptions) -> list[Any]:
    upto = LAST_POSITION if options.upto is None else options.upto
    limit = LAST_POSITION if options.limit is None else options.limit
    values: list[Any] = []
    for scan in scans:
        if not scan.query.by_segment:
            values += (*scan.parameters, options.after, upto)
        elif len(scans) == 1:
            values += (options.after, *scan.parameters, options.after, upto)
        else:
            values += (options.after, *scan.parameters, options.after, upto, limit)
    return [*values, limit]


def scans_for(
    criteria: Criteria, type_ids: Mapping[str, int], connection: sqlite3.Connection, *, after: int = 0
) -> list[IndexScan]:
    """Return the scans for the events after `after`: one or more for each item, none for types that the log lacks."""
    return [scan for item in criteria.items for scan in _scans(item, type_ids, connection, after)]


def _scans(
    item: CriteriaItem, type_ids: Mapping[str, int], connection: sqlite3.Connection, after: int
) -> list[IndexScan]:
    types = sorted(type_ids[name] for name in item.types if name in type_ids)
    tags = sorted(item.tags)
    if item.types and not types:
        return []
    if not tags:
        return [_scan_of_type(type, ()) for type in types] or [IndexScan(EVERYTHING if item.system else USERS, ())]
    driver = _rarest(tags, types, connection, after)
    if driver is None:
        return [_scan_of_type(type, tags) for type in types]
    return [_scan_of_tag(driver, [tag for tag in tags if tag != driver], types)]


def _scan_of_tag(tag: str, others: Sequence[str], types: Sequence[int]) -> IndexScan:
    wanted = f" AND type IN ({_marks(types)})" if types else ""
    sql = f"SELECT position {FROM_TAG}{wanted}{_with_tags(others, 'driver.segment')} AND {BETWEEN}"
    return IndexScan(PositionQuery(sql, by_segment=True), (tag, *types, *others))


def _scan_of_type(type: int, tags: Sequence[str]) -> IndexScan:
    sql = f"SELECT position FROM event AS driver WHERE type = ?{_with_tags(tags, SEGMENT_OF_DRIVER)} AND {BETWEEN}"
    return IndexScan(PositionQuery(sql), (type, *tags))


def _with_tags(tags: Sequence[str], segment: str) -> str:
    also = f"also.segment = {segment} AND also.tag = ? AND also.position = driver.position"
    return f" AND EXISTS (SELECT 1 FROM segment_tag AS also WHERE {also})" * len(tags)


def _rarest(tags: Sequence[str], types: Sequence[int], connection: sqlite3.Connection, after: int) -> str | None:
    """Return the tag to search by, or None for the types: the first that is rare; tags come before types.

    Counting begins at `after` and stops at a bound, so the choice is cheap however long the log is.
    """
    if len(tags) == 1 and not types:
        return tags[0]
    for bound in RARITY_BOUNDS:
        for tag in tags:
            if _count(connection, f"SELECT 1 {FROM_TAG} AND position > ?", (after, tag, after, bound)) < bound:
                return tag
        wanted = f"SELECT 1 FROM event WHERE type IN ({_marks(types)}) AND position > ?"
        if types and _count(connection, wanted, (*types, after, bound)) < bound:
            return None
    return tags[0]


def _count(connection: sqlite3.Connection, rows: str, parameters: Sequence[Any]) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM ({rows} LIMIT ?)", parameters).fetchone()
    return int(count)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
