"""Processes: what a live app can be asked about its process managers, and the one verb, retry."""

from collections.abc import Iterable

from leftfold.criteria import Criteria, Item, criteria
from leftfold.errors import Conflict, InstanceNotParked
from leftfold.metadata import Metadata, encode_metadata, present_metadata
from leftfold.process.definition import Key, ProcessDefinition
from leftfold.process.instance import Instance, Progress, Step
from leftfold.process.process_events import ProcessParked, ProcessReacted, ProcessRetried
from leftfold.registry import Registry
from leftfold.store.contract import AppendCondition, EventStore

ABOUT_INSTANCES = criteria(ProcessReacted, ProcessParked, ProcessRetried)
[WRITTEN] = ABOUT_INSTANCES.items


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
                state = definition.fold.evolve(state, event)
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
            if progress.parked is None:
                raise InstanceNotParked(instance, progress.standing)
            retried = ProcessRetried(instance, progress.parked)
            record = self.registry.encode(retried, encode_metadata(said))
            try:
                await self.store.append([record], condition=AppendCondition(_about(instance), position))
            except Conflict:
                continue
            return

    async def _answers(self, instance: str) -> list[ProcessReacted]:
        read = self.store.read(criteria(ProcessReacted, tags=[f"leftfold.process:{instance}"]))
        return [event async for batch in read for event in self.registry.decode_all(batch.events)]


def _about(instance: str) -> Criteria:
    return Criteria(Item(WRITTEN.types, [f"leftfold.process:{instance}"]))
