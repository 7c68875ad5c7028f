"""Callers: many tasks of one event loop, or many threads, that do the same for a while."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from random import Random
from time import perf_counter
from typing import TypeVar

P = TypeVar("P")


def shuffled_for_ever(names: Sequence[str]) -> Iterator[str]:
    """The names in random order, over and over: one comes again only when all others have."""
    return cycle(Random(1).sample(names, len(names)))


async def tasks(callers: int, seconds: float, calls: Iterator[Awaitable[object]]) -> float:
    """How many calls so many tasks finish in a second; it ends early when there are no more."""
    done = 0
    start = perf_counter()

    async def caller() -> None:
        nonlocal done
        for call in calls:
            await call
            done += 1
            if perf_counter() - start > seconds:
                break

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (perf_counter() - start)


def threads(callers: int, seconds: float, once: Callable[[], object]) -> float:
    """How often in a second so many threads finish `once`."""
    start = perf_counter()

    def caller() -> int:
        done = 0
        while perf_counter() - start < seconds:
            once()
            done += 1
        return done

    if callers == 1:
        return caller() / (perf_counter() - start)
    with ThreadPoolExecutor(callers) as pool:
        done = sum(future.result() for future in [pool.submit(caller) for _ in range(callers)])
    return done / (perf_counter() - start)


def timed(seconds: float, prepare: Callable[[], P], work: Callable[[P], object]) -> float:
    """How often `work` is done in a second of its own: what prepares it is not counted."""
    done, spent = 0, 0.0
    while spent < seconds:
        prepared = prepare()
        start = perf_counter()
        work(prepared)
        spent += perf_counter() - start
        done += 1
    return done / spent
