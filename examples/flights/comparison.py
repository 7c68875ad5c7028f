"""The comparison: what the app answers, held against what `independent.py` computes without leftfold."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from leftfold import LiveApp

from .app import BoardAt, RejectionsByReason, Totals

SCRIPT = Path(__file__).with_name("independent.py")
Answers = Mapping[str, Any]


async def independent_answers(months: Sequence[int], until: datetime) -> Answers:
    """Return what the independent script prints, run in a process of its own."""
    command = (sys.executable, str(SCRIPT), "--months", ",".join(map(str, months)), "--until", until.isoformat())
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        printed, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    answers: Answers = json.loads(printed)
    return answers


async def compare(live: LiveApp, expected: Answers) -> dict[str, bool]:
    """Ask the app the same questions, and say of each whether the answers are equal."""
    boards = [await board(live, asked["airport"], asked["at"]) for asked in expected["boards"]]
    refused = await live.query(RejectionsByReason())
    return {
        f"departures, arrivals, diversions, cancellations of {len(expected['airports'])} airports": (
            await airports(live) == expected["airports"]
        ),
        "rejections by reason": refused == {reason: n for reason, n in expected["rejections"].items() if n},
        **{
            f"{asked['airport']} as of {asked['at']}, {len(asked['flights'])} flights": found == asked
            for found, asked in zip(boards, expected["boards"], strict=True)
        },
    }


async def airports(live: LiveApp) -> dict[str, dict[str, int]]:
    """Return the totals of each airport at which anything happened."""
    counted = {
        total.airport: {
            "departures": total.departures,
            "arrivals": total.arrivals,
            "diversions": total.diversions,
            "cancellations": total.cancellations,
        }
        for total in await live.query(Totals())
    }
    return {airport: counts for airport, counts in counted.items() if any(counts.values())}


async def board(live: LiveApp, airport: str, at: str) -> dict[str, Any]:
    """Return a board as it stood at an instant."""
    instant = datetime.fromisoformat(at)
    return {
        "airport": airport,
        "at": at,
        "flights": [
            {
                "flight": line.flight,
                "scheduled": stamp(line.scheduled),
                "destination": line.destination,
                "status": line.status,
                "delay": line.delay,
            }
            for line in await live.query(BoardAt(airport, instant), as_of=instant)
        ],
    }


def stamp(instant: datetime) -> str:
    """Write an instant, such as ``2013-02-08T20:00Z``."""
    return instant.strftime("%Y-%m-%dT%H:%MZ")
