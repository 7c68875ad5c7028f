"""The results as a table: for the terminal, and as Markdown."""

from collections.abc import Iterable, Sequence
from statistics import median

from rich.table import Table

from bench.figure import Row, Target

HEADINGS = ("figure", "leftfold", "beside", "there", "ratio (min–max)", "target", "")


def terminal(title: str, headings: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    table = Table(*headings, title=title, title_justify="left")
    for line in lines:
        table.add_row(*line, style="red" if line[-1] == "missed" else "")
    return table


def markdown(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [headings, ["---"] * len(headings), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + "\n"


def line_of(row: Row) -> list[str]:
    """The cells of one comparison."""
    target = row.figure.target(row.beside)
    unit = row.figure.unit
    return [
        row.figure.title,
        f"{_number(row.rate)} {unit}",
        row.beside or "",
        f"{_number(row.their_rate)} {unit}" if row.beside else "",
        ratio_text(row.ratios),
        _wanted(target, unit),
        "" if target is None else ("met" if _met(row, target) else "missed"),
    ]


def ratio_text(ratios: Sequence[float]) -> str:
    if not ratios:
        return ""
    return f"{median(ratios):.3g} × ({min(ratios):.3g}–{max(ratios):.3g})"


def _wanted(target: Target | None, unit: str) -> str:
    if target is None:
        return ""
    return f"≥ {target.least:g} ×" if target.beside else f"≥ {_number(target.least)} {unit}"


def _met(row: Row, target: Target) -> bool:
    return (median(row.ratios) if row.beside else row.rate) >= target.least


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
