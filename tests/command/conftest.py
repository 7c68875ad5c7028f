"""Two live apps on one log: `other` does what another process would."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from leftfold import EventStore, LiveApp, open_store
from leftfold.store import MemoryStore
from tests.accounts import Calls, accounts_app
from tests.postgres import fresh_log


@pytest.fixture
def calls() -> Calls:
    """What the handlers of `live` are called with."""
    return Calls()


@pytest.fixture
def store() -> EventStore:
    return MemoryStore()


@pytest.fixture
async def live(store: EventStore, calls: Calls) -> AsyncIterator[LiveApp]:
    async with accounts_app(calls).open(store) as live:
        yield live


@pytest.fixture
async def other(store: EventStore) -> AsyncIterator[LiveApp]:
    async with accounts_app().open(store) as live:
        yield live


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    """A log on each backend, for several apps in one process."""
    if request.param == "memory":
        yield MemoryStore()
        return
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    async with open_store(fresh_log(server) if server else f"sqlite:///{tmp_path}/shared.db") as store:
        yield store
