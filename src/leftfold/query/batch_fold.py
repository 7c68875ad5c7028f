"""The fold of a batch, in memory: rows and events in, changed rows out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress, islice, repeat
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple

import msgspec

from leftfold.model.context import event_context
from leftfold.model.record import StoredColumns, StoredEvent
from leftfold.model.registry import Registry
from leftfold.model.sizes import size_of
from leftfold.query.event_keys import Key, key_of, key_reader, one_value, text_of_key
from leftfold.query.parking import NOTHING_HELD, ParkedEvent, UndecodableEvent, problem_of
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.shard import Owns

CACHED_ROWS = 20_000
CACHED_BYTES = 67_108_864
ROWS_PER_MEASURED_ROW = 16
MOST_MEASURED_ROWS = 100  # of a batch


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
        step = max(ROWS_PER_MEASURED_ROW, len(rows) // MOST_MEASURED_ROWS)
        measured = islice(rows.values(), 0, None, step)
        self._bytes += step * sum(size_of(row.state) for row in measured)
        if len(self._young) > self._size or self._bytes > self._most_bytes:
            self._old, self._young, self._bytes = self._young, {}, 0

    def clear(self) -> None:
        """Forget everything: something else may have written the rows."""
        self._young, self._old, self._bytes = {}, {}, 0


Skipped = Mapping[int, AbstractSet[str]]
"""The keys, as text, that leave out the event at a position."""
NOTHING_SKIPPED: Skipped = {}


class KeyedEvents(NamedTuple):
    """Events with their positions and the keys of their rows, column by column; with their records if rows need them.

    An event that concerns several rows occurs once for each of them.
    """

    positions: Sequence[int]
    events: Sequence[Any]
    keys: Sequence[Key]
    records: Sequence[StoredEvent] = ()

    def of_row(self, key: Key) -> "KeyedEvents":
        """Return the events that concern one row."""
        return self.only(key.__eq__)

    def only(self, wanted: Owns) -> "KeyedEvents":
        """Return the events that concern wanted rows."""
        chosen = [wanted(key) for key in self.keys]
        return KeyedEvents(
            list(compress(self.positions, chosen)),
            list(compress(self.events, chosen)),
            list(compress(self.keys, chosen)),
            list(compress(self.records, chosen)),
        )

    def one_by_one(self) -> Iterator["KeyedEvents"]:
        """Yield each event for each of its rows alone."""
        for at in range(len(self.keys)):
            one = slice(at, at + 1)
            yield KeyedEvents(self.positions[one], self.events[one], self.keys[one], self.records[one])


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
        registry: Registry,
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
        self._registry = registry
        self._evolve: Callable[..., Any] = fold.evolve
        self._takes_context = fold.takes_context
        self.data_only = fold.data_only
        self._decodes_columns = fold.data_only and not registry.needs_records
        self._start = fold.start
        self._change = fold.change
        self._key_of = key_of(fold)
        self._one_part = len(fold.key) == 1
        self._part_of = attrgetter(fold.key[0].name) if self._one_part else self._key_of
        self._readers: dict[type, Callable[[Any], Sequence[Key]]] = {UndecodableEvent: lambda event: event.keys}
        self._readers |= {event.owner: key_reader(fold, event) for event in fold.events}
        found = {event.owner: one_value(fold, event) for event in fold.events}
        self._one_value = {owner: get for owner, get in found.items() if get is not None}

    def keyed(self, events: Sequence[StoredEvent]) -> KeyedEvents:
        """Decode the events and find the keys of their rows; leave out types that the model does not fold.

        An event that cannot be decoded is an `UndecodableEvent`; its problem is raised if its tags name no keys.
        """
        found = None
        if isinstance(events, StoredColumns) and self._decodes_columns:
            found = self._keyed_columns(events)
        if found is None:
            found = self._with_keys(map(self.decoded, events), events)
        return found if self._owns is None else found.only(self._owns)

    def _keyed_columns(self, columns: StoredColumns) -> KeyedEvents | None:
        """Do that for many events at once; None if one of them cannot be decoded."""
        events = self._registry.decode_columns(columns)
        values = None if events is None else self._key_values(events)
        if events is None or values is None:
            return None if events is None else self._with_keys(events, columns)
        return KeyedEvents(columns.positions, events, list(zip(values, strict=True)))

    def decoded(self, stored: StoredEvent) -> Any:
        """Return the event of a record; an `UndecodableEvent` if it cannot be decoded and its tags name its keys."""
        try:
            return self._registry.decode(stored)
        except Exception as problem:
            keys = self._definition.keys_by_tags(stored.tags)
            if keys is None:
                raise
            return UndecodableEvent(problem, keys)

    def _key_values(self, events: Sequence[object]) -> list[Any] | None:
        """Return the key of each event if all are of one type that has it in one field, and have one; else None."""
        types = set(map(type, events))
        get = next((get for owner, get in self._one_value.items() if types == {owner}), None)
        values = None if get is None else list(map(get, events))
        return None if values is None or NoneType in set(map(type, values)) else values

    def _with_keys(self, events: Iterable[object], records: Sequence[StoredEvent]) -> KeyedEvents:
        readers = self._readers
        found = [
            (stored.position, event, key, stored)
            for stored, event in zip(records, events, strict=True)
            if (reader := readers.get(type(event))) is not None
            for key in reader(event)
        ]
        if not found:
            return KeyedEvents((), (), ())
        positions, decoded, keys, stored = zip(*found, strict=True)
        return KeyedEvents(positions, decoded, keys, () if self.data_only else stored)

    def fold(self, events: KeyedEvents, rows: dict[Key, Row], held: AbstractSet[Key] | None = NOTHING_HELD) -> Changes:
        """Fold into `rows`, which has every key of the events, and return what to write.

        The events of a key that is `held`, or that one of them holds up, are parked instead. With None nothing is
        parked: errors are raised.
        """
        changed: dict[Key, Row] = {}
        versions: list[Version] = []
        parked: list[ParkedEvent] = []
        stuck = set(held or ())
        evolve, start, owner, part_of, one_part = self._evolve, self._start, self._owner, self._part_of, self._one_part
        plain = not self._skipped and UndecodableEvent not in set(map(type, events.events))
        for position, event, key, record in zip(*events[:3], events.records or repeat(None), strict=False):
            if stuck and key in stuck:
                parked.append(ParkedEvent(key, position, None))
                continue
            row = rows[key]
            before = state = row.state
            try:
                if plain or not self._is_left_out(key, position, event):
                    state = start(key) if before is None else before
                    state = evolve(state, event) if record is None else self._evolved(before, state, event, record)
                    if type(state) is not owner or ((part_of(state),) if one_part else part_of(state)) != key:
                        self._check_state(key, state, event)
            except Exception as problem:
                if held is None:
                    raise
                stuck.add(key)
                parked.append(ParkedEvent(key, position, problem_of(problem), problem))
                continue
            if state is before:
                continue
            if self._history and before is not None:
                versions.append(Version(before, row.since, position))
            rows[key] = changed[key] = Row(state, position)
        return self._changes(changed, versions, parked)

    def _evolved(self, before: Any, state: Any, event: object, record: StoredEvent) -> Any:
        """Return the state after an event, for a model that needs its record: for the context, or for who and when."""
        context = (event_context(record),) if self._takes_context else ()
        after = self._evolve(state, event, *context)
        if self._change is None or after is before or type(after) is not self._owner:
            return after
        return self._change.noted(after, record)

    def _is_left_out(self, key: Key, position: int, event: object) -> bool:
        """Return whether an event is skipped for a row; raise the problem of one that could not be decoded."""
        if self._skipped and text_of_key(key) in self._skipped.get(position, ()):
            return True
        if isinstance(event, UndecodableEvent):
            raise event.problem
        return False

    def _check_state(self, key: Key, state: Any, event: object) -> None:
        """Raise for what evolve may not return: None is fine, as is a state with the same key."""
        if state is None:
            return
        if type(state) is not self._owner:
            raise TypeError(f"evolve returned {state!r} for {type(event).__name__}")
        raise ValueError(f"evolve changed the key {key!r} to {self._key_of(state)!r} for {type(event).__name__}")

    def _changes(self, changed: Mapping[Key, Row], versions: list[Version], parked: list[ParkedEvent]) -> Changes:
        present = [row for row in changed.values() if row.state is not None]
        gone = [key for key, row in changed.items() if row.state is None]
        if self._history:
            versions.extend(Version(row.state, row.since, None) for row in present)
        return Changes([row.state for row in present], gone, versions, parked)
