"""Commands on the same states are decided one after another and appended together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec

from leftfold.command.decision import Decision, StagedStates
from leftfold.command.receipt import Receipt
from leftfold.command.states import State
from leftfold.model.clock import Clock
from leftfold.model.record import NewEvent
from leftfold.model.registry import Registry
from leftfold.store.contract import IdempotencyKey

Outcome = Receipt | Exception


class CommandBatch:
    """Decisions in order with their keys; those that have an outcome already are left out of the append."""

    def __init__(self, decisions: Sequence[Decision], keys: Sequence[IdempotencyKey | None]) -> None:
        self._decisions = decisions
        self._keys = keys
        self._settled: dict[int, Outcome] = {}

    def __repr__(self) -> str:
        return f"<CommandBatch of {len(self._decisions)} commands, {len(self._settled)} settled>"

    @property
    def records(self) -> list[NewEvent]:
        """What is to be appended."""
        return [record for decision in self._decisions for record in decision.records]

    def decide(self, registry: Registry, working: StagedStates, clock: Clock) -> StagedStates:
        """Decide in order. One that fails leaves nothing behind: the others are decided as if it had not come."""
        while (failed := self._first_to_fail(registry, working, clock)) is not None:
            self.settle(*failed)
            working = working.anew()
        return working

    def _first_to_fail(
        self, registry: Registry, working: StagedStates, clock: Clock
    ) -> tuple[Decision, Exception] | None:
        now = clock.now()
        for decision in self._decisions:
            if id(decision) in self._settled:
                continue
            try:
                decision.decide(registry, working, now)
            except Exception as error:  # noqa: BLE001 whatever the handler raises
                return decision, error
        return None

    def settle(self, decision: Decision, outcome: Outcome) -> None:
        """This is what came of a command, whatever is appended."""
        decision.forget()
        self._settled[id(decision)] = outcome

    def keyed(self, *, without_events: bool) -> Iterator[tuple[Decision, IdempotencyKey]]:
        """The open ones with a key; or only those of them that made no event, and so have no place for it."""
        for decision, key in zip(self._decisions, self._keys, strict=True):
            if key is not None and id(decision) not in self._settled and not (without_events and decision.records):
                yield decision, key

    def parts(self) -> list[IdempotencyKey]:
        """The keys, each with the events that it stands for."""
        found: list[IdempotencyKey] = []
        place = 0
        for decision, key in zip(self._decisions, self._keys, strict=True):
            events = len(decision.records)
            if key is not None and events:
                found.append(msgspec.structs.replace(key, place=place, events=events))
            place += events
        return found

    def outcomes(self, first: int) -> list[Outcome]:
        """What came of each, when the first event lies at `first`."""
        found: list[Outcome] = []
        position = first - 1
        for decision in self._decisions:
            position += len(decision.events)
            receipt = Receipt(max(position, 0), tuple(decision.events), str(decision.metadata.command))
            found.append(self._settled.get(id(decision)) or decision.rejected or receipt)
        return found


TOGETHER = 500

Alone = Callable[[Decision, IdempotencyKey | None], Awaitable[Receipt]]
Together = Callable[[Sequence[Decision], Sequence[IdempotencyKey | None]], Awaitable[Sequence[Outcome]]]


class WaitingCommand:
    """One command in a chain, and the caller who waits for it."""

    __slots__ = ("abandoned", "decision", "key", "outcome")

    def __init__(self, decision: Decision, key: IdempotencyKey | None, outcome: asyncio.Future[Receipt]) -> None:
        self.decision = decision
        self.key = key
        self.outcome = outcome
        self.abandoned = False

    def __repr__(self) -> str:
        return f"<WaitingCommand {self.decision!r}{', abandoned' if self.abandoned else ''}>"

    def settle(self, outcome: Outcome) -> None:
        """Answer the caller, who may have gone."""
        if self.outcome.done():
            return
        if isinstance(outcome, Receipt):
            self.outcome.set_result(outcome)
        else:
            self.outcome.set_exception(outcome)


class CommandQueue:
    """The commands of one process, by the states that they are decided on.

    The first on its states goes ahead alone. Those that come before it is done are decided one on the outcome of the
    other as soon as it is, and committed with one append; so many callers on one entity wait for few commits, first
    come first served. A caller who is cancelled while he waits leaves the chain; what has been begun is finished.
    """

    def __init__(self, alone: Alone, together: Together) -> None:
        self._alone = alone
        self._together = together
        self._waiting: dict[frozenset[State], deque[WaitingCommand]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<CommandQueue {len(self._waiting)} under way>"

    async def carry_out(self, decision: Decision, key: IdempotencyKey | None) -> Receipt:
        """Carry out one command in its turn."""
        states = frozenset(decision.states)
        waiting = self._waiting.get(states)
        if waiting is None:
            return await self._go_ahead(states, decision, key)
        link = WaitingCommand(decision, key, asyncio.get_running_loop().create_future())
        waiting.append(link)
        try:
            return await link.outcome
        except asyncio.CancelledError:
            link.abandoned = True
            raise

    async def _go_ahead(self, states: frozenset[State], decision: Decision, key: IdempotencyKey | None) -> Receipt:
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

    async def _settle(self, states: frozenset[State], links: Sequence[WaitingCommand]) -> None:
        try:
            outcomes = await self._outcomes(links)
        except Exception as error:  # noqa: BLE001 whatever it was is the callers'
            outcomes = [error] * len(links)
        finally:
            self._go_on(states)
        for link, outcome in zip(links, outcomes, strict=True):
            link.settle(outcome)

    async def _outcomes(self, links: Sequence[WaitingCommand]) -> Sequence[Outcome]:
        if len(links) == 1:
            return [await self._alone(links[0].decision, links[0].key)]
        return await self._together([link.decision for link in links], [link.key for link in links])


def _next(waiting: deque[WaitingCommand]) -> list[WaitingCommand]:
    """Those who are decided together; one whose key is among them already has to wait for its outcome."""
    links: list[WaitingCommand] = []
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
