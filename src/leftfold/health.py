"""Health: whether what a live app does in the background goes on, and what a person should look at."""

from typing import Any, Literal

import msgspec

from leftfold.errors import LeftfoldError
from leftfold.live import LiveApp
from leftfold.query import ModelStatus


class WorkerStatus(msgspec.Struct, frozen=True):
    """A worker in the background: what it is, where, and what it ran into, if it waits because of that."""

    name: str
    state: str
    running: bool
    trouble: str | None


class Status(msgspec.Struct, frozen=True):
    """A live app at one moment. `head` is the position of the newest event."""

    head: int
    read_models: tuple[ModelStatus, ...]
    workers: tuple[WorkerStatus, ...]


async def status_of(live: LiveApp) -> Status:
    """Where the workers and read models of a live app stand."""
    return Status(await live.store.head(), tuple(await live.read_models()), workers_of(live))


def workers_of(live: LiveApp) -> tuple[WorkerStatus, ...]:
    """Where its workers stand; also when it is closed."""
    return tuple(_worker(each) for each in live._workers)  # pyright: ignore[reportPrivateUsage]


def _worker(background: Any) -> WorkerStatus:
    state = repr(background).removeprefix("<Background <").rstrip(">")
    running = background._task is not None
    trouble = None if background.trouble is None else in_words(background.trouble)
    return WorkerStatus(state.split(" at ")[0], state, running, trouble)


class Health(msgspec.Struct, frozen=True):
    """`problems` keep work from being done and make the app unhealthy; `warnings` wait for a person."""

    status: Literal["ok", "failing"]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def health_of(status: Status) -> Health:
    """Judge a status.

    A worker in trouble and a read model that stopped, or waits for its database, are problems. Parked keys are
    warnings: all others are current, and to start the worker again would not unpark them. Lag is neither.
    """
    problems = [f"{each.name}: {each.trouble}" for each in status.workers if each.running and each.trouble]
    problems += [f"{each.name}: {in_words(each.problem)}" for each in status.read_models if each.problem]
    warnings = [f"{each.name}: {each.parked} keys parked" for each in status.read_models if each.parked]
    return Health("failing" if problems else "ok", tuple(problems), tuple(warnings))


def failing(error: LeftfoldError) -> Health:
    """The health of an app whose status cannot even be asked."""
    return Health("failing", (in_words(error),))


def in_words(error: BaseException) -> str:
    """An error on one line: its class, and what it found."""
    return f"{type(error).__name__}: {error.found if isinstance(error, LeftfoldError) else error}"
