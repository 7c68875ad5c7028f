"""Status: where a live app stands, and what needs the attention of a person."""

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import Any

import msgspec

from leftfold.audit import TypeMismatch
from leftfold.command import CommandCounts
from leftfold.command.submitted.events import CommandCancelled, CommandFailed, CommandRetried
from leftfold.model.criteria import criteria
from leftfold.model.registry import Registry
from leftfold.process.events import ProcessCancelled, ProcessParked, ProcessRetried, ProcessSkipped
from leftfold.query import CacheStatus, ModelStatus
from leftfold.reaction.events import ReactorParked, ReactorRetried, ReactorSkipped
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


class WorkerStatus(msgspec.Struct, frozen=True):
    """A worker in the background: what it is, where, and what it ran into, if it waits because of that."""

    name: str
    state: str
    running: bool
    trouble: str | None


class Status(msgspec.Struct, frozen=True):
    """A live app at one moment. `head` is the position of the newest event; `caches` is for cached answers.

    `mismatches` are what the app did not know of the log when it was opened.
    `attention` counts what failed for good: submitted commands, instances of processes, events of reactors.
    `snapshots` says why snapshots of decision models are not kept beside the log, if they are not as they should be.
    """

    app: str
    head: int
    read_models: tuple[ModelStatus, ...]
    workers: tuple[WorkerStatus, ...]
    commands: CommandCounts
    caches: tuple[CacheStatus, ...]
    mismatches: tuple[TypeMismatch, ...] = ()
    attention: NeedsAttention = NeedsAttention()
    snapshots: str | None = None
