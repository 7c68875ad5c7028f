"""Answering queries from the tables of the read models: cached, awaited and watched."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from leftfold.errors import LeftfoldError, PositionAhead, ReadModelBehind, StoreClosed
from leftfold.model.clock import Clock
from leftfold.query.answer_cache import Answer, AnswerCache
from leftfold.query.folded_log import FoldedLog
from leftfold.query.handler import QueryHandler
from leftfold.query.progress import NOT_TO_BE_ANSWERED_FROM, Behind, ProjectionProgress, Seen, change, seconds_behind
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.read_models import ReadModels
from leftfold.store.home import Home

if TYPE_CHECKING:
    from leftfold.query.tables.models_database import ModelsDatabase

R_co = TypeVar("R_co", covariant=True)


class Watch(AsyncIterator[R_co], Generic[R_co]):
    """Answers to one query, until the app is closed: `async for answer in live.watch(query)`.

    The first answer comes at once, the next one after a model that the last one read has changed. It is computed when
    it is asked for, so a slow consumer gets the newest answer and no backlog. An answer that read no model is the only
    one. Nothing stays open between two answers, so leaving the loop needs no clean-up.
    """

    def __init__(self, ask: Callable[[], Awaitable[Answer]], home: Home) -> None:
        self._ask = ask
        self._home = home
        self._seen: Seen | None = None

    def __repr__(self) -> str:
        return f"<Watch of {', '.join(sorted(each.model for each in self._seen or ())) or 'nothing yet'}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R_co:
        self._home.check()
        if self._seen is not None and not self._seen:
            raise StopAsyncIteration
        try:
            if self._seen:
                await change(self._seen)
            answer = await self._ask()
        except StoreClosed:
            raise StopAsyncIteration from None
        self._seen = answer.seen
        value: R_co = answer.value
        return value


SECONDS_BEFORE_ATTEMPT = 0.02  # to wait for the models that an attempt will probably need


class Answering:
    """Runs query handlers in the threads of `readers`."""

    def __init__(
        self,
        log: FoldedLog,
        definitions: Mapping[type | str, ReadModelDefinition],
        progress: Mapping[ReadModelDefinition, ProjectionProgress],
        connect: "Callable[[], ModelsDatabase]",
        readers: ThreadPoolExecutor,
        clock: Clock,
    ) -> None:
        self._log = log
        self._store = log.store
        self._definitions = definitions
        self._progress = progress
        self._connect = connect
        self._clock = clock
        self._readers = readers
        self._caches: dict[QueryHandler, AnswerCache] = {}
        self._read_last: dict[QueryHandler, Collection[ReadModelDefinition]] = {}
        self._ended = False

    def __repr__(self) -> str:
        return f"<Answering from {len(self._definitions)} read models>"

    def end(self) -> None:
        """Compute no more answers."""
        self._ended = True

    async def answer(
        self,
        handler: QueryHandler,
        query: object,
        *,
        after: int | None = None,
        as_of: int | None = None,
        timeout: float = 5.0,
        planned: bool = False,
    ) -> Answer:
        """Run the handler, or return its cached answer; `planned`, return the plans of its statements instead.

        With `after`, each model that it reads has reached that position; with `as_of`, each is as it was there. If the
        handler touches a model that is behind, it runs again once the model has caught up; `ReadModelBehind` is raised
        if that takes longer than `timeout` seconds.
        """
        if as_of is not None:
            await self._check_past(as_of)
        cache = self.cache(handler) if as_of is None and not planned else None
        fresh = partial(self._fresh, handler, query, after or 0, as_of, planned)
        try:
            if cache is None:
                return await fresh(timeout)
            return await cache.answer(query, after or 0, timeout, fresh)
        except ReadModelBehind as late:
            seconds = await seconds_behind(self._store, late.position, self._clock)
            position = late.position if late.begun else NOT_TO_BE_ANSWERED_FROM
            raise ReadModelBehind(late.model, position, late.asked, timeout, seconds) from late.__cause__

    def watch(
        self, handler: QueryHandler, query: object, *, after: int | None, timeout: float, home: Home | None = None
    ) -> Watch[Any]:
        """Answer each time that a model behind the answer has changed; see `Watch`."""

        async def ask() -> Answer:
            return await self.answer(handler, query, after=after, timeout=timeout)

        return Watch(ask, home or Home())

    def cache(self, handler: QueryHandler) -> AnswerCache | None:
        """Return the cached answers of a handler, if it caches them."""
        if not handler.cache:
            return None
        if handler not in self._caches:
            self._caches[handler] = AnswerCache(handler.query_type.__qualname__, handler.cache)
        return self._caches[handler]

    async def seconds_behind(self, progress: ProjectionProgress) -> float | None:
        """Return how long the oldest event that a model has not folded has been in the log, if that can be read."""
        try:
            return await seconds_behind(self._store, max(progress.position, 0), self._clock)
        except LeftfoldError:
            return None

    async def _fresh(
        self, handler: QueryHandler, query: object, after: int, as_of: int | None, planned: bool, timeout: float
    ) -> Answer:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        await self._expect(handler, after, timeout)
        while True:
            if self._ended:
                raise StoreClosed
            reached = {definition: progress.position for definition, progress in self._progress.items()}
            changes = {definition: progress.changes for definition, progress in self._progress.items()}
            attempt = partial(self._attempt, handler, query, reached, after, as_of, planned)
            found = await loop.run_in_executor(self._readers, attempt)
            if not isinstance(found, Behind):
                value, touched, lasting = found
                if any(self._progress[each].position < 0 <= reached[each] for each in touched):
                    continue  # these rows have turned out to be of another log
                self._read_last[handler] = touched
                return Answer(value, {self._progress[each]: changes[each] for each in touched}, lasting)
            await self._check_reachable(found.position)
            await self._progress[found.definition].wait_for(found.position, max(end - loop.time(), 0))

    async def _check_reachable(self, position: int) -> None:
        """Raise `PositionAhead` at once for a position that the log has not reached: no read model can reach it."""
        head = await self._store.head()
        if position > head:
            raise PositionAhead(position, head, "after")

    async def _check_past(self, as_of: int) -> None:
        head = await self._store.head()
        if not 0 <= as_of <= head:
            raise PositionAhead(as_of, head)

    async def _expect(self, handler: QueryHandler, after: int, timeout: float) -> None:
        """Wait a little for what the handler read last time: that is cheaper than running it twice."""
        with suppress(LeftfoldError):  # it may read other models this time
            for definition in self._read_last.get(handler, ()):
                if self._progress[definition].position < after:
                    await self._progress[definition].wait_for(after, min(SECONDS_BEFORE_ATTEMPT, timeout))

    def _attempt(
        self,
        handler: QueryHandler,
        query: object,
        reached: Mapping[ReadModelDefinition, int],
        after: int,
        as_of: int | None,
        planned: bool,
    ) -> Any:
        """Call the handler in one snapshot; return `Behind` if it touched a model that is behind."""
        database = self._connect()
        opening = database.present(reached, after) if as_of is None else database.past(reached, as_of)
        try:
            with opening as snapshot:
                ask = partial(handler.answer, query, ReadModels(self._definitions, snapshot))
                value = snapshot.plans_of(ask) if planned else ask()
                return value, snapshot.touched, snapshot.lasting
        except Behind as behind:
            return behind
