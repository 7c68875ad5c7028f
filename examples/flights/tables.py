"""Tables: the answers of the demo, laid out for a terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.table import Table

from .read_models import Board, Rejection, RouteDelay
from .reports import NEW_YORK


def counts(title: str, name: str, counted: Mapping[str, int]) -> Table:
    """How many there are of each, the most first, and of all."""
    table = Table(title=title, title_justify="left", show_footer=True)
    table.add_column(name, footer="altogether")
    table.add_column("number", justify="right", footer=f"{sum(counted.values()):,}")
    for each, number in Counter(counted).most_common():
        table.add_row(each, f"{number:,}")
    return table


def rejections(refused: Sequence[Rejection], shown: int) -> Table:
    """The first few refused reports."""
    table = Table(title=f"The first {min(shown, len(refused))} of {len(refused)} refused reports", title_justify="left")
    for column in ("New York time", "report", "flight", "aircraft", "why", "known instead"):
        table.add_column(column)
    for line in refused[:shown]:
        moment = on_clock(line.instant, "%d %b %H:%M")
        table.add_row(moment, line.report, line.flight, line.aircraft, line.reason, instead(line))
    return table


def instead(refused: Rejection) -> str:
    """The flight on which the aircraft was."""
    return f"flying {refused.because_of}" if refused.because_of else ""


def board(then: Sequence[Board], now: Sequence[Board], airport: str, at: datetime, shown: int) -> Table:
    """The last lines of a board as it stood, and how they ended."""
    ended = {line.flight: line for line in now}
    standing = ", ".join(f"{number} {status}" for status, number in Counter(line.status for line in then).most_common())
    table = Table(
        title=f"{airport} as it stood at {on_clock(at, '%H:%M on %d %B %Y')}: {len(then)} flights, {standing}",
        title_justify="left",
        caption=f"the last {min(shown, len(then))} of them",
        caption_justify="left",
    )
    for column in ("scheduled", "flight", "to", "as it stood", "minutes late", "in the end", "minutes late"):
        table.add_column(column, justify="right" if "late" in column else "left")
    for line in then[-shown:]:
        end = ended[line.flight]
        table.add_row(
            on_clock(line.scheduled, "%H:%M"),
            line.flight,
            line.destination,
            line.status,
            minutes(line.delay),
            end.status if end != line else "",
            minutes(end.delay) if end != line else "",
        )
    return table


def routes(worst: Sequence[RouteDelay]) -> Table:
    """Routes with their average delay."""
    table = Table(title=f"The {len(worst)} routes with the highest average delay on arrival", title_justify="left")
    for column in ("from", "to", "minutes late", "arrivals", "diversions", "cancellations"):
        table.add_column(column, justify="left" if column in ("from", "to") else "right")
    for route in worst:
        rest = (route.arrivals, route.diversions, route.cancellations)
        table.add_row(route.origin, route.destination, f"{route.average:.1f}", *(f"{number:,}" for number in rest))
    return table


def verification(checks: Mapping[str, bool]) -> Table:
    """What was checked."""
    table = Table(title="Verification", title_justify="left")
    table.add_column("what")
    table.add_column("result")
    for what, fine in checks.items():
        table.add_row(what, "[green]yes[/]" if fine else "[red]NO[/]")
    return table


def on_clock(instant: datetime, form: str) -> str:
    """What clocks in New York show."""
    return instant.astimezone(NEW_YORK).strftime(form)


def minutes(delay: int | None) -> str:
    """A delay, or nothing."""
    return "" if delay is None else str(delay)
