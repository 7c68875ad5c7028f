"""Parked events, stored beside the checkpoints: the event that holds up each key, and those that wait behind it."""

import logging
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa

from leftfold.model.failure import loggable, traceback_of
from leftfold.query.event_keys import Key, key_of_text, text_of_key
from leftfold.query.parking import NOTHING_HELD, ParkedEvent, ParkedKey
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.tables.own_tables import keeps_tracebacks, parked, waiting

KEYS_PER_STATEMENT = 5_000

log = logging.getLogger("leftfold.projections")


class StoredParkedEvents:
    """The parked events of one read model or projection. Every method works in the transaction of its connection.

    What a transaction parks is logged once it is committed, by `log_new`; `count` is as of the last `recount`.
    """

    def __init__(self, definition: ReadModelDefinition, stem: str = "", *, quiet: bool = False) -> None:
        self._definition = definition
        self._table = stem or definition.table
        self._quiet = quiet  # a dry run keeps nothing that it parks
        self._new: list[ParkedEvent] = []
        self.grown = False
        self.count = 0

    def __repr__(self) -> str:
        return f"<StoredParkedEvents of {self._table}>"

    def held(self, connection: sa.Connection, keys: AbstractSet[Key]) -> AbstractSet[Key]:
        """Return those of the keys that a parked event holds up."""
        any_at_all = sa.select(parked.c.position).where(parked.c.model == self._table).limit(1)
        if connection.execute(any_at_all).first() is None:
            return NOTHING_HELD
        texts = {text_of_key(key): key for key in keys}
        return {key for chunk in _chunks(list(texts)) for key in self._among(connection, chunk, texts)}

    def park(self, connection: sa.Connection, events: Sequence[ParkedEvent]) -> None:
        """Park events that failed, and events that have to wait behind them."""
        failed = [each for each in events if each.problem is not None]
        new = self._new_ones(connection, failed)
        if failed:
            self.grown = True
            connection.execute(sa.insert(parked), [self._row(each) | _problem_of(each) for each in failed])
        if events:
            connection.execute(sa.insert(waiting), [self._row(each) for each in events])
        self._new += new

    def forget_new(self) -> None:
        """Begin a transaction: the one before was logged, or was rolled back."""
        self._new.clear()
        self.grown = False

    def log_new(self) -> None:
        """Log each key that the transaction has parked, once it is committed."""
        for each in () if self._quiet else self._new:
            self._log(each)
        self._new.clear()

    def positions(self, connection: sa.Connection, key: Key, limit: int) -> list[int]:
        """Return the positions of the first events that wait under a key, in order."""
        statement = sa.select(waiting.c.position).where(*self._of(waiting, key)).order_by(waiting.c.position)
        return list(connection.execute(statement.limit(limit)).scalars())

    def release(self, connection: sa.Connection, key: Key, position: int, stuck: ParkedEvent | None) -> None:
        """Take the events up to a position off the queue of a key, which goes on if none is left."""
        upto = position if stuck is None else stuck.position
        connection.execute(sa.delete(waiting).where(*self._of(waiting, key), waiting.c.position <= upto))
        if stuck is None:
            if not self.positions(connection, key, 1):
                connection.execute(sa.delete(parked).where(*self._of(parked, key)))
            return
        stuck = msgspec.structs.replace(stuck, key=key)
        self._new += [] if self._is_parked_so(connection, stuck) else [stuck]
        connection.execute(sa.delete(parked).where(*self._of(parked, key)))
        connection.execute(sa.insert(parked), self._row(stuck) | _problem_of(stuck))
        connection.execute(sa.insert(waiting), self._row(stuck))

    def all(self, connection: sa.Connection, key: Key | None = None) -> list[ParkedKey]:
        """Return every parked key, or only this one, the one parked longest first."""
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
        """Return the traceback of the error that holds up a key; None where none was kept."""
        if not keeps_tracebacks(connection):
            return None
        found = connection.execute(sa.select(parked.c.traceback).where(*self._of(parked, key))).scalar()
        return None if found is None else str(found)

    def recount(self, connection: sa.Connection) -> int:
        """Count the parked keys."""
        statement = sa.select(sa.func.count()).select_from(parked).where(parked.c.model == self._table)
        self.count = int(connection.execute(statement).scalar_one())
        return self.count

    def clear(self, connection: sa.Connection) -> None:
        """Delete all of them: the rows start again."""
        for table in (parked, waiting):
            connection.execute(sa.delete(table).where(table.c.model == self._table))

    def move(self, connection: sa.Connection, stem: str) -> None:
        """Keep all of them under another name."""
        for table in (parked, waiting):
            connection.execute(sa.update(table).where(table.c.model == self._table).values(model=stem))

    def _among(self, connection: sa.Connection, chunk: Sequence[str], texts: dict[str, Key]) -> Iterator[Key]:
        statement = sa.select(parked.c.key).where(parked.c.model == self._table, parked.c.key.in_(chunk))
        return (texts[text] for text in connection.execute(statement).scalars().all())

    def _row(self, event: ParkedEvent) -> dict[str, Any]:
        return {"model": self._table, "key": text_of_key(event.key), "position": event.position}

    def _new_ones(self, connection: sa.Connection, failed: list[ParkedEvent]) -> list[ParkedEvent]:
        """Return those that are to be logged: a rebuild repeats none that were parked in the same way before it."""
        if self._table == self._definition.table:
            return failed
        present = StoredParkedEvents(self._definition)
        return [each for each in failed if not present._is_parked_so(connection, each)]

    def _is_parked_so(self, connection: sa.Connection, event: ParkedEvent) -> bool:
        """Return whether the key is parked already, at the same event with the same error."""
        same = (parked.c.position == event.position, parked.c.problem == event.problem)
        statement = sa.select(parked.c.position).where(*self._of(parked, event.key), *same)
        return connection.execute(statement).first() is not None

    def _of(self, table: sa.Table, key: Key) -> tuple[sa.ColumnElement[bool], ...]:
        return (table.c.model == self._table, table.c.key == text_of_key(key))

    def _log(self, event: ParkedEvent) -> None:
        """Log that an event holds up a key, or a whole projection."""
        name = self._definition.name
        what = " ".join((name, *map(str, event.key)))
        error, extra = loggable(event.error), {"parked": (name, event.key)}
        log.error("%s is parked at position %d: %s", what, event.position, event.problem, exc_info=error, extra=extra)


def _problem_of(event: ParkedEvent) -> dict[str, Any]:
    error = event.error
    return {"problem": event.problem, "traceback": None if error is None else traceback_of(error)}


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while chunk := list(islice(remaining, KEYS_PER_STATEMENT)):
        yield chunk
