"""Processes: what a live app can be asked about its process managers, and the verbs retry and cancel."""

import logging
from collections.abc import Iterable, Sequence

from leftfold.criteria import Criteria, Item, criteria
from leftfold.errors import Conflict, InstanceEnded, InstanceNotParked, UnknownInstance
from leftfold.metadata import Metadata, encode_metadata, present_metadata
from leftfold.process.definition import Key, ProcessDefinition
from leftfold.process.instance import Instance, Progress, Step
from leftfold.process.outbox import Outbox
from leftfold.process.process_events import ProcessCancelled, ProcessParked, ProcessReacted, ProcessRetried
from leftfold.registry import Registry
from leftfold.store.contract import AppendCondition, EventStore, NewEvent

ABOUT_INSTANCES = criteria(ProcessReacted, ProcessParked, ProcessRetried, ProcessCancelled)
[WRITTEN] = ABOUT_INSTANCES.items

log = logging.getLogger("leftfold.processes")


class Processes:
    """Reads the state and the progress of instances from the log; keeps nothing."""

    def __init__(self, store: EventStore, registry: Registry) -> None:
        self.store = store
        self.registry = registry

    def __repr__(self) -> str:
        return f"<Processes of {self.store!r}>"

    async def progress(self, instance: str) -> tuple[Progress, int]:
        """How far an instance has come, and the position at which this is true."""
        found, through = Progress(instance), 0
        async for batch in self.store.read(_about(instance)):
            through = batch.through
            for event in self.registry.decode_all(batch.events):
                found = found.evolve(event)
        return found, through

    async def instance(self, definition: ProcessDefinition, key: Key) -> Instance:
        """An instance with its history."""
        name = definition.instance(key)
        progress, head = await self.progress(name)
        answers = {answer.position: tuple(answer.tickets) for answer in await self._answers(name)}
        state, steps = definition.fold.start(key), list[Step]()
        own = self.registry.stored(definition.fold.criteria(key))
        async for batch in self.store.read(own, upto=head):
            for stored in batch.events:
                if progress.parked is not None and stored.position >= progress.parked:
                    break
                event = self.registry.decode(stored)
                state = definition.fold.step(state, event, stored.position)
                steps.append(Step(stored.position, event, state, answers.get(stored.position, ())))
        return Instance(state, progress, tuple(steps))

    async def all(self, definitions: Iterable[ProcessDefinition]) -> list[Progress]:
        """Every instance that answered something or is parked, in the order in which they began."""
        prefixes = tuple(f"{definition.name}/" for definition in definitions)
        found: dict[str, Progress] = {}
        async for batch in self.store.read(ABOUT_INSTANCES):
            for event in self.registry.decode_all(batch.events):
                if event.instance.startswith(prefixes):
                    found[event.instance] = found.get(event.instance, Progress(event.instance)).evolve(event)
        return list(found.values())

    async def retry(self, instance: str, metadata: Metadata | None) -> None:
        """Let a parked instance go on; `InstanceNotParked` when it is not."""
        said = present_metadata() if metadata is None else metadata.over(present_metadata())
        while True:
            progress, position = await self.progress(instance)
            if progress.parked is None or progress.ended:
                raise InstanceNotParked(instance, progress.standing)
            retried = ProcessRetried(instance, progress.parked)
            if await self._say([self.registry.encode(retried, encode_metadata(said))], instance, position):
                log.info("%s is retried at position %d", instance, progress.parked)
                return

    async def cancel(self, definition: ProcessDefinition, key: Key, outbox: Outbox, metadata: Metadata | None) -> None:
        """Let an instance answer nothing more, and cancel what it submitted; `InstanceEnded` when it has ended."""
        said = present_metadata() if metadata is None else metadata.over(present_metadata())
        instance = definition.instance(key)
        while True:
            progress, position = await self.progress(instance)
            if progress.ended:
                raise InstanceEnded(instance, progress.standing)
            if not progress.reacted and not await self._concerned(definition, key):
                raise UnknownInstance(instance)
            tickets = list(await outbox.open_of(progress.tickets))
            cancelled = self.registry.encode(ProcessCancelled(instance, tickets), encode_metadata(said))
            records = [cancelled, *(outbox.cancellation(ticket, said) for ticket in tickets)]
            if await self._say(records, instance, position):
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

    async def _say(self, records: Sequence[NewEvent], instance: str, position: int) -> bool:
        """Append what someone wants, unless something was said of the instance since it was read."""
        try:
            await self.store.append(records, condition=AppendCondition(_about(instance), position))
        except Conflict:
            return False
        return True

    async def _answers(self, instance: str) -> list[ProcessReacted]:
        read = self.store.read(criteria(ProcessReacted, tags=[f"leftfold.process:{instance}"]))
        return [event async for batch in read for event in self.registry.decode_all(batch.events)]


def _about(instance: str) -> Criteria:
    return Criteria(Item(WRITTEN.types, [f"leftfold.process:{instance}"]))
