"""The projector: events get into the tables of a target exactly once, whatever the target is."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import sqlalchemy as sa

from leftfold.errors import LeaseLost, ModelsUnavailable, ProjectionFailed, ProjectionParked
from leftfold.model.record import StoredEvent
from leftfold.query.event_keys import Key
from leftfold.query.parking import ParkedEvent
from leftfold.query.progress import CheckpointMoved
from leftfold.query.tables.checkpoints import Checkpoint, advance, disturb, find, find_one, find_shards
from leftfold.query.tables.database import Database
from leftfold.query.tables.leases import is_held
from leftfold.query.tables.parked import StoredParkedEvents
from leftfold.query.tables.target import Target, apply_all, apply_one_by_one, stopped_at
from leftfold.store.contract import Batch
from leftfold.store.identity import BEGINNING

Lease = tuple[str, str]
"""The name of a lease, and its holder."""
Identify = Callable[[int], str]
"""Return the identity of the event that the log has at a position."""


def unidentified(position: int) -> str:
    """Stand for a log whose events have no identities."""
    return BEGINNING


class Projector:
    """Applies events to a target exactly once: rows, parked events and checkpoint change in one transaction.

    Each transaction moves the checkpoint first, and only from where this process left it. Of several processes that
    apply the same events one commits; the others find the checkpoint moved and write nothing. With a lease the
    checkpoint is loaded again only while the lease is held. The projectors of a model's shards share `parked`.
    """

    def __init__(
        self,
        target: Target,
        database: Database,
        checkpoint: Checkpoint,
        *,
        parked: StoredParkedEvents | None = None,
        lease: Lease | None = None,
        identify: Identify = unidentified,
    ) -> None:
        self._target = target
        self._tables = target.tables
        self._stops_at_errors = target.tables.definition.stops_at_errors
        self._database = database
        self._parked = parked or StoredParkedEvents(self._tables.definition, self._tables.stem)
        self._lease = lease
        self._identify = identify
        self.checkpoint = checkpoint

    def __repr__(self) -> str:
        return f"<Projector of {self._tables.name} at {self.position}>"

    @property
    def position(self) -> int:
        """The position of its checkpoint, as far as this process knows."""
        return self.checkpoint.position

    def step(self, batch: Batch) -> None:
        """Apply a batch, one event at a time if that fails; park the events that cannot be applied.

        Raise `ProjectionParked` if that holds up everything behind the event, or `ProjectionFailed` if it is not known
        which keys it holds up; the events before it are applied.
        """
        for piece in self._pieces(batch):
            try:
                self._commit(piece)
            except (CheckpointMoved, ModelsUnavailable, ProjectionParked):
                raise
            except Exception:  # noqa: BLE001 - whatever a handler or a value raises stops this model alone
                self._commit(piece, one_by_one=True)

    def finish(self, connection: sa.Connection, batch: Batch) -> None:
        """Apply a batch within a transaction that goes on; nothing is applied here after it."""
        self._parked.forget_new()
        moved = self._moved(self.checkpoint, batch.through)
        advance(connection, self.checkpoint, moved)
        stuck = apply_all(self._target, connection, batch.events, self._parked)
        if stuck is not None:
            raise stopped_at(stuck, self._tables.definition) from stuck.error
        self.checkpoint = moved

    def release(self, key: Key, events: Sequence[StoredEvent]) -> None:
        """Apply the first events that wait under a parked key, in order, up to one that fails again."""
        waiting = [event.position for event in events]
        if self._stops_at_errors:
            waiting = waiting[:1]  # the others wait in the log
        self._parked.forget_new()
        with self._database.writing() as connection:
            if not events or self._parked.positions(connection, key, len(waiting)) != waiting:
                return
            disturb(connection, self._tables)
            released = ReleasedKey(key)
            stuck = apply_all(self._target, connection, events, released) or released.stuck
            position = events[-1].position if stuck is None else stuck.position - 1
            self._parked.release(connection, key, position, stuck)
            found = find(connection, self._tables)
            if self._stops_at_errors and found is not None:
                advance(connection, found, self._moved(found, position))
            self._parked.recount(connection)
            self._target.changed(connection)
        self._target.committed()
        self._target.forget()
        self._parked.log_new()

    def is_held_up(self) -> bool:
        """Return whether a stored parked event holds up everything; True while that cannot be read."""
        try:
            with self._database.reading() as connection:
                return self._stops_at_errors and self._parked.recount(connection) > 0
        except ModelsUnavailable:
            return True

    def reload(self) -> None:
        """Go on from the checkpoint as it is stored.

        Raise `LeaseLost` if another process follows the log now, or if the model has other shards; `ProjectionFailed`
        if other code has rebuilt the tables.
        """
        self._target.forget()
        with self._database.writing() as connection:
            found = find_one(connection, self.checkpoint.model)
            if self._lease is not None and not (is_held(connection, *self._lease) and self._is_split_so(connection)):
                raise LeaseLost(self._lease[0])
            self._parked.recount(connection)
        if found is None or found.fingerprint != self.checkpoint.fingerprint:
            problem = "another version of the app has rebuilt its tables"
            raise ProjectionFailed(self._tables.name, self.position, problem)
        self.checkpoint = found

    def log_parked(self) -> None:
        """Log the events that `finish` has parked, now that its transaction is committed."""
        self._parked.log_new()

    def _pieces(self, batch: Batch) -> Iterator[Batch]:
        """Yield what is left of the batch, as much for each transaction as the target takes."""
        position = self.position
        left = batch.events
        if left and left[0].position <= position:
            left = [event for event in left if event.position > position]
        while self.position < batch.through:
            limit = self._target.batch_limit or len(left)
            piece, left = left[:limit], left[limit:]
            yield Batch(piece, piece[-1].position if left else batch.through)

    def _commit(self, batch: Batch, *, one_by_one: bool = False) -> None:
        """Move the checkpoint, apply, park and commit; where an event stops it, the checkpoint stays before it."""
        self._parked.forget_new()
        moved = self._moved(self.checkpoint, batch.through)
        with self._database.writing(shared=True) as connection:
            advance(connection, self.checkpoint, moved)
            self._refuse_if_held_up(connection)
            stuck = None
            if one_by_one:
                stuck = apply_one_by_one(self._target, connection, batch.events, self._parked)
            else:
                self._parked.park(connection, self._target.apply(connection, batch.events, self._parked.held))
            if stuck is not None:
                moved = self._moved_before(connection, moved, stuck)
            if self._parked.grown:
                self._parked.recount(connection)
            self._target.changed(connection)
        self.checkpoint = moved
        self._target.committed()
        self._parked.log_new()
        if stuck is not None:
            raise stopped_at(stuck, self._tables.definition) from stuck.error

    def _moved(self, at: Checkpoint, position: int) -> Checkpoint:
        return at.moved(position, self._identify(position))

    def _moved_before(self, connection: sa.Connection, at: Checkpoint, stuck: ParkedEvent) -> Checkpoint:
        """Move the checkpoint back to just before the event that stops the target."""
        moved = self._moved(at, stuck.position - 1)
        advance(connection, at, moved)
        if self._stops_at_errors:
            disturb(connection, self._tables)  # the position may be the same, and others have to look again
            moved = find(connection, self._tables) or moved
        return moved

    def _refuse_if_held_up(self, connection: sa.Connection) -> None:
        """Refuse to apply anything while a parked event holds up everything."""
        for parked in self._parked.all(connection) if self._stops_at_errors else ():
            raise ProjectionParked(self._tables.name, parked.position, parked.problem)

    def _is_split_so(self, connection: sa.Connection) -> bool:
        """Return whether the model, unless other code made it, still has the shard of this checkpoint."""
        shards = find_shards(connection, self._tables.stem)
        names = [shard.model for shard in shards if shard.fingerprint == self.checkpoint.fingerprint]
        return not names or self.checkpoint.model in names


class ReleasedKey:
    """The parked events of a model while one key is released: they hold up every other key, and nothing is stored."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self.stuck: ParkedEvent | None = None

    def held(self, connection: sa.Connection, keys: AbstractSet[Key]) -> AbstractSet[Key]:
        """Return all keys but the released one, and that one too once it is stuck again."""
        return keys if self.stuck else keys - {self._key}

    def park(self, connection: sa.Connection, events: Sequence[ParkedEvent]) -> None:
        """Remember the event at which the key is stuck again."""
        failed = (each for each in events if each.key == self._key and each.problem is not None)
        self.stuck = self.stuck or next(failed, None)
