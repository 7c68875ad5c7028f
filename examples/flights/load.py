"""The loader: reports into the log, a day at a time; whatever interrupts it, the next run goes on where it stopped."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import groupby
from typing import Any, NamedTuple

from leftfold import Context, DecisionModel, LiveApp, Metadata, Receipt, Rejected

from .app import flights
from .commands import Report, SetReportAside

Refusal = tuple[Report, Rejected]
Progress = Callable[[int], None]


class Day(NamedTuple):
    """The reports of one day, in UTC."""

    day: date
    reports: Sequence[Report]

    @property
    def key(self) -> str:
        """The idempotency key of the day's reports."""
        return f"reports of {self.day}"


async def load(live: LiveApp, reports: Iterable[Report], progress: Progress = lambda done: None) -> int:
    """Bring in the reports that the log does not have, and return how many events these became.

    A day is one append; so is what was refused on it. `progress` is told how many more reports have been dealt with.
    """
    days = [Day(day, list(told)) for day, told in groupby(reports, lambda report: report.instant.date())]
    before = await live.store.head()
    known = await count_known(live, days)
    if known:
        await complete(live, days[known - 1])
        progress(sum(len(day.reports) for day in days[:known]))
    for day in days[known:]:
        batch = await live.execute_many(day.reports, key=day.key, time=lambda report: report.instant)
        await set_aside(live, day, refusals(day.reports, batch.outcomes))
        progress(len(day.reports))
    return await live.store.head() - before


async def count_known(live: LiveApp, days: Sequence[Day]) -> int:
    """Count the days that the log has; they are the first ones."""
    for number, day in enumerate(days):
        if await live.store.lookup(day.key) is None:
            return number
    return len(days)


def refusals(reports: Sequence[Report], outcomes: Sequence[Receipt | Rejected]) -> list[Refusal]:
    """Return the reports that were rejected, and why; none when another process brought them in."""
    told = zip(reports, outcomes, strict=False)
    return [(report, outcome) for report, outcome in told if isinstance(outcome, Rejected)]


async def set_aside(live: LiveApp, day: Day, refused: Sequence[Refusal]) -> None:
    """Keep what was refused on a day; a second time does nothing."""
    commands = [
        SetReportAside(
            flight=report.flight,
            report=report.kind,
            aircraft=report.aircraft,
            instant=report.instant,
            reason=rejected.reason,
            because_of=rejected.details.get("because_of"),
        )
        for report, rejected in refused
    ]
    end = day.reports[-1].instant
    if commands:
        await live.execute_many(commands, key=f"{day.key}, set aside", time=lambda _: end)


async def complete(live: LiveApp, day: Day) -> None:
    """Keep what was refused on a day that the log has: the process may have ended right after the day's reports.

    A refused report has left no event. Why it was refused is decided again on the state in which it came.
    """
    known = await live.store.lookup(day.key)
    assert known is not None, "asked of a day that the log does not have"
    read = live.store.read(after=known.first - 1, upto=known.last)
    accepted = [flights.registry.decode(stored) async for batch in read for stored in batch.events]
    refused: list[Refusal] = []
    seen = 0
    for report in day.reports:
        if seen < len(accepted) and tells_of(accepted[seen], report):
            seen += 1
        else:
            refused.append((report, await decide_again(live, report, known.first - 1 + seen)))
    await set_aside(live, day, refused)


def tells_of(event: Any, report: Report) -> bool:
    """Whether the event came of the report: no flight has two reports of one instant."""
    return (event.flight, event.instant) == (report.flight, report.instant)


async def decide_again(live: LiveApp, report: Report, position: int) -> Rejected:
    """Decide a refused report as of the position at which it came; handlers are pure, so it is refused again."""
    handler = flights.command_handlers[type(report)]
    states: list[DecisionModel] = [
        await live.state(model.fold.owner, *model.key_in(report), as_of=position) for model in handler.models
    ]
    try:
        handler.decide(report, states, Context(report.instant, Metadata()))
    except Rejected as rejected:
        return rejected
    raise AssertionError(f"{report} was refused once and would be accepted now")
