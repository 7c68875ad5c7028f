"""The target of a read model with `concerns`: events may concern rows that are found among the present rows."""

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import sqlalchemy as sa

from leftfold.errors import UsageError
from leftfold.model.criteria import Criteria, CriteriaItem
from leftfold.model.record import StoredEvent
from leftfold.query.batch_fold import KeyedEvents, Row
from leftfold.query.concerns import NAME, keys_found
from leftfold.query.event_keys import THE_ONE_ROW, Key, text_of_key
from leftfold.query.folded_log import FoldedLog
from leftfold.query.parking import ParkedEvent, problem_of
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.read_models import ReadModels, name_of
from leftfold.query.tables.database import is_trouble
from leftfold.query.tables.keyed_target import KeyedTarget
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.read_snapshot import ReadSnapshot
from leftfold.query.tables.scans import ScanLog
from leftfold.query.tables.selection import Selection, is_text, tables_in
from leftfold.query.tables.target import Held

(EVERYTHING,) = THE_ONE_ROW
EVERYTHING_TEXT = text_of_key(EVERYTHING)
FIRST_BATCH_LIMIT = 2_000  # events in one transaction: each may change many rows


class FanOutTarget(KeyedTarget):
    """Folds events into the rows whose keys they carry, and into those that `concerns` finds.

    `concerns` reads the model's own rows as of just before its event, so what it finds depends on the log alone: in a
    rebuild, in a query of the past and in a batch of any size it finds the same. A row that could not be changed would
    not be found as what it is, so an event that cannot be applied stops the model, as it stops an SQL projection.
    """

    def __init__(
        self, tables: ModelTable, log: FoldedLog, dialect: sa.Dialect, *, history: bool, scans: ScanLog | None = None
    ) -> None:
        super().__init__(tables, log, dialect, history=history)
        definition = tables.definition
        self.batch_limit = FIRST_BATCH_LIMIT
        self._owner = definition.owner
        self._skipped = log.skipped_by(definition)
        self._scans = scans
        concerned = [event for event in definition.fold.events if issubclass(event.owner, tuple(definition.concerns))]
        stored = log.registry.stored(Criteria(CriteriaItem(event.wire for event in concerned)))
        self._types = frozenset[str]().union(*(item.types for item in stored.items))

    def apply(self, connection: sa.Connection, events: Sequence[StoredEvent], held: Held) -> list[ParkedEvent]:
        """Fold the events and write the rows that they change, before `concerns` is asked again."""
        rows: dict[Key, Row] = {}
        for keyed in self._keyed(connection, self._without_skipped(events)):
            known, missing = self._cache.among(key for key in keyed.keys if key not in rows)
            rows.update(known)
            rows.update(self._rows.load(connection, missing))
            self._rows.write(connection, self._fold.fold(keyed, rows, None))
        self._applied = rows
        return []

    def apply_alone(self, connection: sa.Connection, event: StoredEvent, held: Held) -> list[ParkedEvent]:
        """Do the same with one event; undo what it changed if it fails."""
        try:
            with connection.begin_nested():
                self.apply(connection, [event], held)
        except Exception as problem:
            if is_trouble(problem):
                raise
            return [ParkedEvent(EVERYTHING, event.position, problem_of(problem), problem)]
        return []

    def _without_skipped(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        left_out = {at for at, keys in self._skipped.items() if EVERYTHING_TEXT in keys}
        return [event for event in events if event.position not in left_out] if left_out else events

    def _keyed(self, connection: sa.Connection, events: Sequence[StoredEvent]) -> Iterator[KeyedEvents]:
        """Yield the events up to each one that `concerns` takes, and that one with the rows that it concerns then."""
        start = 0
        for at, event in enumerate(events):
            if event.type in self._types:
                if at > start:
                    yield self._fold.keyed(events[start:at])
                yield self._with_found(connection, event)
                start = at + 1
        if start < len(events):
            yield self._fold.keyed(events[start:] if start else events)

    def _with_found(self, connection: sa.Connection, stored: StoredEvent) -> KeyedEvents:
        carried = self._fold.keyed([stored])
        event: Any = carried.events[0] if carried.events else self._fold.decoded(stored)
        definition = self.tables.definition
        snapshot = OwnRows(connection, {definition: self._table}, stored.position - 1, self._scans)
        found = getattr(self._owner, NAME)(event, OwnModels({self._owner: definition}, snapshot))
        keys = list(dict.fromkeys([*carried.keys, *keys_found(self._owner, definition.fold, found)]))
        count = len(keys)
        records = () if self._fold.data_only else [stored] * count
        return KeyedEvents([stored.position] * count, [event] * count, keys, records)


class OwnModels(ReadModels):
    """The rows of one read model, as its `concerns` reads them."""

    def _definition(self, model: type | str) -> ReadModelDefinition:
        if model not in self._definitions:
            [own] = self._definitions.values()
            _not_its_own(own, name_of(model))
        return super()._definition(model)


class OwnRows(ReadSnapshot):
    """The rows of one read model within the transaction that changes them: all events before one are applied."""

    def __init__(
        self,
        connection: sa.Connection,
        models: dict[ReadModelDefinition, ModelTable],
        position: int,
        scans: ScanLog | None,
    ) -> None:
        super().__init__(connection, models, {}, {})
        self._position = position
        self._scans = scans

    def source(self, definition: ReadModelDefinition) -> sa.FromClause:
        """Return the table that is written."""
        return self._models[definition].current

    def position(self, definition: ReadModelDefinition) -> int:
        """Return the position before that of the event."""
        return self._position

    def search(self, definition: ReadModelDefinition) -> Selection:
        """Refuse to search: a query of the past has no full-text index, and would find nothing."""
        _not_its_own(definition, "a full-text search")

    def _prepare(self, statement: sa.Executable) -> None:
        for definition, table in self._models.items():
            if is_text(statement):
                _not_its_own(definition, "plain SQL text")
            others = tables_in(statement) - {table.current}
            if others:
                _not_its_own(definition, ", ".join(map(str, others)))


def _not_its_own(definition: ReadModelDefinition, found: str) -> NoReturn:
    raise UsageError(
        f"{definition.name}.{NAME} asked for {found}",
        f"rows of {definition.name}: those of other models are of other positions, so a rebuild would find others",
        f"keep what it looks for in a field of {definition.name}, or declare a Reference and join when you query",
    )
