"""A reactor may take the live app: it asks as of its event, and appends its result once however often it is called."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Self

import pytest

from leftfold import (
    App,
    Backoff,
    Command,
    DecisionModel,
    Delivery,
    Event,
    LiveApp,
    ProcessManager,
    Query,
    Reaction,
    ReadModel,
    ReadModels,
    Rejected,
    SyncLive,
    Tag,
    replace,
)
from leftfold.errors import InsideRunningLoop, InvalidHandler, InvalidModel, KeyReused, StoreClosed
from leftfold.model.metadata import decode_metadata
from leftfold.opening import LiveWhenOpen
from tests.patience import PATIENCE

Name = Annotated[str, Tag("name")]


class Joined(Event):
    name: Name


class Join(Command):
    name: Name


class Welcomed(Event):
    name: Name
    text: str


class RecordWelcome(Command):
    name: Name
    text: str


class Member(DecisionModel):
    name: Name
    joined: int = 0

    def evolve(self, event: Joined) -> Self:
        return replace(self, joined=self.joined + 1)


class Members(ReadModel):
    count: int = 0

    def evolve(self, event: Joined) -> Self:
        return replace(self, count=self.count + 1)


class HowMany(Query[int]):
    pass


def club() -> App:
    app = App("club")

    @app.handles
    def join(command: Join) -> Joined:
        return Joined(command.name)

    @app.handles
    def record(command: RecordWelcome, member: Member) -> Welcomed:
        if not member.joined:
            raise Rejected("unknown")
        return Welcomed(command.name, command.text)

    app.read_model(Members)

    @app.answers
    def how_many(query: HowMany, models: ReadModels) -> int:
        return (models.get(Members) or Members()).count

    return app


async def welcomes(live: LiveApp) -> list[tuple[Any, str]]:
    events = [event async for batch in live.store.read() for event in batch.events]
    return [(decode_metadata(each.metadata).cause, each.data.decode()) for each in events if each.type == "Welcomed"]


class Unreliable:
    """Reactors that greet, and lose their connection after the first attempts."""

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures
        self.seen: list[tuple[int, int, int]] = []
        self.options: dict[str, Any] = {"start": "from_start", "in_order": True, "backoff": Backoff(attempts=1)}

    def fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the line broke after all was done")


@pytest.mark.parametrize("plain", [False, True])
async def test_a_reactor_asks_up_to_its_event_and_appends_its_result_once(plain: bool) -> None:
    app = club()
    line = Unreliable(failures=2)

    async def greet(event: Joined, live: LiveApp, delivery: Delivery) -> None:
        count = await live.query(HowMany(), after=delivery.position)
        member = await live.state(Member, event.name, as_of=delivery.position)
        line.seen.append((delivery.attempt, count, member.joined))
        await live.execute(RecordWelcome(event.name, "hello"), key=delivery.key)
        line.fail()

    def greet_plainly(event: Joined, delivery: Delivery, live: SyncLive) -> None:
        count = live.query(HowMany(), after=delivery.position)
        member = live.state(Member, event.name, as_of=delivery.position)
        line.seen.append((delivery.attempt, count, member.joined))
        live.execute(RecordWelcome(event.name, "hello"), key=delivery.key)
        live.close()  # which leaves the app open
        line.fail()

    app.reactor("greet", **line.options)(greet_plainly if plain else greet)
    async with app.open("memory:", work=("projections",)) as live:
        await live.execute(Join("ann"))
        for _ in range(3):
            await live.run_until_quiet()
            if len(line.seen) < 3:
                await live.retry("reactor greet")

        assert line.seen == [(1, 1, 1), (1, 1, 1), (1, 1, 1)]
        assert await welcomes(live) == [(1, '{"name":"ann","text":"hello"}')]
        assert (await live.reactors())[0].outstanding == ()


async def test_another_result_in_a_second_delivery_is_refused() -> None:
    app = club()
    errors: list[Exception] = []

    @app.reactor("greet", start="from_start", backoff=Backoff(attempts=1))
    async def greet(event: Joined, delivery: Delivery, live: LiveApp) -> None:
        try:
            await live.execute(RecordWelcome(event.name, f"hello {len(errors)}"), key=delivery.key)
        except KeyReused as error:
            errors.append(error)
            return
        errors.append(ConnectionError())
        raise ConnectionError

    async with app.open("memory:", work=("projections",)) as live:
        await live.execute(Join("ann"))
        await live.run_until_quiet()
        await live.retry("reactor greet")
        await live.run_until_quiet()

        assert [type(each) for each in errors] == [ConnectionError, KeyReused]
        assert [text for _, text in await welcomes(live)] == ['{"name":"ann","text":"hello 0"}']


async def test_a_reactor_that_is_called_while_the_app_opens_waits_for_it(tmp_path: Path) -> None:
    app, done = club(), asyncio.Event()
    async with app.open(tmp_path / "club.db", work=False) as live:
        await live.execute(Join("ann"))

    @app.reactor("greet", start="from_start", backoff=Backoff(attempts=1))
    async def greet(event: Joined, live: LiveApp) -> None:
        assert await live.query(HowMany()) <= 1
        done.set()

    async with app.open(tmp_path / "club.db"), asyncio.timeout(PATIENCE):
        await done.wait()


PROGRAM = """
import asyncio
from tests.process.test_asking_reactors import HowMany, Joined, RecordWelcome, club
from leftfold import Delivery, SyncLive

app = club()

@app.reactor("greet", start="from_start")
def greet(event: Joined, delivery: Delivery, live: SyncLive) -> None:
    count = live.query(HowMany(), after=delivery.position)
    live.execute(RecordWelcome(event.name, f"number {count}"), key=delivery.key)
"""


async def test_a_worker_process_without_the_projections_asks_those_of_another(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    root = Path(__file__).parent.parent.parent
    log = f"sqlite:///{tmp_path / 'club.db'}"
    command = [sys.executable, "-m", "leftfold", "work", "--app", "program:app", "--only", "reactors", log]
    async with club().open(log, work=("projections",)) as live:
        await live.execute(Join("ann"))
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
        worker = await asyncio.create_subprocess_exec(
            *command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(PATIENCE):
                while not await welcomes(live):
                    await live.store.wait(await live.store.head(), timeout=1)
        finally:
            worker.terminate()
            await worker.wait()
        assert await welcomes(live) == [(1, '{"name":"ann","text":"number 1"}')]


def test_a_plain_reactor_under_the_sync_facade_may_ask_too() -> None:
    app, counts = club(), list[int]()

    @app.reactor("greet", start="from_start")
    def greet(event: Joined, live: SyncLive, delivery: Delivery) -> None:
        counts.append(live.query(HowMany(), after=delivery.position))

    with app.open_sync("memory:", work=("projections",)) as live:
        for name in ("ann", "bob"):
            live.execute(Join(name))
        live.run_until_quiet()

    assert sorted(counts)[-1] == len(counts) == 2


async def test_the_live_app_of_a_plain_reactor_is_not_for_the_event_loop() -> None:
    app, given = club(), list[SyncLive]()

    @app.reactor("greet", start="from_start")
    def greet(event: Joined, live: SyncLive) -> None:
        given.append(live)

    async with app.open("memory:", work=False) as live:
        await live.execute(Join("ann"))
        await live.run_until_quiet()
        with pytest.raises(InsideRunningLoop):
            given[0].state(Member, "ann")


async def takes_sync(event: Joined, live: SyncLive) -> None: ...
def takes_async(event: Joined, live: LiveApp) -> None: ...
async def takes_two(event: Joined, live: LiveApp, other: LiveApp) -> None: ...
async def takes_two_deliveries(event: Joined, one: Delivery, other: Delivery) -> None: ...
async def takes_more(event: Joined, live: LiveApp, number: int) -> None: ...


@pytest.mark.parametrize("function", [takes_sync, takes_async, takes_two, takes_two_deliveries, takes_more])
def test_what_a_reactor_cannot_take_is_refused_by_name(function: Any) -> None:
    with pytest.raises(InvalidHandler, match=r"LiveApp in an async def, SyncLive in a def"):
        App("club").reactor("greet", start="from_start")(function)


def test_read_models_are_asked_by_a_query() -> None:
    async def takes_models(event: Joined, models: ReadModels) -> None: ...

    with pytest.raises(InvalidHandler, match=r"ask with await live\.query\(query, after=delivery\.position\)"):
        App("club").reactor("greet", start="from_start")(takes_models)


def test_a_process_does_not_ask() -> None:
    class Asking(ProcessManager):
        name: Name

        def evolve(self, event: Joined) -> Self:
            return self

        def react(self, event: Joined, models: ReadModels) -> Reaction:
            return None

    with pytest.raises(InvalidModel, match=r"Asking\.react takes \['self', 'event', 'models'\]"):
        App("club").process(Asking)


async def test_who_asks_before_the_app_is_open_waits_and_learns_that_it_did_not_open() -> None:
    known, asked = LiveWhenOpen(), asyncio.Event()

    async def ask() -> object:
        asked.set()
        return await known()

    waiting = asyncio.create_task(ask())
    await asked.wait()
    assert not waiting.done()
    known.end()

    with pytest.raises(StoreClosed):
        await waiting
    async with club().open("memory:", work=False) as live:
        known.open(live)
        known.end()
        assert await known() is live
