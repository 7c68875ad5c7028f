"""Newer code of a process or reactor says which events the code before it passed over, as it takes more types."""

import logging
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from leftfold import App, Command, DecisionModel, Event, EventStore, ProcessManager, Reaction, Tag, replace
from leftfold.follow import taken_types
from leftfold.process import follower as process_follower
from leftfold.process.events import ProcessCheckpoint
from leftfold.reaction import follower as reactor_follower
from leftfold.reaction.events import ReactorCheckpoint
from leftfold.store import MemoryStore, NewEvent, StoredEvent, open_store
from leftfold.testing import FakeClock
from tests.postgres import DATABASE

Name = Annotated[str, Tag("name")]


class Joined(Event):
    name: Name


class Left(Event):
    name: Name


class WentAway(Event):
    name: Name


class Greet(Command):
    name: Name


class Greeted(Event):
    name: Name


class Guest(DecisionModel):
    name: Name
    greeted: int = 0

    def evolve(self, event: Greeted) -> Self:
        return replace(self, greeted=self.greeted + 1)


class Greeting(ProcessManager, wire="greeting"):
    """What the older code of the process is."""

    name: Name
    joined: int = 0

    def evolve(self, event: Joined) -> Self:
        return replace(self, joined=self.joined + 1)

    def react(self, event: Joined) -> Reaction:
        return Greet(self.name)


class GreetingOfLeft(ProcessManager, wire="greeting"):
    """The newer code, which takes a type more."""

    name: Name
    seen: int = 0

    def evolve(self, event: Joined | Left) -> Self:
        return replace(self, seen=self.seen + 1)

    def react(self, event: Joined | Left) -> Reaction:
        return Greet(self.name)


class GreetingOfWentAway(ProcessManager, wire="greeting"):
    """The older code in a version that calls an event otherwise."""

    name: Name
    seen: int = 0

    def evolve(self, event: WentAway) -> Self:
        return replace(self, seen=self.seen + 1)

    def react(self, event: WentAway) -> Reaction:
        return None


def process_app(process: type[ProcessManager]) -> App:
    app = App("club")
    app.process(process)

    @app.handles
    def greet(command: Greet, guest: Guest) -> Event:
        return Greeted(command.name)

    return app


def reactor_app(*events: type[Event], start: Any = "from_start") -> App:
    app = App("club")

    def send(event: Any) -> None:
        pass

    send.__annotations__["event"] = events[0] if len(events) == 1 else events[0] | events[1]
    app.reactor("mail", start=start)(send)
    return app


OLD = {"process": lambda: process_app(Greeting), "reactor": lambda: reactor_app(Joined)}
NEW = {"process": lambda: process_app(GreetingOfLeft), "reactor": lambda: reactor_app(Joined, Left)}
CHECKPOINTS = {"process": "leftfold.process.checkpoint", "reactor": "leftfold.reactor.checkpoint"}
both = pytest.mark.parametrize("kind", ["process", "reactor"])


numbers = count(1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> EventStore:
    return MemoryStore(clock)


async def events_of(store: EventStore, type: str) -> list[StoredEvent]:
    return [event async for batch in store.read() for event in batch.events if event.type == type]


async def run(app: App, store: EventStore, clock: FakeClock, events: Sequence[Event] = ()) -> None:
    """Append events and do the work of an app."""
    async with app.open(store, clock=clock, work=False) as live:
        for event in events:
            await store.append([app.registry.encode(event, b"{}")])
        await live.run_until_quiet()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and record.name in {"leftfold.processes", "leftfold.reactors"}
    ]


async def greeted(store: EventStore) -> int:
    return len(await events_of(store, "Greeted"))


async def test_a_process_that_takes_a_type_more_says_how_many_of_its_events_it_does_not_answer(
    store: EventStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await run(OLD["process"](), store, clock, [Left("a"), Joined("a"), Left("b"), Joined("a"), Joined("c")])
    for _ in range(2):
        await run(NEW["process"](), store, clock)

    assert warnings(caplog) == [
        "process greeting handles event types that earlier code did not handle. Events that it had already passed are "
        "part of the states, but are not answered: 2 of Left"
    ]
    assert await greeted(store) == 3
    await run(NEW["process"](), store, clock, [Left("b")])
    assert await greeted(store) == 4
    assert len(warnings(caplog)) == 1


async def test_events_behind_the_checkpoint_that_an_instance_had_passed_are_counted_too(
    store: EventStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await run(OLD["process"](), store, clock, [Joined("a")])
    await run(OLD["process"](), store, clock, [Left("a"), Left("b"), Joined("a")])  # no further checkpoint
    await run(NEW["process"](), store, clock)

    [warning] = warnings(caplog)
    assert warning.endswith("not answered: 1 of Left")
    assert await greeted(store) == 3  # what only b had is behind nothing that was answered


async def test_a_reactor_that_takes_a_type_more_says_how_many_of_its_events_are_not_delivered(
    store: EventStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await run(OLD["reactor"](), store, clock, [Left("a"), Joined("a"), Left("b"), Joined("a")])
    for _ in range(2):
        await run(NEW["reactor"](), store, clock)

    assert warnings(caplog) == [
        "reactor mail handles event types that earlier code did not handle. Events that it had already passed are not"
        " delivered: 2 of Left"
    ]
    await run(NEW["reactor"](), store, clock, [Left("b")])
    assert len(warnings(caplog)) == 1


async def test_a_reactor_from_now_on_lists_its_types_from_the_first_opening_on(
    store: EventStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await run(reactor_app(Joined, start="from_now"), store, clock, [])
    [checkpoint] = await events_of(store, CHECKPOINTS["reactor"])
    await run(reactor_app(Joined, start="from_now"), store, clock, [Left("a"), Joined("a")])
    await run(reactor_app(Joined, Left, start="from_now"), store, clock)

    assert b'"types":["Joined"]' in checkpoint.data
    assert [warning.rpartition(": ")[2] for warning in warnings(caplog)] == ["1 of Left"]


@both
@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
async def test_the_same_is_said_of_a_log_on_disk(
    tmp_path: Path,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
    kind: str,
    backend: str,
) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    if backend == "postgres":
        url = request.getfixturevalue("postgres").url(DATABASE, log=f"taken_{next(numbers)}")
    async with open_store(url, clock=clock) as store:
        await run(OLD[kind](), store, clock, [Left("a"), Joined("a"), Left("b"), Joined("c")])
    async with open_store(url, clock=clock) as store:
        await run(NEW[kind](), store, clock)

    assert [warning.rpartition(": ")[2] for warning in warnings(caplog)] == ["2 of Left"]


@both
async def test_nothing_is_said_where_no_event_was_passed_over(
    store: EventStore, clock: FakeClock, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    await run(OLD[kind](), store, clock, [Joined("a"), Joined("b")])
    await run(NEW[kind](), store, clock, [Left("a")])
    await run(NEW[kind](), store, clock, [Left("a")])

    assert warnings(caplog) == []


@both
async def test_code_of_before_that_comes_back_passes_over_only_what_comes_meanwhile(
    store: EventStore, clock: FakeClock, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    await run(NEW[kind](), store, clock, [Left("a"), Joined("a"), Left("b")])
    await run(OLD[kind](), store, clock, [Left("a"), Joined("a")])
    assert warnings(caplog) == []
    await run(NEW[kind](), store, clock)

    assert [warning.rpartition(": ")[2] for warning in warnings(caplog)] == ["1 of Left"]


@both
async def test_a_checkpoint_without_types_says_nothing_and_the_next_one_has_them(
    store: EventStore, clock: FakeClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(process_follower, "POSITIONS_PER_CHECKPOINT", 10_000)
    monkeypatch.setattr(reactor_follower, "POSITIONS_PER_CHECKPOINT", 10_000)
    field, name = ("process", "greeting") if kind == "process" else ("reactor", "mail")
    more = "" if kind == "process" else ',"waiting":[]'
    older = f'{{"{field}":"{name}","position":2{more}}}'.encode()
    for event in (NewEvent("Left", b'{"name":"a"}', ("name:a",)), NewEvent("Joined", b'{"name":"a"}', ("name:a",))):
        await store.append([event])
    await store.append([NewEvent(CHECKPOINTS[kind], older, (f"leftfold.{field}:{name}",))])

    await run(NEW[kind](), store, clock)
    assert warnings(caplog) == []
    await run(NEW[kind](), store, clock, [Joined("b")])

    assert warnings(caplog) == []
    assert b'"types":["Joined","Left"]' in (await events_of(store, CHECKPOINTS[kind]))[-1].data


@pytest.mark.parametrize("checkpoint", [ProcessCheckpoint("a", 1), ReactorCheckpoint("a", 1, [])])
def test_a_checkpoint_without_types_is_read(checkpoint: Any) -> None:
    assert checkpoint.types == []


async def test_an_event_that_was_renamed_is_not_new(
    store: EventStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    before = reactor_app(Left)
    await run(before, store, clock, [Left("a"), Left("b")])
    after = reactor_app(WentAway)
    after.renamed("Left", "WentAway")
    await run(after, store, clock, [WentAway("a")])
    await run(reactor_app(Left), store, clock, [])

    assert warnings(caplog) == []


async def test_a_process_whose_event_was_renamed_takes_nothing_new(
    store: EventStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await run(process_app(GreetingOfLeft), store, clock, [Left("a")])
    after = process_app(GreetingOfWentAway)
    after.renamed("Left", "WentAway")
    await run(after, store, clock, [WentAway("a")])

    assert warnings(caplog) == []


@both
async def test_the_events_that_were_passed_over_are_counted_up_to_a_bound(
    store: EventStore, clock: FakeClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(taken_types, "MAX_COUNTED_EVENTS", 3)
    await run(OLD[kind](), store, clock, [*[Left("a")] * 5, Joined("a")])
    await run(NEW[kind](), store, clock)

    assert [warning.rpartition(": ")[2] for warning in warnings(caplog)] == ["3 or more of Left"]
