"""Rebuilding a read model beside its present table, which answers queries until both are swapped."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from leftfold.query.anchors import Anchors
from leftfold.query.past import OnProgress, Progress
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.rebuild_report import Rebuilt
from leftfold.query.skips import Skips
from leftfold.query.standing import Overtaken
from leftfold.registry import Registry
from leftfold.store.contract import EventStore, StoredEvent

if TYPE_CHECKING:
    from leftfold.query.tables.building import Building
    from leftfold.query.tables.free_building import FreeBuilding
    from leftfold.query.tables.models_database import ModelsDatabase

CLOSE_ENOUGH = 1_000  # positions that are folded while the tables are locked for the swap
T = TypeVar("T")

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

    async def _build(self) -> "Building | FreeBuilding":
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

    async def _target(self, building: "Building | FreeBuilding") -> int:
        """How far to go: as far as the present tables are, if the log reaches that far."""
        return min(await self._in_writer(building.target), await self._store.head())

    async def _follow(self, building: "Building | FreeBuilding") -> None:
        while True:
            target = await self._target(building)
            try:
                await self._fold(building, target)
            except Overtaken:
                await self._in_writer(building.reload)
            if await self._target(building) - building.position <= CLOSE_ENOUGH:
                return

    async def _fold(self, building: "Building | FreeBuilding", target: int) -> None:
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
