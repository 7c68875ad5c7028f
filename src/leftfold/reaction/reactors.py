"""Reactors of a live app: how far they have come, and the verbs retry and skip."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from leftfold.errors import Conflict, EventNotWaiting, UnknownReactor
from leftfold.follow.taken_types import names_taken
from leftfold.model.criteria import Criteria, criteria
from leftfold.model.metadata import Metadata, encode_metadata, present_metadata
from leftfold.model.record import NewEvent, StoredEvent
from leftfold.model.registry import Registry
from leftfold.reaction.events import (
    REACTOR_EVENTS,
    ReactorCheckpoint,
    ReactorParked,
    ReactorPostponed,
    ReactorRetried,
    ReactorSkipped,
)
from leftfold.reaction.progress import Outstanding, ReactorProgress, ReactorStatus
from leftfold.reaction.reactor import ReactorDefinition
from leftfold.store.contract import AppendCondition, EventStore, OwnKey

WAITING = 1_000  # events of a reactor that wait at a time: it then reads no further

log = logging.getLogger("leftfold.reactors")


class Reactors:
    """Reads from the log how far reactors have come; keeps nothing."""

    def __init__(self, store: EventStore, registry: Registry, definitions: Mapping[str, ReactorDefinition]) -> None:
        self.store = store
        self.registry = registry
        self.definitions = definitions

    def __repr__(self) -> str:
        return f"<Reactors of {self.store!r}>"

    def named(self, name: str) -> ReactorDefinition:
        """The reactor of this name; `UnknownReactor` when there is none."""
        found = self.definitions.get(name)
        if found is None:
            raise UnknownReactor(name, sorted(self.definitions))
        return found

    async def begin(self, definition: ReactorDefinition) -> None:
        """Note where a reactor begins that is not concerned by what is in the log already; done once for a log."""
        if definition.start == "from_now" and await self._checkpoint(definition) is None:
            taken = names_taken(self.registry, (event.wire for event in definition.events))
            first = ReactorCheckpoint(definition.name, await self.store.head(), [], taken)
            key = OwnKey(f"leftfold.reactor/{definition.name}", b"")
            await self.store.append([self.registry.encode(first, b"{}")], key=key)

    async def progress(self, definition: ReactorDefinition) -> tuple[ReactorProgress, int]:
        """How far a reactor has come, and the position at which this is true."""
        newest = await self._checkpoint(definition)
        through = 0 if newest is None else newest.position - 1
        events, through = await self.about(definition, through)
        begins_now = newest is None and definition.start == "from_now"
        progress = ReactorProgress(through if begins_now else 0)
        for event in events:
            progress = progress.evolve(event)
        return progress, through

    async def about(self, definition: ReactorDefinition, after: int) -> tuple[list[Any], int]:
        """What was said of a reactor after a position, and how far that reading went."""
        events: list[Any] = []
        async for batch in self.store.read(about(definition.name), after=after):
            events += self.registry.decode_all(batch.events)
            after = batch.through
        return events, after

    async def all(self) -> list[ReactorStatus]:
        """Every reactor as it stands."""
        return [await self.status(definition) for definition in self.definitions.values()]

    async def status(self, definition: ReactorDefinition) -> ReactorStatus:
        """One reactor as it stands. Reads all that was ever said of events that it could not react to."""
        progress, head = await self.progress(definition)
        first = await self._first_after(definition, progress.position)
        lag, behind = (0, None) if first is None else (max(head - first.position + 1, 1), first.time)
        outstanding = tuple((await self._outstanding(definition, progress)).values())
        return ReactorStatus(definition.name, progress.position, lag, behind, outstanding, definition.in_order)

    async def retry(self, name: str, position: int | None, metadata: Metadata | None) -> int:
        """Try a parked or waiting event again at once, or as many parked ones as can wait; how many these are."""
        while True:
            definition = self.named(name)
            progress, known = await self.progress(definition)
            outstanding = await self._outstanding(definition, progress)
            if position is None:
                parked = [each.position for each in outstanding.values() if each.state == "parked"]
                chosen = parked[: max(WAITING - len(progress.waiting), 0)]
            else:
                chosen = [_expected(definition, position, outstanding)]
            if not chosen or await self._say((ReactorRetried(name, each) for each in chosen), name, known, metadata):
                for each in chosen:
                    log.info("%s retries the event at position %d", name, each)
                return len(chosen)

    async def skip(self, name: str, position: int, metadata: Metadata | None) -> None:
        """Leave a parked or waiting event without a reaction, for good."""
        while True:
            definition = self.named(name)
            progress, known = await self.progress(definition)
            at = _expected(definition, position, await self._outstanding(definition, progress))
            if await self._say([ReactorSkipped(name, at)], name, known, metadata):
                log.warning("%s skips the event at position %d: %s", name, at, metadata and metadata.reason)
                return

    async def parked_before(self, definition: ReactorDefinition) -> dict[int, str]:
        """The error of each event that the reactor has ever parked, the newest one, by position."""
        read = self.store.read(criteria(ReactorParked, tags=[_tag(definition)]))
        return {event.position: event.error async for batch in read for event in self.registry.decode_all(batch.events)}

    async def _say(self, events: Iterable[Any], name: str, known: int, metadata: Metadata | None) -> bool:
        """Append what someone wants, unless something else was said meanwhile."""
        said = present_metadata() if metadata is None else metadata.over(present_metadata())
        records: list[NewEvent] = [self.registry.encode(event, encode_metadata(said)) for event in events]
        try:
            await self.store.append(records, condition=AppendCondition(about(name), known))
        except Conflict:
            return False
        return True

    async def _outstanding(self, definition: ReactorDefinition, progress: ReactorProgress) -> dict[int, Outstanding]:
        """Events without a reaction, by position; their errors are in the log, not in the progress."""
        found: dict[int, Outstanding] = {}
        troubles = criteria(ReactorPostponed, ReactorParked, ReactorRetried, ReactorSkipped, tags=[_tag(definition)])
        async for batch in self.store.read(troubles):
            for event in self.registry.decode_all(batch.events):
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

    async def _first_after(self, definition: ReactorDefinition, position: int) -> StoredEvent | None:
        wanted = self.registry.stored(criteria(*definition.owners))
        async for batch in self.store.read(wanted, after=position, limit=1):
            for stored in batch.events:
                return stored
        return None

    async def _checkpoint(self, definition: ReactorDefinition) -> StoredEvent | None:
        async for batch in self.store.read(checkpoints_of(definition), limit=1, reverse=True):
            for stored in batch.events:
                return stored
        return None


def about(name: str) -> Criteria:
    """What is said of a reactor."""
    return criteria(*REACTOR_EVENTS, tags=[f"leftfold.reactor:{name}"])


def checkpoints_of(definition: ReactorDefinition) -> Criteria:
    """The checkpoints of a reactor."""
    return criteria(ReactorCheckpoint, tags=[_tag(definition)])


def _tag(definition: ReactorDefinition) -> str:
    return f"leftfold.reactor:{definition.name}"


def _expected(definition: ReactorDefinition, position: int, outstanding: Mapping[int, Outstanding]) -> int:
    if position not in outstanding:
        raise EventNotWaiting(definition.name, position, len(outstanding))
    return position
