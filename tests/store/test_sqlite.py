"""The SQLite store keeps the contract."""

from functools import partial
from pathlib import Path

import pytest

from leftfold.store import open_store as open_url
from leftfold.testing.conformance import OpenStore, StoreConformance


@pytest.fixture
def open_store(tmp_path: Path) -> OpenStore:
    return partial(open_url, f"sqlite:///{tmp_path}/log.db")


class TestSQLite(StoreConformance):
    """Every promise, on the SQLite store."""
