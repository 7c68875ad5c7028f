"""The events of submitted commands: what is submitted, and what becomes of it."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from leftfold.command.submitted.schedule import Recurrence
from leftfold.model.message import Event
from leftfold.model.tag import Tag

TicketId = Annotated[str, Tag("leftfold.ticket")]
SeriesId = Annotated[str, Tag("leftfold.recurring")]


class CommandSubmitted(Event, wire="leftfold.command.submitted", omit_defaults=True):
    """A command to be handled later: its wire name, its version and its fields as JSON.

    A command that recurs belongs to a series, which is named by the id of its first ticket.
    """

    ticket: TicketId
    command: str
    command_version: int
    data: msgspec.Raw
    due: datetime | None = None
    series: SeriesId | None = None
    recurrence: Recurrence | None = None


class CommandHandled(Event, wire="leftfold.command.handled"):
    """The command was decided; its events, `events` of them, are right before this one."""

    ticket: TicketId
    events: int


class CommandRejected(Event, wire="leftfold.command.rejected"):
    """The handler rejected the command."""

    ticket: TicketId
    reason: str
    details: dict[str, Any] = {}  # noqa: RUF012 msgspec copies it


class CommandPostponed(Event, wire="leftfold.command.postponed"):
    """An attempt failed; the next one is due later."""

    ticket: TicketId
    attempt: int
    error: str
    due: datetime


class CommandFailed(Event, wire="leftfold.command.failed"):
    """The last attempt failed: nothing happens until a person retries or cancels the command.

    `next` is the ticket with which the series of a recurring command continues.
    """

    ticket: TicketId
    attempt: int
    error: str
    next: str | None = None
    traceback: str = ""


class CommandRetried(Event, wire="leftfold.command.retried"):
    """A person wants the command to be tried again at once."""

    ticket: TicketId


class CommandCancelled(Event, wire="leftfold.command.cancelled"):
    """A person or a process wants the command not to be handled."""

    ticket: TicketId


class InboxCheckpoint(Event, wire="leftfold.command.checkpoint"):
    """Every ticket up to `position` is completed, except those in `open`: a worker that starts reads from here."""

    position: int
    open: list[str]


TICKET_EVENTS: tuple[type[Event], ...] = (
    CommandSubmitted,
    CommandHandled,
    CommandRejected,
    CommandPostponed,
    CommandFailed,
    CommandRetried,
    CommandCancelled,
)
INBOX_EVENTS: tuple[type[Event], ...] = (*TICKET_EVENTS, InboxCheckpoint)
