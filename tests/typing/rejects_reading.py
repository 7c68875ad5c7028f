# pyright: strict
"""Mistakes in reading from read models: each line that ends in `# error` is reported by both checkers."""

from accepts_reading import Order, OrdersOf, shop

from leftfold import LiveApp

shop.read_model(indexes="customer")  # error
shop.read_model(indexes=("customer", "-total"))  # error
shop.read_model(indexes=[3])  # error
shop.read_model(indexes=[["customer"]])  # error
shop.read_model(index=["customer"])  # error


async def plans(live: LiveApp) -> int:
    await live.plan(Order("o-1"))  # error
    return await live.plan(OrdersOf("ann"))  # error
