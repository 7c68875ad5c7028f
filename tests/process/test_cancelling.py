"""Cancelling an instance of a process: it answers nothing more, and what it submitted is not handled."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from examples.orders import Fulfilment, Pay, Place, PutInStock, fates, orders
from leftfold import EventStore, LiveApp, recording
from leftfold.errors import AlreadyEnded, NotParked, UnknownName
from leftfold.model.metadata import decode_metadata
from leftfold.store import MemoryStore, StoredEvent
from leftfold.testing import FakeClock
from tests.process.test_processes import Sender, place_three, sent


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
        await live.execute(Place("o", "lamp", 40))
        await live.run_until_quiet()
        yield live


async def events_of(store: EventStore, *types: str) -> list[StoredEvent]:
    return [event async for batch in store.read() for event in batch.events if event.type in types]


async def test_a_cancelled_instance_answers_nothing_and_its_scheduled_commands_are_cancelled(
    live: LiveApp, store: EventStore, clock: FakeClock
) -> None:
    [scheduled] = await live.commands("scheduled")

    with recording(actor="ann"):
        await live.cancel(Fulfilment, "o", reason="handled by hand")
    await live.execute(Pay("o", 40))
    clock.advance(days=1)
    await live.run_until_quiet()

    assert await fates(live, ["o"]) == ["open"]
    assert [each.ticket for each in await live.commands("cancelled")] == [scheduled.ticket]
    assert [progress.standing for progress in await live.processes()] == ["cancelled"]
    [cancelled] = await events_of(store, "leftfold.process.cancelled")
    said = decode_metadata(cancelled.metadata)
    assert (said.actor, said.reason) == ("ann", "handled by hand")


async def test_others_go_on(live: LiveApp) -> None:
    await live.cancel(Fulfilment, "o", reason="no")
    await live.execute(Place("p", "lamp", 40))
    await live.execute(Pay("p", 40))

    await live.run_until_quiet()

    assert await fates(live, ["o", "p"]) == ["open", "shipped"]


async def test_a_restarted_worker_leaves_a_cancelled_instance_alone(
    live: LiveApp, store: EventStore, clock: FakeClock
) -> None:
    await live.cancel(Fulfilment, "o", reason="no")
    await live.execute(Pay("o", 40))

    async with orders.open(store, clock=clock, work=False) as other:
        await other.run_until_quiet()

        assert await fates(other, ["o"]) == ["open"]


async def test_what_has_ended_or_never_began_is_not_cancelled(live: LiveApp) -> None:
    await live.cancel(Fulfilment, "o", reason="no")
    with pytest.raises(AlreadyEnded, match="is cancelled"):
        await live.cancel(Fulfilment, "o", reason="no")
    with pytest.raises(NotParked, match="is cancelled"):
        await live.retry(Fulfilment, "o")
    with pytest.raises(UnknownName):
        await live.cancel(Fulfilment, "x", reason="no")

    await live.execute(Place("p", "lamp", 40))
    await live.execute(Pay("p", 40))
    await live.run_until_quiet()
    with pytest.raises(AlreadyEnded, match="is done"):
        await live.cancel(Fulfilment, "p", reason="no")


async def test_a_parked_instance_is_cancelled_and_its_later_events_are_no_trouble(
    store: EventStore, clock: FakeClock
) -> None:
    sender = Sender()
    await place_three(store, "a")
    sender.broken_at = 2
    async with sender.app.open(store, clock=clock, work=False) as live:
        await live.run_until_quiet()
        await live.cancel(sender.process, "a", reason="no")
    async with sender.app.open(store, clock=clock, work=False) as live:
        await place_three(store, "a", "b")
        sender.broken_at = -1
        await live.run_until_quiet()

        assert (await sent(live, "a"), await sent(live, "b")) == ((1,), (1, 2, 3))
        assert (await live.process(sender.process, "a")).progress.standing == "cancelled"


class Held:
    """A store in which the next answer of a process waits until it is let go."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.reached, self.released = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, events: Any, **options: Any) -> Any:
        if any(event.type == "leftfold.process.reacted" for event in events):
            self.reached.set()
            await self.released.wait()
        return await self._store.append(events, **options)


async def test_an_answer_that_was_on_its_way_when_the_instance_was_cancelled_is_dropped(
    live: LiveApp, store: EventStore, clock: FakeClock
) -> None:
    held: Any = Held(store)
    async with orders.open(held, clock=clock, work=False, models="sqlite://") as slow:
        await live.execute(Pay("o", 40))
        working = asyncio.create_task(slow.run_until_quiet())
        await held.reached.wait()

        await live.cancel(Fulfilment, "o", reason="no")
        held.released.set()
        await working

    assert await fates(live, ["o"]) == ["open"]
    assert [
        event.type for event in await events_of(store, "leftfold.process.reacted", "leftfold.process.cancelled")
    ] == [
        "leftfold.process.reacted",
        "leftfold.process.cancelled",
    ]


async def test_an_instance_that_is_cancelled_while_it_answers_has_no_open_command_left() -> None:
    for turns in range(12):
        clock = FakeClock()
        async with orders.open(MemoryStore(clock), clock=clock, work=False) as live:
            await live.execute(Place("o", "lamp", 40))

            async def cancel(live: LiveApp = live, turns: int = turns) -> None:
                for _ in range(turns):
                    await asyncio.sleep(0)
                await live.cancel(Fulfilment, "o", reason="no")

            await asyncio.gather(live.run_until_quiet(), cancel())
            await live.run_until_quiet()
            assert await live.commands() == []
