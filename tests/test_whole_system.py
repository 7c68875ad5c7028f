"""The whole system in memory with a fake clock: commands, timers, processes and read models, without a sleep."""

from datetime import timedelta
from typing import Any, Self

from examples.orders import Cancelled, CancelOrder, OrderId, Place, Placed, orders
from leftfold import App, ProcessManager, Query, Reaction, ReadModel, ReadModels, Schedule, replace
from leftfold.testing import FakeClock


class OpenOrder(ReadModel):
    order: OrderId
    price: int = 0

    def evolve(self, event: Placed | Cancelled) -> Self | None:
        match event:
            case Placed(price=price):
                return replace(self, price=price)
            case Cancelled():
                return None


class OpenOrders(Query[list[str]]):
    pass


class Forget(ProcessManager):
    order: OrderId

    def evolve(self, event: Placed) -> Self:
        return self

    def react(self, event: Placed) -> Reaction:
        return Schedule(CancelOrder(self.order, "forgotten"), delay=timedelta())


def shop() -> App:
    app = App("shop")
    for handler in orders.command_handlers.values():
        app.handles(handler.function)
    app.read_model(OpenOrder)

    @app.answers
    def open_orders(query: OpenOrders, models: ReadModels) -> list[str]:
        return [row.order for row in models.select(OpenOrder, order_by="order")]

    return app


async def test_what_was_submitted_is_in_the_read_models_when_all_is_quiet() -> None:
    async with shop().test(FakeClock()) as live:
        await live.submit(Place("o-1", "lamp", 40))
        await live.submit(Place("o-2", "lamp", 40))
        assert await live.query(OpenOrders()) == []

        await live.run_until_quiet()

        assert await live.query(OpenOrders()) == ["o-1", "o-2"]


async def test_what_processes_answer_is_handled_and_read_too() -> None:
    app = shop()
    app.process(Forget)
    async with app.test(FakeClock()) as live:
        await live.submit(Place("o-1", "lamp", 40))

        await live.run_until_quiet()

        assert await live.query(OpenOrders()) == []
        assert len(await live.commands("handled")) == 2


async def test_two_runs_write_the_same_log_byte_for_byte() -> None:
    async def run() -> list[Any]:
        clock = FakeClock()
        async with orders.test(clock) as live:
            ticket = await live.submit(Place("o-1", "lamp", 40))
            await live.run_until_quiet()
            clock.advance(minutes=15)
            await live.run_until_quiet()
            assert (await ticket.state()).state == "handled"
            return [event async for batch in live.store.read() for event in batch.events]

    first, second = await run(), await run()

    assert len(first) > 5
    assert first == second
