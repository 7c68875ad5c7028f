"""All kinds of faults, and when which of them comes in a run."""

from collections.abc import Sequence
from itertools import cycle
from random import Random

import msgspec

from leftfold_torture.neighbours import ForgedNotifications, GarbageLeases, HostileRequests
from leftfold_torture.nemesis import (
    CutConnections,
    DeletedSideFiles,
    FailingDisk,
    FullDisk,
    KillClients,
    KillServer,
    LeapClock,
    Nemesis,
    PauseClients,
    PauseServer,
    ReplacedFile,
    SlowDisk,
    StepClock,
)

NEMESES: tuple[type[Nemesis], ...] = (
    KillClients,
    PauseClients,
    StepClock,
    LeapClock,
    ReplacedFile,
    DeletedSideFiles,
    FullDisk,
    FailingDisk,
    SlowDisk,
    KillServer,
    PauseServer,
    CutConnections,
    HostileRequests,
    ForgedNotifications,
    GarbageLeases,
)


class Fault(msgspec.Struct, frozen=True):
    """That a fault begins so many seconds after the start, and how long it lasts."""

    at: float
    nemesis: str
    seconds: float


def schedule(seed: int, nemeses: Sequence[type[Nemesis]], seconds: float) -> list[Fault]:
    """The faults of a run: each kind in turn, in an order and at times that follow from the seed."""
    random = Random(f"{seed}/faults")
    order = cycle(random.sample(nemeses, len(nemeses))) if nemeses else iter(())
    faults: list[Fault] = []
    at = random.uniform(0.3, 1.0)
    for nemesis in order:
        lasts = random.uniform(0.1, nemesis.longest)
        if at + lasts > seconds:
            break
        faults.append(Fault(round(at, 3), nemesis.name, round(lasts, 3)))
        at += lasts + random.uniform(0.2, 1.5)
    return faults
