"""Cached answers: returned again as long as no read model behind them has changed."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from leftfold.query.progress import Seen, unchanged

SIMPLE_TYPES = (str, bytes, int, bool, type(None))


def by_value(value: Any) -> Hashable:
    """Return a hashable equivalent; raise `TypeError` for a value that has none.

    The type is part of it: 1, True, 1.0 and Decimal(1) are four values, and one instant in two time zones is two.
    """
    kind = _kind(value)
    if kind in SIMPLE_TYPES:
        return (kind, value)
    if issubclass(kind, msgspec.Struct):
        return (kind, *_each(getattr(value, name) for name in kind.__struct_fields__))
    if isinstance(value, Mapping):
        return (kind, tuple(_each(value)), tuple(_each(value.values())))
    if isinstance(value, AbstractSet):
        return (kind, frozenset(_each(value)))
    if isinstance(value, list | tuple):
        return (kind, *_each(value))
    hash(value)
    return (kind, repr(value), value)


def _kind(value: object) -> type[object]:
    return type(value)


def _each(values: Any) -> Iterable[Hashable]:
    return map(by_value, values)


COPIED_TYPES = (list, dict, set)
Ask = Callable[[float], Awaitable["Answer"]]
"""Compute an answer; wait at most so many seconds for read models."""


class Answer(msgspec.Struct, frozen=True):
    """A handler's answer, the models that it read, and whether the answer stays right as long as their rows do."""

    value: Any
    seen: Seen
    lasting: bool = True


class CacheStatus(msgspec.Struct, frozen=True):
    """How often the answer to a query was cached (`hits`) and how often it had to be computed (`misses`).

    `entries` answers are cached at present, of at most `size`.
    """

    query: str
    size: int
    entries: int
    hits: int
    misses: int

    @property
    def hit_rate(self) -> float:
        """The share of hits; 0 before anything was asked."""
        return self.hits / (self.hits + self.misses) if self.hits else 0.0


class AnswerCache:
    """Caches the answers to one type of query, those asked for last. Belongs to one event loop.

    If the same query is asked several times at once, it is computed once. Each caller gets a copy of a list, dict or
    set; its elements are shared.
    """

    def __init__(self, query: str, size: int) -> None:
        self._query = query
        self._size = size
        self._cached: OrderedDict[Hashable, Answer] = OrderedDict()
        self._under_way: dict[Hashable, asyncio.Future[None]] = {}
        self._hits = 0
        self._misses = 0

    def __repr__(self) -> str:
        return f"<AnswerCache of {self._query}: {len(self._cached)} of {self._size}>"

    @property
    def status(self) -> CacheStatus:
        """Its hits and misses so far."""
        return CacheStatus(self._query, self._size, len(self._cached), self._hits, self._misses)

    async def answer(self, query: object, after: int, timeout: float, ask: Ask) -> Answer:
        """Return the cached answer if it includes everything up to `after`, else what `ask` computes."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        try:
            key = by_value(query)
        except TypeError:
            self._misses += 1
            return await ask(timeout)
        found = await self._find(key, after, end)
        if found is None and (key, after) in self._under_way:
            await asyncio.wait([self._under_way[key, after]], timeout=max(end - loop.time(), 0))
            found = await self._find(key, after, end)  # if the awaited answer is outdated already, compute another
        if found is None:
            self._misses += 1
            return await self._compute(key, after, ask, end)
        self._hits += 1
        return _with_own_container(found)

    async def _find(self, key: Hashable, after: int, end: float) -> Answer | None:
        """Return the cached answer, once its models have reached `after`, if no row has changed by then."""
        found = self._cached.get(key)
        if found is None:
            return None
        for progress in found.seen:
            if progress.position < after:
                await progress.wait_for(after, max(end - asyncio.get_running_loop().time(), 0))
        if unchanged(found.seen):
            if key in self._cached:
                self._cached.move_to_end(key)
            return found
        if self._cached.get(key) is found:
            del self._cached[key]
        return None

    async def _compute(self, key: Hashable, after: int, ask: Ask, end: float) -> Answer:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._under_way.setdefault((key, after), done)
        try:
            answer = await ask(max(end - loop.time(), 0))
            self._keep(key, answer)
        finally:
            if self._under_way.get((key, after)) is done:
                del self._under_way[key, after]
            done.set_result(None)
        return _with_own_container(answer)

    def _keep(self, key: Hashable, answer: Answer) -> None:
        if answer.seen and answer.lasting:
            self._cached[key] = answer
            self._cached.move_to_end(key)
            if len(self._cached) > self._size:
                self._cached.popitem(last=False)


def _with_own_container(answer: Answer) -> Answer:
    """Return the answer with a copy of its list, dict or set."""
    if type(answer.value) in COPIED_TYPES:
        return msgspec.structs.replace(answer, value=answer.value.copy())
    return answer
