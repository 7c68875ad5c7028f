"""Attention: what failed for good and waits for a person, kept up from the log."""

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import Any

import msgspec

from leftfold.command.inbox_events import CommandCancelled, CommandFailed, CommandRetried
from leftfold.criteria import criteria
from leftfold.process.process_events import ProcessCancelled, ProcessParked, ProcessRetried, ProcessSkipped
from leftfold.process.reactor_events import ReactorParked, ReactorRetried, ReactorSkipped
from leftfold.registry import Registry
from leftfold.store.contract import EventStore

FAILURES = criteria(
    CommandFailed,
    CommandRetried,
    CommandCancelled,
    ProcessParked,
    ProcessRetried,
    ProcessSkipped,
    ProcessCancelled,
    ReactorParked,
    ReactorRetried,
    ReactorSkipped,
)


class NeedsAttention(msgspec.Struct, frozen=True):
    """How many submitted commands failed for good, and how many instances and events are parked, by their name."""

    failed_commands: int = 0
    parked_instances: dict[str, int] = {}
    parked_reactions: dict[str, int] = {}

    @property
    def lines(self) -> tuple[str, ...]:
        """A sentence for each, none where nothing waits."""
        return (
            *([f"commands: {self.failed_commands} failed"] if self.failed_commands else ()),
            *(f"process {name}: {count} instances parked" for name, count in self.parked_instances.items()),
            *(f"reactor {name}: {count} events parked" for name, count in self.parked_reactions.items()),
        )


class Attention:
    """Counts what waits for a person. Each look reads only the failures, retries and skips that are new."""

    def __init__(
        self, store: EventStore, registry: Registry, processes: Collection[str], reactors: Collection[str]
    ) -> None:
        self._store = store
        self._registry = registry
        self._processes = processes
        self._reactors = reactors
        self._position = 0
        self._failed: set[str] = set()
        self._parked: set[str] = set()
        self._unreacted: set[tuple[str, int]] = set()
        self._reading = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Attention at {self._position}>"

    async def look(self) -> NeedsAttention:
        """Count what waits now, of the processes and reactors that the app has."""
        async with self._reading:
            async for batch in self._store.read(FAILURES, after=self._position, data_only=True):
                for event in self._registry.decode_all(batch.events):
                    self._take(event)
                self._position = batch.through
        instances = Counter(instance.partition("/")[0].removesuffix("~") for instance in self._parked)
        events = Counter(name for name, _ in self._unreacted)
        return NeedsAttention(
            len(self._failed),
            {name: instances[name] for name in self._processes if name in instances},
            {name: events[name] for name in self._reactors if name in events},
        )

    def _take(self, event: Any) -> None:
        match event:
            case CommandFailed(ticket=ticket):
                self._failed.add(ticket)
            case CommandRetried(ticket=ticket) | CommandCancelled(ticket=ticket):
                self._failed.discard(ticket)
            case ProcessParked(instance=instance):
                self._parked.add(instance)
            case (
                ProcessRetried(instance=instance)
                | ProcessSkipped(instance=instance)
                | ProcessCancelled(instance=instance)
            ):
                self._parked.discard(instance)
            case ReactorParked(reactor=reactor, position=position):
                self._unreacted.add((reactor, position))
            case (
                ReactorRetried(reactor=reactor, position=position) | ReactorSkipped(reactor=reactor, position=position)
            ):
                self._unreacted.discard((reactor, position))
            case _:
                pass
