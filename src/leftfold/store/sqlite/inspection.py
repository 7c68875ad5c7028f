"""Looking into the file of an SQLite log: its figures, and whether tables, indexes and tags fit together."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from itertools import islice

from leftfold.errors import StoreCorrupt
from leftfold.model.clock import from_microseconds
from leftfold.store.inspection import Statistics, StoredKey, StoreFile, TypeCount
from leftfold.store.sqlite.file import LogFile
from leftfold.store.sqlite.format import FORMAT, create_schema
from leftfold.store.sqlite.tags import END

SHOWN = 10
KEYS_AT_ONCE = 4_000

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
# Every tag of the index is one of its event's: where the numbers are equal too, so are the sets.
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
# Where each segment begins after the one before has ended, the first at 1, and the newest has no end.
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


def statistics(connection: sqlite3.Connection, file: LogFile) -> Statistics:
    """The figures of the log, by its indexes."""
    types = [TypeCount(_shown(row[0]), *row[1:]) for row in connection.execute(COUNT_TYPES)]
    (keys,) = connection.execute(COUNT_KEYS).fetchone()
    (created,) = connection.execute(SELECT_CREATED).fetchone()
    pending = file.wal.stat().st_size if file.wal.exists() else 0
    shown = StoreFile(file.path, file.path.stat().st_size, pending, file.format, file.durable)
    return Statistics(tuple(types), from_microseconds(created), keys, shown)


def type_extents(connection: sqlite3.Connection, at_most: int) -> list[tuple[str, int, int, int]]:
    """Each type, how many events it has (or `at_most`), and the positions of the first and the last: by the index."""
    rows = connection.execute(TYPE_EXTENTS, (at_most,)).fetchall()
    return [(str(name, "utf-8"), count, first, last) for name, count, first, last in rows if _is_text(name)]


def stored_keys(connection: sqlite3.Connection, *, beyond: StoredKey | None = None) -> list[StoredKey]:
    """Some idempotency keys in their order: those that come behind one, or the first."""
    if beyond is None:
        rows = connection.execute(FIRST_KEYS, (KEYS_AT_ONCE,))
    else:
        rows = connection.execute(NEXT_KEYS, (beyond.value, KEYS_AT_ONCE))
    found = rows.fetchall()
    for key, first, *_ in found:
        if not _is_text(key):
            raise StoreCorrupt("the file", f"the idempotency key {_shown(key)!r} of position {first} is not UTF-8")
    return [StoredKey(str(key, "utf-8"), first, last, digest) for key, first, last, digest in found]


def problems(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with the file; of each kind the first few. What is damaged below is not looked at from above."""
    found = _damage(connection)
    above = (_schema, _identity, _references, _content, _segments, _tags, _keys)
    return found or [problem for check in above for problem in check(connection)]


def _damage(connection: sqlite3.Connection) -> list[str]:
    try:
        lines = [str(line, "utf-8", "replace") for (line,) in connection.execute(f"PRAGMA integrity_check({SHOWN})")]
    except sqlite3.DatabaseError as error:  # too damaged to be checked to the end
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
    yield from (f"the {name} is none of leftfold's" for name in sorted(found) if _is_strange(name, expected))


def _is_strange(name: str, expected: Mapping[str, str]) -> bool:
    return name.startswith("trigger ") and name not in expected


def _plain(sql: str) -> str:
    """What a definition says, whatever its comments and spaces."""
    return " ".join(COMMENT.sub("", sql).split()).replace('"', "")


def _identity(connection: sqlite3.Connection) -> Iterator[str]:
    (found,) = connection.execute(COUNT_IDENTITIES).fetchone()
    if found != 1:
        yield f"the log has {found} identities"


def _references(connection: sqlite3.Connection) -> Iterator[str]:
    for _, position, *_ in connection.execute("PRAGMA foreign_key_check(event)").fetchmany(SHOWN):
        yield f"the event at {position} has a type that the log does not name"


def _content(connection: sqlite3.Connection) -> Iterator[str]:
    for (name,) in connection.execute(SELECT_TYPE_NAMES):
        if not _is_text(name):
            yield f"the name of the type {_shown(name)!r} is not UTF-8"
    for (position,) in connection.execute(ODD_CONTENT, (SHOWN,)):
        yield f"the event at {position} has data or metadata that are neither text nor bytes"
    for (position,) in connection.execute(BEFORE_THE_FIRST, (SHOWN,)):
        yield f"there is an event at {position}, before the first position"


def _segments(connection: sqlite3.Connection) -> Iterator[str]:
    for first, last in connection.execute(SEGMENT_GAPS, (SHOWN,)):
        yield f"the tag index has a segment from {first} to {last} that does not follow the one before"
    if connection.execute(SELECT_LAST).fetchone() != (END,):
        yield "the tag index has no segment for new events"
    for (segment,) in connection.execute(STRAY_SEGMENTS, (SHOWN,)):
        yield f"the tag index has tags of a segment {segment} that it does not know"


def _tags(connection: sqlite3.Connection) -> Iterator[str]:
    for position, tag in connection.execute(STRAY_TAGS, (SHOWN,)):
        yield f"the tag index has {_shown(tag)!r} at {position}, the event there has not"
    for (position,) in connection.execute(MISSING_TAGS, (SHOWN,)):
        yield f"the tag index does not have the tags of the event at {position}"


def _keys(connection: sqlite3.Connection) -> Iterator[str]:
    for key, first, last in connection.execute(STRAY_KEYS, (SHOWN,)):
        yield f"the idempotency key {_shown(key)!r} names positions {first} to {last}, not all in the log"
    odd = (_shown(key) for (key,) in connection.execute(SELECT_KEYS) if not _is_text(key))
    yield from (f"the idempotency key {key!r} is not UTF-8" for key in islice(odd, SHOWN))


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(text: bytes) -> str:
    """A text that may be damaged, with what is not UTF-8 escaped."""
    return text.decode(errors="backslashreplace")
