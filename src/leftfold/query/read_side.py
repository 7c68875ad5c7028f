"""The read side of a live app: projections that follow the log, and queries over their tables."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from leftfold.errors import (
    ExecutedButBehind,
    InvalidModel,
    LeftfoldError,
    ModelsUnavailable,
    ReadModelBehind,
    UnknownName,
    UsageError,
)
from leftfold.follow.lease import LeaseTerms
from leftfold.follow.lease_store import LeaseEntry
from leftfold.model.clock import Clock, SystemClock
from leftfold.model.registry import Registry
from leftfold.passwords import without_password
from leftfold.query.answering import Answering
from leftfold.query.folded_log import EventSkipped, FoldedLog, OnProgress
from leftfold.query.models_url import IN_MEMORY, kept_in_memory, models_file
from leftfold.query.parking import ParkedKey, ParkedKeys
from leftfold.query.progress import NOT_TO_BE_ANSWERED_FROM
from leftfold.query.projection_tasks import ProjectionTasks
from leftfold.query.read_model import OnChange, ReadModel, ReadModelDefinition, RowChange
from leftfold.query.read_models import name_of
from leftfold.query.shard import shards_of
from leftfold.store.contract import EventStore
from leftfold.store.private_files import create_private

if TYPE_CHECKING:
    from leftfold.query.tables.models_database import ModelsDatabase

READER_THREADS = 4


class ModelStatus(msgspec.Struct, frozen=True):
    """How far one read model is: `lag` is in positions, `problem` says why it does not go on, if it does not.

    `parked` keys are held up by an event that could not be folded: their rows are as they were before it. `seconds` is
    how long the oldest event that is not folded yet has been in the log; `holder` is the process that folds the model,
    or the processes that fold its shards, where that is known. A model in shards has the position of the last of them.
    """

    name: str
    table: str
    position: int
    lag: int
    problem: LeftfoldError | None
    failed: bool
    parked: int = 0
    seconds: float = 0.0
    holder: str | None = None


class ReadSide:
    """The read models of one app over one log, kept in the database at `url` (SQLAlchemy's form).

    Other processes fold the models that are not in `folds`; this one watches their stored checkpoints. In a database in
    memory, which no other process sees, it folds all of them. Of the processes that may fold a model, the one with
    its lease does, on these `terms`; the others watch, and one of them takes over when the lease expires. Models in a
    `named` database, rather than the log's own, may not be another log's. A new file for them gets the permissions of
    the file `like`.
    """

    def __init__(
        self,
        store: EventStore,
        registry: Registry,
        definitions: Iterable[ReadModelDefinition],
        url: str,
        *,
        on_progress: OnProgress | None = None,
        clock: Clock | None = None,
        folds: Collection[type | str] | None = None,
        terms: LeaseTerms | None = None,
        on_change: OnChange = "refuse",
        named: bool = False,
        like: Path | None = None,
    ) -> None:
        self._like = like
        self._named = named
        self._on_change: OnChange = on_change
        self._log = FoldedLog(store, registry, on_progress)
        self._definitions = {definition.handle: definition for definition in definitions}
        self._url = url
        everything = folds is None or kept_in_memory(url)
        self._folds = [each for each in self._definitions.values() if everything or each.handle in (folds or ())]
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="leftfold query")
        self._database: ModelsDatabase | None = None
        definitions = self._definitions.values()
        self._projections = ProjectionTasks(
            self._log,
            definitions,
            self._folds,
            self._readers,
            terms or LeaseTerms.present(),
            shared=not kept_in_memory(url),
        )
        self._parked = self._projections.parked
        self._progress = self._projections.progress
        self.answering = Answering(
            self._log, self._definitions, self._progress, self._connect, self._readers, clock or SystemClock()
        )
        _check_tables(definitions)
        registry.add(EventSkipped)

    def __repr__(self) -> str:
        return f"<ReadSide of {len(self._definitions)} read models in {without_password(self._url)}>"

    async def start(self) -> None:
        """Open the tables, start those again that do not fit the code or the log, and follow the log."""
        self._log.loop = asyncio.get_running_loop()
        if not self._definitions:
            return
        try:
            await asyncio.to_thread(self._connect().check_owner)
            await self._projections.start(self._connect())
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish the current batches and queries, then close the tables."""
        self.answering.end()
        await self._projections.close()
        await asyncio.to_thread(self._readers.shutdown)
        if self._database is not None:
            self._database.close()

    async def catch_up(self, position: int) -> None:
        """Wait until each model that this process folds has reached `position`, or a parked event holds it up."""
        for definition in self._folds:
            await self._progress[definition].wait_until_held_up(position)

    async def wait(self, model: type[ReadModel] | str, position: int, timeout: float | None = None) -> None:
        """Wait until the model has reached `position`; raise `ReadModelBehind` after `timeout` seconds."""
        await self._progress[self._definition(model)].wait_for(position, timeout)

    def check_known(self, models: Iterable[type[ReadModel]]) -> None:
        """Raise `UnknownName` for what is not a read model of the app."""
        for model in models:
            self._definition(model)

    async def include(self, models: Iterable[type[ReadModel]], receipt: Any, timeout: float) -> None:
        """Wait until the models include what was executed; raise `ExecutedButBehind` after `timeout` seconds."""
        awaited = [self._progress[self._definition(model)] for model in models]
        end = asyncio.get_running_loop().time() + timeout
        try:
            for progress in awaited:
                await progress.wait_for(receipt.position, max(end - asyncio.get_running_loop().time(), 0))
        except LeftfoldError as reason:
            last = min(awaited, key=lambda progress: progress.position)
            seconds = await self.answering.seconds_behind(last)
            late = ExecutedButBehind(last.model, last.position, receipt.position, timeout, seconds, receipt)
            raise late from (reason.__cause__ if isinstance(reason, ReadModelBehind) else reason)

    @property
    def folded_here(self) -> Sequence[type | str]:
        """The read models that this process folds, or would fold if the process that does ended."""
        return [model for model, definition in self._definitions.items() if definition in self._folds]

    def parked_keys(self, model: type[ReadModel] | str) -> ParkedKeys:
        """Return the keys of a model that are held up by an event that it could not fold."""
        definition = self._definition(model)
        if definition not in self._parked:
            raise ReadModelBehind(definition.name, NOT_TO_BE_ANSWERED_FROM, 0, 0)
        return self._parked[definition]

    async def parked(self) -> list[ParkedKey]:
        """Return every parked key, model by model, the one parked longest first."""
        return [key for parked in self._parked.values() for key in await parked.all()]

    async def changes(
        self,
        model: type[ReadModel],
        after: int,
        upto: int,
        *,
        limit: int | None,
        timeout: float,
        keys: Collection[tuple[Any, ...]] | None = None,
    ) -> list[RowChange]:
        """Return how rows changed at the positions from `after` + 1 to `upto`, once the model has come so far."""
        definition = self._definition(model)
        if not definition.history:
            raise UsageError(
                f"{definition.name} keeps no history, so how its rows changed is not known",
                "a read model with history",
                "register it with @app.read_model(history=True), or ask for the events with explain()",
            )
        await self._progress[definition].wait_for(upto, timeout)
        read = partial(self._connect().changes, definition, after, upto, limit, keys)
        return await asyncio.get_running_loop().run_in_executor(self._readers, read)

    async def status(self) -> list[ModelStatus]:
        """Return how far each read model is."""
        head = await self._log.store.head()
        holders: dict[str, str] = {}
        with suppress(ModelsUnavailable):  # the rest of the status is known
            holders = {entry.name: entry.holder for entry in await self.leases()}
        return [await self._status_of(definition, head, holders) for definition in self._definitions.values()]

    async def leases(self) -> list[LeaseEntry]:
        """Return which process folds each read model, and when it renewed its lease; none for models in memory."""
        return await self._projections.leases(self._connect()) if self._definitions else []

    async def _status_of(self, definition: ReadModelDefinition, head: int, holders: Mapping[str, str]) -> ModelStatus:
        progress = self._progress[definition]
        position = max(progress.position, 0)
        is_behind = progress.position < head
        return ModelStatus(
            name=definition.name,
            table=definition.table,
            position=position,
            lag=max(head - position, 0),
            failed=progress.ended is not None,
            problem=progress.ended or progress.trouble or self._projections.lease_trouble(definition),
            parked=self._parked[definition].count if definition in self._parked else 0,
            seconds=(await self.answering.seconds_behind(progress) or 0.0) if is_behind else 0.0,
            holder=_holder_of(definition, holders),
        )

    def _definition(self, model: type | str) -> ReadModelDefinition:
        definition = self._definitions.get(model)
        if definition is None:
            raise UnknownName("read model", name_of(model), sorted(map(name_of, self._definitions)))
        return definition

    def _connect(self) -> "ModelsDatabase":
        """Return the database, opened when it is first needed; SQLAlchemy is imported no earlier."""
        from leftfold.query.tables.models_database import ModelsDatabase

        if self._database is None:
            url = self._url if self._definitions else IN_MEMORY
            definitions = self._definitions.values()
            self._database = ModelsDatabase(url, definitions, self._log, on_change=self._on_change, named=self._named)
            if (file := models_file(url)) is not None:
                create_private(file, like=self._like)
        return self._database


def _holder_of(definition: ReadModelDefinition, holders: Mapping[str, str]) -> str | None:
    """Return the process that folds the model; if several do, all of them in the order of the shards."""
    found = [holders[shard.lease] for shard in shards_of(definition) if shard.lease in holders]
    return ", ".join(dict.fromkeys(found)) or None


def _check_tables(definitions: Iterable[ReadModelDefinition]) -> None:
    owners: dict[str, str] = {}
    for definition in definitions:
        for table in {definition.table, *definition.tables}:
            if table in owners:
                raise InvalidModel(
                    f"{owners[table]} and {definition.name} are both kept in the table {table!r}",
                    "a different table for each read model",
                    "rename one of the classes",
                )
            owners[table] = definition.name
