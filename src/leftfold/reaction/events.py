"""The events of reactors: how far each has come, and what became of the events that it failed to handle."""

from datetime import datetime
from typing import Annotated

import msgspec

from leftfold.model.message import Event
from leftfold.model.tag import Tag

ReactorName = Annotated[str, Tag("leftfold.reactor")]


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """An event that waits for another attempt: how many failed, and when the next is due (None: at once)."""

    position: int
    attempt: int = 0
    due: datetime | None = None


class ReactorReacted(Event, wire="leftfold.reactor.reacted"):
    """The reactor handled each event up to `position`, except those that wait or are parked.

    `again` has the positions of events that had waited and were handled now.
    """

    reactor: ReactorName
    position: int
    again: list[int] = []  # noqa: RUF012 msgspec copies it


class ReactorPostponed(Event, wire="leftfold.reactor.postponed"):
    """An attempt to handle the event at `position` failed; the next one is due later."""

    reactor: ReactorName
    position: int
    attempt: int
    error: str
    due: datetime


class ReactorParked(Event, wire="leftfold.reactor.parked"):
    """The last attempt failed: nothing happens with the event at `position` until a person retries or skips it."""

    reactor: ReactorName
    position: int
    attempt: int
    error: str
    traceback: str = ""


class ReactorRetried(Event, wire="leftfold.reactor.retried"):
    """A person wants an event that waits or is parked to be tried again at once."""

    reactor: ReactorName
    position: int


class ReactorSkipped(Event, wire="leftfold.reactor.skipped"):
    """A person wants an event that waits or is parked to be skipped for good."""

    reactor: ReactorName
    position: int


class ReactorCheckpoint(Event, wire="leftfold.reactor.checkpoint"):
    """All that a worker that starts has to know of the past; it reads on from here.

    `types` are the wire names of the events that the code which wrote it takes; older checkpoints have none.
    """

    reactor: ReactorName
    position: int
    waiting: list[Waiting]
    types: list[str] = []  # noqa: RUF012 msgspec copies it


REACTOR_EVENTS: tuple[type[Event], ...] = (
    ReactorReacted,
    ReactorPostponed,
    ReactorParked,
    ReactorRetried,
    ReactorSkipped,
    ReactorCheckpoint,
)
