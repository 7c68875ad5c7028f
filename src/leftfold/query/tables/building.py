"""A read model's tables while they are built beside the present ones."""

from collections.abc import Callable

from leftfold.query.rebuild_report import Differences
from leftfold.query.tables.checkpoints import Checkpoint, furthest
from leftfold.query.tables.database import Database
from leftfold.query.tables.folding import StoredFolding
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.swap import differences, discard, swap
from leftfold.store.contract import Batch, StoredEvent

Tail = Callable[[int, int], list[StoredEvent]]


class Building:
    """Tables that are folded up to the position of the present ones, compared with them, and swapped."""

    def __init__(self, table: ModelTable, database: Database, folding: StoredFolding, *, dry_run: bool) -> None:
        self._table = table
        self._present = ModelTable(table.definition)
        self._database = database
        self._folding = folding
        self._dry_run = dry_run
        if dry_run:
            folding.park_quietly()

    def __repr__(self) -> str:
        return f"<Building {self._table.stem} at {self.position}>"

    @property
    def position(self) -> int:
        """How far it is."""
        return self._folding.position

    @property
    def checkpoint(self) -> Checkpoint | None:
        """How far it is, and at which event; another process may have begun it, some time ago."""
        return self._folding.checkpoint

    def target(self) -> int:
        """How far the present tables are, those of the shard that is furthest; 0 when there are none."""
        with self._database.reading() as connection:
            return furthest(connection, self._present)

    def step(self, batch: Batch) -> None:
        """Fold a batch."""
        self._folding.step(batch)

    def reload(self) -> None:
        """Go on from where another process has come with the same tables."""
        self._folding.reload()

    def finish(self, tail: Tail, head: Callable[[], int]) -> Differences:
        """Fold what is missing, but nothing beyond the log's head; compare, and swap, all in one transaction."""
        with self._database.writing() as connection:
            position = max(min(furthest(connection, self._present), head()), self.position)
            missing = tail(self.position, position) if position > self.position else []
            self._folding.finish(connection, Batch(missing, position))  # tells, too, when another process has swapped
            compared = differences(connection, self._table)
            if not self._dry_run:
                swap(connection, self._table)
        self._folding.log_parked()
        return compared

    def close(self) -> None:
        """Nothing is open."""

    def discard(self) -> None:
        """Drop all of it."""
        with self._database.writing() as connection:
            discard(connection, self._table)
