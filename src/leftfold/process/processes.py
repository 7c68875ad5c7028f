"""Processes: what a live app can be asked about its process managers, and the verbs retry and cancel."""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from leftfold.errors import Conflict, InstanceEnded, InstanceNotParked, UnknownInstance
from leftfold.model.criteria import criteria
from leftfold.model.metadata import Metadata, encode_metadata, present_metadata
from leftfold.model.record import NewEvent
from leftfold.model.registry import Registry
from leftfold.process.events import ProcessCancelled, ProcessParked, ProcessReacted, ProcessRetried, ProcessSkipped
from leftfold.process.instance import Instance, Progress, Step
from leftfold.process.manager import Key, Outbox, ProcessDefinition
from leftfold.store.contract import AppendCondition, EventStore

ABOUT_INSTANCES = criteria(ProcessReacted, ProcessParked, ProcessRetried, ProcessSkipped, ProcessCancelled)
[WRITTEN] = ABOUT_INSTANCES.items

log = logging.getLogger("leftfold.processes")


class Processes:
    """Reads the state and the progress of instances from the log; keeps nothing."""

    def __init__(self, store: EventStore, registry: Registry) -> None:
        self.store = store
        self.registry = registry

    def __repr__(self) -> str:
        return f"<Processes of {self.store!r}>"

    async def progress(self, definition: ProcessDefinition, key: Key) -> tuple[Progress, int]:
        """How far an instance has come, under the name that it began with, and the position at which this is true."""
        found, position = Progress(definition.instance(key)), 0
        async for events, through in self._written(definition, key):
            position = through
            for event in events:
                found = replace(found, instance=event.instance).evolve(event)
        return found, position

    async def instance(self, definition: ProcessDefinition, key: Key) -> Instance:
        """An instance with its history."""
        progress, head = await self.progress(definition, key)
        written = [event async for events, _ in self._written(definition, key) for event in events]
        answers = {event.position: tuple(event.tickets) for event in written if isinstance(event, ProcessReacted)}
        state, steps = definition.fold.start(key), list[Step]()
        own = self.registry.stored(definition.fold.criteria(key))
        async for batch in self.store.read(own, upto=head):
            for stored in batch.events:
                if progress.parked is not None and stored.position >= progress.parked:
                    break
                if stored.position in progress.skipped:
                    continue
                event = self.registry.decode(stored)
                state = definition.fold.step(state, event, stored.position)
                steps.append(Step(stored.position, event, state, answers.get(stored.position, ())))
        return Instance(state, progress, tuple(steps))

    async def all(self, definitions: Iterable[ProcessDefinition]) -> list[Progress]:
        """Every instance that answered something or is parked, in the order in which they began."""
        chosen = list(definitions)
        found: dict[str, Progress] = {}
        async for batch in self.store.read(ABOUT_INSTANCES):
            for event in self.registry.decode_all(batch.events):
                name: str = event.instance
                if any(each.has(name) for each in chosen):
                    found[name] = found.get(name, Progress(name)).evolve(event)
        return list(found.values())

    async def retry(self, definition: ProcessDefinition, key: Key, metadata: Metadata | None) -> None:
        """Let a parked instance go on; `InstanceNotParked` when it is not."""
        position = await self._go_on(ProcessRetried, definition, key, metadata)
        log.info("%s is retried at position %d", definition.instance(key), position)

    async def skip(self, definition: ProcessDefinition, key: Key, metadata: Metadata | None) -> None:
        """Let a parked instance go on after the event at which it is parked; `InstanceNotParked` when it is not."""
        position = await self._go_on(ProcessSkipped, definition, key, metadata)
        log.warning("%s leaves out the event at position %d", definition.instance(key), position)

    async def _go_on(
        self,
        kind: type[ProcessRetried] | type[ProcessSkipped],
        definition: ProcessDefinition,
        key: Key,
        metadata: Metadata | None,
    ) -> int:
        said = present_metadata() if metadata is None else metadata.over(present_metadata())
        while True:
            progress, position = await self.progress(definition, key)
            if progress.parked is None or progress.ended:
                raise InstanceNotParked(progress.instance, progress.standing)
            wanted = self.registry.encode(kind(progress.instance, progress.parked), encode_metadata(said))
            if await self._say([wanted], definition, key, position):
                return progress.parked

    async def cancel(self, definition: ProcessDefinition, key: Key, outbox: Outbox, metadata: Metadata | None) -> None:
        """Let an instance answer nothing more, and cancel what it submitted; `InstanceEnded` when it has ended."""
        said = present_metadata() if metadata is None else metadata.over(present_metadata())
        while True:
            progress, position = await self.progress(definition, key)
            instance = progress.instance
            if progress.ended:
                raise InstanceEnded(instance, progress.standing)
            if not progress.reacted and not await self._concerned(definition, key):
                raise UnknownInstance(instance)
            tickets = list(await outbox.open_of(progress.tickets))
            cancelled = self.registry.encode(ProcessCancelled(instance, tickets), encode_metadata(said))
            records = [cancelled, *(outbox.cancellation(ticket, said) for ticket in tickets)]
            if await self._say(records, definition, key, position):
                log.warning("%s is cancelled: %s", instance, said.reason)
                return

    async def is_parked_as_before(self, parked: ProcessParked) -> bool:
        """Say whether the newest parking of an instance repeats the one before it: same event, same error."""
        read = self.store.read(
            criteria(ProcessParked, tags=[f"leftfold.process:{parked.instance}"]), limit=2, reverse=True
        )
        events = [event async for batch in read for event in self.registry.decode_all(batch.events)]
        before = events[1:]
        return [(each.position, each.error) for each in before] == [(parked.position, parked.error)]

    async def _concerned(self, definition: ProcessDefinition, key: Key) -> bool:
        own = self.registry.stored(definition.fold.criteria(key))
        return any([batch.events async for batch in self.store.read(own, limit=1)])

    async def _say(self, records: Sequence[NewEvent], definition: ProcessDefinition, key: Key, position: int) -> bool:
        """Append what someone wants, unless something was said of the instance since it was read."""
        try:
            await self.store.append(records, condition=AppendCondition(definition.about(WRITTEN.types, key), position))
        except Conflict:
            return False
        return True

    async def _written(self, definition: ProcessDefinition, key: Key) -> AsyncIterator[tuple[list[Any], int]]:
        """What was written about an instance, batch by batch, and how far each goes.

        A former name may be that of another instance too; then the event at which it was written tells whose it is.
        """
        name = definition.instance(key)
        async for batch in self.store.read(definition.about(WRITTEN.types, key)):
            events = self.registry.decode_all(batch.events)
            yield (
                [each for each in events if each.instance == name or await self._is_of(definition, key, each)],
                batch.through,
            )

    async def _is_of(self, definition: ProcessDefinition, key: Key, event: Any) -> bool:
        if isinstance(event, ProcessCancelled):
            return True
        own = self.registry.stored(definition.fold.criteria(key))
        return any(
            [batch.events async for batch in self.store.read(own, after=event.position - 1, upto=event.position)]
        )
