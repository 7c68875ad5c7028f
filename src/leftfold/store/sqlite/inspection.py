"""Statistics of a log in SQLite, and checks that its tables, indexes and tags fit together."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from itertools import islice

from leftfold.errors import StoreCorrupt
from leftfold.model.clock import from_microseconds
from leftfold.store.inspection import FINDINGS, Statistics, StoredKey, StoreFile, TypeCount
from leftfold.store.sqlite.file import LogFile
from leftfold.store.sqlite.format import FORMAT, create_schema
from leftfold.store.sqlite.tags import LAST_POSITION

MAX_SHOWN = 10
KEYS_PER_PAGE = 4_000

COUNT_TYPES = """
    SELECT type.name, count(*), min(event.position), max(event.position)
    FROM event
    JOIN type ON type.id = event.type
    GROUP BY event.type
    ORDER BY type.name"""
TYPE_EXTENTS = """
    SELECT
        type.name,
        (SELECT count(*) FROM (SELECT 1 FROM event WHERE event.type = type.id LIMIT ?)),
        (SELECT position FROM event WHERE event.type = type.id ORDER BY position LIMIT 1),
        (SELECT position FROM event WHERE event.type = type.id ORDER BY position DESC LIMIT 1) AS last
    FROM type
    WHERE last IS NOT NULL
    ORDER BY type.name"""
SELECT_KEYS = "SELECT key FROM idempotency_key"
COUNT_KEYS = "SELECT count(*) FROM idempotency_key"
FIRST_KEYS = "SELECT key, first_position, last_position, digest FROM idempotency_key ORDER BY key LIMIT ?"
NEXT_KEYS = FIRST_KEYS.replace("ORDER BY", "WHERE key > ? ORDER BY")
SELECT_CREATED = "SELECT created FROM log"
SELECT_SCHEMA = "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
COMMENT = re.compile("--[^\n]*")
ODD_CONTENT = """
    SELECT position
    FROM event
    WHERE typeof(data) NOT IN ('text', 'blob') OR typeof(metadata) NOT IN ('text', 'blob')
    LIMIT ?"""
IMPOSSIBLE_VERSIONS = "SELECT position, version FROM event WHERE version NOT BETWEEN 1 AND 2147483647 LIMIT ?"
BEFORE_THE_FIRST = "SELECT position FROM event WHERE position < 1 LIMIT ?"
SELECT_TYPE_NAMES = "SELECT name FROM type"
COUNT_IDENTITIES = "SELECT count(*) FROM log"
STRAY_TAGS = """
    SELECT segment_tag.position, segment_tag.tag
    FROM segment_tag
    LEFT JOIN event ON event.position = segment_tag.position AND event.type = segment_tag.type
    WHERE event.position IS NULL
        OR instr(char(10) || event.tags || char(10), char(10) || segment_tag.tag || char(10)) = 0
    ORDER BY segment_tag.position
    LIMIT ?"""
# Every tag in the index is one of its event (checked before), so equal numbers mean equal sets.
MISSING_TAGS = """
    SELECT event.position
    FROM event
    LEFT JOIN (
        SELECT segment_tag.position, count(*) AS tags
        FROM segment
        CROSS JOIN segment_tag
            ON segment_tag.segment = segment.id AND segment_tag.position BETWEEN segment.first AND segment.last
        GROUP BY segment_tag.position
    ) AS indexed ON indexed.position = event.position
    WHERE coalesce(indexed.tags, 0) <> CASE event.tags
        WHEN '' THEN 0
        ELSE length(event.tags) - length(replace(event.tags, char(10), '')) + 1
    END
    ORDER BY event.position
    LIMIT ?"""
# A merge fills a new segment with the tags of whole segments of the level below.
STRAY_MERGES = """
    SELECT id, first, last
    FROM segment_merge AS merge
    WHERE id IN (SELECT id FROM segment UNION ALL SELECT id FROM segment_merged)
        OR NOT EXISTS (SELECT 1 FROM segment WHERE segment.first = merge.first AND segment.level = merge.level - 1)
        OR NOT EXISTS (SELECT 1 FROM segment WHERE segment.last = merge.last AND segment.level = merge.level - 1)
        OR first > last
    LIMIT ?"""
# Each segment begins right after the one before it, the first at 1. The newest has no end.
SEGMENT_GAPS = """
    SELECT first, last
    FROM (SELECT first, last, lag(last, 1, 0) OVER (ORDER BY first) AS before FROM segment)
    WHERE first <> before + 1 OR last < first
    LIMIT ?"""
SELECT_LAST = "SELECT max(last) FROM segment"
STRAY_SEGMENTS = """
    SELECT DISTINCT segment
    FROM segment_tag
    WHERE segment NOT IN (
        SELECT id FROM segment UNION ALL SELECT id FROM segment_merge UNION ALL SELECT id FROM segment_merged
    )
    LIMIT ?"""
STRAY_KEYS = """
    SELECT key, first_position, last_position
    FROM idempotency_key
    WHERE first_position < 1
        OR last_position < first_position
        OR last_position > (SELECT coalesce(max(position), 0) FROM event)
    LIMIT ?"""
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
        FROM idempotency_key
        WINDOW in_order AS (ORDER BY first_position, last_position)
    ) AS neighbours
    WHERE first_position <= other_last
        AND (SELECT time FROM event WHERE position >= other_first ORDER BY position LIMIT 1) <> (
            SELECT time
            FROM event
            WHERE position <= max(last_position, other_last)
            ORDER BY position DESC
            LIMIT 1
        )
    ORDER BY first_position
    LIMIT ?"""
SHORT_DIGESTS = """
    SELECT key, length(digest)
    FROM idempotency_key
    WHERE length(digest) BETWEEN 1 AND 3
    ORDER BY key
    LIMIT ?"""


def statistics(connection: sqlite3.Connection, file: LogFile) -> Statistics:
    """Return the statistics of the log, which it reads from the indexes."""
    types = [TypeCount(_shown(row[0]), *row[1:]) for row in connection.execute(COUNT_TYPES)]
    (keys,) = connection.execute(COUNT_KEYS).fetchone()
    (created,) = connection.execute(SELECT_CREATED).fetchone()
    pending = file.wal.stat().st_size if file.wal.exists() else 0
    shown = StoreFile(file.path, file.path.stat().st_size, pending, file.format, file.durable)
    return Statistics(tuple(types), from_microseconds(created), keys, shown)


def type_extents(connection: sqlite3.Connection, at_most: int) -> list[tuple[str, int, int, int]]:
    """Return each type, how many events it has (or `at_most`), and the positions of the first and the last."""
    rows = connection.execute(TYPE_EXTENTS, (at_most,)).fetchall()
    return [(str(name, "utf-8"), count, first, last) for name, count, first, last in rows if _is_text(name)]


def stored_keys(connection: sqlite3.Connection, *, beyond: StoredKey | None = None) -> list[StoredKey]:
    """Return the next page of idempotency keys, in their order: those after one, or the first."""
    if beyond is None:
        rows = connection.execute(FIRST_KEYS, (KEYS_PER_PAGE,))
    else:
        rows = connection.execute(NEXT_KEYS, (beyond.value, KEYS_PER_PAGE))
    found = rows.fetchall()
    for key, first, *_ in found:
        if not _is_text(key):
            raise StoreCorrupt("the file", f"the idempotency key {_shown(key)!r} of position {first} is not UTF-8")
    return [StoredKey(str(key, "utf-8"), first, last, digest) for key, first, last, digest in found]


def problems(connection: sqlite3.Connection) -> list[str]:
    """Return what is wrong with the file, the first few findings of each kind; if SQLite finds damage, only that."""
    found = _damage(connection)
    above = (_schema, _identity, _references, _content, _segments, _tags, _keys)
    return found or [problem for check in above for problem in check(connection)]


def _damage(connection: sqlite3.Connection) -> list[str]:
    try:
        lines = [
            str(line, "utf-8", "replace") for (line,) in connection.execute(f"PRAGMA integrity_check({MAX_SHOWN})")
        ]
    except sqlite3.DatabaseError as error:  # too damaged for a complete check
        lines = [str(error)]
    return [] if lines == ["ok"] else [f"SQLite's integrity check: {line}" for line in lines]


def _schema(connection: sqlite3.Connection) -> Iterator[str]:
    if connection.execute("PRAGMA user_version").fetchone() != (FORMAT,):
        return
    found = {_shown(name): _plain(_shown(sql or b"")) for name, sql in connection.execute(SELECT_SCHEMA)}
    blank = sqlite3.connect(":memory:")
    create_schema(blank)
    expected = {name: _plain(sql or "") for name, sql in blank.execute(SELECT_SCHEMA)}
    blank.close()
    for name, sql in sorted(expected.items()):
        if name not in found:
            yield f"the {name} is missing"
        elif found[name] != sql:
            yield f"the {name} is not as leftfold makes it"
    yield from (f"the {name} does not belong to leftfold" for name in sorted(found) if _is_strange(name, expected))


def _is_strange(name: str, expected: Mapping[str, str]) -> bool:
    return name.startswith("trigger ") and name not in expected


def _plain(sql: str) -> str:
    """Return a definition without its comments, extra spaces and quotes."""
    return " ".join(COMMENT.sub("", sql).split()).replace('"', "")


def _identity(connection: sqlite3.Connection) -> Iterator[str]:
    (found,) = connection.execute(COUNT_IDENTITIES).fetchone()
    if found != 1:
        yield f"the log has {found} identities"


def _found(connection: sqlite3.Connection, name: str, sql: str) -> Iterator[str]:
    for row in connection.execute(sql, (MAX_SHOWN,)):
        yield FINDINGS[name].format(*(_shown(value) if isinstance(value, bytes) else value for value in row))


def _references(connection: sqlite3.Connection) -> Iterator[str]:
    for _, position, *_ in connection.execute("PRAGMA foreign_key_check(event)").fetchmany(MAX_SHOWN):
        yield FINDINGS["unknown type"].format(position)


def _content(connection: sqlite3.Connection) -> Iterator[str]:
    for (name,) in connection.execute(SELECT_TYPE_NAMES):
        if not _is_text(name):
            yield f"the name of the type {_shown(name)!r} is not UTF-8"
    for (position,) in connection.execute(ODD_CONTENT, (MAX_SHOWN,)):
        yield f"the event at {position} has data or metadata that are neither text nor bytes"
    yield from _found(connection, "impossible version", IMPOSSIBLE_VERSIONS)
    for (position,) in connection.execute(BEFORE_THE_FIRST, (MAX_SHOWN,)):
        yield f"there is an event at {position}, before the first position"


def _segments(connection: sqlite3.Connection) -> Iterator[str]:
    for first, last in connection.execute(SEGMENT_GAPS, (MAX_SHOWN,)):
        yield f"the tag index has a segment from {first} to {last} that does not follow the one before"
    if connection.execute(SELECT_LAST).fetchone() != (LAST_POSITION,):
        yield "the tag index has no segment for new events"
    for merge, first, last in connection.execute(STRAY_MERGES, (MAX_SHOWN,)):
        yield f"the tag index has a merge {merge} from {first} to {last}, where there are no segments to merge"
    for (segment,) in connection.execute(STRAY_SEGMENTS, (MAX_SHOWN,)):
        yield f"the tag index has tags of a segment {segment} that it does not know"


def _tags(connection: sqlite3.Connection) -> Iterator[str]:
    yield from _found(connection, "stray tag", STRAY_TAGS)
    yield from _found(connection, "missing tags", MISSING_TAGS)


def _keys(connection: sqlite3.Connection) -> Iterator[str]:
    yield from _found(connection, "stray key", STRAY_KEYS)
    yield from _found(connection, "overlapping keys", OVERLAPPING_KEYS)
    yield from _found(connection, "short digest", SHORT_DIGESTS)
    odd = (_shown(key) for (key,) in connection.execute(SELECT_KEYS) if not _is_text(key))
    yield from (f"the idempotency key {key!r} is not UTF-8" for key in islice(odd, MAX_SHOWN))


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(text: bytes) -> str:
    """Return a text that may be damaged, with bytes that are not UTF-8 escaped."""
    return text.decode(errors="backslashreplace")
