"""Splitting a stored read model anew: into as many shards as the code has now, without folding anything again."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from leftfold.errors import LeaseLost
from leftfold.leases import Entry, Keeper, LeaseBook, Terms
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.shard import Shard
from leftfold.query.skips import Skips
from leftfold.query.standing import Overtaken
from leftfold.registry import Registry
from leftfold.store.contract import Batch, EventStore

if TYPE_CHECKING:
    from leftfold.query.tables.folding import StoredFolding
    from leftfold.query.tables.models_database import ModelsDatabase

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
        book: Callable[[Sequence[Shard]], LeaseBook],
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
        self._keeper: Keeper | None = None

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
        except (LeaseLost, Overtaken):
            return False  # a process of the former number folds it after all
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await keeper.release()

    def _keeper_of(self, stored: Sequence[Shard]) -> Keeper:
        """The same as long as the model is stored so: it knows for how long nothing was heard of whom."""
        if self._keeper is None or self._former != stored:
            self._former = stored
            names = [shard.lease for shard in stored]
            self._keeper = Keeper(self._book(stored), names, self._terms, on_gained=_note, on_lost=_note_loss)
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
