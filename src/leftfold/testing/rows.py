"""Read models in memory: the rows that events make, folded and stored as the live app does it."""

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from leftfold.errors import ProjectionFailed
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.query import ReadModelDefinition, ReadModels
from leftfold.query.batch_fold import BatchFold, Row
from leftfold.query.event_keys import key_of
from leftfold.query.folded_log import FoldedLog
from leftfold.query.models_url import IN_MEMORY
from leftfold.store.contract import Batch
from leftfold.store.identity import BEGINNING
from leftfold.store.memory import MemoryStore

T = TypeVar("T")
Key = tuple[Any, ...]
NO_ROW = Row(None, 0)


class Table:
    """A read model's rows by their keys, with the history that its definition asks for."""

    def __init__(self, definition: ReadModelDefinition, registry: Registry, log: Iterable[StoredEvent] = ()) -> None:
        self.definition = definition
        self._fold = BatchFold(definition, registry, history=definition.history)
        self._registry = registry
        self._log: list[StoredEvent] = []
        self._rows: dict[Key, Row] = {}
        self.fold(log)

    def __repr__(self) -> str:
        return f"<Table {self.name} of {len(self.rows)} rows>"

    @property
    def name(self) -> str:
        """The read model's name."""
        return self.definition.name

    @property
    def rows(self) -> dict[Key, Any]:
        """The rows as they are now; those of a model with `concerns` come from a database."""
        if self.definition.concerns:
            return self._stored_rows()
        return {key: row.state for key, row in self._rows.items() if row.state is not None}

    def fold(self, events: Iterable[StoredEvent]) -> None:
        """Fold one batch."""
        if self.definition.concerns:
            self._log += events
            return
        keyed = self._fold.keyed(list(events))
        for key in keyed.keys:
            self._rows.setdefault(key, NO_ROW)
        self._fold.fold(keyed, self._rows, None)

    def _stored_rows(self) -> dict[Key, Any]:
        owner, key = self.definition.owner, key_of(self.definition.fold)
        with Tables([self.definition], self._registry) as tables:
            for event in self._log:
                tables.fold([event])
            return {key(row): row for row in tables.ask(lambda models: models.select(owner))}


def in_batches(events: Sequence[StoredEvent], size: int) -> Iterable[Sequence[StoredEvent]]:
    """Return the events in pieces of this size."""
    return (events[start : start + size] for start in range(0, len(events), size))


class UnstoredLog(FoldedLog):
    """A log whose events are in no store, and have no identities."""

    def identify(self, position: int) -> str:
        """Return the identity of no event."""
        return BEGINNING


class Tables:
    """Read models as tables of a database in memory, written and read as the live app does. Needs SQLAlchemy."""

    def __init__(self, definitions: Iterable[ReadModelDefinition], registry: Registry) -> None:
        from leftfold.query.tables.models_database import ModelsDatabase

        self._definitions = {definition.handle: definition for definition in definitions}
        self._database = ModelsDatabase(IN_MEMORY, self._definitions.values(), UnstoredLog(MemoryStore(), registry))
        self._database.checkpoints()
        self._projectors = self._database.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def fold(self, events: Sequence[StoredEvent]) -> None:
        """Fold one batch into every table."""
        if events:
            for projector in self._projectors.values():
                projector.step(Batch(events, events[-1].position))
            self._check_parked()

    def _check_parked(self) -> None:
        for stored in (stored for stored in self._database.parked.values() if stored.count):
            for parked in self._database.read(stored.all)[:1]:
                raise ProjectionFailed(parked.model, parked.position, parked.problem)

    def ask(self, function: Callable[[ReadModels], T]) -> T:
        """Return what a function reads from the tables."""
        reached = {shard.definition: projector.position for shard, projector in self._projectors.items()}
        with self._database.present(reached, 0) as snapshot:
            return function(ReadModels(self._definitions, snapshot))
