"""Handling events in free-form projections: the one way in which their handlers are called, live or replayed."""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from leftfold.errors import UsageError
from leftfold.query.batch_fold import NOTHING_SKIPPED, Decode
from leftfold.query.event_keys import THE_ONE_ROW, text_of_key
from leftfold.query.free_projection import FreeProjection
from leftfold.query.parking import Parking, in_words
from leftfold.query.recorded import recorded
from leftfold.query.tables.async_connection import run_on
from leftfold.query.tables.database import is_trouble
from leftfold.store.contract import StoredEvent

Skipped = Mapping[int, AbstractSet[str]]
Call = tuple[Any, ...]  # an event, or several, and what is recorded of it where the handler asks
THE_KEY = text_of_key(THE_ONE_ROW[0])


class Stuck(Exception):
    """The handler raised `problem` on the event at `position`; what came before it is handled."""

    def __init__(self, position: int, problem: Exception) -> None:
        super().__init__(position, problem)
        self.position = position
        self.problem = problem

    @property
    def words(self) -> str:
        """What went wrong."""
        return in_words(self.problem)

    @property
    def parking(self) -> Parking:
        """The event as what holds up the projection."""
        return Parking(THE_ONE_ROW[0], self.position, self.words, self.problem)


class Handling:
    """Calls a handler with events, in the transaction of the connection that is given."""

    def __init__(
        self,
        definition: FreeProjection,
        decode: Decode,
        loop: asyncio.AbstractEventLoop | None,
        skipped: Skipped = NOTHING_SKIPPED,
    ) -> None:
        self._definition = definition
        self._handler = definition.handler
        self._types = {event.owner for event in definition.fold.events}
        self._decode = decode
        self._loop = loop
        self._skipped = skipped

    def __repr__(self) -> str:
        return f"<Handling of {self._definition.name}>"

    def handle(self, connection: sa.Connection, events: Sequence[StoredEvent]) -> None:
        """Handle all of them; what the handler raises is raised."""
        found = [(event, stored) for stored in events if (event := self._read(stored)) is not None]
        if not found:
            return
        calls = [self._call_of_many(found)] if self._handler.many else [self._call_of(*each) for each in found]
        with _one_transaction(connection, self._definition.name):
            if self._handler.is_async:
                self._await(connection, calls)
            else:
                for event, *more in calls:
                    self._handler.function(event, connection, *more)

    def handle_all(self, connection: sa.Connection, events: Sequence[StoredEvent]) -> None:
        """The same; `Stuck` where an event cannot be handled, before which everything is."""
        try:
            with connection.begin_nested():
                self.handle(connection, events)
        except Exception as problem:
            if is_trouble(problem):
                raise
            self.handle_one_by_one(connection, events)

    def handle_one_by_one(self, connection: sa.Connection, events: Sequence[StoredEvent]) -> None:
        """The same, event by event; `Stuck` at the first that cannot be handled, nothing of which is left."""
        for event in events:
            try:
                with connection.begin_nested():
                    self.handle(connection, [event])
            except Exception as problem:
                if is_trouble(problem):
                    raise
                raise Stuck(event.position, problem) from problem

    def _read(self, stored: StoredEvent) -> Any:
        """The event, or None where it is skipped, or of a type that the handler does not take."""
        if THE_KEY in self._skipped.get(stored.position, ()):
            return None
        event = self._decode(stored)
        return event if type(event) in self._types else None

    def _call_of(self, event: Any, stored: StoredEvent) -> Call:
        return (event, recorded(stored)) if self._handler.asks_recorded else (event,)

    def _call_of_many(self, found: Sequence[tuple[Any, StoredEvent]]) -> Call:
        events = [event for event, _ in found]
        return (events, [recorded(stored) for _, stored in found]) if self._handler.asks_recorded else (events,)

    def _await(self, connection: sa.Connection, calls: Sequence[Call]) -> None:
        handle: Callable[..., Any] = self._handler.function

        async def work(asked: AsyncConnection) -> None:
            for event, *more in calls:
                await handle(event, asked, *more)

        run_on(self._loop, connection, work)


@contextmanager
def _one_transaction(connection: sa.Connection, projection: str) -> Generator[None, None, None]:
    """Refuse to end the transaction meanwhile: the checkpoint is part of it."""

    def refuse() -> NoReturn:
        raise UsageError(
            f"the handler of {projection} tried to end the transaction",
            "statements that write to its tables; the checkpoint is committed with them",
            "leave out commit() and rollback(); begin_nested() sets a savepoint; raise to take all back",
        )

    setattr(connection, "commit", refuse)
    setattr(connection, "rollback", refuse)
    try:
        yield
    finally:
        delattr(connection, "commit")
        delattr(connection, "rollback")
