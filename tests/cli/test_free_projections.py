"""SQL projections on the command line: named by their names, with the same verbs as read models."""

import importlib
import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Run

APP = """
import json
from pathlib import Path
import sqlalchemy as sa
from typing import Annotated
from leftfold import App, Command, DecisionModel, Event, Tag

ParcelId = Annotated[str, Tag("parcel")]
BAD = set(json.loads(Path(__file__).with_suffix(".json").read_text()))

class Sent(Event, wire="sent"):
    parcel: ParcelId
    weight: int

class Send(Command):
    parcel: ParcelId
    weight: int

tables = sa.MetaData()
weights = sa.Table("weights", tables, sa.Column("parcel", sa.String), sa.Column("weight", sa.Integer))
post = App("post")

@post.projection("parcel weights", tables=tables, version={version})
def weigh(event: Sent, connection: sa.Connection) -> None:
    if event.weight in BAD:
        raise ValueError(f"no parcel weighs {{event.weight}}")
    connection.execute(sa.insert(weights).values(parcel=event.parcel, weight={factor} * event.weight))

@post.handles
def send(command: Send) -> Sent:
    return Sent(command.parcel, command.weight)
"""
URL = "sqlite:///post.db"
NAME = "parcel weights"


def app_of(folder: Path, name: str, bad: set[int], *, version: int = 1, factor: int = 1) -> tuple[str, str]:
    """An app of its own module; what it refuses is read from a file, and so no part of the fingerprint."""
    module = f"{name}_{folder.name}"
    (folder / f"{module}.py").write_text(APP.format(version=version, factor=factor))
    (folder / f"{module}.json").write_text(json.dumps(sorted(bad)))
    return "--app", f"{module}:post"


@pytest.fixture
def post(run: Run, folder: Path) -> tuple[str, str]:
    """A log whose second event holds up the projection, with another one behind it."""
    arguments = app_of(folder, "free_refusing", {13})
    assert run("projections", *arguments, "memory:").code == 0
    module = importlib.import_module(f"free_refusing_{folder.name}")
    with module.post.open_sync(URL) as live:
        for parcel, weight in [("p", 1), ("p", 13), ("q", 2)]:
            live.execute(module.Send(parcel, weight))
        live.run_until_quiet()
        assert [parked.position for parked in live.parked()] == [2]
        assert [event.position for event in live.parked_events(NAME)] == [2, 3]
        assert [parked.position for parked in live.retry(NAME)] == [2]
    return arguments


def rows(folder: Path) -> list[tuple[str, int]]:
    connection = sqlite3.connect(folder / "post.models.db")
    found = connection.execute("SELECT parcel, weight FROM weights ORDER BY rowid").fetchall()
    connection.close()
    return found


def test_it_is_listed_with_what_holds_it_up(run: Run, post: tuple[str, str]) -> None:
    ended = run("projections", *post, URL)
    [found] = run("projections", *post, URL, "--json").objects

    assert ended.lines[2].split()[:5] == ["parcel", "weights", "parked", "1", "2"]
    assert ended.lines[4:] == [
        "parcel weights  ValueError: no parcel weighs 13",
        "  1 key parked with 2 events: the whole projection at 2",
    ]
    assert (found["projections"][0]["state"], found["parked"][0]["queued"]) == ("parked", 2)


def test_show_lists_the_events_that_wait(run: Run, post: tuple[str, str]) -> None:
    assert [each["position"] for each in run("projections", *post, URL, NAME, "--json").objects] == [2, 3]
    assert run("projections", *post, URL, NAME).lines[0].endswith("ValueError: no parcel weighs 13")


def test_retry_after_a_fix_handles_what_waits(run: Run, post: tuple[str, str], folder: Path) -> None:
    fixed = app_of(folder, "free_fixed", set())

    ended = run("retry", *fixed, URL, NAME)

    assert (ended.code, ended.out) == (0, f"projection {NAME}: nothing is parked\n")
    assert rows(folder) == [("p", 1), ("p", 13), ("q", 2)]
    assert run("retry", *fixed, URL, NAME, "p").code == 3


def test_skip_leaves_the_event_out(run: Run, post: tuple[str, str], folder: Path) -> None:
    assert run("skip", *post, URL, NAME).code == 2
    assert run("skip", *post, URL, NAME, "--reason", "typing error").code == 0

    assert rows(folder) == [("p", 1), ("q", 2)]
    assert "leftfold.read_model:parcel weights" in run("events", URL, "--type", "leftfold.event_skipped").out


def test_rebuild_shows_the_difference_and_swaps(run: Run, post: tuple[str, str], folder: Path) -> None:
    assert run("skip", *post, URL, NAME, "--reason", "typing error").code == 0
    doubled = app_of(folder, "free_doubled", set(), version=2, factor=2)

    tried = run("rebuild", *doubled, URL, NAME, "--dry-run")
    done = run("rebuild", *doubled, URL, NAME)

    assert tried.lines[1] == "rows: 2 added, 2 removed, 0 changed"
    assert tried.lines[-1] == "dry run: nothing was changed"
    assert done.lines[-1] == "swapped; the former table is kept until --drop-old"
    assert rows(folder) == [("p", 2), ("q", 4)]
    assert run("rebuild", *doubled, URL, NAME, "--drop-old").out == "the former table is dropped\n"


def test_changed_code_is_refused_with_the_command_that_fixes_it(run: Run, post: tuple[str, str], folder: Path) -> None:
    changed = app_of(folder, "free_changed", set(), factor=3)

    ended = run("retry", *changed, URL, NAME)

    assert ended.code == 3
    assert "leftfold rebuild --app MODULE:ATTR URL 'parcel weights'" in ended.err


def test_info_tells_how_far_it_is(run: Run, post: tuple[str, str]) -> None:
    [facts] = run("info", *post, URL, "--json").objects

    assert facts["projections"] == [{"name": NAME, "position": 1, "lag": 2}]
    assert facts["read_models"] == []
    assert run("info", *post, URL).lines[-1].split() == ["parcel", "weights", "1", "2"]
