"""A free-form projection's tables while they are built again, as temporary tables that hide the real ones."""

from collections.abc import Callable, Sequence
from uuid import uuid4

import sqlalchemy as sa

from leftfold.errors import LeaseLost, NotKept, ProjectionParked
from leftfold.query.rebuild_report import Differences
from leftfold.query.standing import Overtaken
from leftfold.query.tables.checkpoints import Checkpoint, anchor_at, find
from leftfold.query.tables.database import Database, writable_scratch
from leftfold.query.tables.folding import Identify, Lease
from leftfold.query.tables.free_swap import differences, swap
from leftfold.query.tables.free_tables import FreeTables
from leftfold.query.tables.handling import Handling, Stuck
from leftfold.query.tables.lease_book import is_held
from leftfold.query.tables.own_tables import checkpoint
from leftfold.query.tables.parking_lot import ParkingLot
from leftfold.store.contract import Batch, StoredEvent

Tail = Callable[[int, int], list[StoredEvent]]


class FreeBuilding:
    """What `Building` is for read models. On a connection of its own the handler, unchanged, fills temporary tables.

    They are gone when the connection is, so an interrupted rebuild begins again.
    """

    def __init__(
        self,
        table: FreeTables,
        database: Database,
        handling: Handling,
        present: Checkpoint,
        lease: Lease | None,
        identify: Identify,
        *,
        dry_run: bool,
    ) -> None:
        self._identify = identify
        self._table = table
        self._lease = lease
        self._database = database
        self._handling = handling
        self._present = present
        self._dry_run = dry_run
        self.position = 0
        self._connection = database.connect_alone()
        with database.transaction(self._connection), writable_scratch(self._connection):
            table.create_temporary(self._connection)

    def __repr__(self) -> str:
        return f"<FreeBuilding {self._table.name} at {self.position}>"

    def target(self) -> int:
        """How far the present tables are; 0 when there are none."""
        with self._database.reading() as connection:
            found = find(connection, self._table)
        return found.position if found else 0

    def step(self, batch: Batch) -> None:
        """Handle a batch. `ProjectionParked` when an event cannot be handled: the present tables are kept then."""
        with self._database.transaction(self._connection), writable_scratch(self._connection):
            self._handle(batch.events)
        self.position = batch.through

    @property
    def checkpoint(self) -> Checkpoint | None:
        """None: it begins at the beginning of the log each time."""
        return None

    def reload(self) -> None:
        """No other process folds into these tables."""

    def finish(self, tail: Tail, head: Callable[[], int]) -> Differences:
        """Handle what is missing, compare, and put the rows into the real tables, all in one transaction."""
        connection = self._connection
        with self._database.transaction(connection, writes=True) as transaction:
            present = self._locked_present()
            position = max(min(present.position, head()), self.position)
            self._handle(tail(self.position, position) if position > self.position else [])
            self.position = position
            former = present.tables.split()
            compared = differences(connection, self._table, former)
            if self._dry_run:
                transaction.rollback()
            else:
                swap(connection, self._table, former)
                self._write_checkpoint(present)
        return compared

    def discard(self) -> None:
        """Drop all of it."""
        self.close()

    def close(self) -> None:
        """Give back the connection, and with it the temporary tables."""
        self._connection.close()

    def _handle(self, events: Sequence[StoredEvent]) -> None:
        try:
            self._handling.handle_all(self._connection, events)
        except Stuck as stuck:
            raise ProjectionParked(self._table.name, stuck.position, stuck.words) from stuck.problem

    def _locked_present(self) -> Checkpoint:
        """The present checkpoint; who follows the log with it finds it changed, and waits until this is through."""
        of_this = checkpoint.c.model == self._table.stem
        self._connection.execute(sa.update(checkpoint).where(of_this).values(build=uuid4().hex))
        if self._lease is not None and not is_held(self._connection, *self._lease):
            raise LeaseLost(self._lease[0])
        found = find(self._connection, self._table)
        if found is None or found.log_id != self._present.log_id:
            raise NotKept(self._table.name)
        if (found.fingerprint, found.version) != (self._present.fingerprint, self._present.version):
            raise Overtaken
        return found

    def _write_checkpoint(self, present: Checkpoint) -> None:
        definition = self._table.definition
        ParkingLot(definition).clear(self._connection)
        values = {
            "position": self.position,
            "anchor": anchor_at(self.position, self._identify(self.position)),
            "fingerprint": str(definition.fingerprint()),
            "version": definition.version,
            "tables": " ".join(self._table.tables),
        }
        self._connection.execute(sa.update(checkpoint).where(checkpoint.c.model == present.model).values(values))
