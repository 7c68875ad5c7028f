"""The log up to a position, read from a query's thread."""

from collections.abc import AsyncIterator, Iterator, Sequence
from time import monotonic
from typing import Any

from leftfold.model.criteria import Criteria
from leftfold.query.batch_fold import BatchFold, KeyedEvent, Row
from leftfold.query.event_keys import Key
from leftfold.query.folded_log import FoldedLog, ReplayProgress
from leftfold.query.read_model import ReadModelDefinition
from leftfold.store.contract import Batch

SECONDS_BEFORE_PROGRESS = 2.0


class PastReplay:
    """Folds read models up to `position` for one query.

    The query runs in a thread; the log is read on the event loop, which stays free meanwhile.
    """

    def __init__(self, log: FoldedLog, position: int) -> None:
        self.log = log
        self.position = position
        self._rows: dict[tuple[ReadModelDefinition, Key], Any] = {}

    def row(self, definition: ReadModelDefinition, key: Sequence[Any]) -> Any:
        """Return the row of a key as it was, folded from the events of this key alone; None if there was none."""
        name = (definition, tuple(key))
        if name not in self._rows:
            self._rows[name] = self._folded(definition, tuple(key))
        return self._rows[name]

    def batches(self, definition: ReadModelDefinition) -> Iterator[Batch]:
        """Read every event that the model folds; report progress once it takes long."""
        begun, report = monotonic(), self.log.on_progress
        for batch in self._read(definition.fold.all_criteria()):
            yield batch
            seconds = monotonic() - begun
            if report is not None and self.log.loop is not None and seconds > SECONDS_BEFORE_PROGRESS:
                progress = ReplayProgress(definition.name, batch.through, self.position, seconds)
                self.log.loop.call_soon_threadsafe(report, progress)

    def _folded(self, definition: ReadModelDefinition, key: Key) -> Any:
        definition.fold.start(key)  # raises for a key of the wrong length
        skipped = self.log.skipped_by(definition)
        fold = BatchFold(definition, self.log.decode, history=False, skipped=skipped)
        rows = {key: Row(None, 0)}
        held = set[Key]()
        for batch in self._read(definition.fold.criteria(key)):
            found = fold.keyed(batch.events)
            keyed = [KeyedEvent(each.position, each.event, (key,)) for each in found if key in each.keys]
            held.update(parked.key for parked in fold.fold(keyed, rows, held).parked)
        return rows[key].state

    def _read(self, criteria: Criteria) -> Iterator[Batch]:
        """Read whole events: the tags of an event that cannot be decoded name its keys."""
        batches = self.log.store.read(self.log.registry.stored(criteria), upto=self.position)
        while (batch := self.log.wait_for(_next(batches))) is not None:
            yield batch


async def _next(batches: AsyncIterator[Batch]) -> Batch | None:
    return await anext(batches, None)
