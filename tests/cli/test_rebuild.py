"""`leftfold rebuild`: what it says, and what it leaves behind."""

import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import BANK, Run


def change(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "bank.models.db")
    connection.execute(statement)
    connection.commit()
    connection.close()


def tables(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / "bank.models.db")
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    connection.close()
    return [name for (name,) in found if name.startswith("balance") and "history" not in name]


@pytest.fixture
def kept(run: Run, log: str) -> str:
    """A log whose read models are level."""
    assert run("query", *BANK, log, "Richest").code == 0
    return log


def test_a_dry_run_shows_what_would_change(run: Run, kept: str, folder: Path) -> None:
    change(folder, "UPDATE balance SET amount = 1 WHERE account = 'a-1'")

    ended = run("rebuild", *BANK, kept, "Balance", "--dry-run")

    assert ended.code == 0
    assert ended.lines[0].startswith("Balance through position 6, folded in ")
    assert ended.lines[1] == "rows: 0 added, 0 removed, 1 changed"
    assert ended.lines[2].startswith("  - account=a-1 ")
    assert ended.lines[2].endswith(" amount=1")
    assert ended.lines[3].endswith(" amount=7300")
    assert ended.lines[4:] == ["dry run: nothing was changed"]
    assert tables(folder) == ["balance"]


def test_a_rebuild_swaps_and_keeps_the_old_table_until_it_is_dropped(run: Run, kept: str, folder: Path) -> None:
    change(folder, "UPDATE balance SET amount = 1 WHERE account = 'a-1'")

    [found] = run("rebuild", *BANK, kept, "Balance", "--json").objects

    assert (found["swapped"], found["differences"]["changed"]) == (True, 1)
    assert tables(folder) == ["balance", "balance__old"]
    assert "7300" in run("query", *BANK, kept, "Richest").out
    assert run("rebuild", *BANK, kept, "Balance", "--drop-old").out == "the former table is dropped\n"
    assert tables(folder) == ["balance"]
    assert run("rebuild", *BANK, kept, "Balance", "--drop-old").out == "there is no former table\n"


def test_what_is_not_there_is_said(run: Run, kept: str, folder: Path) -> None:
    assert "there is no read model or projection 'Height'" in run("rebuild", *BANK, kept, "Height").err
    for file in folder.glob("bank.models.db*"):
        file.unlink()

    ended = run("rebuild", *BANK, kept, "Balance")

    assert ended.code == 3
    assert "error: Balance has no table that was built from this log" in ended.err
    assert list(folder.glob("bank.models.db*")) == []
