"""Clocks, and the two conversions between a datetime and the store's microseconds."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leftfold.errors import NaiveDatetime
from leftfold.model.clock import SystemClock, from_microseconds, to_microseconds
from leftfold.testing.clock import FakeClock

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001


class NoZone(tzinfo):
    def utcoffset(self, dt: datetime | None) -> None:
        return None


@given(MOMENTS)
def test_a_moment_comes_back_as_the_same_instant_in_utc(moment: datetime) -> None:
    back = from_microseconds(to_microseconds(moment))

    assert back == moment
    assert back.tzinfo is UTC


@given(MOMENTS, MOMENTS)
def test_microseconds_are_in_the_order_of_the_moments(one: datetime, other: datetime) -> None:
    assert (to_microseconds(one) < to_microseconds(other)) == (one < other)


@given(st.integers(-(10**16), 10**16))
def test_microseconds_come_back_exactly(microseconds: int) -> None:
    assert to_microseconds(from_microseconds(microseconds)) == microseconds


@pytest.mark.parametrize("naive", [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=NoZone())])  # noqa: DTZ001
def test_a_datetime_without_a_zone_is_refused_with_the_remedy(naive: datetime) -> None:
    with pytest.raises(NaiveDatetime) as caught:
        to_microseconds(naive)

    assert "2026-01-01T00:00:00" in caught.value.found
    assert "aware" in caught.value.expected
    assert "tzinfo=UTC" in caught.value.remedy


def test_the_system_clock_tells_the_present_in_utc() -> None:
    before = datetime.now(UTC)

    now = SystemClock().now()

    assert before <= now <= datetime.now(UTC)
    assert now.utcoffset() == timedelta()


def test_the_fake_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock()

    assert clock.now() == clock.now() == datetime(2026, 1, 1, tzinfo=UTC)


def test_the_fake_clock_is_advanced_by_a_timedelta_or_by_parts() -> None:
    clock = FakeClock(datetime(2026, 3, 1, 12, tzinfo=UTC))

    assert clock.advance(timedelta(hours=1)) == datetime(2026, 3, 1, 13, tzinfo=UTC)
    assert clock.advance(days=1, minutes=30) == datetime(2026, 3, 2, 13, 30, tzinfo=UTC)
    assert clock.advance(seconds=-0.5) == clock.now() == datetime(2026, 3, 2, 13, 29, 59, 500_000, tzinfo=UTC)


def test_the_fake_clock_is_set_to_a_moment_of_any_zone() -> None:
    clock = FakeClock()

    clock.set(datetime.fromisoformat("2013-02-08T09:00:00-05:00"))

    assert repr(clock) == "<FakeClock 2013-02-08T14:00:00+00:00>"


def test_the_fake_clock_refuses_a_naive_datetime() -> None:
    with pytest.raises(NaiveDatetime):
        FakeClock(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(NaiveDatetime):
        FakeClock().set(datetime(2026, 1, 1))  # noqa: DTZ001
