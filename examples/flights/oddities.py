"""Oddities: counts what is odd in the flights file, so that the README need not be believed.

Run it as ``python -m examples.flights.oddities``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from .commands import Report, ReportArrival, ReportCancellation, ReportDeparture, ReportDiversion
from .reports import (
    MISSING,
    NEW_YORK,
    ZONES_NOT_LISTED,
    Row,
    day_of,
    flight_of,
    order_of,
    read_rows,
    reports_on,
    scheduled_arrival,
    scheduled_departure,
    zone_of,
)

Finding = tuple[str, object]


def main() -> None:
    """Print one finding a line."""
    rows = list(read_rows(range(1, 13)))
    told = [(row, report) for row in rows for report in reports_on(row)]
    reports = sorted((report for _, report in told), key=order_of)
    print_findings(names(rows))
    print_findings(gaps(rows))
    print_findings(clocks(told))
    print_findings(durations(rows, reports))
    print_findings(aircraft(rows, reports))


def print_findings(findings: Iterable[Finding]) -> None:
    """Print the values in a column of their own."""
    for words, value in findings:
        print(f"{value!s:>9}  {words}")


def names(rows: list[Row]) -> Iterator[Finding]:
    """Ask what names a flight."""
    without_origin = Counter(flight_of(row).rpartition("/")[0] for row in rows)
    yield "flights scheduled", len(rows)
    yield "different names of day, carrier, number, origin", len({flight_of(row) for row in rows})
    yield "names borne twice if the origin is left out", sum(count > 1 for count in without_origin.values())


def gaps(rows: list[Row]) -> Iterator[Finding]:
    """Count what is missing."""
    yield "never departed", count(rows, "dep_time")
    yield "departed, no time of arrival", count(rows, "arr_time", present="dep_time")
    yield "arrived, but no delay of arrival", count(rows, "arr_delay", present="arr_time")
    yield "no tail number", count(rows, "tailnum")
    yield "no tail number, yet departed", count(rows, "tailnum", present="dep_time")
    yield "to one of four airports without a time zone", sum(row["dest"] in ZONES_NOT_LISTED for row in rows)


def count(rows: list[Row], missing: str, present: str = "month") -> int:
    """Count rows in which one column is missing and another is not."""
    return sum(row[missing] == MISSING and row[present] != MISSING for row in rows)


def clocks(told: list[tuple[Row, Report]]) -> Iterator[Finding]:
    """Hold schedule plus delay against the clock that was read."""
    for kind, column in ((ReportDeparture, "dep_time"), (ReportArrival, "arr_time")):
        read = [(row, report) for row, report in told if isinstance(report, kind)]
        wrong = [row for row, report in read if clock_of(report) != int(row[column]) % 2400]
        named = ", ".join(f"{flight_of(row)} reads {row[column]}" for row in wrong)
        yield f"{column} is 0", sum(row[column] == "0" for row, _ in read)
        yield f"{column} is 2400", sum(row[column] == "2400" for row, _ in read)
        yield f"{column} is not schedule plus delay: {named or 'none'}", len(wrong)
    landed = [(row, report) for row, report in told if isinstance(report, ReportArrival)]
    later = sum(on_the_wall(report).date() > day_of(row) for row, report in landed)
    yield "landed on a later date than they were scheduled to depart", later


def clock_of(report: Report) -> int:
    """Return what the clock on the wall shows, such as 905."""
    wall = on_the_wall(report)
    return wall.hour * 100 + wall.minute


def on_the_wall(report: Report) -> datetime:
    """Return the local time at which it happened, where it happened."""
    arrived = isinstance(report, ReportArrival)
    return report.instant.astimezone(zone_of(report.destination) if arrived else NEW_YORK)


def durations(rows: list[Row], reports: list[Report]) -> Iterator[Finding]:
    """Ask how long flights took, and so whether a clock without a date says which day."""
    took = dict(durations_of(reports))
    fastest: dict[tuple[str, str], timedelta] = {}
    for row in rows:
        if row["arr_delay"] != MISSING:
            route, duration = (row["origin"], row["dest"]), took[flight_of(row)]
            fastest[route] = min(duration, fastest.get(route, duration))
    slower = sorted(
        took[flight_of(row)] - fastest[row["origin"], row["dest"]]
        for row in rows
        if landing_in(row) == "arrival time, no delay"
    )
    yield "longest from departure to arrival", max(took.values())
    yield "arrivals without a delay are slower than the fastest by, at least", slower[0]
    yield "the same, for the middle one of them", slower[len(slower) // 2]


def durations_of(reports: list[Report]) -> Iterator[tuple[str, timedelta]]:
    """Yield how long each flight took that arrived."""
    departed: dict[str, datetime] = {}
    for report in reports:
        if isinstance(report, ReportDeparture):
            departed[report.flight] = report.instant
        elif isinstance(report, ReportArrival):
            yield report.flight, report.instant - departed[report.flight]


def aircraft(rows: list[Row], reports: list[Report]) -> Iterator[Finding]:
    """Count departures of aircraft that were in the air, and say what held them there."""
    refusals = list(refused(reports))
    row_of = {flight_of(row): row for row in rows}
    held_by = Counter(landing_in(row_of[holding.flight]) for holding, _ in refusals)
    kept = (report for report in reports if not isinstance(report, ReportDiversion))
    yield "departures while the aircraft was in the air", len(refusals)
    for landing, times in held_by.most_common():
        yield f"of these, on a flight with {landing}", times
    for carrier, times in Counter(report.carrier for _, report in refusals).most_common():
        yield f"of these, departures by {carrier}", times
    yield "the same, if diverted aircraft were never heard of again", len(list(refused(kept)))
    late = sum(departed_late(row) for row in rows if landing_in(row) == "no landing")
    yield "flights with no landing that departed after their scheduled arrival", late


def landing_in(row: Row) -> str:
    """Say how well the row knows the landing."""
    if row["dep_time"] == MISSING:
        return "no departure"
    if row["arr_delay"] != MISSING:
        return "arrival time and delay"
    return "no landing" if row["arr_time"] == MISSING else "arrival time, no delay"


def departed_late(row: Row) -> bool:
    """Tell whether the flight should have landed before it departed."""
    delay = timedelta(minutes=int(row["dep_delay"]))
    return scheduled_departure(row) + delay >= scheduled_arrival(row)


def refused(reports: Iterable[Report]) -> Iterator[tuple[Report, Report]]:
    """Yield each refused departure after the flight that kept its aircraft in the air."""
    flying: dict[str, Report] = {}
    for report in reports:
        if isinstance(report, ReportCancellation):
            continue
        holding = flying.get(report.aircraft)
        if not isinstance(report, ReportDeparture):
            if holding and holding.flight == report.flight:
                del flying[report.aircraft]
        elif holding:
            yield holding, report
        else:
            flying[report.aircraft] = report


if __name__ == "__main__":
    main()
