"""Two live apps on one log: `other` does what another process would."""

from collections.abc import AsyncIterator

import pytest

from leftfold import EventStore, LiveApp
from leftfold.store import MemoryStore
from tests.accounts import Calls, accounts_app


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
