"""What one request costs up to the limits of a log: an event's tags, an item's tags, the items of criteria."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

from bench.postgres import log_url, opened_server
from leftfold import AppendCondition, Criteria, EventStore, NewEvent, criteria, open_store
from leftfold.model.criteria import CriteriaItem
from leftfold.store.bounds import CRITERIA_ITEMS_LIMIT, EVENT_TAGS_LIMIT, ITEM_TAGS_LIMIT

PARTS = (4, 2, 1)  # a quarter of the limit, a half, and all of it
LIMIT = 2.0  # what grows with the square is 4 at all of it beside a quarter
MATCHING, OTHERS = 100, 1_000  # events that have all tags of an item, and that lack one
REPEATS = 5

Progress = Callable[[str], None]
Request = Callable[[EventStore, int], Awaitable[object]]


class RequestCost(NamedTuple):
    """Milliseconds that a request takes, by its size."""

    title: str
    backend: str
    by_size: dict[int, float]

    @property
    def growth(self) -> float:
        """What a part costs at the limit beside what it costs at a quarter."""
        sizes = sorted(self.by_size)
        return (self.by_size[sizes[-1]] / sizes[-1]) / (self.by_size[sizes[0]] / sizes[0])


async def _appended(store: EventStore, tags: int) -> None:
    await store.append([NewEvent("wide", b"{}", _tags(tags, "wide"))])


async def _read_by_tags(store: EventStore, tags: int) -> None:
    await _read(store, criteria(tags=_tags(tags, f"of-{tags}")))


async def _read_by_items(store: EventStore, items: int) -> None:
    await _read(store, _items(items))


async def _conditional(store: EventStore, items: int) -> None:
    await store.append([NewEvent("wide", b"{}")], condition=AppendCondition(_items(items), 0))


REQUESTS: Sequence[tuple[str, int, Request]] = (
    ("append an event of so many tags", EVENT_TAGS_LIMIT, _appended),
    ("read by an item of so many tags", ITEM_TAGS_LIMIT, _read_by_tags),
    ("make criteria of so many items, and read by them", CRITERIA_ITEMS_LIMIT, _read_by_items),
    ("make criteria of so many items, and append on their condition", CRITERIA_ITEMS_LIMIT, _conditional),
)


async def measure(directory: Path, progress: Progress) -> list[RequestCost]:
    """Every request on each backend at each size, in turn; the median of each."""
    async with _opened(directory) as stores:
        for backend, store in stores.items():
            progress(f"fill a log on {backend}")
            await _fill(store)
        return [
            await _cost(title, backend, store, request, [limit // part for part in PARTS], progress)
            for title, limit, request in REQUESTS
            for backend, store in stores.items()
        ]


@asynccontextmanager
async def _opened(directory: Path) -> AsyncIterator[dict[str, EventStore]]:
    with opened_server() as server:
        async with AsyncExitStack() as opened:
            urls = {"SQLite": f"sqlite:///{directory / 'limits.db'}", "PostgreSQL": log_url(server, "limits")}
            yield {name: await opened.enter_async_context(open_store(url)) for name, url in urls.items()}


async def _fill(store: EventStore) -> None:
    for part in PARTS:
        tags = _tags(ITEM_TAGS_LIMIT // part, f"of-{ITEM_TAGS_LIMIT // part}")
        await store.append([NewEvent("narrow", b"{}", tags)] * MATCHING)
        await store.append([NewEvent("narrow", b"{}", tags[1:])] * OTHERS)


async def _cost(
    title: str, backend: str, store: EventStore, request: Request, sizes: Sequence[int], progress: Progress
) -> RequestCost:
    progress(f"{title}, on {backend}")
    spent: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(REPEATS):
        for size in sizes:
            start = perf_counter()
            await request(store, size)
            spent[size].append((perf_counter() - start) * 1e3)
    return RequestCost(title, backend, {size: median(each) for size, each in spent.items()})


async def _read(store: EventStore, wanted: Criteria) -> None:
    async for _ in store.read(wanted):
        pass
    await asyncio.sleep(0)


def _tags(number: int, name: str) -> tuple[str, ...]:
    return tuple(f"{name}:{each}" for each in range(number))


def _items(number: int) -> Criteria:
    """Items of a type and two tags each."""
    return Criteria(*(CriteriaItem(["unknown"], [f"cart:{each}", f"product:{each % 100}"]) for each in range(number)))
