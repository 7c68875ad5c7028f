"""An app may require that calls say who acts, and why."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Self

import pytest

from leftfold import (
    App,
    Backoff,
    Command,
    Event,
    LiveApp,
    Metadata,
    ProcessManager,
    Reaction,
    Tag,
    recording,
)
from leftfold.errors import InvalidOption, MissingMetadata
from leftfold.testing import FakeClock

DoorId = Annotated[str, Tag("door")]


class Opened(Event, wire="door.opened"):
    door: DoorId


class Closed(Event, wire="door.closed"):
    door: DoorId


class Open(Command):
    door: DoorId


class Close(Command):
    door: DoorId


house = App("house", requires=("actor", "reason"))
broken = [False]


@house.handles
def open_door(command: Open) -> Opened:
    return Opened(command.door)


@house.handles
def close_door(command: Close) -> Closed:
    if broken[0]:
        raise ConnectionError("the motor does not answer")
    return Closed(command.door)


@house.process
class Porter(ProcessManager):
    door: DoorId

    def evolve(self, event: Opened) -> Self:
        return self

    def react(self, event: Opened) -> Reaction:
        if event.door == "stuck":
            raise ValueError("it is stuck")
        return Close(self.door)


@pytest.fixture
async def live() -> AsyncIterator[LiveApp]:
    broken[0] = False
    async with house.open("memory:", work=False, clock=FakeClock(), backoff=Backoff(attempts=1)) as live:
        yield live


Call = Callable[[LiveApp], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "execute": lambda live: live.execute(Open("d")),
    "execute_many": lambda live: live.execute_many([Open("d")]),
    "submit": lambda live: live.submit(Open("d")),
    "retry": lambda live: live.retry("process Porter", "stuck"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_a_call_that_does_not_say_who_and_why_is_refused_and_nothing_is_written(
    live: LiveApp, call: Call
) -> None:
    with recording(actor="ann", reason="a test"):
        await live.execute(Open("stuck"))
    await live.run_until_quiet()
    head = await live.store.head()

    with pytest.raises(MissingMetadata, match="no actor and no reason"):
        await call(live)
    with recording(actor="ann"), pytest.raises(MissingMetadata, match="names no reason"):
        await call(live)
    with recording(actor="", reason="x"), pytest.raises(MissingMetadata, match="names no actor"):
        await call(live)
    assert await live.store.head() == head

    with recording(actor="ann", reason="it is time"):
        await call(live)


async def test_the_metadata_of_the_call_counts_with_that_of_the_block_around_it(live: LiveApp) -> None:
    with recording(actor="ann"):
        await live.execute(Open("d"), metadata=Metadata(reason="a guest"))


async def test_skip_and_cancel_have_a_reason_and_need_an_actor(live: LiveApp) -> None:
    with recording(actor="ann", reason="a test"):
        await live.execute(Open("stuck"))
        ticket = await live.submit(Open("later"))
    await live.run_until_quiet()

    with pytest.raises(MissingMetadata, match="names no actor"):
        await live.skip("process Porter", "stuck", reason="it is stuck")
    with pytest.raises(MissingMetadata, match="names no actor"):
        await live.cancel("process Porter", "stuck", reason="it is stuck")
    with pytest.raises(MissingMetadata):
        await ticket.cancel()
    with pytest.raises(MissingMetadata):
        await ticket.retry()
    with recording(actor="ann"):
        await live.skip("process Porter", "stuck", reason="it is stuck")


async def test_what_a_process_does_needs_no_actor(live: LiveApp) -> None:
    with recording(actor="ann", reason="a guest"):
        await live.execute(Open("d"))
    await live.run_until_quiet()

    assert [event.type async for batch in live.store.read() for event in batch.events if event.type == "door.closed"]


@pytest.mark.parametrize("wrong", ["owner", ("actor", "why"), ["correlation"]])
def test_an_app_can_require_only_what_metadata_has_for_people(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="requires"):
        App("house", requires=wrong)
