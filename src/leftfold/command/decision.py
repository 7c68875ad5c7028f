"""One command on its way to being decided: pure, so that tests decide exactly as the live app does."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from leftfold.command.context import Context
from leftfold.command.handler import CommandHandler
from leftfold.command.states import State
from leftfold.command.working import Working
from leftfold.errors import Rejected
from leftfold.metadata import Metadata, encode_metadata
from leftfold.registry import Registry
from leftfold.store.contract import NewEvent


class Decision:
    """A command, the states it is decided on, and what was decided."""

    __slots__ = ("command", "events", "handler", "metadata", "records", "rejected", "states", "time")

    def __init__(
        self, handler: CommandHandler, command: Any, states: Sequence[State], metadata: Metadata, time: datetime | None
    ) -> None:
        self.handler = handler
        self.command = command
        self.states = states
        self.metadata = metadata
        self.time = time
        self.events: Sequence[Any] = ()
        self.records: Sequence[NewEvent] = ()
        self.rejected: Rejected | None = None

    def __repr__(self) -> str:
        return f"<Decision {self.command!r}: {self.rejected or list(self.events)!r}>"

    def forget(self) -> None:
        """Nothing has been decided."""
        self.events, self.records, self.rejected = (), (), None

    def decide(self, registry: Registry, working: Working, now: datetime) -> None:
        """Call the handler and fold what it decided, so that an event its own models cannot fold is never stored."""
        self.forget()
        context = Context(self.time or now, self.metadata)
        try:
            decided = self.handler.decide(self.command, map(working.value, self.states), context)
        except Rejected as rejected:
            self.rejected = rejected
            return
        metadata = encode_metadata(self.metadata)
        admitted = [registry.admit(event, metadata, self.time) for event in decided]
        self.records = [record for record, _ in admitted]
        self.events = [event for _, event in admitted]
        for record, event in admitted:
            working.apply(record, event)


def stamped(said: Metadata, handler: CommandHandler, new_id: Callable[[], UUID]) -> Metadata:
    """What is said of a command, with its id and its type; a command that nothing led to starts a correlation."""
    identity = said.command or new_id().hex
    return said.of_command(identity, handler.command.wire)
