"""Looking at the checkpoints of read models that other processes fold."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc

from leftfold.errors import ModelsUnavailable, ReadModelChanged, ReadModelError, TableTaken
from leftfold.query.progress import NOT_TO_BE_ANSWERED_FROM
from leftfold.query.read_model import OnChange, ReadModelDefinition
from leftfold.query.shard import Shard
from leftfold.query.tables.checkpoints import Checkpoint, find_all, together
from leftfold.query.tables.database import Database, is_trouble
from leftfold.query.tables.handling import SqlTables
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.own_tables import own_tables_are_there
from leftfold.query.tables.parked import ParkingLot
from leftfold.query.tables.places import check_owner
from leftfold.query.tables.replace import answers_until_swapped, is_due


class Seen(NamedTuple):
    """How far a model's table is, -1 where it cannot answer this code; and what speaks against following it."""

    position: int
    parked: int = 0
    problem: ReadModelError | None = None
    checkpoint: Checkpoint | None = None
    identity: str | None = None  # of the event at the position, where it is known


NOTHING = Seen(NOT_TO_BE_ANSWERED_FROM)


class CheckpointReader:
    """Sees how far models are, with one small query; more is asked of a model only when it moved or was rebuilt."""

    def __init__(
        self,
        database: Database,
        tables: Mapping[ReadModelDefinition, ModelTable | SqlTables],
        log_id: str,
        *,
        on_change: OnChange,
        named: bool = False,
    ) -> None:
        self._on_change: OnChange = on_change
        self._named = named
        self._database = database
        self._tables = tables
        self._log_id = log_id
        self._begun = False
        self._last: dict[ReadModelDefinition, tuple[Sequence[Checkpoint], Seen]] = {}

    def __repr__(self) -> str:
        return f"<CheckpointReader of {self._database!r}>"

    def look(self, shards: Collection[Shard]) -> dict[Shard, Seen]:
        """How far each of these shards is; `ModelsUnavailable` when that cannot be seen.

        Where a model is split otherwise at present, that is as far as the last of its shards is.
        """
        try:
            return self._look(shards)
        except exc.DBAPIError as error:
            if not is_trouble(error):
                raise
            raise ModelsUnavailable(str(self._database.url), str(error.orig)) from error

    def _look(self, shards: Collection[Shard]) -> dict[Shard, Seen]:
        with self._database.reading() as connection:
            self._begun = self._begun or own_tables_are_there(connection)
            found = find_all(connection) if self._begun else {}
            return {shard: self._seen(connection, shard, found.get(shard.definition.table, ())) for shard in shards}

    def _seen(self, connection: sa.Connection, shard: Shard, stored: Sequence[Checkpoint]) -> Seen:
        model = self._seen_model(connection, shard.definition, stored)
        if model.checkpoint is None:
            return model
        own = next((each for each in stored if each.model == shard.checkpoint), model.checkpoint)
        return model._replace(position=own.position, identity=own.identity)

    def _seen_model(
        self, connection: sa.Connection, definition: ReadModelDefinition, stored: Sequence[Checkpoint]
    ) -> Seen:
        found = together(stored)
        if found is None:
            return NOTHING
        before, last = self._last.get(definition, ((), NOTHING))
        if before == stored:
            return last
        if [each.build for each in before] == [each.build for each in stored] and last.position >= 0:
            seen = Seen(found.position, ParkingLot(definition).count(connection), checkpoint=found)
        else:
            seen = self._judge(connection, definition, found)
        self._last[definition] = stored, seen
        return seen

    def _judge(self, connection: sa.Connection, definition: ReadModelDefinition, found: Checkpoint) -> Seen:
        table = self._tables[definition]
        if self._named:
            try:
                check_owner(table, found, str(self._database.url), self._log_id)
            except TableTaken as taken:
                return NOTHING._replace(problem=taken)
        there = all(sa.inspect(connection).has_table(name) for name in found.tables.split())
        if found.log_id != self._log_id or not there:
            return NOTHING
        try:
            due = is_due(connection, found, table, on_change=self._on_change)
        except ReadModelChanged as changed:
            return Seen(found.position, problem=changed)
        if due and not answers_until_swapped(connection, table, found):
            return NOTHING
        return Seen(found.position, ParkingLot(definition).count(connection), checkpoint=found)
