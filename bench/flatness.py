"""How costs grow with the log: the same operations on logs of several sizes, taking turns, repeat by repeat."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import NamedTuple

from bench import shaped_log
from bench.shaped_log import ENTITIES, FREQUENT, RARE, RARE_TAG, SCARCE
from leftfold import AppendCondition, Criteria, EventStore, criteria, open_store

SIZES = (10_000, 100_000, 1_000_000)
QUICK_SIZES = (10_000, 100_000)
BEHIND = 1_000  # how far a condition's position lies behind the head
TOGETHER = 20  # conditional appends that share a commit
WARM_UP = 5  # repeats that find nothing in any cache
LIMIT = 1.5

Progress = Callable[[str], None]


class Log(NamedTuple):
    """A log that was filled to `size` events.

    `newcomer` has it open too, without syncs: it has written nothing, so that no condition is answered by what it
    remembers of its own commits, and what a check costs is not hidden by what the disk does.
    """

    size: int
    store: EventStore
    newcomer: EventStore
    random: Random


@dataclass(frozen=True)
class Operation:
    """`run` does it once, and says on how many events."""

    title: str
    run: Callable[[Log], Awaitable[int]]
    repeats: int


class Cost(NamedTuple):
    """Microseconds for each event, by the size of the log."""

    title: str
    by_size: dict[int, float]

    @property
    def ratio(self) -> float:
        return max(self.by_size.values()) / min(self.by_size.values())


async def _read(log: Log, wanted: Criteria, *, after: int = 0, limit: int | None = None) -> int:
    found = 0
    async for batch in log.store.read(wanted, after=after, limit=limit):
        found += len(batch.events)
    assert found, wanted
    return found


async def _entity(log: Log) -> int:
    tag = shaped_log.entity(log.random.randrange(ENTITIES))
    return await _read(log, criteria("common-1", "common-2", tags=[tag]))


async def _append(log: Log, events: int) -> int:
    await log.store.append(shaped_log.some(log.random, events))
    return events


async def _check(log: Log, wanted: Criteria) -> int:
    condition = AppendCondition(wanted, log.size - BEHIND)
    appends = (log.newcomer.append(shaped_log.some(log.random, 1), condition=condition) for _ in range(TOGETHER))
    await asyncio.gather(*appends)
    return TOGETHER


def _reading(title: str, wanted: Criteria, **options: int) -> Operation:
    return Operation(title, lambda log: _read(log, wanted, **options), 60)


def _checking(title: str, wanted: Criteria) -> Operation:
    return Operation(f"conditional append: {title}", lambda log: _check(log, wanted), 25)


OPERATIONS = (
    Operation("load an entity of 20 events by its tag", _entity, 200),
    Operation(
        "read 500 events of a common type from the middle on",
        lambda log: _read(log, criteria("common-3"), after=log.size // 2, limit=500),
        30,
    ),
    _reading("read all 20 events of a scarce type", criteria(SCARCE)),
    _reading("read the 20 events of a scarce type in a frequent tag", criteria(SCARCE, tags=[FREQUENT])),
    _reading("read the first event of a rare type", criteria(RARE), limit=1),
    _reading("read the one event of a rare tag", criteria(tags=[RARE_TAG])),
    Operation("append 1 event, durably", lambda log: _append(log, 1), 200),
    Operation("append 100 events, durably", lambda log: _append(log, 100), 25),
    _checking("a tag and its types", criteria("common-1", "common-2", tags=[shaped_log.entity(0)])),
    _checking("a rare type", criteria(RARE)),
    _checking("a rare tag", criteria(tags=[RARE_TAG])),
    _checking("a rare type in a frequent tag", criteria(RARE, tags=[FREQUENT])),
)


async def measure(sizes: Sequence[int], directory: Path, progress: Progress) -> list[Cost]:
    """Fill the logs, then measure every operation on all of them in turn."""
    async with AsyncExitStack() as opened:
        logs = [await _filled(opened, directory, size, progress) for size in sizes]
        return [await _cost(operation, logs, progress) for operation in OPERATIONS]


async def _filled(opened: AsyncExitStack, directory: Path, size: int, progress: Progress) -> Log:
    progress(f"fill a log with {size:,} events")
    path = directory / f"log-{size}.db"
    await shaped_log.made(path, size)
    url = f"sqlite:///{path}"
    store = await opened.enter_async_context(open_store(url))
    newcomer = await opened.enter_async_context(open_store(f"{url}?may_lose=recent-commits"))
    return Log(size, store, newcomer, Random(size))


async def _cost(operation: Operation, logs: Sequence[Log], progress: Progress) -> Cost:
    progress(operation.title)
    spent: dict[int, list[float]] = {log.size: [] for log in logs}
    order = Random(operation.title)
    for number in range(WARM_UP + operation.repeats):
        for log in order.sample(logs, len(logs)):
            start = perf_counter()
            events = await operation.run(log)
            if number >= WARM_UP:
                spent[log.size].append((perf_counter() - start) * 1e6 / events)
    return Cost(operation.title, {size: median(costs) for size, costs in spent.items()})
