"""The fold of a batch, in memory: rows and events in, changed rows out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from leftfold.model.record import StoredEvent
from leftfold.model.sizes import size_of
from leftfold.query.event_keys import Key, key_of, key_reader, text_of_key
from leftfold.query.parking import NOTHING_HELD, ParkedEvent, UndecodableEvent, problem_of
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.shard import Owns

CACHED_ROWS = 20_000
CACHED_BYTES = 67_108_864
ROWS_PER_MEASURED_ROW = 16


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row as the fold sees it: its state, or None when there is none, and the position of its last change."""

    state: Any
    since: int


class RowCache:
    """Keeps the rows used last: one to two times `size` rows, of about one to two times `most_bytes`.

    It has two generations instead of an order of use: a row found in the old one moves to the young one, and when the
    young one is full it becomes the old one.
    """

    def __init__(self, size: int = CACHED_ROWS, most_bytes: int = CACHED_BYTES) -> None:
        self._size = size
        self._most_bytes = most_bytes
        self._bytes = 0
        self._young: dict[Key, Row] = {}
        self._old: dict[Key, Row] = {}

    def __repr__(self) -> str:
        return f"<RowCache {len(self._young)} young, {len(self._old)} old>"

    def among(self, keys: Iterable[Key]) -> tuple[dict[Key, Row], list[Key]]:
        """Return the cached rows, and the keys of those that are not cached."""
        young, old = self._young, self._old
        found = {key: young.get(key) or old.get(key) for key in keys}
        known = {key: row for key, row in found.items() if row is not None}
        return known, [] if len(known) == len(found) else [key for key in found if key not in known]

    def keep(self, rows: Mapping[Key, Row]) -> None:
        """Cache rows that are committed."""
        self._young.update(rows)
        measured = islice(rows.values(), 0, None, ROWS_PER_MEASURED_ROW)
        self._bytes += ROWS_PER_MEASURED_ROW * sum(size_of(row.state) for row in measured)
        if len(self._young) > self._size or self._bytes > self._most_bytes:
            self._old, self._young, self._bytes = self._young, {}, 0

    def clear(self) -> None:
        """Forget everything: something else may have written the rows."""
        self._young, self._old, self._bytes = {}, {}, 0


Decode = Callable[[StoredEvent], Any]
Skipped = Mapping[int, AbstractSet[str]]
"""The keys, as text, that leave out the event at a position."""
NOTHING_SKIPPED: Skipped = {}


class KeyedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event at its position, with the keys of the rows that it concerns, and its record if rows need it."""

    position: int
    event: Any
    keys: Sequence[Key]
    stored: StoredEvent | None = None

    def of(self, keys: Sequence[Key]) -> "KeyedEvent":
        """Return the event with some of its keys."""
        return KeyedEvent(self.position, self.event, keys, self.stored)


class Version(msgspec.Struct, frozen=True, gc=False):
    """A row as it was from one position until another; `until` is None for the present one."""

    state: Any
    since: int
    until: int | None


class Changes(NamedTuple):
    """What a batch changes in a table: rows to put, keys to delete, versions to keep, events to park."""

    present: list[Any]
    gone: list[Key]
    versions: list[Version]
    parked: list[ParkedEvent]


class BatchFold:
    """Folds the events of a read model, row by row; with `owns`, only the rows of the keys that it accepts."""

    def __init__(
        self,
        definition: ReadModelDefinition,
        decode: Decode,
        *,
        history: bool,
        skipped: Skipped = NOTHING_SKIPPED,
        owns: Owns | None = None,
    ) -> None:
        fold = definition.fold
        self._owns = owns
        self._definition = fold
        self._skipped = skipped
        self._owner = definition.owner
        self._history = history
        self._decode = decode
        self._evolve = fold.evolve
        self._start = fold.start
        self._change = fold.change
        self._key_of = key_of(fold)
        self._readers = {event.owner: key_reader(fold, event) for event in fold.events}

    def keyed(self, events: Iterable[StoredEvent]) -> list[KeyedEvent]:
        """Decode the events and find the keys of their rows; leave out types that the model does not fold.

        An event that cannot be decoded is an `UndecodableEvent`; its problem is raised if its tags name no keys.
        """
        decode, readers, needs_record = self._decode, self._readers, self._change is not None
        found: list[KeyedEvent] = []
        for stored in events:
            try:
                event: object = decode(stored)
            except Exception as problem:  # noqa: BLE001 - whatever an upcaster raises
                found.append(self._undecodable(stored, problem))
                continue
            reader = readers.get(type(event))
            if reader is not None:
                found.append(KeyedEvent(stored.position, event, reader(event), stored if needs_record else None))
        return found if self._owns is None else list(_owned(found, self._owns))

    def fold(
        self, events: Iterable[KeyedEvent], rows: dict[Key, Row], held: AbstractSet[Key] | None = NOTHING_HELD
    ) -> Changes:
        """Fold into `rows`, which has every key of the events, and return what to write.

        The events of a key that is `held`, or that one of them holds up, are parked instead. With None nothing is
        parked: errors are raised.
        """
        changed: dict[Key, Row] = {}
        versions: list[Version] = []
        parked: list[ParkedEvent] = []
        stuck = set(held or ())
        for keyed in events:
            for key in keyed.keys:
                if stuck and key in stuck:
                    parked.append(ParkedEvent(key, keyed.position, None))
                    continue
                row = rows[key]
                try:
                    state = self._next(key, row.state, keyed)
                except Exception as problem:
                    if held is None:
                        raise
                    stuck.add(key)
                    parked.append(ParkedEvent(key, keyed.position, problem_of(problem), problem))
                    continue
                if state is row.state:
                    continue
                if self._history and row.state is not None:
                    versions.append(Version(row.state, row.since, keyed.position))
                rows[key] = changed[key] = Row(state, keyed.position)
        return self._changes(changed, versions, parked)

    def _undecodable(self, stored: StoredEvent, problem: Exception) -> KeyedEvent:
        keys = self._definition.keys_by_tags(stored.tags)
        if keys is None:
            raise problem
        return KeyedEvent(stored.position, UndecodableEvent(problem), keys)

    def _next(self, key: Key, state: Any, keyed: KeyedEvent) -> Any:
        event = keyed.event
        if self._skipped and text_of_key(key) in self._skipped.get(keyed.position, ()):
            return state
        if type(event) is UndecodableEvent:
            raise event.problem
        after = self._evolve(self._start(key) if state is None else state, event)
        if after is state or after is None:
            return after
        if type(after) is not self._owner:
            raise TypeError(f"evolve returned {after!r} for {type(event).__name__}")
        if self._key_of(after) != key:
            raise ValueError(f"evolve changed the key {key!r} to {self._key_of(after)!r} for {type(event).__name__}")
        return after if keyed.stored is None or self._change is None else self._change.noted(after, keyed.stored)

    def _changes(self, changed: Mapping[Key, Row], versions: list[Version], parked: list[ParkedEvent]) -> Changes:
        present = [row for row in changed.values() if row.state is not None]
        gone = [key for key, row in changed.items() if row.state is None]
        if self._history:
            versions.extend(Version(row.state, row.since, None) for row in present)
        return Changes([row.state for row in present], gone, versions, parked)


def _owned(events: Iterable[KeyedEvent], owns: Owns) -> Iterator[KeyedEvent]:
    """Keep only the keys that are owned, and the events that have any."""
    for each in events:
        keys = [key for key in each.keys if owns(key)]
        if keys:
            yield each.of(keys)
