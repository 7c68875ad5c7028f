"""as_of: a state as it was at a position or a time."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from leftfold import LiveApp
from leftfold.errors import NaiveDatetime, PositionAhead
from leftfold.testing import FakeClock
from tests.accounts import Account, Deposit, Withdraw, accounts_app

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(params=["memory:", "sqlite:///{}/log.db"])
async def live(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """A log of four events, one a day: 1, 2, 4 into the account, and after the second one 8 into another."""
    clock = FakeClock(START)
    async with accounts_app().open(request.param.format(tmp_path), clock=clock) as live:
        for account, amount in (("a", 1), ("a", 2), ("b", 8), ("a", 4)):
            await live.execute(Deposit(account, amount))
            clock.advance(DAY)
        yield live


@pytest.mark.parametrize(("position", "balance"), [(0, 0), (1, 1), (2, 3), (3, 3), (4, 7)])
async def test_as_of_a_position_is_the_state_after_exactly_so_many_events(
    live: LiveApp, position: int, balance: int
) -> None:
    assert (await live.state(Account, "a", as_of=position)).balance == balance


@pytest.mark.parametrize(
    ("moment", "balance"),
    [
        (START - DAY, 0),
        (START - timedelta(microseconds=1), 0),
        (START, 1),
        (START + DAY - timedelta(microseconds=1), 1),
        (START + DAY, 3),
        (START + 3 * DAY, 7),
        (START + 4 * DAY, 7),
    ],
)
async def test_as_of_a_time_includes_what_was_committed_at_or_before_it(
    live: LiveApp, moment: datetime, balance: int
) -> None:
    assert (await live.state(Account, "a", as_of=moment)).balance == balance


async def test_as_of_a_time_in_another_zone_is_the_same_moment(live: LiveApp) -> None:
    there = (START + DAY).astimezone(timezone(timedelta(hours=-5)))

    assert (await live.state(Account, "a", as_of=there)).balance == 3


async def test_as_of_a_time_at_which_several_events_were_committed_includes_all_of_them() -> None:
    clock = FakeClock(START)
    async with accounts_app().open("memory:", clock=clock) as live:
        for _ in range(5):
            await live.execute(Deposit("a", 1))

        assert (await live.state(Account, "a", as_of=START)).balance == 5


async def test_as_of_on_an_empty_log_is_the_start() -> None:
    async with accounts_app().open("memory:") as live:
        assert await live.state(Account, "a", as_of=0) == Account("a")
        assert await live.state(Account, "a", as_of=START) == Account("a")


@pytest.mark.parametrize("ask", ["state", "explain"])
async def test_as_of_a_naive_time_is_refused(live: LiveApp, ask: str) -> None:
    with pytest.raises(NaiveDatetime):
        await getattr(live, ask)(Account, "a", as_of=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("as_of", [5, -1, START + 5 * DAY])
@pytest.mark.parametrize("ask", ["state", "explain"])
async def test_as_of_what_has_not_happened_is_refused(live: LiveApp, ask: str, as_of: Any) -> None:
    with pytest.raises(PositionAhead) as refused:
        await getattr(live, ask)(Account, "a", as_of=as_of)

    assert (refused.value.asked, refused.value.head) == (as_of, 4)


async def test_the_past_does_not_change_when_more_happens(live: LiveApp) -> None:
    before = [await live.state(Account, "a", as_of=position) for position in range(5)]

    await live.execute(Withdraw("a", 5))

    assert [await live.state(Account, "a", as_of=position) for position in range(5)] == before
