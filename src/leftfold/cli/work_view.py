"""What a worker shows: a line for each change, and on a terminal a table below them."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from leftfold.cli.output import Console, table
from leftfold.cli.plain import moment, visible
from leftfold.errors import LeftfoldError
from leftfold.health import Work, class_and_problem
from leftfold.model.clock import SystemClock
from leftfold.parked import Parked
from leftfold.query import ModelStatus
from leftfold.status import WorkerStatus

NAMED = 5  # parked keys that are named at once


class View:
    """Prints lines with the time, and on a terminal a table of the newest status."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._live = Live(console=out, auto_refresh=False, transient=True) if out.is_terminal else None

    def __enter__(self) -> "View":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """Print a line immediately: a program that collects it must not wait for a buffer to fill."""
        now = moment(SystemClock().now().replace(microsecond=0))
        self._out.print(Text.assemble((f"{now}  ", "dim"), visible(line)), soft_wrap=True)
        self._out.file.flush()

    def show(self, status: Work) -> None:
        """Show how far everything is."""
        if self._live is not None:
            self._live.update(Group(Text(f"the log is at {status.head:,}"), table(_rows(status))), refresh=True)


class LogLines(logging.Handler):
    """What leftfold logs, as lines of a view; an error with its traceback.

    Trouble that a status shows too is left out. `parked` has the keys whose parking was logged.
    """

    def __init__(self, view: View) -> None:
        super().__init__(logging.INFO)
        self._view = view
        self.parked: set[tuple[str, tuple[Any, ...]]] = set()
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, line by line."""
        if getattr(record, "in_status", False) and not _is_unexpected(record):
            return
        parked = getattr(record, "parked", None)
        if parked is not None:
            self.parked.add(parked)
        for line in self.format(record).splitlines():
            self._view.say(line)


def _is_unexpected(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return error is not None and not isinstance(error, LeftfoldError)


class Changes:
    """Describes how a status differs from the one before; leaves out the keys whose parking was `logged`."""

    def __init__(self, logged: set[tuple[str, tuple[Any, ...]]] | None = None) -> None:
        self._logged = set[tuple[str, tuple[Any, ...]]]() if logged is None else logged
        self._problems: dict[str, str] = {}
        self._attention: dict[str, str] = {}
        self._parked: dict[tuple[str, tuple[Any, ...]], Parked] = {}

    def of(self, status: Work) -> list[str]:
        """Return the problems that began and those that ended."""
        return [*self._of_problems(problems_of(status)), *self._of_attention(attention_of(status))]

    def _of_problems(self, now: dict[str, str]) -> list[str]:
        lines = [f"{name}: in trouble: {what}" for name, what in now.items() if self._problems.get(name) != what]
        lines += [f"{name}: goes on" for name in self._problems if name not in now]
        self._problems = now
        return lines

    def _of_attention(self, now: dict[str, str]) -> list[str]:
        lines = [f"{name}: {what}" for name, what in now.items() if self._attention.get(name) != what]
        lines += [f"{name}: nothing is left that failed" for name in self._attention if name not in now]
        self._attention = now
        return lines

    def are_parked(self, status: Work) -> bool:
        """Return whether keys may be parked that were not reported."""
        return sum(model.parked for model in status.read_models) != len(self._parked)

    def of_parked(self, parked: Sequence[Parked]) -> list[str]:
        """Which keys were parked, and which have caught up."""
        now = {
            (each.name.removeprefix("projection "), each.key): each
            for each in parked
            if each.name.startswith("projection ")
        }
        came = [each for name, each in now.items() if name not in self._parked and name not in self._logged]
        went = [each for name, each in self._parked.items() if name not in now]
        self._parked = now
        self._logged.clear()
        lines = [f"{_name(each)} is parked at position {each.position}: {each.problem}" for each in came]
        return [*_first(lines, "parked"), *_first([f"{_name(each)} goes on" for each in went], "going on")]


def problems_of(status: Work) -> dict[str, str]:
    """Return what stops each worker and read model, and what keeps snapshots from being stored, by its name."""
    found = {each.name: each.trouble for each in status.workers if each.running and each.trouble}
    found |= {each.name: class_and_problem(each.problem) for each in status.read_models if each.problem}
    return found | ({"snapshots": status.snapshots} if status.snapshots else {})


def attention_of(status: Work) -> dict[str, str]:
    """Return what needs attention, by the name of the worker."""
    parts = (line.partition(": ") for line in status.attention.lines)
    return {name: what for name, _, what in parts}


def what_runs(status: Work) -> list[str]:
    """Return the names of what this process runs."""
    return [each.name for each in status.workers if each.running] + [each.name for each in status.read_models]


def what_was_done(read_models: Iterable[ModelStatus], workers: Iterable[WorkerStatus]) -> list[str]:
    """Return how far everything came."""
    models = [f"{each.name} at {each.position:,}" for each in read_models]
    return [f"{each.name} {each.state}" for each in workers] + models


def _rows(status: Work) -> list[Mapping[str, Any]]:
    waiting = attention_of(status)
    workers = [
        (each.name, each.state, None, each.trouble or waiting.get(each.name)) for each in status.workers if each.running
    ]
    models = [
        (
            each.name,
            f"at {each.position:,}",
            each.lag,
            class_and_problem(each.problem) if each.problem else _parked(each.parked),
        )
        for each in status.read_models
    ]
    snapshots = [("snapshots", None, None, status.snapshots)] if status.snapshots else []
    rows = (*workers, *models, *snapshots)
    return [dict(zip(("what", "where", "lag", "trouble"), row, strict=True)) for row in rows]


def _parked(count: int) -> str | None:
    return f"{count} keys parked" if count else None


def _name(parked: Parked) -> str:
    return f"{parked.name.removeprefix('projection ')} {' '.join(map(str, parked.key)) or 'the whole projection'}"


def _first(lines: Collection[str], what: str) -> list[str]:
    found = list(lines)
    more = len(found) - NAMED
    return found if more <= 0 else [*found[:NAMED], f"and {more:,} more keys are {what}"]
