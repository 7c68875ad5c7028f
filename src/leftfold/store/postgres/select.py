"""From criteria to PostgreSQL's SQL: which index drives each item, and the statement that merges them in order."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from leftfold.model.criteria import Criteria, Item
from leftfold.store.postgres.batch import texts
from leftfold.store.reading import ReadOptions

DATA_COLUMNS = "event.position, event.type, event.version, event.data"
COLUMNS = f"{DATA_COLUMNS}, event.time, event.metadata, event.tags"
AT_POSITIONS = f"SELECT {COLUMNS} FROM {{log}}.event WHERE position = ANY (%s::bigint[])"
DATA, METADATA = 3, 5  # their places in a row
USERS = "type <> ALL (ARRAY(SELECT id FROM {log}.type WHERE name >= 'leftfold.' AND name < 'leftfold/'))"
FEW = 64  # events of a tag that a first look reads
LAST = 2**63 - 1
RARE = 4_096  # rows that are counted at most to find the rarest tag
RAREST = 64  # the same where there are very many tags
JOINED = 7  # tags that the planner may make joins of; of many it tries orders for seconds, and may then find none
COUNTED = 64  # items that a statement has a part for each of; of more it gets arrays
TOGETHER = 16  # tags that a statement looks along one by one; more are an array too
HEAD = "SELECT coalesce(max(position), 0) FROM {log}.event WHERE {same}"
LACKS_NONE = """NOT EXISTS (
            SELECT FROM unnest({tags}) AS other (tag)
            WHERE NOT EXISTS (
                SELECT FROM {log}.tag AS also WHERE also.tag = other.tag AND also.position = {of}.position
            )
        )"""


class Statement(NamedTuple):
    """SQL over the tables of `{log}`, and its parameters; `{same}` says that the log is still that of its id."""

    sql: str
    parameters: Sequence[Any]


class IndexScan(NamedTuple):
    """Along which index an item is found: a FROM with its condition, to which the range is added."""

    source: str
    condition: str
    parameters: tuple[Any, ...]
    search: tuple[str, str, str] | None = None  # the same along a tag: that tag, type ids and other tags, one a line


def bytes_of(row: Sequence[Any]) -> int:
    """The size of the data in a row, and of the metadata if it has any."""
    return len(row[DATA]) + (len(row[METADATA]) if len(row) > METADATA else 0)


def first_look(tag: str, chosen: ReadOptions) -> Statement:
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
    return any(len(item.tags) + bool(item.types) > 1 for item in criteria.items if item.tags)


def choices(criteria: Criteria, ids: Mapping[str, int], after: int) -> Statement:
    """The head, and of each item that could be found in several ways how many rows each way would see, bounded.

    One statement for all: of each item an array, its tags in order and then its types. A way is counted no further
    than those before it came: it is not better then. Of many tags together each is counted by itself, in one array.
    """
    if _is_large(criteria):
        return _count_of_each(_tags_of(criteria), after)
    counts = [HEAD]
    parameters: list[Any] = []
    for item in criteria.items:
        ways: list[tuple[str, Any]] = [("{log}.tag WHERE tag = %s", tag) for tag in _ways(item)]
        if ways and item.types:
            ways.append(("{log}.event WHERE type = ANY (%s::integer[])", _ids(item, ids)))
        if ways:
            counts.append(_counted([rows for rows, _ in ways]))
            parameters += [each for _, wanted in ways for each in (wanted, after)]
    return Statement(f"SELECT {', '.join(f'({count})' for count in counts)}", parameters)


def _counted(ways: Sequence[str]) -> str:
    """How many rows each way has, as an array."""
    limit = str(RARE)
    tables: list[str] = []
    for number, rows in enumerate(ways):
        few = f"SELECT FROM {rows} AND position > %s LIMIT {limit}"
        tables.append(f"LATERAL (SELECT count(*) FROM ({few}) AS few) AS way_{number} (rows)")
        limit = f"least({', '.join(f'way_{counted}.rows' for counted in range(number + 1))})"
    rows = ", ".join(f"way_{number}.rows" for number in range(len(ways)))
    return f"SELECT ARRAY[{rows}] FROM {', '.join(tables)}"


def _count_of_each(tags: Sequence[str], after: int) -> Statement:
    """The head, and how many rows each tag has; the more tags, the sooner counting stops."""
    limit = max(RAREST, min(RARE, RARE * COUNTED // max(len(tags), 1)))
    counts = f"""
        SELECT ARRAY(
            SELECT (
                SELECT count(*)
                FROM (SELECT FROM {{log}}.tag WHERE tag.tag = one.tag AND position > %s LIMIT {limit}) AS few
            )
            FROM unnest(%s::text[]) WITH ORDINALITY AS one (tag, number)
            ORDER BY one.number
        )"""
    return Statement(f"SELECT ({HEAD}), ({counts})", [after, texts(tags)])


def arms_of(criteria: Criteria, ids: Mapping[str, int], counted: Sequence[Sequence[int]]) -> list[IndexScan]:
    """One arm or more for each item, by what `choices` counted; none for types that the log has never seen."""
    if _is_large(criteria):
        rows = dict(zip(_tags_of(criteria), *counted, strict=True)) if counted else {}
        return [
            arm
            for item in criteria.items
            for arm in _arms(item, _ids(item, ids), sorted(item.tags, key=lambda tag: (rows.get(tag, 0), tag)))
        ]
    arms: list[IndexScan] = []
    counts = chain.from_iterable(counted)
    for item in criteria.items:
        ways = _ways(item)
        rows = {tag: next(counts) for tag in ways}
        by_type = next(counts) if ways and item.types else None
        rarest = min(rows.values(), default=0)
        drivers = sorted(item.tags, key=lambda tag: (rows.get(tag, 0) != rarest, tag))
        if rows and by_type is not None and by_type < rarest:
            drivers = []
        arms += _arms(item, _ids(item, ids), drivers)
    return arms


def selection(arms: Sequence[IndexScan], chosen: ReadOptions, size: int) -> Statement:
    """The events of the arms, each once, in order, `size` at most.

    Where the events are not the arm itself they are looked up by all their positions at once: PostgreSQL 17 and later
    walk the index along an array of them, and neighbours cost one descent together.
    """
    columns = DATA_COLUMNS if chosen.data_only else COLUMNS
    order = "DESC" if chosen.reverse else "ASC"
    if len(arms) == 1 and arms[0].source.endswith("event"):
        sql = _along(arms[0], order, columns)
        return Statement(sql, _parameters(arms[0], chosen, size))
    found = _all_along(arms, order, chosen, size)
    positions = " UNION ".join(f"SELECT * FROM ({each.sql}) AS arm" for each in found)
    sql = f"""
        SELECT {columns}
        FROM {{log}}.event
        WHERE position = ANY (ARRAY({positions} ORDER BY position {order} LIMIT %s))
        ORDER BY position {order}"""
    return Statement(sql, [each for one in found for each in one.parameters] + [size])


def _is_large(criteria: Criteria) -> bool:
    """Whether a statement that has a part for each item and tag would take the planner too long."""
    return len(criteria.items) > COUNTED or any(len(item.tags) > JOINED for item in criteria.items)


def _tags_of(criteria: Criteria) -> list[str]:
    """The tags of all items that have several, each once."""
    return sorted({tag for item in criteria.items if len(item.tags) > 1 for tag in item.tags})


def _ways(item: Item) -> list[str]:
    """The tags that an item could be found by, where there is a choice."""
    return sorted(item.tags) if len(item.tags) + bool(item.types) > 1 else []


def _ids(item: Item, ids: Mapping[str, int]) -> list[int]:
    return sorted(ids[name] for name in item.types if name in ids)


def _arms(item: Item, types: list[int], drivers: Sequence[str]) -> list[IndexScan]:
    """The ways to an item's events: along the first of the drivers, which are its tags, or along its types."""
    if item.types and not types:
        return []
    if not item.tags and not item.types:
        return [IndexScan("{log}.event", "true" if item.system else USERS, ())]
    if not drivers:
        also, parameters = _with_tags(sorted(item.tags), "event")
        return [IndexScan("{log}.event", f"type = %s{also}", (type, *parameters)) for type in types]
    driver, *others = drivers
    also, parameters = _with_tags(others, "driver")
    wanted = " AND driver.type = ANY (%s::integer[])" if types else ""
    search = (driver, "\n".join(map(str, types)), "\n".join(others))
    condition = f"driver.tag = %s{wanted}{also}"
    return [IndexScan("{log}.tag AS driver", condition, (driver, *([types] if types else ()), *parameters), search)]


def _with_tags(tags: Sequence[str], of: str) -> tuple[str, Sequence[Any]]:
    """The condition that a row has these tags too, and its parameters."""
    if len(tags) >= JOINED:
        return f" AND {LACKS_NONE.format(tags='%s::text[]', of=of, log='{log}')}", (texts(tags),)
    one = f" AND EXISTS (SELECT FROM {{log}}.tag AS also WHERE also.tag = %s AND also.position = {of}.position)"
    return one * len(tags), tags


def _all_along(arms: Sequence[IndexScan], order: str, chosen: ReadOptions, size: int) -> list[Statement]:
    """The positions along each arm; those of many tags by one statement, whatever their number."""
    searches = [arm.search for arm in arms if arm.search]
    if len(searches) <= TOGETHER:
        return [Statement(_along(arm, order, "position"), _parameters(arm, chosen, size)) for arm in arms]
    others = [arm for arm in arms if not arm.search]
    lacks_none = LACKS_NONE.format(tags=r"string_to_array(item.others, E'\n')", of="driver", log="{log}")
    together = f"""
        SELECT found.position
        FROM unnest(%s::text[], %s::text[], %s::text[]) AS item (driver, types, others)
        CROSS JOIN LATERAL (
            SELECT driver.position
            FROM {{log}}.tag AS driver
            WHERE driver.tag = item.driver
                AND (item.types = '' OR driver.type = ANY (string_to_array(item.types, E'\\n')::integer[]))
                AND (item.others = '' OR {lacks_none})
                AND driver.position > %s AND driver.position <= %s
            ORDER BY driver.position {order}
            LIMIT %s
        ) AS found"""
    columns = [texts(column) for column in zip(*searches, strict=True)]
    return [
        *_all_along(others, order, chosen, size),
        Statement(f"SELECT DISTINCT position FROM ({together}) AS each", [*columns, chosen.after, chosen.upto, size]),
    ]


def _along(arm: IndexScan, order: str, columns: str) -> str:
    return (
        f"SELECT {columns} FROM {arm.source} WHERE {arm.condition} AND position > %s AND position <= %s"
        f" ORDER BY position {order} LIMIT %s"
    )


def _parameters(arm: IndexScan, chosen: ReadOptions, size: int) -> list[Any]:
    return [*arm.parameters, chosen.after, chosen.upto, size]
