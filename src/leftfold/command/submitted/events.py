"""The events of the inbox: what is submitted and what came of it, in the log like everything else."""

from datetime import datetime
from typing import Annotated, Any

from leftfold.command.submitted.schedule import Recurrence
from leftfold.model.message import Event
from leftfold.model.tag import Tag

TicketId = Annotated[str, Tag("leftfold.ticket")]
SeriesId = Annotated[str, Tag("leftfold.recurring")]


class CommandSubmitted(Event, wire="leftfold.command.submitted", omit_defaults=True):
    """A command to be handled later: its wire name, its version and its fields as its codec writes them.

    One that recurs belongs to a series, called by the id of the first ticket.
    """

    ticket: TicketId
    command: str
    command_version: int
    data: dict[str, Any]
    due: datetime | None = None
    series: SeriesId | None = None
    recurrence: Recurrence | None = None


class CommandHandled(Event, wire="leftfold.command.handled"):
    """The command was decided; its events, so many, lie right before this one."""

    ticket: TicketId
    events: int


class CommandRejected(Event, wire="leftfold.command.rejected"):
    """The handler said no."""

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
    """The last attempt failed: nothing happens until someone retries or cancels.

    `next` is the ticket under which a recurring command goes on all the same.
    """

    ticket: TicketId
    attempt: int
    error: str
    next: str | None = None
    traceback: str = ""


class CommandRetried(Event, wire="leftfold.command.retried"):
    """Someone wants it tried again, at once."""

    ticket: TicketId


class CommandCancelled(Event, wire="leftfold.command.cancelled"):
    """Someone wants it handled no more."""

    ticket: TicketId


class InboxCheckpoint(Event, wire="leftfold.command.checkpoint"):
    """Every ticket up to `position` is settled, but for those in `open`: where a worker that starts begins to read."""

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
