"""Submissions: what has become of a submitted command, as its events say."""

from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Literal, Self, TypeVar

import msgspec
from msgspec.structs import replace

from leftfold.command.parameters import DecisionModel
from leftfold.command.submitted.events import (
    CommandCancelled,
    CommandFailed,
    CommandHandled,
    CommandPostponed,
    CommandRejected,
    CommandRetried,
    CommandSubmitted,
    TicketId,
)
from leftfold.command.submitted.schedule import Recurrence
from leftfold.errors import UnknownName

S = TypeVar("S", bound="Submission")


class SubmissionState(StrEnum):
    """What has become of a submitted command: the states by which `live.commands` lists."""

    PENDING = "pending"
    SCHEDULED = "scheduled"
    HANDLED = "handled"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @classmethod
    def named(cls, state: str) -> "SubmissionState":
        """Return the state of this name; `UnknownName` if there is none."""
        try:
            return cls(state)
        except ValueError:
            raise UnknownName("state of a submitted command", state, list(cls)) from None


OPEN_OR_FAILED = (SubmissionState.PENDING, SubmissionState.SCHEDULED, SubmissionState.FAILED)


class Submission(DecisionModel):
    """A submitted command: a fold of the events of one ticket.

    `due` is None if the command can be handled at once. `events` is how many events the command made, `error` is the
    error of the newest failed attempt, and `traceback` that of the last attempt of a command that has failed. A command
    that recurs has a `series`, and a `recurrence` until the next command of its series is submitted.
    """

    ticket: TicketId
    state: Literal["unknown", "open", "handled", "rejected", "failed", "cancelled"] = "unknown"
    command: str = ""
    command_version: int = 1
    raw: msgspec.Raw = msgspec.Raw(b"{}")
    due: datetime | None = None
    attempts: int = 0
    error: str | None = None
    events: int = 0
    reason: str = ""
    details: dict[str, Any] = {}  # noqa: RUF012 msgspec copies it
    series: str | None = None
    recurrence: Recurrence | None = None
    traceback: str | None = None

    def __repr__(self) -> str:
        return f"<Submission {self.ticket} of {self.command}, {self.state}>"

    @property
    def data(self) -> dict[str, Any]:
        """The command's fields, as they were submitted."""
        fields: dict[str, Any] = msgspec.json.decode(self.raw)
        return fields

    def state_at(self, now: datetime) -> str:
        """Return the state at a time: for an open command `pending` if it is due, else `scheduled`."""
        if self.state != "open":
            return self.state
        return "scheduled" if self.due is not None and self.due > now else "pending"

    def following(self, now: datetime) -> CommandSubmitted | None:
        """Return the next command of a series, due first after `now`; None if this command does not recur."""
        if self.recurrence is None or self.series is None:
            return None
        due = self.recurrence.after(max(now, self.due or now))
        return CommandSubmitted(
            _ticket_in(self.series, due),
            self.command,
            self.command_version,
            self.raw,
            due,
            self.series,
            self.recurrence,
        )

    @property
    def completed(self) -> bool:
        """Whether no worker will do anything more with the command."""
        return self.state not in ("unknown", "open")

    def evolve(  # noqa: PLR0911 one for each type of event
        self,
        event: CommandSubmitted
        | CommandHandled
        | CommandRejected
        | CommandPostponed
        | CommandFailed
        | CommandRetried
        | CommandCancelled,
    ) -> Self:
        """Fold one event of the ticket. A process cancels without looking: a completed command stays completed."""
        match event:
            case CommandSubmitted(command=command, command_version=version, data=data, due=due):
                submitted = replace(self, state="open", command=command, command_version=version, raw=data, due=due)
                return submitted if event.series is None else _recurring(submitted, event)
            case CommandHandled(events=events):
                return replace(self, state="handled", events=events)
            case CommandRejected(reason=reason, details=details):
                return replace(self, state="rejected", reason=reason, details=details)
            case CommandPostponed(attempt=attempt, error=error, due=due):
                return replace(self, attempts=attempt, error=error, due=due)
            case CommandFailed(attempt=attempt, error=error, next=following, traceback=traceback):
                recurrence = self.recurrence if following is None else None
                failed = replace(self, state="failed", attempts=attempt, error=error, recurrence=recurrence)
                return replace(failed, traceback=traceback or None)
            case CommandRetried():
                return replace(self, state="open", attempts=0, due=None, traceback=None)
            case CommandCancelled():
                return replace(self, state="cancelled") if self.state in ("open", "failed") else self


def _recurring(submission: S, event: CommandSubmitted) -> S:
    return replace(submission, series=event.series, recurrence=event.recurrence)


def _ticket_in(series: str, due: datetime) -> str:
    """Return the ticket of a command of a series: no user's key gives the same one."""
    return blake2b(f"{series}/{due.isoformat()}".encode(), digest_size=16, person=b"leftfold.series").hexdigest()
