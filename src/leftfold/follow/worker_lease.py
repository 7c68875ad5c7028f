"""Worker leases: whether this process does a worker's work, and the log as the worker may write it meanwhile."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated

from leftfold.errors import Conflict, LeaseLost, LeftfoldError
from leftfold.follow.lease import LeaseTerms
from leftfold.follow.lease_holder import LeaseHolder
from leftfold.follow.lease_store import LeaseEntry, LeaseStore
from leftfold.model.criteria import Criteria, criteria
from leftfold.model.message import Event
from leftfold.model.registry import Registry
from leftfold.model.tag import Tag
from leftfold.store.contract import AppendCondition, EventStore
from leftfold.store.fencing import FencedStore

LONGEST_HOLDER = 1_000  # characters of a former holder that the log keeps


class WorkerReplaced(Event, wire="leftfold.worker.replaced"):
    """A process took over the work of one that had not released it: the log refuses what the former one appends."""

    worker: Annotated[str, Tag("leftfold.worker")]
    holder: str
    former: str


def fence_of(name: str) -> Criteria:
    """Return the events by which other processes take over this worker's work."""
    return criteria(WorkerReplaced, tags=[f"leftfold.worker:{name}"])


class WorkerLease:
    """The lease of one worker.

    `decided` is set once this process has asked for the lease, and `held` as long as it holds it. The worker appends
    to `store`, which refuses what it appends after another process has taken over.
    """

    def __init__(self, name: str, store: EventStore, holder: LeaseHolder) -> None:
        self.name = name
        self.store = FencedStore(store, name, fence_of(name))
        self.held = asyncio.Event()
        self.decided = asyncio.Event()
        self._holder = holder

    def __repr__(self) -> str:
        return f"<WorkerLease of {self.name}{', held' if self.held.is_set() else ''}>"

    @property
    def trouble(self) -> LeftfoldError | None:
        """What keeps this process from the lease although waiting will not help."""
        return self._holder.trouble_of(self.name)

    def refused(self) -> None:
        """Give up the lease, because the log refused an append: another process does the work."""
        self._holder.drop(self.name)
        self.held.clear()


class WorkerLeases:
    """The leases of one app's workers on one log, by name, each with the number of event types its worker takes."""

    def __init__(
        self, types: Mapping[str, int], store: EventStore, registry: Registry, leases: LeaseStore, terms: LeaseTerms
    ) -> None:
        self._store = store
        self._registry = registry
        self._terms = terms
        self._task: asyncio.Task[None] | None = None
        self._holder = LeaseHolder(
            leases, types, terms, on_gained=self._begin, on_lost=self._lose, types=types, check=store.head
        )
        self._leases = {name: WorkerLease(name, store, self._holder) for name in types}

    def __repr__(self) -> str:
        return f"<WorkerLeases {', '.join(map(repr, self._leases.values()))}>"

    def of(self, name: str) -> WorkerLease:
        """Return the lease of a worker."""
        return self._leases[name]

    def start(self) -> None:
        """Take the leases that are free, and hold them."""
        if self._leases:
            self._task = asyncio.create_task(self._run(), name=repr(self))

    async def close(self) -> None:
        """Release the leases, once the workers have stopped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(LeftfoldError):  # others then wait for the time of the lease
            await self._holder.release()

    async def _run(self) -> None:
        try:
            await self._holder.try_turn()
        finally:
            for lease in self._leases.values():
                lease.decided.set()
        await self._holder.run()

    async def _begin(self, name: str, former: LeaseEntry | None) -> None:
        """Fence the former holder, unless it released the lease.

        Read the head before confirming that this process still holds the lease: a process that takes over later does
        so with an event after that head.
        """
        head = await self._store.head()
        if not await self._holder.confirm(name):
            return
        if former is not None:
            before = former.holder.encode(errors="backslashreplace").decode()[:LONGEST_HOLDER]  # any text may be there
            replaced = self._registry.encode(WorkerReplaced(name, self._terms.me, before), b"{}")
            try:
                condition = AppendCondition(fence_of(name), head)
                head = (await self._store.append([replaced], condition=condition)).last
            except Conflict as conflict:
                self._holder.drop(name)
                raise LeaseLost(name) from conflict
        self._leases[name].store.begin(head)
        self._leases[name].held.set()

    def _lose(self, name: str) -> None:
        self._leases[name].held.clear()
