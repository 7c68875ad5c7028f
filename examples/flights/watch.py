"""Live: an airport's latest departures while reports come in, shown anew whenever the board has changed."""

import asyncio
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.live import Live

from leftfold import LiveApp

from . import tables
from .app import Departures, flights
from .commands import Report
from .load import load
from .read_models import Board

Show = Callable[[Sequence[Board]], None]
LINES = 12
CATCHING_UP = 600.0  # seconds


def run_watch(reports: Sequence[Report], airport: str, console: Console) -> None:
    """Load the reports into memory, and watch an airport's board meanwhile."""
    with Live(console=console, auto_refresh=False) as screen:

        def show(board: Sequence[Board]) -> None:
            screen.update(tables.departures(board, airport), refresh=True)

        asyncio.run(load_and_watch(reports, airport, show))


async def load_and_watch(reports: Sequence[Report], airport: str, show: Show) -> None:
    """Show the board as it changes, and at last as it is once all reports are in."""
    asked = Departures(airport, LINES)
    async with flights.open("memory:") as live:
        watching = asyncio.create_task(watch(live, asked, show))
        await load(live, reports)
        last = await live.query(asked, after=await live.store.head(), wait_timeout=CATCHING_UP)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    show(last)


async def watch(live: LiveApp, asked: Departures, show: Show) -> None:
    """Show each answer; while one is shown the read model goes on, and the next one is the newest."""
    async for board in live.watch(asked):
        show(board)
