"""`leftfold status`: what is stored about read models, commands and processes, and whether anything waits."""

from datetime import timedelta
from pathlib import Path

import pytest

from examples.bank import Balance, Deposit, bank
from leftfold.errors import TicketFailed
from tests.cli.conftest import BANK, Run
from tests.cli.test_projections import URL, post  # noqa: F401

HANDLE_NOTHING = """
from typing import Annotated, Self
from leftfold import App, Backoff, Command, DecisionModel, Event, Tag

TaskId = Annotated[str, Tag("task")]

class Done(Event):
    task: TaskId

class Task(DecisionModel):
    task: TaskId

    def evolve(self, event: Done) -> Self:
        return self

class Do(Command):
    task: TaskId

todo = App("todo")

@todo.handles
def do(command: Do, task: Task) -> Done:
    raise LookupError("nobody knows how")
"""


def test_what_goes_on_is_told_with_exit_code_0(run: Run, log: str) -> None:
    with bank.open_sync(log) as live:
        live.execute(Deposit("a-1", 1), wait=[Balance])

    ended = run("status", *BANK, log)

    assert ended.code == 0
    assert ended.lines[0] == "bank at position 7"
    assert ended.lines[3].split() == ["Balance", "current", "7", "0", "0", "s", "0"]
    assert ended.lines[4:] == ["commands: 0 pending, 0 scheduled, 0 failed"]


def test_commands_that_wait_are_counted(run: Run, log: str) -> None:
    with bank.open_sync(log, work=False) as live:
        live.submit(Deposit("a-1", 100))
        live.submit(Deposit("a-1", 200), delay=timedelta(days=1))

    [found] = run("status", *BANK, log, "--json").objects

    assert found["commands"] == {"pending": 1, "scheduled": 1, "failed": 0}
    assert (found["app"], found["head"], found["trouble"]) == ("bank", 8, [])


def test_nothing_is_folded_by_looking(run: Run, log: str, folder: Path) -> None:
    (folder / "bank.models.db").unlink()

    [found] = run("status", *BANK, log, "--json").objects

    assert [(row["name"], row["state"], row["position"]) for row in found["read_models"]] == [
        ("Balance", "not kept", None)
    ]
    assert not (folder / "bank.models.db").exists()


def test_parked_keys_end_with_exit_code_1(run: Run, post: tuple[str, str]) -> None:  # noqa: F811
    ended = run("status", *post, URL)

    assert ended.code == 1
    assert ended.lines[-1] == "✗ Weight has 3 parked keys"
    assert run("status", *post, URL, "--json").objects[0]["trouble"] == ["Weight has 3 parked keys"]


def test_a_failed_command_ends_with_exit_code_1(run: Run, folder: Path) -> None:
    import importlib

    name = f"todo_{folder.name}"
    (folder / f"{name}.py").write_text(HANDLE_NOTHING)
    assert run("status", "--app", f"{name}:todo", "memory:").code == 0
    module = importlib.import_module(name)
    opened = module.todo.open_sync("sqlite:///todo.db", backoff=module.Backoff(attempts=1))
    with opened as live, pytest.raises(TicketFailed):
        live.submit(module.Do("t")).result()

    ended = run("status", "--app", f"{name}:todo", "sqlite:///todo.db")

    assert (ended.code, ended.lines[-1]) == (1, "✗ 1 command failed")


def test_a_log_that_is_not_there_is_an_error(run: Run, folder: Path) -> None:
    assert run("status", *BANK, "sqlite:///gone.db").code == 3
    assert list(folder.iterdir()) == []
