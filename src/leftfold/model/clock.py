"""The clock port, and the two conversions between a datetime and the store's microseconds."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from leftfold.errors import NaiveDatetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""The clock that nobody sets, and that goes on while the machine sleeps; None where there is no choice."""
MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Tells the time; passed in wherever time is needed."""

    def now(self) -> datetime:
        """Return the present moment as an aware datetime."""
        ...


@runtime_checkable
class WatchedClock(Protocol):
    """A clock that can be compared with the time that passes, so that a jump of it is noticed."""

    def now(self) -> datetime:
        """Return the present moment as an aware datetime."""
        ...

    def elapsed(self) -> float:
        """Return the seconds that have passed since any fixed moment, by a clock that nobody can set."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Return the seconds that have passed since the machine was started, its sleep included."""
        return time.monotonic() if STEADY is None else time.clock_gettime(STEADY)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC; a naive datetime raises `NaiveDatetime`."""
    if moment.tzinfo is not UTC and moment.utcoffset() is None:
        raise NaiveDatetime(moment)
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds  # to divide takes thrice as long


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC datetime that lies this many microseconds after 1970; the nearest one that the calendar has."""
    try:
        return EPOCH + microseconds * MICROSECOND
    except OverflowError:
        return LATEST if microseconds > 0 else EARLIEST
