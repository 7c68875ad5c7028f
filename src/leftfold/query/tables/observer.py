"""Looking at the checkpoints of read models that other processes fold."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc

from leftfold.errors import ModelsUnavailable, ReadModelChanged
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.tables.checkpoints import Checkpoint, find_all
from leftfold.query.tables.database import Database, is_trouble
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.own_tables import checkpoint, parked
from leftfold.query.tables.parking_lot import ParkingLot
from leftfold.query.tables.swap import NOT_TO_BE_ANSWERED_FROM, answers_until_swapped, is_due


class Seen(NamedTuple):
    """How far a model's table is, -1 where it cannot answer this code; and what speaks against following it."""

    position: int
    parked: int = 0
    problem: ReadModelChanged | None = None
    checkpoint: Checkpoint | None = None


NOTHING = Seen(NOT_TO_BE_ANSWERED_FROM)


class Observer:
    """Sees how far models are, with one small query; more is asked of a model only when it moved or was rebuilt."""

    def __init__(self, database: Database, tables: Mapping[ReadModelDefinition, ModelTable], log_id: str) -> None:
        self._database = database
        self._tables = tables
        self._log_id = log_id
        self._begun = False
        self._last: dict[ReadModelDefinition, tuple[Checkpoint, Seen]] = {}

    def __repr__(self) -> str:
        return f"<Observer of {self._database!r}>"

    def look(self, definitions: Collection[ReadModelDefinition]) -> dict[ReadModelDefinition, Seen]:
        """How far each of these models is; `ModelsUnavailable` when that cannot be seen."""
        try:
            return self._look(definitions)
        except exc.DBAPIError as error:
            if not is_trouble(error):
                raise
            raise ModelsUnavailable(str(self._database.url), str(error.orig)) from error

    def _look(self, definitions: Collection[ReadModelDefinition]) -> dict[ReadModelDefinition, Seen]:
        with self._database.reading() as connection:
            self._begun = self._begun or all(map(sa.inspect(connection).has_table, (checkpoint.name, parked.name)))
            found = find_all(connection) if self._begun else {}
            return {each: self._seen(connection, each, found.get(each.table)) for each in definitions}

    def _seen(self, connection: sa.Connection, definition: ReadModelDefinition, found: Checkpoint | None) -> Seen:
        if found is None:
            return NOTHING
        last = self._last.get(definition)
        if last is not None and last[0] == found:
            return last[1]
        if last is not None and last[0].build == found.build and last[1].position >= 0:
            seen = Seen(found.position, ParkingLot(definition).count(connection), checkpoint=found)
        else:
            seen = self._judge(connection, definition, found)
        self._last[definition] = found, seen
        return seen

    def _judge(self, connection: sa.Connection, definition: ReadModelDefinition, found: Checkpoint) -> Seen:
        table = self._tables[definition]
        there = all(sa.inspect(connection).has_table(name) for name in found.tables.split())
        if found.log_id != self._log_id or not there:
            return NOTHING
        try:
            due = is_due(found, table)
        except ReadModelChanged as changed:
            return Seen(found.position, problem=changed)
        if due and not answers_until_swapped(connection, table):
            return NOTHING
        return Seen(found.position, ParkingLot(definition).count(connection), checkpoint=found)
