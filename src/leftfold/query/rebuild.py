"""Rebuilding a read model beside its present table, which answers queries until both are swapped."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from leftfold.errors import LeaseLost
from leftfold.follow.lease import Terms
from leftfold.follow.lease_holder import LeaseHolder
from leftfold.follow.lease_store import Entry, LeaseStore
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.query.anchors import Anchors
from leftfold.query.parking import Skips
from leftfold.query.past import OnProgress, Progress
from leftfold.query.progress import CheckpointMoved
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.rebuild_report import Rebuilt
from leftfold.query.shard import Shard
from leftfold.store.contract import Batch, EventStore

if TYPE_CHECKING:
    from leftfold.query.tables.folding import StoredFolding
    from leftfold.query.tables.models_database import ModelsDatabase
    from leftfold.query.tables.replace import Building
    from leftfold.query.tables.replace_sql import SqlReplacement

T = TypeVar("T")


class Splitting:
    """Brings the shards in which a model is stored level, and puts those that it is defined with in their place.

    Both under the leases of the former shards, which are taken only when all are free: as long as a process of the
    former number lives, it folds the model. The rows stay as they are; `attempt` is to be called now and then.
    """

    def __init__(
        self,
        definition: ReadModelDefinition,
        store: EventStore,
        registry: Registry,
        database: "ModelsDatabase",
        skips: Skips,
        writer: Executor,
        book: Callable[[Sequence[Shard]], LeaseStore],
        terms: Terms,
    ) -> None:
        self._definition = definition
        self._store = store
        self._registry = registry
        self._database = database
        self._skips = skips
        self._writer = writer
        self._book = book
        self._terms = terms
        self._former: Sequence[Shard] = ()
        self._keeper: LeaseHolder | None = None

    def __repr__(self) -> str:
        return f"<Splitting {self._definition.name} into {self._definition.shards}>"

    async def attempt(self) -> bool:
        """Do it if the model is stored otherwise, and nobody folds it; False if somebody does."""
        stored = await self._in_writer(self._database.shards, self._definition, self._store.log_id)
        if not stored or len(stored) == self._definition.shards:
            return True
        keeper = self._keeper_of(stored)
        if not await keeper.take_all():
            return False
        keeping = asyncio.create_task(keeper.run(), name=repr(self))
        try:
            await self._split(stored)
            return True
        except (LeaseLost, CheckpointMoved):
            return False  # a process of the former number folds it after all
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await keeper.release()

    def _keeper_of(self, stored: Sequence[Shard]) -> LeaseHolder:
        """The same as long as the model is stored so: it knows for how long nothing was heard of whom."""
        if self._keeper is None or self._former != stored:
            self._former = stored
            names = [shard.lease for shard in stored]
            self._keeper = LeaseHolder(self._book(stored), names, self._terms, on_gained=_note, on_lost=_note_loss)
        return self._keeper

    async def _split(self, stored: Sequence[Shard]) -> None:
        leases = {shard: (shard.lease, self._terms.me) for shard in stored}
        level = False
        while not level:
            lagging = partial(self._database.lagging, stored, self._registry.decode, self._skips, leases)
            target, foldings = await self._in_writer(lagging)
            for folding in foldings:
                await self._fold(folding, target)
            level = await self._in_writer(self._database.split, stored, leases)

    async def _fold(self, folding: "StoredFolding", target: int) -> None:
        criteria = self._registry.stored(self._definition.fold.all_criteria())
        async for batch in self._store.read(criteria, after=folding.position, upto=target):
            await self._in_writer(folding.step, batch)
        await self._in_writer(folding.step, Batch([], target))

    async def _in_writer(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, partial(work, *arguments))


async def _note(name: str, former: Entry | None) -> None:
    """Nothing is done under the lease alone."""


def _note_loss(name: str) -> None:
    """What is written under the lease is refused."""


CLOSE_ENOUGH = 1_000  # positions that are folded while the tables are locked for the swap
log = logging.getLogger("leftfold.rebuild")


class Rebuild:
    """Folds a read model again from the log, up to where its present table is, and puts the new table in its place.

    Where the present table goes on meanwhile it is followed. An interrupted rebuild goes on from where it was.
    """

    def __init__(
        self,
        definition: ReadModelDefinition,
        store: EventStore,
        registry: Registry,
        database: "ModelsDatabase",
        skips: Skips,
        writer: Executor,
        *,
        dry_run: bool = False,
        only_if_due: bool = False,
        on_progress: OnProgress | None = None,
        lease: tuple[str, str] | None = None,
    ) -> None:
        self._definition = definition
        self._lease = lease
        self._store = store
        self._registry = registry
        self._database = database
        self._skips = skips
        self._writer = writer
        self._dry_run = dry_run
        self._only_if_due = only_if_due
        self._on_progress = on_progress
        self._criteria = registry.stored(definition.fold.all_criteria())
        self._anchors = Anchors(store)
        self._begun = 0.0

    def __repr__(self) -> str:
        return f"<Rebuild of {self._definition.name}{', dry run' if self._dry_run else ''}>"

    async def run(self) -> Rebuilt:
        """Build, compare, swap; a dry run drops what it built instead. Nothing changes when it fails."""
        self._begun = monotonic()
        log.info("%s: its rebuild begins", self._definition.name)
        await self._skips.read(self._store, self._registry.decode)
        building = await self._build()
        at = building.checkpoint
        if at is not None and not await self._anchors.holds(at.position, at.identity, at.position, {}):
            log.warning("%s: its interrupted rebuild is of another history of the log, and begins again", at.model)
            await self._in_writer(building.discard)
            building = await self._build()
        try:
            await self._follow(building)
            loop = asyncio.get_running_loop()
            found = await self._in_writer(building.finish, partial(self._tail, loop), partial(self._head, loop))
        finally:
            await self._in_writer(building.discard if self._dry_run else building.close)
        seconds = monotonic() - self._begun
        log.info("%s: rebuilt through %s in %.1f s", self._definition.name, f"{building.position:,}", seconds)
        return Rebuilt(self._definition.name, building.position, seconds, not self._dry_run, found)

    async def _build(self) -> "Building | SqlReplacement":
        return await self._in_writer(
            self._database.build,
            self._definition,
            self._registry.decode,
            self._store.log_id,
            self._skips,
            self._dry_run,
            self._lease,
            self._only_if_due,
        )

    async def _target(self, building: "Building | SqlReplacement") -> int:
        """How far to go: as far as the present tables are, if the log reaches that far."""
        return min(await self._in_writer(building.target), await self._store.head())

    async def _follow(self, building: "Building | SqlReplacement") -> None:
        while True:
            target = await self._target(building)
            try:
                await self._fold(building, target)
            except CheckpointMoved:
                await self._in_writer(building.reload)
            if await self._target(building) - building.position <= CLOSE_ENOUGH:
                return

    async def _fold(self, building: "Building | SqlReplacement", target: int) -> None:
        if building.position >= target:
            return
        async for batch in self._store.read(self._criteria, after=building.position, upto=target):
            await self._in_writer(building.step, batch)
            if self._on_progress is not None:
                seconds = monotonic() - self._begun
                self._on_progress(Progress(self._definition.name, batch.through, target, seconds))

    def _tail(self, loop: asyncio.AbstractEventLoop, after: int, upto: int) -> list[StoredEvent]:
        """The last events, read while the writer's thread holds the lock."""
        return asyncio.run_coroutine_threadsafe(self._read(after, upto), loop).result()

    def _head(self, loop: asyncio.AbstractEventLoop) -> int:
        return asyncio.run_coroutine_threadsafe(self._store.head(), loop).result()

    async def _read(self, after: int, upto: int) -> list[StoredEvent]:
        batches = self._store.read(self._criteria, after=after, upto=upto)
        return [event async for batch in batches for event in batch.events]

    async def _in_writer(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, partial(work, *arguments))


async def rebuild(
    definition: ReadModelDefinition,
    store: EventStore,
    registry: Registry,
    url: str,
    *,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> Rebuilt:
    """Rebuild a read model that is kept at `url`, whether or not an app is running; see `Rebuild`."""
    from leftfold.query.tables.models_database import ModelsDatabase

    anchors = Anchors(store)
    anchors.loop = asyncio.get_running_loop()
    database = ModelsDatabase(url, [definition], anchors.loop, anchors.identify)
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="leftfold rebuild") as writer:
            arguments = (definition, store, registry, database, Skips(), writer)
            return await Rebuild(*arguments, dry_run=dry_run, on_progress=on_progress).run()
    finally:
        database.close()


def drop_old(definition: ReadModelDefinition, url: str) -> bool:
    """Drop the table that the last rebuild has kept; whether there was one."""
    from leftfold.query.tables.models_database import ModelsDatabase

    database = ModelsDatabase(url, [definition])
    try:
        return database.drop_old(definition)
    finally:
        database.close()
