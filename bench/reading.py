"""What queries of a large read model cost: by an index, a page far behind beside the first, a total of one customer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Annotated, Any, NamedTuple, Self

from bench.postgres import DATABASE, opened_server
from leftfold import (
    App,
    Event,
    Found,
    LiveApp,
    NonKey,
    Page,
    Query,
    ReadModel,
    ReadModels,
    Tag,
    Text,
    open_store,
    replace,
)
from leftfold.model.registry import Registry

ROWS = 1_000_000
QUICK_ROWS = 50_000
ORDERS_OF_A_CUSTOMER = 50
PAGE = 50
REPEATS, WARM_UP = 200, 20
SELECT_LIMIT, SEARCH_LIMIT = 2.0, 20.0  # milliseconds
DEPTH_LIMIT = 2.0  # times the first page
VOCABULARY, WORDS_OF_A_NOTE = 20_000, 8

OrderId = Annotated[int, Tag("order")]
CustomerId = Annotated[str, Tag("customer")]
Progress = Callable[[str], None]


class Placed(Event, wire="bench.placed"):
    order: OrderId
    customer: CustomerId
    total: int
    note: str


reading = App("bench queries")


@reading.read_model(indexes=[("customer", "-total"), "-total"])
class Order(ReadModel):
    order: OrderId
    customer: Annotated[CustomerId, NonKey] = ""
    total: int = 0
    note: Annotated[str, Text()] = ""

    def evolve(self, event: Placed) -> Self:
        return replace(self, customer=event.customer, total=event.total, note=event.note)


class Dearest(Query[list[Order]]):
    customer: str


class OrderPage(Query[Page[Order]]):
    after: str | None = None
    limit: int = PAGE


class Noted(Query[list[Found[Order]]]):
    text: str


class Spent(Query[int]):
    customer: str


class OneOrder(Query[Order | None]):
    order: int


@reading.answers
def dearest(query: Dearest, models: ReadModels) -> list[Order]:
    return models.select(Order, customer=query.customer, order_by="-total", limit=10)


@reading.answers
def order_page(query: OrderPage, models: ReadModels) -> Page[Order]:
    return models.page(Order, order_by="-total", limit=query.limit, after=query.after)


@reading.answers
def noted(query: Noted, models: ReadModels) -> list[Found[Order]]:
    return models.search(Order, query.text, limit=10)


@reading.answers
def spent(query: Spent, models: ReadModels) -> int:
    return models.sum(Order, Order.total, customer=query.customer)


@reading.answers
def one_order(query: OneOrder, models: ReadModels) -> Order | None:
    return models.get(Order, query.order)


class ReadCost(NamedTuple):
    """Milliseconds that a query takes, from the call to the answer, and what it should take at most."""

    title: str
    backend: str
    milliseconds: float
    limit: float | None


async def measure(rows: int, directory: Path, progress: Progress) -> list[ReadCost]:
    """Every query on SQLite and on PostgreSQL; the median of each."""
    progress(f"fill a log with {rows:,} events")
    log = directory / "reading.db"
    await _fill(log, rows)
    costs: list[ReadCost] = []
    with opened_server() as server:
        for backend, url in (
            ("SQLite", f"sqlite:///{directory}/reading.models.db"),
            ("PostgreSQL", server.url(DATABASE, schema="reading")),
        ):
            progress(f"fold {rows:,} rows on {backend}")
            async with _opened(log, url, rows) as live:
                costs += await _costs(live, backend, rows, progress)
    return costs


@asynccontextmanager
async def _opened(log: Path, models: str, rows: int) -> AsyncIterator[LiveApp]:
    async with reading.open(f"sqlite:///{log}?mode=ro", models=models) as live:
        assert await live.query(OneOrder(rows - 1), after=rows, wait_timeout=3_600)
        yield live


async def _fill(log: Path, rows: int) -> None:
    registry, random = Registry(), Random(1)
    registry.add(Placed)
    customers = rows // ORDERS_OF_A_CUSTOMER
    async with open_store(f"sqlite:///{log}") as store:
        for first in range(0, rows, 1_000):
            placed = [
                Placed(n, f"customer-{n % customers}", random.randrange(100_000), _words(random, WORDS_OF_A_NOTE))
                for n in range(first, first + 1_000)
            ]
            await store.append([registry.encode(event, b"{}") for event in placed])
            await asyncio.sleep(0)


def _words(random: Random, number: int) -> str:
    return " ".join(f"word{random.randrange(VOCABULARY)}" for _ in range(number))


async def _costs(live: LiveApp, backend: str, rows: int, progress: Progress) -> list[ReadCost]:
    random = Random(2)
    customers = rows // ORDERS_OF_A_CUSTOMER
    progress(f"read {rows // 2:,} rows for the cursor behind them, on {backend}")
    halfway = (await live.query(OrderPage(limit=rows // 2), wait_timeout=3_600)).next
    assert halfway is not None

    def customer() -> str:
        return f"customer-{random.randrange(customers)}"

    progress(f"query on {backend}")
    first, deep, key, selected, summed, one_word, two_words = await _medians(
        live,
        OrderPage,
        lambda: OrderPage(halfway),
        lambda: OneOrder(random.randrange(rows)),
        lambda: Dearest(customer()),
        lambda: Spent(customer()),
        lambda: Noted(_words(random, 1)),
        lambda: Noted(_words(random, 2)),
    )
    return [
        ReadCost("a row by its key", backend, key, None),
        ReadCost("10 orders of a customer, by an index", backend, selected, SELECT_LIMIT),
        ReadCost("the sum of a customer's orders", backend, summed, SELECT_LIMIT),
        ReadCost(f"10 of {rows * WORDS_OF_A_NOTE // VOCABULARY} rows with a word", backend, one_word, SEARCH_LIMIT),
        ReadCost("rows with two words", backend, two_words, SEARCH_LIMIT),
        ReadCost(f"the first page of {PAGE} rows", backend, first, None),
        ReadCost(f"a page of {PAGE} rows behind {rows // 2:,}", backend, deep, first * DEPTH_LIMIT),
    ]


async def _medians(live: LiveApp, *queries: Callable[[], Query[Any]]) -> list[float]:
    """Ask all of them in turn, so that whatever else the machine does concerns all alike."""
    spent_on: list[list[float]] = [[] for _ in queries]
    for number in range(WARM_UP + REPEATS):
        for spent_on_one, query in zip(spent_on, queries, strict=True):
            asked = query()
            start = perf_counter()
            await live.query(asked)
            if number >= WARM_UP:
                spent_on_one.append((perf_counter() - start) * 1e3)
    return list(map(median, spent_on))


def is_met(cost: ReadCost) -> bool:
    return cost.limit is None or cost.milliseconds <= cost.limit
