"""Callers: many tasks of one event loop, or many threads, that do the same for a while."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from random import Random
from typing import TypeVar

from bench.work import Stopwatch, Work

P = TypeVar("P")


def shuffled_for_ever(names: Sequence[str]) -> Iterator[str]:
    """The names in random order, over and over: one comes again only when all others have."""
    return cycle(Random(1).sample(names, len(names)))


async def tasks(callers: int, seconds: float, calls: Iterator[Awaitable[object]]) -> Work:
    """The calls that so many tasks finish in so many seconds; it ends early when there are no more."""
    done = 0
    watch = Stopwatch()

    async def caller() -> None:
        nonlocal done
        for call in calls:
            await call
            done += 1
            if watch.seconds > seconds:
                break

    await asyncio.gather(*(caller() for _ in range(callers)))
    return watch.work(done)


def threads(callers: int, seconds: float, once: Callable[[], object]) -> Work:
    """How often so many threads finish `once` in so many seconds."""
    watch = Stopwatch()

    def caller() -> int:
        done = 0
        while watch.seconds < seconds:
            once()
            done += 1
        return done

    if callers == 1:
        return watch.work(caller())
    with ThreadPoolExecutor(callers) as pool:
        done = sum(future.result() for future in [pool.submit(caller) for _ in range(callers)])
    return watch.work(done)


def timed(seconds: float, prepare: Callable[[], P], work: Callable[[P], object]) -> Work:
    """How often `work` is done in so many seconds of its own: what prepares it is not counted."""
    done, spent, cpu = 0, 0.0, 0.0
    while spent < seconds:
        prepared = prepare()
        watch = Stopwatch()
        work(prepared)
        once = watch.work(1)
        done, spent, cpu = done + 1, spent + once.seconds, cpu + once.cpu
    return Work(done, spent, cpu)
