"""Following read models that others fold: their stored checkpoints are looked at, often while someone waits."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING

from leftfold.errors import LeftfoldError, LogReplaced, ReadModelDiverged, StoreClosed
from leftfold.query.progress import ProjectionProgress
from leftfold.query.shard import Shard
from leftfold.store.contract import EventStore
from leftfold.store.identity import identity_at

if TYPE_CHECKING:
    from leftfold.query.tables.checkpoint_reader import Seen

SELDOM = 1.0  # seconds between two looks while nobody waits
SHORTEST, LONGEST = 0.002, 0.02  # seconds, while someone does
log = logging.getLogger("leftfold.following")
Look = Callable[[Collection[Shard]], Awaitable[Mapping[Shard, "Seen"]]]
OnSeen = Callable[[Shard, "Seen"], None]


class CheckpointWatcher:
    """Keeps the standings of shards up to date that are not folded here.

    `wanted` is set when someone begins to wait for one.
    """

    def __init__(self, store: EventStore, look: Look, on_seen: OnSeen) -> None:
        self.wanted = asyncio.Event()
        self._store = store
        self._look = look
        self._on_seen = on_seen
        self._verified: dict[Shard, tuple[int, str | None]] = {}
        self._followed: dict[Shard, ProjectionProgress] = {}

    def __repr__(self) -> str:
        return f"<CheckpointWatcher {len(self._followed)} shards>"

    def follow(self, shard: Shard, standing: ProjectionProgress) -> None:
        """Keep this standing up to date from the next look on."""
        self._followed[shard] = standing
        self.wanted.set()

    def leave(self, shard: Shard) -> None:
        """Look at it no more: it is folded here."""
        self._followed.pop(shard, None)

    async def run(self) -> None:
        """Look until cancelled; trouble with the models database is waited out, and the standings tell of it."""
        pause, due, loop = SHORTEST, 0.0, asyncio.get_running_loop()
        while True:
            try:
                if loop.time() >= due:
                    due = loop.time() + SELDOM
                    await self._store.head()  # which notices when the log is replaced
                await self.look()
            except StoreClosed:
                return
            except LogReplaced as reason:
                return self._end(reason)
            except LeftfoldError as trouble:
                for standing in self._followed.values():
                    standing.get_into(trouble)
            except Exception:  # who waits would wait for ever if this ended
                log.exception("the stored checkpoints could not be looked at, and are looked at again")
            pause = await self._pause(pause)

    def _end(self, reason: LogReplaced) -> None:
        """Answer nothing more: what is folded from now on is of another log than this process reads."""
        for standing in self._followed.values():
            standing.refuse(reason)

    async def look(self) -> None:
        """Look once."""
        followed = dict(self._followed)
        if not followed:
            return
        for shard, seen in (await self._look(tuple(followed))).items():
            standing = followed[shard]
            if self._followed.get(shard) is not standing:
                continue  # it came to be folded here meanwhile
            if seen.problem is not None:
                standing.end(seen.problem)
                self.leave(shard)
                continue
            if not await self._is_of_this_history(shard, seen):
                standing.diverged(ReadModelDiverged(standing.model, seen.position))
                continue
            self._on_seen(shard, seen)
            if seen.position != standing.position or standing.trouble is not None:
                standing.reached(seen.position)

    async def _is_of_this_history(self, shard: Shard, seen: "Seen") -> bool:
        """Whether the log has the event that was folded last; asked again whenever the checkpoint has moved."""
        if seen.position < 0 or self._verified.get(shard) == (seen.position, seen.identity):
            return True
        identity = await identity_at(self._store, seen.position)
        if identity is None or seen.identity not in (None, identity):
            return False
        self._verified[shard] = (seen.position, seen.identity)
        return True

    async def _pause(self, pause: float) -> float:
        """Until the next look; how long the pause after it is to be."""
        if any(standing.awaited for standing in self._followed.values()):
            await asyncio.sleep(pause)
            return min(pause * 1.5, LONGEST)
        self.wanted.clear()
        try:
            async with asyncio.timeout(SELDOM):
                await self.wanted.wait()
        except TimeoutError:
            pass
        return SHORTEST
