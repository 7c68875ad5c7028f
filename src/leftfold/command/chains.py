"""Chains: commands on the same states that come while others are under way are decided together, in their order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from leftfold.command.decision import Decision
from leftfold.command.receipt import Receipt
from leftfold.command.states import State
from leftfold.store.contract import Key

TOGETHER = 500

Outcome = Receipt | Exception
Alone = Callable[[Decision, Key | None], Awaitable[Receipt]]
Together = Callable[[Sequence[Decision], Sequence[Key | None]], Awaitable[Sequence[Outcome]]]


class Link:
    """One command in a chain, and the caller who waits for it."""

    __slots__ = ("abandoned", "decision", "key", "outcome")

    def __init__(self, decision: Decision, key: Key | None, outcome: asyncio.Future[Receipt]) -> None:
        self.decision = decision
        self.key = key
        self.outcome = outcome
        self.abandoned = False

    def __repr__(self) -> str:
        return f"<Link {self.decision!r}{', abandoned' if self.abandoned else ''}>"

    def settle(self, outcome: Outcome) -> None:
        """Answer the caller, who may have gone."""
        if self.outcome.done():
            return
        if isinstance(outcome, Receipt):
            self.outcome.set_result(outcome)
        else:
            self.outcome.set_exception(outcome)


class Chains:
    """The commands of one process, by the states that they are decided on.

    The first on its states goes ahead alone. Those that come before it is done are decided one on the outcome of the
    other as soon as it is, and committed with one append; so many callers on one entity wait for few commits, first
    come first served. A caller who is cancelled while he waits leaves the chain; what has been begun is finished.
    """

    def __init__(self, alone: Alone, together: Together) -> None:
        self._alone = alone
        self._together = together
        self._waiting: dict[frozenset[State], deque[Link]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Chains {len(self._waiting)} under way>"

    async def carry_out(self, decision: Decision, key: Key | None) -> Receipt:
        """Carry out one command in its turn."""
        states = frozenset(decision.states)
        waiting = self._waiting.get(states)
        if waiting is None:
            return await self._go_ahead(states, decision, key)
        link = Link(decision, key, asyncio.get_running_loop().create_future())
        waiting.append(link)
        try:
            return await link.outcome
        except asyncio.CancelledError:
            link.abandoned = True
            raise

    async def _go_ahead(self, states: frozenset[State], decision: Decision, key: Key | None) -> Receipt:
        if not states:
            return await self._alone(decision, key)  # it depends on nothing, so it waits for nobody
        self._waiting[states] = deque()
        try:
            return await self._alone(decision, key)
        finally:
            self._go_on(states)

    def _go_on(self, states: frozenset[State]) -> None:
        """Let those go ahead who have gathered; in a task of its own, which no caller can cancel."""
        waiting = self._waiting[states]
        links = _next(waiting)
        if not links:
            del self._waiting[states]
            return
        task = asyncio.create_task(self._settle(states, links))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, states: frozenset[State], links: Sequence[Link]) -> None:
        try:
            outcomes = await self._outcomes(links)
        except Exception as error:  # noqa: BLE001 whatever it was is the callers'
            outcomes = [error] * len(links)
        finally:
            self._go_on(states)
        for link, outcome in zip(links, outcomes, strict=True):
            link.settle(outcome)

    async def _outcomes(self, links: Sequence[Link]) -> Sequence[Outcome]:
        if len(links) == 1:
            return [await self._alone(links[0].decision, links[0].key)]
        return await self._together([link.decision for link in links], [link.key for link in links])


def _next(waiting: deque[Link]) -> list[Link]:
    """Those who are decided together; one whose key is among them already has to wait for its outcome."""
    links: list[Link] = []
    keys: set[str] = set()
    while waiting and len(links) < TOGETHER:
        link = waiting[0]
        if link.key is not None and link.key.value in keys:
            break
        waiting.popleft()
        if not link.abandoned:
            links.append(link)
            keys.update([link.key.value] if link.key else ())
    return links
