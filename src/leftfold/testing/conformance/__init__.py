"""The store conformance suite: every promise of the event store's contract, as tests for any backend.

A backend's test file is one fixture and one subclass:

    from functools import partial

    import pytest

    from leftfold.store import open_store as open_url
    from leftfold.testing.conformance import OpenStore, StoreConformance

    @pytest.fixture
    def open_store(tmp_path) -> OpenStore:
        return partial(open_url, f"sqlite:///{tmp_path}/log.db")

    class TestSQLite(StoreConformance):
        pass

`open_store` opens the same log each time it is called within one test, and each test has an empty log of its own.
A store that lives in memory returns the same instance each time: the tests that need several openings at once are
then skipped. Needs pytest and pytest-asyncio (`leftfold[testing]`).
"""

from leftfold.errors import MissingExtra

try:
    import pytest
    import pytest_asyncio as _pytest_asyncio  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ModuleNotFoundError as error:
    raise MissingExtra(error.name or "pytest", "testing") from error

pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("records", "bounds", "writing", "conditions", "reading", "following")),
    f"{__name__}.racing",
    f"{__name__}.reopening",
)

from leftfold.testing.conformance.bounds import Bounds
from leftfold.testing.conformance.conditions import Condition, Idempotency
from leftfold.testing.conformance.following import Subscription, Waiting
from leftfold.testing.conformance.racing import Cancellation, GroupCommit, Races
from leftfold.testing.conformance.reading import Reading
from leftfold.testing.conformance.records import OpenStore, Promise
from leftfold.testing.conformance.reopening import Durability
from leftfold.testing.conformance.writing import Atomic, Positions, Time

__all__ = [
    "Atomic",
    "Bounds",
    "Cancellation",
    "Condition",
    "Durability",
    "GroupCommit",
    "Idempotency",
    "OpenStore",
    "Positions",
    "Promise",
    "Races",
    "Reading",
    "StoreConformance",
    "Subscription",
    "Time",
    "Waiting",
]


class StoreConformance(
    Atomic,
    Positions,
    Time,
    Bounds,
    Condition,
    Idempotency,
    Reading,
    Waiting,
    Subscription,
    GroupCommit,
    Cancellation,
    Races,
    Durability,
):
    """All promises of the event store's contract."""
