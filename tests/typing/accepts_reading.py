# pyright: strict
"""Reading from read models as a user writes it: indexes and plans."""

from collections.abc import Sequence
from typing import Annotated, Self, assert_type

from leftfold import App, Event, LiveApp, NonKey, Query, ReadModel, ReadModels, StatementPlan, Tag, replace

OrderId = Annotated[str, Tag("order")]
CustomerId = Annotated[str, Tag("customer")]


class Placed(Event):
    order: OrderId
    customer: CustomerId
    total: int


shop = App("shop")
BY_CUSTOMER: list[str | tuple[str, ...]] = [("customer", "-total")]


@shop.read_model(indexes=["customer", ("customer", "-total")], history=True)
class Order(ReadModel):
    order: OrderId
    customer: Annotated[CustomerId, NonKey] = ""
    total: int = 0

    def evolve(self, event: Placed) -> Self | None:
        return replace(self, customer=event.customer, total=event.total)


@shop.read_model(indexes=BY_CUSTOMER)
class AsConstant(Order): ...


@shop.read_model(indexes=["-total"])
class AsNames(Order): ...


class OrdersOf(Query[list[Order]]):
    customer: str


@shop.answers
def orders_of(query: OrdersOf, models: ReadModels) -> list[Order]:
    return models.select(Order, customer=query.customer, order_by="-total")


async def plans(live: LiveApp) -> None:
    assert_type(await live.plan(OrdersOf("ann")), Sequence[StatementPlan])
    assert_type(Order("o-1").total, int)
