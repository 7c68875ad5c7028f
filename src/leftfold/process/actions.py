"""Actions: what a process manager answers an event with, beside plain commands."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from leftfold.events import CommandLike


class Schedule(msgspec.Struct, frozen=True):
    """Handle a command at a time, or a delay after the event. `name` lets a later `Cancel` name it.

    A second schedule of a name takes the name over; the first one stays scheduled.
    """

    command: Any
    at: datetime | None = None
    delay: timedelta | None = None
    name: str | None = None


class Cancel(msgspec.Struct, frozen=True):
    """Cancel the command that this instance scheduled under `name`; nothing happens when it is handled already."""

    name: str


class Done(msgspec.Struct, frozen=True):
    """The instance has come to its end: it answers no more events."""


Action = CommandLike | Schedule | Cancel | Done
Reaction = Action | Sequence[Action] | None
"""What `react` may return."""
