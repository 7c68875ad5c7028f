"""Process instances: their state and progress, read from the log, and the verbs retry, skip and cancel."""

import logging
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from leftfold.errors import AlreadyEnded, NotParked, UnknownName
from leftfold.follow.journal import Journal, requested
from leftfold.model.criteria import criteria
from leftfold.model.metadata import Metadata
from leftfold.model.registry import Registry
from leftfold.process.events import (
    ProcessCancelled,
    ProcessParked,
    ProcessReacted,
    ProcessRetried,
    ProcessSkipped,
)
from leftfold.process.manager import Key, Outbox, ProcessDefinition
from leftfold.store.contract import AppendCondition, EventStore

ABOUT_INSTANCES = criteria(ProcessReacted, ProcessParked, ProcessRetried, ProcessSkipped, ProcessCancelled)
[RECORDED] = ABOUT_INSTANCES.items

log = logging.getLogger("leftfold.processes")


InstanceState = Literal["running", "parked", "done", "cancelled"]


class ProcessProgress(msgspec.Struct, frozen=True):
    """How far an instance has come: a fold of the events that its process recorded about it.

    `reacted` is the position of the newest event that it answered with an action, `parked` that of the event it could
    not answer, with its `error` and `traceback`. `names` has the tickets of commands that were scheduled under a name.
    `skipped` has the positions of events that were skipped. An instance that answers a later event is not `done` any
    more.
    """

    instance: str
    reacted: int = 0
    done: bool = False
    cancelled: bool = False
    parked: int | None = None
    error: str | None = None
    traceback: str | None = None
    retries: int = 0
    names: dict[str, str] = {}
    tickets: tuple[str, ...] = ()
    skipped: frozenset[int] = frozenset()

    @property
    def standing(self) -> InstanceState:
        """Whether the instance still answers events."""
        if self.cancelled:
            return "cancelled"
        return "parked" if self.parked is not None else "done" if self.done else "running"

    @property
    def ended(self) -> bool:
        """Whether the instance answers nothing more."""
        return self.cancelled or (self.done and self.parked is None)

    def evolve(
        self, event: ProcessReacted | ProcessParked | ProcessRetried | ProcessSkipped | ProcessCancelled
    ) -> "ProcessProgress":
        """Fold one event."""
        match event:
            case ProcessReacted(position=position, tickets=tickets, names=names, done=done):
                return replace(
                    self,
                    reacted=position,
                    done=done,
                    names=self.names | names,
                    tickets=(*self.tickets, *tickets),
                )
            case ProcessParked(position=position, error=error, traceback=traceback):
                return replace(self, parked=position, error=error, traceback=traceback or None)
            case ProcessRetried():
                retries = self.retries + 1
                return replace(self, parked=None, error=None, traceback=None, retries=retries)
            case ProcessSkipped(position=position):
                skipped = self.skipped | {position}
                return replace(self, parked=None, error=None, traceback=None, skipped=skipped)
            case ProcessCancelled():
                return replace(self, cancelled=True)


class RecordedReaction(msgspec.Struct, frozen=True):
    """An event in an instance's history, the state after it, and the tickets of what it was answered with."""

    position: int
    event: Any
    state: Any
    tickets: tuple[str, ...] = ()


class ProcessInstance(msgspec.Struct, frozen=True):
    """An instance: its state, its progress and its history."""

    state: Any
    progress: ProcessProgress
    history: tuple[RecordedReaction, ...]


class Processes:
    """Reads the state and the progress of instances from the log; keeps nothing."""

    def __init__(self, store: EventStore, registry: Registry) -> None:
        self.journal = Journal(store, registry)

    def __repr__(self) -> str:
        return f"<Processes of {self.journal.store!r}>"

    async def progress(self, definition: ProcessDefinition, key: Key) -> tuple[ProcessProgress, int]:
        """Return how far an instance has come, under the name that it began with, and up to which position."""
        events, position = await self._recorded(definition, key)
        found = ProcessProgress(definition.instance(key))
        for event in events:
            found = replace(found, instance=event.instance).evolve(event)
        return found, position

    async def instance(self, definition: ProcessDefinition, key: Key) -> ProcessInstance:
        """Return an instance with its history."""
        progress, head = await self.progress(definition, key)
        recorded, _ = await self._recorded(definition, key)
        answers = {event.position: tuple(event.tickets) for event in recorded if isinstance(event, ProcessReacted)}
        state, steps = definition.fold.start(key), list[RecordedReaction]()
        registry = self.journal.registry
        async for batch in self.journal.store.read(registry.stored(definition.fold.criteria(key)), upto=head):
            for stored in batch.events:
                if progress.parked is not None and stored.position >= progress.parked:
                    break
                if stored.position in progress.skipped:
                    continue
                event = registry.decode(stored)
                state = definition.fold.step(state, event, stored)
                steps.append(RecordedReaction(stored.position, event, state, answers.get(stored.position, ())))
        return ProcessInstance(state, progress, tuple(steps))

    async def all(self, definitions: Iterable[ProcessDefinition]) -> list[ProcessProgress]:
        """Return every instance that answered an event or is parked, in the order in which they began."""
        chosen = list(definitions)
        found: dict[str, ProcessProgress] = {}
        async for batch in self.journal.store.read(ABOUT_INSTANCES):
            for event in self.journal.registry.decode_all(batch.events):
                name: str = event.instance
                if any(each.has(name) for each in chosen):
                    found[name] = found.get(name, ProcessProgress(name)).evolve(event)
        return list(found.values())

    async def retry(self, definition: ProcessDefinition, key: Key, metadata: Metadata | None) -> None:
        """Let a parked instance try again; `NotParked` if it is not parked."""
        position = await self._unpark(ProcessRetried, definition, key, metadata)
        log.info("%s retries the event at position %d", definition.instance(key), position)

    async def skip(self, definition: ProcessDefinition, key: Key, metadata: Metadata | None) -> None:
        """Let a parked instance skip the event at which it is parked; `NotParked` if it is not parked."""
        position = await self._unpark(ProcessSkipped, definition, key, metadata)
        log.warning("%s skips the event at position %d", definition.instance(key), position)

    async def _unpark(
        self,
        kind: type[ProcessRetried] | type[ProcessSkipped],
        definition: ProcessDefinition,
        key: Key,
        metadata: Metadata | None,
    ) -> int:
        while True:
            progress, position = await self.progress(definition, key)
            if progress.parked is None or progress.ended:
                raise NotParked(f"process {definition.name}", key, state=progress.standing)
            unchanged = AppendCondition(definition.about(RECORDED.types, key), position)
            wanted = kind(progress.instance, progress.parked)
            if await self.journal.record([wanted], requested(metadata), unchanged):
                return progress.parked

    async def cancel(self, definition: ProcessDefinition, key: Key, outbox: Outbox, metadata: Metadata | None) -> None:
        """Let an instance answer nothing more, and cancel what it submitted; `AlreadyEnded` if it has ended."""
        while True:
            progress, position = await self.progress(definition, key)
            instance = progress.instance
            if progress.ended:
                raise AlreadyEnded("cancel", f"the process {instance}", progress.standing)
            own = self.journal.registry.stored(definition.fold.criteria(key))
            if not progress.reacted and not await self.journal.stored(own, limit=1):
                raise UnknownName("process instance", instance)
            tickets = list(await outbox.open_of(progress.tickets))
            events = [ProcessCancelled(instance, tickets), *map(outbox.cancellation, tickets)]
            unchanged = AppendCondition(definition.about(RECORDED.types, key), position)
            if await self.journal.record(events, wanted := requested(metadata), unchanged):
                log.warning("%s is cancelled: %s", instance, wanted.reason)
                return

    async def key_of(self, definition: ProcessDefinition, instance: str, position: int) -> Key | None:
        """Return the key of an instance, whatever its name is, from an event that concerns it; None if none fits."""
        stored = await self.journal.at(position)
        keys = definition.keys_of_stored(self.journal.decoded(stored), stored.tags)
        return next((key for key in keys if instance in definition.names(key)), None)

    async def is_parked_as_before(self, parked: ProcessParked) -> bool:
        """Tell whether the newest parking of an instance repeats the one before it: same event, same error."""
        parkings = criteria(ProcessParked, tags=[f"leftfold.process:{parked.instance}"])
        before = (await self.journal.newest(parkings, 2))[1:]
        return [(each.position, each.error) for each in before] == [(parked.position, parked.error)]

    async def _recorded(self, definition: ProcessDefinition, key: Key) -> tuple[list[Any], int]:
        """Return what was recorded about an instance, and the position up to which this is all.

        Another instance may have the former name of this one; then the event that was answered tells which is meant.
        """
        name = definition.instance(key)
        events, through = await self.journal.read(definition.about(RECORDED.types, key))
        return [each for each in events if each.instance == name or await self._is_of(definition, key, each)], through

    async def _is_of(self, definition: ProcessDefinition, key: Key, event: Any) -> bool:
        if isinstance(event, ProcessCancelled):
            return True
        own = self.journal.registry.stored(definition.fold.criteria(key))
        return bool(await self.journal.stored(own, after=event.position - 1, upto=event.position))
