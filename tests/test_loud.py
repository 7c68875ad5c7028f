"""Whatever is parked, fails for good or stops is logged once as an error, is in the status, and keeps its traceback."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Self

import pytest
import sqlalchemy as sa

from leftfold import (
    App,
    Backoff,
    Command,
    DecisionModel,
    Event,
    LiveApp,
    NewEvent,
    ProcessManager,
    Reaction,
    ReadModel,
    Tag,
    replace,
)
from leftfold.errors import StoreFailed
from leftfold.health import health_of, work_of
from leftfold.status import NeedsAttention
from leftfold.store import Batch, MemoryStore
from leftfold.testing import FakeClock
from tests.postgres import DATABASE, fresh_schema

Name = Annotated[str, Tag("name")]
numbers = count(1)
BAD: set[str] = set()
"""The names that nothing can handle. A set is no part of a fingerprint: emptying it stands for a fix."""

lines = sa.Table("lines", sa.MetaData(), sa.Column("name", sa.String))


class Joined(Event, wire="loud.joined"):
    name: Name


class Join(Command):
    name: Name


class Greet(Command):
    name: Name


def refuse(name: str) -> None:
    if name in BAD:
        raise ValueError(f"{name} is bad")


class Member(DecisionModel):
    name: Name

    def evolve(self, event: Joined) -> Self:
        return self


class Row(ReadModel):
    name: Name
    times: int = 0

    def evolve(self, event: Joined) -> Self:
        refuse(event.name)
        return replace(self, times=self.times + 1)


class Greeting(ProcessManager):
    name: Name

    def evolve(self, event: Joined) -> Self:
        return self

    def react(self, event: Joined) -> Reaction:
        refuse(event.name)
        return None


app = App("loud")
app.read_model(Row)
app.process(Greeting)


@app.handles
def join(command: Join, member: Member) -> Joined:
    return Joined(command.name)


@app.handles
def greet(command: Greet, member: Member) -> None:
    refuse(command.name)


@app.reactor("mail", start="from_start", backoff=Backoff(attempts=1))
async def mail(event: Joined) -> None:
    refuse(event.name)


@app.projection("lines", tables=[lines])
def write_line(event: Joined, connection: sa.Connection) -> None:
    refuse(event.name)
    connection.execute(sa.insert(lines).values(name=event.name))


@pytest.fixture(autouse=True)
def bad() -> Iterator[None]:
    BAD.clear()
    BAD.add("x")
    yield
    BAD.clear()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The URLs of a log and of its models."""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        return server.url(DATABASE, log=f"loud_{next(numbers)}"), fresh_schema(server)
    return ("memory:", "sqlite://") if request.param == "memory" else two_files(tmp_path)


def two_files(folder: Path) -> tuple[str, str]:
    return f"sqlite:///{folder}/loud.db", f"sqlite:///{folder}/loud.models.db"


@asynccontextmanager
async def opened(places: tuple[str, str], clock: FakeClock) -> AsyncIterator[LiveApp]:
    log, models = places
    async with app.open(log, models=models, clock=clock, work=("projections",), backoff=Backoff(attempts=1)) as live:
        yield live


@pytest.fixture
async def live(places: tuple[str, str], clock: FakeClock) -> AsyncIterator[LiveApp]:
    async with opened(places, clock) as live:
        yield live


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as an error, each with a traceback that names the place."""
    found = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert all(record.exc_info and record.exc_info[2] for record in found)
    return sorted(f"{record.name}: {record.getMessage()}" for record in found)


ALL_PARKED = [
    "leftfold.commands: Greet (ticket T) failed: ValueError: x is bad",
    "leftfold.processes: Greeting/x is parked at position 1: ValueError: x is bad",
    "leftfold.projections: Row x is parked at position 1: ValueError: x is bad",
    "leftfold.projections: lines is parked at position 1: ValueError: x is bad",
    "leftfold.reactors: mail has parked the event at position 1: ValueError: x is bad",
]


async def fail_everywhere(live: LiveApp) -> str:
    """Park the one event everywhere, and let a command fail; its ticket."""
    await live.execute(Join("x"))
    ticket = await live.submit(Greet("x"))
    await live.run_until_quiet()
    return ticket.id


async def test_each_failure_is_one_error_with_traceback_and_is_in_status_and_health(
    live: LiveApp, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = await fail_everywhere(live)

    assert errors(caplog) == [line.replace("T)", f"{ticket})") for line in ALL_PARKED]
    status = await live.status()
    assert status.attention == NeedsAttention(1, {"Greeting": 1}, {"mail": 1})
    assert {each.name: each.parked for each in status.read_models} == {"Row": 1, "lines": 1}
    health = health_of(await work_of(live))
    assert (health.status, health.problems) == ("degraded", ())
    assert health.warnings == (
        "Row: 1 keys parked",
        "lines: 1 keys parked",
        "commands: 1 failed",
        "process Greeting: 1 instances parked",
        "reactor mail: 1 events parked",
    )


async def test_the_traceback_is_kept_where_it_is_parked(live: LiveApp) -> None:
    ticket = await fail_everywhere(live)

    kept = [
        await live.parked_traceback(Row, "x"),
        await live.parked_traceback("lines"),
        (await live.process(Greeting, "x")).progress.traceback,
        (await live.reactors())[0].parked[0].traceback,
        (await live.ticket(ticket).state()).traceback,
    ]
    assert all(text and "in refuse" in text and text.endswith("ValueError: x is bad") for text in kept)


async def test_a_retry_that_fails_as_before_is_no_new_error_and_a_new_failure_is(
    live: LiveApp, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await fail_everywhere(live)
    caplog.clear()

    async def retry() -> None:
        await live.retry(Row, "x")
        await live.retry("lines")
        await live.retry(Greeting, "x")
        await live.retry("reactor mail")
        await live.ticket(ticket).retry()
        await live.run_until_quiet()

    await retry()
    assert errors(caplog) == []

    def refuse_otherwise(name: str) -> None:
        raise LookupError("something else")

    monkeypatch.setitem(globals(), "refuse", refuse_otherwise)
    await retry()

    new = [line.replace("T)", f"{ticket})") for line in ALL_PARKED]
    assert errors(caplog) == [line.replace("ValueError: x is bad", "LookupError: something else") for line in new]


async def test_opening_again_is_no_new_error(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(two_files(tmp_path), clock) as live:
        await fail_everywhere(live)
    caplog.clear()

    async with opened(two_files(tmp_path), clock) as live:
        await live.run_until_quiet()
        assert (await live.status()).attention == NeedsAttention(1, {"Greeting": 1}, {"mail": 1})

    assert errors(caplog) == []


async def test_what_lets_things_go_on_is_logged_and_takes_them_off_the_status(
    live: LiveApp, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = await fail_everywhere(live)
    caplog.set_level(logging.INFO)
    caplog.clear()

    await live.skip(Row, "x", reason="typing error")
    await live.skip("lines", reason="typing error")
    await live.skip("reactor mail", 1, reason="no address")
    await live.cancel(Greeting, "x", reason="by hand")
    await live.ticket(ticket).cancel()

    assert {record.getMessage() for record in caplog.records} >= {
        "Row x skips the event at 1: typing error",
        "Row x is no longer parked",
        "lines skips the event at 1: typing error",
        "mail skips the event at position 1: no address",
        "Greeting/x is cancelled: by hand",
        f"Greet (ticket {ticket}) is cancelled",
    }
    assert (await live.status()).attention == NeedsAttention()


async def test_health_is_degraded_while_something_is_parked_and_ok_once_nothing_is(clock: FakeClock) -> None:
    few = App("few")
    few.read_model(Row)
    few.event(Joined)
    async with few.open("memory:", clock=clock) as live:
        await live.store.append([few.registry.encode(Joined("x"), b"{}")])
        await live.run_until_quiet()
        assert health_of(await work_of(live)).status == "degraded"

        BAD.clear()
        await live.retry(Row, "x")
        assert health_of(await work_of(live)).status == "ok"


async def test_an_attempt_that_is_repeated_warns_once(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    async with app.open("memory:", clock=clock, work=False, backoff=Backoff(attempts=3)) as live:
        await live.submit(Greet("x"))
        for _ in range(3):
            await live.run_until_quiet()
            clock.advance(hours=1)

        of_command = [record.levelno for record in caplog.records if record.name == "leftfold.commands"]
        assert of_command == [logging.WARNING, logging.ERROR]


class Faulty(MemoryStore):
    """A store that cannot be read while `failing`."""

    failing = False

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 0
        self.refused = asyncio.Event()  # so often that a worker has tried again

    def read(self, *arguments: Any, **options: Any) -> AsyncIterator[Batch]:
        if self.failing:
            self.refusals += 1
            if self.refusals == 3:
                self.refused.set()
            raise StoreFailed("the log", "the disk is gone")
        return super().read(*arguments, **options)


async def test_a_worker_in_trouble_is_one_error_until_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    few = App("few")
    few.handles(join)
    store = Faulty()
    async with few.open(store) as live:
        store.failing = True
        ticket = await live.submit(Join("a"))
        await asyncio.wait_for(store.refused.wait(), 10)
        store.failing = False
        await ticket.result(10)

    said = [record.getMessage() for record in caplog.records if record.name == "leftfold.background"]
    assert said == ["commands failed and tries again: the log failed: the disk is gone", "commands works again"]


async def test_a_log_whose_failures_have_no_traceback_yet_is_read(clock: FakeClock) -> None:
    stored = {
        "leftfold.process.parked": b'{"instance":"Greeting/x","position":1,"error":"ValueError: x"}',
        "leftfold.reactor.parked": b'{"reactor":"mail","position":1,"attempt":1,"error":"ValueError: x"}',
    }
    tags = {
        "leftfold.process.parked": "leftfold.process:Greeting/x",
        "leftfold.reactor.parked": "leftfold.reactor:mail",
    }
    async with app.open("memory:", clock=clock, work=False) as live:
        await live.execute(Join("a"))
        await live.store.append([NewEvent(wire, data, (tags[wire],)) for wire, data in stored.items()])

        assert (await live.status()).attention == NeedsAttention(0, {"Greeting": 1}, {"mail": 1})
        assert (await live.process(Greeting, "x")).progress.traceback is None
        assert (await live.reactors())[0].parked[0].traceback is None


async def test_models_of_before_get_the_column_for_tracebacks_and_are_shown_without(tmp_path: Path) -> None:
    few = App("few")
    few.read_model(Row)
    few.event(Joined)
    url, models = f"sqlite:///{tmp_path}/old.db", sa.create_engine(f"sqlite:///{tmp_path}/old.models.db")
    async with few.open(url) as live:
        await live.store.append([few.registry.encode(Joined("x"), b"{}")])
        await live.run_until_quiet()
    with models.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE leftfold_parked DROP COLUMN traceback")
    models.dispose()

    async with few.open(url, work=False) as live:
        assert await live.parked_traceback(Row, "x") is None
        assert len(await live.parked()) == 1
    async with few.open(url) as live:
        assert await live.parked_traceback(Row, "x") is None
        BAD.clear()
        assert await live.retry(Row, "x") == []
