"""Paired rounds: the contestants take turns, in an order that rotates, and each round gives its own ratios."""

import gc
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.figure import LEFTFOLD, Figure, Row, Slices, Summary
from bench.numbers import number
from bench.work import Work

Rounds = Mapping[str, Sequence[Work]]
"""The work of each contestant, round by round."""


class Effort(NamedTuple):
    """How many rounds, and how many seconds each contestant has in a round."""

    rounds: int
    seconds: float


def measure(figure: Figure, effort: Effort, directory: Path, progress: Callable[[str], None]) -> Iterator[Row]:
    """Measure one figure, in a directory of its own that is removed again."""
    with tempfile.TemporaryDirectory(dir=directory) as fresh, figure.opened(Path(fresh)) as slices:
        rounds = _rounds(slices, effort, lambda done: progress(f"{figure.name} {done}/{effort.rounds}"))
    yield from rows_of(figure, rounds)


def _rounds(slices: Slices, effort: Effort, progress: Callable[[int], None]) -> Rounds:
    rounds: dict[str, list[Work]] = {name: [] for name in slices}
    names = list(slices)
    for work in slices.values():  # not counted: files get their length, caches fill
        work(effort.seconds)
    for done in range(effort.rounds):
        progress(done)
        for name in names[done % len(names) :] + names[: done % len(names)]:
            gc.collect()
            rounds[name].append(slices[name](effort.seconds))
    return rounds


def summary(rounds: Sequence[Work]) -> Summary:
    return Summary(median(work.rate for work in rounds), median(work.cpu_each for work in rounds))


def rows_of(figure: Figure, rounds: Rounds) -> Iterator[Row]:
    """A row for each target that stands alone, and one for each contestant beside leftfold."""
    ours = summary(rounds[LEFTFOLD])
    if target := figure.target(None):
        wanted = f"≥ {number(target.least)} {figure.unit}"
        yield Row(figure, ours, wanted=wanted, met=ours.rate >= target.least)
    if figure.most_cpu is not None:
        wanted = f"≤ {figure.most_cpu:g} µs of CPU"
        yield Row(figure, ours, wanted=wanted, met=ours.cpu <= figure.most_cpu)
    others = {name: works for name, works in rounds.items() if name != LEFTFOLD}
    for name, works in others.items():
        ratios = tuple(our.rate / their.rate for our, their in zip(rounds[LEFTFOLD], works, strict=True))
        row = Row(figure, ours, name, summary(works), ratios)
        target = figure.target(name)
        if target:
            row = row._replace(wanted=f"≥ {target.least:g} ×", met=median(ratios) >= target.least)
        yield row
    if not others and not figure.targets and figure.most_cpu is None:
        yield Row(figure, ours)
