"""The outbox port: where processes submit commands. The command side stands behind it."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from leftfold.metadata import Metadata
from leftfold.store.contract import NewEvent


class Outbox(Protocol):
    """Where commands are submitted."""

    submitted: asyncio.Event

    def record(self, command: object, ticket: str, due: datetime | None, said: Metadata) -> NewEvent:
        """The event of a submitted command."""
        ...

    def due_after(self, delay: timedelta, time: datetime) -> datetime:
        """When a command is due that is to be handled some time after an event of this time."""
        ...

    def cancellation(self, ticket: str, said: Metadata) -> NewEvent:
        """The event that cancels a command unless it is settled."""
        ...

    async def open_of(self, tickets: Iterable[str]) -> Sequence[str]:
        """Those of the tickets whose commands may still be handled."""
        ...
