"""`execute(wait=...)`: the command's events are in the read models when it returns, or an error says they are not."""

import asyncio
import threading
from typing import Annotated, Self

import pytest

from leftfold import (
    App,
    BatchReceipt,
    Command,
    DecisionModel,
    Event,
    NewEvent,
    Query,
    ReadModel,
    ReadModels,
    Receipt,
    Tag,
    replace,
)
from leftfold.errors import ExecutedButBehind, ProjectionFailed, ReadModelBehind, Rejected, UnknownName
from leftfold.store import MemoryStore
from leftfold.testing import FakeClock
from tests.patience import PATIENCE

CartId = Annotated[str, Tag("cart")]


class Added(Event):
    cart: CartId
    item: str


class Cart(DecisionModel):
    cart: CartId
    items: int = 0

    def evolve(self, event: Added) -> Self:
        return replace(self, items=self.items + 1)


class Add(Command):
    cart: CartId
    item: str


class Items(ReadModel):
    cart: CartId
    count: int = 0

    def evolve(self, event: Added) -> Self:
        return replace(self, count=self.count + 1)


class Elsewhere(ReadModel):
    cart: CartId

    def evolve(self, event: Added) -> Self:
        return self


class Rows(Query[int]):
    """How many rows the read model has that is held."""


class ItemsIn(Query[int]):
    cart: str


def shop(*models: type[ReadModel]) -> App:
    app = App("shop")

    @app.handles
    def add(command: Add, cart: Cart) -> Added | None:
        if command.item == "forbidden":
            raise Rejected("forbidden")
        return None if command.item == "nothing" else Added(command.cart, command.item)

    @app.answers
    def items_in(query: ItemsIn, models: ReadModels) -> int:
        found = models.get(Items, query.cart)
        return found.count if found else 0

    for model in models:
        app.read_model(model)
    return app


class Held:
    """A read model whose fold waits until it is let go."""

    def __init__(self) -> None:
        gate = self.gate = threading.Event()

        class Slow(ReadModel):
            cart: CartId
            count: int = 0

            def evolve(self, event: Added) -> Self:
                assert gate.wait(20)
                return replace(self, count=self.count + 1)

        self.model = Slow

    def app(self) -> App:
        """The shop with this read model, and a query that counts its rows."""
        app = shop(self.model)

        @app.answers
        def rows(query: Rows, models: ReadModels) -> int:
            return models.count(self.model)

        return app


async def test_the_models_include_the_events_when_it_returns() -> None:
    async with shop(Items).open("memory:") as live:
        for number in range(1, 30):
            await live.execute(Add("c", "x"), wait=[Items])

            assert await live.query(ItemsIn("c")) == number


async def test_a_batch_waits_too() -> None:
    async with shop(Items).open("memory:") as live:
        receipt = await live.execute_many([Add("c", "x"), Add("c", "forbidden"), Add("c", "y")], wait={Items})

        assert (receipt.position, await live.query(ItemsIn("c"))) == (2, 2)
        assert await live.query(ItemsIn("c"), after=receipt) == 2


async def test_a_command_without_events_waits_for_what_it_was_decided_on() -> None:
    async with shop(Items).open("memory:") as live:
        await live.execute(Add("c", "x"))

        receipt = await live.execute(Add("c", "nothing"), wait=[Items])

        assert (receipt.position, await live.query(ItemsIn("c"))) == (1, 1)


async def test_an_unknown_model_is_refused_before_anything_is_decided() -> None:
    for app in (shop(Items), shop()):
        async with app.open("memory:") as live:
            with pytest.raises(UnknownName, match="there is no read model 'Elsewhere'"):
                await live.execute(Add("c", "x"), wait=[Elsewhere])
            with pytest.raises(UnknownName):
                await live.execute_many([Add("c", "x")], wait=[Elsewhere])

            assert await live.store.head() == 0


async def test_a_rejection_is_not_waited_for() -> None:
    async with shop(Items).open("memory:") as live:
        with pytest.raises(Rejected):
            await live.execute(Add("c", "forbidden"), wait=[Items])


async def test_a_model_that_takes_too_long_is_an_error_that_has_the_receipt() -> None:
    held, clock = Held(), FakeClock()
    async with held.app().open(MemoryStore(clock), clock=clock) as live:
        await live.execute(Add("c", "x"))
        clock.advance(seconds=30)

        with pytest.raises(ExecutedButBehind, match="the command succeeded, but Slow is at position 0") as late:
            await live.execute(Add("c", "y"), wait=[held.model], wait_timeout=0.0)
        held.gate.set()

        receipt: Receipt = late.value.receipt
        assert (receipt.position, receipt.events) == (2, (Added("c", "y"),))
        assert (late.value.model, late.value.position, late.value.asked, late.value.lag) == ("Slow", 0, 2, 2)
        assert (late.value.seconds, late.value.timeout) == (30.0, 0.0)
        assert "do not execute the command again" in late.value.remedy
        assert await live.query(Rows(), after=receipt) == 1


async def test_a_batch_that_is_late_has_its_receipt_too() -> None:
    held = Held()
    async with shop(held.model).open("memory:") as live:
        with pytest.raises(ReadModelBehind) as late:
            await live.execute_many([Add("c", "y"), Add("c", "z")], wait=[held.model], wait_timeout=0.0)
        held.gate.set()

    assert isinstance(late.value, ExecutedButBehind)
    assert isinstance(late.value.receipt, BatchReceipt)
    assert late.value.receipt.position == 2


async def test_a_model_that_has_stopped_is_the_cause_of_the_error() -> None:
    async with shop(Items).open("memory:") as live:
        await live.store.append([NewEvent("Added", b"{}", ("other:1",))])  # whose row it concerns cannot be known

        with pytest.raises(ExecutedButBehind) as late:
            await live.execute(Add("c", "x"), wait=[Items])

    assert isinstance(late.value.__cause__, ProjectionFailed)
    assert late.value.receipt.position == 2


async def test_a_query_that_is_late_says_by_how_much_and_for_how_long() -> None:
    clock, held = FakeClock(), Held()
    async with held.app().open(MemoryStore(clock), clock=clock) as live:
        receipt = await live.execute(Add("c", "x"))
        clock.advance(seconds=12)

        with pytest.raises(ReadModelBehind, match="is at position 0, 1 behind position 1 for 12 s\n") as late:
            await live.query(Rows(), after=receipt, wait_timeout=0.0)
        held.gate.set()

    assert (late.value.position, late.value.lag, late.value.seconds) == (0, 1, 12.0)


async def test_waiting_can_be_cancelled() -> None:
    held = Held()
    async with shop(held.model).open("memory:") as live:
        executing = asyncio.create_task(live.execute(Add("c", "x"), wait=[held.model], wait_timeout=PATIENCE))
        await live.store.wait(0)

        executing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await executing
        held.gate.set()

        assert await live.store.head() == 1


def test_the_sync_facade_waits_too() -> None:
    held = Held()
    with shop(Items, held.model).open_sync("memory:") as live:
        held.gate.set()
        live.execute(Add("c", "x"), wait=[Items])
        assert live.query(ItemsIn("c")) == 1
        live.execute_many([Add("c", "y")], wait=[Items])
        assert live.query(ItemsIn("c")) == 2


def test_closing_the_sync_facade_ends_a_watch() -> None:
    answers: list[int] = []
    begun = threading.Event()

    with shop(Items).open_sync("memory:") as live:

        def watch() -> None:
            for answer in live.watch(ItemsIn("c")):
                answers.append(answer)
                begun.set()

        watching = threading.Thread(target=watch)
        watching.start()
        assert begun.wait(10)
        live.execute(Add("c", "x"), wait=[Items])

    watching.join(10)
    assert not watching.is_alive()
    assert answers[0] == 0


def test_the_sync_facade_watches() -> None:
    with shop(Items).open_sync("memory:") as live:
        watch = live.watch(ItemsIn("c"))
        found = [next(watch)]
        live.execute(Add("c", "x"), wait=[Items])
        found.append(next(watch))

        assert found == [0, 1]
        assert repr(watch) == "<Watch of Items>"
    assert list(watch) == []
