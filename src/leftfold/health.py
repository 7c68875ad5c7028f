"""Health: whether what a live app does in the background goes on, and what a person should look at."""

from typing import Literal

import msgspec

from leftfold.errors import LeftfoldError, ProjectionParked
from leftfold.live import LiveApp
from leftfold.query import ModelStatus
from leftfold.status import NeedsAttention, WorkerStatus


class Work(msgspec.Struct, frozen=True):
    """What a live app does in the background, at one moment. `head` is the position of the newest event.

    `snapshots` is what the snapshots of its decision models ran into, if anything.
    """

    head: int
    read_models: tuple[ModelStatus, ...]
    workers: tuple[WorkerStatus, ...]
    attention: NeedsAttention = NeedsAttention()
    snapshots: str | None = None


async def work_of(live: LiveApp) -> Work:
    """Where the workers and read models of a live app stand; cheaper than its whole status."""
    head, models = await live.store.head(), tuple(await live.read_models())
    return Work(head, models, live.workers(), await live.attention(), live.snapshot_trouble)


class Health(msgspec.Struct, frozen=True):
    """`problems` keep work from being done: the app is failing. `warnings` wait for a person: it is degraded."""

    status: Literal["ok", "degraded", "failing"]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def health_of(work: Work) -> Health:
    """Judge the work.

    A worker in trouble and a read model that stopped, or waits for its database, are problems. What is parked or has
    failed for good is a warning: everything else goes on, and a restart would not unpark it. Snapshots that cannot be
    kept are one too: they cost time alone. Lag is neither.
    """
    problems = [f"{each.name}: {each.trouble}" for each in work.workers if each.running and each.trouble]
    stopped = [each for each in work.read_models if each.problem and not isinstance(each.problem, ProjectionParked)]
    problems += [f"{each.name}: {class_and_problem(each.problem)}" for each in stopped if each.problem]
    warnings = [f"{each.name}: {each.parked} keys parked" for each in work.read_models if each.parked]
    warnings += work.attention.lines
    warnings += [f"snapshots: {work.snapshots}"] if work.snapshots else []
    status: Literal["ok", "degraded", "failing"] = "failing" if problems else "degraded" if warnings else "ok"
    return Health(status, tuple(problems), tuple(warnings))


def failing(error: LeftfoldError) -> Health:
    """Return the health of an app whose status cannot be read."""
    return Health("failing", (class_and_problem(error),))


def class_and_problem(error: BaseException) -> str:
    """Return an error on one line: its class, and what it found."""
    return f"{type(error).__name__}: {error.found if isinstance(error, LeftfoldError) else error}"
