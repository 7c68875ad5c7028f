"""The clock protocol, and conversions between datetimes and the store's microseconds."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from leftfold.errors import NaiveDatetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""A clock that cannot be set and runs while the machine sleeps; None if the platform has none."""
MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Tells the time; passed in wherever time is needed."""

    def now(self) -> datetime:
        """Return the present moment as an aware datetime."""
        ...


@runtime_checkable
class WatchedClock(Protocol):
    """A clock that also measures elapsed time, so that jumps of the clock can be detected."""

    def now(self) -> datetime:
        """Return the present moment as an aware datetime."""
        ...

    def elapsed(self) -> float:
        """Return seconds since a fixed moment, by a clock that cannot be set."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Return seconds since the machine started, including time asleep."""
        return time.monotonic() if STEADY is None else time.clock_gettime(STEADY)


def microseconds_of(clock: Clock) -> int:
    """Return the present moment of a clock in microseconds since 1970."""
    return time.time_ns() // 1_000 if type(clock) is SystemClock else to_microseconds(clock.now())


def to_microseconds(moment: datetime) -> int:
    """Return microseconds since 1970 in UTC; raise `NaiveDatetime` for a naive datetime."""
    if moment.tzinfo is not UTC and moment.utcoffset() is None:
        raise NaiveDatetime(moment)
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds  # a third of the time of a division


def from_microseconds(microseconds: int) -> datetime:
    """Return the aware UTC datetime this many microseconds after 1970, clamped to what datetime can express."""
    try:
        return EPOCH + microseconds * MICROSECOND
    except OverflowError:
        return LATEST if microseconds > 0 else EARLIEST
