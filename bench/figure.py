"""A figure: what is measured, by whom, and what it should come to."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

LEFTFOLD = "leftfold"
PEER = "eventsourcing"

Slice = Callable[[float], float]
"""Work for about so many seconds; how many units were done in each second."""

Slices = Mapping[str, Slice]
"""The contestants by name, `LEFTFOLD` among them."""


class Target(NamedTuple):
    """Leftfold is to do at least `least` times what `beside` does; beside nobody, `least` units a second."""

    least: float
    beside: str | None = None


@dataclass(frozen=True)
class Figure:
    """`opened` makes what is needed in a fresh directory, and the contestants of one paired run."""

    name: str
    title: str
    unit: str
    opened: Callable[[Path], AbstractContextManager[Slices]]
    targets: tuple[Target, ...] = ()
    note: str = ""

    def target(self, beside: str | None) -> Target | None:
        return next((target for target in self.targets if target.beside == beside), None)


class Row(NamedTuple):
    """One comparison of a figure; `ratios` has one for each round."""

    figure: Figure
    rate: float
    beside: str | None
    their_rate: float
    ratios: list[float]
