"""Answering queries from the tables of the read models: computed, cached, waited for, watched."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from leftfold.errors import LeftfoldError, PositionAhead, ReadModelBehind, StoreClosed
from leftfold.model.clock import Clock
from leftfold.model.failure import in_words
from leftfold.model.registry import Registry
from leftfold.query.answer_cache import Answer, AnswerCache
from leftfold.query.handler import QueryHandler
from leftfold.query.parking import Skips
from leftfold.query.past import OnProgress, PastReplay
from leftfold.query.progress import NOT_TO_BE_ANSWERED_FROM, Behind, ProjectionProgress, Seen, change, seconds_behind
from leftfold.query.read_model import ReadModelDefinition
from leftfold.query.read_models import ReadModels
from leftfold.store.contract import EventStore
from leftfold.store.home import Home

if TYPE_CHECKING:
    from leftfold.query.tables.models_database import ModelsDatabase

R_co = TypeVar("R_co", covariant=True)


class Watch(AsyncIterator[R_co], Generic[R_co]):
    """Answers to one query, until the app is closed: `async for answer in live.watch(query)`.

    The first comes at once. The next is computed when it is asked for, or as soon as a model that the last one read has
    changed: however slow the consumer, it gets the newest and no backlog. An answer that read no model is the only one.
    Nothing is held between two answers, so that leaving the loop needs no clearing up.
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


PATIENCE = 0.02  # seconds that an attempt is put off for what it is likely to need
NOTICING = 1.0  # seconds until the change of a row is noticed that another process made and no event tells of
log = logging.getLogger("leftfold.following")


class Answering:
    """Runs query handlers in the threads of `readers`. `shared` says that other processes may write the tables too."""

    def __init__(
        self,
        store: EventStore,
        registry: Registry,
        definitions: Mapping[type | str, ReadModelDefinition],
        standings: Mapping[ReadModelDefinition, ProjectionProgress],
        skips: Skips,
        connect: "Callable[[], ModelsDatabase]",
        readers: ThreadPoolExecutor,
        *,
        clock: Clock,
        on_progress: OnProgress | None,
        shared: bool,
    ) -> None:
        self._store = store
        self._registry = registry
        self._definitions = definitions
        self._standings = standings
        self._skips = skips
        self._connect = connect
        self._clock = clock
        self._on_progress = on_progress
        self._shared = shared
        self._readers = readers
        self._caches: dict[QueryHandler, AnswerCache] = {}
        self._read_last: dict[QueryHandler, Collection[ReadModelDefinition]] = {}
        self._builds: Mapping[ReadModelDefinition, str] = {}
        self._failed_to_look = ""
        self._noticing: asyncio.Task[None] | None = None
        self._ended = False

    def __repr__(self) -> str:
        return f"<Answering from {len(self._definitions)} read models>"

    async def start(self) -> None:
        """Note how the tables are found."""
        if self._shared:
            await self._look_for_others()

    async def end(self) -> None:
        """Begin no more answers."""
        self._ended = True
        if self._noticing is not None:
            self._noticing.cancel()
            await asyncio.gather(self._noticing, return_exceptions=True)

    async def answer(
        self, handler: QueryHandler, query: object, *, after: int | None, as_of: int | None, timeout: float
    ) -> Any:
        """What the handler answers; see `ReadSide.answer`."""
        past = None if as_of is None else await self._past(as_of)
        return (await self._answer(handler, query, after or 0, past, timeout)).value

    def watch(
        self, handler: QueryHandler, query: object, *, after: int | None, timeout: float, home: Home | None = None
    ) -> Watch[Any]:
        """What the handler answers, each time that a model behind the answer has changed; see `Watch`."""
        return Watch(partial(self._watched, handler, query, after or 0, timeout), home or Home())

    def cache(self, handler: QueryHandler) -> AnswerCache | None:
        """The kept answers of a handler, if they are to be kept."""
        if not handler.cache:
            return None
        if handler not in self._caches:
            self._caches[handler] = AnswerCache(handler.query_type.__qualname__, handler.cache)
        return self._caches[handler]

    async def seconds_behind(self, standing: ProjectionProgress) -> float | None:
        """For how long the oldest event that a model has not folded has been in the log, if it can be known."""
        try:
            return await seconds_behind(self._store, max(standing.position, 0), self._clock)
        except LeftfoldError:
            return None

    async def _watched(self, handler: QueryHandler, query: object, after: int, timeout: float) -> Answer:
        self._notice_others()
        return await self._answer(handler, query, after, None, timeout)

    async def _answer(
        self, handler: QueryHandler, query: object, after: int, past: PastReplay | None, timeout: float
    ) -> Answer:
        cache = self.cache(handler) if past is None else None
        fresh = partial(self._fresh, handler, query, after, past)
        try:
            if cache is None:
                return await fresh(timeout)
            self._notice_others()
            return await cache.answer(query, after, timeout, fresh)
        except ReadModelBehind as late:
            seconds = await seconds_behind(self._store, late.position, self._clock)
            position = late.position if late.begun else NOT_TO_BE_ANSWERED_FROM
            raise ReadModelBehind(late.model, position, late.asked, timeout, seconds) from late.__cause__

    async def _fresh(
        self, handler: QueryHandler, query: object, after: int, past: PastReplay | None, timeout: float
    ) -> Answer:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        await self._expect(handler, after, timeout)
        while True:
            if self._ended:
                raise StoreClosed
            reached = {definition: standing.position for definition, standing in self._standings.items()}
            changes = {definition: standing.changes for definition, standing in self._standings.items()}
            attempt = partial(self._attempt, handler, query, reached, after, past)
            found = await loop.run_in_executor(self._readers, attempt)
            if not isinstance(found, Behind):
                value, touched, lasting = found
                if any(self._standings[each].position < 0 <= reached[each] for each in touched):
                    continue  # these rows were meanwhile found to be of another log
                self._read_last[handler] = touched
                return Answer(value, {self._standings[each]: changes[each] for each in touched}, lasting)
            await self._check_reachable(found.position)
            await self._standings[found.definition].reach(found.position, max(end - loop.time(), 0))

    async def _check_reachable(self, position: int) -> None:
        """Raise `PositionAhead` at once for a position that the log has not reached: no read model can."""
        head = await self._store.head()
        if position > head:
            raise PositionAhead(position, head, "after")

    async def _expect(self, handler: QueryHandler, after: int, timeout: float) -> None:
        """Wait a little for what the handler read last time: to begin, and to begin again, is dearer."""
        with suppress(LeftfoldError):  # perhaps it reads something else this time
            for definition in self._read_last.get(handler, ()):
                if self._standings[definition].position < after:
                    await self._standings[definition].reach(after, min(PATIENCE, timeout))

    def _attempt(
        self,
        handler: QueryHandler,
        query: object,
        reached: Mapping[ReadModelDefinition, int],
        after: int,
        past: PastReplay | None,
    ) -> Any:
        """Call the handler in one snapshot; what stopped it when it touched a model that is behind."""
        database = self._connect()
        moment = database.present(reached, after) if past is None else database.past(reached, past)
        try:
            with moment as opened:
                value = handler.answer(query, ReadModels(self._definitions, opened))
                return value, opened.touched, opened.lasting
        except Behind as behind:
            return behind

    async def _past(self, as_of: int) -> PastReplay:
        head = await self._store.head()
        if not 0 <= as_of <= head:
            raise PositionAhead(as_of, head)
        return PastReplay(
            self._store, self._registry, as_of, asyncio.get_running_loop(), self._on_progress, self._skips
        )

    # --- rows that other processes change without an event that tells of it: a key retried, a table swapped

    def _notice_others(self) -> None:
        """Look for them from the first answer on that is kept or watched."""
        if self._noticing is None and self._shared and not self._ended:
            self._noticing = asyncio.create_task(self._notice(), name="read models changed by others")

    async def _notice(self) -> None:
        while True:
            await self._look_for_others()
            await asyncio.sleep(NOTICING)

    async def _look_for_others(self) -> None:
        before, loop = self._builds, asyncio.get_running_loop()
        try:
            self._builds = await loop.run_in_executor(self._readers, self._connect().builds)
        except LeftfoldError:  # the projections tell of trouble with the database
            return
        except Exception as error:
            if self._failed_to_look != in_words(error):
                log.exception("what other processes change in the read models is not noticed, and is looked for again")
            self._failed_to_look = in_words(error)
            return
        self._failed_to_look = ""
        for definition, build in self._builds.items():
            if definition in self._standings and before.get(definition) != build:
                self._standings[definition].disturbed()
