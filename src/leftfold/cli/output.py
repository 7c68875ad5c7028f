"""Output: what was asked for goes to stdout, everything else to stderr; tables, records, JSON, progress."""

import sys
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from threading import Timer
from typing import Any, NoReturn, cast

import rich.console
from rich import box
from rich.measure import Measurement
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from leftfold.audit.explanation import fields_of
from leftfold.cli.plain import cell, json_line, shown, visible
from leftfold.passwords import without_passwords

UNBROKEN = 10_000  # columns of an output that is not a terminal: its readers want whole lines
HANGING = 2
PATIENCE = 1.0  # seconds before a terminal shows that a command is still working


class Console(rich.console.Console):
    """Prints text as it is, without markup, and raises an error when the reader closes the pipe."""

    def __init__(self, *, error: bool = False) -> None:
        super().__init__(stderr=error, highlight=False, markup=False, emoji=False)
        if not self.is_terminal:
            self.width = UNBROKEN

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the caller of the command."""
        raise BrokenPipeError

    def put(self, text: Text | str, indent: int = 0) -> None:
        """Print one line; a terminal wraps a long one, with a hanging indent.

        Unlike the answer on stdout, a text on stderr shows no password of a URL.
        """
        if self.stderr and isinstance(text, str):
            text = without_passwords(text)
        if not (text and self.is_terminal):  # nothing to wrap, nothing to colour: thirty times as fast
            self.file.write(f"{' ' * indent}{text}\n")
            return
        line = Text(text) if isinstance(text, str) else text
        first, *more = line.wrap(self, self.width - indent - HANGING)
        self.print(Padding(first, (0, 0, 0, indent), expand=False))
        for each in more:
            self.print(Padding(each, (0, 0, 0, indent + HANGING), expand=False))

    def json(self, value: Any) -> None:
        """Print a value as JSON on one line."""
        sys.stdout.write(json_line(value) + "\n")

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print rows with the same fields as a table or, if it is wider than the terminal, one after the other."""
        made = table(rows)
        if Measurement.get(self, self.options.update(width=UNBROKEN), made).maximum <= self.width:
            self.print(made)
            return
        for row in rows:
            self.fields({name: value for name, value in row.items() if value is not None})
            self.put("")

    def fields(self, fields: Mapping[str, Any]) -> None:
        """Print the fields of a record, a line each."""
        width = max((len(str(name)) for name in fields), default=0)
        for name, value in fields.items():
            self.put(Text.assemble((f"{name!s:<{width}}  ", "bold"), cell(value)))


def stdout() -> Console:
    """Return the console for what was asked for."""
    return Console()


def stderr() -> Console:
    """Return the console for everything else."""
    return Console(error=True)


# --- answers


def show_list(
    found: Sequence[Any],
    row: Callable[[Any], Mapping[str, Any]],
    *,
    none: str,
    json: bool,
    plain: Callable[[Any], Any] = lambda each: each,
) -> None:
    """Print a listing: for programs `plain` of each as a line of JSON, for people `row` of each in a table.

    The table leaves out columns without any value. If nothing was found, stderr gets the text `none`.
    """
    if json:
        for each in found:
            stdout().json(plain(each))
        return
    rows = [row(each) for each in found]
    names = [name for name in (rows[0] if rows else ()) if any(each[name] is not None for each in rows)]
    if rows:
        stdout().rows([{name: each[name] for name in names} for each in rows])
    else:
        stderr().put(none)


def show_answer(answer: Any, *, json: bool) -> None:
    """Print an answer of any type."""
    out, fields = stdout(), _fields(answer)
    if json:
        out.json(answer)
    elif fields is not None:
        out.fields(fields)
    elif isinstance(answer, Collection) and not isinstance(answer, str | bytes):
        _show_many(out, answer)
    else:
        out.put("nothing" if answer is None else shown(answer))


def show_traceback(traceback: str | None, title: str = "") -> None:
    """Print the traceback that was stored with an error, after its title."""
    out = stdout()
    if title:
        out.put("")
        out.put(title)
    for line in (traceback or "no traceback was stored").splitlines():
        out.put(visible(line))


def _fields(value: Any) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else fields_of(value)


def _show_many(out: Console, answers: Any) -> None:
    rows = [_fields(answer) for answer in answers]
    known = [row for row in rows if row is not None]
    if not answers:
        out.put("none")
    elif len(known) < len(rows) or {tuple(row) for row in known} != {tuple(known[0])}:
        for answer in answers:
            out.put(shown(answer))
    else:
        out.rows(known)


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Make a table of rows with the same fields, numbers to the right."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for name in rows[0]:
        numeric = all(_is_number(row[name]) for row in rows if row[name] is not None)
        made.add_column(str(name), justify="right" if numeric else "left")
    for row in rows:
        made.add_row(*(cell(value) for value in row.values()))
    return made


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- while a command works, on a terminal: on stderr, and gone when it is done


@contextmanager
def progress(step: str) -> Generator[Callable[[int, int], None]]:
    """Show a progress bar; yield a function that takes the number done and the total."""
    with progress_of_steps(step) as report:
        yield lambda done, total: report(step, done, total)


@contextmanager
def progress_of_steps(first: str = "") -> Generator[Callable[[str, int, int], None]]:
    """Show a progress bar for work in several steps; yield a function that also takes the step."""
    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=None)

        def report(step: str, done: int, total: int) -> None:
            if bar.tasks[task].description != step:
                bar.reset(task, description=step)
            bar.update(task, completed=done, total=total)

        yield report


class Rate(ProgressColumn):
    """How much is done in a second."""

    def render(self, task: Task) -> Text:
        """Render the rate, once it is known."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", "dim")


@contextmanager
def activity(what: str) -> Generator[None]:
    """Show that a command is still working, once it takes longer than a second."""
    console = stderr()
    if not console.is_terminal:
        yield
        return
    status = console.status(what)
    waiting = Timer(PATIENCE, status.start)
    waiting.start()
    try:
        yield
    finally:
        waiting.cancel()
        waiting.join()
        status.stop()
