"""The results as tables: for the terminal, and as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import rich.table

from bench.figure import LEFTFOLD, Figure, Row, Summary
from bench.flatness import LIMIT, Cost
from bench.gate import Compared
from bench.instructions import Counted
from bench.latency import Latency, beside
from bench.limits import LIMIT as GROWTH_LIMIT
from bench.limits import RequestCost
from bench.numbers import number
from bench.percentiles import Percentiles
from bench.reading import ReadCost, is_met
from bench.searching import LIMIT as SEARCH_LIMIT
from bench.searching import SearchCost
from bench.wakeups import TARGET as WAKEUP_TARGET
from bench.wakeups import Wakeups

MET, MISSED = "met", "missed"


class Table(NamedTuple):
    """Rows of text below headings, with notes to be read below the table."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def terminal(self) -> rich.table.Table:
        shown = rich.table.Table(*self.headings, title=self.title, title_justify="left", caption="\n".join(self.notes))
        shown.caption_justify = "left"
        for row in self.rows:
            shown.add_row(*row, style="red" if row[-1] == MISSED else "")
        return shown

    def markdown(self) -> str:
        rows = [self.headings, ["---"] * len(self.headings), *self.rows]
        lines = "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
        notes = "".join(f"* {note}\n" for note in self.notes)
        return f"## {self.title}\n\n{lines}\n{notes}"


def of_rows(rows: Sequence[Row]) -> Table:
    """The comparisons: one line for each contestant beside leftfold; CPU is that of its process for a unit."""
    headings = ("figure", "leftfold", "CPU", "beside", "there", "CPU", "ratio (min–max)", "target", "")
    figures = dict.fromkeys(row.figure for row in rows)
    notes = [f"{figure.title}: {figure.note}" for figure in figures if figure.note]
    return Table("Beside others", headings, [_cells(row) for row in rows], notes)


def of_gate(found: Sequence[Compared], names: Sequence[str]) -> Table:
    """What two commits do, and whether the later one is too slow."""
    headings = ("figure", "before", "CPU", "after", "CPU", "CPU after / before", "ratio", "target", "")
    rows = [
        [
            each.figure.name,
            *_summary_cells(each.before, each.figure),
            *_summary_cells(each.after, each.figure),
            f"{each.cpu_ratio:.3f} ×",
            f"{each.ratio:.3f} ×",
            f"≥ {each.least:g} ×",
            _verdict(each.passes),
        ]
        for each in found
    ]
    before, after = names
    return Table("Before and after", headings, rows, [f"before: {before}", f"after: {after}"])


def of_instructions(counted: Sequence[Counted], figures: Mapping[str, Figure]) -> Table:
    """How many instructions a command takes."""
    rows = [_instruction_cells(each, figures[each.name]) for each in counted]
    return Table("Instructions", ("figure", "instructions a command", "target", ""), rows)


def _instruction_cells(counted: Counted, figure: Figure) -> list[str]:
    most = figure.most_instructions
    target = ("", "") if most is None else (f"≤ {most:,.0f}", _verdict(counted.each <= most))
    return [figure.title, f"{counted.each:,.0f}", *target]


def of_costs(costs: Sequence[Cost], sizes: Iterable[int]) -> Table:
    """What an event costs, by the size of the log."""
    headings = ("microseconds an event", *(f"{size:,} events" for size in sizes), "max / min", "target", "")
    rows = [
        [
            cost.title,
            *(number(value) for value in cost.by_size.values()),
            f"{cost.ratio:.2f}",
            f"≤ {LIMIT:g}",
            _verdict(cost.ratio <= LIMIT),
        ]
        for cost in costs
    ]
    return Table("As the log grows", headings, rows)


def of_reading(costs: Sequence[ReadCost], rows: int) -> Table:
    """What queries of a large read model take."""
    headings = ("milliseconds a query", "on", "median", "target", "")
    rows_shown = [
        [
            cost.title,
            cost.backend,
            f"{cost.milliseconds:.2f}",
            "" if cost.limit is None else f"≤ {cost.limit:.2f}",
            "" if cost.limit is None else (MET if is_met(cost) else MISSED),
        ]
        for cost in costs
    ]
    return Table(f"Queries of a read model of {rows:,} rows", headings, rows_shown)


def of_limits(costs: Sequence[RequestCost]) -> Table:
    """What one request takes, up to the limits of a log."""
    headings = ("milliseconds a request", "on", "a quarter", "a half", "the limit", "growth a part", "target", "")
    rows = [
        [
            cost.title,
            cost.backend,
            *(f"{number(cost.by_size[size])} ({size:,})" for size in sorted(cost.by_size)),
            f"{cost.growth:.2f}",
            f"≤ {GROWTH_LIMIT:g}",
            _verdict(cost.growth <= GROWTH_LIMIT),
        ]
        for cost in costs
    ]
    return Table("Up to the limits", headings, rows)


def of_searches(costs: Sequence[SearchCost], events: int) -> Table:
    """What searches by tag take, beside one tree of tags."""
    headings = ("microseconds a search", LEFTFOLD, "tags in one tree", "ratio", "target", "")
    rows = [
        [
            cost.title,
            number(cost.ours),
            number(cost.one_tree),
            f"{cost.ratio:.2f} ×",
            f"≤ {SEARCH_LIMIT:g} ×",
            _verdict(cost.ratio <= SEARCH_LIMIT),
        ]
        for cost in costs
    ]
    return Table(f"Searches by tag in {events:,} events", headings, rows)


def of_latencies(latencies: Sequence[Latency]) -> Table:
    """How long one call takes: one line for each operation, the contestant beside leftfold at its end."""
    headings = ("milliseconds a call", "p50", "p99", "calls", "beside", "p50", "p99", "calls", "target", "")
    rows = [_latency_cells(each, beside(latencies, each.title)) for each in latencies if each.contestant == LEFTFOLD]
    return Table("How long one call takes", headings, rows)


def of_percentiles(found: Sequence[Percentiles]) -> Table:
    """How long `execute` takes, by backend and number of callers; the note has the calls of every run."""
    headings = ("milliseconds of execute", "p50", "p99", "p99.9", "calls", "")
    rows = [[_whose(each), *map(number, (each.p50, each.p99, each.p999)), f"{sum(each.runs):,}", ""] for each in found]
    runs = [f"{_whose(each)}, calls of each run: {', '.join(f'{run:,}' for run in each.runs)}" for each in found]
    return Table("How long execute takes with many callers", headings, rows, runs)


def of_wakeups(found: Sequence[Wakeups]) -> Table:
    """How late another task of the loop wakes while one caller commits; the target holds on every disk."""
    headings = ("milliseconds late, SQLite, 1 caller", "p50", "p99", "p99.9", "longest", "commands/s", "target", "")
    rows = [
        [
            each.disk,
            *map(number, (each.p50, each.p99, each.p999, each.longest)),
            f"{each.commands:,.0f}",
            f"p99.9 ≤ {WAKEUP_TARGET:g}",
            _verdict(each.p999 <= WAKEUP_TARGET),
        ]
        for each in found
    ]
    return Table("How late another task of the event loop wakes", headings, rows, [])


def _whose(each: Percentiles) -> str:
    return f"{each.backend}, {each.callers} caller{'s' if each.callers > 1 else ''}"


def _latency_cells(ours: Latency, theirs: Latency | None) -> list[str]:
    verdict = "" if ours.target is None else MET if ours.p50 <= ours.target else MISSED
    return [
        ours.title,
        *_milliseconds(ours),
        theirs.contestant if theirs else "",
        *(_milliseconds(theirs) if theirs else ("", "", "")),
        "" if ours.target is None else f"p50 ≤ {ours.target:g}",
        verdict,
    ]


def _milliseconds(latency: Latency) -> tuple[str, str, str]:
    return number(latency.p50), number(latency.p99), f"{latency.calls:,}"


def _cells(row: Row) -> list[str]:
    return [
        row.figure.title,
        *_summary_cells(row.ours, row.figure),
        row.beside or "",
        *(_summary_cells(row.theirs, row.figure) if row.theirs else ("", "")),
        _ratio(row.ratios) if row.ratios else "",
        row.wanted,
        _verdict(row.met) if row.wanted else "",
    ]


def _summary_cells(summary: Summary, figure: Figure) -> tuple[str, str]:
    return f"{number(summary.rate)} {figure.unit}", f"{number(summary.cpu)} µs"


def _ratio(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.3g} × ({min(ratios):.3g}–{max(ratios):.3g})"


def _verdict(met: bool) -> str:
    return MET if met else MISSED
