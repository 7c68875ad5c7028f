"""An append is dated no further ahead than is plausible: a clock that jumps is refused, on every backend alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from leftfold import open_store
from leftfold.errors import ClockJumped, InvalidUrl, StoreUnavailable
from leftfold.store import EventStore, MemoryStore, NewEvent
from leftfold.store.postgres.store import PostgresStore
from leftfold.testing.clock import FakeClock
from leftfold_torture.postgres_server import PostgresServer
from tests.clocks import SettableClock, StrayingClock
from tests.postgres import DATABASE

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)
WRONG = datetime(2098, 1, 1, tzinfo=UTC)
LATER = "2098-01-01T00:00:00Z"
Open = Callable[..., EventStore]
numbers = count(1)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(DATABASE, log=f"clocks_{next(numbers)}")


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "memory":
        return lambda clock, **options: MemoryStore(clock, **options)
    if request.param == "sqlite":
        return lambda clock, **options: open_store(with_options(f"sqlite:///{tmp_path}/log.db", options), clock=clock)
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.url(DATABASE, log=f"clocks_{next(numbers)}")
    return lambda clock, **options: open_store(with_options(url, options), clock=clock)


def with_options(url: str, options: dict[str, Any]) -> str:
    given = "&".join(f"{name}={value}" for name, value in options.items())
    return f"{url}{'&' if '?' in url else '?'}{given}" if given else url


async def note(store: EventStore, *times: datetime | None, **options: Any) -> None:
    await store.append([NewEvent("noted", b"", time=time) for time in times or (None,)], **options)


async def times(store: EventStore) -> list[datetime]:
    return [event.time async for batch in store.read() for event in batch.events]


@pytest.mark.parametrize("ahead", [HOUR + timedelta(seconds=1), 30 * DAY, WRONG - NOW])
async def test_a_clock_that_jumps_ahead_is_refused_until_it_is_right_again(opened: Open, ahead: timedelta) -> None:
    clock = SettableClock(NOW)
    async with opened(clock) as store:
        await note(store)
        clock.jump(ahead)

        for number in (1, 2, 8):
            with pytest.raises(ClockJumped, match="does not fit the log") as caught:
                await note(store, *[None] * number)
        assert (caught.value.now, caught.value.latest) == (NOW + ahead, NOW + HOUR)
        assert isinstance(caught.value, StoreUnavailable)
        assert await store.head() == 1

        clock.jump(-ahead)
        clock.advance(seconds=3)
        await note(store)
        assert await times(store) == [NOW, NOW + timedelta(seconds=3)]


async def test_small_jumps_sleep_and_idle_days_are_nothing_to_refuse(opened: Open) -> None:
    clock = SettableClock(NOW)
    async with opened(clock) as store:
        await note(store)
        for jump in (HOUR, HOUR, -HOUR):
            clock.jump(jump)
            await note(store, *[None] * 8)
        clock.advance(days=700)
        await note(store)

        assert await store.head() == 26


async def test_a_clock_that_was_put_back_too_far_is_refused_until_it_is_right_again(opened: Open) -> None:
    clock = SettableClock(NOW)
    async with opened(clock) as store:
        await note(store)
        clock.jump(-2 * HOUR)

        for number in (8, 1, 1):
            with pytest.raises(ClockJumped, match="newest event of the log has the time 2026-06-01T12:00:00"):
                await note(store, *[None] * number)

        clock.jump(2 * HOUR)
        await note(store)
        assert await times(store) == [NOW, NOW]


@pytest.mark.parametrize("back", [2 * HOUR, 17 * YEAR])
async def test_a_log_opened_while_the_clock_was_behind_takes_appends_once_it_is_right(
    url: str, back: timedelta
) -> None:
    clock = SettableClock(NOW)
    async with open_store(url, clock=clock) as store:
        await note(store)
    clock.jump(-back)

    async with open_store(url, clock=clock) as store:
        with pytest.raises(ClockJumped):
            await note(store)
        clock.jump(back)
        clock.advance(seconds=3)
        for number in (1, 8):
            await note(store, *[None] * number)

        clock.jump(DAY)
        with pytest.raises(ClockJumped):
            await note(store)


async def test_imports_of_the_past_go_on_beside_a_clock_that_has_jumped(opened: Open) -> None:
    clock = SettableClock(NOW)
    async with opened(clock) as store:
        await note(store, NOW - 20 * YEAR, NOW - 10 * YEAR)
        clock.jump(2 * HOUR)
        await note(store, NOW - 9 * YEAR, NOW + HOUR / 2)

        with pytest.raises(ClockJumped):
            await note(store, NOW + 1.5 * HOUR)
        with pytest.raises(ClockJumped):
            await note(store, NOW + HOUR / 2, None)
        assert await store.head() == 4

        clock.jump(-2 * HOUR)
        await note(store)


async def test_a_key_that_is_known_is_answered_whatever_the_clock_says(opened: Open) -> None:
    clock = SettableClock(NOW)
    async with opened(clock) as store:
        await note(store, key="k")
        clock.jump(YEAR)

        found = await store.lookup("k")
        assert found is not None
        if isinstance(store, PostgresStore):  # whose functions are not called then
            with pytest.raises(ClockJumped):
                await note(store, key="k")
        else:
            await note(store, key="k")
        assert await store.head() == 1


async def test_a_wider_bound_is_an_option(opened: Open) -> None:
    clock = SettableClock(NOW)
    async with opened(clock, clock_bound=86_400) as store:
        await note(store)
        clock.jump(23 * HOUR)
        await note(store)
        clock.jump(25 * HOUR)

        with pytest.raises(ClockJumped):
            await note(store)


async def test_the_clock_of_a_test_is_believed(opened: Open) -> None:
    clock = FakeClock(NOW)
    async with opened(clock) as store:
        for moment in (NOW, WRONG, NOW - YEAR, WRONG + YEAR):
            clock.set(moment)
            await note(store)

        assert await times(store) == [NOW, WRONG, WRONG, WRONG + YEAR]


async def test_a_log_can_be_opened_long_after_its_newest_event(url: str) -> None:
    async with open_store(url, clock=SettableClock(NOW)) as store:
        await note(store)

    for moment in (NOW + 40 * DAY, NOW + 4 * YEAR):
        async with open_store(url, clock=SettableClock(moment)) as store:
            await note(store)
            assert (await times(store))[-1] == moment


async def test_a_clock_that_is_wrong_from_the_start_is_refused_until_it_is_accepted(url: str) -> None:
    async with open_store(url, clock=SettableClock(NOW)) as store:
        await note(store)

    clock = SettableClock(WRONG)
    async with open_store(url, clock=clock) as store:
        for number in (1, 8):
            with pytest.raises(ClockJumped, match=f"accept_time={LATER}"):
                await note(store, *[None] * number)
        clock.set(NOW + DAY)
        await note(store)
        assert await times(store) == [NOW, NOW + DAY]

    clock.set(WRONG)
    async with open_store(with_options(url, {"accept_time": LATER}), clock=clock) as store:
        clock.advance(seconds=1)
        await note(store)
        clock.advance(days=2)
        await note(store)
        assert len(await times(store)) == 4


async def test_a_log_whose_newest_event_lies_ahead_is_read_and_takes_no_more_until_it_is_accepted(url: str) -> None:
    async with open_store(url, clock=FakeClock(WRONG)) as store:
        await note(store)

    async with open_store(url, clock=SettableClock(NOW)) as store:
        assert await times(store) == [WRONG]
        for number in (1, 1, 8, 1):
            with pytest.raises(ClockJumped, match="newest event of the log has the time 2098-01-01") as caught:
                await note(store, *[None] * number)
        assert (caught.value.time, caught.value.now) == (WRONG, NOW)

    async with open_store(with_options(url, {"accept_time": LATER}), clock=SettableClock(NOW)) as store:
        await note(store)
        assert await times(store) == [WRONG, WRONG]


async def test_processes_whose_clocks_differ_a_little_write_one_log(url: str) -> None:
    first, second = SettableClock(NOW), SettableClock(NOW + HOUR / 2)
    async with open_store(url, clock=first) as one, open_store(url, clock=second) as other:
        for store in (one, other, one, other):
            await note(store)
            await note(store, *[None] * 8)

        assert len(await times(one)) == 36


async def test_a_server_whose_clock_jumps_is_refused(postgres: PostgresServer) -> None:
    clock = StrayingClock()
    async with open_store(postgres.url(DATABASE, log=f"clocks_{next(numbers)}"), clock=clock) as store:
        await note(store)
        clock.ahead = 2 * HOUR
        for number in (1, 8):
            with pytest.raises(ClockJumped):
                await note(store, *[None] * number)
        assert await store.head() == 1

        clock.ahead = timedelta()
        await note(store)
        await note(store, *[None] * 8)


@pytest.mark.parametrize("given", ["", "soon", "2098", "2098-01-01T00:00:00", "2098-13-01T00:00:00Z"])
def test_what_is_no_moment_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(InvalidUrl, match="accept_time="):
        open_store(f"sqlite:///{tmp_path}/log.db?accept_time={given}")


@pytest.mark.parametrize("given", [LATER, "2098-01-01T00:00:00+00:00", "2098-01-01T02:00:00%2B02:00"])
def test_a_moment_is_understood(tmp_path: Path, given: str) -> None:
    open_store(f"sqlite:///{tmp_path}/log.db?accept_time={given}")
