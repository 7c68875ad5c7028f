"""Whether a clock can be believed: how far ahead an append may date its events."""

from collections.abc import Callable
from datetime import datetime

from leftfold.errors import ClockJumped
from leftfold.model.clock import Clock, WatchedClock, from_microseconds, to_microseconds

CLOCK_BOUND = 3_600.0  # seconds
MICROSECONDS = 1_000_000
LONGEST_IDLE = 5 * 365 * 86_400 * MICROSECONDS
NO_LIMIT = 2**63 - 1


class ClockGuard:
    """Compares the clock that dates events with one that nobody sets, and with the newest event.

    Events are dated no further ahead than `bound` seconds of the clock, and of the time that has passed since the last
    append. A clock that does not tell how much time has passed, such as that of a test, is believed. So are times up to
    `accepted`. A log that nobody wrote for years shows that the clock is wrong, until that is accepted.
    """

    def __init__(self, clock: Clock, bound: float = CLOCK_BOUND, accepted: datetime | None = None) -> None:
        self._elapsed: Callable[[], float] | None = clock.elapsed if isinstance(clock, WatchedClock) else None
        self._bound = round(bound * MICROSECONDS)
        self._accepted = 0 if accepted is None else to_microseconds(accepted) + self._bound
        self._ahead: int | None = None  # the newest time, if it was ahead of the clock when the log was opened
        self._wall = 0  # the clock's time when it was last believed
        self._at = 0.0  # the seconds that had passed by then
        self._newest: int | None = None  # the newest time that the log has shown, while the clock is not believed

    def __repr__(self) -> str:
        return f"<ClockGuard of {self._bound // MICROSECONDS} s>"

    @property
    def doubts(self) -> bool:
        """Whether the log has spoken against the clock since it was opened."""
        return self._newest is not None or self._ahead is not None

    @property
    def watches(self) -> bool:
        """Whether the clock can be compared with anything."""
        return self._elapsed is not None

    def ahead_of(self, now: str) -> str:
        """The latest time that the newest event may have by a clock that says `now`, both in SQL."""
        return f"greatest({now} + {self._bound}, {self._accepted})"

    def begin(self, now: int, newest: int) -> None:
        """Start to compare, with the newest time that the log shows: an event's, or when the log was made."""
        if self._elapsed is None:
            return
        self._wall, self._at, self._newest = now, self._elapsed(), newest
        self._ahead = newest if newest > now + self._bound else None
        self.latest(now)

    def latest(self, now: int) -> int:
        """The latest time that an event may be given, now that the clock says this."""
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
        """The same, when the clock is on another machine and not known yet."""
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
            self._ahead, believed = None, True  # it was behind when the log was opened, and is right now
        if believed:
            self._wall, self._at = now, passed
        elif ahead > 0:
            now -= ahead
        return now + self._bound  # a clock that was put back may be put right again


def clock_jumped(time: int, latest: int, now: int) -> ClockJumped:
    """The error that says of a time, in microseconds, why it is not believed."""
    return ClockJumped(from_microseconds(time), from_microseconds(latest), from_microseconds(now))
