"""The nodes of a trace: commands, events, and the reactions of processes and reactors to these."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

CommandState = Literal[
    "executed", "handled", "rejected", "pending", "scheduled", "failed", "cancelled", "appended", "unknown"
]
ReactionState = Literal["answered", "handled", "waiting", "parked", "skipped", "cancelled", "pending"]


class TracedRow(msgspec.Struct, frozen=True):
    """A row of a read model that an event moved; `before` and `after` are None unless the model keeps its history."""

    model: str
    key: tuple[Any, ...]
    before: Any = None
    after: Any = None


class TracedAttempt(msgspec.Struct, frozen=True):
    """An attempt that failed, and when the next one was due; None if a person has to retry."""

    time: datetime
    attempt: int
    error: str
    due: datetime | None = None


class TracedReaction(msgspec.Struct, frozen=True):
    """What a process or a reactor did about an event. `waited` is how many seconds passed since the event."""

    by: str
    state: ReactionState
    time: datetime | None = None
    waited: float | None = None
    error: str | None = None
    attempts: tuple[TracedAttempt, ...] = ()
    commands: "tuple[TracedCommand, ...]" = ()
    done: bool = False


class TracedEvent(msgspec.Struct, frozen=True):
    """An event, the rows that it moved, and what came of it. `event` is None if today's classes cannot hold it."""

    position: int
    type: str
    version: int
    time: datetime
    tags: tuple[str, ...]
    event: Any
    rows: tuple[TracedRow, ...] = ()
    reactions: tuple[TracedReaction, ...] = ()
    commands: "tuple[TracedCommand, ...]" = ()


class TracedCommand(msgspec.Struct, frozen=True):
    """A command and what became of it.

    `state` is `executed` for a command that was not submitted, and `appended` for events without a command. `cause` is
    the position of the event, or the id of the command, that led to it; a root of the trace may have one, which is
    then not in the trace, or many levels away. `data` has the fields of a submitted command, `problem` why it was
    rejected or failed. `waited` is how many seconds it took from its submission, or from the event that caused it, to
    its outcome.
    """

    id: str | None
    type: str | None
    state: CommandState
    time: datetime
    waited: float | None = None
    cause: int | str | None = None
    actor: str | None = None
    reason: str | None = None
    due: datetime | None = None
    data: Any = None
    problem: str | None = None
    details: Mapping[str, Any] = {}
    attempts: tuple[TracedAttempt, ...] = ()
    events: tuple[TracedEvent, ...] = ()
    commands: "tuple[TracedCommand, ...]" = ()


class Trace(msgspec.Struct, frozen=True):
    """Everything with one correlation, as the log was at position `head`."""

    correlation: str | None
    head: int
    commands: tuple[TracedCommand, ...]
