"""Folding events into tables: the one way in which rows come about, live or replayed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Protocol

from leftfold.errors import LeaseLost, ModelsUnavailable, ProjectionFailed
from leftfold.query.batch_fold import NOTHING_SKIPPED, BatchFold, Concern, Decode
from leftfold.query.event_keys import Key
from leftfold.query.parking import Parking, in_words
from leftfold.query.row_cache import Row, RowCache
from leftfold.query.shard import Owns
from leftfold.query.standing import Overtaken
from leftfold.query.tables.checkpoints import Checkpoint, advance, disturb, find_one, find_shards
from leftfold.query.tables.database import Database, is_trouble
from leftfold.query.tables.lease_book import is_held
from leftfold.query.tables.model_table import ModelTable
from leftfold.query.tables.parking_lot import ParkingLot, ReleasedKey
from leftfold.query.tables.rows import Rows
from leftfold.store.contract import Batch, StoredEvent
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
                parkings = self._apply_alone(connection, Concern(concern.position, concern.event, (key,)), lot)
                lot.park(connection, parkings)
        return {}

    def keep(self, rows: dict[Key, Row]) -> None:
        """Remember rows, so that they need not be read for the next batch."""
        self._cache.keep(rows)

    def forget(self) -> None:
        """Remember nothing: someone else has written."""
        self._cache.clear()

    def _apply_alone(self, connection: "sa.Connection", concern: Concern, lot: Lot) -> Sequence[Parking]:
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
            raise Overtaken
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
        except (Overtaken, ModelsUnavailable):
            raise
        except Exception as problem:  # noqa: BLE001 - whatever a value's type raises stops this model alone
            return problem
        return None

    def _write(self, batch: Batch, moved: Checkpoint, apply: Apply) -> None:
        self._lot.forget_parked()
        with self._database.writing(shared=True) as connection:
            if not advance(connection, self._checkpoint, moved):
                raise Overtaken
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
