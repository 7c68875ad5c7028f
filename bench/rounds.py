"""Paired rounds: the contestants take turns, in an order that rotates, and each round gives its own ratios."""

import gc
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.figure import LEFTFOLD, Figure, Row, Slices

Rates = dict[str, list[float]]


class Effort(NamedTuple):
    """How many rounds, and how many seconds each contestant has in a round."""

    rounds: int
    seconds: float


def measure(figure: Figure, effort: Effort, directory: Path, progress: Callable[[str], None]) -> Iterator[Row]:
    """Measure one figure, in a directory of its own that is removed again."""
    with tempfile.TemporaryDirectory(dir=directory) as fresh, figure.opened(Path(fresh)) as slices:
        rates = _rates(slices, effort, lambda done: progress(f"{figure.name} {done}/{effort.rounds}"))
    yield from rows_of(figure, rates)


def _rates(slices: Slices, effort: Effort, progress: Callable[[int], None]) -> Rates:
    rates: Rates = {name: [] for name in slices}
    names = list(slices)
    for work in slices.values():  # not counted: files get their length, caches fill
        work(effort.seconds)
    for number in range(effort.rounds):
        progress(number)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            gc.collect()
            rates[name].append(slices[name](effort.seconds))
    return rates


def rows_of(figure: Figure, rates: Rates) -> Iterator[Row]:
    """A row for each contestant beside leftfold, and one for a target that stands alone."""
    ours = rates[LEFTFOLD]
    if figure.target(None) is not None:
        yield Row(figure, median(ours), None, 0.0, [])
    for name, theirs in rates.items():
        if name != LEFTFOLD:
            ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
            yield Row(figure, median(ours), name, median(theirs), ratios)
