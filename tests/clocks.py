"""Clocks for tests that a store watches: the time passes, and somebody sets the clock."""

from datetime import datetime, timedelta

from leftfold.model.clock import SystemClock
from leftfold.testing.clock import FakeClock


class SettableClock(FakeClock):
    """A machine's clock: time passes by `advance`; `set` and `jump` set the clock, and no time passes."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self._elapsed = 1_000.0

    def elapsed(self) -> float:
        return self._elapsed

    def advance(self, by: timedelta | None = None, **parts: float) -> datetime:
        before = self.now()
        self._elapsed += (super().advance(by, **parts) - before).total_seconds()
        return self.now()

    def jump(self, by: timedelta) -> None:
        self.set(self.now() + by)


class StrayingClock(SystemClock):
    """A machine on which less time seems to pass than on others: their clocks seem to jump ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def elapsed(self) -> float:
        return super().elapsed() - self.ahead.total_seconds()
