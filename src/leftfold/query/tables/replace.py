"""Tables that are built up to the position of the present ones, compared with them, and put in their place."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import sqlalchemy as sa

from leftfold.errors import LeaseLost, NotKept
from leftfold.model.record import StoredEvent
from leftfold.query.parking import ReplayParkedEvents
from leftfold.query.progress import CheckpointMoved
from leftfold.query.rebuild_report import Differences
from leftfold.query.tables.checkpoints import Checkpoint, anchor_at, find, highest_position
from leftfold.query.tables.database import Database, writable_scratch
from leftfold.query.tables.keyed_target import discard
from leftfold.query.tables.leases import is_held
from leftfold.query.tables.own_tables import checkpoint
from leftfold.query.tables.parked import StoredParkedEvents
from leftfold.query.tables.projector import Identify, Lease, Projector
from leftfold.query.tables.sql_target import SqlTarget
from leftfold.query.tables.target import Tables, Target, apply_all, stopped_at
from leftfold.store.contract import Batch

Tail = Callable[[int, int], list[StoredEvent]]
"""Read the events after one position up to another."""


class BesideProjector(Projector):
    """Fills the tables of a read model under other names, with a stored checkpoint: an interrupted rebuild resumes."""

    def locked(self) -> AbstractContextManager[sa.Connection]:
        """Begin the transaction that replaces the present tables."""
        return self._database.writing()

    def swap(self, connection: sa.Connection) -> None:
        """Replace the present tables, with their checkpoint."""
        self._target.swap(connection)

    def discard(self) -> None:
        """Drop the tables."""
        with self._database.writing() as connection:
            discard(connection, self._tables)

    def close(self) -> None:
        """Do nothing: the tables stay, for the rebuild to be resumed."""


class TemporaryProjector:
    """Fills temporary tables of an SQL projection, on a connection of its own, where its handler finds them by name.

    They go with the connection, so an interrupted rebuild begins again.
    """

    checkpoint = None

    def __init__(
        self,
        target: SqlTarget,
        database: Database,
        present: Checkpoint,
        *,
        lease: Lease | None,
        identify: Identify,
    ) -> None:
        self._target = target
        self._tables = target.tables
        self._database = database
        self._present = present
        self._lease = lease
        self._identify = identify
        self.position = 0
        self._connection = database.connect_alone()
        with database.transaction(self._connection), writable_scratch(self._connection):
            self._tables.create_temporary(self._connection)

    def __repr__(self) -> str:
        return f"<TemporaryProjector of {self._tables.name} at {self.position}>"

    def step(self, batch: Batch) -> None:
        """Apply a batch; raise `ProjectionParked` if an event cannot be applied: the present tables are kept then."""
        with self._database.transaction(self._connection), writable_scratch(self._connection):
            self.finish(self._connection, batch)

    def finish(self, connection: sa.Connection, batch: Batch) -> None:
        """Apply a batch within a transaction that goes on."""
        stuck = apply_all(self._target, connection, batch.events, ReplayParkedEvents())
        if stuck is not None:
            raise stopped_at(stuck, self._tables.definition) from stuck.error
        self.position = batch.through

    def reload(self) -> None:
        """Do nothing: no other process writes these tables."""

    @contextmanager
    def locked(self) -> Generator[sa.Connection, None, None]:
        """Begin the transaction that replaces the present tables; what follows the log waits until it ends."""
        with self._database.transaction(self._connection, writes=True):
            of_this = checkpoint.c.model == self._tables.stem
            self._connection.execute(sa.update(checkpoint).where(of_this).values(build=uuid4().hex))
            if self._lease is not None and not is_held(self._connection, *self._lease):
                raise LeaseLost(self._lease[0])
            found = find(self._connection, self._tables)
            if found is None or found.log_id != self._present.log_id:
                raise NotKept(self._tables.name)
            if (found.fingerprint, found.version) != (self._present.fingerprint, self._present.version):
                raise CheckpointMoved
            yield self._connection

    def swap(self, connection: sa.Connection) -> None:
        """Replace the rows of the stored tables, and the checkpoint."""
        definition = self._tables.definition
        self._target.swap(connection)
        StoredParkedEvents(definition).clear(connection)
        values = {
            "position": self.position,
            "anchor": anchor_at(self.position, self._identify(self.position)),
            "fingerprint": str(definition.fingerprint()),
            "version": definition.version,
            "tables": " ".join(self._tables.tables),
        }
        connection.execute(sa.update(checkpoint).where(checkpoint.c.model == self._tables.stem).values(values))

    def log_parked(self) -> None:
        """Do nothing: nothing is parked."""

    def discard(self) -> None:
        """Drop the tables."""
        self.close()

    def close(self) -> None:
        """Close the connection, and with it drop the tables."""
        self._connection.close()


class Replacement:
    """Tables that are built from the log while the present ones answer queries, and that then replace them."""

    def __init__(
        self,
        target: Target,
        projector: BesideProjector | TemporaryProjector,
        present: Tables,
        database: Database,
        *,
        dry_run: bool,
    ) -> None:
        self.projector = projector
        self._target = target
        self._present = present
        self._database = database
        self._dry_run = dry_run

    def __repr__(self) -> str:
        return f"<Replacement by {self.projector!r}>"

    def present_position(self) -> int:
        """Return the position of the present tables, of the shard that is furthest; 0 if there are none."""
        with self._database.reading() as connection:
            return highest_position(connection, self._present)

    def finish(self, tail: Tail, head: Callable[[], int]) -> Differences:
        """Apply what is missing up to the log's head, compare, and swap, in one transaction; a dry run undoes it."""
        projector = self.projector
        with projector.locked() as connection:
            position = max(min(highest_position(connection, self._present), head()), projector.position)
            missing = tail(projector.position, position) if position > projector.position else []
            projector.finish(connection, Batch(missing, position))  # finds out if another process has swapped
            compared = self._target.compare(connection)
            if self._dry_run:
                connection.rollback()
            else:
                projector.swap(connection)
                self._target.changed(connection)
        if not self._dry_run:
            self._target.committed()
        projector.log_parked()
        return compared

    def close(self) -> None:
        """Free what is open; drop what a dry run has built."""
        if self._dry_run:
            self.projector.discard()
        else:
            self.projector.close()
