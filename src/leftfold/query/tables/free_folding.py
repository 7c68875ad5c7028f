"""Handling a projection's events exactly once: what the handler writes and the checkpoint move in one transaction."""

from collections.abc import Iterator, Sequence
from time import monotonic

import sqlalchemy as sa

from leftfold.errors import LeaseLost, ModelsUnavailable, ProjectionFailed, ProjectionParked
from leftfold.query.event_keys import THE_ONE_ROW, Key
from leftfold.query.standing import Overtaken
from leftfold.query.tables.checkpoints import Checkpoint, advance, disturb, find
from leftfold.query.tables.database import Database
from leftfold.query.tables.folding import Identify, Lease, unidentified
from leftfold.query.tables.free_tables import FreeTables
from leftfold.query.tables.handling import Handling, Stuck
from leftfold.query.tables.lease_book import is_held
from leftfold.query.tables.parking_lot import ParkingLot, log_parked
from leftfold.store.contract import Batch, StoredEvent

(THE_KEY,) = THE_ONE_ROW
FIRST_AT_ONCE, MOST_AT_ONCE = 500, 8_000  # events in one transaction
LONG = 0.4  # seconds; a transaction of a slow handler that takes longer is followed by shorter ones


class FreeFolding:
    """What `StoredFolding` is for read models. There is one key: an event that cannot be handled holds up them all."""

    def __init__(
        self,
        table: FreeTables,
        database: Database,
        handling: Handling,
        checkpoint: Checkpoint,
        lease: Lease | None = None,
        identify: Identify = unidentified,
    ) -> None:
        self._table = table
        self._identify = identify
        self._lease = lease
        self._database = database
        self._handling = handling
        self._checkpoint = checkpoint
        self._lot = ParkingLot(table.definition)
        self._at_once = FIRST_AT_ONCE
        self.parked = 0

    def __repr__(self) -> str:
        return f"<FreeFolding of {self._table.name} at {self.position}>"

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint, as far as this process knows."""
        return self._checkpoint

    @property
    def position(self) -> int:
        """Where it stands."""
        return self._checkpoint.position

    def recount(self, connection: sa.Connection) -> None:
        """See whether an event holds it up."""
        self.parked = self._lot.count(connection)

    def step(self, batch: Batch) -> None:
        """Handle a batch; `ProjectionParked` when an event holds it up, before which everything is handled."""
        for piece in self._pieces(batch):
            begun = monotonic()
            self._step(piece)
            self._adapt(monotonic() - begun)

    def _step(self, batch: Batch) -> None:
        try:
            self._write(batch)
        except (Overtaken, ModelsUnavailable, ProjectionParked):
            raise
        except Exception:  # noqa: BLE001 - the handler's; which event it is about is found out one by one
            self._write_one_by_one(batch)

    def release(self, key: Key, events: Sequence[StoredEvent]) -> None:
        """Handle the event that holds it up, and these behind it, up to one that cannot be handled either."""
        with self._database.writing() as connection:
            parked = self._lot.all(connection, THE_KEY)
            disturb(connection, self._table)
            found = find(connection, self._table)
            if not parked or not events or found is None or events[0].position != parked[0].position:
                return
            self._lot.clear(connection)
            stuck = self._handle_one_by_one(connection, events)
            advance(connection, found, self._moved(found, events[-1].position if stuck is None else stuck.position - 1))
            self.recount(connection)
        if stuck is not None and (stuck.position, stuck.words) != (parked[0].position, parked[0].problem):
            log_parked(self._table.definition, stuck.parking)

    def is_held_up(self) -> bool:
        """Whether an event holds it up, as it is stored; so it does while that cannot be seen."""
        try:
            with self._database.reading() as connection:
                return self._lot.count(connection) > 0
        except ModelsUnavailable:
            return True

    def reload(self) -> None:
        """Take the checkpoint as it is stored, to go on from there.

        `LeaseLost` when another process handles the events now, `ProjectionFailed` when other code has rebuilt the
        tables.
        """
        with self._database.writing() as connection:
            if self._lease is not None and not is_held(connection, *self._lease):
                raise LeaseLost(self._lease[0])
            found = find(connection, self._table)
            self.recount(connection)
        if found is None or found.fingerprint != self._checkpoint.fingerprint:
            problem = "another version of the app has rebuilt its tables"
            raise ProjectionFailed(self._table.name, self.position, problem)
        self._checkpoint = found

    def _pieces(self, batch: Batch) -> Iterator[Batch]:
        """What is left of the batch, one transaction after the other: none of them is to lock out others for long."""
        left = [event for event in batch.events if event.position > self.position]
        while self.position < batch.through:
            piece, left = left[: self._at_once], left[self._at_once :]
            yield Batch(piece, piece[-1].position if left else batch.through)

    def _adapt(self, seconds: float) -> None:
        if seconds > LONG:
            self._at_once = max(self._at_once // 2, 1)
        elif seconds < LONG / 4:
            self._at_once = min(self._at_once * 2, MOST_AT_ONCE)

    def _write(self, batch: Batch) -> None:
        moved = self._moved(self._checkpoint, batch.through)
        with self._database.writing(shared=True) as connection:
            self._advance(connection, moved)
            self._handling.handle(connection, batch.events)
        self._checkpoint = moved

    def _write_one_by_one(self, batch: Batch) -> None:
        moved = self._moved(self._checkpoint, batch.through)
        with self._database.writing(shared=True) as connection:
            self._advance(connection, moved)
            stuck = self._handle_one_by_one(connection, batch.events)
            if stuck is not None:
                advance(connection, moved, self._moved(moved, stuck.position - 1))
                disturb(connection, self._table)  # the position may be the same, and others are to look again
                moved = find(connection, self._table) or moved
                self.recount(connection)
        self._checkpoint = moved
        if stuck is not None:
            log_parked(self._table.definition, stuck.parking)
            raise ProjectionParked(self._table.name, stuck.position, stuck.words) from stuck.problem

    def _handle_one_by_one(self, connection: sa.Connection, events: Sequence[StoredEvent]) -> Stuck | None:
        """Handle events up to one that cannot be; that one is noted."""
        try:
            self._handling.handle_one_by_one(connection, events)
        except Stuck as stuck:
            self._lot.park(connection, [stuck.parking])
            return stuck
        return None

    def _moved(self, at: Checkpoint, position: int) -> Checkpoint:
        return at.moved(position, self._identify(position))

    def _advance(self, connection: sa.Connection, moved: Checkpoint) -> None:
        """Move the checkpoint first: of several processes one does, and none while an event holds it up."""
        if not advance(connection, self._checkpoint, moved):
            raise Overtaken
        for parked in self._lot.all(connection, THE_KEY):
            raise ProjectionParked(self._table.name, parked.position, parked.problem)
