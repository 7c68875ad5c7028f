"""The clock port, and the two conversions between a datetime and the store's microseconds."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from leftfold.errors import NaiveDatetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Tells the time; passed in wherever time is needed."""

    def now(self) -> datetime:
        """Return the present moment as an aware datetime."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC; a naive datetime raises `NaiveDatetime`."""
    if moment.utcoffset() is None:
        raise NaiveDatetime(moment)
    return (moment - EPOCH) // MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC datetime that lies this many microseconds after 1970; the nearest one that the calendar has."""
    try:
        return EPOCH + microseconds * MICROSECOND
    except OverflowError:
        return LATEST if microseconds > 0 else EARLIEST
