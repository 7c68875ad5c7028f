"""`leftfold info`: what a log holds, without touching anything."""

import sqlite3
from pathlib import Path

from tests.cli.conftest import BANK, Run


def test_info_counts_events_by_type(run: Run, log: str) -> None:
    ended = run("info", log)

    facts = dict(line.split(maxsplit=1) for line in ended.lines[:9])
    assert facts["events"] == "6, positions 1 to 6"
    assert (facts["first"], facts["last"]) == ("2026-01-01T10:01:00Z", "2026-01-01T10:06:00Z")
    assert facts["keys"] == "6 idempotency keys"
    assert facts["file"].startswith("bank.db, ")
    assert facts["durable"] == "each commit is synced"
    assert [line.split() for line in ended.lines[12:]] == [
        ["account.deposited", "1", "3", "3"],
        ["account.opened", "2", "1", "2"],
        ["account.transferred", "1", "4", "4"],
        ["account.withdrawn", "2", "5", "6"],
    ]


def test_info_says_when_the_url_opens_the_log_less_durably(run: Run, log: str) -> None:
    assert "a power failure may lose recent commits" in run("info", f"{log}?may_lose=recent-commits").out


def test_info_in_json(run: Run, log: str, folder: Path) -> None:
    connection = sqlite3.connect(folder / "bank.db")
    identity = connection.execute("SELECT id FROM log").fetchone()
    connection.close()

    [facts] = run("info", log, "--json").objects

    assert (facts["log"], facts["positions"]) == (*identity, 6)
    assert facts["statistics"]["types"][0] == {"type": "account.deposited", "events": 1, "first": 3, "last": 3}
    assert facts["statistics"]["file"]["path"] == "bank.db"
    assert "read_models" not in facts


def test_info_with_an_app_tells_how_far_its_read_models_are_kept(run: Run, log: str, folder: Path) -> None:
    [kept] = run("info", *BANK, log, "--json").objects
    for file in folder.glob("bank.models.db*"):
        file.unlink()
    [gone] = run("info", *BANK, log, "--json").objects

    assert [row["name"] for row in kept["read_models"]] == ["Balance"]
    assert kept["read_models"][0]["position"] + kept["read_models"][0]["lag"] == 6
    assert gone["read_models"] == [{"name": "Balance", "position": None, "lag": 6}]
    assert run("info", *BANK, log).lines[-1].split() == ["Balance", "not", "kept", "6"]
    assert list(folder.glob("bank.models.db*")) == []


def test_info_with_an_app_marks_the_types_that_it_does_not_know(run: Run, strange_log: str) -> None:
    assert run("info", *BANK, strange_log, "--json").objects[0]["unknown"] == ["raw"]


def test_info_of_an_empty_log(run: Run) -> None:
    ended = run("info", "memory:")

    assert ended.code == 0
    assert [line.split() for line in ended.lines[1:]] == [["events", "0"]]
