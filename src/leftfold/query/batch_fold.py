"""The fold of a batch, in memory: rows and events in, changed rows out."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from leftfold.query.event_keys import Key, key_of, key_reader
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.row_cache import Row
from leftfold.store.contract import StoredEvent

Decode = Callable[[StoredEvent], Any]


class Concern(msgspec.Struct, frozen=True, gc=False):
    """An event at its position, and the rows that it concerns."""

    position: int
    event: Any
    keys: Sequence[Key]


class Version(msgspec.Struct, frozen=True, gc=False):
    """A row as it was from one position until another; `until` is None while it is."""

    state: Any
    since: int
    until: int | None


class Changes(NamedTuple):
    """What a batch makes of a table: rows to put in, keys to take out, versions to keep."""

    present: list[Any]
    gone: list[Key]
    versions: list[Version]


class BatchFold:
    """Folds the events of a read model, row by row."""

    def __init__(self, definition: ReadModelDefinition, decode: Decode, *, history: bool) -> None:
        fold = definition.fold
        self._owner = definition.owner
        self._history = history
        self._decode = decode
        self._evolve = fold.evolve
        self._start = fold.start
        self._key_of = key_of(fold)
        self._readers = {event.owner: key_reader(fold, event) for event in fold.events}

    def concerns(self, events: Iterable[StoredEvent]) -> list[Concern]:
        """The decoded events with the keys of their rows; events of types that the model does not fold are left out."""
        decode, readers = self._decode, self._readers
        found: list[Concern] = []
        for stored in events:
            event: object = decode(stored)
            reader = readers.get(type(event))
            if reader is not None:
                found.append(Concern(stored.position, event, reader(event)))
        return found

    def fold(self, concerns: Iterable[Concern], rows: dict[Key, Row]) -> Changes:
        """Fold into `rows`, which has every concerned key, and say what is to be written."""
        changed: dict[Key, None] = {}
        versions: list[Version] = []
        for concern in concerns:
            for key in concern.keys:
                row = rows[key]
                state = self._next(key, row.state, concern.event)
                if state is row.state:
                    continue
                if self._history and row.state is not None:
                    versions.append(Version(row.state, row.since, concern.position))
                rows[key] = Row(state, concern.position)
                changed[key] = None
        return self._changes(changed, rows, versions)

    def _next(self, key: Key, state: Any, event: Any) -> Any:
        after = self._evolve(self._start(key) if state is None else state, event)
        if after is state or after is None:
            return after
        if type(after) is not self._owner:
            raise TypeError(f"evolve returned {after!r} for {type(event).__name__}")
        if self._key_of(after) != key:
            raise ValueError(f"evolve changed the key {key!r} to {self._key_of(after)!r} for {type(event).__name__}")
        return after

    def _changes(self, changed: Iterable[Key], rows: dict[Key, Row], versions: list[Version]) -> Changes:
        present: list[Any] = []
        gone: list[Key] = []
        for key in changed:
            row = rows[key]
            if row.state is None:
                gone.append(key)
                continue
            present.append(row.state)
            if self._history:
                versions.append(Version(row.state, row.since, None))
        return Changes(present, gone, versions)
