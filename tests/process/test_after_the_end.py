"""A process instance that has ended meets a later event: it ignores it, answers it, or is parked, as is declared."""

import logging
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pytest

from leftfold import App, Command, EndProcess, Event, LiveApp, ProcessManager, Reaction, Tag, replace
from leftfold.errors import AlreadyEnded, InvalidModel, NotParked
from tests.postgres import fresh_log

OrderId = Annotated[str, Tag("order")]
AfterEnd = Literal["ignore", "reopen", "park"]


class Happened(Event):
    order: OrderId
    what: str


class Do(Command):
    order: OrderId
    what: str


class Sent(Event):
    order: OrderId
    count: int


class Send(Command):
    order: OrderId
    count: int


class Delivery(ProcessManager):
    order: OrderId
    count: int = 0

    def evolve(self, event: Happened) -> Self:
        return replace(self, count=self.count + 1)

    def react(self, event: Happened) -> Reaction:
        if event.what == "nothing":
            return None
        return [Send(self.order, self.count), EndProcess()] if event.what == "end" else Send(self.order, self.count)


def shop(**options: Any) -> App:
    app = App("shop")

    @app.handles
    def do(command: Do) -> Happened:
        return Happened(command.order, command.what)

    @app.handles
    def send(command: Send) -> Sent:
        return Sent(command.order, command.count)

    app.process(**options)(Delivery) if options else app.process(Delivery)
    return app


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shop.db'}"
    return fresh_log(request.getfixturevalue("postgres"))


async def do(live: LiveApp, *whats: str, order: str = "o") -> None:
    for what in whats:
        await live.execute(Do(order, what))
    await live.run_until_quiet()


async def sent(live: LiveApp) -> list[str]:
    events = [event async for batch in live.store.read() for event in batch.events]
    return [each.data.decode()[-2] for each in events if each.type == "Sent"]


async def standing(live: LiveApp) -> str:
    [progress] = await live.processes()
    return progress.standing


@pytest.mark.parametrize("options", [{}, {"after_end": "ignore"}])
async def test_by_default_a_later_event_is_ignored_logged_once_and_counted(
    url: str, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "leftfold.processes")
    async with shop(**options).open(url, work=False) as live:
        await do(live, "begin")  # a checkpoint follows
        await do(live, "end", "later", "nothing")

        assert (await sent(live), await standing(live)) == (["1", "2"], "done")
        lines = [each.getMessage() for each in caplog.records if "has ended" in each.getMessage()]
        assert [line.partition(" at position")[0] for line in lines] == ["Delivery/o has ended, and ignores Happened"]
        [worker] = [each for each in (await live.status()).workers if each.name == "process Delivery"]
        assert worker.state.endswith("2 answered, 2 after the end ignored")
        with pytest.raises(NotParked):
            await live.retry(Delivery, "o")
    async with shop(**options).open(url, work=False) as live:  # which reads from the checkpoint on
        await do(live, "later")
        [worker] = [each for each in (await live.status()).workers if each.name == "process Delivery"]
        assert worker.state.endswith("0 answered, 3 after the end ignored")


async def test_an_instance_may_be_reopened_with_the_state_of_all_its_events(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "leftfold.processes")
    app = shop(after_end="reopen")
    async with app.open(url, work=False) as live:
        await do(live, "begin", "end")
        assert await standing(live) == "done"
        await do(live, "nothing")
        assert await standing(live) == "done"
        await do(live, "later")
        assert (await sent(live), await standing(live)) == (["1", "2", "4"], "running")
        assert "Delivery/o has ended, and answers Happened at position" in caplog.text

    async with app.open(url, work=False) as live:  # a worker that starts finds the same state
        await do(live, "end")
        assert await standing(live) == "done"
        await do(live, "later")
        assert (await sent(live), await standing(live)) == (["1", "2", "4", "5", "6"], "running")
        assert (await live.process(Delivery, "o")).state == Delivery("o", 6)


async def test_a_worker_that_starts_at_a_checkpoint_reopens_with_the_whole_state(url: str) -> None:
    async with shop(after_end="reopen").open(url, work=False) as live:
        await do(live, "begin", "end")
    async with shop(after_end="reopen", from_now=False).open(url, work=False) as live:
        await do(live, "later")
        assert await sent(live) == ["1", "2", "3"]


async def test_an_instance_may_be_parked_at_a_later_event_and_others_go_on(url: str) -> None:
    async with shop(after_end="park").open(url, work=False) as live:
        await do(live, "begin", "end", "later", "more")
        await do(live, "begin", order="p")

        assert [each.standing for each in await live.processes()] == ["parked", "running"]
        [parked] = await live.parked()
        assert (parked.name, parked.key) == ("process Delivery", ("o",))
        assert "Delivery/o has ended, and Happened at position" in parked.problem
        assert (await live.status()).attention.parked_instances == {"Delivery": 1}

        await live.retry(Delivery, "o")
        await live.run_until_quiet()
        assert len(await live.parked()) == 1
        await live.skip(Delivery, "o", reason="twice")
        await live.run_until_quiet()
        [behind] = await live.parked()
        assert behind.position == parked.position + 1
        await live.skip(Delivery, "o", reason="twice")
        await live.run_until_quiet()

        assert [each.standing for each in await live.processes()] == ["done", "running"]
        assert await sent(live) == ["1", "2", "1"]
        assert await live.parked() == []


async def test_a_parked_instance_that_had_ended_is_reopened_by_other_code_and_a_retry(url: str) -> None:
    async with shop(after_end="park").open(url, work=False) as live:
        await do(live, "begin", "end", "later")
    async with shop(after_end="reopen").open(url, work=False) as live:
        await live.retry(Delivery, "o")
        await live.run_until_quiet()

        assert (await sent(live), await standing(live)) == (["1", "2", "3"], "running")


@pytest.mark.parametrize("after_end", ["ignore", "reopen", "park"])
async def test_a_cancelled_instance_answers_nothing_whatever_is_declared(url: str, after_end: AfterEnd) -> None:
    async with shop(after_end=after_end).open(url, work=False) as live:
        await do(live, "begin")
        await live.cancel(Delivery, "o", reason="no")
        await do(live, "later")

        assert (await sent(live), await standing(live), await live.parked()) == (["1"], "cancelled", [])


async def test_an_instance_that_is_parked_after_its_end_can_be_cancelled_and_a_done_one_cannot(url: str) -> None:
    async with shop(after_end="park").open(url, work=False) as live:
        await do(live, "begin", "end")
        with pytest.raises(AlreadyEnded):
            await live.cancel(Delivery, "o", reason="no")
        await do(live, "later")
        await live.cancel(Delivery, "o", reason="no")

        assert (await standing(live), await live.parked()) == ("cancelled", [])


def test_another_word_is_refused() -> None:
    word: Any = "restart"
    with pytest.raises(InvalidModel, match=r"Delivery has after_end='restart'"):
        App("shop").process(after_end=word)(Delivery)
