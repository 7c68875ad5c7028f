"""What is seen of a worker: changes line by line, and the table of a terminal."""

import io
import logging

import msgspec
import pytest

from leftfold.cli.output import Console
from leftfold.cli.work_view import Changes, LogLines, View
from leftfold.errors import StoreFailed
from leftfold.health import Work
from leftfold.parked import Parked
from leftfold.query import ModelStatus
from leftfold.status import NeedsAttention, WorkerStatus


def status(trouble: str | None = None, problem: StoreFailed | None = None, parked: int = 0) -> Work:
    model = ModelStatus("Balance", "balance", 40, 2, problem, False, parked)
    return Work(42, (model,), (WorkerStatus("commands", "at 42, 3 open", True, trouble),))


def key(name: str) -> Parked:
    return Parked("projection Balance", (name,), 17, "ValueError: no")


def test_trouble_is_told_when_it_begins_and_when_it_ends() -> None:
    changes = Changes()

    assert changes.of(status()) == []
    assert changes.of(status("StoreBusy: locked")) == ["commands: in trouble: StoreBusy: locked"]
    assert changes.of(status("StoreBusy: locked")) == []
    assert changes.of(status()) == ["commands: goes on"]
    [line] = changes.of(status(problem=StoreFailed("models.db", "gone")))
    assert line == "Balance: in trouble: StoreFailed: models.db failed: gone"


def test_parked_keys_are_named_once_and_many_are_counted() -> None:
    changes = Changes()

    assert changes.are_parked(status(parked=1))
    assert changes.of_parked([key("a")]) == ["Balance a is parked at position 17: ValueError: no"]
    assert not changes.are_parked(status(parked=1))
    assert changes.of_parked([]) == ["Balance a goes on"]
    assert changes.of_parked([key(f"{n}") for n in range(9)])[-1] == "and 4 more keys are parked"


def lines_of(view: View, out: io.StringIO) -> list[str]:
    return [line.split("  ", 1)[1] for line in out.getvalue().splitlines()]


def test_a_line_is_written_with_its_time_and_nothing_else_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    console = Console()
    console.file = out

    with View(console) as view:
        view.say("Balance: goes on")
        view.show(status())

    assert lines_of(view, out) == ["Balance: goes on"]
    assert out.getvalue()[10] == "T"


def test_what_is_logged_becomes_lines() -> None:
    out = io.StringIO()
    console = Console()
    console.file = out
    view = View(console)

    record = logging.LogRecord("leftfold.rebuild", logging.INFO, "", 0, "%s: rebuilt", ("Balance",), None)
    LogLines(view).emit(record)

    assert lines_of(view, out) == ["Balance: rebuilt"]


def test_on_a_terminal_a_table_shows_workers_and_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    console, out = Console(), io.StringIO()
    console.file = out

    with View(console) as view:
        view.show(status("StoreBusy: locked", parked=3))

    shown = out.getvalue()
    assert "the log is at 42" in shown
    assert all(word in shown for word in ("at 42, 3 open", "StoreBusy: locked", "Balance", "3 keys parked"))


def record(error: Exception, **extra: object) -> logging.LogRecord:
    found = logging.LogRecord("leftfold.projections", logging.ERROR, "", 0, "Balance failed", (), None)
    vars(found).update(extra, exc_info=(type(error), error, None))
    return found


def test_trouble_that_the_status_shows_is_not_told_twice_but_a_bug_has_its_traceback() -> None:
    out = io.StringIO()
    console = Console()
    console.file = out
    view = View(console)
    lines = LogLines(view)

    lines.emit(record(StoreFailed("models.db", "gone"), in_status=True))
    assert lines_of(view, out) == []

    lines.emit(record(ValueError("a bug"), in_status=True))
    assert lines_of(view, out) == ["Balance failed", "ValueError: a bug"]


def test_a_key_whose_parking_was_logged_is_not_named_again() -> None:
    console = Console()
    console.file = io.StringIO()
    lines = LogLines(View(console))
    changes = Changes(lines.parked)

    lines.emit(record(ValueError("no"), parked=("Balance", ("a",))))

    assert changes.of_parked([key("a"), key("b")]) == ["Balance b is parked at position 17: ValueError: no"]


def test_what_failed_for_good_is_told_when_it_begins_and_when_it_ends() -> None:
    changes = Changes()
    failed = msgspec.structs.replace(status(), attention=NeedsAttention(1, {"Greeting": 2}))

    assert changes.of(failed) == ["commands: 1 failed", "process Greeting: 2 instances parked"]
    assert changes.of(failed) == []
    assert changes.of(status()) == [
        "commands: nothing is left that failed",
        "process Greeting: nothing is left that failed",
    ]
