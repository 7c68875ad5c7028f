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

SECONDS_BEFORE_PROGRESS = 2.0

T = TypeVar("T")


class ReplayProgress(msgspec.Struct, frozen=True):
    """How far a replay is: at position `position` of `upto`, after `seconds`."""

    model: str
    position: int
    upto: int
    seconds: float


OnProgress = Callable[[ReplayProgress], None]


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
        """Return the row of a key as it was, folded from the events of this key alone; None if there was none."""
        name = (definition, tuple(key))
        if name not in self._rows:
            self._rows[name] = self._folded(definition, tuple(key))
        return self._rows[name]

    def batches(self, definition: ReadModelDefinition) -> Iterator[Batch]:
        """Read every event that the model folds; report progress once it takes long."""
        begun = monotonic()
        for batch in self._read(definition.fold.all_criteria()):
            yield batch
            seconds = monotonic() - begun
            if self._on_progress is not None and seconds > SECONDS_BEFORE_PROGRESS:
                progress = ReplayProgress(definition.name, batch.through, self.position, seconds)
                self.loop.call_soon_threadsafe(self._on_progress, progress)

    def _folded(self, definition: ReadModelDefinition, key: Key) -> Any:
        definition.fold.start(key)  # raises for a key of the wrong length
        fold = BatchFold(definition, self.decode, history=False, skipped=self.skips.of(definition))
        rows = {key: Row(None, 0)}
        held = set[Key]()
        for batch in self._read(definition.fold.criteria(key)):
            found = fold.keyed(batch.events)
            keyed = [KeyedEvent(each.position, each.event, (key,)) for each in found if key in each.keys]
            held.update(parked.key for parked in fold.fold(keyed, rows, held).parked)
        return rows[key].state

    def _read(self, criteria: Any) -> Iterator[Batch]:
        """Read whole events: the tags of an event that cannot be decoded name its keys."""
        batches = self._store.read(self._registry.stored(criteria), upto=self.position)
        while (batch := self._on_loop(_next(batches))) is not None:
            yield batch

    def _on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


async def _next(batches: AsyncIterator[Batch]) -> Batch | None:
    return await anext(batches, None)
