"""Rebuilding a read model beside its present table, which answers queries until the new one replaces it."""

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from leftfold.errors import LeaseLost
from leftfold.follow.lease import LeaseTerms
from leftfold.follow.lease_holder import LeaseHolder
from leftfold.model.record import StoredEvent
from leftfold.model.registry import Registry
from leftfold.query.folded_log import FoldedLog, OnProgress, ReplayProgress
from leftfold.query.progress import CheckpointMoved
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.rebuild_report import Rebuilt
from leftfold.query.shard import Shard
from leftfold.store.contract import Batch, EventStore

if TYPE_CHECKING:
    from leftfold.query.tables.models_database import ModelsDatabase
    from leftfold.query.tables.projector import Projector
    from leftfold.query.tables.replace import Replacement


class Splitting:
    """Brings the stored shards of a model to one position, and replaces them by the shards that it is defined with.

    It does so under the leases of the stored shards, which it takes only when all are free: as long as a process with
    the former number of shards runs, it folds the model. The rows stay as they are. Call `attempt` repeatedly.
    """

    def __init__(self, definition: ReadModelDefinition, database: "ModelsDatabase", terms: LeaseTerms) -> None:
        self._definition = definition
        self._database = database
        self._log = database.log
        self._terms = terms
        self._former: Sequence[Shard] = ()
        self._holder: LeaseHolder | None = None

    def __repr__(self) -> str:
        return f"<Splitting {self._definition.name} into {self._definition.shards}>"

    async def attempt(self) -> bool:
        """Do it if the model has other shards and no process folds it; return False if one does."""
        stored = await self._database.in_writer(self._database.shards, self._definition)
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
            self._database.leases.add(stored)
            names = [shard.lease for shard in stored]
            self._holder = LeaseHolder(self._database.leases, names, self._terms)
        return self._holder

    async def _split(self, stored: Sequence[Shard]) -> None:
        leases = {shard: (shard.lease, self._terms.me) for shard in stored}
        done = False
        while not done:
            target, projectors = await self._database.in_writer(self._database.lagging, stored, leases)
            for projector in projectors:
                await self._catch_up(projector, target)
            done = await self._database.in_writer(self._database.split, stored, leases)

    async def _catch_up(self, projector: "Projector", target: int) -> None:
        async for batch in self._log.store.read(
            self._log.criteria(self._definition), after=projector.position, upto=target
        ):
            await self._database.in_writer(projector.step, batch)
        await self._database.in_writer(projector.step, Batch([], target))


POSITIONS_UNDER_LOCK = 1_000  # that may be folded while the tables are locked for the swap
log = logging.getLogger("leftfold.rebuild")


class Rebuild:
    """Folds a read model again from the log, up to the position of its present table, and replaces that table.

    The present table may move on meanwhile. An interrupted rebuild resumes where it was.
    """

    def __init__(
        self,
        definition: ReadModelDefinition,
        database: "ModelsDatabase",
        *,
        dry_run: bool = False,
        only_if_due: bool = False,
        lease: tuple[str, str] | None = None,
    ) -> None:
        self._definition = definition
        self._lease = lease
        self._database = database
        self._in_writer = database.in_writer
        self._log = database.log
        self._dry_run = dry_run
        self._only_if_due = only_if_due
        self._begun = 0.0

    def __repr__(self) -> str:
        return f"<Rebuild of {self._definition.name}{', dry run' if self._dry_run else ''}>"

    async def run(self) -> Rebuilt:
        """Build, compare, swap; a dry run drops what it built instead. Nothing changes if it fails."""
        self._begun = monotonic()
        log.info("%s: the rebuild begins", self._definition.name)
        await self._log.read_skips()
        replacement = await self._build()
        at = replacement.projector.checkpoint
        if at is not None and not await self._log.holds(at.position, at.identity, at.position, {}):
            log.warning(
                "%s: the interrupted rebuild belongs to another history of the log, so it starts again", at.model
            )
            await self._in_writer(replacement.projector.discard)
            replacement = await self._build()
        try:
            await self._catch_up(replacement)
            found = await self._in_writer(replacement.finish, self._tail, self._head)
        finally:
            await self._in_writer(replacement.close)
        position, seconds = replacement.projector.position, monotonic() - self._begun
        log.info("%s: rebuilt up to %s in %.1f s", self._definition.name, f"{position:,}", seconds)
        return Rebuilt(self._definition.name, position, seconds, not self._dry_run, found)

    async def _build(self) -> "Replacement":
        build = self._database.build
        return await self._in_writer(build, self._definition, self._dry_run, self._lease, self._only_if_due)

    async def _target(self, replacement: "Replacement") -> int:
        """Return the position of the present tables, as far as the log reaches it."""
        return min(await self._in_writer(replacement.present_position), await self._log.store.head())

    async def _catch_up(self, replacement: "Replacement") -> None:
        projector = replacement.projector
        while True:
            target = await self._target(replacement)
            try:
                await self._step_to(replacement, target)
            except CheckpointMoved:
                await self._in_writer(projector.reload)
            if await self._target(replacement) - projector.position <= POSITIONS_UNDER_LOCK:
                return

    async def _step_to(self, replacement: "Replacement", target: int) -> None:
        projector = replacement.projector
        if projector.position >= target:
            return
        criteria, report = self._log.criteria(self._definition), self._log.on_progress
        async for batch in self._log.store.read(criteria, after=projector.position, upto=target):
            await self._in_writer(projector.step, batch)
            if report is not None:
                seconds = monotonic() - self._begun
                report(ReplayProgress(self._definition.name, batch.through, target, seconds))

    def _tail(self, after: int, upto: int) -> list[StoredEvent]:
        """Read the last events while the writer's thread holds the lock."""
        return self._log.wait_for(self._log.events(self._definition, after, upto=upto))

    def _head(self) -> int:
        return self._log.wait_for(self._log.store.head())


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

    log = FoldedLog(store, registry, on_progress)
    log.loop = asyncio.get_running_loop()
    database = ModelsDatabase(url, [definition], log)
    try:
        return await Rebuild(definition, database, dry_run=dry_run).run()
    finally:
        database.close()


def drop_old(definition: ReadModelDefinition, url: str) -> bool:
    """Drop the table that the last rebuild has kept; return whether there was one."""
    from leftfold.query.tables.models_database import drop_kept

    return drop_kept(url, definition)
