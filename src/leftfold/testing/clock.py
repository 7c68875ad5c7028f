"""The fake clock: time that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

from leftfold.errors import NaiveDatetime

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A clock for tests. It starts at `now` and moves only when told to; also back, as real clocks do."""

    def __init__(self, now: datetime = START) -> None:
        self._now = _aware(now)

    def now(self) -> datetime:
        """Return the moment at which the clock stands."""
        return self._now

    def set(self, moment: datetime) -> None:
        """Put the clock to a moment; a naive datetime raises `NaiveDatetime`."""
        self._now = _aware(moment)

    def advance(
        self, by: timedelta | None = None, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> datetime:
        """Move the clock on, by a timedelta or by parts, and return the new moment. Negative moves it back."""
        self._now += (by or timedelta()) + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return self._now

    def __repr__(self) -> str:
        return f"<FakeClock {self._now.isoformat()}>"


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise NaiveDatetime(moment)
    return moment.astimezone(UTC)
