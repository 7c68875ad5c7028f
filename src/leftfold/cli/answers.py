"""Answers and states as people read them: fields line by line, several of a kind as a table."""

from collections.abc import Collection, Mapping
from typing import Any, cast

from rich import box
from rich.table import Table
from rich.text import Text

from leftfold.audit.explanation import fields_of
from leftfold.cli.consoles import Console
from leftfold.cli.plain import cell, shown, visible


def show_answer(out: Console, answer: Any, *, json: bool) -> None:
    """Print an answer of any type."""
    if json:
        out.json(answer)
        return
    fields = _fields(answer)
    if fields is not None:
        _show_fields(out, fields)
    elif isinstance(answer, Collection) and not isinstance(answer, str | bytes):
        _show_many(out, answer)
    else:
        out.put("nothing" if answer is None else shown(answer))


def show_traceback(out: Console, traceback: str | None, *, json: bool = False) -> None:
    """Print the traceback of an error as it was kept."""
    if json:
        out.json({"traceback": traceback})
        return
    for line in (traceback or "no traceback was kept").splitlines():
        out.put(visible(line))


def _fields(value: Any) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else fields_of(value)


def _show_fields(out: Console, fields: Mapping[str, Any]) -> None:
    width = max((len(str(name)) for name in fields), default=0)
    for name, value in fields.items():
        out.put(Text.assemble((f"{name!s:<{width}}  ", "bold"), cell(value)))


def _show_many(out: Console, answers: Any) -> None:
    rows = [_fields(answer) for answer in answers]
    known = [row for row in rows if row is not None]
    if not answers:
        out.put("none")
    elif len(known) < len(rows) or {tuple(row) for row in known} != {tuple(known[0])}:
        for answer in answers:
            out.put(shown(answer))
    else:
        out.print(table(known))


def table(rows: list[Mapping[str, Any]]) -> Table:
    """Rows with the same fields; numbers to the right."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for name in rows[0]:
        numeric = all(_is_number(row[name]) for row in rows if row[name] is not None)
        made.add_column(str(name), justify="right" if numeric else "left")
    for row in rows:
        made.add_row(*(cell(value) for value in row.values()))
    return made


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
