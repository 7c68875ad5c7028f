"""Checks the clock: how far ahead an append may date its events."""

from collections.abc import Callable
from datetime import datetime

from leftfold.errors import ClockJumped
from leftfold.model.clock import Clock, WatchedClock, from_microseconds, to_microseconds

CLOCK_BOUND = 3_600.0  # seconds
MICROSECONDS = 1_000_000
LONGEST_IDLE = 5 * 365 * 86_400 * MICROSECONDS
NO_LIMIT = 2**63 - 1


class ClockGuard:
    """Compares the clock that dates events with a monotonic clock and with the newest event.

    An event may be dated at most `bound` seconds ahead of the clock, and of the time that has passed since the last
    append. A clock that cannot tell how much time has passed, such as that of a test, is trusted; so are times up to
    `accepted`. If the newest event is years old, the clock counts as wrong until that time is accepted.
    """

    def __init__(self, clock: Clock, bound: float = CLOCK_BOUND, accepted: datetime | None = None) -> None:
        self._elapsed: Callable[[], float] | None = clock.elapsed if isinstance(clock, WatchedClock) else None
        self._bound = round(bound * MICROSECONDS)
        self._accepted = 0 if accepted is None else to_microseconds(accepted) + self._bound
        self._ahead: int | None = None  # the newest time, if the log had one ahead of the clock when it was opened
        self._wall = 0  # the time of the clock when it was last trusted
        self._at = 0.0  # the seconds that had passed by then
        self._newest: int | None = None  # the newest time in the log, until the clock is trusted

    def __repr__(self) -> str:
        return f"<ClockGuard of {self._bound // MICROSECONDS} s>"

    @property
    def doubts(self) -> bool:
        """Return whether the log has contradicted the clock since it was opened."""
        return self._newest is not None or self._ahead is not None

    @property
    def watches(self) -> bool:
        """Return whether there is a monotonic clock to compare with."""
        return self._elapsed is not None

    def ahead_of(self, now: str) -> str:
        """Return, in SQL, the latest time that the newest event may have if the clock shows `now`."""
        return f"greatest({now} + {self._bound}, {self._accepted})"

    def begin(self, now: int, newest: int) -> None:
        """Start to compare with the newest time in the log: that of an event, or of the creation of the log."""
        if self._elapsed is None:
            return
        self._wall, self._at, self._newest = now, self._elapsed(), newest
        self._ahead = newest if newest > now + self._bound else None
        self.latest(now)

    def latest(self, now: int) -> int:
        """Return the latest time that an event may have while the clock shows `now`."""
        if self._elapsed is None:
            return NO_LIMIT
        passed, bound = self._elapsed(), self._bound
        ahead = now - self._wall - int((passed - self._at) * MICROSECONDS)
        if -bound < ahead <= bound and self._newest is None:
            self._wall, self._at = now, passed
            latest = now + bound
            return latest if latest > self._accepted else self._accepted
        return max(self._latest_of_a_jump(now, ahead, passed), self._accepted)

    def latest_unseen(self) -> int:
        """Return the same for a clock on another machine, whose time is not known yet."""
        if self._elapsed is None:
            return NO_LIMIT
        passed = int((self._elapsed() - self._at) * MICROSECONDS)
        return max((self._wall + passed if self._newest is None else self._newest) + self._bound, self._accepted)

    def _latest_of_a_jump(self, now: int, ahead: int, passed: float) -> int:
        believed = now <= self._accepted
        if self._newest is not None:
            if not believed and now - self._newest > LONGEST_IDLE:
                return self._newest + self._bound
            self._newest, believed = None, True
        if self._ahead is not None and self._ahead - self._bound <= now <= self._ahead + LONGEST_IDLE:
            self._ahead, believed = None, True  # the clock was behind when the log was opened, and is right now
        if believed:
            self._wall, self._at = now, passed
        elif ahead > 0:
            now -= ahead
        return now + self._bound  # a clock that was set back may be corrected again


def clock_jumped(time: int, latest: int, now: int) -> ClockJumped:
    """Return the error for a time, in microseconds, that is not plausible."""
    return ClockJumped(from_microseconds(time), from_microseconds(latest), from_microseconds(now))
