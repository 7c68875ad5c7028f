"""Folding events into tables: the one way in which rows come about, live or replayed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa

from leftfold.errors import LeaseLost, ModelsUnavailable, ProjectionFailed, ProjectionParked
from leftfold.model.record import StoredEvent
from leftfold.query.batch_fold import NOTHING_SKIPPED, BatchFold, Decode, KeyedEvent, Row, RowCache
from leftfold.query.event_keys import THE_ONE_ROW, Key
from leftfold.query.parking import Parking, in_words
from leftfold.query.progress import CheckpointMoved
from leftfold.query.shard import Owns
from leftfold.query.tables.checkpoints import Checkpoint, advance, disturb, find, find_one, find_shards
from leftfold.query.tables.database import Database, is_trouble
from leftfold.query.tables.handling import Handling, SqlTables, Stuck
from leftfold.query.tables.leases import is_held
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.parked import ParkingLot, ReleasedKey, log_parked
from leftfold.query.tables.rows import Rows
from leftfold.store.contract import Batch
from leftfold.store.identity import BEGINNING

if TYPE_CHECKING:
    import sqlalchemy as sa

Skipped = Mapping[int, AbstractSet[str]]
Lease = tuple[str, str]
Identify = Callable[[int], str]
"""The identity of the event that the log has at a position."""


def unidentified(position: int) -> str:
    """Stand for a log whose events are not told apart."""
    return BEGINNING


class Lot(Protocol):
    """Where keys are parked that an event holds up."""

    def held(self, connection: "sa.Connection", keys: AbstractSet[Key]) -> AbstractSet[Key]:
        """Those of the keys that are held up."""
        ...

    def park(self, connection: "sa.Connection", parkings: Sequence[Parking]) -> None:
        """Hold keys up, and let events wait."""
        ...


Apply = Callable[["sa.Connection", Iterable[StoredEvent], Lot], dict[Key, Row]]


class Folding:
    """Folds batches of events into the rows that a connection reaches."""

    def __init__(
        self,
        table: ModelTable,
        decode: Decode,
        dialect: "sa.Dialect",
        *,
        history: bool,
        skipped: Skipped = NOTHING_SKIPPED,
        owns: Owns | None = None,
    ) -> None:
        self._rows = Rows(table, dialect)
        self._fold = BatchFold(table.definition, decode, history=history, skipped=skipped, owns=owns)
        self._cache = RowCache()

    def apply(self, connection: "sa.Connection", events: Iterable[StoredEvent], lot: Lot) -> dict[Key, Row]:
        """Fold the events and write what they changed; give the rows to `keep` once that is committed."""
        concerns = self._fold.concerns(events)
        rows, missing = self._cache.among(key for concern in concerns for key in concern.keys)
        rows.update(self._rows.load(connection, missing))
        changes = self._fold.fold(concerns, rows, lot.held(connection, rows.keys()))
        self._rows.write(connection, changes)
        lot.park(connection, changes.parked)
        return rows

    def apply_one_by_one(self, connection: "sa.Connection", events: Iterable[StoredEvent], lot: Lot) -> dict[Key, Row]:
        """The same, event by event and row by row: a row that cannot be written parks its key too."""
        self.forget()
        for concern in self._fold.concerns(events):
            for key in concern.keys:
                parkings = self._apply_alone(connection, KeyedEvent(concern.position, concern.event, (key,)), lot)
                lot.park(connection, parkings)
        return {}

    def keep(self, rows: dict[Key, Row]) -> None:
        """Remember rows, so that they need not be read for the next batch."""
        self._cache.keep(rows)

    def forget(self) -> None:
        """Remember nothing: someone else has written."""
        self._cache.clear()

    def _apply_alone(self, connection: "sa.Connection", concern: KeyedEvent, lot: Lot) -> Sequence[Parking]:
        (key,) = concern.keys
        held = lot.held(connection, {key})
        try:
            with connection.begin_nested():
                changes = self._fold.fold([concern], self._rows.load(connection, [key]), held)
                self._rows.write(connection, changes)
        except Exception as problem:
            if is_trouble(problem):
                raise
            return [Parking(key, concern.position, in_words(problem), problem)]
        return changes.parked


class StoredFolding:
    """Folds a model's events exactly once: rows, parked keys and checkpoint move in one transaction.

    The checkpoint is moved first, and only if it stands where this process left it. Of several processes that fold
    the same events one commits; the others find the checkpoint moved and write nothing. With a lease (its name and
    its holder) the checkpoint is loaded again only while the lease is held. With a checkpoint of a shard the events
    are folded into the rows that the shard `owns`. Those who fold other shards of the model share its `lot`.
    """

    def __init__(
        self,
        table: ModelTable,
        database: Database,
        decode: Decode,
        checkpoint: Checkpoint,
        skipped: Skipped = NOTHING_SKIPPED,
        lease: Lease | None = None,
        owns: Owns | None = None,
        lot: ParkingLot | None = None,
        identify: Identify = unidentified,
    ) -> None:
        self._table = table
        self._identify = identify
        self._lease = lease
        self._database = database
        self._checkpoint = checkpoint
        self._lot = lot or ParkingLot(table.definition, table.stem)
        self._folding = Folding(table, decode, database.dialect, history=table.history, skipped=skipped, owns=owns)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint, as far as this process knows."""
        return self._checkpoint

    @property
    def position(self) -> int:
        """Where it stands."""
        return self._checkpoint.position

    @property
    def parked(self) -> int:
        """How many keys of the model are parked, as far as this process knows."""
        return self._lot.known

    @parked.setter
    def parked(self, count: int) -> None:
        self._lot.known = count

    def recount(self, connection: "sa.Connection") -> None:
        """Count the parked keys."""
        self.parked = self._lot.count(connection)
        self._lot.grown = False

    def step(self, batch: Batch) -> None:
        """Fold a batch; keys that an event holds up are parked. One that cannot be written is folded row by row.

        `ProjectionFailed` when it cannot be known which keys an event concerns; what lies before it is folded.
        """
        if self._try(batch, self._folding.apply) is None:
            return
        for event in batch.events:
            problem = self._try(Batch([event], event.position), self._folding.apply_one_by_one)
            if problem is not None:
                raise ProjectionFailed(self._table.name, event.position, in_words(problem)) from problem
        problem = self._try(Batch([], batch.through), self._folding.apply)
        if problem is not None:
            raise ProjectionFailed(self._table.name, batch.through, in_words(problem)) from problem

    def is_held_up(self) -> bool:
        """Never: only single keys are."""
        return False

    def release(self, key: Key, events: Sequence[StoredEvent]) -> None:
        """Fold the first events that a parked key waits with, in order, up to one that still cannot be folded."""
        try:
            self._release(key, events, self._folding.apply)
        except ModelsUnavailable:
            raise
        except Exception:  # noqa: BLE001 - some row cannot be written: which one is found out
            self._release(key, events, self._folding.apply_one_by_one)
        finally:
            self._folding.forget()

    def reload(self) -> None:
        """Take the checkpoint as it is stored, to go on from there.

        `LeaseLost` when another process folds the model now, or it is split otherwise; `ProjectionFailed` when other
        code has rebuilt the table.
        """
        self._folding.forget()
        with self._database.writing() as connection:
            found = find_one(connection, self._checkpoint.model)
            if self._lease is not None and not (is_held(connection, *self._lease) and self._is_split_so(connection)):
                raise LeaseLost(self._lease[0])
            self.recount(connection)
        if found is None or found.fingerprint != self._checkpoint.fingerprint:
            problem = "another version of the app has rebuilt its table"
            raise ProjectionFailed(self._table.name, self.position, problem)
        self._checkpoint = found

    def finish(self, connection: "sa.Connection", batch: Batch) -> None:
        """Fold a batch in a transaction that goes on; after it, nothing more is folded here."""
        moved = self._checkpoint.moved(batch.through, self._identify(batch.through))
        if not advance(connection, self._checkpoint, moved):
            raise CheckpointMoved
        self._lot.forget_parked()
        self._folding.apply_one_by_one(connection, batch.events, self._lot)
        self._checkpoint = moved

    def log_parked(self) -> None:
        """Log the keys that `finish` has parked, now that its transaction is committed."""
        self._lot.log_parked()

    def park_quietly(self) -> None:
        """Log no key that is parked: all of it will be dropped."""
        self._lot.quiet = True

    def _is_split_so(self, connection: "sa.Connection") -> bool:
        """Whether the model, unless it is of other code, is still in the shards of which this one is."""
        shards = find_shards(connection, self._table.stem)
        names = [shard.model for shard in shards if shard.fingerprint == self._checkpoint.fingerprint]
        return not names or self._checkpoint.model in names

    def _try(self, batch: Batch, apply: Apply) -> Exception | None:
        if batch.through <= self.position:
            return None
        moved = self._checkpoint.moved(batch.through, self._identify(batch.through))
        try:
            self._write(batch, moved, apply)
        except (CheckpointMoved, ModelsUnavailable):
            raise
        except Exception as problem:  # noqa: BLE001 - whatever a value's type raises stops this model alone
            return problem
        return None

    def _write(self, batch: Batch, moved: Checkpoint, apply: Apply) -> None:
        self._lot.forget_parked()
        with self._database.writing(shared=True) as connection:
            if not advance(connection, self._checkpoint, moved):
                raise CheckpointMoved
            rows = apply(connection, batch.events, self._lot)
            if self._lot.grown:
                self.recount(connection)
        self._lot.log_parked()
        self._checkpoint = moved
        self._folding.keep(rows)

    def _release(self, key: Key, events: Sequence[StoredEvent], apply: Apply) -> None:
        self._folding.forget()
        positions = [event.position for event in events]
        self._lot.forget_parked()
        with self._database.writing() as connection:
            if not events or self._lot.queue(connection, key, len(events)) != positions:
                return
            disturb(connection, self._table)
            released = ReleasedKey(key)
            apply(connection, events, released)
            through = positions[-1] if released.stuck is None else released.stuck.position - 1
            self._lot.settle(connection, key, through, released.stuck)
            self.recount(connection)
        self._lot.log_parked()


(THE_KEY,) = THE_ONE_ROW
FIRST_AT_ONCE, MOST_AT_ONCE = 500, 8_000  # events in one transaction
LONG = 0.4  # seconds; a transaction of a slow handler that takes longer is followed by shorter ones


class SqlFolding:
    """What `StoredFolding` is for read models. There is one key: an event that cannot be handled holds up them all."""

    def __init__(
        self,
        table: SqlTables,
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
        return f"<SqlFolding of {self._table.name} at {self.position}>"

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
        except (CheckpointMoved, ModelsUnavailable, ProjectionParked):
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
            raise CheckpointMoved
        for parked in self._lot.all(connection, THE_KEY):
            raise ProjectionParked(self._table.name, parked.position, parked.problem)
