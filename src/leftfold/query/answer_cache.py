"""Cached answers: given again as long as no read model behind them has changed."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from leftfold.query.progress import Seen, unchanged

PLAIN = (str, bytes, int, bool, type(None))


def by_value(value: Any) -> Hashable:
    """A hashable stand-in; `TypeError` for a value that has none.

    The type is part of it: 1, True, 1.0 and Decimal(1) are four values, and so is one moment in two time zones.
    """
    kind = _kind(value)
    if kind in PLAIN:
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


COPIED = (list, dict, set)
Ask = Callable[[float], Awaitable["Answer"]]
"""Computes an answer, waiting at most so many seconds for read models."""


class Answer(msgspec.Struct, frozen=True):
    """What a handler answered, the models that it read, and whether the answer is right as long as their rows are."""

    value: Any
    seen: Seen
    lasting: bool = True


class CacheStatus(msgspec.Struct, frozen=True):
    """How often the answer to a query was kept (`hits`) and how often it had to be computed (`misses`).

    `entries` answers are kept at present, of at most `size`.
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
    """The answers to one type of query, those asked for last. Belongs to one event loop.

    Of the same query asked at the same time one is computed. A list, dict or set is copied for each caller; what is in
    it is shared.
    """

    def __init__(self, query: str, size: int) -> None:
        self._query = query
        self._size = size
        self._kept: OrderedDict[Hashable, Answer] = OrderedDict()
        self._under_way: dict[Hashable, asyncio.Future[None]] = {}
        self._hits = 0
        self._misses = 0

    def __repr__(self) -> str:
        return f"<AnswerCache of {self._query}: {len(self._kept)} of {self._size}>"

    @property
    def status(self) -> CacheStatus:
        """What the cache is worth."""
        return CacheStatus(self._query, self._size, len(self._kept), self._hits, self._misses)

    async def answer(self, query: object, after: int, timeout: float, ask: Ask) -> Answer:
        """The kept answer, if it includes everything up to `after`, else what `ask` computes."""
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
            found = await self._find(key, after, end)  # else it is computed here: what was awaited has changed since
        if found is None:
            self._misses += 1
            return await self._compute(key, after, ask, end)
        self._hits += 1
        return _given(found)

    async def _find(self, key: Hashable, after: int, end: float) -> Answer | None:
        """The kept answer; where its models have yet to reach `after`, once they have, if that changes nothing."""
        found = self._kept.get(key)
        if found is None:
            return None
        for standing in found.seen:
            if standing.position < after:
                await standing.reach(after, max(end - asyncio.get_running_loop().time(), 0))
        if unchanged(found.seen):
            if key in self._kept:
                self._kept.move_to_end(key)
            return found
        if self._kept.get(key) is found:
            del self._kept[key]
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
        return _given(answer)

    def _keep(self, key: Hashable, answer: Answer) -> None:
        if answer.seen and answer.lasting:
            self._kept[key] = answer
            self._kept.move_to_end(key)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)


def _given(answer: Answer) -> Answer:
    """The answer with a container of the caller's own."""
    if type(answer.value) in COPIED:
        return msgspec.structs.replace(answer, value=answer.value.copy())
    return answer
