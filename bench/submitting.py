"""Submitted commands: how many one worker handles in a second, those that wait in the log and those that come."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench.callers import tasks
from bench.figure import LEFTFOLD, Figure, Slices, Target
from bench.work import Stopwatch, Work
from leftfold import LiveApp
from tests.accounts import Deposit, accounts_app

COMMANDS, CALLERS, ENTITIES = 5_000, 500, 1_000
EVENTS = 3  # of each command: submitted, what it decides, handled


@contextmanager
def waiting(directory: Path) -> Generator[Slices]:
    """A worker that finds all of them in the log."""
    numbers = count()
    yield {LEFTFOLD: lambda _: asyncio.run(_handle_waiting(f"sqlite:///{directory}/{next(numbers)}.db"))}


@contextmanager
def coming(directory: Path) -> Generator[Slices]:
    """Submitted and handled in one process at the same time."""
    numbers = count()
    yield {LEFTFOLD: lambda _: asyncio.run(_submit_and_handle(f"sqlite:///{directory}/{next(numbers)}.db"))}


async def _handle_waiting(url: str) -> Work:
    async with accounts_app().open(url, work=False) as live:
        await _submit(live)
    async with accounts_app().open(url) as live:
        return await _until_handled(live, Stopwatch())


async def _submit_and_handle(url: str) -> Work:
    async with accounts_app().open(url) as live:
        watch = Stopwatch()
        await _submit(live)
        return await _until_handled(live, watch)


async def _submit(live: LiveApp) -> None:
    await tasks(CALLERS, 600, (live.submit(Deposit(f"a{number % ENTITIES}", 1)) for number in range(COMMANDS)))


async def _until_handled(live: LiveApp, watch: Stopwatch) -> Work:
    head = 0
    while head < EVENTS * COMMANDS:
        head = await live.store.wait(head)
    return watch.work(COMMANDS)


FIGURES = (
    Figure(
        "handle-submitted",
        f"handle {COMMANDS:,} submitted commands, 1 worker",
        "commands/s",
        waiting,
        (Target(3_000),),
        note="All of them were submitted before the worker is opened.",
    ),
    Figure(
        "submit-and-handle",
        f"submit {COMMANDS:,} commands and handle them, 1 worker, 1 process",
        "commands/s",
        coming,
        (Target(3_000),),
    ),
)
