"""Reading a log in SQLite: batch by batch, over the connection of a reading thread."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice, pairwise
from typing import Any

from leftfold.errors import StoreCorrupt
from leftfold.model.criteria import Criteria
from leftfold.model.record import Form, StoredColumns, StoredEvent
from leftfold.store.contract import Batch
from leftfold.store.inspection import TypeSample, type_samples_from
from leftfold.store.reading import MAX_BYTES_PER_BATCH, ReadCursor, ReadOptions, TypeNames
from leftfold.store.sqlite.inspection import type_extents
from leftfold.store.sqlite.select import IndexScan, at_positions, scans_for, select, select_columns

ROWS_PER_FETCH = 100
LARGE_ROWS_PER_FETCH = 8
SMALL_FETCH_BYTES = 262_144  # if a fetch was smaller, the next one takes more rows

SELECT_HEAD = "SELECT max(position) FROM event"
COUNT_OF_TYPE = "SELECT count(*) FROM event WHERE type = ? AND position > ? AND position <= ?"
SELECT_MENTIONS = (
    "SELECT position FROM event WHERE position > ? AND position <= ? AND instr(metadata, ?) ORDER BY position"
)
SELECT_TYPES = "SELECT id, name FROM type"
INSERT_TYPE = "INSERT INTO type (name) VALUES (?)"


class Types(TypeNames):
    """The names of the event types in an SQLite log, and their ids."""

    def ids_among(self, connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
        """Return ids that include those of these names that the log has."""
        if self.lacks(names):
            self._load(connection)
        return self.ids

    def ids_for(self, connection: sqlite3.Connection, names: set[str]) -> dict[str, int]:
        """Return ids that include those of all these names; insert new names in the running transaction.

        Ids of new names are not kept here, because the transaction may fail. They are loaded once it has committed.
        """
        known = self.ids_among(connection, names)
        missing = sorted(names - known.keys())
        if not missing:
            return known
        connection.executemany(INSERT_TYPE, [(name,) for name in missing])
        return {name: id for id, name in _named(connection.execute(SELECT_TYPES))}

    def stored(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
        """Return the events of whole rows."""
        self._check(connection, {row[1] for row in rows})
        try:
            tags = {text: _tags_of(text) for text in {row[6] for row in rows}}
        except UnicodeDecodeError as error:
            raise StoreCorrupt("the file", _odd_tags(rows)) from error
        return self.events(rows, tags)

    def stored_data(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
        """Return the events of rows that were read with `data_only`."""
        self._check(connection, {row[1] for row in rows})
        return self.events_with_data(rows)

    def stored_columns(
        self, connection: sqlite3.Connection, sound: int, positions: bytes, forms: bytes, lines: bytes
    ) -> StoredColumns | None:
        """Return the events of a row of columns; None if it does not have one line of data for each event."""
        count = lines.count(b"\n") + 1
        if not sound or positions.count(b",") != count - 1:
            return None
        first, last = int(positions.partition(b",")[0]), int(positions.rpartition(b",")[2])
        has_gaps = last - first != count - 1
        return StoredColumns(
            list(map(int, positions.split(b","))) if has_gaps else range(first, last + 1),
            self._forms_in(connection, forms, count),
            lines,
        )

    def _forms_in(self, connection: sqlite3.Connection, forms: bytes, count: int) -> list[Form]:
        """Return the type and version of each event; mostly all have the same."""
        first = forms.partition(b",")[0]
        packed = [first] * count
        if b",".join(packed) != forms:
            packed = forms.split(b",")
        numbers = {each: divmod(int(each), 2**32) for each in set(packed)}
        self._check(connection, {type for type, _ in numbers.values()})
        known = {each: (self.names[type], version) for each, (type, version) in numbers.items()}
        return [known[each] for each in packed] if len(known) > 1 else [known[first]] * count

    def _check(self, connection: sqlite3.Connection, types: set[int]) -> None:
        if types - self.names.keys():
            self._load(connection)
            for type in types - self.names.keys():
                raise StoreCorrupt("the file", f"it has events of a type {type} without a name that is text")

    def _load(self, connection: sqlite3.Connection) -> None:
        self.note(dict(_named(connection.execute(SELECT_TYPES))))


class Reading:
    """A read that is under way, and what is left of it."""

    def __init__(self, types: Types, criteria: Criteria, options: ReadOptions) -> None:
        self._types = types
        self._criteria = criteria
        self._cursor = ReadCursor(options)
        self._scans: Sequence[IndexScan] | None = None
        self._begun = False
        self._in_columns = options.data_only  # as long as its events are small, and each is one line

    @property
    def complete(self) -> bool:
        """Return whether nothing is left to read."""
        return self._cursor.complete

    def next_batch(self, connection: sqlite3.Connection) -> Batch:
        """Read the next batch, in a reading thread."""
        scans = self._scans if self._scans is not None else self._begin(connection)
        options, size = self._cursor.options, self._cursor.size
        if self._in_columns and self._begun:
            columns = self._next_columns(connection, scans)
            if columns is not None:
                return Batch(columns, self._cursor.advance(columns, cut=len(columns) == size))
            self._in_columns = False
        elif self._in_columns:
            size = min(size, ROWS_PER_FETCH)  # most reads find no more
        self._begun = True
        found = select(connection, scans, options._replace(limit=size))
        stored = self._types.stored_data if options.data_only else self._types.stored
        events: list[StoredEvent] = []
        bytes_left, rows_at_once = MAX_BYTES_PER_BATCH, LARGE_ROWS_PER_FETCH
        while bytes_left >= 0 and (rows := list(islice(found, rows_at_once))):
            part = stored(connection, rows)
            events += part
            fetched = _size_of(part)
            bytes_left -= fetched
            rows_at_once = ROWS_PER_FETCH if fetched < SMALL_FETCH_BYTES else LARGE_ROWS_PER_FETCH
        self._in_columns = self._in_columns and rows_at_once == ROWS_PER_FETCH
        return Batch(events, self._cursor.advance(events, cut=bytes_left < 0 or len(events) == size))

    def _next_columns(self, connection: sqlite3.Connection, scans: Sequence[IndexScan]) -> StoredColumns | None:
        """Read the next batch as columns; None if it has too many bytes for that, or has to be looked at by rows."""
        options = self._cursor.options._replace(limit=self._cursor.size)
        most = connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES_PER_BATCH)
        try:
            row = select_columns(connection, scans, options)
        except sqlite3.DataError:
            return None
        finally:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, most)
        return None if row is None else self._types.stored_columns(connection, *row)

    def _begin(self, connection: sqlite3.Connection) -> Sequence[IndexScan]:
        """Take the head before the events, so that no later event is part of the read."""
        self._cursor.end_at(head_of(connection))
        names = [name for item in self._criteria.items for name in item.types]
        ids = self._types.ids_among(connection, names)
        self._scans = scans_for(self._criteria, ids, connection, after=self._cursor.options.after)
        return self._scans


def head_of(connection: sqlite3.Connection) -> int:
    """Return the position of the newest event, or 0."""
    (position,) = connection.execute(SELECT_HEAD).fetchone()
    return position or 0


def type_samples(connection: sqlite3.Connection, types: Types, at_most: int) -> list[TypeSample]:
    """Return the oldest and the newest event of every type."""
    extents = type_extents(connection, at_most)
    positions = {position for _, _, first, last in extents for position in (first, last)}
    return type_samples_from(extents, types.stored(connection, at_positions(connection, sorted(positions))))


def counts(connection: sqlite3.Connection, types: Types, names: Sequence[str], edges: Sequence[int]) -> list[int]:
    """Return how many events of these types are between neighbouring edges, by the index of types."""
    known = types.ids_among(connection, names)
    ids = {known[name] for name in names if name in known}

    def count(*bounds: int) -> int:
        return sum(connection.execute(COUNT_OF_TYPE, (id, *bounds)).fetchone()[0] for id in ids)

    return [count(after, upto) for after, upto in pairwise(edges)]


def mentions(connection: sqlite3.Connection, types: Types, text: bytes, after: int, upto: int) -> list[StoredEvent]:
    """Return the events between two positions whose metadata contains the text."""
    found = connection.execute(SELECT_MENTIONS, (after, upto, text)).fetchall()
    return types.stored(connection, at_positions(connection, [position for (position,) in found]))


def _size_of(events: Sequence[StoredEvent]) -> int:
    try:
        return sum(len(event.data) + len(event.metadata) for event in events)
    except TypeError as error:
        odd = next(each for each in events if {type(each.data), type(each.metadata)} != {bytes})
        problem = f"the event at {odd.position} has data or metadata that are neither text nor bytes"
        raise StoreCorrupt("the file", problem) from error


def _named(rows: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, str]]:
    """Yield the types whose names are text. A type with another name counts as one without a name."""
    for id, name in rows:
        with suppress(UnicodeDecodeError):
            yield id, str(name, "utf-8")


def _odd_tags(rows: Sequence[tuple[Any, ...]]) -> str:
    for row in rows:
        try:
            _tags_of(row[6])
        except UnicodeDecodeError:
            return f"the event at {row[0]} has tags that are not UTF-8"
    raise AssertionError("all tags are text")


def _tags_of(text: bytes) -> tuple[str, ...]:
    return tuple(str(text, "utf-8").split("\n")) if text else ()
