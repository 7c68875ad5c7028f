"""Skips: events that someone decided to leave out of a row, recorded in the log itself."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from leftfold.criteria import Criteria, Item
from leftfold.events import Event
from leftfold.query.event_keys import text_of_key
from leftfold.query.read_model import ReadModelDefinition
from leftfold.store.contract import EventStore, StoredEvent
from leftfold.tags import Tag

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
