"""Reactors by property: whatever crashes and fails, each event is reacted to or parked, and order is kept if asked."""

import asyncio
import random
from typing import Annotated, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from leftfold import App, Backoff, Delivery, Event, EventStore, Tag
from leftfold.errors import LeftfoldError, StoreFailed
from leftfold.follow.follower import Worker
from leftfold.reaction.follower import ReactorFollower
from leftfold.reaction.reactor import ReactorDefinition
from leftfold.reaction.reactors import Reactors
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from tests.patience import examples


class Numbered(Event):
    place: Annotated[str, Tag("place")]


class Noise(Event):
    pass


class Killed(BaseException):
    """The process is gone in the middle of a reaction."""


class Unreliable:
    """A store that fails when it is told to, before or after the append."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.failing: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, events: Any, **options: Any) -> Any:
        failing, self.failing = self.failing, None
        if failing == "before":
            raise StoreFailed("the test", "before the append")
        appended = await self._store.append(events, **options)
        if failing == "after":
            raise StoreFailed("the test", "after the append")
        return appended


class World:
    """A log, workers that come and go, and what was done outside."""

    def __init__(self, *, in_order: bool, seed: int) -> None:
        self.clock = FakeClock()
        self.random = random.Random(seed)
        self.store = Unreliable(MemoryStore(self.clock))
        self.done: list[int] = []
        self.failing = 0.0
        self.killing = 0.0
        self.app = App("world")
        self.app.event(Noise)
        self.app.reactor("act", start="from_start", in_order=in_order, at_once=4, backoff=Backoff(1, 8, attempts=3))(
            self.act
        )
        store: Any = self.store
        self.reactors = Reactors(store, self.app.registry, self.app.reactors)
        self.definition: ReactorDefinition = self.app.reactors["act"]
        self.workers = [self.worker(), self.worker()]

    async def act(self, event: Numbered, delivery: Delivery) -> None:
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)
        chance = self.random.random()
        if chance < self.killing:
            raise Killed
        if chance < self.killing + self.failing:
            raise ConnectionError("no line")
        self.done.append(delivery.position)

    def worker(self) -> Worker:
        follower = ReactorFollower(
            self.definition, self.reactors, clock=self.clock, randomness=self.random, backoff=Backoff()
        )
        return Worker(follower, self.reactors.journal.store, self.clock)

    async def append(self, count: int) -> None:
        for _ in range(count):
            event = Noise() if self.random.random() < 0.3 else Numbered("p")
            await self.store.append([self.app.registry.encode(event, b"{}")])

    async def step(self, number: int) -> bool:
        try:
            return await self.workers[number].step()
        except Killed:
            self.workers[number] = self.worker()
        except LeftfoldError:
            pass
        return True

    async def operate(self, verb: str) -> int | None:
        """Retry or skip something, if anything is outstanding; the position that was skipped."""
        outstanding = (await self.reactors.status(self.definition)).outstanding
        if not outstanding:
            return None
        chosen = self.random.choice(outstanding).position
        if verb == "retry":
            await self.reactors.retry("act", chosen, None)
            return None
        await self.reactors.skip("act", chosen, None)
        return chosen

    async def numbered(self) -> set[int]:
        read = self.store.read()
        return {event.position async for batch in read for event in batch.events if event.type == "Numbered"}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 12)),
        st.tuples(st.just("step"), st.integers(0, 1)),
        st.tuples(st.just("both"), st.none()),
        st.tuples(st.just("crash"), st.integers(0, 1)),
        st.tuples(st.just("fail"), st.sampled_from(["before", "after"])),
        st.tuples(st.just("advance"), st.integers(-3, 20)),
        st.tuples(st.just("operate"), st.sampled_from(["retry", "skip"])),
    ),
    max_size=60,
)


async def live_through(world: World, steps: list[tuple[str, Any]]) -> set[int]:
    skipped: set[int] = set()
    for what, value in steps:
        match what:
            case "append":
                await world.append(value)
            case "step":
                await world.step(value)
            case "both":
                await asyncio.gather(world.step(0), world.step(1))
            case "crash":
                world.workers[value] = world.worker()
            case "fail":
                world.store.failing = value
                await world.step(0)
                world.store.failing = None
            case "advance":
                world.clock.advance(seconds=value)
            case _:
                if (chosen := await world.operate(value)) is not None:
                    skipped.add(chosen)
    return skipped


async def until_quiet(world: World) -> None:
    for _ in range(40):
        while await world.step(0):
            pass
        world.clock.advance(seconds=10)


@settings(max_examples=examples(150), deadline=None)
@given(steps=STEPS, seed=st.integers(0, 2**32), failing=st.sampled_from([0.0, 0.2, 0.6]), in_order=st.booleans())
async def test_each_event_is_reacted_to_or_parked_or_skipped_by_someone(
    steps: list[tuple[str, Any]], seed: int, failing: float, *, in_order: bool
) -> None:
    world = World(in_order=in_order, seed=seed)
    world.failing, world.killing = failing, 0.1
    skipped = await live_through(world, steps)
    world.killing = 0.0
    await until_quiet(world)

    status = await world.reactors.status(world.definition)
    parked = {each.position for each in status.parked}
    behind = {position for position in await world.numbered() if position > status.position}
    assert status.waiting == ()
    assert await world.numbered() - set(world.done) - skipped == parked - set(world.done) | (behind - set(world.done))
    assert not behind or (in_order and parked)


@settings(max_examples=examples(150), deadline=None)
@given(steps=STEPS, seed=st.integers(0, 2**32), failing=st.sampled_from([0.0, 0.2, 0.6]))
async def test_in_order_no_event_is_reacted_to_before_those_ahead_of_it(
    steps: list[tuple[str, Any]], seed: int, failing: float
) -> None:
    world = World(in_order=True, seed=seed)
    world.failing, world.killing = failing, 0.1
    skipped = await live_through(world, steps)
    world.failing = world.killing = 0.0
    await until_quiet(world)
    while await world.reactors.retry("act", None, None):
        await until_quiet(world)

    first_times = list(dict.fromkeys(world.done))
    assert [position for position in first_times if position not in skipped] == sorted(await world.numbered() - skipped)
