"""WorkerLease: the time in which this process does a worker's work, from when it takes the lease until it loses it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated

from leftfold.errors import Conflict, LeaseLost, LeftfoldError
from leftfold.follow.lease import Terms
from leftfold.follow.lease_holder import LeaseHolder
from leftfold.follow.lease_store import Entry, LeaseStore
from leftfold.model.criteria import Criteria, criteria
from leftfold.model.message import Event
from leftfold.model.registry import Registry
from leftfold.model.tag import Tag
from leftfold.store.contract import AppendCondition, EventStore
from leftfold.store.fencing import FencedStore

LONGEST_HOLDER = 1_000  # characters that are kept of it
Trouble = LeftfoldError | None


class WorkerReplaced(Event, wire="leftfold.worker.replaced"):
    """A process took over a worker's work from one that had not given it up: nothing that one appends is accepted."""

    worker: Annotated[str, Tag("leftfold.worker")]
    holder: str
    former: str


def fence_of(name: str) -> Criteria:
    """The events by which others take over this worker's work."""
    return criteria(WorkerReplaced, tags=[f"leftfold.worker:{name}"])


class WorkerLease:
    """One worker's: whether the work is this process's to do, and the log as it may be written meanwhile."""

    def __init__(
        self, name: str, store: EventStore, on_refused: Callable[[str], None], trouble: Callable[[str], Trouble]
    ) -> None:
        self.name = name
        self.store = FencedStore(store, name, fence_of(name))
        self._held = asyncio.Event()
        self._decided = asyncio.Event()
        self._on_refused = on_refused
        self._trouble = trouble

    def __repr__(self) -> str:
        return f"<WorkerLease of {self.name}{', held' if self.held else ''}>"

    @property
    def held(self) -> bool:
        """Whether the work is this process's to do."""
        return self._held.is_set()

    @property
    def trouble(self) -> Trouble:
        """What keeps the work from this process although waiting will not help."""
        return self._trouble(self.name)

    async def until_held(self) -> None:
        """Return once it is."""
        await self._held.wait()

    async def until_decided(self) -> None:
        """Return once it is known whether it is, after the app was opened."""
        await self._decided.wait()

    def begin(self, token: int) -> None:
        """The work is this process's, as long as nobody takes over after this position."""
        self.store.begin(token)
        self._held.set()

    def lose(self) -> None:
        """The work is another process's."""
        self._held.clear()

    def refused(self) -> None:
        """What the worker appended was refused: another process does the work."""
        self._on_refused(self.name)

    def decide(self) -> None:
        """It has been asked for once."""
        self._decided.set()


class WorkerLeases:
    """The tenures of one app's workers on one log: their names, each with how many event types its worker takes."""

    def __init__(
        self, names: Mapping[str, int], store: EventStore, registry: Registry, book: LeaseStore, terms: Terms
    ) -> None:
        self._tenures = {name: WorkerLease(name, store, self._refused, self._trouble) for name in names}
        self._store = store
        self._registry = registry
        self._terms = terms
        self._task: asyncio.Task[None] | None = None
        self.keeper = LeaseHolder(
            book, names, terms, on_gained=self._begin, on_lost=self._lose, types=names, check=store.head
        )

    def __repr__(self) -> str:
        return f"<WorkerLeases {', '.join(map(repr, self._tenures.values()))}>"

    def of(self, name: str) -> WorkerLease:
        """The tenure of a worker."""
        return self._tenures[name]

    def start(self) -> None:
        """Take what is free, and hold it."""
        if self._tenures:
            self._task = asyncio.create_task(self._run(), name=repr(self))

    async def close(self) -> None:
        """Give it up, once the workers have stopped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(LeftfoldError):  # others then wait for the time of the lease
            await self.keeper.release()

    async def _run(self) -> None:
        try:
            await self.keeper.try_turn()
        finally:
            for tenure in self._tenures.values():
                tenure.decide()
        await self.keeper.run()

    async def _begin(self, name: str, former: Entry | None) -> None:
        """Fence off the former holder, unless it gave up the work by itself.

        The head is asked for before it is made sure that the lease is still held: whoever takes over later does so
        with an event behind it.
        """
        head = await self._store.head()
        if not await self.keeper.confirm(name):
            return
        if former is not None:
            before = former.holder.encode(errors="backslashreplace").decode()[:LONGEST_HOLDER]  # whatever stood there
            replaced = self._registry.encode(WorkerReplaced(name, self._terms.me, before), b"{}")
            try:
                condition = AppendCondition(fence_of(name), head)
                head = (await self._store.append([replaced], condition=condition)).last
            except Conflict as conflict:
                self.keeper.drop(name)
                raise LeaseLost(name) from conflict
        self._tenures[name].begin(head)

    def _trouble(self, name: str) -> Trouble:
        return self.keeper.trouble_of(name)

    def _refused(self, name: str) -> None:
        self.keeper.drop(name)
        self._tenures[name].lose()

    def _lose(self, name: str) -> None:
        self._tenures[name].lose()
