"""The projections of one process: a task for each shard that it folds; it watches those that others fold."""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
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
from leftfold.follow.lease import LeaseTerms, is_presence
from leftfold.follow.lease_holder import LeaseHolder
from leftfold.follow.lease_store import LeaseEntry
from leftfold.model.failure import in_words
from leftfold.query.checkpoint_watcher import CheckpointWatcher
from leftfold.query.folded_log import FoldedLog
from leftfold.query.parking import ParkedKeys
from leftfold.query.progress import CheckpointMoved, ProjectionProgress
from leftfold.query.projection import Projection
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.rebuild import Rebuild, Splitting
from leftfold.query.shard import Shard, shards_of
from leftfold.store.identity import Replaceable

if TYPE_CHECKING:
    from leftfold.query.tables.checkpoints import Checkpoint, CheckpointReader, Seen
    from leftfold.query.tables.models_database import ModelsDatabase
    from leftfold.query.tables.projector import Projector

PAUSE = 0.5  # seconds, after trouble with the models database, or while another process has yet to do its part

log = logging.getLogger("leftfold.leases")
history = logging.getLogger("leftfold.history")


class ProjectionTasks:
    """Keeps `progress` up to date, by folding or by watching checkpoints, and `parked` with the parked keys.

    Of the processes that may fold a shard, the one with its lease does; this process folds every model in memory. The
    process that folds the first shard does what concerns the whole model, such as a rebuild.
    """

    def __init__(
        self,
        log: FoldedLog,
        definitions: Collection[ReadModelDefinition],
        folds: Collection[ReadModelDefinition],
        readers: Executor,
        terms: LeaseTerms,
        *,
        shared: bool,
    ) -> None:
        self._log = log
        self._store = log.store
        self._shards = [shard for definition in definitions for shard in shards_of(definition)]
        self._folds = [shard for shard in self._shards if shard.definition in folds]
        self._shared = shared  # with other processes
        self._readers = readers
        self._terms = terms
        self._watcher = CheckpointWatcher(log.store, self._read_checkpoints, self._note, self._note_rewritten)
        self._reader: CheckpointReader | None = None
        self._lease_holder: LeaseHolder | None = None
        self._gained: list[Shard] | None = []  # while the app is opened, to be begun together
        self._begun = asyncio.Event()
        self._working: dict[Shard, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._started: ModelsDatabase | None = None
        self.parked: dict[ReadModelDefinition, ParkedKeys] = {}
        self.progress = {definition: self._new_progress(definition) for definition in definitions}

    def __repr__(self) -> str:
        return f"<ProjectionTasks {len(self._working)} of {len(self._folds)} shards>"

    async def start(self, database: "ModelsDatabase") -> None:
        """Fold what no other process folds, now and later, and watch the rest."""
        self._started = database
        if isinstance(self._store, Replaceable):
            self._store.replacement.listen(self._refuse)
        await self._log.read_skips()
        self._reader = database.checkpoint_reader()
        begun = await self._fold(self._folds) if not self._shared else await self._take_part() if self._folds else ()
        if self._shared:
            await self._watch_others([shard for shard in self._shards if shard not in begun])

    async def close(self) -> None:
        """Finish the current batches, and release the leases."""
        if isinstance(self._store, Replaceable):
            self._store.replacement.leave(self._refuse)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for progress in self.progress.values():
            progress.end(StoreClosed())
        if self._started is not None:
            await asyncio.to_thread(self._started.writer.shutdown)
        if self._lease_holder is not None:
            with suppress(LeftfoldError):  # other processes then wait until the leases expire
                await self._lease_holder.release()
        if self._started is not None:
            await self._started.leases.close()

    async def leases(self, database: "ModelsDatabase") -> list[LeaseEntry]:
        """Return which process folds each shard, and when it last renewed its lease; none for models in memory."""
        if not (self._shared and self._shards):
            return []
        entries = await database.leases.read()
        return [entry for entry in entries.values() if not is_presence(entry)]

    def lease_trouble(self, definition: ReadModelDefinition) -> LeftfoldError | None:
        """Return what prevents this process from taking the lease of a model that it would fold."""
        holder = self._lease_holder
        if holder is None or holder.trouble is None:
            return None
        wanted = [shard.lease for shard in self._folds if shard.definition is definition]
        return None if set(wanted) <= set(holder.held) else holder.trouble

    def _refuse(self, reason: LogReplaced) -> None:
        """Answer nothing more, at once: a projection may be waiting for events, or be in the middle of a batch."""
        for shard in self._shards:
            self._progress_of(shard).refuse(reason)

    def _new_progress(self, definition: ReadModelDefinition) -> ProjectionProgress:
        return ProjectionProgress(definition.name, -1, self._watcher.wanted, definition.shards)

    def _progress_of(self, shard: Shard) -> ProjectionProgress:
        return self.progress[shard.definition].of(shard)

    @property
    def _models(self) -> "ModelsDatabase":
        assert self._started is not None, "nothing is folded before it is started"
        return self._started

    # --- which shards are folded here

    async def _take_part(self) -> Collection[Shard]:
        """Fold what no other process folds; return which shards are folded at once."""
        names = [shard.lease for shard in self._folds]
        split = [shard.definition for shard in self._folds if shard.is_first and shard.count > 1]
        shared = [[shard.lease for shard in shards_of(definition)] for definition in split]
        self._models.leases.add(self._folds)
        self._lease_holder = LeaseHolder(
            self._models.leases,
            names,
            self._terms,
            on_gained=self._gain,
            on_lost=self._lose,
            shared=shared,
            check=self._store.head,
        )
        await self._lease_holder.turn()
        gained, self._gained = self._gained or [], None
        begun = await self._fold(gained)
        for shard in gained:
            if shard not in begun:
                self._start(shard, self._take_up(shard))
        self._tasks.append(asyncio.create_task(self._lease_holder.run(), name="leases of read models"))
        return begun

    async def _gain(self, name: str, former: LeaseEntry | None) -> None:
        shard = self._with_lease(name)
        if self._gained is not None:
            self._gained.append(shard)
        else:
            self._start(shard, self._take_up(shard))

    def _lose(self, name: str) -> None:
        shard = self._with_lease(name)
        task = self._working.pop(shard, None)
        if task is not None:
            task.cancel()
        if self._progress_of(shard).ended is None:
            self._watcher.follow(shard, self._progress_of(shard))

    def _with_lease(self, lease: str) -> Shard:
        return next(shard for shard in self._folds if shard.lease == lease)

    # --- shards that others fold

    async def _watch_others(self, others: Sequence[Shard]) -> None:
        for shard in others:
            self._watcher.follow(shard, self._progress_of(shard))
        await self._watcher.poll()
        ended = [each.ended for each in map(self._progress_of, others) if each.ended is not None]
        changed = list({each.model: each for each in ended if isinstance(each, ReadModelChanged)}.values())
        if len(changed) > 1:
            raise ReadModelsChanged.of(changed)
        for reason in ended:
            raise reason
        self._tasks.append(asyncio.create_task(self._watcher.run(), name="watching read models"))

    async def _read_checkpoints(
        self, shards: Collection[Shard]
    ) -> "tuple[Mapping[Shard, Seen], Mapping[ReadModelDefinition, str]]":
        assert self._reader is not None, "nothing is watched before the database is open"
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._reader.read, shards)

    def _note(self, shard: Shard, seen: "Seen") -> None:
        """Note the parked keys of a model that another process folds."""
        definition = shard.definition
        if definition not in self.parked and seen.checkpoint is not None:
            projector = self._models.attached(definition, seen.checkpoint)
            self.parked[definition] = self._parked_keys_of(definition, projector)
        if definition in self.parked:
            self.parked[definition].counted(seen.parked)

    def _note_rewritten(self, definition: ReadModelDefinition) -> None:
        self.progress[definition].rows_changed()

    # --- shards that this process folds

    async def _take_up(self, shard: Shard) -> None:
        """Fold a shard as soon as its model can be folded on, in the shards that it is defined with."""
        progress = self._progress_of(shard)
        splitting = Splitting(shard.definition, self._models, self._terms)
        while True:
            try:
                await self._log.read_skips()
                await self._check_histories([shard.definition])
                ready = await splitting.attempt() if shard.is_first else await self._is_split_so(shard)
                if ready and await self._fold([shard]):
                    return self._wake_other_shards()
            except (ReadModelChanged, StoreClosed) as reason:
                return progress.end(reason)
            except LeftfoldError as trouble:
                progress.get_into(trouble)
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE):
                    await self._begun.wait()

    async def _is_split_so(self, shard: Shard) -> bool:
        """Return whether this code stored the model, in as many shards; without writing."""
        stored = await self._models.in_writer(self._models.shards, shard.definition)
        return len(stored) == shard.count

    def _wake_other_shards(self) -> None:
        """Let the other shards of a model begin without waiting until their next look."""
        self._begun.set()
        self._begun.clear()

    async def _fold(self, shards: Collection[Shard]) -> Collection[Shard]:
        """Begin to fold those that can be folded now, or have to be rebuilt first; return which these are."""
        models = {shard.definition for shard in shards}
        await self._check_histories(models)
        due = await self._models.in_writer(self._models.due, models)
        rebuilt = [shard for shard in shards if shard.definition in due and shard.is_first]
        for shard in rebuilt:
            self._take_over(shard, due[shard.definition])
            self._start(shard, self._rebuild_and_follow(shard))
        projectors = await self._open([shard for shard in shards if shard.definition not in due])
        for shard, projector in projectors.items():
            self._take_over(shard, projector.position)
            self._start(shard, self._project(shard, projector))
        return [*rebuilt, *projectors]

    def _take_over(self, shard: Shard, position: int) -> None:
        """Note that this process folds the shard from now on."""
        self._watcher.leave(shard)
        self._progress_of(shard).reached(position)

    async def _check_histories(self, models: Collection[ReadModelDefinition]) -> None:
        """Start those models again that were folded from another history than the log has."""
        log_id, stored = self._store.log_id, await self._models.in_writer(self._models.checkpoints)
        for definition in models:
            own = [each for each in stored[definition] if each.log_id == log_id]
            diverged = [each for each in own if not await self._is_of_this_history(each)]
            if diverged:
                if not isinstance(self.progress[definition].trouble, ReadModelDiverged):  # which is logged
                    history.warning("%s", ReadModelDiverged(definition.name, max(each.position for each in diverged)))
                await self._models.in_writer(self._models.begin_again, definition, diverged)

    async def _is_of_this_history(self, stored: "Checkpoint") -> bool:
        """Return whether the log has the event that was folded last; if its identity is unknown, note it now."""
        identity = await self._log.identity_at(stored.position)
        if stored.identity is not None or identity is None:
            return stored.identity == identity and identity is not None
        if await self._models.in_writer(self._models.put_anchor, stored, identity):
            history.info(
                "%s: from now on its checkpoint distinguishes one history of the log from another", stored.model
            )
        return True

    async def _open(self, only: Collection[Shard]) -> "dict[Shard, Projector]":
        leases = {} if self._lease_holder is None else {shard: (shard.lease, self._terms.me) for shard in only}
        return await self._models.in_writer(self._models.open, only, leases)

    def _start(self, shard: Shard, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"projection {shard.definition.name}")
        task.add_done_callback(partial(self._ended, shard))
        self._working[shard] = task
        self._tasks.append(task)

    def _ended(self, shard: Shard, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        progress = self._progress_of(shard)
        if error is not None and not isinstance(error, LeaseLost) and progress.ended is None:
            failed = ProjectionFailed(shard.definition.name, max(progress.position, 0), in_words(error))
            failed.__cause__ = error
            progress.end(failed)  # which logs it
        if self._lease_holder is not None and isinstance(error, LeaseLost):
            log.info("%s: another process holds the lease; the write was refused", shard.lease)
            self._lease_holder.drop(shard.lease)

    def _project(self, shard: Shard, projector: "Projector") -> Coroutine[Any, Any, None]:
        definition = shard.definition
        whole = projector
        if shard.count > 1:  # a key may be parked in any shard
            whole = self._models.attached(definition, projector.checkpoint)
        self.parked[definition] = self._parked_keys_of(definition, whole)
        projection = Projection(definition, self._models, projector, self._progress_of(shard))
        return self._follow_log(shard, projection)

    async def _follow_log(self, shard: Shard, projection: Projection) -> None:
        try:
            await projection.run()
        except ReadModelDiverged as diverged:
            self._progress_of(shard).diverged(diverged)
            await self._take_up(shard)

    def _parked_keys_of(self, definition: ReadModelDefinition, projector: "Projector") -> ParkedKeys:
        on_change = self.progress[definition].rows_changed
        return ParkedKeys(definition, projector, self._models, on_change)

    async def _rebuild_and_follow(self, shard: Shard) -> None:
        """Rebuild the model beside its present table, wait out trouble with the database, then follow the log."""
        progress, definition = self._progress_of(shard), shard.definition
        rebuild = Rebuild(
            definition,
            self._models,
            only_if_due=True,
            lease=None if self._lease_holder is None else (shard.lease, self._terms.me),
        )
        while (projector := await self._rebuilt(shard, rebuild)) is None:
            if progress.ended is not None:
                return
            await asyncio.sleep(PAUSE)
        progress.reached(projector.position)
        self._wake_other_shards()
        await self._project(shard, projector)

    async def _rebuilt(self, shard: Shard, rebuild: Rebuild) -> "Projector | None":
        """Return the projector of the rebuilt table; None while there is none, or if there will be none."""
        progress, definition = self._progress_of(shard), shard.definition
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
            progress.end(reason)  # if parked: the present tables are further, and kept until the code is right
        except LeftfoldError as trouble:
            progress.get_into(trouble)
        return None

    async def _is_due(self, definition: ReadModelDefinition) -> bool:
        return definition in await self._models.in_writer(self._models.due, [definition])
