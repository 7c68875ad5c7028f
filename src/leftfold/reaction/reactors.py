"""Reactors: their progress, read from the log, and the verbs retry and skip."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from leftfold.errors import NotParked, UnknownName
from leftfold.follow.journal import Journal, requested
from leftfold.follow.taken_types import names_taken
from leftfold.model.clock import EPOCH
from leftfold.model.criteria import Criteria, criteria
from leftfold.model.metadata import Metadata
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.reaction.events import (
    REACTOR_EVENTS,
    ReactorCheckpoint,
    ReactorParked,
    ReactorPostponed,
    ReactorReacted,
    ReactorRetried,
    ReactorSkipped,
    Waiting,
)
from leftfold.reaction.reactor import ReactorDefinition
from leftfold.store.contract import AppendCondition, EventStore, OwnKey

MAX_WAITING_EVENTS = 1_000  # of a reactor: with more it reads no further

log = logging.getLogger("leftfold.reactors")


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


class Reactors:
    """Reads from the log how far reactors have come; keeps nothing."""

    def __init__(self, store: EventStore, registry: Registry, definitions: Mapping[str, ReactorDefinition]) -> None:
        self.journal = Journal(store, registry)
        self.definitions = definitions

    def __repr__(self) -> str:
        return f"<Reactors of {self.journal.store!r}>"

    def named(self, name: str) -> ReactorDefinition:
        """Return the reactor of this name; `UnknownName` if there is none."""
        found = self.definitions.get(name)
        if found is None:
            raise UnknownName("reactor", name, sorted(self.definitions))
        return found

    async def begin(self, definition: ReactorDefinition) -> None:
        """Record where a reactor begins that ignores what is in the log already; done once for a log."""
        if definition.start == "from_now" and await self._checkpoint(definition) is None:
            taken = names_taken(self.journal.registry, (event.wire for event in definition.events))
            first = ReactorCheckpoint(definition.name, await self.journal.store.head(), [], taken)
            key = OwnKey(f"leftfold.reactor/{definition.name}", b"")
            await self.journal.store.append(self.journal.encode([first]), key=key)

    async def progress(self, definition: ReactorDefinition) -> tuple[ReactorProgress, int]:
        """Return how far a reactor has come, and the position at which this is true."""
        newest = await self._checkpoint(definition)
        through = 0 if newest is None else newest.position - 1
        events, through = await self.journal.read(about(definition.name), after=through)
        begins_now = newest is None and definition.start == "from_now"
        progress = ReactorProgress(through if begins_now else 0)
        for event in events:
            progress = progress.evolve(event)
        return progress, through

    async def all(self) -> list[ReactorStatus]:
        """Return the status of every reactor."""
        return [await self.status(definition) for definition in self.definitions.values()]

    async def status(self, definition: ReactorDefinition) -> ReactorStatus:
        """Return the status of one reactor. Reads everything recorded of events that it failed to handle."""
        progress, head = await self.progress(definition)
        wanted = self.journal.registry.stored(criteria(*definition.owners))
        unread = await self.journal.stored(wanted, after=progress.position, limit=1)
        lag, behind = (max(head - unread[0].position + 1, 1), unread[0].time) if unread else (0, None)
        outstanding = tuple((await self._outstanding(definition, progress)).values())
        return ReactorStatus(definition.name, progress.position, lag, behind, outstanding, definition.in_order)

    async def retry(self, name: str, position: int | None, metadata: Metadata | None) -> int:
        """Try a parked or waiting event again at once, or as many parked events as may wait; return how many."""
        while True:
            definition = self.named(name)
            progress, known = await self.progress(definition)
            outstanding = await self._outstanding(definition, progress)
            if position is None:
                parked = [each.position for each in outstanding.values() if each.state == "parked"]
                chosen = parked[: max(MAX_WAITING_EVENTS - len(progress.waiting), 0)]
            else:
                chosen = [_expected(definition, position, outstanding)]
            if not chosen or await self._record((ReactorRetried(name, each) for each in chosen), name, known, metadata):
                for each in chosen:
                    log.info("%s retries the event at position %d", name, each)
                return len(chosen)

    async def skip(self, name: str, position: int, metadata: Metadata | None) -> None:
        """Skip a parked or waiting event for good."""
        while True:
            definition = self.named(name)
            progress, known = await self.progress(definition)
            at = _expected(definition, position, await self._outstanding(definition, progress))
            if await self._record([ReactorSkipped(name, at)], name, known, metadata):
                log.warning("%s skips the event at position %d: %s", name, at, metadata and metadata.reason)
                return

    async def parked_before(self, definition: ReactorDefinition) -> dict[int, str]:
        """Return the newest error of each event that the reactor has ever parked, by position."""
        events, _ = await self.journal.read(criteria(ReactorParked, tags=[_tag(definition)]))
        return {event.position: event.error for event in events}

    async def _record(self, events: Iterable[Any], name: str, known: int, metadata: Metadata | None) -> bool:
        return await self.journal.record(events, requested(metadata), AppendCondition(about(name), known))

    async def _outstanding(self, definition: ReactorDefinition, progress: ReactorProgress) -> dict[int, Outstanding]:
        """Events that were not handled, by position; their errors are in the log, not in the progress."""
        found: dict[int, Outstanding] = {}
        troubles = criteria(ReactorPostponed, ReactorParked, ReactorRetried, ReactorSkipped, tags=[_tag(definition)])
        async for batch in self.journal.store.read(troubles):
            for event in self.journal.registry.decode_all(batch.events):
                match event:
                    case ReactorPostponed(position=at, attempt=attempt, error=error, due=due):
                        found[at] = Outstanding(at, "waiting", attempt, error, due)
                    case ReactorParked(position=at, attempt=attempt, error=error, traceback=traceback):
                        found[at] = Outstanding(at, "parked", attempt, error, traceback=traceback or None)
                    case ReactorRetried(position=at) if at in found:
                        found[at] = Outstanding(at, "waiting", 0, found[at].error)
                    case _:
                        found.pop(event.position, None)
            waiting = progress.waiting
            found = {at: each for at, each in found.items() if each.state == "parked" or at in waiting}
        return dict(sorted(found.items()))

    async def _checkpoint(self, definition: ReactorDefinition) -> StoredEvent | None:
        return next(iter(await self.journal.stored(checkpoints_of(definition), limit=1, reverse=True)), None)


def about(name: str) -> Criteria:
    """Return the criteria of what is recorded about a reactor."""
    return criteria(*REACTOR_EVENTS, tags=[f"leftfold.reactor:{name}"])


def checkpoints_of(definition: ReactorDefinition) -> Criteria:
    """Return the criteria of a reactor's checkpoints."""
    return criteria(ReactorCheckpoint, tags=[_tag(definition)])


def _tag(definition: ReactorDefinition) -> str:
    return f"leftfold.reactor:{definition.name}"


def _expected(definition: ReactorDefinition, position: int, outstanding: Mapping[int, Outstanding]) -> int:
    if position not in outstanding:
        raise NotParked(f"reactor {definition.name}", (position,), len(outstanding))
    return position


def _without(waiting: dict[int, Waiting], *positions: int) -> dict[int, Waiting]:
    return {at: each for at, each in waiting.items() if at not in positions}
