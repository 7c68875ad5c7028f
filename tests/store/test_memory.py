"""The memory store keeps the contract."""

import pytest

from leftfold.model.clock import Clock, SystemClock
from leftfold.store import MemoryStore
from leftfold.store.contract import EventStore
from leftfold.testing.conformance import OpenStore, StoreConformance


@pytest.fixture
def open_store() -> OpenStore:
    opened: list[MemoryStore] = []

    def open_again(*, clock: Clock = SystemClock()) -> EventStore:
        if not opened:
            opened.append(MemoryStore(clock))
        return opened[0]

    return open_again


class TestMemory(StoreConformance):
    """Every promise, on the memory store."""
