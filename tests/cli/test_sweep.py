"""Every command, whatever it is given that is wrong, says what was found, what was expected, and what to do.

The commands and their arguments are those that are registered: a new command is covered by itself.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

import pytest
import typer.main

from leftfold.cli.program import program
from leftfold.testing import FakeClock
from tests.cli.conftest import Ended, Run
from tests.patience import PATIENCE
from tests.test_loud import BAD, fail_everywhere, opened, two_files

ROOT = Path(__file__).resolve().parents[2]
COMMANDS: dict[str, Any] = {
    name: command
    for name, command in cast("Any", typer.main.get_command(program)).commands.items()
    if not command.hidden
}
OF_AN_OWN_PACKAGE = {"torture"}
CREATE_A_LOG = {"init", "demo", "torture"}
WRITE_TO_A_LOG = {"work", "retry", "skip", "cancel"}
APP = "tests.test_loud:app"
QUERIES = "examples.bank:bank"

VALUES = {
    "MODEL": "Row",
    "NAME": "Greeting",
    "KEY": "x",
    "PROCESS": "Greeting",
    "REACTOR": "mail",
    "TICKET": "5f2c",
    "OF": "1",
    "QUERY": "Richest",
    "FIELD=VALUE": "limit=1",
    "TO": "sqlite:///copy.db",
    "TEXT": "a reason",
    "MODULE:ATTR": APP,
}
"""A right value for each metavar that an argument or a required option has."""

MISTYPED = {"MODEL": "Rwo", "NAME": "Greting", "PROCESS": "greeting", "REACTOR": "mial", "QUERY": "Richst"}
SIMILAR = {
    "MODEL": "'Row'",
    "NAME": "'process Greeting'",
    "PROCESS": "'Greeting'",
    "REACTOR": "'mail'",
    "QUERY": "'Richest'",
}
ON_LOGS = sorted(
    name
    for name, command in COMMANDS.items()
    if any(each.metavar in ("URL", "FROM") and each.param_type_name == "argument" for each in command.params)
)
EXISTING = sorted(set(ON_LOGS) - CREATE_A_LOG)


def call(command: str, url: str, *, optional: bool = False, **changed: str | None) -> list[str]:
    """The arguments of a command: the required ones, and all positional ones if `optional`; None leaves one out."""
    given = {**VALUES, "URL": url, "FROM": url, **{name.replace("_", ":"): value for name, value in changed.items()}}
    if command == "query":
        given = {**given, "MODULE:ATTR": changed.get("MODULE_ATTR", QUERIES)}
    found = [command]
    for parameter in COMMANDS[command].params:
        if parameter.param_type_name == "argument" and (parameter.required or optional):
            assert parameter.metavar in given, f"give {parameter.metavar} a value in VALUES"
            found += [value] if (value := given[parameter.metavar]) is not None else []
        elif parameter.required and parameter.param_type_name == "option":
            assert parameter.metavar in given, f"give {parameter.metavar} a value in VALUES"
            found += [parameter.opts[0], value] if (value := given[parameter.metavar]) is not None else []
    return found


def assert_teaches(ended: Ended) -> None:
    """Assert that a named error was printed, with its three parts, and nothing else."""
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (3, ""), ended
    assert [line.split(": ")[0].strip() for line in lines] == ["error", "expected", "to do"], ended.err


@pytest.fixture(autouse=True)
def bad() -> Iterator[None]:
    yield
    BAD.clear()


@pytest.fixture
async def log(folder: Path) -> str:
    """A log with something parked of each kind."""
    BAD.add("x")
    places = two_files(folder)
    async with opened(places, FakeClock()) as live:
        await fail_everywhere(live)
    return places[0]


def test_every_command_is_swept() -> None:
    assert set(COMMANDS) - set(ON_LOGS) == {"demo"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_a_command_fit_on_a_terminal_of_80_columns(command: str) -> None:
    _, _, examples = COMMANDS[command].help.partition("Examples:")

    assert f"leftfold {command}" in examples
    assert [line for line in examples.splitlines() if len(line) > 77] == []


@pytest.mark.parametrize("url", ["bank.db", "mysql://x/y", "sqlite://bank.db", "sqlite:///bank.db?mod=ro"])
@pytest.mark.parametrize("command", sorted(set(ON_LOGS) - OF_AN_OWN_PACKAGE))
def test_a_url_that_is_not_understood_is_refused(run: Run, folder: Path, command: str, url: str) -> None:
    ended = run(*call(command, url))

    assert_teaches(ended)
    assert "the store URL" in ended.err or "no file bank.db" in ended.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", EXISTING)
def test_a_log_that_does_not_exist_is_not_created(run: Run, folder: Path, command: str) -> None:
    ended = run(*call(command, "sqlite:///gone.db"))

    assert_teaches(ended)
    assert "gone.db" in ended.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", sorted(set(ON_LOGS) - OF_AN_OWN_PACKAGE))
def test_a_directory_or_another_file_is_no_log(run: Run, folder: Path, command: str) -> None:
    (folder / "folder.db").mkdir()
    (folder / "notes.db").write_text("shopping list\n" * 100)

    for name in ("folder.db", "notes.db"):
        assert_teaches(run(*call(command, f"sqlite:///{name}")))
    assert (folder / "notes.db").read_text() == "shopping list\n" * 100


@pytest.mark.parametrize("command", sorted(set(ON_LOGS) - OF_AN_OWN_PACKAGE))
def test_a_log_of_a_newer_format_is_refused(run: Run, folder: Path, log: str, command: str) -> None:
    with sqlite3.connect(log.removeprefix("sqlite:///")) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    ended = run(*call(command, log))

    assert_teaches(ended)
    assert "format 99" in ended.err


@pytest.mark.parametrize("command", sorted(WRITE_TO_A_LOG))
def test_a_command_that_writes_refuses_a_log_that_it_may_only_read(run: Run, log: str, command: str) -> None:
    assert_teaches(run(*call(command, f"{log}?mode=ro")))
    assert_teaches(run(*call(command, "memory:")))


@pytest.mark.parametrize(
    "app", ["nowhere:app", "tests.nowhere:app", "tests.test_loud", "tests.test_loud:aap", "tests.test_loud:Row", ":app"]
)
@pytest.mark.parametrize("command", [name for name in EXISTING if "--app" in " ".join(call(name, "x"))])
def test_an_app_that_is_not_there_is_refused(run: Run, log: str, command: str, app: str) -> None:
    ended = run(*call(command, log, MODULE_ATTR=app))

    assert_teaches(ended)
    assert f"--app {app}: " in ended.err


@pytest.mark.parametrize("command", ON_LOGS)
def test_what_is_required_and_missing_is_wrong_usage(run: Run, log: str, command: str) -> None:
    assert run(command).code == 2
    assert run(*call(command, log), "--nonsense").code == 2
    if "--app" in call(command, log):
        ended = run(*call(command, log, MODULE_ATTR=None))
        assert ended.code == 2
        assert "--app" in ended.err


@pytest.mark.parametrize(
    ("command", "metavar"),
    [
        (name, each.metavar)
        for name in EXISTING
        for each in COMMANDS[name].params
        if each.param_type_name == "argument" and each.metavar in MISTYPED
    ],
)
def test_a_name_that_does_not_exist_brings_similar_ones(run: Run, log: str, command: str, metavar: str) -> None:
    ended = run(*call(command, log, optional=True, **{metavar: MISTYPED[metavar]}))

    assert_teaches(ended)
    assert SIMILAR[metavar] in ended.err.splitlines()[-1]


@pytest.mark.parametrize(
    "command", [name for name in EXISTING if any("KEY" in str(each.metavar) for each in COMMANDS[name].params)]
)
def test_a_key_with_too_many_parts_is_refused(run: Run, log: str, command: str) -> None:
    assert_teaches(run(*call(command, log, optional=True), "more", "and more"))


def test_the_position_of_a_reactor_s_event_is_a_number(run: Run, log: str) -> None:
    ended = run("retry", "--app", APP, log, "mail", "seventeen")

    assert ended.code == 2
    assert "'seventeen'" in ended.err


AS_NOBODY = """
import json, os, shutil, sys, tempfile, traceback
from typer.testing import CliRunner
from leftfold.cli.program import program

def run(call):
    done = CliRunner().invoke(program, call)
    raised = traceback.format_exception(done.exception) if done.exit_code == 1 and done.exception else []
    return done.exit_code, done.stdout, done.stderr + "".join(raised[-3:])

calls, here = json.loads(sys.argv[1]), os.getcwd()
with tempfile.TemporaryDirectory() as other:  # imports what may not be readable afterwards
    shutil.copytree(here, other, dirs_exist_ok=True)
    os.chdir(other)
    for call in calls:
        call[0] == "work" or run([each.replace(here, other) for each in call])
    os.chdir(here)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print(json.dumps({call[0]: run(call) for call in calls}))
"""


def as_nobody(calls: Sequence[Sequence[str]], folder: Path) -> dict[str, Ended]:
    """Run commands as a user who owns nothing."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, json.dumps(calls)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name: Ended(*ended) for name, ended in json.loads(done.stdout).items()}


@pytest.fixture
async def read_only_log() -> AsyncIterator[str]:
    """A log that others may read, in a folder that they may enter; its read models are beside it."""
    folder = Path(mkdtemp(prefix="leftfold-"))
    BAD.add("x")
    places = two_files(folder)
    async with opened(places, FakeClock()) as live:
        await fail_everywhere(live)
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    yield places[0]
    shutil.rmtree(folder)


def test_a_file_that_this_user_may_only_read_is_read_and_never_written(read_only_log: str) -> None:
    folder = Path(read_only_log.removeprefix("sqlite:///")).parent
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    commands = sorted(set(ON_LOGS) - OF_AN_OWN_PACKAGE)
    ended = as_nobody([call(each, read_only_log, optional=True, TICKET=None) for each in commands], folder)

    for command in ("copy", "init", "rebuild", "retry", "skip", "cancel", "work"):
        assert_teaches(ended.pop(command))
    assert {name: each for name, each in ended.items() if each.code not in (0, 1)} == {}
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


FORMER = {
    ("commands", "--retry", "5f2c"): "leftfold retry",
    ("commands", "--cancel", "5f2c"): "leftfold cancel",
    ("processes", "Greeting", "x", "--retry"): "leftfold retry",
    ("processes", "Greeting", "x", "--skip"): "leftfold skip",
    ("processes", "Greeting", "x", "--cancel"): "leftfold cancel",
    ("projections", "retry", "Row"): "leftfold retry",
    ("projections", "skip", "Row", "x"): "leftfold skip",
    ("projections", "show", "Row", "x"): "Leave out show",
    ("reactors", "retry", "mail"): "leftfold retry",
    ("reactors", "show", "mail"): "Leave out show",
}


@pytest.mark.parametrize("former", FORMER, ids=" ".join)
def test_a_former_option_names_the_command_that_does_it_now(run: Run, log: str, former: tuple[str, ...]) -> None:
    ended = run(former[0], "--app", APP, log, *former[1:])

    assert ended.code == 2
    assert FORMER[former] in " ".join(ended.err.replace("│", " ").split())
