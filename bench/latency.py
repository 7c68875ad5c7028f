"""Latencies: how long a single call takes, one after the other, the contestants taking turns."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import NamedTuple

from bench.figure import LEFTFOLD
from bench.rounds import Effort

LEAST = 5  # calls a round, however long they take


class Operation(NamedTuple):
    """`once` does it; what it returns is not looked at. With `prepare`, that is done before and not counted."""

    title: str
    contestant: str
    once: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    target: float | None = None  # milliseconds at p50


class Latency(NamedTuple):
    """What one contestant's calls took, in milliseconds."""

    title: str
    contestant: str
    p50: float
    p99: float
    calls: int
    target: float | None


Opened = Callable[[Path], AbstractContextManager[Sequence[Operation]]]


def measure(operations: Sequence[Operation], effort: Effort, progress: Callable[[str], None]) -> Iterator[Latency]:
    """Rounds of calls of each operation; the first round is not counted."""
    taken: list[list[float]] = [[] for _ in operations]
    for number in range(effort.rounds + 1):
        progress(f"latency {number}/{effort.rounds}")
        order = list(range(len(operations)))
        for which in order[number % len(order) :] + order[: number % len(order)]:
            gc.collect()
            found = list(_calls(operations[which], effort.seconds / 2))
            taken[which] += found if number else ()
    for operation, milliseconds in zip(operations, taken, strict=True):
        p99 = quantiles(milliseconds, n=100, method="inclusive")[98]
        yield Latency(
            operation.title, operation.contestant, median(milliseconds), p99, len(milliseconds), operation.target
        )


def _calls(operation: Operation, seconds: float) -> Iterator[float]:
    end, done = perf_counter() + seconds, 0
    while done < LEAST or perf_counter() < end:
        operation.prepare()
        start = perf_counter()
        operation.once()
        yield 1_000 * (perf_counter() - start)
        done += 1


def beside(latencies: Sequence[Latency], title: str) -> Latency | None:
    """The other contestant's latency of the same title."""
    return next((each for each in latencies if each.title == title and each.contestant != LEFTFOLD), None)
