"""`--traceback`: where the error was raised, of whatever is parked or failed for good."""

from pathlib import Path

import pytest

from leftfold.testing import FakeClock
from tests.cli.conftest import Run
from tests.test_loud import BAD, Row, fail_everywhere, opened, two_files

APP = ("--app", "tests.test_loud:app")


@pytest.fixture
async def failed(folder: Path) -> str:
    """A log whose one event nothing could handle, and a command that failed."""
    BAD.add("x")
    places = two_files(folder)
    async with opened(places, FakeClock()) as live:
        await fail_everywhere(live)
    BAD.clear()
    return places[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("projections", (Row.__name__, "x")),
        ("projections", ("lines",)),
        ("processes", ("Greeting", "x")),
        ("reactors", ("mail",)),
        ("commands", ()),
    ],
)
def test_it_is_shown_where_it_is_asked_for(run: Run, failed: str, arguments: tuple[str, tuple[str, ...]]) -> None:
    name, more = arguments

    plain = run(name, *APP, failed, *more)
    assert "in refuse" not in plain.out

    ended = run(name, *APP, failed, *more, "--traceback")
    assert ended.code == 0
    assert "in refuse" in ended.out
    assert ended.lines[-1] == "ValueError: x is bad"
