"""Reading a log in PostgreSQL: batch by batch over a thread's connection, or by one first look from the event loop."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leftfold.model.criteria import Criteria
from leftfold.model.record import StoredEvent
from leftfold.store.contract import Batch
from leftfold.store.postgres.driver import Connection, rows_in_parts, run
from leftfold.store.postgres.select import (
    FEW,
    IndexScan,
    Statement,
    arms_of,
    bytes_of,
    choices,
    first_look,
    leaves_a_choice,
    selection,
)
from leftfold.store.reading import BYTES_A_BATCH, ReadCursor, ReadOptions


class Types:
    """The type names of the log and their ids; grows as the log does."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def lacks(self, names: Iterable[str]) -> bool:
        """Whether some of these names have not been seen in the log so far."""
        return any(name not in self._ids for name in names)

    @property
    def ids(self) -> Mapping[str, int]:
        """The ids of the names that have been seen."""
        return self._ids

    def knows(self, rows: Iterable[tuple[Any, ...]]) -> bool:
        """Whether the types of all these rows have been seen."""
        return self._names.keys() >= {row[1] for row in rows}

    def stored(self, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
        """The events of whole rows."""
        names = self._names
        tags = {text: tuple(text.split("\n")) if text else () for text in {row[6] for row in rows}}
        return [
            StoredEvent(position, microseconds, names[type], version, data, metadata, tags[text])
            for position, type, version, data, microseconds, metadata, text in rows
        ]

    def stored_data(self, rows: Sequence[tuple[Any, ...]]) -> list[StoredEvent]:
        """The events of rows that have their data only."""
        names = self._names
        return [StoredEvent(position, 0, names[type], version, data, b"", ()) for position, type, version, data in rows]

    def load(self, connection: Connection) -> int:
        """See all that there are, and return the head of the same moment: events of other types lie after it."""
        rows = run(connection, self._sql)
        names = {id: name for _, id, name in rows if id is not None}
        self._names.update(names)  # only ever more: another thread may have loaded newer ones meanwhile
        self._ids.update((name, id) for id, name in names.items())
        return int(rows[0][0])


class Reading:
    """One read under way: what it still has to look at."""

    def __init__(self, place: Mapping[str, str], types: Types, criteria: Criteria, chosen: ReadOptions) -> None:
        self._place = place
        self._types = types
        self._criteria = criteria
        self._stretch = ReadCursor(chosen)
        self._arms: Sequence[IndexScan] | None = None
        self._looked = False
        self.head: int | None = None  # as it was when reading began, once that is known

    @property
    def complete(self) -> bool:
        """Whether there is nothing left to read."""
        return self._stretch.complete

    @property
    def data_only(self) -> bool:
        """Whether the events have their data alone."""
        return self._stretch.chosen.data_only

    @property
    def first_look(self) -> Statement | None:
        """What to ask before anything else, if anything: all events of one tag, since they may be few."""
        chosen, items = self._stretch.chosen, self._criteria.items
        if self._looked or chosen.reverse or chosen.limit == 0 or len(items) != 1 or len(items[0].tags) != 1:
            return None
        [tag] = items[0].tags
        sql, parameters = first_look(tag, chosen)
        return Statement(sql.format(**self._place), parameters)

    def seen(self, rows: Sequence[tuple[Any, ...]], connection: Connection | None = None) -> Batch | None:
        """The whole answer, if the first look has found it: if the events are few, and their types known or learnt."""
        if len(rows) > FEW:
            self._looked = True
            return None
        found = [row[1:] for row in rows if row[1] is not None]
        if connection is None and not self._types.knows(found):
            return None
        self._end_at(rows[0][0])
        types, limit = self._criteria.items[0].types, self._stretch.chosen.limit
        events = [event for event in self._stored(found, connection) if not types or event.type in types][:limit]
        return Batch(events, self._stretch.advance(events, cut=len(events) == limit))

    def next_batch(self, connection: Connection) -> Batch:
        """Read the next batch; in a reading thread."""
        if self._arms is None and (look := self.first_look) is not None:
            few = self.seen(run(connection, *look), connection)
            if few is not None:
                return few
        arms = self._arms if self._arms is not None else self._begin(connection)
        if not arms:
            return Batch([], self._stretch.advance([], cut=False))
        chosen, size = self._stretch.chosen, self._stretch.size
        sql, parameters = selection(arms, chosen, size)
        return self._batch(connection, sql.format(**self._place), parameters, size)

    def _end_at(self, head: int) -> None:
        self.head = head
        self._stretch.end_at(head)

    def _stored(self, rows: Sequence[tuple[Any, ...]], connection: Connection | None) -> list[StoredEvent]:
        types = self._types
        if connection is not None and not types.knows(rows):
            types.load(connection)
        return types.stored_data(rows) if self._stretch.chosen.data_only else types.stored(rows)

    def _batch(self, connection: Connection, sql: str, parameters: Sequence[Any], size: int) -> Batch:
        rows: list[tuple[Any, ...]] = []
        room = BYTES_A_BATCH
        parts = rows_in_parts(connection, sql, parameters)
        for part in parts:
            rows += part
            room -= sum(map(bytes_of, part))
            if room < 0:
                break
        parts.close()
        events = self._stored(rows, connection)
        return Batch(events, self._stretch.advance(events, cut=room < 0 or len(events) == size))

    def _begin(self, connection: Connection) -> Sequence[IndexScan]:
        """Take the head first, or in the same moment, then look at events up to it.

        That goes for types too which may not be in the log yet: an event of such a type that is committed in between
        must lie after the head, or it would be passed over.
        """
        names = [name for item in self._criteria.items for name in item.types]
        head = self._types.load(connection) if self._types.lacks(names) else None
        ids = self._types.ids
        counted: Sequence[Sequence[int]] = []
        if head is None or leaves_a_choice(self._criteria):
            sql, parameters = choices(self._criteria, ids, self._stretch.chosen.after)
            [(now, *counted)] = run(connection, sql.format(**self._place), parameters)
            head = now if head is None else head
        self._end_at(head)
        self._arms = arms_of(self._criteria, ids, counted)
        return self._arms
