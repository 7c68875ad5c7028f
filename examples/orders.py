"""Orders: payment, shipment, a time-out after 15 minutes, and compensation when something fails.

`python -m examples.orders` runs three orders, each with another fate; `make demo-workers` runs hundreds, in one process
and in four.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Self

import sqlalchemy as sa

from leftfold import (
    App,
    CancelScheduled,
    Command,
    DecisionModel,
    EndProcess,
    Event,
    LiveApp,
    ProcessManager,
    Query,
    Reaction,
    ReadModel,
    ReadModels,
    Rejected,
    Schedule,
    Tag,
    replace,
)

OrderId = Annotated[str, Tag("order")]
ProductId = Annotated[str, Tag("product")]

MINUTES_TO_PAY = 15.0


class Stocked(Event, wire="product.stocked"):
    product: ProductId
    pieces: int


class Placed(Event, wire="order.placed"):
    order: OrderId
    product: ProductId
    price: int
    minutes_to_pay: float = MINUTES_TO_PAY


class Paid(Event, wire="order.paid"):
    order: OrderId
    amount: int


class Shipped(Event, wire="order.shipped"):
    order: OrderId
    product: ProductId


class ShipmentFailed(Event, wire="order.shipment-failed"):
    order: OrderId
    why: str


class Refunded(Event, wire="order.refunded"):
    order: OrderId
    amount: int


class Cancelled(Event, wire="order.cancelled"):
    order: OrderId
    why: str


class Order(DecisionModel):
    order: OrderId
    product: str = ""
    price: int = 0
    paid: int = 0
    shipped: bool = False
    closed: bool = False

    def evolve(self, event: Placed | Paid | Shipped | Refunded | Cancelled) -> Self:
        match event:
            case Placed(product=product, price=price):
                return replace(self, product=product, price=price)
            case Paid(amount=amount):
                return replace(self, paid=self.paid + amount)
            case Shipped():
                return replace(self, shipped=True, closed=True)
            case Refunded(amount=amount):
                return replace(self, paid=self.paid - amount)
            case Cancelled():
                return replace(self, closed=True)


class Stock(DecisionModel):
    product: ProductId
    pieces: int = 0

    def evolve(self, event: Stocked | Shipped) -> Self:
        match event:
            case Stocked(pieces=pieces):
                return replace(self, pieces=self.pieces + pieces)
            case Shipped():
                return replace(self, pieces=self.pieces - 1)


class PutInStock(Command):
    product: ProductId
    pieces: int


class Place(Command):
    order: OrderId
    product: ProductId
    price: int
    minutes_to_pay: float = MINUTES_TO_PAY


class Pay(Command):
    order: OrderId
    amount: int


class Ship(Command):
    order: OrderId
    product: ProductId


class Refund(Command):
    order: OrderId


class CancelOrder(Command):
    order: OrderId
    why: str


orders = App("orders")


@orders.handles
def put_in_stock(command: PutInStock) -> Stocked:
    return Stocked(command.product, command.pieces)


@orders.handles
def place(command: Place, order: Order) -> Placed:
    if order.product:
        raise Rejected("placed before")
    return Placed(command.order, command.product, command.price, command.minutes_to_pay)


@orders.handles
def pay(command: Pay, order: Order) -> Paid:
    if not order.product or order.closed or order.paid:
        raise Rejected("nothing to pay", order=command.order)
    if command.amount != order.price:
        raise Rejected("another amount is due", price=order.price)
    return Paid(command.order, command.amount)


@orders.handles
def ship(command: Ship, order: Order, stock: Stock) -> Shipped | ShipmentFailed | None:
    """Out of stock is no rejection: the process has to hear of it, so it is an event."""
    if order.closed:
        return None
    if stock.pieces < 1:
        return ShipmentFailed(command.order, "out of stock")
    return Shipped(command.order, command.product)


@orders.handles
def refund(command: Refund, order: Order) -> Refunded | None:
    return Refunded(command.order, order.paid) if order.paid and not order.shipped else None


@orders.handles
def cancel_order(command: CancelOrder, order: Order) -> Cancelled | None:
    return None if order.closed else Cancelled(command.order, command.why)


@orders.process
class Fulfilment(ProcessManager):
    """From order to shipment, or back."""

    order: OrderId
    product: str = ""

    def evolve(self, event: Placed | Paid | Shipped | ShipmentFailed | Cancelled) -> Self:
        return replace(self, product=event.product) if isinstance(event, Placed) else self

    def react(self, event: Placed | Paid | Shipped | ShipmentFailed | Cancelled) -> Reaction:
        match event:
            case Placed(minutes_to_pay=minutes):
                late = CancelOrder(self.order, "not paid in time")
                return Schedule(late, delay=timedelta(minutes=minutes), name="time to pay")
            case Paid():
                return [CancelScheduled("time to pay"), Ship(self.order, self.product)]
            case ShipmentFailed(why=why):
                return CancelOrder(self.order, why)
            case Cancelled():
                return [Refund(self.order), EndProcess()]
            case Shipped():
                return EndProcess()


@orders.read_model
class OrderStatus(ReadModel):
    """What a customer is told of an order."""

    order: OrderId
    product: str = ""
    price: int = 0
    standing: str = "placed"

    def evolve(self, event: Placed | Paid | Shipped | Refunded | Cancelled) -> Self:
        match event:
            case Placed(product=product, price=price):
                return replace(self, product=product, price=price)
            case Paid():
                return replace(self, standing="paid")
            case Shipped():
                return replace(self, standing="shipped")
            case Refunded():
                return replace(self, standing="refunded")
            case Cancelled():
                return replace(self, standing="to be refunded" if self.standing == "paid" else "cancelled")


class WhereIs(Query[OrderStatus | None]):
    order: OrderId


class OrdersByStanding(Query[dict[str, int]]):
    pass


@orders.answers
def where_is(query: WhereIs, models: ReadModels) -> OrderStatus | None:
    return models.get(OrderStatus, query.order)


@orders.answers
def orders_by_standing(query: OrdersByStanding, models: ReadModels) -> dict[str, int]:
    table = models.table(OrderStatus)
    counted = (
        sa.select(table.c.standing, sa.func.count().label("orders"))
        .group_by(table.c.standing)
        .order_by(table.c.standing)
    )
    return {row.standing: row.orders for row in models.execute(counted)}


async def fates(live: LiveApp, names: Sequence[str]) -> list[str]:
    """Return what became of orders, in words."""
    words: list[str] = []
    for name in names:
        order = await live.state(Order, name)
        words.append("shipped" if order.shipped else "cancelled" if order.closed else "open")
    return words


async def main() -> None:
    async with orders.open("memory:") as live:
        await live.execute(PutInStock("lamp", 1))
        for name in ("o-1", "o-2", "o-3"):
            await live.execute(Place(name, "lamp", 40))
        for name in ("o-1", "o-2"):
            await live.execute(Pay(name, 40))
        await live.run_until_quiet()
        print(dict(zip(("o-1", "o-2", "o-3"), await fates(live, ("o-1", "o-2", "o-3")), strict=True)))
        for waiting in await live.commands("scheduled"):
            print("scheduled:", waiting.command, waiting.data, "at", waiting.due)
        for step in (await live.process(Fulfilment, "o-2")).history:
            print(step.position, step.event)


if __name__ == "__main__":
    asyncio.run(main())
