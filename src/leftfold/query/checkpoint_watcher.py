"""Watching the stored checkpoints of read models: how far other processes are, and which rows they have changed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING

from leftfold.errors import LeftfoldError, LogReplaced, ReadModelDiverged, StoreClosed
from leftfold.model.failure import in_words
from leftfold.query.progress import ProjectionProgress
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.shard import Shard
from leftfold.store.contract import EventStore
from leftfold.store.identity import identity_at

if TYPE_CHECKING:
    from leftfold.query.tables.checkpoints import Seen

IDLE_PAUSE = 1.0  # seconds between two polls while no task waits
SHORTEST_PAUSE, LONGEST_PAUSE = 0.002, 0.02  # seconds, while one does
log = logging.getLogger("leftfold.following")
Read = Callable[[Collection[Shard]], Awaitable[tuple[Mapping[Shard, "Seen"], Mapping[ReadModelDefinition, str]]]]
OnSeen = Callable[[Shard, "Seen"], None]
OnRewritten = Callable[[ReadModelDefinition], None]


class CheckpointWatcher:
    """Keeps the progress of shards up to date that other processes fold; `wanted` is set when a task waits for one.

    It polls more often while a task waits. It calls `on_rewritten` for any model whose rows something else than a
    projector has written: by retrying a key, or by swapping a table.
    """

    def __init__(self, store: EventStore, read: Read, on_seen: OnSeen, on_rewritten: OnRewritten) -> None:
        self.wanted = asyncio.Event()
        self._store = store
        self._read = read
        self._on_seen = on_seen
        self._on_rewritten = on_rewritten
        self._builds: Mapping[ReadModelDefinition, str] = {}
        self._last_failure = ""
        self._verified: dict[Shard, tuple[int, str | None]] = {}
        self._watched: dict[Shard, ProjectionProgress] = {}

    def __repr__(self) -> str:
        return f"<CheckpointWatcher {len(self._watched)} shards>"

    def follow(self, shard: Shard, progress: ProjectionProgress) -> None:
        """Keep this progress up to date from the next poll on."""
        self._watched[shard] = progress
        self.wanted.set()

    def leave(self, shard: Shard) -> None:
        """Stop watching a shard: this process folds it."""
        self._watched.pop(shard, None)

    async def run(self) -> None:
        """Poll until cancelled; wait out trouble with the models database, which the progress shows."""
        pause, due, loop = SHORTEST_PAUSE, 0.0, asyncio.get_running_loop()
        while True:
            try:
                if loop.time() >= due:
                    due = loop.time() + IDLE_PAUSE
                    await self._store.head()  # which notices when the log is replaced
                await self.poll()
                self._last_failure = ""
            except StoreClosed:
                return
            except LogReplaced as reason:
                return self._end(reason)
            except LeftfoldError as trouble:
                for progress in self._watched.values():
                    progress.get_into(trouble)
            except Exception as error:  # waiters would wait for ever if this ended
                if self._last_failure != in_words(error):
                    log.exception("could not read the stored checkpoints; trying again")
                self._last_failure = in_words(error)
            pause = await self._pause(pause)

    def _end(self, reason: LogReplaced) -> None:
        """Refuse to answer from rows that are of another log than the one that this process reads."""
        for progress in self._watched.values():
            progress.refuse(reason)

    async def poll(self) -> None:
        """Read the checkpoints once."""
        watched = dict(self._watched)
        found, builds = await self._read(tuple(watched))
        rewritten = [definition for definition, build in builds.items() if self._builds.get(definition) != build]
        self._builds = builds
        for definition in rewritten:
            self._on_rewritten(definition)
        for shard, seen in found.items():
            progress = watched[shard]
            if self._watched.get(shard) is not progress:
                continue  # this process folds it meanwhile
            if seen.problem is not None:
                progress.end(seen.problem)
                self.leave(shard)
                continue
            if not await self._is_of_this_history(shard, seen):
                progress.diverged(ReadModelDiverged(progress.model, seen.position))
                continue
            self._on_seen(shard, seen)
            if seen.position != progress.position or progress.trouble is not None:
                progress.reached(seen.position)

    async def _is_of_this_history(self, shard: Shard, seen: "Seen") -> bool:
        """Return whether the log has the event that was folded last; asked again when the checkpoint has moved."""
        if seen.position < 0 or self._verified.get(shard) == (seen.position, seen.identity):
            return True
        identity = await identity_at(self._store, seen.position)
        if identity is None or seen.identity not in (None, identity):
            return False
        self._verified[shard] = (seen.position, seen.identity)
        return True

    async def _pause(self, pause: float) -> float:
        """Pause until the next poll; return how long the pause after it may be."""
        if any(progress.awaited for progress in self._watched.values()):
            await asyncio.sleep(pause)
            return min(pause * 1.5, LONGEST_PAUSE)
        self.wanted.clear()
        try:
            async with asyncio.timeout(IDLE_PAUSE):
                await self.wanted.wait()
        except TimeoutError:
            pass
        return SHORTEST_PAUSE
