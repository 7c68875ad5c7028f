"""When submitted commands are due: recurrence, and a worker's schedule in bounded memory."""

import heapq
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from leftfold.errors import UsageError
from leftfold.model.clock import to_microseconds


class Daily(msgspec.Struct, frozen=True):
    """Every day at this time of a time zone: `Daily(time(3), zone="Europe/Vienna")`.

    Once a day, also on days when clocks change: a time that a day does not have is moved forward by as much as the
    clocks are, and a time that a day has twice means the first.
    """

    at: time
    zone: str = "UTC"

    def after(self, moment: datetime) -> datetime:
        """Return the first time after a moment, in UTC."""
        zone = _zone(self.zone)
        day = moment.astimezone(zone).date() - timedelta(days=1)  # a time that was moved on may lie on the next day
        while (due := datetime.combine(day, self.at, zone).astimezone(UTC)) <= moment:
            day += timedelta(days=1)
        return due


class Recurrence(msgspec.Struct, frozen=True):
    """A command's recurrence as it is stored: the first time it is due, and how it goes on from there."""

    first: datetime
    every: timedelta | Daily

    def after(self, moment: datetime) -> datetime:
        """Return the first time after a moment. Times that were missed are left out."""
        if isinstance(self.every, Daily):
            return self.every.after(moment)
        return self.first + ((moment - self.first) // self.every + 1) * self.every


def recurrence(every: timedelta | Daily, at: datetime | None, now: datetime) -> Recurrence:
    """Check and return a recurrence. Without `at` a period begins now."""
    first = now if at is None else at
    to_microseconds(first)  # refuses a naive one
    if isinstance(every, Daily):
        _check(every)
        return Recurrence(every.after(first - timedelta(microseconds=1)), every)
    if every <= timedelta():
        raise UsageError(f"every={every!r} was given", "a positive period", "give a longer period")
    return Recurrence(first.astimezone(UTC), every)


def _check(daily: Daily) -> None:
    if daily.at.tzinfo is not None:
        raise UsageError(
            f"{daily!r} has a time with a time zone",
            "a time without a time zone: `zone` says which one applies",
            "remove tzinfo from the time",
        )
    try:
        _zone(daily.zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UsageError(
            f"the time zone {daily.zone!r} is not known here",
            "a name of the IANA time zone database, like Europe/Vienna",
            "correct the name; on a system without that database install the package tzdata",
        ) from error


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


START = datetime.min.replace(tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)


class Schedule:
    """Open tickets by the time at which they are due.

    Beyond `capacity` tickets it drops those that are due last; from the time `incomplete` on the log has to be read
    again. Belongs to one worker.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._open: dict[str, tuple[datetime, int]] = {}
        self._due: list[tuple[datetime, int, str]] = []
        self._forgotten: int | None = None
        self.incomplete: datetime | None = None

    def __repr__(self) -> str:
        return f"<Schedule of {len(self._open)} tickets>"

    def __len__(self) -> int:
        return len(self._open)

    def put(self, ticket: str, position: int, due: datetime | None) -> None:
        """Note when a ticket is due; `position` is where it was submitted."""
        if self.incomplete is not None and due is not None and due >= self.incomplete:
            self._open.pop(ticket, None)
            self._forget(due, position)
            return
        entry = (due or START, self._open.get(ticket, (START, position))[1])
        if self._open.get(ticket) == entry:
            return
        self._open[ticket] = entry
        heapq.heappush(self._due, (*entry, ticket))
        if len(self._open) > self._capacity:
            self._shrink()

    def discard(self, ticket: str) -> None:
        """Remove a ticket: it is completed."""
        self._open.pop(ticket, None)

    def take(self, now: datetime, limit: int) -> list[str]:
        """Return tickets that are due, in the order of their submission. They stay open until they are discarded."""
        found: list[tuple[int, str]] = []
        while self._due and len(found) < limit and self._due[0][0] <= now:
            due, position, ticket = heapq.heappop(self._due)
            if self._open.get(ticket) == (due, position):
                self._open[ticket] = (NEVER, position)
                found.append((position, ticket))
        return [ticket for _, ticket in sorted(found)]

    def next(self) -> datetime | None:
        """Return when the next ticket is due or the log has to be read again; None if neither will be."""
        while self._due and self._open.get(self._due[0][2]) != self._due[0][:2]:
            heapq.heappop(self._due)
        times = [due for due, _, _ in self._due[:1] if due < NEVER]
        if self.incomplete is not None:
            times.append(self.incomplete)
        return min(times, default=None)

    def oldest(self, limit: int) -> tuple[list[str], int | None]:
        """Return the first open tickets, and where the first ticket that is left out was submitted, if any is."""
        ordered = sorted((position, ticket) for ticket, (_, position) in self._open.items())
        left_out = [position for position, _ in ordered[limit : limit + 1]]
        if self._forgotten is not None:
            left_out.append(self._forgotten)
        end = min(left_out, default=None)
        return [ticket for position, ticket in ordered[:limit] if end is None or position < end], end

    def _forget(self, due: datetime, position: int) -> None:
        self.incomplete = due if self.incomplete is None else min(due, self.incomplete)
        self._forgotten = position if self._forgotten is None else min(position, self._forgotten)

    def _shrink(self) -> None:
        """Drop the later half at once, since each time all are sorted; never a ticket that may be due already."""
        ordered = sorted((due, position, ticket) for ticket, (due, position) in self._open.items())
        for due, position, ticket in ordered[len(ordered) // 2 :]:
            if due > START:
                del self._open[ticket]
                self._forget(due, position)
        self._due = [(due, position, ticket) for ticket, (due, position) in self._open.items()]
        heapq.heapify(self._due)
