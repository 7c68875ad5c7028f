# pyright: strict
"""Mistakes in reading from read models: each line that ends in `# error` is reported by both checkers."""

from accepts_reading import CUSTOMER, Customer, Order, OrdersOf, Placed, shop

from leftfold import LiveApp, Page, ReadModels, Reference

shop.read_model(indexes="customer")  # error
shop.read_model(indexes=("customer", "-total"))  # error
shop.read_model(indexes=[3])  # error
shop.read_model(indexes=[["customer"]])  # error
shop.read_model(index=["customer"])  # error


async def plans(live: LiveApp) -> int:
    await live.plan(Order("o-1"))  # error
    return await live.plan(OrdersOf("ann"))  # error


def changed(row: Order) -> str:
    return row.changed_by  # error


def pages(models: ReadModels) -> Page[Order]:
    models.page(Order)  # error
    models.page(OrdersOf, limit=3)  # error
    models.page(Order, limit="3")  # error
    models.page(Order, limit=3, after=3)  # error
    return models.page(Order, limit=3).rows  # error


def totals(models: ReadModels) -> int:
    models.sum(Order, Order.customer)  # error
    models.sum(Order, Order.paid_at)  # error
    models.sum(Order, Order.weight)  # error
    models.sum(Order)  # error
    models.group(Order, Order.customer).sum(Order.customer)  # error
    by_customer: dict[int, int] = models.group(Order, Order.customer).count()  # error
    assert by_customer
    return models.max(Order, Order.total)  # error


def searches(models: ReadModels) -> list[Order]:
    models.search(Order)  # error
    models.search(Order, 3)  # error
    models.search(OrdersOf, "fragile")  # error
    return models.search(Order, "fragile")  # error


Reference(Order.customer, Placed)  # error
Reference(Order.customer)  # error
Reference(Order.buyer, Customer)  # error


def joins(models: ReadModels) -> list[tuple[Order, Customer]]:
    models.join(Order)  # error
    models.join(Order, Customer)  # error
    models.join(OrdersOf, CUSTOMER)  # error
    models.join(Order, CUSTOMER).page()  # error
    for _, customer in models.join(Order, CUSTOMER).select():
        customer.name  # error
    return models.join(Order, CUSTOMER).select()  # error


class Listed(Customer):
    @classmethod
    def concerns(cls, event: Placed, models: ReadModels) -> list[Order]:
        models.select(cls, event.buyer)  # error
        return models.select(cls, customer=event.customer)  # error
