"""The read side of a live app: projections that follow the log, and queries that are answered from their tables."""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from leftfold.clock import Clock, SystemClock
from leftfold.errors import (
    ExecutedButBehind,
    InvalidModel,
    LeaseLost,
    LeftfoldError,
    ModelsUnavailable,
    ProjectionFailed,
    ProjectionParked,
    ReadModelBehind,
    ReadModelChanged,
    StoreClosed,
    UnknownReadModel,
)
from leftfold.leases import Entry, Keeper, LeaseBook, Terms
from leftfold.query.answering import Answering
from leftfold.query.following import Following
from leftfold.query.free_projection import FreeProjection
from leftfold.query.handler import QueryHandler
from leftfold.query.held_projection import HeldProjection
from leftfold.query.models_url import IN_MEMORY, kept_in_memory
from leftfold.query.parked_keys import ParkedKeys
from leftfold.query.parking import ParkedKey
from leftfold.query.past import OnProgress
from leftfold.query.projection import Projection
from leftfold.query.read_model import ReadModel, ReadModelDefinition
from leftfold.query.read_models import name_of
from leftfold.query.rebuild import Rebuild
from leftfold.query.skips import EventSkipped, Skips
from leftfold.query.standing import Overtaken, Standing
from leftfold.registry import Registry
from leftfold.store.contract import EventStore

if TYPE_CHECKING:
    from leftfold.query.tables.folding import StoredFolding
    from leftfold.query.tables.free_folding import FreeFolding
    from leftfold.query.tables.models_database import ModelsDatabase
    from leftfold.query.tables.observer import Observer, Seen

READING_THREADS = 4
PAUSE = 0.5  # seconds, where the models database gives trouble

log = logging.getLogger("leftfold.leases")


class ModelStatus(msgspec.Struct, frozen=True):
    """Where one read model stands: `lag` is in positions, `problem` says why it does not go on, if so.

    `parked` keys are held up by an event that could not be folded: their rows are as they were before it. `seconds` is
    for how long the oldest event that is not folded yet has been in the log; `holder` the process that folds the model,
    where that is known.
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

    Those that are not in `folds` are folded by other processes, and followed by their stored checkpoints; but a
    database in memory is this process's alone, and so all of them are folded here. Of the processes that may fold a
    model the one does that has its lease, on these `terms`; the others follow, and one of them takes over when nothing
    is heard of it.
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
        terms: Terms | None = None,
    ) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._registry = registry
        self._definitions = {definition.handle: definition for definition in definitions}
        self._url = url
        everything = folds is None or kept_in_memory(url)
        self._folds = [each for each in self._definitions.values() if everything or each.handle in (folds or ())]
        self._following = Following(store, self._look, self._note)
        self._observer: Observer | None = None
        self._on_progress = on_progress
        self._skips = Skips()
        self._parked: dict[ReadModelDefinition, ParkedKeys] = {}
        self._standings: dict[ReadModelDefinition, Standing] = {}
        self._terms = terms or Terms.present()
        self._keeper: Keeper | None = None
        self._gained: list[ReadModelDefinition] | None = []  # while the app is opened, to be begun together
        self._working: dict[ReadModelDefinition, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="leftfold models writer")
        self._readers = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="leftfold query")
        self._lease_thread = ThreadPoolExecutor(1, thread_name_prefix="leftfold models leases")
        self._database: ModelsDatabase | None = None
        self.answering = Answering(
            store,
            registry,
            self._definitions,
            self._standings,
            self._skips,
            self._connect,
            self._readers,
            clock=self._clock,
            on_progress=on_progress,
            shared=not kept_in_memory(url),
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        _check_tables(self._definitions.values())
        registry.add(EventSkipped)

    def __repr__(self) -> str:
        return f"<ReadSide of {len(self._definitions)} read models in {self._url}>"

    async def start(self) -> None:
        """Open the tables, beginning anew those that do not fit the code or the log, and follow the log."""
        if not self._definitions:
            return
        self._loop = asyncio.get_running_loop()
        try:
            await self._follow(self._connect())
            await self.answering.start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let the batches and queries under way come to their end, then close the tables."""
        await self.answering.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for standing in self._standings.values():
            standing.end(StoreClosed())
        await asyncio.to_thread(self._writer.shutdown)
        if self._keeper is not None:
            with suppress(LeftfoldError):  # others then wait for the time of the lease
                await self._keeper.release()
        await asyncio.to_thread(self._lease_thread.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        if self._database is not None:
            self._database.close()

    async def settle(self, position: int) -> None:
        """Return once what is folded here has reached `position`, or is held up by an event."""
        for definition in self._folds:
            await self._standings[definition].settle(position)

    async def wait(self, model: type[ReadModel] | str, position: int, timeout: float | None = None) -> None:
        """Return once the model has reached `position`; `ReadModelBehind` when it has not after `timeout` seconds."""
        await self._standings[self._definition(model)].reach(position, timeout)

    def check_known(self, models: Iterable[type[ReadModel]]) -> None:
        """Refuse what is not a read model of the app."""
        for model in models:
            self._definition(model)

    async def include(self, models: Iterable[type[ReadModel]], receipt: Any, timeout: float) -> None:
        """Return once the models include what was executed; `ExecutedButBehind` after `timeout` seconds."""
        standings = [self._standings[self._definition(model)] for model in models]
        end = asyncio.get_running_loop().time() + timeout
        try:
            for standing in standings:
                await standing.reach(receipt.position, max(end - asyncio.get_running_loop().time(), 0))
        except LeftfoldError as reason:
            last = min(standings, key=lambda standing: standing.position)
            seconds = await self.answering.seconds_behind(last)
            position = max(last.position, 0)
            late = ExecutedButBehind(last.model, position, receipt.position, timeout, seconds, receipt)
            raise late from (reason.__cause__ if isinstance(reason, ReadModelBehind) else reason)

    @property
    def folded_here(self) -> Sequence[type | str]:
        """The read models that this process folds, or would if the one that does ended."""
        return [model for model, definition in self._definitions.items() if definition in self._folds]

    def parked_keys(self, model: type[ReadModel] | str) -> ParkedKeys:
        """The keys of a model that are held up by an event it could not fold."""
        definition = self._definition(model)
        if definition not in self._parked:
            raise ReadModelBehind(definition.name, 0, 0, 0)
        return self._parked[definition]

    async def parked(self) -> list[ParkedKey]:
        """Every parked key, model by model, the one that is parked longest first."""
        return [key for parked in self._parked.values() for key in await parked.all()]

    async def answer(
        self,
        handler: QueryHandler,
        query: object,
        *,
        after: int | None = None,
        as_of: int | None = None,
        timeout: float = 5.0,
    ) -> Any:
        """What the handler answers.

        With `after`, each model that it reads has reached that position; with `as_of`, each is seen as it was there.
        A handler that touches a model which is behind is begun again once the model has come far enough;
        `ReadModelBehind` when that takes longer than `timeout` seconds.
        """
        return await self.answering.answer(handler, query, after=after, as_of=as_of, timeout=timeout)

    async def status(self) -> list[ModelStatus]:
        """Where each read model stands."""
        head = await self._store.head()
        holders: dict[str, str] = {}
        with suppress(ModelsUnavailable):  # what the models' database cannot be asked is not known; the rest is
            holders = {entry.name: entry.holder for entry in await self.leases()}
        found: list[ModelStatus] = []
        for definition, standing in self._standings.items():
            seconds = await self._seconds(standing, head)
            status = _status(definition, standing, head, self._count_parked(definition), seconds)
            found.append(msgspec.structs.replace(status, holder=holders.get(definition.lease)))
        return found

    async def leases(self) -> list[Entry]:
        """Which process folds each read model, and when it was last heard of; none for models in memory."""
        if kept_in_memory(self._url) or not self._definitions:
            return []
        return list((await self._book_in(self._connect()).read()).values())

    async def _seconds(self, standing: Standing, head: int) -> float:
        return 0.0 if standing.position >= head else await self.answering.seconds_behind(standing) or 0.0

    async def _is_due(self, database: "ModelsDatabase", definition: ReadModelDefinition) -> bool:
        due = partial(database.due, self._store.log_id, (), [definition])
        return definition in await asyncio.get_running_loop().run_in_executor(self._writer, due)

    def _count_parked(self, definition: ReadModelDefinition) -> int:
        return self._parked[definition].count if definition in self._parked else 0

    async def _follow(self, database: "ModelsDatabase") -> None:
        await self._skips.read(self._store, self._registry.decode)
        if kept_in_memory(self._url):
            await self._fold(database, self._folds)
            return
        for definition in self._definitions.values():
            self._standings[definition] = Standing(definition.name, -1, self._following.wanted)
        gained: Collection[ReadModelDefinition] = await self._take_part(database) if self._folds else ()
        await self._follow_others(database, [each for each in self._definitions.values() if each not in gained])

    async def _fold(self, database: "ModelsDatabase", definitions: Collection[ReadModelDefinition]) -> None:
        loop = asyncio.get_running_loop()
        stored = await loop.run_in_executor(self._writer, database.positions)
        head = await self._store.head()  # asked after the checkpoints: none of them can rightly be beyond it
        beyond = {definition for definition, position in stored.items() if position > head}
        due = await loop.run_in_executor(self._writer, database.due, self._store.log_id, beyond, definitions)
        ready = [definition for definition in definitions if definition not in due]
        for definition, position in due.items():
            self._stand(definition, position)
            self._start(definition, self._rebuild_and_follow(database, definition))
        foldings = await self._open(database, beyond, ready)
        for definition, folding in foldings.items():
            self._stand(definition, folding.position)
            self._start(definition, self._project(database, definition, folding))

    def _stand(self, definition: ReadModelDefinition, position: int) -> None:
        """The model is folded here from now on."""
        self._following.leave(definition)
        standing = self._standings.setdefault(definition, Standing(definition.name, position, self._following.wanted))
        standing.reached(position)

    async def _take_part(self, database: "ModelsDatabase") -> Collection[ReadModelDefinition]:
        """Fold what nobody else folds, now and from then on; what that is now."""
        names = [definition.lease for definition in self._folds]
        self._keeper = Keeper(self._book_in(database), names, self._terms, on_gained=self._gain, on_lost=self._lose)
        await self._keeper.turn()
        gained, self._gained = self._gained or [], None
        await self._fold(database, gained)
        self._tasks.append(asyncio.create_task(self._keeper.run(), name="leases of read models"))
        return gained

    def _book_in(self, database: "ModelsDatabase") -> LeaseBook:
        return database.book({each: each.lease for each in self._definitions.values()}, self._lease_thread)

    async def _gain(self, name: str, former: Entry | None) -> None:
        definition = self._under(name)
        if self._gained is not None:
            self._gained.append(definition)
        else:
            self._start(definition, self._take_up(self._connect(), definition))

    def _lose(self, name: str) -> None:
        definition = self._under(name)
        task = self._working.pop(definition, None)
        if task is not None:
            task.cancel()
        if self._standings[definition].ended is None:
            self._following.follow(definition, self._standings[definition])

    def _under(self, lease: str) -> ReadModelDefinition:
        return next(definition for definition in self._folds if definition.lease == lease)

    async def _take_up(self, database: "ModelsDatabase", definition: ReadModelDefinition) -> None:
        """Fold a model that another process has folded."""
        standing = self._standings[definition]
        while True:
            try:
                await self._skips.read(self._store, self._registry.decode)
                return await self._fold(database, [definition])
            except (ReadModelChanged, StoreClosed) as reason:
                return standing.end(reason)
            except LeftfoldError as trouble:
                standing.trouble = trouble
                await asyncio.sleep(PAUSE)

    async def _follow_others(self, database: "ModelsDatabase", others: Sequence[ReadModelDefinition]) -> None:
        self._observer = database.observer(self._store.log_id)
        for definition in others:
            self._following.follow(definition, self._standings[definition])
        await self._following.look()
        for standing in map(self._standings.__getitem__, others):
            if standing.ended is not None:
                raise standing.ended
        self._tasks.append(asyncio.create_task(self._following.run(), name="following read models"))

    async def _look(self, definitions: Collection[ReadModelDefinition]) -> "Mapping[ReadModelDefinition, Seen]":
        assert self._observer is not None, "nothing is followed before the database is open"
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._observer.look, definitions)

    def _note(self, definition: ReadModelDefinition, seen: "Seen") -> None:
        """What else is known of a followed model: its parked keys."""
        if definition not in self._parked and seen.checkpoint is not None:
            folding = self._connect().attached(definition, seen.checkpoint, self._registry.decode, self._skips)
            self._parked[definition] = self._parked_keys_of(definition, folding)
        if definition in self._parked:
            self._parked[definition].counted(seen.parked)

    async def _open(
        self, database: "ModelsDatabase", beyond: Collection[ReadModelDefinition], only: Collection[ReadModelDefinition]
    ) -> "dict[ReadModelDefinition, StoredFolding | FreeFolding]":
        leases = {} if self._keeper is None else {definition: (definition.lease, self._terms.me) for definition in only}
        opening = partial(database.open, self._registry.decode, self._store.log_id, beyond, self._skips, only, leases)
        return await asyncio.get_running_loop().run_in_executor(self._writer, opening)

    def _start(self, definition: ReadModelDefinition, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"projection {definition.name}")
        task.add_done_callback(partial(self._ended, definition))
        self._working[definition] = task
        self._tasks.append(task)

    def _ended(self, definition: ReadModelDefinition, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, LeaseLost):
            log.error("%s ended", definition.lease, exc_info=error)
        if self._keeper is not None and isinstance(error, LeaseLost):
            log.info("%s: what it wrote was refused", definition.lease)
            self._keeper.drop(definition.lease)

    def _project(
        self, database: "ModelsDatabase", definition: ReadModelDefinition, folding: "StoredFolding | FreeFolding"
    ) -> Coroutine[Any, Any, None]:
        self._parked[definition] = self._parked_keys_of(definition, folding)
        criteria = self._registry.stored(definition.fold.all_criteria())
        standing, data_only = self._standings[definition], definition.data_only
        return Projection(self._store, criteria, folding, standing, self._writer, data_only=data_only).run()

    def _parked_keys_of(self, definition: ReadModelDefinition, folding: "StoredFolding | FreeFolding") -> ParkedKeys:
        kind = HeldProjection if isinstance(definition, FreeProjection) else ParkedKeys
        disturbed = self._standings[definition].disturbed
        return kind(
            definition, folding, self._connect(), self._store, self._registry, self._skips, self._writer, disturbed
        )

    async def _rebuild_and_follow(self, database: "ModelsDatabase", definition: ReadModelDefinition) -> None:
        """Rebuild beside the present table, waiting out trouble with the database, then follow the log."""
        standing = self._standings[definition]
        rebuild = Rebuild(
            definition,
            self._store,
            self._registry,
            database,
            self._skips,
            self._writer,
            only_if_due=True,
            on_progress=self._on_progress,
            lease=None if self._keeper is None else (definition.lease, self._terms.me),
        )
        while (folding := await self._rebuilt(database, definition, rebuild)) is None:
            if standing.ended is not None:
                return
            await asyncio.sleep(PAUSE)
        standing.reached(folding.position)
        await self._project(database, definition, folding)

    async def _rebuilt(
        self, database: "ModelsDatabase", definition: ReadModelDefinition, rebuild: Rebuild
    ) -> "StoredFolding | FreeFolding | None":
        """What goes on with the rebuilt table; None while there is none, or when there will be none."""
        standing = self._standings[definition]
        try:
            if await self._is_due(database, definition):
                await rebuild.run()
            if not await self._is_due(database, definition):
                return (await self._open(database, (), [definition]))[definition]
        except Overtaken:
            pass
        except LeaseLost:
            raise
        except (ProjectionParked, ReadModelChanged, StoreClosed) as reason:
            standing.end(reason)  # if parked: the present tables are further, and kept until the code is right
        except LeftfoldError as trouble:
            standing.trouble = trouble
        except Exception as error:
            standing.end(ProjectionFailed(definition.name, max(standing.position, 0), repr(error)))
            raise
        return None

    def _definition(self, model: type | str) -> ReadModelDefinition:
        definition = self._definitions.get(model)
        if definition is None:
            raise UnknownReadModel(name_of(model), sorted(map(name_of, self._definitions)))
        return definition

    def _connect(self) -> "ModelsDatabase":
        """The database, opened when it is first needed; SQLAlchemy is imported no earlier."""
        from leftfold.query.tables.models_database import ModelsDatabase

        if self._database is None:
            url = self._url if self._definitions else IN_MEMORY
            self._database = ModelsDatabase(url, self._definitions.values(), self._loop)
        return self._database


def _status(definition: ReadModelDefinition, standing: Standing, head: int, parked: int, seconds: float) -> ModelStatus:
    return ModelStatus(
        name=definition.name,
        table=definition.table,
        position=max(standing.position, 0),
        lag=max(head - max(standing.position, 0), 0),
        failed=standing.ended is not None,
        problem=standing.ended or standing.trouble,
        parked=parked,
        seconds=seconds,
    )


def _check_tables(definitions: Iterable[ReadModelDefinition]) -> None:
    owners: dict[str, str] = {}
    for definition in definitions:
        for table in {definition.table, *definition.tables}:
            if table in owners:
                raise InvalidModel(
                    f"{owners[table]} and {definition.name} are both kept in the table {table!r}",
                    "a table of its own for each read model",
                    "rename one of the classes",
                )
            owners[table] = definition.name
