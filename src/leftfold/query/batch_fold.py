"""The fold of a batch, in memory: rows and events in, changed rows out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import msgspec

from leftfold.query.event_keys import Key, key_of, key_reader, text_of_key
from leftfold.query.parking import NOTHING_HELD, Parking, Unread, in_words
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.row_cache import Row
from leftfold.query.shard import Owns
from leftfold.store.contract import StoredEvent

Decode = Callable[[StoredEvent], Any]
NOTHING_SKIPPED: Mapping[int, AbstractSet[str]] = {}


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

    def concerns(self, events: Iterable[StoredEvent]) -> list[Concern]:
        """The decoded events with the keys of their rows; events of types that the model does not fold are left out.

        One that cannot be decoded is `Unread`; its problem is raised when not even its keys can be known.
        """
        decode, readers = self._decode, self._readers
        found: list[Concern] = []
        for stored in events:
            try:
                event: object = decode(stored)
            except Exception as problem:  # noqa: BLE001 - whatever an upcaster raises
                found.append(self._unread(stored, problem))
                continue
            reader = readers.get(type(event))
            if reader is not None:
                found.append(Concern(stored.position, event, reader(event)))
        return found if self._owns is None else list(_owned(found, self._owns))

    def fold(
        self, concerns: Iterable[Concern], rows: dict[Key, Row], held: AbstractSet[Key] | None = NOTHING_HELD
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

    def _unread(self, stored: StoredEvent, problem: Exception) -> Concern:
        keys = self._definition.keys_by_tags(stored.tags)
        if keys is None:
            raise problem
        return Concern(stored.position, Unread(problem), keys)

    def _next(self, key: Key, state: Any, concern: Concern) -> Any:
        event = concern.event
        if self._skipped and text_of_key(key) in self._skipped.get(concern.position, ()):
            return state
        if type(event) is Unread:
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


def _owned(concerns: Iterable[Concern], owns: Owns) -> Iterator[Concern]:
    """What is left of the concerns when only these keys are folded."""
    for concern in concerns:
        keys = [key for key in concern.keys if owns(key)]
        if keys:
            yield Concern(concern.position, concern.event, keys)
