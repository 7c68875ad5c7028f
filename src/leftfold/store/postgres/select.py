"""SQL for criteria in PostgreSQL: chooses the index for each item, and merges the items in the order of positions."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.store.postgres.batch import texts
from leftfold.store.reading import ReadOptions

DATA_COLUMNS = "event.position, event.type, event.version, event.data"
COLUMNS = f"{DATA_COLUMNS}, event.time, event.metadata, event.tags"
AT_POSITIONS = f"SELECT {COLUMNS} FROM {{log}}.event WHERE position = ANY (%s::bigint[])"
COUNTS = """
    SELECT (
        SELECT count(*)
        FROM {log}.event
        WHERE type IN (SELECT id FROM {log}.type WHERE name = ANY (%s))
            AND position > bounds.low AND position <= bounds.high
    )
    FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS bounds (low, high, place)
    ORDER BY bounds.place"""
SELECT_MENTIONS = f"""
    SELECT {COLUMNS}
    FROM {{log}}.event
    WHERE position > %s AND position <= %s AND position(decode(%s, 'hex') IN metadata) > 0
    ORDER BY position"""
DATA, METADATA = 3, 5  # their places in a row
USERS = "type <> ALL (ARRAY(SELECT id FROM {log}.type WHERE name >= 'leftfold.' AND name < 'leftfold/'))"
MAX_PROBED_EVENTS = 64  # that a probe of a tag reads
LAST_POSITION = 2**63 - 1
MAX_COUNTED_ROWS = 4_096  # to find the rarest tag
MAX_COUNTED_ROWS_OF_MANY = 64  # the same, for large criteria
# The planner may turn this many tags into joins. For more it compares orders for seconds, and may not find a good one.
MAX_JOINED_TAGS = 7
MAX_SEPARATE_ITEMS = 64  # with a part of the statement each; more items become arrays
MAX_SEPARATE_SCANS = 16  # of tags, with a part of the statement each; more scans become arrays
HEAD = "SELECT coalesce(max(position), 0) FROM {log}.event WHERE {same}"
LACKS_NONE = """NOT EXISTS (
            SELECT FROM unnest({tags}) AS other (tag)
            WHERE NOT EXISTS (
                SELECT FROM {log}.tag AS also WHERE also.tag = other.tag AND also.position = {of}.position
            )
        )"""


class Statement(NamedTuple):
    """SQL over the tables of `{log}`, with its parameters; `{same}` is the condition that the log has its id still."""

    sql: str
    parameters: Sequence[Any]


class IndexScan(NamedTuple):
    """One way to find the events of an item: a FROM clause and its condition; the range is added to it."""

    source: str
    condition: str
    parameters: tuple[Any, ...]
    search: tuple[str, str, str] | None = (
        None  # of a search by tag: the tag, then type ids and other tags, one per line
    )


def bytes_of(row: Sequence[Any]) -> int:
    """Return the size of the data in a row, and of the metadata if the row has any."""
    return len(row[DATA]) + (len(row[METADATA]) if len(row) > METADATA else 0)


def probe(tag: str, options: ReadOptions) -> Statement:
    """Select the head and, in the same snapshot, the first events of a tag; one row without an event if there is none.

    Most entities have few events. The probe then replaces two statements, the first of which only chooses an index.
    """
    columns = DATA_COLUMNS if options.data_only else COLUMNS
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
                LIMIT {MAX_PROBED_EVENTS + 1}
            ) AS few
            JOIN {{log}}.event USING (position)
        ) AS found ON true
        ORDER BY found.position"""
    return Statement(sql, [tag, options.after, LAST_POSITION if options.upto is None else options.upto])


def has_choice(criteria: Criteria) -> bool:
    """Return whether there are several ways to find the events of an item."""
    return any(len(item.tags) + bool(item.types) > 1 for item in criteria.items if item.tags)


def count_ways(criteria: Criteria, ids: Mapping[str, int], after: int) -> Statement:
    """Select the head and, for each item that has several ways to find its events, how many rows each way reads.

    One statement counts them all: for each item it returns an array, the tags in order and then the types. It counts a
    way only as far as the counts before it, because beyond them that way is not better. For large criteria it counts
    each tag by itself, into one array.
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
    limit = str(MAX_COUNTED_ROWS)
    tables: list[str] = []
    for number, rows in enumerate(ways):
        few = f"SELECT FROM {rows} AND position > %s LIMIT {limit}"
        tables.append(f"LATERAL (SELECT count(*) FROM ({few}) AS few) AS way_{number} (rows)")
        limit = f"least({', '.join(f'way_{counted}.rows' for counted in range(number + 1))})"
    rows = ", ".join(f"way_{number}.rows" for number in range(len(ways)))
    return f"SELECT ARRAY[{rows}] FROM {', '.join(tables)}"


def _count_of_each(tags: Sequence[str], after: int) -> Statement:
    """Select the head, and how many rows each tag has. With more tags, counting stops sooner."""
    limit = max(
        MAX_COUNTED_ROWS_OF_MANY, min(MAX_COUNTED_ROWS, MAX_COUNTED_ROWS * MAX_SEPARATE_ITEMS // max(len(tags), 1))
    )
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


def scans_for(criteria: Criteria, ids: Mapping[str, int], counted: Sequence[Sequence[int]]) -> list[IndexScan]:
    """Return one or more scans for each item, as `count_ways` counted; none for types that the log lacks."""
    if _is_large(criteria):
        rows = dict(zip(_tags_of(criteria), *counted, strict=True)) if counted else {}
        return [
            scan
            for item in criteria.items
            for scan in _scans(item, _ids(item, ids), sorted(item.tags, key=lambda tag: (rows.get(tag, 0), tag)))
        ]
    scans: list[IndexScan] = []
    counts = chain.from_iterable(counted)
    for item in criteria.items:
        ways = _ways(item)
        rows = {tag: next(counts) for tag in ways}
        by_type = next(counts) if ways and item.types else None
        rarest = min(rows.values(), default=0)
        drivers = sorted(item.tags, key=lambda tag: (rows.get(tag, 0) != rarest, tag))
        if rows and by_type is not None and by_type < rarest:
            drivers = []
        scans += _scans(item, _ids(item, ids), drivers)
    return scans


def select_events(scans: Sequence[IndexScan], options: ReadOptions, size: int) -> Statement:
    """Select the events of the scans, each once, in order, `size` at most.

    Unless the scan reads the events themselves, they are looked up by all of their positions at once: PostgreSQL 17 and
    later walk the index along such an array, and neighbouring positions share one descent.
    """
    columns = DATA_COLUMNS if options.data_only else COLUMNS
    order = "DESC" if options.reverse else "ASC"
    if len(scans) == 1 and scans[0].source.endswith("event"):
        sql = _along(scans[0], order, columns)
        return Statement(sql, _parameters(scans[0], options, size))
    found = _all_along(scans, order, options, size)
    positions = " UNION ".join(f"SELECT * FROM ({each.sql}) AS scan" for each in found)
    sql = f"""
        SELECT {columns}
        FROM {{log}}.event
        WHERE position = ANY (ARRAY({positions} ORDER BY position {order} LIMIT %s))
        ORDER BY position {order}"""
    return Statement(sql, [each for one in found for each in one.parameters] + [size])


def _is_large(criteria: Criteria) -> bool:
    """Return whether the planner would take too long for a statement with a part for each item and tag."""
    return len(criteria.items) > MAX_SEPARATE_ITEMS or any(len(item.tags) > MAX_JOINED_TAGS for item in criteria.items)


def _tags_of(criteria: Criteria) -> list[str]:
    """Return the tags of all items that have several tags, each once."""
    return sorted({tag for item in criteria.items if len(item.tags) > 1 for tag in item.tags})


def _ways(item: CriteriaItem) -> list[str]:
    """Return the tags that an item can be found by, if there is a choice."""
    return sorted(item.tags) if len(item.tags) + bool(item.types) > 1 else []


def _ids(item: CriteriaItem, ids: Mapping[str, int]) -> list[int]:
    return sorted(ids[name] for name in item.types if name in ids)


def _scans(item: CriteriaItem, types: list[int], drivers: Sequence[str]) -> list[IndexScan]:
    """Return the scans for an item: by the first driver, which is one of its tags, or by its types."""
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
    """Return the condition that a row also has these tags, and its parameters."""
    if len(tags) >= MAX_JOINED_TAGS:
        return f" AND {LACKS_NONE.format(tags='%s::text[]', of=of, log='{log}')}", (texts(tags),)
    one = f" AND EXISTS (SELECT FROM {{log}}.tag AS also WHERE also.tag = %s AND also.position = {of}.position)"
    return one * len(tags), tags


def _all_along(scans: Sequence[IndexScan], order: str, options: ReadOptions, size: int) -> list[Statement]:
    """Select the positions of each scan. If there are many scans of tags, one statement serves them all."""
    searches = [scan.search for scan in scans if scan.search]
    if len(searches) <= MAX_SEPARATE_SCANS:
        return [Statement(_along(scan, order, "position"), _parameters(scan, options, size)) for scan in scans]
    others = [scan for scan in scans if not scan.search]
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
        *_all_along(others, order, options, size),
        Statement(f"SELECT DISTINCT position FROM ({together}) AS each", [*columns, options.after, options.upto, size]),
    ]


def _along(scan: IndexScan, order: str, columns: str) -> str:
    return (
        f"SELECT {columns} FROM {scan.source} WHERE {scan.condition} AND position > %s AND position <= %s"
        f" ORDER BY position {order} LIMIT %s"
    )


def _parameters(scan: IndexScan, options: ReadOptions, size: int) -> list[Any]:
    return [*scan.parameters, options.after, options.upto, size]
