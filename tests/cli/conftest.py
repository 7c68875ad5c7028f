"""A log of the bank example, and the command line to ask about it."""

import json
import shutil
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from examples.bank import Deposit, Open, Transfer, Withdraw, bank
from leftfold import NewEvent, open_store, recording
from leftfold.cli.program import program
from leftfold.testing import FakeClock

BANK = ("--app", "examples.bank:bank")


class Ended(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What was asked for, line by line."""
        return self.out.splitlines()

    @property
    def objects(self) -> list[Any]:
        """The same, each line read as JSON."""
        return [json.loads(line) for line in self.lines]


Run = Callable[..., Ended]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; what a command puts on the path is taken off again."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Run a command in this process."""

    def run(*arguments: object) -> Ended:
        done = CliRunner().invoke(program, [str(argument) for argument in arguments], catch_exceptions=False)
        return Ended(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def run_on_terminal(folder: Path) -> Run:
    """Run a command as on a terminal of 60 columns."""

    def run(*arguments: object) -> Ended:
        runner = CliRunner(env={"FORCE_COLOR": "1", "COLUMNS": "60", "TERM": "xterm"})
        done = runner.invoke(program, [str(argument) for argument in arguments], catch_exceptions=False)
        return Ended(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def bank_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of `log`, which are made once."""
    folder = tmp_path_factory.mktemp("bank")
    clock = FakeClock()
    clock.advance(hours=10)
    with bank.open_sync(f"sqlite:///{folder}/bank.db", clock=clock) as live:
        for actor, reason, command in (
            ("ann", "new customer", Open("a-1", "Ann")),
            ("ann", "new customer", Open("b-2", "Bob Smith")),
            ("bob", None, Deposit("a-1", 10_000)),
            ("bob", None, Transfer("a-1", "b-2", 2_500)),
            ("bob", "fee", Withdraw("b-2", 300)),
            (None, None, Withdraw("a-1", 200)),
        ):
            clock.advance(timedelta(minutes=1))
            with recording(actor=actor, reason=reason):
                live.execute(command, key=f"key of {command}")
    return folder


@pytest.fixture
def log(folder: Path, bank_folder: Path) -> str:
    """Seven events, a minute apart from 10:01 on: two accounts, a transfer between them, and one that is no JSON."""
    shutil.copytree(bank_folder, folder, dirs_exist_ok=True)
    return "sqlite:///bank.db"


@pytest.fixture
async def strange_log(folder: Path) -> str:
    """Data and metadata that are not JSON, an escape sequence in a text, and no tags."""
    async with open_store("sqlite:///strange.db") as store:
        await store.append(
            [
                NewEvent("raw", b"\xff\x00", ("x:1",), metadata=b"plain words"),
                NewEvent("raw", b'{\n"colour": "\\u001b[31mred"}'),
                NewEvent("raw", b""),
            ]
        )
    return "sqlite:///strange.db"
