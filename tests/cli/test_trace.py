"""`leftfold trace`: the tree, the pictures, JSON; with rows if the models beside the log keep them; wrong arguments."""

import asyncio
from pathlib import Path

import pytest

from leftfold import NewEvent, recording
from tests.cli.conftest import Run
from tests.trace.test_traces import Deliver, Send, post

POST = ("--app", "tests.trace.test_traces:post")


@pytest.fixture
def url(folder: Path) -> str:
    """A log with one delivery, a rejection, and read models beside it."""
    url = f"sqlite:///{folder}/post.db"

    async def fill() -> None:
        async with post.open(url, work=("projections",)) as live:
            with recording(actor="ann", reason="a \x1b[31mred parcel", correlation="c-1"):
                await live.execute(Send("p"))
            await live.run_until_quiet()
            with recording(correlation="c-1"):
                await live.submit(Deliver("p"))
            await live.run_until_quiet()

    asyncio.run(fill())
    return url


def test_the_tree_shows_each_step_below_its_cause(run: Run, url: str) -> None:
    shown = run("trace", *POST, url, "1")

    assert shown.code == 0, shown.err
    steps = [
        line for line in shown.lines if line.lstrip().startswith(("Send", "process", "Deliver", "Search", "reactor"))
    ]
    assert [line.split(" after")[0].split(" for")[0] for line in steps] == [
        "Send  executed",
        "    process Delivery/p  answered",
        "      Deliver  handled",
        "          process Delivery/p  answered, and ended",
        "          reactor mail  handled",
        "      Search  scheduled",
        "Deliver  rejected",
    ]
    assert "    by ann" in shown.lines
    assert "    because a \\u001b[31mred parcel" in shown.lines
    assert '    it has arrived before {"parcel":"p"}' in shown.lines


def test_rows_are_shown_as_they_became(run: Run, url: str) -> None:
    shown = run("trace", *POST, url, "c-1")

    rows = [line.strip() for line in shown.lines if "row " in line]
    assert rows == [
        'row Where p: new: parcel=p place="on the road"',
        "row Known p",
        'row Where p: parcel=p place="at home"',
    ]


def test_without_models_beside_the_log_rows_are_named(run: Run, url: str, folder: Path) -> None:
    for each in folder.glob("post.models.db*"):
        each.unlink()
    before = sorted(folder.iterdir())

    shown = run("trace", *POST, url, "c-1")

    assert [line.strip() for line in shown.lines if "row " in line] == ["row Where p", "row Known p", "row Where p"]
    assert sorted(each for each in folder.iterdir() if not each.name.endswith(("-wal", "-shm"))) == [
        each for each in before if not each.name.endswith(("-wal", "-shm"))
    ]


def test_json_is_the_whole_trace_on_one_line(run: Run, url: str) -> None:
    [trace] = run("trace", *POST, url, "1", "--json").objects

    assert trace["correlation"] == "c-1"
    assert [each["state"] for each in trace["commands"]] == ["executed", "rejected"]
    [sent] = trace["commands"][0]["events"]
    assert sent["event"] == {"parcel": "p", "hops": 0}
    assert [each["type"] for each in sent["reactions"][0]["commands"]] == ["Deliver", "Search"]


def test_an_event_that_cannot_be_read_is_shown_as_such(run: Run, url: str) -> None:
    async def append() -> int:
        async with post.open(url, work=()) as live:
            said = b'{"correlation":"c-2"}'
            odd = [NewEvent("unknown", b"{}", (), 1, said), NewEvent("sent", b"no JSON", ("parcel:p",), 1, said)]
            return (await live.store.append(odd)).first

    shown = run("trace", *POST, url, str(asyncio.run(append())))

    assert shown.code == 0, shown.err
    assert shown.out.count("the app has no class that can read it") == 2


def test_pictures_are_printed_as_text(run: Run, url: str) -> None:
    assert run("trace", *POST, url, "1", "--mermaid").lines[0] == "flowchart LR"
    assert run("trace", *POST, url, "1", "--dot").lines[0] == "digraph trace {"


def test_a_correlation_may_be_a_number(run: Run, url: str) -> None:
    async def send() -> None:
        async with post.open(url, work=()) as live:
            with recording(correlation="4711"):
                await live.execute(Send("q"))

    asyncio.run(send())

    assert "parcel=q" in run("trace", *POST, url, "4711").out


def test_wrong_arguments_are_refused_by_name(run: Run, url: str) -> None:
    both = run("trace", *POST, url, "1", "--mermaid", "--json")
    unknown = run("trace", *POST, url, "nobody")
    ahead = run("trace", *POST, url, "999")

    assert (both.code, unknown.code, ahead.code) == (2, 3, 3)
    assert "choose one of --json, --mermaid and --dot" in " ".join(both.err.split())
    assert "nothing in the log is called 'nobody'" in unknown.err
    assert "nothing in the log is called '999'" in ahead.err
