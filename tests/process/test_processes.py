"""Processes: events answered once with commands and timers, whatever crashes; parking, retries, history."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

import pytest

from examples.orders import Fulfilment, Order, OrderId, Paid, Pay, Place, Placed, ProductId, PutInStock, fates, orders
from leftfold import (
    App,
    Command,
    DecisionModel,
    EndProcess,
    Event,
    EventStore,
    LiveApp,
    ProcessManager,
    Reaction,
    Rejected,
    recording,
    replace,
)
from leftfold.errors import InvalidModel, LeftfoldError, NotParked, StoreFailed, UnknownName
from leftfold.model.metadata import decode_metadata
from leftfold.store import MemoryStore, StoredEvent
from leftfold.testing import FakeClock
from tests.patience import PATIENCE, examples


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> EventStore:
    return MemoryStore(clock)


@pytest.fixture
async def live(store: EventStore, clock: FakeClock) -> AsyncIterator[LiveApp]:
    async with orders.open(store, clock=clock, work=False) as live:
        await live.execute(PutInStock("lamp", 1))
        yield live


async def events_of(store: EventStore, *types: str) -> list[StoredEvent]:
    return [event async for batch in store.read() for event in batch.events if event.type in types]


async def test_an_order_that_is_paid_is_shipped_and_its_time_out_cancelled(live: LiveApp, clock: FakeClock) -> None:
    await live.execute(Place("o", "lamp", 40))
    await live.run_until_quiet()
    await live.execute(Pay("o", 40))
    await live.run_until_quiet()

    assert await fates(live, ["o"]) == ["shipped"]
    assert await live.commands() == []
    clock.advance(hours=1)
    await live.run_until_quiet()
    assert await fates(live, ["o"]) == ["shipped"]


async def test_an_order_that_is_not_paid_in_time_is_cancelled(live: LiveApp, clock: FakeClock) -> None:
    await live.execute(Place("o", "lamp", 40))
    await live.run_until_quiet()
    clock.advance(minutes=14, seconds=59)
    await live.run_until_quiet()
    assert await fates(live, ["o"]) == ["open"]

    clock.advance(seconds=1)
    await live.run_until_quiet()

    assert await fates(live, ["o"]) == ["cancelled"]
    with pytest.raises(Rejected):
        await live.execute(Pay("o", 40))


async def test_what_cannot_be_shipped_is_compensated(live: LiveApp) -> None:
    for name in ("first", "second"):
        await live.execute(Place(name, "lamp", 40))
        await live.execute(Pay(name, 40))
    await live.run_until_quiet()

    assert await fates(live, ["first", "second"]) == ["shipped", "cancelled"]
    assert [(await live.state(Order, name)).paid for name in ("first", "second")] == [40, 0]


async def test_commands_are_caused_by_the_event_and_belong_to_its_correlation(live: LiveApp, store: EventStore) -> None:
    with recording(correlation="visit-7"):
        placed = await live.execute(Place("o", "lamp", 40))
    await live.run_until_quiet()

    [submitted] = await events_of(store, "leftfold.command.submitted")
    said = decode_metadata(submitted.metadata)
    assert (said.cause, said.correlation, said.extra) == (placed.position, "visit-7", {"process": "Fulfilment"})


async def test_the_time_of_a_delay_runs_from_the_event(live: LiveApp, clock: FakeClock) -> None:
    await live.execute(Place("o", "lamp", 40))
    clock.advance(minutes=20)

    await live.run_until_quiet()

    assert await fates(live, ["o"]) == ["cancelled"]


async def test_an_instance_tells_its_state_and_its_history(live: LiveApp) -> None:
    await live.execute(Place("o", "lamp", 40))
    await live.execute(Pay("o", 40))
    await live.run_until_quiet()

    instance = await live.process(Fulfilment, "o")

    assert instance.state == Fulfilment("o", "lamp")
    assert instance.progress.standing == "done"
    assert [(type(step.event).__name__, len(step.tickets)) for step in instance.history] == [
        ("Placed", 1),
        ("Paid", 1),
        ("Shipped", 0),
    ]
    assert [progress.instance for progress in await live.processes()] == ["Fulfilment/o"]
    with pytest.raises(UnknownName):
        await live.process(ProcessManager, "o")


# --- once, whatever happens


class Unreliable:
    """A store that fails now and then, before or after the append: so does a worker that is killed."""

    def __init__(self, store: EventStore, randomness: random.Random) -> None:
        self._store = store
        self._random = randomness

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, *arguments: Any, **options: Any) -> Any:
        if self._random.random() < 0.15:
            raise StoreFailed("the test", "before the append")
        appended = await self._store.append(*arguments, **options)
        if self._random.random() < 0.15:
            raise StoreFailed("the test", "after the append")
        return appended


async def check_from_the_log(store: EventStore, names: Sequence[str]) -> None:
    """Each order ended shipped, or cancelled and refunded if paid: never both, never neither, nothing twice."""
    async with orders.open(store, work=False) as live:
        for name in names:
            types = [type(step.event).__name__ for step in await live.explain(Order, name)]
            assert types.count("Shipped") + types.count("Cancelled") == 1
            assert types.count("Refunded") == (types.count("Paid") if "Cancelled" in types else 0)


@pytest.mark.parametrize("seed", range(examples(6)))
async def test_every_order_ends_in_one_way_whenever_workers_are_killed(seed: int) -> None:
    randomness = random.Random(seed)
    clock = FakeClock()
    store = MemoryStore(clock)
    names = [f"o-{number}" for number in range(40)]
    async with orders.open(store, clock=clock, work=False) as shop:
        await shop.execute(PutInStock("lamp", 15))
        for name in names:
            await shop.execute(Place(name, "lamp", 40))
            if randomness.random() < 0.7:
                await shop.execute(Pay(name, 40))
    for _ in range(60):
        clock.advance(minutes=1)
        unreliable: Any = Unreliable(store, randomness)
        async with orders.open(unreliable, clock=clock, work=False, models="sqlite://") as worker:
            try:
                await worker.run_until_quiet()
            except LeftfoldError:
                continue
    async with orders.open(store, clock=clock, work=False) as worker:
        await worker.run_until_quiet()

    await check_from_the_log(store, names)


async def test_two_apps_that_race_answer_each_event_once(store: EventStore, clock: FakeClock) -> None:
    async with (
        orders.open(store, clock=clock, work=False) as live,
        orders.open(store, clock=clock, work=False) as other,
    ):
        await live.execute(PutInStock("lamp", 5))
        names = [f"o-{number}" for number in range(10)]
        for name in names:
            await live.execute(Place(name, "lamp", 40))
            await live.execute(Pay(name, 40))
            await asyncio.gather(live.run_until_quiet(), other.run_until_quiet())

    assert len(await events_of(store, "leftfold.process.reacted")) == len(
        {event.data for event in await events_of(store, "leftfold.process.reacted")}
    )
    await check_from_the_log(store, names)


async def test_the_background_does_the_same(tmp_path: Any) -> None:
    async with orders.open(f"sqlite:///{tmp_path}/orders.db") as live:
        await live.execute(PutInStock("lamp", 1))
        await live.execute(Place("o", "lamp", 40))
        await live.execute(Pay("o", 40))
        async with asyncio.timeout(PATIENCE):
            while await fates(live, ["o"]) != ["shipped"]:
                await live.store.wait(await live.store.head(), 0.1)


async def test_a_worker_goes_on_from_its_checkpoint(
    store: EventStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leftfold.process.follower.POSITIONS_PER_CHECKPOINT", 5)
    async with orders.open(store, clock=clock, work=False) as live:
        for number in range(5):
            await live.execute(Place(f"o-{number}", "lamp", 40))
        await live.run_until_quiet()
    checkpoints = len(await events_of(store, "leftfold.process.checkpoint"))
    calls: list[Event] = []
    react = Fulfilment.react

    def noted(self: Fulfilment, event: Any) -> Reaction:
        calls.append(event)
        return react(self, event)

    monkeypatch.setattr(Fulfilment, "react", noted)
    async with orders.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()

    assert checkpoints > 0
    assert calls == []


# --- parking


class Sent(Event):
    order: OrderId
    number: int


class Send(Command):
    order: OrderId
    number: int


class Counted(DecisionModel):
    order: OrderId
    sent: tuple[int, ...] = ()

    def evolve(self, event: Sent) -> Self:
        return replace(self, sent=(*self.sent, event.number))


class Sender:
    """A process manager that cannot answer an event until a test repairs it."""

    def __init__(self, **options: bool) -> None:
        self.broken_at = -1
        self.app = App("sender")
        repairs = self

        @self.app.handles
        def send(command: Send) -> Sent:
            return Sent(command.order, command.number)

        class Sending(ProcessManager):
            order: OrderId
            placed: int = 0

            def evolve(self, event: Placed) -> Self:
                return replace(self, placed=self.placed + 1)

            def react(self, event: Placed) -> Reaction:
                if event.price == repairs.broken_at:
                    raise ValueError("no answer")
                return (
                    [Send(self.order, self.placed), EndProcess()]
                    if event.price == 99
                    else Send(self.order, self.placed)
                )

        self.process = Sending
        self.app.process(**options)(Sending)


async def place_three(store: EventStore, *names: str) -> None:
    app = Sender().app
    for price in (1, 2, 3):
        for name in names:
            await store.append([app.registry.encode(Placed(name, "lamp", price), b"{}")])


async def sent(live: LiveApp, name: str) -> tuple[int, ...]:
    return (await live.state(Counted, name)).sent


async def test_an_event_that_cannot_be_answered_parks_its_instance_alone(store: EventStore, clock: FakeClock) -> None:
    sender = Sender()
    await place_three(store, "a")
    sender.broken_at = 2
    async with sender.app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()
        await place_three(store, "b")
        sender.broken_at = -1
        await live.run_until_quiet()

        assert (await sent(live, "a"), await sent(live, "b")) == ((1,), (1, 2, 3))
        [parked, _] = await live.processes(sender.process)
        assert (parked.standing, parked.parked, parked.error) == ("parked", 2, "ValueError: no answer")


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_parked_instance_that_is_retried_answers_all_that_waited(
    store: EventStore, clock: FakeClock, *, restarted: bool
) -> None:
    sender = Sender()
    await place_three(store, "a")
    sender.broken_at = 2
    async with sender.app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()
        await live.retry(sender.process, "a")
        await live.run_until_quiet()
        assert await sent(live, "a") == (1,)
        sender.broken_at = -1
        await live.retry(sender.process, "a")
        if not restarted:
            await live.run_until_quiet()
    async with sender.app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()

        assert await sent(live, "a") == (1, 2, 3)
        with pytest.raises(NotParked):
            await live.retry(sender.process, "a")


async def test_a_process_from_now_on_leaves_the_past_alone(store: EventStore, clock: FakeClock) -> None:
    sender = Sender(from_now=True)
    await place_three(store, "a")
    async with sender.app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()
    await place_three(store, "a")
    async with sender.app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()

        assert await sent(live, "a") == (4, 5, 6)


def test_a_process_whose_events_lack_part_of_its_key_is_refused() -> None:
    class Wrong(ProcessManager):
        order: OrderId
        product: ProductId

        def evolve(self, event: Placed | Paid) -> Self:
            return self

        def react(self, event: Placed | Paid) -> Reaction:
            return None

    with pytest.raises(InvalidModel, match="does not carry"):
        App("wrong").process(Wrong)


def test_a_process_without_react_or_key_is_refused() -> None:
    class Mute(ProcessManager):
        order: OrderId

        def evolve(self, event: Placed) -> Self:
            return self

    class Keyless(ProcessManager):
        def evolve(self, event: Placed) -> Self:
            return self

        def react(self, event: Placed) -> Reaction:
            return None

    for wrong in (Mute, Keyless):
        with pytest.raises(InvalidModel):
            App("wrong").process(wrong)
