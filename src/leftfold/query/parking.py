"""Parking: an event that cannot be folded holds up its key, and the key's later events queue behind it."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any

import msgspec

from leftfold.model import failure as trouble
from leftfold.model.criteria import Criteria, Item
from leftfold.model.message import Event
from leftfold.model.record import StoredEvent
from leftfold.model.tag import Tag
from leftfold.query.event_keys import Key, text_of_key
from leftfold.query.read_model import ReadModelDefinition
from leftfold.store.contract import EventStore

NOTHING_HELD: AbstractSet[Key] = frozenset()


class UndecodableEvent(msgspec.Struct, frozen=True, gc=False):
    """Stands for an event that could not be decoded; its keys are known by its tags."""

    problem: Exception


class Parking(msgspec.Struct, frozen=True):
    """An event that a key waits with: the one that could not be folded, or, without a problem, one behind it.

    `error` is the problem as it was raised, for its traceback.
    """

    key: Key
    position: int
    problem: str | None
    error: BaseException | None = None


class ParkedKey(msgspec.Struct, frozen=True):
    """A key of a read model that is held up by the event at `position`; `queued` events wait, that one included."""

    model: str
    table: str
    key: Key
    position: int
    problem: str
    queued: int


def in_words(problem: BaseException) -> str:
    """What went wrong, on one line where the error is one of ours or of Python."""
    original = getattr(problem, "orig", None) or problem  # SQLAlchemy tells the statement too, with all its rows
    primary = getattr(getattr(original, "diag", None), "message_primary", None)  # PostgreSQL's, without details
    return f"{type(original).__name__}: {primary}" if primary else trouble.in_words(original)


class Held:
    """The keys that are held up in one replay: it parks for itself, and writes nothing of it."""

    def __init__(self) -> None:
        self.keys: set[Key] = set()

    def held(self, connection: Any, keys: AbstractSet[Key]) -> AbstractSet[Key]:
        """Those of the keys that are held up."""
        return self.keys & keys

    def park(self, connection: Any, parkings: Sequence[Parking]) -> None:
        """Hold these keys up from now on."""
        self.keys.update(parking.key for parking in parkings)


ReadModelTable = Annotated[str, Tag("leftfold.read_model")]


class EventSkipped(Event, wire="leftfold.event_skipped"):
    """The event at `position` is left out of the row of `key`, in every rebuild too; its metadata says who and why."""

    table: ReadModelTable
    key: list[Any]
    position: int
    problem: str


SKIPS = Criteria(Item([vars(EventSkipped)["__wire__"]]))


class Skips:
    """The skips of a log, by read model."""

    def __init__(self) -> None:
        self._found: dict[str, dict[int, set[str]]] = {}
        self._through = 0

    def __repr__(self) -> str:
        return f"<Skips of {len(self._found)} read models through {self._through}>"

    async def read(self, store: EventStore, decode: Callable[[StoredEvent], Any]) -> None:
        """Take in those that the log has got since."""
        async for batch in store.read(SKIPS, after=self._through):
            for stored in batch.events:
                event: EventSkipped = decode(stored)
                skipped = self._found.setdefault(event.table, {})
                skipped.setdefault(event.position, set()).add(text_of_key(event.key))
            self._through = batch.through

    def of(self, definition: ReadModelDefinition) -> Mapping[int, set[str]]:
        """What is skipped in one read model: keys by position, as text. It grows when more are read."""
        return self._found.setdefault(definition.table, {})
