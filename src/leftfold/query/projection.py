"""Projections: each read model follows the log in a task of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING

from leftfold.criteria import Criteria
from leftfold.errors import LeaseLost, LeftfoldError, ProjectionFailed, StoreClosed
from leftfold.query.standing import Overtaken, Standing
from leftfold.store.contract import EventStore
from leftfold.store.subscription import subscribe

if TYPE_CHECKING:
    from leftfold.query.tables.folding import StoredFolding

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds


class Projection:
    """Keeps one read model up with the log until it is cancelled, or until an event cannot be folded.

    Trouble with a database is waited out; `standing` tells of it meanwhile.
    """

    def __init__(
        self, store: EventStore, criteria: Criteria, folding: "StoredFolding", standing: Standing, writer: Executor
    ) -> None:
        self.standing = standing
        self._store = store
        self._criteria = criteria
        self._folding = folding
        self._writer = writer
        self._pause = SHORTEST_PAUSE

    def __repr__(self) -> str:
        return f"<Projection {self.standing!r}>"

    async def run(self) -> None:
        """Follow the log; `LeaseLost` when another process does so now."""
        try:
            while True:
                await self._follow_until_disturbed()
        except (ProjectionFailed, StoreClosed) as reason:
            self.standing.reached(self._folding.position)
            self.standing.end(reason)
        except LeaseLost:
            raise
        except Exception as error:
            self.standing.end(ProjectionFailed(self.standing.model, self.standing.position, repr(error)))
            raise

    async def _follow_until_disturbed(self) -> None:
        try:
            await self._follow()
        except Overtaken:
            await self._reload()
        except (LeaseLost, ProjectionFailed, StoreClosed):
            raise
        except LeftfoldError as trouble:
            self.standing.trouble = trouble
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _follow(self) -> None:
        async for batch in subscribe(self._store, self._criteria, after=self._folding.position, data_only=True):
            await self._in_writer(partial(self._folding.step, batch))
            self.standing.reached(batch.through, changed=bool(batch.events))
            self._pause = SHORTEST_PAUSE

    async def _reload(self) -> None:
        await self._in_writer(self._folding.reload)
        self.standing.reached(self._folding.position)

    async def _in_writer(self, step: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._writer, step)
