"""A shop whose models database `formats/shop.models.db` was made by leftfold before decimals had an order of their own.

`python -m tests.query.former_shop DIRECTORY` makes both files.
"""

import asyncio
import datetime as dt
import sys
from decimal import Decimal
from typing import Annotated, Any, Self

import msgspec

from leftfold import App, Command, Event, Query, ReadModel, ReadModels, Tag

OrderId = Annotated[str, Tag("order")]


class Placed(Event, wire="shop.placed"):
    order: OrderId
    amount: Decimal
    waits: dt.timedelta
    at: dt.time
    prices: dict[str, int]


class Place(Command, wire="shop.place"):
    order: OrderId
    amount: Decimal
    waits: dt.timedelta
    at: dt.time
    prices: dict[str, int]


shop = App("shop")


@shop.handles
def place(command: Place) -> Placed:
    return Placed(command.order, command.amount, command.waits, command.at, command.prices)


@shop.read_model(history=True)
class Order(ReadModel):
    order: OrderId
    amount: Decimal = Decimal(0)
    waits: dt.timedelta = dt.timedelta()
    at: dt.time = dt.time()
    maybe: Decimal | None = None

    def evolve(self, event: Placed) -> Self:
        return type(self)(self.order, self.amount + event.amount, event.waits, event.at)


@shop.read_model
class Prices(ReadModel):
    order: OrderId
    prices: dict[str, int] = msgspec.field(default_factory=dict[str, int])

    def evolve(self, event: Placed) -> Self:
        return type(self)(self.order, event.prices)


class Orders(Query[list[Order]]):
    order_by: str


@shop.answers
def orders(query: Orders, models: ReadModels) -> list[Order]:
    return models.select(Order, order_by=query.order_by)


class PricesAre(Query[list[Prices]]):
    prices: dict[str, int]


@shop.answers
def prices_are(query: PricesAre, models: ReadModels) -> list[Prices]:
    return models.select(Prices, where={"prices": query.prices})


PLACED: list[tuple[Any, ...]] = [
    ("o-1", Decimal("9.50"), dt.timedelta(days=2), dt.time(9, 30), {"b": 2, "a": 1}),
    ("o-2", Decimal("10.00"), dt.timedelta(hours=3), dt.time(12), {"a": 1, "b": 2}),
    ("o-3", Decimal("-3"), dt.timedelta(seconds=-1), dt.time(8, 0, 0, 5), {}),
    ("o-1", Decimal("0.10"), dt.timedelta(days=10), dt.time(9, 30), {"b": 2, "a": 1}),
]


async def make(directory: str) -> None:
    async with shop.open(f"sqlite:///{directory}/shop.db") as live:
        for values in PLACED:
            await live.execute(Place(*values))
        await live.run_until_quiet()


if __name__ == "__main__":
    asyncio.run(make(sys.argv[1]))
