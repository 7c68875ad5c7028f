"""How far a reactor has come: a fold of the events about it."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from leftfold.model.clock import EPOCH
from leftfold.reaction.events import (
    ReactorCheckpoint,
    ReactorParked,
    ReactorPostponed,
    ReactorReacted,
    ReactorRetried,
    ReactorSkipped,
    Waiting,
)


class ReactorProgress(msgspec.Struct, frozen=True):
    """A reactor's position in the log, and which events before it wait for another attempt.

    A checkpoint does not list parked events, of which there may be any number: `parked` has those parked since.
    """

    position: int = 0
    waiting: dict[int, Waiting] = {}
    parked: frozenset[int] = frozenset()

    def evolve(self, event: Any) -> "ReactorProgress":  # noqa: PLR0911 one for each type of event
        """Fold one event."""
        match event:
            case ReactorReacted(position=position, again=again):
                return replace(self, position=max(self.position, position), waiting=_without(self.waiting, *again))
            case ReactorPostponed(position=position, attempt=attempt, due=due):
                return replace(self, waiting=self.waiting | {position: Waiting(position, attempt, due)})
            case ReactorParked(position=position):
                return replace(self, waiting=_without(self.waiting, position), parked=self.parked | {position})
            case ReactorRetried(position=position):
                waiting = self.waiting | {position: Waiting(position)}
                return replace(self, waiting=waiting, parked=self.parked - {position})
            case ReactorSkipped(position=position):
                return replace(self, waiting=_without(self.waiting, position), parked=self.parked - {position})
            case ReactorCheckpoint(position=position, waiting=waiting):
                at = max(self.position, position)
                return ReactorProgress(at, {each.position: each for each in waiting})
            case _:
                return self

    def due(self, now: datetime, limit: int) -> list[Waiting]:
        """Return the first events that may be tried again."""
        found = (each for each in self.waiting.values() if each.due is None or each.due <= now)
        return sorted(found, key=lambda each: each.position)[:limit]

    def next_due(self) -> datetime | None:
        """Return when the next attempt is due; None if nothing waits."""
        return min((each.due or EPOCH for each in self.waiting.values()), default=None)


class Outstanding(msgspec.Struct, frozen=True):
    """An event that a reactor has not handled: it waits for its next attempt, or is parked with the traceback."""

    position: int
    state: Literal["waiting", "parked"]
    attempts: int
    error: str | None
    due: datetime | None = None
    traceback: str | None = None


class ReactorStatus(msgspec.Struct, frozen=True):
    """The progress of a reactor.

    `lag` is how many positions the log has from the first event on that the reactor has not received yet, `behind` the
    time of that event; 0 and None if there is none.
    """

    name: str
    position: int
    lag: int
    behind: datetime | None
    outstanding: tuple[Outstanding, ...]
    in_order: bool

    @property
    def waiting(self) -> tuple[Outstanding, ...]:
        """The events that wait for another attempt."""
        return tuple(each for each in self.outstanding if each.state == "waiting")

    @property
    def parked(self) -> tuple[Outstanding, ...]:
        """The events that wait for a person to retry or skip them."""
        return tuple(each for each in self.outstanding if each.state == "parked")

    @property
    def state(self) -> Literal["running", "waiting", "parked"]:
        """`parked` if an event is parked, else `waiting` if one waits, else `running`."""
        return "parked" if self.parked else "waiting" if self.waiting else "running"


def _without(waiting: dict[int, Waiting], *positions: int) -> dict[int, Waiting]:
    return {at: each for at, each in waiting.items() if at not in positions}
