"""The program as a whole: help, version, apps, files that are not there, and exit codes."""

import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import leftfold.cli
from leftfold.cli.demo import PLACES
from tests.cli.conftest import BANK, Run

COMMANDS = {
    "info": (),
    "events": (),
    "verify": (),
    "explain": ("Account", "a-1", *BANK),
    "state": ("Account", "a-1", *BANK),
    "query": ("Richest", *BANK),
    "projections": BANK,
    "rebuild": ("Balance", *BANK),
}


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"leftfold {version('leftfold')}\n", "")


def test_help_lists_the_commands_and_exit_codes(run: Run) -> None:
    ended = run("--help")

    assert ended.code == 0
    assert all(command in ended.out for command in (*COMMANDS, "demo"))
    assert "130 interrupted" in ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_no_log_is_an_error(run: Run, folder: Path, command: str) -> None:
    (folder / "notes.db").write_text("shopping list\n" * 100)
    (folder / "empty.db").touch()

    for name in ("notes.db", "empty.db"):
        ended = run(command, f"sqlite:///{name}", *COMMANDS[command])

        assert (ended.code, ended.out) == (3, "")
        assert f"error: {name} is not a leftfold log, or it is corrupt" in ended.err
    assert (folder / "notes.db").read_text() == "shopping list\n" * 100


@pytest.mark.parametrize("url", ["bank.db", "mysql://x/y", "sqlite://bank.db", "sqlite:///bank.db?mod=ro"])
def test_a_url_that_is_not_understood_teaches(run: Run, url: str) -> None:
    ended = run("info", url)

    assert ended.code == 3
    assert f"the store URL '{url}" in ended.err
    assert "sqlite:///relative.db" in ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_reading_leaves_the_log_as_it_is(run: Run, log: str, folder: Path, command: str) -> None:
    before = (folder / "bank.db").read_bytes()

    assert run(command, log, *COMMANDS[command]).code == 0

    assert (folder / "bank.db").read_bytes() == before


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        ("nowhere:app", "there is no module 'nowhere'"),
        ("examples.nowhere:app", "there is no module 'examples.nowhere'"),
        ("examples.bank", "this is a module, without an attribute"),
        ("examples.bank:bonk", "the module examples.bank has no 'bonk'"),
        ("examples.bank:Account", "Account is not an App but a MessageMeta"),
        (":bank", "Empty module name"),
    ],
)
def test_an_app_that_cannot_be_found_is_an_error(run: Run, log: str, app: str, problem: str) -> None:
    ended = run("state", log, "Account", "a-1", "--app", app)

    assert ended.code == 3
    assert f"error: --app {app}: " in ended.err
    assert problem in ended.err


def test_the_right_name_of_an_app_is_suggested(run: Run, log: str) -> None:
    assert "try --app examples.bank:bank" in run("info", log, "--app", "examples.bank:app").err


def test_an_app_of_the_working_directory_is_found(run: Run, log: str, folder: Path) -> None:
    (folder / "own_app.py").write_text("from leftfold import App\nown = App('own')\n")

    assert run("info", log, "--app", "own_app:own").code == 0


def test_an_app_whose_module_fails_says_where(run: Run, log: str, folder: Path) -> None:
    (folder / "failing_app.py").write_text("from leftfold import App\n\nown = App(nmae)\n")
    (folder / "importing_app.py").write_text("import not_installed\n")

    failing = run("info", log, "--app", "failing_app:own")
    importing = run("info", log, "--app", "importing_app:own")

    assert (failing.code, importing.code) == (3, 3)
    assert "failing_app.py, line 3: NameError: name 'nmae' is not defined" in failing.err
    assert "importing_app.py, line 1: ModuleNotFoundError: No module named 'not_installed'" in importing.err


def test_a_command_that_needs_an_app_says_so(run: Run, log: str) -> None:
    ended = run("state", log, "Account", "a-1")

    assert ended.code == 2
    assert "--app" in ended.err


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("leftfold.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setitem(sys.modules, f"{missing}.text", None)

    with pytest.raises(SystemExit) as left:
        leftfold.cli.main()

    assert left.value.code == 3
    assert "pip install 'leftfold[cli]'" in capsys.readouterr().err


class FakeDemo(ModuleType):
    """Stands in the flights example's place, and notes what it is asked for."""

    def __init__(self, code: int) -> None:
        super().__init__("examples.flights.demo")
        self.code = code
        self.asked: list[Any] = []

    def run_demo(self, months: list[int], year: int, directory: Path, console: Any, *, database: str | None) -> int:
        self.asked = [months, year, directory, database]
        console.print("flown")
        return self.code


def test_demo_runs_the_flights_of_the_asked_months(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    example = FakeDemo(0)
    monkeypatch.setitem(sys.modules, PLACES[0], example)

    assert run("demo") == (0, "flown\n", "")
    assert example.asked == [[1, 2], 2013, Path(".demo"), None]
    assert run("demo", "--months", "11-12,2,2-3", "--year", 2014, "--dir", "here").code == 0
    assert example.asked == [[2, 3, 11, 12], 2014, Path("here"), None]
    assert run("demo", "--database", "postgresql://db/flights").code == 0
    assert example.asked == [[1, 2], 2013, Path(".demo"), "postgresql://db/flights"]


def test_demo_ends_with_the_example_s_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PLACES[0], FakeDemo(1))

    assert run("demo").code == 1


@pytest.mark.parametrize("months", ["0", "13", "1-13", "january", "3-1", "1-2-3", "", "1,,2"])
def test_demo_takes_months_from_1_to_12(run: Run, months: str) -> None:
    ended = run("demo", "--months", months)

    assert ended.code == 2
    assert "does not name months" in ended.err


def test_demo_without_its_data_names_the_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.flights.reports.find_spec", lambda name: None)

    ended = run("demo", "--months", 1)

    assert ended.code == 3
    assert "pip install 'leftfold[demo]'" in ended.err


def test_demo_of_a_year_that_the_data_does_not_have_is_an_error(run: Run, folder: Path) -> None:
    ended = run("demo", "--year", 1999)

    assert (ended.code, ended.out) == (3, "")
    assert "1999" in ended.err
    assert not (folder / ".demo").exists()
