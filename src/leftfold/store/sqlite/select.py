"""From criteria to SQL: which index drives each item, and the statement that merges them in position order."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from leftfold.model.criteria import Criteria, Item
from leftfold.store.reading import ReadOptions

DATA_COLUMNS = "event.position, event.type, event.version, event.data"
COLUMNS = f"{DATA_COLUMNS}, event.time, event.metadata, event.tags"
BETWEEN = "position > ? AND position <= ?"
ARMS_A_STATEMENT = 200
FROM_TAG = """
    FROM segment
    CROSS JOIN segment_tag AS driver ON driver.segment = segment.id
    WHERE segment.last > ? AND tag = ?"""
SEGMENT_OF_DRIVER = "(SELECT id FROM segment WHERE first <= driver.position ORDER BY first DESC LIMIT 1)"
RARE = (64, 512, 4096)
END = 2**63 - 1


class Along(NamedTuple):
    """A SELECT of positions along one index, in its order; with the range's bounds as its last two parameters.

    Along segments it takes the lower bound as its first parameter too, and SQLite does not know that the order by
    segments is that of the positions.
    """

    sql: str
    segments: bool = False


EVERYTHING = Along(f"SELECT position FROM event WHERE {BETWEEN}")
SYSTEM_TYPES = "SELECT id FROM type WHERE name >= 'leftfold.' AND name < 'leftfold/'"
USERS = Along(f"SELECT position FROM event WHERE type NOT IN ({SYSTEM_TYPES}) AND {BETWEEN}")


class IndexScan(NamedTuple):
    """One way to the events of an item, and its parameters but for the range's."""

    along: Along
    parameters: tuple[Any, ...]


def select(connection: sqlite3.Connection, arms: Sequence[IndexScan], chosen: ReadOptions) -> Iterator[tuple[Any, ...]]:
    """The rows of the events that any arm finds, each once, in order."""
    if not arms:
        return iter(())
    if len(arms) > ARMS_A_STATEMENT:
        return _by_position(connection, _merged(connection, arms, chosen), chosen)
    sql = statement(tuple(arm.along for arm in arms), _columns(chosen), reverse=chosen.reverse)
    return connection.execute(sql, _parameters(arms, chosen))


def _columns(chosen: ReadOptions) -> str:
    """What is read of each event; every column costs."""
    return DATA_COLUMNS if chosen.data_only else COLUMNS


@lru_cache(1024)
def statement(arms: tuple[Along, ...], columns: str = COLUMNS, *, reverse: bool = False) -> str:
    """The events of the arms. Parameters: those of each arm with the range's bounds, then the limit.

    Without an ORDER BY of its own: the CROSS JOIN walks the chosen positions in their order, and a sort would take
    in the data of the whole batch before it gave the first row (the query plans are tested).
    """
    return f"""
        SELECT {columns}
        FROM ({_positions(arms, "DESC" if reverse else "ASC")}) AS chosen
        CROSS JOIN event ON event.position = chosen.position"""


def _positions(arms: tuple[Along, ...], order: str) -> str:
    """The first positions of all arms; of several arms, each one along segments gives no more than are wanted."""
    along_segments = f"ORDER BY segment.first {order}, position {order} LIMIT ?"
    if len(arms) == 1 and arms[0].segments:
        return f"{arms[0].sql} {along_segments}"
    each = [f"SELECT position FROM ({arm.sql} {along_segments})" if arm.segments else arm.sql for arm in arms]
    return f"{' UNION '.join(each)} ORDER BY position {order} LIMIT ?"


def _merged(connection: sqlite3.Connection, arms: Sequence[IndexScan], chosen: ReadOptions) -> list[int]:
    """Positions by more arms than one statement takes."""
    order = "DESC" if chosen.reverse else "ASC"
    found: set[int] = set()
    for start in range(0, len(arms), ARMS_A_STATEMENT):
        some = arms[start : start + ARMS_A_STATEMENT]
        sql = _positions(tuple(arm.along for arm in some), order)
        found.update(position for (position,) in connection.execute(sql, _parameters(some, chosen)))
    return sorted(found, reverse=chosen.reverse)[: chosen.limit]


def _by_position(
    connection: sqlite3.Connection, positions: Sequence[int], chosen: ReadOptions
) -> Iterator[tuple[Any, ...]]:
    order = "DESC" if chosen.reverse else "ASC"
    sql = f"SELECT {_columns(chosen)} FROM event WHERE position IN ({_marks(positions)}) ORDER BY position {order}"
    return connection.execute(sql, positions)


def at_positions(connection: sqlite3.Connection, positions: Sequence[int]) -> list[tuple[Any, ...]]:
    """The rows of the events at these positions."""
    parts = (positions[start : start + ARMS_A_STATEMENT] for start in range(0, len(positions), ARMS_A_STATEMENT))
    every = ReadOptions(0)
    return [row for part in parts for row in _by_position(connection, part, every)]


def _parameters(arms: Sequence[IndexScan], chosen: ReadOptions) -> list[Any]:
    upto = END if chosen.upto is None else chosen.upto
    limit = END if chosen.limit is None else chosen.limit
    values: list[Any] = []
    for arm in arms:
        if not arm.along.segments:
            values += (*arm.parameters, chosen.after, upto)
        elif len(arms) == 1:
            values += (chosen.after, *arm.parameters, chosen.after, upto)
        else:
            values += (chosen.after, *arm.parameters, chosen.after, upto, limit)
    return [*values, limit]


def arms_of(
    criteria: Criteria, type_ids: Mapping[str, int], connection: sqlite3.Connection, *, after: int = 0
) -> list[IndexScan]:
    """One arm or more for each item, to look at events after `after`; none for types that the log has never seen."""
    return [arm for item in criteria.items for arm in _arms(item, type_ids, connection, after)]


def _arms(item: Item, type_ids: Mapping[str, int], connection: sqlite3.Connection, after: int) -> list[IndexScan]:
    types = sorted(type_ids[name] for name in item.types if name in type_ids)
    tags = sorted(item.tags)
    if item.types and not types:
        return []
    if not tags:
        return [_along_type(type, ()) for type in types] or [IndexScan(EVERYTHING if item.system else USERS, ())]
    driver = _rarest(tags, types, connection, after)
    if driver is None:
        return [_along_type(type, tags) for type in types]
    return [_along_tag(driver, [tag for tag in tags if tag != driver], types)]


def _along_tag(tag: str, others: Sequence[str], types: Sequence[int]) -> IndexScan:
    wanted = f" AND type IN ({_marks(types)})" if types else ""
    sql = f"SELECT position {FROM_TAG}{wanted}{_with_tags(others, 'driver.segment')} AND {BETWEEN}"
    return IndexScan(Along(sql, segments=True), (tag, *types, *others))


def _along_type(type: int, tags: Sequence[str]) -> IndexScan:
    sql = f"SELECT position FROM event AS driver WHERE type = ?{_with_tags(tags, SEGMENT_OF_DRIVER)} AND {BETWEEN}"
    return IndexScan(Along(sql), (type, *tags))


def _with_tags(tags: Sequence[str], segment: str) -> str:
    also = f"also.segment = {segment} AND also.tag = ? AND also.position = driver.position"
    return f" AND EXISTS (SELECT 1 FROM segment_tag AS also WHERE {also})" * len(tags)


def _rarest(tags: Sequence[str], types: Sequence[int], connection: sqlite3.Connection, after: int) -> str | None:
    """The tag to drive by, or None for the types: the first that is found to be rare, tags before types.

    Counting begins at `after` and stops at a bound, so choosing costs little however long the log is.
    """
    if len(tags) == 1 and not types:
        return tags[0]
    for bound in RARE:
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
