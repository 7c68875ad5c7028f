"""The log up to a position, read from a query's thread."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from time import monotonic
from typing import Any, TypeVar

import msgspec

from leftfold.model.registry import Registry
from leftfold.query.batch_fold import BatchFold, KeyedEvent, Row
from leftfold.query.event_keys import Key
from leftfold.query.parking import Skips
from leftfold.query.read_model import ReadModelDefinition
from leftfold.store.contract import Batch, EventStore

SILENT_SECONDS = 2.0

T = TypeVar("T")


class Progress(msgspec.Struct, frozen=True):
    """How far a replay has come: position `position` of `upto`, after `seconds`."""

    model: str
    position: int
    upto: int
    seconds: float


OnProgress = Callable[[Progress], None]


class PastReplay:
    """Folds read models up to `position` for one query.

    The query runs in a thread; the log is read on the event loop, which stays free meanwhile.
    """

    def __init__(
        self,
        store: EventStore,
        registry: Registry,
        position: int,
        loop: asyncio.AbstractEventLoop,
        on_progress: OnProgress | None,
        skips: Skips,
    ) -> None:
        self.position = position
        self.decode = registry.decode
        self._store = store
        self._registry = registry
        self.loop = loop
        self._on_progress = on_progress
        self.skips = skips
        self._rows: dict[tuple[ReadModelDefinition, Key], Any] = {}

    def row(self, definition: ReadModelDefinition, key: Sequence[Any]) -> Any:
        """The row of a key as it was, folded from the events of this key alone; None when there was none."""
        name = (definition, tuple(key))
        if name not in self._rows:
            self._rows[name] = self._folded(definition, tuple(key))
        return self._rows[name]

    def batches(self, definition: ReadModelDefinition) -> Iterator[Batch]:
        """Every event that the model folds; tells of the progress once it takes long."""
        begun = monotonic()
        for batch in self._read(definition.fold.all_criteria()):
            yield batch
            seconds = monotonic() - begun
            if self._on_progress is not None and seconds > SILENT_SECONDS:
                progress = Progress(definition.name, batch.through, self.position, seconds)
                self.loop.call_soon_threadsafe(self._on_progress, progress)

    def _folded(self, definition: ReadModelDefinition, key: Key) -> Any:
        definition.fold.start(key)  # refuses a key of the wrong length
        fold = BatchFold(definition, self.decode, history=False, skipped=self.skips.of(definition))
        rows = {key: Row(None, 0)}
        held = set[Key]()
        for batch in self._read(definition.fold.criteria(key)):
            concerns = [
                KeyedEvent(concern.position, concern.event, (key,))
                for concern in fold.concerns(batch.events)
                if key in concern.keys
            ]
            held.update(parking.key for parking in fold.fold(concerns, rows, held).parked)
        return rows[key].state

    def _read(self, criteria: Any) -> Iterator[Batch]:
        """Whole events: the tags name the keys of one whose data cannot be read."""
        batches = self._store.read(self._registry.stored(criteria), upto=self.position)
        while (batch := self._on_loop(_next(batches))) is not None:
            yield batch

    def _on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


async def _next(batches: AsyncIterator[Batch]) -> Batch | None:
    return await anext(batches, None)
