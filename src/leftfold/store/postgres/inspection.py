"""Statistics of a log in PostgreSQL, and checks that its tables fit together."""

from collections.abc import Iterator

from leftfold.model.clock import from_microseconds
from leftfold.store.inspection import FINDINGS, Statistics, StoredKey, TypeCount
from leftfold.store.postgres.batch import key_in, key_text
from leftfold.store.postgres.driver import Connection, run

MAX_SHOWN = 10
KEYS_PER_PAGE = 4_000
# The connections of readers are set up to look up a few rows by index. The checks join whole tables, and may take long.
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
IMPOSSIBLE_VERSIONS = "SELECT position, version FROM {log}.event WHERE version < 1 LIMIT %s"
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
# Keys may share positions if one append had them all, and its events then have one time, unless it gave times.
OVERLAPPING_KEYS = """
    SELECT key, first_position, last_position, other_key
    FROM (
        SELECT
            key,
            first_position,
            last_position,
            lag(key) OVER in_order AS other_key,
            lag(first_position) OVER in_order AS other_first,
            lag(last_position) OVER in_order AS other_last
        FROM {log}.idempotency_key
        WINDOW in_order AS (ORDER BY first_position, last_position)
    ) AS neighbours
    WHERE first_position <= other_last
        AND (SELECT time FROM {log}.event WHERE position >= other_first ORDER BY position LIMIT 1) <> (
            SELECT time
            FROM {log}.event
            WHERE position <= greatest(last_position, other_last)
            ORDER BY position DESC
            LIMIT 1
        )
    ORDER BY first_position
    LIMIT %s"""
SHORT_DIGESTS = """
    SELECT key, length(digest)
    FROM {log}.idempotency_key
    WHERE length(digest) BETWEEN 1 AND 3
    ORDER BY key
    LIMIT %s"""

CHECKS = {
    "missing positions": GAPS,
    "unknown type": NAMELESS,
    "impossible version": IMPOSSIBLE_VERSIONS,
    "stray tag": STRAY_TAGS,
    "missing tags": MISSING_TAGS,
    "stray key": STRAY_KEYS,
    "overlapping keys": OVERLAPPING_KEYS,
    "short digest": SHORT_DIGESTS,
}


def statistics(connection: Connection, log: str) -> Statistics:
    """Return the statistics of the log."""
    types = [TypeCount(*row) for row in run(connection, COUNT_TYPES.format(log=log))]
    [(keys,)] = run(connection, COUNT_KEYS.format(log=log))
    [(created,)] = run(connection, SELECT_CREATED.format(log=log))
    return Statistics(tuple(types), from_microseconds(created), keys)


def type_extents(connection: Connection, log: str, at_most: int) -> list[tuple[str, int, int, int]]:
    """Return each type, how many events it has (or `at_most`), and the positions of the first and the last."""
    return [(name, *rest) for name, *rest in run(connection, TYPE_EXTENTS.format(log=log), [at_most])]


def stored_keys(connection: Connection, *, log: str, beyond: StoredKey | None = None) -> list[StoredKey]:
    """Return the next page of idempotency keys, in their order: those after one, or the first."""
    if beyond is None:
        rows = run(connection, FIRST_KEYS.format(log=log), [KEYS_PER_PAGE])
    else:
        rows = run(connection, NEXT_KEYS.format(log=log), [key_text(beyond.value), KEYS_PER_PAGE])
    return [StoredKey(key_in(text), first, last, digest) for text, first, last, digest in rows]


def problems(connection: Connection, log: str) -> list[str]:
    """Return what is wrong with the tables, the first few findings of each kind."""
    connection.patience = None
    with connection.transaction():
        connection.execute(FOR_WHOLE_TABLES)
        return list(_problems(connection, log))


def _problems(connection: Connection, log: str) -> Iterator[str]:
    for name, sql in CHECKS.items():
        for row in run(connection, sql.format(log=log), [MAX_SHOWN]):
            yield FINDINGS[name].format(*row)
