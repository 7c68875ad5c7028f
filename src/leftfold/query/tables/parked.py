"""Parked keys and the events that wait with them, kept beside the checkpoints."""

import logging
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

import sqlalchemy as sa

from leftfold.model.failure import loggable, traceback_of
from leftfold.query.event_keys import Key, key_of_text, text_of_key
from leftfold.query.parking import NOTHING_HELD, ParkedKey, Parking
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.tables.own_tables import keeps_tracebacks, parked, waiting

AT_ONCE = 5_000  # keys in one statement

log = logging.getLogger("leftfold.projections")


class ParkingLot:
    """The parked keys of one read model. Everything is done in the transaction of the connection that is given."""

    def __init__(self, definition: ReadModelDefinition, stem: str = "") -> None:
        self._definition = definition
        self._table = stem or definition.table
        self.grown = False
        self.known = 0  # how many keys were parked when they were last counted
        self.quiet = False  # a dry run parks nothing for good
        self._parked_now: list[Parking] = []

    def __repr__(self) -> str:
        return f"<ParkingLot of {self._table}>"

    def held(self, connection: sa.Connection, keys: AbstractSet[Key]) -> AbstractSet[Key]:
        """Those of the keys that are held up."""
        any_at_all = sa.select(parked.c.position).where(parked.c.model == self._table).limit(1)
        if connection.execute(any_at_all).first() is None:
            return NOTHING_HELD
        texts = {text_of_key(key): key for key in keys}
        return {key for chunk in _chunks(list(texts)) for key in self._among(connection, chunk, texts)}

    def park(self, connection: sa.Connection, parkings: Sequence[Parking]) -> None:
        """Note keys that are held up from now on, and events that have to wait."""
        stuck = [each for each in parkings if each.problem is not None]
        if stuck:
            self.grown = True
            connection.execute(sa.insert(parked), [self._row(each) | _problem_of(each) for each in stuck])
            self._parked_now += stuck if self._table == self._definition.table else self._unknown(connection, stuck)
        if parkings:
            connection.execute(sa.insert(waiting), [self._row(each) for each in parkings])

    def forget_parked(self) -> None:
        """Begin a transaction: what one before it parked was logged, or was rolled back."""
        self._parked_now.clear()

    def log_parked(self) -> None:
        """Log each key that the transaction has parked, now that it is committed."""
        if not self.quiet:
            for each in self._parked_now:
                log_parked(self._definition, each)
        self._parked_now.clear()

    def queue(self, connection: sa.Connection, key: Key, limit: int) -> list[int]:
        """The positions of the events that a key waits with, in order."""
        statement = sa.select(waiting.c.position).where(*self._of(waiting, key)).order_by(waiting.c.position)
        return list(connection.execute(statement.limit(limit)).scalars())

    def settle(self, connection: sa.Connection, key: Key, through: int, stuck: Parking | None) -> None:
        """Take the events through this position off the queue; the key goes on if none is left."""
        connection.execute(sa.delete(waiting).where(*self._of(waiting, key), waiting.c.position <= through))
        if stuck is not None:
            if not self._is_parked_so(connection, stuck):
                self._parked_now.append(stuck)
            values = {"position": stuck.position} | _problem_of(stuck)
            connection.execute(sa.update(parked).where(*self._of(parked, key)).values(values))
        elif not self.queue(connection, key, 1):
            connection.execute(sa.delete(parked).where(*self._of(parked, key)))

    def all(self, connection: sa.Connection, key: Key | None = None) -> list[ParkedKey]:
        """Every parked key, or only this one, the one that is parked longest first."""
        same = (waiting.c.model == parked.c.model, waiting.c.key == parked.c.key)
        queued = sa.select(sa.func.count()).select_from(waiting).where(*same).scalar_subquery()
        statement = (
            sa.select(parked.c.key, parked.c.position, parked.c.problem, queued)
            .where(*(self._of(parked, key) if key is not None else (parked.c.model == self._table,)))
            .order_by(parked.c.position, parked.c.key)
        )
        fold = self._definition.fold
        return [
            ParkedKey(self._definition.name, self._definition.table, key_of_text(fold, row[0]), *row[1:])
            for row in connection.execute(statement)
        ]

    def traceback(self, connection: sa.Connection, key: Key) -> str | None:
        """The traceback of the error that holds up a key; None where none was kept."""
        if not keeps_tracebacks(connection):
            return None
        found = connection.execute(sa.select(parked.c.traceback).where(*self._of(parked, key))).scalar()
        return None if found is None else str(found)

    def count(self, connection: sa.Connection) -> int:
        """How many keys are parked."""
        statement = sa.select(sa.func.count()).select_from(parked).where(parked.c.model == self._table)
        return int(connection.execute(statement).scalar_one())

    def clear(self, connection: sa.Connection) -> None:
        """Forget all of it: the rows are begun anew."""
        for table in (parked, waiting):
            connection.execute(sa.delete(table).where(table.c.model == self._table))

    def move(self, connection: sa.Connection, stem: str) -> None:
        """Keep all of it under another name."""
        for table in (parked, waiting):
            connection.execute(sa.update(table).where(table.c.model == self._table).values(model=stem))

    def _among(self, connection: sa.Connection, chunk: Sequence[str], texts: dict[str, Key]) -> Iterator[Key]:
        statement = sa.select(parked.c.key).where(parked.c.model == self._table, parked.c.key.in_(chunk))
        return (texts[text] for text in connection.execute(statement).scalars().all())

    def _row(self, parking: Parking) -> dict[str, Any]:
        return {"model": self._table, "key": text_of_key(parking.key), "position": parking.position}

    def _unknown(self, connection: sa.Connection, stuck: Sequence[Parking]) -> list[Parking]:
        """Those that a rebuild parks and that were not parked so before it."""
        present = ParkingLot(self._definition)
        return [each for each in stuck if not present._is_parked_so(connection, each)]

    def _is_parked_so(self, connection: sa.Connection, stuck: Parking) -> bool:
        """Whether the key is parked already, at the same event with the same error."""
        same = (parked.c.position == stuck.position, parked.c.problem == stuck.problem)
        statement = sa.select(parked.c.position).where(*self._of(parked, stuck.key), *same)
        return connection.execute(statement).first() is not None

    def _of(self, table: sa.Table, key: Key) -> tuple[sa.ColumnElement[bool], ...]:
        return (table.c.model == self._table, table.c.key == text_of_key(key))


class ReleasedKey:
    """Stands for the parking lot while one key's queue is folded: every other key is held, and nothing is noted."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self.stuck: Parking | None = None

    def held(self, connection: sa.Connection, keys: AbstractSet[Key]) -> AbstractSet[Key]:
        """All keys but the one that is released, and that one too as soon as it is stuck again."""
        return keys if self.stuck else keys - {self._key}

    def park(self, connection: sa.Connection, parkings: Sequence[Parking]) -> None:
        """Remember where the key is stuck again."""
        found = (each for each in parkings if each.key == self._key and each.problem is not None)
        self.stuck = self.stuck or next(found, None)


def log_parked(definition: ReadModelDefinition, parking: Parking) -> None:
    """Log that an event holds up a key, or a whole projection."""
    what = " ".join((definition.name, *map(str, parking.key)))
    words = (what, parking.position, parking.problem)
    error = loggable(parking.error)
    log.error(
        "%s is parked at position %d: %s", *words, exc_info=error, extra={"parked": (definition.name, parking.key)}
    )


def _problem_of(parking: Parking) -> dict[str, Any]:
    error = parking.error
    return {"problem": parking.problem, "traceback": None if error is None else traceback_of(error)}


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while chunk := list(islice(remaining, AT_ONCE)):
        yield chunk
