"""The fold of a batch, in memory: rows and events in, changed rows out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from leftfold.model.record import StoredEvent
from leftfold.model.sizes import size_of
from leftfold.query.event_keys import Key, key_of, key_reader, text_of_key
from leftfold.query.parking import NOTHING_HELD, Parking, UndecodableEvent, in_words
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.shard import Owns

ROWS_KEPT = 20_000
BYTES_KEPT = 67_108_864
MEASURED = 16  # one row of so many


class Row(msgspec.Struct, frozen=True, gc=False):
    """A row as the fold sees it: its state, or None when there is none, and the position since which it is so."""

    state: Any
    since: int


class RowCache:
    """Keeps the rows used last: between one and two times `size` of them, of about `most_bytes` to twice as many.

    Two generations instead of an order of use: what is found among the old is moved to the young, and when the young
    are too many they become the old.
    """

    def __init__(self, size: int = ROWS_KEPT, most_bytes: int = BYTES_KEPT) -> None:
        self._size = size
        self._most_bytes = most_bytes
        self._bytes = 0
        self._young: dict[Key, Row] = {}
        self._old: dict[Key, Row] = {}

    def __repr__(self) -> str:
        return f"<RowCache {len(self._young)} young, {len(self._old)} old>"

    def among(self, keys: Iterable[Key]) -> tuple[dict[Key, Row], list[Key]]:
        """The rows that are known, and the keys of those that are not."""
        young, old = self._young, self._old
        found = {key: young.get(key) or old.get(key) for key in keys}
        known = {key: row for key, row in found.items() if row is not None}
        return known, [] if len(known) == len(found) else [key for key in found if key not in known]

    def keep(self, rows: Mapping[Key, Row]) -> None:
        """Take rows that are committed."""
        self._young.update(rows)
        self._bytes += MEASURED * sum(size_of(row.state) for row in islice(rows.values(), 0, None, MEASURED))
        if len(self._young) > self._size or self._bytes > self._most_bytes:
            self._old, self._young, self._bytes = self._young, {}, 0

    def clear(self) -> None:
        """Forget everything: someone else has written."""
        self._young, self._old, self._bytes = {}, {}, 0


Decode = Callable[[StoredEvent], Any]
NOTHING_SKIPPED: Mapping[int, AbstractSet[str]] = {}


class KeyedEvent(msgspec.Struct, frozen=True, gc=False):
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
    """What a batch makes of a table: rows to put in, keys to take out, versions to keep, events that have to wait."""

    present: list[Any]
    gone: list[Key]
    versions: list[Version]
    parked: list[Parking]


class BatchFold:
    """Folds the events of a read model, row by row; `skipped` has the keys, as text, that an event is left out for.

    With `owns` only the rows of those keys are folded.
    """

    def __init__(
        self,
        definition: ReadModelDefinition,
        decode: Decode,
        *,
        history: bool,
        skipped: Mapping[int, AbstractSet[str]] = NOTHING_SKIPPED,
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
        self._key_of = key_of(fold)
        self._readers = {event.owner: key_reader(fold, event) for event in fold.events}

    def concerns(self, events: Iterable[StoredEvent]) -> list[KeyedEvent]:
        """The decoded events with the keys of their rows; events of types that the model does not fold are left out.

        One that cannot be decoded is `Unread`; its problem is raised when not even its keys can be known.
        """
        decode, readers = self._decode, self._readers
        found: list[KeyedEvent] = []
        for stored in events:
            try:
                event: object = decode(stored)
            except Exception as problem:  # noqa: BLE001 - whatever an upcaster raises
                found.append(self._unread(stored, problem))
                continue
            reader = readers.get(type(event))
            if reader is not None:
                found.append(KeyedEvent(stored.position, event, reader(event)))
        return found if self._owns is None else list(_owned(found, self._owns))

    def fold(
        self, concerns: Iterable[KeyedEvent], rows: dict[Key, Row], held: AbstractSet[Key] | None = NOTHING_HELD
    ) -> Changes:
        """Fold into `rows`, which has every concerned key, and say what is to be written.

        The events of a key that is `held`, or that one of them holds up, are not folded but parked. With None nothing
        is parked: what goes wrong is raised.
        """
        changed: dict[Key, Row] = {}
        versions: list[Version] = []
        parked: list[Parking] = []
        stuck = set(held or ())
        for concern in concerns:
            for key in concern.keys:
                if stuck and key in stuck:
                    parked.append(Parking(key, concern.position, None))
                    continue
                row = rows[key]
                try:
                    state = self._next(key, row.state, concern)
                except Exception as problem:
                    if held is None:
                        raise
                    stuck.add(key)
                    parked.append(Parking(key, concern.position, in_words(problem), problem))
                    continue
                if state is row.state:
                    continue
                if self._history and row.state is not None:
                    versions.append(Version(row.state, row.since, concern.position))
                rows[key] = changed[key] = Row(state, concern.position)
        return self._changes(changed, versions, parked)

    def _unread(self, stored: StoredEvent, problem: Exception) -> KeyedEvent:
        keys = self._definition.keys_by_tags(stored.tags)
        if keys is None:
            raise problem
        return KeyedEvent(stored.position, UndecodableEvent(problem), keys)

    def _next(self, key: Key, state: Any, concern: KeyedEvent) -> Any:
        event = concern.event
        if self._skipped and text_of_key(key) in self._skipped.get(concern.position, ()):
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
        return after

    def _changes(self, changed: Mapping[Key, Row], versions: list[Version], parked: list[Parking]) -> Changes:
        present = [row for row in changed.values() if row.state is not None]
        gone = [key for key, row in changed.items() if row.state is None]
        if self._history:
            versions.extend(Version(row.state, row.since, None) for row in present)
        return Changes([row.state for row in present], gone, versions, parked)


def _owned(concerns: Iterable[KeyedEvent], owns: Owns) -> Iterator[KeyedEvent]:
    """What is left of the concerns when only these keys are folded."""
    for concern in concerns:
        keys = [key for key in concern.keys if owns(key)]
        if keys:
            yield KeyedEvent(concern.position, concern.event, keys)
