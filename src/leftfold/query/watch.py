"""Live queries: an answer now, and a newer one whenever a read model behind it has changed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, Self, TypeVar

from leftfold.errors import StoreClosed
from leftfold.home import Home
from leftfold.query.answer_cache import Answer
from leftfold.query.standing import Seen, change

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
