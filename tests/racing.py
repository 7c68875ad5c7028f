"""Races on every backend: sixteen callers, on four live apps that share one log as four processes would.

A module that imports `log` has it as a fixture, once for each backend.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from leftfold import App, EventStore, LiveApp, Receipt, Rejected
from leftfold.store import MemoryStore
from tests.postgres import fresh_log

CALLERS = 16
Log = str | EventStore


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    if request.param == "memory":
        return MemoryStore()
    return (
        f"sqlite:///{tmp_path}/log.db" if request.param == "sqlite" else fresh_log(request.getfixturevalue("postgres"))
    )


@asynccontextmanager
async def four(app: App, log: Log) -> AsyncIterator[list[LiveApp]]:
    """Open an app four times on one log."""
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(app.open(log, work=False)) for _ in range(4)]


async def race(apps: Sequence[LiveApp], commands: Sequence[Any]) -> tuple[list[Receipt], set[str]]:
    """Send commands at once through all apps; return the receipts of those that were carried out, and the refusals."""
    outcomes = await asyncio.gather(
        *(apps[number % len(apps)].execute(command) for number, command in enumerate(commands)), return_exceptions=True
    )
    unforeseen = [outcome for outcome in outcomes if not isinstance(outcome, Receipt | Rejected)]
    assert unforeseen == []
    receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    return receipts, {outcome.reason for outcome in outcomes if isinstance(outcome, Rejected)}
