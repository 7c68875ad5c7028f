"""Projecting: the shards that are this process's to fold are folded, and those that others fold are followed."""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from leftfold.errors import (
    LeaseLost,
    LeftfoldError,
    LogReplaced,
    ProjectionFailed,
    ProjectionParked,
    ReadModelChanged,
    ReadModelDiverged,
    ReadModelsChanged,
    StoreClosed,
)
from leftfold.follow.lease import Terms, is_presence
from leftfold.follow.lease_holder import LeaseHolder
from leftfold.follow.lease_store import Entry, LeaseStore
from leftfold.model.failure import in_words
from leftfold.model.registry import Registry
from leftfold.query.anchors import Anchors
from leftfold.query.checkpoint_watcher import CheckpointWatcher
from leftfold.query.models_url import kept_in_memory
from leftfold.query.parked_keys import ParkedKeys, ParkedProjection
from leftfold.query.parking import Skips
from leftfold.query.past import OnProgress
from leftfold.query.progress import CheckpointMoved, ProjectionProgress, ShardedProgress, progress_of
from leftfold.query.projection import Projection
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.rebuild import Rebuild, Splitting
from leftfold.query.shard import Shard, shards_of
from leftfold.query.sql_projection import SqlProjection
from leftfold.store.contract import EventStore
from leftfold.store.identity import Replaceable

if TYPE_CHECKING:
    from leftfold.query.tables.checkpoint_reader import CheckpointReader, Seen
    from leftfold.query.tables.checkpoints import Checkpoint
    from leftfold.query.tables.folding import SqlFolding, StoredFolding
    from leftfold.query.tables.models_database import ModelsDatabase

PAUSE = 0.5  # seconds, where the models database gives trouble, or another process has yet to do its part

log = logging.getLogger("leftfold.leases")
history = logging.getLogger("leftfold.history")


class Projecting:
    """Keeps `standings` up to date, by folding or by following, and `parked` with what is held up.

    Of the processes that may fold a shard the one does that has its lease; but of models in memory this process folds
    all. What concerns a whole model, as a rebuild does, is done by whoever folds its first shard.
    """

    def __init__(
        self,
        store: EventStore,
        registry: Registry,
        definitions: Collection[ReadModelDefinition],
        folds: Collection[ReadModelDefinition],
        url: str,
        skips: Skips,
        readers: Executor,
        *,
        on_progress: OnProgress | None,
        terms: Terms,
    ) -> None:
        self._store = store
        self._registry = registry
        self._shards = [shard for definition in definitions for shard in shards_of(definition)]
        self._folds = [shard for shard in self._shards if shard.definition in folds]
        self._in_memory = kept_in_memory(url)
        self._skips = skips
        self._readers = readers
        self._on_progress = on_progress
        self._terms = terms
        self._following = CheckpointWatcher(store, self._look, self._note)
        self._anchors: Anchors | None = None
        self._observer: CheckpointReader | None = None
        self._keeper: LeaseHolder | None = None
        self._gained: list[Shard] | None = []  # while the app is opened, to be begun together
        self._begun = asyncio.Event()
        self._working: dict[Shard, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="leftfold models writer")
        self._lease_thread = ThreadPoolExecutor(1, thread_name_prefix="leftfold models leases")
        self._database: ModelsDatabase | None = None
        self.parked: dict[ReadModelDefinition, ParkedKeys] = {}
        self.standings = {definition: self._standing(definition) for definition in definitions}

    def __repr__(self) -> str:
        return f"<Projecting {len(self._working)} of {len(self._folds)} shards>"

    async def start(self, database: "ModelsDatabase", anchors: Anchors) -> None:
        """Fold what nobody else folds, now and from then on, and follow the rest."""
        self._database = database
        self._anchors = anchors
        if isinstance(self._store, Replaceable):
            self._store.replacement.listen(self._refuse)
        await self._skips.read(self._store, self._registry.decode)
        self._observer = database.observer(self._store.log_id)
        begun = await self._fold(self._folds) if self._in_memory else await self._take_part() if self._folds else ()
        if not self._in_memory:
            await self._follow_others([shard for shard in self._shards if shard not in begun])

    async def close(self) -> None:
        """Let the batches under way come to their end, and leave the work to others."""
        if isinstance(self._store, Replaceable):
            self._store.replacement.leave(self._refuse)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for standing in self.standings.values():
            standing.end(StoreClosed())
        await asyncio.to_thread(self._writer.shutdown)
        if self._keeper is not None:
            with suppress(LeftfoldError):  # others then wait for the time of the lease
                await self._keeper.release()
        await asyncio.to_thread(self._lease_thread.shutdown)

    async def leases(self, database: "ModelsDatabase") -> list[Entry]:
        """Which process folds each shard, and when it was last heard of; none for models in memory."""
        if self._in_memory or not self._shards:
            return []
        entries = await self._book_in(database, self._shards).read()
        return [entry for entry in entries.values() if not is_presence(entry)]

    def lease_trouble(self, definition: ReadModelDefinition) -> LeftfoldError | None:
        """Return what keeps this process from asking for a model's lease, if it would fold it and does not hold it."""
        keeper = self._keeper
        if keeper is None or keeper.trouble is None:
            return None
        wanted = [shard.lease for shard in self._folds if shard.definition is definition]
        return None if set(wanted) <= set(keeper.held) else keeper.trouble

    def _refuse(self, reason: LogReplaced) -> None:
        """Answer nothing more, at once: a projection may be waiting for events, or have a batch under way."""
        for shard in self._shards:
            self._standing_of(shard).refuse(reason)

    def _standing(self, definition: ReadModelDefinition) -> ProjectionProgress:
        wanted = self._following.wanted
        if definition.shards == 1:
            return ProjectionProgress(definition.name, -1, wanted)
        return ShardedProgress(definition.name, -1, definition.shards, wanted)

    def _standing_of(self, shard: Shard) -> ProjectionProgress:
        return progress_of(shard, self.standings[shard.definition])

    @property
    def _models(self) -> "ModelsDatabase":
        assert self._database is not None, "nothing is folded before it is started"
        return self._database

    @property
    def _logged(self) -> Anchors:
        assert self._anchors is not None, "nothing is folded before it is started"
        return self._anchors

    # --- which shards are folded here

    async def _take_part(self) -> Collection[Shard]:
        """Fold what nobody else folds; what that is at once."""
        names = [shard.lease for shard in self._folds]
        split = [shard.definition for shard in self._folds if shard.is_first and shard.count > 1]
        shared = [[shard.lease for shard in shards_of(definition)] for definition in split]
        book = self._book(self._folds)
        self._keeper = LeaseHolder(
            book,
            names,
            self._terms,
            on_gained=self._gain,
            on_lost=self._lose,
            shared=shared,
            check=self._store.head,
        )
        await self._keeper.turn()
        gained, self._gained = self._gained or [], None
        begun = await self._fold(gained)
        for shard in gained:
            if shard not in begun:
                self._start(shard, self._take_up(shard))
        self._tasks.append(asyncio.create_task(self._keeper.run(), name="leases of read models"))
        return begun

    def _book(self, shards: Sequence[Shard]) -> LeaseStore:
        return self._book_in(self._models, shards)

    def _book_in(self, database: "ModelsDatabase", shards: Sequence[Shard]) -> LeaseStore:
        return database.book(shards, self._lease_thread)

    async def _gain(self, name: str, former: Entry | None) -> None:
        shard = self._under(name)
        if self._gained is not None:
            self._gained.append(shard)
        else:
            self._start(shard, self._take_up(shard))

    def _lose(self, name: str) -> None:
        shard = self._under(name)
        task = self._working.pop(shard, None)
        if task is not None:
            task.cancel()
        if self._standing_of(shard).ended is None:
            self._following.follow(shard, self._standing_of(shard))

    def _under(self, lease: str) -> Shard:
        return next(shard for shard in self._folds if shard.lease == lease)

    # --- following

    async def _follow_others(self, others: Sequence[Shard]) -> None:
        for shard in others:
            self._following.follow(shard, self._standing_of(shard))
        await self._following.look()
        ended = [each.ended for each in map(self._standing_of, others) if each.ended is not None]
        changed = list({each.model: each for each in ended if isinstance(each, ReadModelChanged)}.values())
        if len(changed) > 1:
            raise ReadModelsChanged(changed[0], changed[1:])
        for reason in ended:
            raise reason
        self._tasks.append(asyncio.create_task(self._following.run(), name="following read models"))

    async def _look(self, shards: Collection[Shard]) -> "Mapping[Shard, Seen]":
        assert self._observer is not None, "nothing is followed before the database is open"
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._observer.look, shards)

    def _note(self, shard: Shard, seen: "Seen") -> None:
        """What else is known of a followed model: its parked keys."""
        definition = shard.definition
        if definition not in self.parked and seen.checkpoint is not None:
            folding = self._models.attached(definition, seen.checkpoint, self._registry.decode, self._skips)
            self.parked[definition] = self._parked_keys_of(definition, folding)
        if definition in self.parked:
            self.parked[definition].counted(seen.parked)

    # --- folding

    async def _take_up(self, shard: Shard) -> None:
        """Fold a shard as soon as its model can be folded on, split as it is defined."""
        standing = self._standing_of(shard)
        splitting = Splitting(
            shard.definition,
            self._store,
            self._registry,
            self._models,
            self._skips,
            self._writer,
            self._book,
            self._terms,
        )
        while True:
            try:
                await self._skips.read(self._store, self._registry.decode)
                await self._check_histories([shard.definition])
                ready = await splitting.attempt() if shard.is_first else await self._is_split_so(shard)
                if ready and await self._fold([shard]):
                    return self._tell_those_who_wait()
            except (ReadModelChanged, StoreClosed) as reason:
                return standing.end(reason)
            except LeftfoldError as trouble:
                standing.get_into(trouble)
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self._begun.wait()

    async def _is_split_so(self, shard: Shard) -> bool:
        """Whether the model is stored by this code, in as many shards; asked for by reading alone."""
        stored = partial(self._models.shards, shard.definition, self._store.log_id)
        return len(await asyncio.get_running_loop().run_in_executor(self._writer, stored)) == shard.count

    def _tell_those_who_wait(self) -> None:
        """A model can be folded on; its other shards need not wait until they look again."""
        self._begun.set()
        self._begun.clear()

    async def _fold(self, shards: Collection[Shard]) -> Collection[Shard]:
        """Begin to fold what of these can be folded now, or is to be rebuilt first; which these are."""
        models = {shard.definition for shard in shards}
        await self._check_histories(models)
        loop = asyncio.get_running_loop()
        due = await loop.run_in_executor(self._writer, self._models.due, self._store.log_id, models)
        rebuilt = [shard for shard in shards if shard.definition in due and shard.is_first]
        for shard in rebuilt:
            self._stand(shard, due[shard.definition])
            self._start(shard, self._rebuild_and_follow(shard))
        foldings = await self._open([shard for shard in shards if shard.definition not in due])
        for shard, folding in foldings.items():
            self._stand(shard, folding.position)
            self._start(shard, self._project(shard, folding))
        return [*rebuilt, *foldings]

    def _stand(self, shard: Shard, position: int) -> None:
        """The shard is folded here from now on."""
        self._following.leave(shard)
        self._standing_of(shard).reached(position)

    async def _check_histories(self, models: Collection[ReadModelDefinition]) -> None:
        """Begin those models anew that were folded from another history than the log has."""
        loop, log_id = asyncio.get_running_loop(), self._store.log_id
        stored = await loop.run_in_executor(self._writer, self._models.checkpoints)
        for definition in models:
            own = [each for each in stored[definition] if each.log_id == log_id]
            diverged = [each for each in own if not await self._is_of_this_history(each)]
            if diverged:
                if not isinstance(self.standings[definition].trouble, ReadModelDiverged):  # which is logged
                    history.warning("%s", ReadModelDiverged(definition.name, max(each.position for each in diverged)))
                await loop.run_in_executor(self._writer, self._models.begin_anew, definition, diverged)

    async def _is_of_this_history(self, stored: "Checkpoint") -> bool:
        """Whether the log has the event that was folded last; where it is not known which, it is noted now."""
        identity = await self._logged.at(stored.position)
        if stored.identity is not None or identity is None:
            return stored.identity == identity and identity is not None
        note = partial(self._models.put_anchor, stored, identity)
        if await asyncio.get_running_loop().run_in_executor(self._writer, note):
            history.info("%s: from now on its checkpoint tells one history of the log from another", stored.model)
        return True

    async def _open(self, only: Collection[Shard]) -> "dict[Shard, StoredFolding | SqlFolding]":
        leases = {} if self._keeper is None else {shard: (shard.lease, self._terms.me) for shard in only}
        opening = partial(self._models.open, self._registry.decode, self._store.log_id, self._skips, only, leases)
        return await asyncio.get_running_loop().run_in_executor(self._writer, opening)

    def _start(self, shard: Shard, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"projection {shard.definition.name}")
        task.add_done_callback(partial(self._ended, shard))
        self._working[shard] = task
        self._tasks.append(task)

    def _ended(self, shard: Shard, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        standing = self._standing_of(shard)
        if error is not None and not isinstance(error, LeaseLost) and standing.ended is None:
            failed = ProjectionFailed(shard.definition.name, max(standing.position, 0), in_words(error))
            failed.__cause__ = error
            standing.end(failed)  # which logs it
        if self._keeper is not None and isinstance(error, LeaseLost):
            log.info("%s: what it wrote was refused", shard.lease)
            self._keeper.drop(shard.lease)

    def _project(self, shard: Shard, folding: "StoredFolding | SqlFolding") -> Coroutine[Any, Any, None]:
        definition = shard.definition
        self.parked[definition] = self._parked_keys_of(definition, self._of_whole_model(shard, folding))
        criteria = self._registry.stored(definition.fold.all_criteria())
        standing, data_only = self._standing_of(shard), definition.data_only
        projection = Projection(
            self._store, criteria, folding, standing, self._writer, self._logged, data_only=data_only
        )
        return self._follow_log(shard, projection)

    async def _follow_log(self, shard: Shard, projection: Projection) -> None:
        try:
            await projection.run()
        except ReadModelDiverged as diverged:
            self._standing_of(shard).diverged(diverged)
            await self._take_up(shard)

    def _of_whole_model(self, shard: Shard, folding: "StoredFolding | SqlFolding") -> "StoredFolding | SqlFolding":
        """What folds the events of any parked key, not of the shard's alone."""
        if shard.count == 1:
            return folding
        return self._models.attached(shard.definition, folding.checkpoint, self._registry.decode, self._skips)

    def _parked_keys_of(self, definition: ReadModelDefinition, folding: "StoredFolding | SqlFolding") -> ParkedKeys:
        kind = ParkedProjection if isinstance(definition, SqlProjection) else ParkedKeys
        disturbed = self.standings[definition].disturbed
        return kind(
            definition, folding, self._models, self._store, self._registry, self._skips, self._writer, disturbed
        )

    async def _rebuild_and_follow(self, shard: Shard) -> None:
        """Rebuild the model beside its present table, waiting out trouble with the database, then follow the log."""
        standing, definition = self._standing_of(shard), shard.definition
        rebuild = Rebuild(
            definition,
            self._store,
            self._registry,
            self._models,
            self._skips,
            self._writer,
            only_if_due=True,
            on_progress=self._on_progress,
            lease=None if self._keeper is None else (shard.lease, self._terms.me),
        )
        while (folding := await self._rebuilt(shard, rebuild)) is None:
            if standing.ended is not None:
                return
            await asyncio.sleep(PAUSE)
        standing.reached(folding.position)
        self._tell_those_who_wait()
        await self._project(shard, folding)

    async def _rebuilt(self, shard: Shard, rebuild: Rebuild) -> "StoredFolding | SqlFolding | None":
        """What goes on with the rebuilt table; None while there is none, or when there will be none."""
        standing, definition = self._standing_of(shard), shard.definition
        try:
            if await self._is_due(definition):
                await rebuild.run()
            if not await self._is_due(definition):
                return (await self._open([shard]))[shard]
        except CheckpointMoved:
            pass
        except LeaseLost:
            raise
        except (ProjectionParked, ReadModelChanged, StoreClosed) as reason:
            standing.end(reason)  # if parked: the present tables are further, and kept until the code is right
        except LeftfoldError as trouble:
            standing.get_into(trouble)
        return None

    async def _is_due(self, definition: ReadModelDefinition) -> bool:
        due = partial(self._models.due, self._store.log_id, [definition])
        return definition in await asyncio.get_running_loop().run_in_executor(self._writer, due)
