"""Rebuilding a read model beside its present table, which answers queries until the new one replaces it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from leftfold.errors import LeaseLost
from leftfold.follow.lease import Terms
from leftfold.follow.lease_holder import LeaseHolder
from leftfold.follow.lease_store import LeaseEntry, LeaseStore
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.query.parking import Skips
from leftfold.query.past import OnProgress, ReplayProgress
from leftfold.query.progress import CheckpointMoved
from leftfold.query.projection import Anchors
from leftfold.query.projection_context import ProjectionContext
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.rebuild_report import Rebuilt
from leftfold.query.shard import Shard
from leftfold.store.contract import Batch, EventStore

if TYPE_CHECKING:
    from leftfold.query.tables.projector import Projector
    from leftfold.query.tables.replace import Replacement

T = TypeVar("T")


class Splitting:
    """Brings the stored shards of a model to one position, and replaces them by the shards that it is defined with.

    It does so under the leases of the stored shards, which it takes only when all are free: as long as a process with
    the former number of shards runs, it folds the model. The rows stay as they are. Call `attempt` repeatedly.
    """

    def __init__(
        self,
        definition: ReadModelDefinition,
        context: ProjectionContext,
        lease_store: Callable[[Sequence[Shard]], LeaseStore],
        terms: Terms,
    ) -> None:
        self._definition = definition
        self._context = context
        self._database = context.database
        self._lease_store = lease_store
        self._terms = terms
        self._former: Sequence[Shard] = ()
        self._holder: LeaseHolder | None = None

    def __repr__(self) -> str:
        return f"<Splitting {self._definition.name} into {self._definition.shards}>"

    async def attempt(self) -> bool:
        """Do it if the model has other shards and no process folds it; return False if one does."""
        stored = await self._context.in_writer(self._database.shards, self._definition, self._context.store.log_id)
        if not stored or len(stored) == self._definition.shards:
            return True
        holder = self._holder_of(stored)
        if not await holder.take_all():
            return False
        renewing = asyncio.create_task(holder.run(), name=repr(self))
        try:
            await self._split(stored)
            return True
        except (LeaseLost, CheckpointMoved):
            return False  # a process with the former number of shards folds it after all
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await holder.release()

    def _holder_of(self, stored: Sequence[Shard]) -> LeaseHolder:
        """Return the same one while the shards are the same: it knows how long ago each lease was renewed."""
        if self._holder is None or self._former != stored:
            self._former = stored
            names, store = [shard.lease for shard in stored], self._lease_store(stored)
            self._holder = LeaseHolder(store, names, self._terms, on_gained=_note, on_lost=_note_loss)
        return self._holder

    async def _split(self, stored: Sequence[Shard]) -> None:
        leases = {shard: (shard.lease, self._terms.me) for shard in stored}
        done = False
        while not done:
            decode, skips = self._context.registry.decode, self._context.skips
            target, projectors = await self._context.in_writer(self._database.lagging, stored, decode, skips, leases)
            for projector in projectors:
                await self._catch_up(projector, target)
            done = await self._context.in_writer(self._database.split, stored, leases)

    async def _catch_up(self, projector: "Projector", target: int) -> None:
        criteria = self._context.registry.stored(self._definition.fold.all_criteria())
        async for batch in self._context.store.read(criteria, after=projector.position, upto=target):
            await self._context.in_writer(projector.step, batch)
        await self._context.in_writer(projector.step, Batch([], target))


async def _note(name: str, former: LeaseEntry | None) -> None:
    """Do nothing: holding the lease starts nothing."""


def _note_loss(name: str) -> None:
    """Do nothing: writes under a lost lease are refused."""


POSITIONS_UNDER_LOCK = 1_000  # that may be folded while the tables are locked for the swap
log = logging.getLogger("leftfold.rebuild")


class Rebuild:
    """Folds a read model again from the log, up to the position of its present table, and replaces that table.

    The present table may move on meanwhile. An interrupted rebuild resumes where it was.
    """

    def __init__(
        self,
        definition: ReadModelDefinition,
        context: ProjectionContext,
        *,
        dry_run: bool = False,
        only_if_due: bool = False,
        on_progress: OnProgress | None = None,
        lease: tuple[str, str] | None = None,
    ) -> None:
        self._definition = definition
        self._lease = lease
        self._context = context
        self._store = context.store
        self._dry_run = dry_run
        self._only_if_due = only_if_due
        self._on_progress = on_progress
        self._criteria = context.registry.stored(definition.fold.all_criteria())
        self._anchors = Anchors(context.store)
        self._begun = 0.0

    def __repr__(self) -> str:
        return f"<Rebuild of {self._definition.name}{', dry run' if self._dry_run else ''}>"

    async def run(self) -> Rebuilt:
        """Build, compare, swap; a dry run drops what it built instead. Nothing changes if it fails."""
        self._begun = monotonic()
        log.info("%s: the rebuild begins", self._definition.name)
        await self._context.read_skips()
        replacement = await self._build()
        at = replacement.projector.checkpoint
        if at is not None and not await self._anchors.holds(at.position, at.identity, at.position, {}):
            log.warning("%s: its interrupted rebuild is of another history of the log, and starts again", at.model)
            await self._context.in_writer(replacement.projector.discard)
            replacement = await self._build()
        try:
            await self._catch_up(replacement)
            loop = asyncio.get_running_loop()
            found = await self._context.in_writer(
                replacement.finish, partial(self._tail, loop), partial(self._head, loop)
            )
        finally:
            await self._context.in_writer(replacement.close)
        position, seconds = replacement.projector.position, monotonic() - self._begun
        log.info("%s: rebuilt up to %s in %.1f s", self._definition.name, f"{position:,}", seconds)
        return Rebuilt(self._definition.name, position, seconds, not self._dry_run, found)

    async def _build(self) -> "Replacement":
        return await self._context.in_writer(
            self._context.database.build,
            self._definition,
            self._context.registry.decode,
            self._store.log_id,
            self._context.skips,
            self._dry_run,
            self._lease,
            self._only_if_due,
        )

    async def _target(self, replacement: "Replacement") -> int:
        """Return the position of the present tables, as far as the log reaches it."""
        return min(await self._context.in_writer(replacement.present_position), await self._store.head())

    async def _catch_up(self, replacement: "Replacement") -> None:
        projector = replacement.projector
        while True:
            target = await self._target(replacement)
            try:
                await self._step_to(replacement, target)
            except CheckpointMoved:
                await self._context.in_writer(projector.reload)
            if await self._target(replacement) - projector.position <= POSITIONS_UNDER_LOCK:
                return

    async def _step_to(self, replacement: "Replacement", target: int) -> None:
        projector = replacement.projector
        if projector.position >= target:
            return
        async for batch in self._store.read(self._criteria, after=projector.position, upto=target):
            await self._context.in_writer(projector.step, batch)
            if self._on_progress is not None:
                seconds = monotonic() - self._begun
                self._on_progress(ReplayProgress(self._definition.name, batch.through, target, seconds))

    def _tail(self, loop: asyncio.AbstractEventLoop, after: int, upto: int) -> list[StoredEvent]:
        """Read the last events while the writer's thread holds the lock."""
        return asyncio.run_coroutine_threadsafe(self._read(after, upto), loop).result()

    def _head(self, loop: asyncio.AbstractEventLoop) -> int:
        return asyncio.run_coroutine_threadsafe(self._store.head(), loop).result()

    async def _read(self, after: int, upto: int) -> list[StoredEvent]:
        batches = self._store.read(self._criteria, after=after, upto=upto)
        return [event async for batch in batches for event in batch.events]


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
            context = ProjectionContext(store, registry, database, Skips(), writer)
            return await Rebuild(definition, context, dry_run=dry_run, on_progress=on_progress).run()
    finally:
        database.close()


def drop_old(definition: ReadModelDefinition, url: str) -> bool:
    """Drop the table that the last rebuild has kept; return whether there was one."""
    from leftfold.query.tables.models_database import ModelsDatabase

    database = ModelsDatabase(url, [definition])
    try:
        return database.drop_old(definition)
    finally:
        database.close()
