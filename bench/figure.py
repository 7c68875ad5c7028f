"""A figure: what is measured, by whom, and what it should come to."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.work import Work

LEFTFOLD = "leftfold"
PEER = "eventsourcing"

Slice = Callable[[float], Work]
"""Work for about so many seconds, and what was done."""

Slices = Mapping[str, Slice]
"""The contestants by name, `LEFTFOLD` among them."""

Opened = Callable[[Path], AbstractContextManager[Slices]]
"""Makes what is needed in a fresh directory, and the contestants of one paired run."""

OpenedAlone = Callable[[Path], AbstractContextManager[Slice]]
"""The same for leftfold alone."""


class Target(NamedTuple):
    """Leftfold is to do at least `least` times what `beside` does; beside nobody, `least` units a second."""

    least: float
    beside: str | None = None


@dataclass(frozen=True)
class Figure:
    """What is measured. `ours` is leftfold's part without the others; figures that have it can be gated.

    `most_cpu` is a target in microseconds of CPU time for a unit, `most_instructions` in instructions.
    """

    name: str
    title: str
    unit: str
    opened: Opened
    targets: tuple[Target, ...] = ()
    note: str = ""
    ours: OpenedAlone | None = None
    most_cpu: float | None = None
    most_instructions: float | None = None

    def target(self, beside: str | None) -> Target | None:
        return next((target for target in self.targets if target.beside == beside), None)

    @property
    def one(self) -> str:
        """A unit in the singular."""
        return self.unit.partition("s/")[0]


def compared(ours: OpenedAlone, others: Opened) -> Opened:
    """Leftfold and those beside it, in one directory."""

    @contextmanager
    def opened(directory: Path) -> Generator[Slices]:
        with ours(directory) as our_slice, others(directory) as their_slices:
            yield {LEFTFOLD: our_slice, **their_slices}

    return opened


class Summary(NamedTuple):
    """The medians of a contestant's rounds: units a second, microseconds of CPU time for a unit."""

    rate: float
    cpu: float


class Row(NamedTuple):
    """One line of a figure, with a ratio for each round, the target in words, and whether it is met."""

    figure: Figure
    ours: Summary
    beside: str | None = None
    theirs: Summary | None = None
    ratios: tuple[float, ...] = ()
    wanted: str = ""
    met: bool = False
