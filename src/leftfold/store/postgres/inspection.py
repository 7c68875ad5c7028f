"""Looking into a log in PostgreSQL: its figures, and whether its tables fit together."""

from collections.abc import Iterator
from typing import Any

from leftfold.model.clock import from_microseconds
from leftfold.store.inspection import Statistics, StoredKey, TypeCount
from leftfold.store.postgres.batch import key_in, key_text
from leftfold.store.postgres.driver import Connection, run

SHOWN = 10
KEYS_AT_ONCE = 4_000
# Readers' connections are set up for looking up a few rows by index; this joins whole tables, however long it takes.
FOR_WHOLE_TABLES = b"""
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_hashjoin = on;
    SET LOCAL enable_mergejoin = on;
    SET LOCAL statement_timeout = 0"""

COUNT_TYPES = """
    SELECT type.name, count(*), min(event.position), max(event.position)
    FROM {log}.event
    JOIN {log}.type ON type.id = event.type
    GROUP BY type.name
    ORDER BY type.name"""
TYPE_EXTENTS = """
    SELECT type.name, counted.events, oldest.position, newest.position
    FROM {log}.type
    CROSS JOIN LATERAL (
        SELECT count(*) AS events FROM (SELECT FROM {log}.event WHERE event.type = type.id LIMIT %s) AS few
    ) AS counted
    CROSS JOIN LATERAL (
        SELECT position FROM {log}.event WHERE event.type = type.id ORDER BY position LIMIT 1
    ) AS oldest
    CROSS JOIN LATERAL (
        SELECT position FROM {log}.event WHERE event.type = type.id ORDER BY position DESC LIMIT 1
    ) AS newest
    ORDER BY type.name"""
COUNT_KEYS = "SELECT count(*) FROM {log}.idempotency_key"
FIRST_KEYS = "SELECT key, first_position, last_position, digest FROM {log}.idempotency_key ORDER BY key LIMIT %s"
NEXT_KEYS = FIRST_KEYS.replace("ORDER BY", "WHERE key > %s ORDER BY")
SELECT_CREATED = "SELECT created FROM {log}.log"
GAPS = """
    SELECT seen.before + 1, seen.position - 1
    FROM (SELECT position, lag(position, 1, 0::bigint) OVER (ORDER BY position) AS before FROM {log}.event) AS seen
    WHERE seen.position <> seen.before + 1
    LIMIT %s"""
NAMELESS = """
    SELECT event.position
    FROM {log}.event
    LEFT JOIN {log}.type ON type.id = event.type
    WHERE type.id IS NULL
    LIMIT %s"""
STRAY_TAGS = """
    SELECT tag.position, tag.tag
    FROM {log}.tag
    LEFT JOIN {log}.event ON event.position = tag.position AND event.type = tag.type
    WHERE event.position IS NULL OR NOT tag.tag = ANY (string_to_array(event.tags, E'\\n'))
    LIMIT %s"""
MISSING_TAGS = """
    SELECT event.position
    FROM {log}.event
    LEFT JOIN (SELECT position, count(*) AS tags FROM {log}.tag GROUP BY position) AS indexed
        ON indexed.position = event.position
    WHERE coalesce(indexed.tags, 0) <> coalesce(cardinality(string_to_array(nullif(event.tags, ''), E'\\n')), 0)
    LIMIT %s"""
STRAY_KEYS = """
    SELECT key, first_position, last_position
    FROM {log}.idempotency_key
    WHERE first_position < 1
        OR last_position < first_position
        OR last_position > (SELECT coalesce(max(position), 0) FROM {log}.event)
    LIMIT %s"""


def statistics(connection: Connection, log: str) -> Statistics:
    """The figures of the log."""
    types = [TypeCount(*row) for row in run(connection, COUNT_TYPES.format(log=log))]
    [(keys,)] = run(connection, COUNT_KEYS.format(log=log))
    [(created,)] = run(connection, SELECT_CREATED.format(log=log))
    return Statistics(tuple(types), from_microseconds(created), keys)


def type_extents(connection: Connection, log: str, at_most: int) -> list[tuple[str, int, int, int]]:
    """Each type, how many events it has (or `at_most`), and the positions of the first and the last: by the index."""
    return [(name, *rest) for name, *rest in run(connection, TYPE_EXTENTS.format(log=log), [at_most])]


def stored_keys(connection: Connection, *, log: str, beyond: StoredKey | None = None) -> list[StoredKey]:
    """Some idempotency keys in their order: those that come behind one, or the first."""
    if beyond is None:
        rows = run(connection, FIRST_KEYS.format(log=log), [KEYS_AT_ONCE])
    else:
        rows = run(connection, NEXT_KEYS.format(log=log), [key_text(beyond.value), KEYS_AT_ONCE])
    return [StoredKey(key_in(text), first, last, digest) for text, first, last, digest in rows]


def problems(connection: Connection, log: str) -> list[str]:
    """What is wrong with the tables, of each kind the first few."""
    connection.patience = None
    with connection.transaction():
        connection.execute(FOR_WHOLE_TABLES)
        return list(_problems(connection, log))


def _problems(connection: Connection, log: str) -> Iterator[str]:
    def found(sql: str) -> list[tuple[Any, ...]]:
        return run(connection, sql.format(log=log), [SHOWN])

    for first, last in found(GAPS):
        yield f"positions {first} to {last} are missing"
    for (position,) in found(NAMELESS):
        yield f"the event at {position} has a type that the log does not name"
    for position, tag in found(STRAY_TAGS):
        yield f"the tag index has {tag!r} at {position}, the event there has not"
    for (position,) in found(MISSING_TAGS):
        yield f"the tag index does not have the tags of the event at {position}"
    for key, first, last in found(STRAY_KEYS):
        yield f"the idempotency key {key!r} names positions {first} to {last}, not all in the log"
