"""Recurrence: when a command that was submitted once is due again."""

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from leftfold.clock import to_microseconds
from leftfold.errors import UsageError


class Daily(msgspec.Struct, frozen=True):
    """Every day when the clocks of a time zone show this time: `Daily(time(3), zone="Europe/Vienna")`.

    Once a day, also when clocks are put forward or back: a time that a day does not have is moved on by as much as
    the clocks are, and of a time that a day has twice the first is meant.
    """

    at: time
    zone: str = "UTC"

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment, in UTC."""
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
        """The first time after a moment: what was missed before it is left out."""
        if isinstance(self.every, Daily):
            return self.every.after(moment)
        return self.first + ((moment - self.first) // self.every + 1) * self.every


def recurrence(every: timedelta | Daily, at: datetime | None, now: datetime) -> Recurrence:
    """What was asked for, checked. Without `at` a period begins now."""
    first = now if at is None else at
    to_microseconds(first)  # refuses a naive one
    if isinstance(every, Daily):
        _check(every)
        return Recurrence(every.after(first - timedelta(microseconds=1)), every)
    if every <= timedelta():
        raise UsageError(f"every={every!r} was given", "a period that is longer than nothing", "give a longer one")
    return Recurrence(first.astimezone(UTC), every)


def _check(daily: Daily) -> None:
    if daily.at.tzinfo is not None:
        raise UsageError(
            f"{daily!r} has a time with a zone of its own", "a time without one: it is that of `zone`", "drop tzinfo"
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
