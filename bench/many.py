"""One decision over many entities: 1, 10, 100 and 1,000 products of one order."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Annotated, Self

from bench import durability
from bench.callers import threads
from bench.figure import LEFTFOLD, Figure, Slice, Slices
from leftfold import App, Command, DecisionModel, Event, Many, Rejected, Tag, replace

PRODUCTS = 2_000
NUMBERS = (1, 10, 100, 1_000)

ProductId = Annotated[str, Tag("product")]
OrderId = Annotated[str, Tag("order")]


class Stocked(Event, wire="bench.stocked"):
    product: ProductId
    amount: int


class Placed(Event, wire="bench.placed"):
    order: OrderId
    products: list[ProductId]


class Product(DecisionModel):
    product: ProductId
    stock: int = 0

    def evolve(self, event: Stocked | Placed) -> Self:
        return replace(self, stock=self.stock + (event.amount if isinstance(event, Stocked) else -1))


class Stock(Command):
    product: ProductId
    amount: int


class Place(Command):
    order: OrderId
    products: list[ProductId]


shop = App("bench-shop")


@shop.handles
def stock(command: Stock, product: Product) -> Stocked:
    return Stocked(command.product, command.amount)


@shop.handles
def place(command: Place, products: Many[Product]) -> Placed:
    if any(product.stock < 1 for product in products):
        raise Rejected("sold out")
    return Placed(command.order, command.products)


@contextmanager
def our_orders(directory: Path, products: int) -> Generator[Slice]:
    """Orders of so many products, whose states leftfold holds."""
    names = [f"p-{number}" for number in range(PRODUCTS)]
    choose, numbers = Random(1).sample, count()
    with shop.open_sync(f"sqlite:///{directory}/shop.db") as live:
        durability.check(live)
        live.execute_many([Stock(name, 10**9) for name in names])

        def order() -> object:
            return live.execute(Place(f"o-{next(numbers)}", choose(names, products)))

        yield lambda seconds: products * threads(1, seconds, order)


@contextmanager
def alone(directory: Path, products: int) -> Generator[Slices]:
    with our_orders(directory, products) as ours:
        yield {LEFTFOLD: ours}


FIGURES = tuple(
    Figure(
        f"many-{number}",
        f"decide on {number:,} of {PRODUCTS:,} entities at once, 1 caller",
        "entities/s",
        partial(alone, products=number),
        ours=partial(our_orders, products=number),
    )
    for number in NUMBERS
)
