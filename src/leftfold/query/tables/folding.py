"""Folding events into tables: the one way in which rows come about, live or replayed."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from leftfold.errors import LeftfoldError, ModelsUnavailable, ProjectionFailed
from leftfold.query.batch_fold import BatchFold, Decode
from leftfold.query.event_keys import Key
from leftfold.query.row_cache import Row, RowCache
from leftfold.query.standing import Overtaken
from leftfold.query.tables.checkpoints import Checkpoint, advance, find
from leftfold.query.tables.database import Database
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.rows import Rows
from leftfold.store.contract import Batch, StoredEvent

if TYPE_CHECKING:
    import sqlalchemy as sa


class Folding:
    """Folds batches of events into the rows that a connection reaches."""

    def __init__(self, table: ModelTable, decode: Decode, dialect: "sa.Dialect", *, history: bool) -> None:
        self._rows = Rows(table, dialect)
        self._fold = BatchFold(table.definition, decode, history=history)
        self._cache = RowCache()

    def apply(self, connection: "sa.Connection", events: Iterable[StoredEvent]) -> dict[Key, Row]:
        """Fold the events and write what they changed; give the rows to `keep` once that is committed."""
        concerns = self._fold.concerns(events)
        rows, missing = self._cache.among({key: None for concern in concerns for key in concern.keys})
        rows.update(self._rows.load(connection, missing))
        self._rows.write(connection, self._fold.fold(concerns, rows))
        return rows

    def keep(self, rows: dict[Key, Row]) -> None:
        """Remember rows, so that they need not be read for the next batch."""
        self._cache.keep(rows)

    def forget(self) -> None:
        """Remember nothing: someone else has written."""
        self._cache.clear()


class StoredFolding:
    """Folds a model's events exactly once: rows and checkpoint move in one transaction.

    The checkpoint is moved first, and only if it stands where this process left it. Of several processes that fold
    the same events one commits; the others find the checkpoint moved and write nothing.
    """

    def __init__(self, table: ModelTable, database: Database, decode: Decode, checkpoint: Checkpoint) -> None:
        self._table = table
        self._database = database
        self._checkpoint = checkpoint
        self._folding = Folding(table, decode, database.dialect, history=table.history)

    @property
    def position(self) -> int:
        """Where the checkpoint stands, as far as this process knows."""
        return self._checkpoint.position

    def step(self, batch: Batch) -> None:
        """Fold a batch. One that cannot be folded is gone through event by event, up to the one that cannot."""
        problem = self._try(batch)
        if problem is None:
            return
        if len(batch.events) < 2:
            position = batch.events[0].position if batch.events else batch.through
            raise ProjectionFailed(self._table.name, position, _in_words(problem)) from problem
        for event in batch.events:
            self.step(Batch([event], event.position))
        self.step(Batch([], batch.through))

    def reload(self) -> None:
        """Take the checkpoint as it is stored; `ProjectionFailed` when other code has rebuilt the table."""
        self._folding.forget()
        with self._database.writing() as connection:
            found = find(connection, self._table)
        if found is None or found.fingerprint != self._checkpoint.fingerprint:
            problem = "another version of the app has rebuilt its table"
            raise ProjectionFailed(self._table.name, self.position, problem)
        self._checkpoint = found

    def _try(self, batch: Batch) -> Exception | None:
        try:
            self._write(batch)
        except (Overtaken, ModelsUnavailable):
            raise
        except Exception as problem:  # noqa: BLE001 - whatever evolve or a value's type raises stops this model alone
            return problem
        return None

    def _write(self, batch: Batch) -> None:
        if batch.through <= self.position:
            return
        with self._database.writing() as connection:
            if not advance(connection, self._checkpoint, batch.through):
                raise Overtaken
            rows = self._folding.apply(connection, batch.events)
        self._checkpoint = self._checkpoint._replace(position=batch.through)
        self._folding.keep(rows)


def _in_words(problem: Exception) -> str:
    original = getattr(problem, "orig", None) or problem  # SQLAlchemy tells the statement too, with all its rows
    if isinstance(original, LeftfoldError):
        return original.found
    return f"{type(original).__name__}: {original}"
