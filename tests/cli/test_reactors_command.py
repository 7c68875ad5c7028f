"""`leftfold reactors`: how far they are, what they wait with, and what is done about it."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run

CLUB = """
from typing import Annotated
from leftfold import App, Backoff, Command, Event, Tag

class Joined(Event):
    name: Annotated[str, Tag("name")]

class Join(Command):
    name: Annotated[str, Tag("name")]

club = App("club")

@club.handles
def join(command: Join) -> Joined:
    return Joined(command.name)

@club.reactor("welcome mail", start="from_start", backoff=Backoff(attempts=1))
async def welcome(event: Joined) -> None:
    if event.name == "bob":
        raise ConnectionError("no line")

@club.reactor("other", start="from_now")
async def other(event: Joined) -> None:
    pass
"""
URL = "sqlite:///club.db"
APP = ("--app", "reactors_club:club")


@pytest.fixture
async def club(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three who joined; one of them could not be welcomed."""
    import importlib
    import sys

    (folder / "reactors_club.py").write_text(CLUB)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "reactors_club", raising=False)
    module = importlib.import_module("reactors_club")
    async with module.club.open(URL, work=False) as live:
        for name in ("ann", "bob", "cem"):
            await live.execute(module.Join(name))
        await live.run_until_quiet()
    return URL


def test_reactors_lists_how_far_each_is(run: Run, club: str) -> None:
    mail, other = run("reactors", *APP, club, "--json").objects

    assert (mail["name"], mail["state"], mail["lag"], mail["parked"]) == ("welcome mail", "parked", 0, 1)
    assert (other["name"], other["state"], other["waiting"], other["in_order"]) == ("other", "running", 0, False)
    assert "welcome mail" in run("reactors", *APP, club).lines[2]


def test_reactors_shows_what_waits_with_its_error(run: Run, club: str) -> None:
    [parked] = run("reactors", *APP, club, "welcome mail", "--json").objects

    assert (parked["state"], parked["attempts"], parked["error"]) == ("parked", 1, "ConnectionError: no line")
    assert "ConnectionError: no line" in run("reactors", *APP, club, "welcome mail").out
    assert run("reactors", *APP, club, "other").err == "other waits for no event\n"


def test_a_parked_event_is_retried_with_who_and_why(run: Run, club: str) -> None:
    ended = run("retry", *APP, club, "welcome mail", "--reason", "repaired", "--actor", "ann")

    assert ended.out == "reactor welcome mail: a worker will retry 1 item\n"
    [event] = run("events", club, "--type", "leftfold.reactor.retried", "--json").objects
    assert event["metadata"] == {"actor": "ann", "reason": "repaired"}
    assert [row["waiting"] for row in run("reactors", *APP, club, "--json").objects] == [1, 0]


def test_a_parked_event_is_skipped_with_who_and_why(run: Run, club: str) -> None:
    [parked] = run("reactors", *APP, club, "welcome mail", "--json").objects
    skip = ("skip", *APP, club, "reactor welcome mail", parked["position"])
    assert run(*skip).code == 2

    assert run(*skip, "--reason", "moved away").code == 0

    [event] = run("events", club, "--type", "leftfold.reactor.skipped", "--json").objects
    assert event["metadata"] == {"reason": "moved away"}
    assert run(*skip, "--reason", "again").code == 3


def test_what_is_asked_wrongly_is_told(run: Run, club: str) -> None:
    assert run("retry", *APP, club).code == 2
    assert "write 'welcome mail'" in run("reactors", *APP, club, "welcome mial").err
    assert run("reactors", "--app", "examples.bank:bank", club).err == "the app has no reactors\n"
