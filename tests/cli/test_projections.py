"""`leftfold projections`: how far read models are, what they could not fold; retry and skip of parked keys."""

import json
import sqlite3
from pathlib import Path

import pytest

from leftfold import open_store
from tests.cli.conftest import Run

APP = """
import json
from pathlib import Path
from typing import Annotated, Self
from leftfold import App, Command, DecisionModel, Event, ReadModel, Tag, replace

ParcelId = Annotated[str, Tag("parcel")]
BAD = set(json.loads(Path(__file__).with_suffix(".json").read_text()))

class Sent(Event, wire="sent"):
    parcel: ParcelId
    weight: int

class Send(Command):
    parcel: ParcelId
    weight: int

class Sending(DecisionModel):
    parcel: ParcelId

    def evolve(self, event: Sent) -> Self:
        return self

class Weight(ReadModel):
    parcel: ParcelId
    total: int = 0

    def evolve(self, event: Sent) -> Self:
        if event.weight in BAD:
            raise ValueError(f"no parcel weighs {event.weight}")
        return replace(self, total=self.total + event.weight)

post = App("post")
post.read_model(Weight)

@post.handles
def send(command: Send, sending: Sending) -> Sent:
    return Sent(command.parcel, command.weight)
"""
SENT = [("p", 1), ("p", 13), ("p", 2), ("q", 13), ("r", 5), ("r", 7)]


def app_that_refuses(folder: Path, name: str, bad: set[int]) -> tuple[str, str]:
    """An app of its own module; what it refuses is read from a file, and so no part of the model's fingerprint."""
    (folder / f"{name}.py").write_text(APP)
    (folder / f"{name}.json").write_text(json.dumps(sorted(bad)))
    return "--app", f"{name}:post"


@pytest.fixture
def post(run: Run, folder: Path) -> tuple[str, str]:
    """A log with three parked keys, and the app that cannot fold them."""
    import importlib

    arguments = app_that_refuses(folder, f"refusing_{folder.name}", {13, 7})
    assert run("projections", *arguments, "memory:").code == 0
    module = importlib.import_module(f"refusing_{folder.name}")
    with module.post.open_sync("sqlite:///post.db") as live:
        for parcel, weight in SENT:
            live.execute(module.Send(parcel, weight))
        live.run_until_quiet()
    return arguments


URL = "sqlite:///post.db"


def test_parked_keys_are_grouped_by_the_error(run: Run, post: tuple[str, str]) -> None:
    ended = run("projections", *post, URL)

    assert ended.code == 0
    assert ended.lines[2].split() == ["Weight", "current", "6", "0", "0", "s", "3"]
    assert ended.lines[3:] == [
        "",
        "Weight  ValueError: no parcel weighs 13",
        "  2 keys parked with 3 events: p at 2, q at 4",
        "",
        "Weight  ValueError: no parcel weighs 7",
        "  1 key parked with 1 event: r at 6",
    ]


def test_the_list_in_json(run: Run, post: tuple[str, str]) -> None:
    [found] = run("projections", *post, URL, "--json").objects

    assert found["projections"] == [
        {"name": "Weight", "position": 6, "lag": 0, "lag_seconds": 0.0, "parked": 3, "state": "current"}
    ]
    assert found["parked"][0] == {
        "model": "Weight",
        "table": "weight",
        "key": ["p"],
        "position": 2,
        "problem": "ValueError: no parcel weighs 13",
        "queued": 2,
    }


async def test_lag_is_told_in_events_and_in_seconds(run: Run, post: tuple[str, str], folder: Path) -> None:
    connection = sqlite3.connect(folder / "post.models.db")
    connection.execute("UPDATE leftfold_checkpoint SET position = 4")
    connection.commit()
    connection.close()

    [found] = run_in_thread(run, "projections", *post, URL, "--json")

    [row] = found["projections"]
    assert (row["state"], row["position"], row["lag"]) == ("behind", 4, 2)
    assert 0 < row["lag_seconds"] < 60


def run_in_thread(run: Run, *arguments: str) -> list[dict[str, object]]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(run, *arguments).result().objects


def test_show_lists_the_events_that_wait(run: Run, post: tuple[str, str]) -> None:
    ended = run("projections", *post, URL, "Weight", "p")

    assert ended.lines[0] == "Weight p at 2  ValueError: no parcel weighs 13"
    assert [line.split()[0] for line in ended.lines[1:] if not line.startswith(" ")] == ["2", "3"]
    assert "  parcel=p weight=13" in ended.lines
    objects = run("projections", *post, URL, "Weight", "p", "--json").objects
    assert [each["position"] for each in objects] == [2, 3]


def test_retry_after_a_fix_brings_the_keys_level(run: Run, post: tuple[str, str], folder: Path) -> None:
    fixed = app_that_refuses(folder, f"fixed_{folder.name}", {7})

    one = run("retry", *fixed, URL, "Weight", "p")
    rest = run("retry", *fixed, URL, "projection Weight")

    assert (one.code, one.out) == (0, "projection Weight p: nothing is parked\n")
    assert (rest.code, rest.out) == (1, "")
    assert rest.err == "projection Weight r is parked at position 6: ValueError: no parcel weighs 7\n"
    connection = sqlite3.connect(folder / "post.models.db")
    assert connection.execute("SELECT * FROM weight").fetchall() == [("p", 16), ("q", 13), ("r", 5)]
    connection.close()


async def test_skip_is_in_the_audit_trail(run: Run, post: tuple[str, str]) -> None:
    arguments = ("skip", *post, URL, "Weight", "p", "--reason", "typing error", "--actor", "ann")
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as threads:
        ended = threads.submit(run, *arguments).result()
        trail = threads.submit(run, "events", URL, "--type", "leftfold.event_skipped").result()

    assert (ended.code, ended.out) == (0, "projection Weight p: skipped\n")
    assert "leftfold.read_model:weight" in trail.lines[0]
    assert trail.lines[2].startswith("  by ann · because typing error · caused by position 2")
    async with open_store(URL) as store:
        assert await store.head() == len(SENT) + 1


def test_skip_needs_a_reason_and_what_is_not_parked_is_refused(run: Run, post: tuple[str, str]) -> None:
    assert run("skip", *post, URL, "Weight", "p").code == 2
    assert run("skip", *post, URL, "Weight", "--reason", "x").code == 3
    assert run("retry", *post, URL).code == 2
    assert run("retry", *post, URL, "Height").code == 3
    assert run("retry", *post, URL, "Weight", "zz").code == 3


def test_one_model_is_listed_alone(run: Run, post: tuple[str, str]) -> None:
    ended = run("projections", *post, URL, "Weight")

    assert ended.lines[2].split()[:2] == ["Weight", "current"]
    assert "write 'Weight'" in run("projections", *post, URL, "weight").err
