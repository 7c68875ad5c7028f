"""Tables: the answers of the demo, laid out for a terminal of 80 columns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from .read_models import Board, Rejection, RouteDelay
from .reports import NEW_YORK


def table(title: str, *columns: str, right: Sequence[str] = (), caption: str | None = None) -> Table:
    """Return an empty table; numbers stand to the right."""
    made = Table(
        title=title,
        title_style="bold",
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left")
    return made


def counts(title: str, name: str, counted: Mapping[str, int]) -> Table:
    """How many there are of each, the most first, and of all."""
    made = table(title, name, "number", right=["number"])
    for each, number in Counter(counted).most_common():
        made.add_row(each, f"{number:,}")
    made.add_section()
    made.add_row("altogether", f"{sum(counted.values()):,}")
    return made


def rejections(refused: Sequence[Rejection], shown: int) -> Table:
    """Return the first few refused reports."""
    made = table("Refused reports, by the clock in New York", "when", "report", "flight", "aircraft", "why")
    for line in refused[:shown]:
        when = on_clock(line.instant, "%d %b %H:%M")
        made.add_row(when, line.report, short(line.flight), line.aircraft, why(line))
    made.caption = of_all(made.row_count, len(refused))
    return made


def why(refused: Rejection) -> str:
    """Return the reason, and the flight that the report contradicts."""
    return f"{refused.reason}: {number_of(refused.because_of)}" if refused.because_of else refused.reason


def board(then: Sequence[Board], now: Sequence[Board], airport: str, at: datetime, shown: int) -> Table:
    """Return the last lines of a board as it stood, and how they ended."""
    numbers = ("late", "at last")
    made = table(
        f"{airport} as it stood at {on_clock(at, '%H:%M on %d %B %Y')}",
        *("time", "flight", "to", "stood", "late", "ended", "at last"),
        right=numbers,
    )
    ended = {line.flight: line for line in now}
    for line in then[-shown:]:
        end = ended[line.flight]
        known = (on_clock(line.scheduled, "%H:%M"), number_of(line.flight), line.destination)
        made.add_row(*known, line.status, minutes(line.delay), end.status, minutes(end.delay))
    standing = ", ".join(f"{number} {status}" for status, number in Counter(line.status for line in then).most_common())
    made.caption = f"{of_all(made.row_count, len(then), 'last')} ({standing})"
    return made


def departures(lines: Sequence[Board], airport: str) -> Table:
    """Return the latest departures of an airport as they stand."""
    made = table(f"Departures from {airport}", "day", "time", "flight", "to", "stands", "late", right=["late"])
    for line in lines:
        when = (on_clock(line.scheduled, "%d %b"), on_clock(line.scheduled, "%H:%M"))
        made.add_row(*when, number_of(line.flight), line.destination, line.status, minutes(line.delay))
    return made


def routes(worst: Sequence[RouteDelay], at_least: int) -> Table:
    """Routes with their average delay."""
    numbers = ("minutes late", "arrivals", "diversions", "cancellations")
    made = table("Worst routes, by average delay on arrival", "from", "to", *numbers, right=numbers)
    for route in worst:
        rest = (route.arrivals, route.diversions, route.cancellations)
        made.add_row(route.origin, route.destination, f"{route.average:.1f}", *(f"{number:,}" for number in rest))
    made.caption = f"of those with {at_least:,} arrivals or more"
    return made


def verification(checks: Mapping[str, bool]) -> Table:
    """Return what was checked."""
    made = table("Verification", "what", "result", caption="the answers: as independent.py, without leftfold")
    for what, fine in checks.items():
        made.add_row(what, Text("fine", "green") if fine else Text("WRONG", "bold red"))
    return made


def short(flight: str) -> str:
    """Return a flight without its day."""
    return flight.partition("/")[2]


def number_of(flight: str) -> str:
    """Return a flight's carrier and number."""
    return short(flight).rpartition("/")[0]


def of_all(shown: int, number: int, which: str = "first") -> str:
    """How many of how many are shown."""
    return f"the {which} {shown:,} of {number:,}" if shown < number else f"all {number:,}"


def on_clock(instant: datetime, form: str) -> str:
    """Return what clocks in New York show."""
    return instant.astimezone(NEW_YORK).strftime(form)


def minutes(delay: int | None) -> str:
    """Return a delay, or nothing."""
    return "" if delay is None else str(delay)
