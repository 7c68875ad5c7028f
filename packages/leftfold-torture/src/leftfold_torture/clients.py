"""A client: callers and subscribers of one store, who write down all that they call and are answered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from leftfold.errors import Conflict, LeftfoldError, OutcomeUnknown
from leftfold.live import LiveApp
from leftfold.model.record import StoredEvent
from leftfold.store.contract import AppendCondition, Batch, EventStore
from leftfold.store.subscription import subscribe
from leftfold_torture.counting import Count, CountTogether
from leftfold_torture.hostile import hostile_requests
from leftfold_torture.record import (
    CANCELLED,
    Absent,
    Answer,
    Append,
    Awaited,
    Broken,
    Call,
    Condition,
    Delivered,
    Execute,
    Follow,
    Found,
    Head,
    Hostile,
    Invoked,
    Items,
    Journal,
    Left,
    Lookup,
    Placed,
    Read,
    Refused,
    Returned,
    Stood,
    Taken,
    Unknown,
    Wait,
    content_of_events,
    criteria_of,
    now,
)
from leftfold_torture.workload import Decide, Find, Look, Order, Peek, Step, Workload, Write

RETRIES = 5
PAUSE_AFTER_TROUBLE = 0.1
ATTACKERS = 2
PAUSE_BETWEEN_ATTACKS = 0.005
PATIENCE = 30.0  # seconds that a call under way may take once all faults are over


class Habits(NamedTuple):
    """How a client goes about it: callers at once, subscriptions, and the mean pause between two steps in seconds."""

    callers: int = 4
    subscriptions: int = 2
    pause: float = 0.02


class Calls:
    """Calls of a store, each written down before and after."""

    def __init__(self, name: str, store: EventStore, live: LiveApp, journal: Journal) -> None:
        self.name = name
        self.store = store
        self._live = live
        self.known = 0  # the newest position that an answer has named
        self._journal = journal
        self._numbers = count()

    def __repr__(self) -> str:
        return f"<Calls of {self.name}>"

    def begin(self, call: Call) -> int:
        """Write down that a call begins, and give it its number."""
        number = next(self._numbers)
        self._journal.write(Invoked(self.name, number, now(), call))
        return number

    def end(self, number: int, answer: Answer) -> None:
        """Write down its answer."""
        self._journal.write(Returned(self.name, number, now(), answer))

    def note(self, number: int, batch: Batch) -> None:
        """Write down what a subscription delivered."""
        at = now()
        positions = tuple(event.position for event in batch.events)
        content = content_of_events(batch.events)
        self._journal.write(Delivered(self.name, number, at, positions, content, batch.through))

    def awaited(self, number: int, head: int, through: int) -> None:
        """Write down how far a subscription has come."""
        self._journal.write(Awaited(self.name, number, now(), head, through))

    async def append(self, call: Append, cancel_after: float | None = None) -> Answer:
        """Append, and tell the outcome."""
        conditions = [AppendCondition(criteria_of(each.items), each.after) for each in call.conditions]

        async def append() -> Answer:
            placed = await self.store.append(call.events, condition=conditions or None, key=call.key)
            self.known = max(self.known, placed.last)
            return Placed(placed.first, placed.last, placed.duplicate)

        return await self._answered(call, append, cancel_after)

    async def read(self, call: Read) -> Answer:
        """Read to the end."""

        async def read() -> Answer:
            events: list[StoredEvent] = []
            through = 0
            async for batch in self._batches(call):
                events += batch.events
                through = batch.through
            self.known = max(self.known, through)
            return Found(tuple(event.position for event in events), content_of_events(events), through)

        return await self._answered(call, read)

    async def lookup(self, call: Lookup) -> Answer:
        """Look up a key."""

        async def lookup() -> Answer:
            found = await self.store.lookup(call.key)
            return Absent() if found is None else Placed(found.first, found.last)

        return await self._answered(call, lookup)

    async def peek(self, call: Head | Wait) -> Answer:
        """Ask for the newest position, or wait for a newer one."""

        async def peek() -> Answer:
            store = self.store
            return Stood(await (store.head() if isinstance(call, Head) else store.wait(call.after, call.timeout)))

        return await self._answered(call, peek)

    async def execute(self, call: Execute, cancel_after: float | None = None) -> Answer:
        """Execute a command of the counting app."""

        async def execute() -> Answer:
            together = [call.counter, *call.others]
            one = Count(call.counter, call.id, call.picky)
            command = CountTogether(together, call.id, call.picky) if call.others else one
            receipt = await self._live.execute(command, key=call.key)
            self.known = max(self.known, receipt.position)
            return Placed(receipt.position, receipt.position, receipt.duplicate)

        return await self._answered(call, execute, cancel_after)

    async def attack(self, request: str) -> Answer:
        """Send a hostile request."""
        hostile = hostile_requests()[request]

        async def attack() -> Answer:
            return Taken(repr(await hostile.call(self.store, self._live)))

        return await self._answered(Hostile(request, hostile.errors), attack)

    def _batches(self, call: Read) -> AsyncIterator[Batch]:
        return self.store.read(
            criteria_of(call.items), after=call.after, upto=call.upto, limit=call.limit, reverse=call.reverse
        )

    async def _answered(
        self, call: Call, make: Callable[[], Awaitable[Answer]], cancel_after: float | None = None
    ) -> Answer:
        number = self.begin(call)
        patience = asyncio.timeout(cancel_after)
        try:
            async with patience:
                answer = await make()
        except asyncio.CancelledError:
            self.end(number, CANCELLED if isinstance(call, Hostile) else Broken("no answer"))
            raise
        except Exception as error:  # noqa: BLE001 whatever a store raises is its answer
            answer = CANCELLED if patience.expired() else answer_of(error)
        self.end(number, answer)
        return answer


class Subscriber:
    """One subscription, begun again at its checkpoint whenever it breaks."""

    def __init__(self, calls: Calls, items: Items, after: int) -> None:
        self.through = after
        self._calls = calls
        self._items = items
        self._number = -1
        self._moved = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Subscriber of {self._calls.name} at {self.through}>"

    async def run(self) -> None:
        """Follow the log until cancelled."""
        while True:
            self._number = self._calls.begin(Follow(self._items, self.through))
            try:
                await self._follow()
            except asyncio.CancelledError:
                self._calls.end(self._number, Left())
                raise
            except Exception as error:  # noqa: BLE001 whatever a store raises is its answer
                self._calls.end(self._number, answer_of(error))
            await asyncio.sleep(PAUSE_AFTER_TROUBLE)

    async def reach(self, head: int, patience: float) -> None:
        """Wait until the subscription has come to `head`, and write down whether it has."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self.through < head:
                    self._moved.clear()
                    await self._moved.wait()
        self._calls.awaited(self._number, head, self.through)

    async def _follow(self) -> None:
        async for batch in subscribe(self._calls.store, criteria_of(self._items), after=self.through):
            self._calls.note(self._number, batch)
            self.through = batch.through
            self._moved.set()


class Client:
    """Callers and subscribers of one store, in one event loop."""

    def __init__(self, calls: Calls, workload: Workload, habits: Habits) -> None:
        self._calls = calls
        self._workload = workload
        self._habits = habits
        self._stopping = False
        self._callers: list[asyncio.Task[None]] = []
        self._subscribers: list[Subscriber] = []
        self._subscriptions: list[asyncio.Task[None]] = []
        self._attackers: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<Client {self._calls.name}>"

    def start(self, after: int = 0) -> None:
        """Begin to call, and to follow the log after a position."""
        self._subscribers = [
            Subscriber(self._calls, self._workload.followed(), after) for _ in range(self._habits.subscriptions)
        ]
        self._subscriptions = [asyncio.create_task(each.run()) for each in self._subscribers]
        self._callers = [asyncio.create_task(self._call()) for _ in range(self._habits.callers)]

    def attack(self) -> None:
        """Begin to send hostile requests too, each kind in turn."""
        self._attackers = [asyncio.create_task(self._attack(number)) for number in range(ATTACKERS)]

    async def relent(self) -> None:
        """Send no more of them."""
        await cancel(self._attackers)
        self._attackers = []

    async def stop(self) -> None:
        """Begin nothing new, and wait for what is under way."""
        self._stopping = True
        if self._callers:
            await asyncio.wait(self._callers, timeout=PATIENCE)
        await cancel(self._callers)

    async def reach(self, head: int, patience: float) -> None:
        """Wait until every subscription has come to `head`."""
        await asyncio.gather(*(each.reach(head, patience) for each in self._subscribers))

    async def end(self) -> None:
        """End the subscriptions."""
        await cancel(self._subscriptions)

    async def abandon(self) -> None:
        """End everything at once."""
        await cancel([*self._callers, *self._subscriptions, *self._attackers])

    async def _attack(self, first: int) -> None:
        for number in count(first, ATTACKERS):
            await self._calls.attack(self._workload.hostile(number))
            await asyncio.sleep(PAUSE_BETWEEN_ATTACKS)

    async def _call(self) -> None:
        while not self._stopping:
            if not await self._take(self._workload.next()):
                await asyncio.sleep(PAUSE_AFTER_TROUBLE)
            await asyncio.sleep(self._workload.pause(self._habits.pause))

    async def _take(self, step: Step) -> bool:
        """Take a step; whether the store was there."""
        return not _is_trouble(await self._answer_to(step))

    async def _answer_to(self, step: Step) -> Answer:
        match step:
            case Write():
                return await self._until_settled(Append(step.events, (), step.key), step.cancel_after)
            case Decide():
                return await self._decide(step)
            case Look():
                return await self._look(step)
            case Find():
                return await self._calls.lookup(Lookup(step.key))
            case Peek():
                return await self._calls.peek(Head() if step.timeout is None else Wait(self._calls.known, step.timeout))
            case Order():
                return await self._execute(step)

    async def _decide(self, step: Decide) -> Answer:
        seen = await self._calls.read(Read(step.items, self._behind(step.back)))
        if not isinstance(seen, Found):
            return seen
        await asyncio.sleep(step.think)
        append = Append(step.events, (Condition(step.items, seen.through),), step.key)
        return await self._until_settled(append, step.cancel_after)

    async def _look(self, step: Look) -> Answer:
        upto = self._calls.known if step.reverse else None
        return await self._calls.read(Read(step.items, self._behind(step.back), upto, step.limit, step.reverse))

    async def _until_settled(self, call: Append, cancel_after: float | None) -> Answer:
        """Append; with a key, again for as long as nobody knows or the store is not there."""
        answer = await self._calls.append(call, cancel_after)
        for _ in range(RETRIES if call.key else 0):
            if not await _is_open(answer):
                break
            answer = await self._calls.append(call)
        return answer

    async def _execute(self, order: Order) -> Answer:
        """The same with a command."""
        answer = await self._calls.execute(order.command, order.cancel_after)
        for _ in range(RETRIES if order.command.key else 0):
            if not await _is_open(answer):
                break
            answer = await self._calls.execute(order.command)
        return answer

    def _behind(self, back: int | None) -> int:
        return 0 if back is None else max(0, self._calls.known - back)


def answer_of(error: Exception) -> Answer:
    """What an error says of the call's outcome."""
    said = str(error).partition("\n")[0].encode(errors="backslashreplace").decode()  # as a journal can keep it
    if isinstance(error, OutcomeUnknown):
        return Unknown(said)
    if isinstance(error, Conflict):
        return Refused(type(error).__name__, tuple(error.positions))
    if isinstance(error, LeftfoldError):
        return Refused(type(error).__name__, said=said)
    return Broken(repr(error))


async def _is_open(answer: Answer) -> bool:
    """Whether it is to be tried again; if so, after a pause."""
    if not (isinstance(answer, Unknown) or _is_trouble(answer)):
        return False
    await asyncio.sleep(0 if answer == CANCELLED else PAUSE_AFTER_TROUBLE)
    return True


def _is_trouble(answer: Answer) -> bool:
    """Whether the store was not there."""
    return isinstance(answer, Broken) or (isinstance(answer, Refused) and answer.error.startswith(("Store", "Clock")))


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    """End tasks, whatever comes of them."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
