"""Both type checkers, without a plugin, see in user code what leftfold promises: the files beside this one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ACCEPTED = sorted(HERE.glob("accepts_*.py"))
REJECTED = sorted(HERE.glob("rejects_*.py"))
MARK = re.compile(r"# error(?:: (?P<checker>\w+))?$")
MYPY_ERROR = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: (?P<message>.*)")

Reports = dict[tuple[str, int], str]
"""What a checker says, by the name of the file and the line."""


def run(*command: str | Path) -> str:
    """The output of a checker; it ends with 1 when it has something to report, with more when it failed."""
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy() -> Reports:
    """All that mypy --strict says of the files, as configured for a user: not at all."""
    cache = ROOT / ".mypy_cache" / "users"
    output = run(
        *(sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", cache),
        *("--no-pretty", "--no-error-summary", *(path.name for path in (*ACCEPTED, *REJECTED))),
    )
    found = (MYPY_ERROR.fullmatch(line) for line in output.splitlines())
    return {(Path(error["file"]).name, int(error["line"])): error["message"] for error in found if error}


def pyright() -> Reports:
    """All that pyright says of the files, strict as their first line asks."""
    paths = [path.name for path in (*ACCEPTED, *REJECTED)]
    output = run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", *paths)
    return {
        (Path(found["file"]).name, found["range"]["start"]["line"] + 1): found["message"]
        for found in json.loads(output)["generalDiagnostics"]
        if found["severity"] == "error"
    }


@pytest.fixture(scope="module", params=[mypy, pyright], ids=["mypy", "pyright"])
def checked(request: pytest.FixtureRequest) -> tuple[str, Reports]:
    """The name of a checker and what it reports."""
    return request.param.__name__, request.param()


def marked(path: Path, checker: str) -> set[int]:
    """The lines of a file that the checker must report."""
    marks = ((number, MARK.search(line)) for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1))
    return {number for number, mark in marks if mark and mark["checker"] in (None, checker)}


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.stem)
def test_correct_code_is_accepted(path: Path, checked: tuple[str, Reports]) -> None:
    _, reports = checked

    assert {line: message for (name, line), message in reports.items() if name == path.name} == {}


@pytest.mark.parametrize("path", REJECTED, ids=lambda path: path.stem)
def test_mistakes_and_nothing_else_are_reported(path: Path, checked: tuple[str, Reports]) -> None:
    checker, reports = checked
    expected = marked(path, checker)

    reported = {line: message for (name, line), message in reports.items() if name == path.name}

    assert expected
    assert {line: message for line, message in reported.items() if line not in expected} == {}
    assert sorted(expected - set(reported)) == []
