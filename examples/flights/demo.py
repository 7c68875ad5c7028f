"""The demo: load real flights, ask what is and what was, and check the answers."""

import asyncio
import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from leftfold import LiveApp
from leftfold.audit import Verification

from . import tables
from .app import BoardAt, Rejections, RejectionsByReason, WorstRoutes, flights
from .commands import Report
from .comparison import Answers, compare, independent_answers
from .load import load
from .read_models import Board
from .reports import read_reports

DIRECTORY = Path(".demo")
JANUARY, FEBRUARY = 1, 2
BLIZZARD = datetime(2013, 2, 8, 20, tzinfo=UTC)
AIRPORT = "JFK"
LINES = 12
INTERRUPTED = 130


class Selection(NamedTuple):
    """Which reports: those on flights of some months, or of these the first few days alone."""

    year: int
    months: Sequence[int]
    days: int | None

    @property
    def name(self) -> str:
        """The log's name. Each selection has its own: nothing can be put in between what a log has already."""
        months = "".join(f"-{month:02}" for month in self.months) if len(self.months) < 12 else ""
        days = f"-first-{self.days}-days" if self.days else ""
        return f"flights-{self.year}{months}{days}"

    def log_in(self, directory: Path, database: str | None) -> str:
        """Return the log's URL: a file of the directory, or a schema of the PostgreSQL database."""
        if database is None:
            directory.mkdir(parents=True, exist_ok=True)
            return f"sqlite:///{directory / self.name}.db"
        return f"{database}{'&' if '?' in database else '?'}log={self.name.replace('-', '_')}"

    def read(self) -> list[Report]:
        """Return the reports, by instant."""
        reports = read_reports(self.months, self.year)
        if self.days is None:
            return reports
        begin = reports[0].instant.replace(hour=0, minute=0)
        return [report for report in reports if report.instant < begin + timedelta(days=self.days)]


def run_demo(
    months: Iterable[int] = (JANUARY,),
    year: int = BLIZZARD.year,
    directory: Path = DIRECTORY,
    console: Console | None = None,
    *,
    days: int | None = None,
    database: str | None = None,
) -> int:
    """Load these months and the February of the blizzard, print what is known, and return an exit code.

    The log stays in `directory`, or in the PostgreSQL `database` of that URL: a second run finds it and adds nothing.
    With `days`, only the first few are loaded.
    Raises `MissingExtra` without the data, `UsageError` for months that it does not have.
    """
    console = console or Console()
    selection = Selection(year, sorted({*months, FEBRUARY}), days)
    begun = perf_counter()
    try:
        with console.status("reading the file"):
            reports = selection.read()
        url = selection.log_in(directory, database)
        fine = asyncio.run(show(reports, selection, url, console))
    except KeyboardInterrupt:
        console.print("Stopped. What is loaded stays loaded: the same command goes on from there.")
        return INTERRUPTED
    console.print(f"{perf_counter() - begun:.1f} s altogether. The log stays; to look around in it:")
    for hint in hints(url):
        console.print(f"  {hint}", highlight=False, soft_wrap=True)
    return 0 if fine else 1


def hints(url: str) -> list[str]:
    """Commands for whoever wants to see more: the log, a rebuild that keeps nothing, a board that is live."""
    url = shlex.quote(url)  # that of a database has an ampersand
    app = f"--app {__package__}.app:{flights.name}"
    return [
        f"leftfold info {url}",
        f"leftfold status {app} {url}",
        f"leftfold rebuild {app} {url} {Board.__name__} --dry-run",
        f"python -m {__package__} watch",
    ]


async def show(reports: Sequence[Report], selection: Selection, url: str, console: Console) -> bool:
    """Load, verify and ask; whether everything is as it must be."""
    async with flights.open(url) as live:
        with bars_on(console) as bars:
            added, seconds = await bring_in(live, reports, bars)
            log, expected = await check(live, selection.months, reports[-1].instant, bars)
        if added:
            console.print(f"{added:,} reports added in {seconds:.1f} s, {added / seconds:,.0f} a second.\n")
        else:
            console.print(f"Nothing to add: the log has all {len(reports):,} reports already.\n")
        console.print(tables.counts("Events by type", "type", log.types), "")
        await answer(live, console)
        checks = {**log_checks(log), **await compare(live, expected)}
        console.print(tables.verification(checks), "")
        return all(checks.values())


def bars_on(console: Console) -> Progress:
    """Progress bars that say how much there is."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


async def bring_in(live: LiveApp, reports: Sequence[Report], bars: Progress) -> tuple[int, float]:
    """Load the reports and wait until the read models know them; how many were new, and the seconds it took."""
    begun = perf_counter()
    loading = bars.add_task("deciding on reports", total=len(reports))
    added = await load(live, reports, lambda done: bars.advance(loading, done))
    await catch_up(live, bars)
    return added, perf_counter() - begun


async def catch_up(live: LiveApp, bars: Progress) -> None:
    """Wait for the read models, which follow the log in the background."""
    head = await live.store.head()
    following = bars.add_task("read models", total=head)
    while True:
        standing = await live.read_models()
        for model in standing:
            if model.failed and model.problem:
                raise model.problem
        bars.update(following, completed=min(model.position for model in standing))
        if all(model.position >= head for model in standing):
            return
        await asyncio.sleep(0.05)


async def check(live: LiveApp, months: Sequence[int], until: datetime, bars: Progress) -> tuple[Verification, Answers]:
    """Check the log, and judge the same flights without leftfold, in a process of its own."""
    checking = bars.add_task("verifying the log", total=None)
    (log,) = await live.verify(progress=lambda done, head: bars.update(checking, completed=done, total=head))
    judging = bars.add_task("judging without leftfold", total=1)
    expected = await independent_answers(months, until)
    bars.advance(judging)
    return log, expected


def log_checks(log: Verification) -> dict[str, bool]:
    """Return what `leftfold verify` says of the log."""
    return {f"{log.checked:,} events: no gap, times never decrease, each can be read": log.ok and not log.unknown}


async def answer(live: LiveApp, console: Console) -> None:
    """Print what was refused, the board of the blizzard as it stood, and the worst routes."""
    console.print(tables.counts("Refused reports by reason", "reason", await live.query(RejectionsByReason())), "")
    console.print(tables.rejections(await live.query(Rejections()), LINES), "")
    then = await live.query(BoardAt(AIRPORT, BLIZZARD), as_of=BLIZZARD)
    now = await live.query(BoardAt(AIRPORT, BLIZZARD))
    console.print(tables.board(then, now, AIRPORT, BLIZZARD, LINES), "")
    asked = WorstRoutes()
    console.print(tables.routes(await live.query(asked), asked.at_least), "")
