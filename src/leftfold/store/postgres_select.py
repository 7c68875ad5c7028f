"""From criteria to PostgreSQL's SQL: which index drives each item, and the statement that merges them in order."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from leftfold.criteria import Criteria, Item
from leftfold.store.stretch import Range

DATA_COLUMNS = "event.position, event.type, event.version, event.data"
COLUMNS = f"{DATA_COLUMNS}, event.time, event.metadata, event.tags"
AT_POSITIONS = f"SELECT {COLUMNS} FROM {{log}}.event WHERE position = ANY (%s::bigint[])"
DATA, METADATA = 3, 5  # their places in a row
USERS = "type <> ALL (ARRAY(SELECT id FROM {log}.type WHERE name >= 'leftfold.' AND name < 'leftfold/'))"
FEW = 64  # events of a tag that a first look reads
LAST = 2**63 - 1
RARE = 4_096  # rows that are counted at most to find the rarest tag
JOINED = 7  # tags that the planner may make joins of; of many it tries orders for seconds, and may then find none
COUNTED = 64  # items that are counted for at most; of more, each is found by one of its tags


class Statement(NamedTuple):
    """SQL over the tables of `{log}`, and its parameters; `{same}` says that the log is still that of its id."""

    sql: str
    parameters: Sequence[Any]


class Arm(NamedTuple):
    """Along which index an item is found: a FROM with its condition, to which the range is added."""

    source: str
    condition: str
    parameters: tuple[Any, ...]


def bytes_of(row: Sequence[Any]) -> int:
    """The size of the data in a row, and of the metadata if it has any."""
    return len(row[DATA]) + (len(row[METADATA]) if len(row) > METADATA else 0)


def first_look(tag: str, chosen: Range) -> Statement:
    """The head, and the first few events of a tag in the same moment; one row without an event where there is none.

    Most entities are short: this answers what would else take two statements, of which the first only chooses an index.
    """
    columns = DATA_COLUMNS if chosen.data_only else COLUMNS
    sql = f"""
        SELECT head.position, found.*
        FROM (SELECT coalesce(max(position), 0) FROM {{log}}.event WHERE {{same}}) AS head (position)
        LEFT JOIN LATERAL (
            SELECT {columns}
            FROM (
                SELECT position
                FROM {{log}}.tag
                WHERE tag = %s AND position > %s AND position <= %s
                ORDER BY position
                LIMIT {FEW + 1}
            ) AS few
            JOIN {{log}}.event USING (position)
        ) AS found ON true
        ORDER BY found.position"""
    return Statement(sql, [tag, chosen.after, LAST if chosen.upto is None else chosen.upto])


def leaves_a_choice(criteria: Criteria) -> bool:
    """Whether an item could be found in several ways."""
    return any(_ways(item, criteria) for item in criteria.items)


def choices(criteria: Criteria, ids: Mapping[str, int], after: int) -> Statement:
    """The head, and of each item that could be found in several ways how many rows each way would see, bounded.

    One statement for all: of each item an array, its tags in order and then its types. A way is counted no further
    than those before it came: it is not better then.
    """
    counts = ["SELECT coalesce(max(position), 0) FROM {log}.event WHERE {same}"]
    parameters: list[Any] = []
    for item in criteria.items:
        ways: list[tuple[str, Any]] = [("{log}.tag WHERE tag = %s", tag) for tag in _ways(item, criteria)]
        if ways and item.types:
            ways.append(("{log}.event WHERE type = ANY (%s::integer[])", _ids(item, ids)))
        if ways:
            counts.append(_counted([rows for rows, _ in ways]))
            parameters += [each for _, wanted in ways for each in (wanted, after)]
    return Statement(f"SELECT {', '.join(f'({count})' for count in counts)}", parameters)


def _counted(ways: Sequence[str]) -> str:
    """How many rows each way has, as an array; many are counted apart, since the planner cannot order so many joins."""
    if len(ways) > JOINED:
        some = [f"SELECT FROM {rows} AND position > %s LIMIT {RARE}" for rows in ways]
        return f"SELECT ARRAY[{', '.join(f'(SELECT count(*) FROM ({each}) AS few)' for each in some)}]"
    limit = str(RARE)
    tables: list[str] = []
    for number, rows in enumerate(ways):
        few = f"SELECT FROM {rows} AND position > %s LIMIT {limit}"
        tables.append(f"LATERAL (SELECT count(*) FROM ({few}) AS few) AS way_{number} (rows)")
        limit = f"least({', '.join(f'way_{counted}.rows' for counted in range(number + 1))})"
    rows = ", ".join(f"way_{number}.rows" for number in range(len(ways)))
    return f"SELECT ARRAY[{rows}] FROM {', '.join(tables)}"


def arms_of(criteria: Criteria, ids: Mapping[str, int], counted: Sequence[Sequence[int]]) -> list[Arm]:
    """One arm or more for each item, by what `choices` counted; none for types that the log has never seen."""
    arms: list[Arm] = []
    counts = chain.from_iterable(counted)
    for item in criteria.items:
        ways = _ways(item, criteria)
        rows = {tag: next(counts) for tag in ways}
        by_type = next(counts) if ways and item.types else None
        rarest = min(rows, key=lambda tag: rows[tag]) if rows else next(iter(sorted(item.tags)), None)
        if rarest is not None and by_type is not None and by_type < rows.get(rarest, 0):
            rarest = None
        arms += _arms(item, _ids(item, ids), rarest)
    return arms


def selection(arms: Sequence[Arm], chosen: Range, size: int) -> Statement:
    """The events of the arms, each once, in order, `size` at most.

    Where the events are not the arm itself they are looked up by all their positions at once: PostgreSQL 17 and later
    walk the index along an array of them, and neighbours cost one descent together.
    """
    columns = DATA_COLUMNS if chosen.data_only else COLUMNS
    order = "DESC" if chosen.reverse else "ASC"
    if len(arms) == 1 and arms[0].source.endswith("event"):
        sql = _along(arms[0], order, columns)
        return Statement(sql, _parameters(arms[0], chosen, size))
    positions = " UNION ".join(f"SELECT * FROM ({_along(arm, order, 'position')}) AS arm" for arm in arms)
    sql = f"""
        SELECT {columns}
        FROM {{log}}.event
        WHERE position = ANY (ARRAY({positions} ORDER BY position {order} LIMIT %s))
        ORDER BY position {order}"""
    return Statement(sql, [each for arm in arms for each in _parameters(arm, chosen, size)] + [size])


def _ways(item: Item, criteria: Criteria) -> list[str]:
    """The tags that an item could be found by, where there is a choice that is worth counting for."""
    if len(criteria.items) > COUNTED or len(item.tags) > COUNTED:
        return []
    return sorted(item.tags) if len(item.tags) + bool(item.types) > 1 else []


def _ids(item: Item, ids: Mapping[str, int]) -> list[int]:
    return sorted(ids[name] for name in item.types if name in ids)


def _arms(item: Item, types: list[int], driver: str | None) -> list[Arm]:
    if item.types and not types:
        return []
    tags = sorted(item.tags)
    if not tags and not item.types:
        return [Arm("{log}.event", "true" if item.system else USERS, ())]
    if driver is None:
        condition = f"type = %s{_with_tags(tags, 'event')}"
        return [Arm("{log}.event", condition, (type, *tags)) for type in types]
    others = [tag for tag in tags if tag != driver]
    wanted = " AND driver.type = ANY (%s::integer[])" if types else ""
    condition = f"driver.tag = %s{wanted}{_with_tags(others, 'driver')}"
    return [Arm("{log}.tag AS driver", condition, (driver, *([types] if types else ()), *others))]


def _with_tags(tags: Sequence[str], of: str) -> str:
    apart = " OFFSET 0" if len(tags) > JOINED else ""
    one = f" AND EXISTS (SELECT FROM {{log}}.tag AS also WHERE also.tag = %s AND also.position = {of}.position{apart})"
    return one * len(tags)


def _along(arm: Arm, order: str, columns: str) -> str:
    return (
        f"SELECT {columns} FROM {arm.source} WHERE {arm.condition} AND position > %s AND position <= %s"
        f" ORDER BY position {order} LIMIT %s"
    )


def _parameters(arm: Arm, chosen: Range, size: int) -> list[Any]:
    return [*arm.parameters, chosen.after, chosen.upto, size]
