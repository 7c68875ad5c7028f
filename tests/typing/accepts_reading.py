# pyright: strict
"""Reading from read models as a user writes it: indexes and plans."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Self, assert_type

from leftfold import (
    App,
    ChangedAt,
    ChangedBy,
    Event,
    Found,
    LiveApp,
    NonKey,
    Page,
    Query,
    ReadModel,
    ReadModels,
    Reference,
    StatementPlan,
    Tag,
    Text,
    replace,
)

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
    paid: Decimal | None = None
    paid_at: datetime | None = None
    delay: timedelta = timedelta()
    note: Annotated[str, Text()] = ""
    changed_at: Annotated[datetime | None, ChangedAt] = None
    changed_by: Annotated[str | None, ChangedBy] = None

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
    assert_type(Order("o-1").changed_at, datetime | None)
    assert_type(Order("o-1").changed_by, str | None)


class OrderPage(Query[Page[Order]]):
    after: str | None = None


@shop.answers
def order_page(query: OrderPage, models: ReadModels) -> Page[Order]:
    page = models.page(Order, order_by=["customer", "-total"], limit=20, after=query.after, customer="ann")
    assert_type(page, Page[Order])
    assert_type(page.rows, list[Order])
    assert_type(page.next, str | None)
    assert_type(models.select(Order, order_by="-total", after=page.next), list[Order])
    return page


async def pages(live: LiveApp) -> None:
    assert_type((await live.query(OrderPage())).rows[0].total, int)


def totals(models: ReadModels) -> None:
    assert_type(models.count(Order, customer="ann"), int)
    assert_type(models.sum(Order, Order.total, customer="ann"), int)
    assert_type(models.sum(Order, Order.paid), Decimal)
    assert_type(models.sum(Order, Order.delay), timedelta)
    assert_type(models.max(Order, Order.total), int | None)
    assert_type(models.max(Order, Order.paid_at), datetime | None)
    assert_type(models.min(Order, Order.order, where={"total": 3}), str | None)
    assert_type(models.group(Order, Order.customer).count(), dict[str, int])
    assert_type(models.group(Order, Order.customer).sum(Order.paid), dict[str, Decimal])
    assert_type(models.group(Order, Order.customer).max(Order.total), dict[str, int])
    assert_type(models.group(Order, Order.paid_at).min(Order.paid), dict[datetime | None, Decimal | None])
    assert_type(models.group(Order, (Order.customer, Order.total)).count(), dict[tuple[str, int], int])


def searches(models: ReadModels) -> None:
    found = models.search(Order, "fragile", limit=3, customer="ann")
    assert_type(found, list[Found[Order]])
    assert_type(found[0].row.total, int)
    assert_type(found[0].snippet, str)
    assert_type(found[0].matches, tuple[tuple[int, int], ...])
    assert_type(Order("o-1").note, str)


class Customer(ReadModel):
    customer: CustomerId
    name: str = ""

    def evolve(self, event: Placed) -> Self:
        return self


CUSTOMER = Reference(Order.customer, Customer)
OTHERS = Reference((Order.order,), Order)


def joins(models: ReadModels) -> None:
    assert_type(CUSTOMER, Reference[Customer])
    join = models.join(Order, CUSTOMER)
    rows = join.select(where={"customer.name": "Ann"}, order_by="-customer.name", limit=3, total=4)
    assert_type(rows, list[tuple[Order, Customer | None]])
    for order, customer in rows:
        assert_type(order.total, int)
        assert_type(customer, Customer | None)
    assert_type(join.page(limit=3).rows, list[tuple[Order, Customer | None]])
    assert_type(join.count(total=4), int)
    assert_type(
        models.join(Order, CUSTOMER, OTHERS, CUSTOMER, OTHERS).select(),
        list[tuple[Order, Customer | None, Order | None, Customer | None, Order | None]],
    )
    models.join(Order, CUSTOMER).select(where=models.table(CUSTOMER).c.name == "Ann")


class Named(Event):
    customer: CustomerId
    name: str


@shop.read_model(indexes=["customer"])
class Listed(ReadModel):
    order: OrderId
    customer: Annotated[CustomerId, NonKey] = ""
    name: str = ""

    @classmethod
    def concerns(cls, event: Named, models: ReadModels) -> Sequence[Self]:
        found = models.select(cls, customer=event.customer)
        assert_type(found, list[Self])
        return found

    def evolve(self, event: Placed | Named) -> Self:
        match event:
            case Placed(customer=customer):
                return replace(self, customer=customer)
            case Named(name=name):
                return replace(self, name=name)
