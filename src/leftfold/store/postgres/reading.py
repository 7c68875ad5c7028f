"""Reading a log in PostgreSQL: batch by batch in a thread, or with one probe from the event loop."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leftfold.model.criteria import Criteria
from leftfold.model.record import StoredEvent
from leftfold.store.contract import Batch
from leftfold.store.postgres.driver import Connection, rows_in_parts, run
from leftfold.store.postgres.select import (
    MAX_PROBED_EVENTS,
    IndexScan,
    Statement,
    bytes_of,
    count_ways,
    has_choice,
    probe,
    scans_for,
    select_events,
)
from leftfold.store.reading import MAX_BYTES_PER_BATCH, ReadCursor, ReadOptions, TypeNames


class Types(TypeNames):
    """The names of the event types in a PostgreSQL log, and their ids."""

    def __init__(self, sql: str) -> None:
        super().__init__()
        self._sql = sql

    def knows(self, rows: Iterable[Sequence[Any]]) -> bool:
        """Return whether the types of all these rows are known."""
        return self.names.keys() >= {row[1] for row in rows}

    def stored(self, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
        """Return the events of whole rows."""
        return self.events(rows, {text: tuple(text.split("\n")) if text else () for text in {row[6] for row in rows}})

    def load(self, connection: Connection) -> int:
        """Load all names, and return the head of the same snapshot: events of other types come after it."""
        rows = run(connection, self._sql)
        self.note({id: name for _, id, name in rows if id is not None})
        return int(rows[0][0])


class Reading:
    """A read that is under way, and what is left of it."""

    def __init__(self, place: Mapping[str, str], types: Types, criteria: Criteria, options: ReadOptions) -> None:
        self._place = place
        self._types = types
        self._criteria = criteria
        self._cursor = ReadCursor(options)
        self._scans: Sequence[IndexScan] | None = None
        self._probed = False
        self.head: int | None = None  # when the read began, once that is known

    @property
    def complete(self) -> bool:
        """Return whether nothing is left to read."""
        return self._cursor.complete

    @property
    def data_only(self) -> bool:
        """Return whether the read has `data_only`."""
        return self._cursor.options.data_only

    @property
    def probe(self) -> Statement | None:
        """Return the query to try first, if any: for all events of one tag, because they may be few."""
        options, items = self._cursor.options, self._criteria.items
        if self._probed or options.reverse or options.limit == 0 or len(items) != 1 or len(items[0].tags) != 1:
            return None
        [tag] = items[0].tags
        sql, parameters = probe(tag, options)
        return Statement(sql.format(**self._place), parameters)

    def answer_of_probe(self, rows: Sequence[tuple[Any, ...]], connection: Connection | None = None) -> Batch | None:
        """Return the whole answer if the probe has found it: the events are few, and their types can be named."""
        if len(rows) > MAX_PROBED_EVENTS:
            self._probed = True
            return None
        found = [row[1:] for row in rows if row[1] is not None]
        if connection is None and not self._types.knows(found):
            return None
        self._end_at(rows[0][0])
        types, limit = self._criteria.items[0].types, self._cursor.options.limit
        events = [event for event in self._stored(found, connection) if not types or event.type in types][:limit]
        return Batch(events, self._cursor.advance(events, cut=len(events) == limit))

    def next_batch(self, connection: Connection) -> Batch:
        """Read the next batch, in a reading thread."""
        if self._scans is None and (look := self.probe) is not None:
            few = self.answer_of_probe(run(connection, *look), connection)
            if few is not None:
                return few
        scans = self._scans if self._scans is not None else self._begin(connection)
        if not scans:
            return Batch([], self._cursor.advance([], cut=False))
        options, size = self._cursor.options, self._cursor.size
        sql, parameters = select_events(scans, options, size)
        return self._batch(connection, sql.format(**self._place), parameters, size)

    def _end_at(self, head: int) -> None:
        self.head = head
        self._cursor.end_at(head)

    def _stored(self, rows: Sequence[tuple[Any, ...]], connection: Connection | None) -> Sequence[StoredEvent]:
        types = self._types
        if connection is not None and not types.knows(rows):
            types.load(connection)
        if not self._cursor.options.data_only:
            return types.stored(rows)
        columns = types.columns(rows) if len(rows) > MAX_PROBED_EVENTS else None
        return types.events_with_data(rows) if columns is None else columns

    def _batch(self, connection: Connection, sql: str, parameters: Sequence[Any], size: int) -> Batch:
        rows: list[tuple[Any, ...]] = []
        bytes_left = MAX_BYTES_PER_BATCH
        parts = rows_in_parts(connection, sql, parameters)
        for part in parts:
            rows += part
            bytes_left -= sum(map(bytes_of, part))
            if bytes_left < 0:
                break
        parts.close()
        events = self._stored(rows, connection)
        return Batch(events, self._cursor.advance(events, cut=bytes_left < 0 or len(events) == size))

    def _begin(self, connection: Connection) -> Sequence[IndexScan]:
        """Take the head before the events, or in the same snapshot, so that no later event is part of the read.

        The head also comes before the ids of types that may not be in the log yet: an event of such a type that commits
        in between must be after the head, or the read would miss it.
        """
        names = [name for item in self._criteria.items for name in item.types]
        head = self._types.load(connection) if self._types.lacks(names) else None
        ids = self._types.ids
        counted: Sequence[Sequence[int]] = []
        if head is None or has_choice(self._criteria):
            sql, parameters = count_ways(self._criteria, ids, self._cursor.options.after)
            [(now, *counted)] = run(connection, sql.format(**self._place), parameters)
            head = now if head is None else head
        self._end_at(head)
        self._scans = scans_for(self._criteria, ids, counted)
        return self._scans
