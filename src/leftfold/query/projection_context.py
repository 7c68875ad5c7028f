"""What everything that writes the tables of read models shares."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from leftfold.model.registry import Registry
from leftfold.store.contract import EventStore

if TYPE_CHECKING:
    from leftfold.query.parking import Skips
    from leftfold.query.tables.models_database import ModelsDatabase

T = TypeVar("T")


class ProjectionContext(NamedTuple):
    """The log, the models database, and the one thread that writes to it."""

    store: EventStore
    registry: Registry
    database: "ModelsDatabase"
    skips: "Skips"
    writer: Executor

    async def in_writer(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run this in the thread that writes."""
        return await asyncio.get_running_loop().run_in_executor(self.writer, partial(work, *arguments))

    async def read_skips(self) -> None:
        """Read the skips that were appended since the last call."""
        await self.skips.read(self.store, self.registry.decode)
