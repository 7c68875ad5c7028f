"""What each extra adds is enough for the programs of the README that need it: no other package is imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import blocks_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "models": ("sqlalchemy", "greenlet"),
    "postgres": ("psycopg", "psycopg_binary"),
    "web": ("starlette", "uvicorn", "h11"),
    "cli": ("typer", "rich"),
    "testing": ("pytest", "pytest_asyncio", "hypothesis"),
}
FIRST, SECOND = [
    block.source for block in blocks_of((ROOT / "README.md").read_text("utf-8")) if block.language == "python"
]
ASYNC = re.compile(r"^async with ", re.MULTILINE)


def without(*present: str) -> str:
    """Return code that hides the packages of all extras but these."""
    hidden = [name for extra, names in PACKAGES.items() if extra not in present for name in names]
    return f"import sys\nsys.modules.update(dict.fromkeys({hidden}))\n"


def run(folder: Path, code: str) -> str:
    (folder / "program.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_program_needs_no_extra(tmp_path: Path) -> None:
    assert "-> 350" in run(tmp_path, without() + FIRST)


def test_read_models_need_the_extra_models_alone(tmp_path: Path) -> None:
    synchronous = ASYNC.sub("with ", SECOND).replace("await ", "").replace("bank.open(", "bank.open_sync(")

    assert "amount=250" in run(tmp_path, without("models") + synchronous)


@pytest.mark.parametrize("command", ["events", "info", "verify"])
def test_the_command_line_needs_no_driver_of_postgresql(command: str, tmp_path: Path) -> None:
    run(tmp_path, without() + FIRST)
    code = f"from leftfold.cli import main\nsys.argv = ['leftfold', {command!r}, 'sqlite:///first.db']\nmain()\n"

    assert run(tmp_path, without("models", "cli") + code)
