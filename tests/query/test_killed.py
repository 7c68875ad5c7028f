"""Projecting processes that are killed: each event is in the tables exactly once all the same."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from leftfold.model.message import Event
from leftfold.store import EventStore, open_store
from tests.query.bank import Balance, Deposited, Opened, Transferred, append, ask, folded, reading, sorted_rows
from tests.query.places import place, url

__all__ = ["place", "url"]

ROOT = Path(__file__).parents[2]
EVENTS: list[Event] = [Opened(f"{n}") for n in range(50)] + [
    Transferred(f"{n % 50}", f"{n % 7}", n % 5) if n % 3 else Deposited(f"{n % 50}", n) for n in range(7_950)
]
FOLDING = """
import asyncio, sys
from leftfold.store import open_store
from leftfold.store import reading as reading_the_log
from tests.query.bank import Balance, reading

reading_the_log.MAX_EVENTS_PER_BATCH = 800  # so that there are some transactions to be killed between

async def main(url):
    options = dict(url=sys.argv[2], history=True, shards=int(sys.argv[3]))
    async with open_store(url) as store, reading(store, Balance, **options) as read_side:
        before = int(sys.argv[4])
        while True:
            await read_side.wait(Balance, before + 1, timeout=900)
            before = (await read_side.status())[0].position
            print(before, flush=True)
            sys.stdin.readline()  # held here, it folds no further than to the end of what it is about

asyncio.run(main(sys.argv[1]))
"""


def fold_until_killed(log: str, url: str, after: int) -> int:
    """Run a process that folds, and kill it as soon as it has got any further; how far it said it was."""
    with folding(log, url, after=after, stdin=subprocess.PIPE) as process:
        try:
            return position_beyond(after, process)
        finally:
            process.kill()


def folding(
    log: str, url: str, shards: int = 1, after: int = 0, stdin: int = subprocess.DEVNULL
) -> "subprocess.Popen[str]":
    """A process that folds and says when it is beyond `after`; with a pipe for its input it is held there."""
    command = [sys.executable, "-c", FOLDING, log, url, str(shards), str(after)]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def position_beyond(after: int, process: "subprocess.Popen[str]") -> int:
    """The first position beyond this one that a process says the model has reached."""
    assert process.stdout is not None
    return next(position for line in process.stdout if (position := int(line)) > after)


async def test_a_killed_process_leaves_the_tables_as_of_its_checkpoint(tmp_path: Path, url: str) -> None:
    log = f"sqlite:///{tmp_path}/bank.db"
    async with open_store(log) as store:
        await append(store, *EVENTS)
        position = 0
        for _ in range(4):
            position = fold_until_killed(log, url, position)
        assert 0 < position < len(EVENTS)

        await check(store, url, position)


async def test_of_several_processes_that_share_a_model_any_may_be_killed(tmp_path: Path, url: str) -> None:
    log = f"sqlite:///{tmp_path}/bank.db"
    async with open_store(log) as store:
        half = await append(store, *EVENTS[: len(EVENTS) // 2])
        with folding(log, url, 4) as first, folding(log, url, 4) as second:
            position_beyond(0, first)
            position_beyond(half - 1, second)
            await append(store, *EVENTS[half:])
            first.kill()
            position = position_beyond(half, second)  # with what the first one has left
            second.kill()

        await check(store, url, position, shards=4)


async def check(store: EventStore, url: str, past_position: int, **options: Any) -> None:
    """Fold what is missing, and compare with the plain fold: rows, versions, and those of the past."""
    async with reading(store, Balance, url=url, history=True, **options) as read_side:
        await read_side.wait(Balance, len(EVENTS))
        rows = await ask(read_side, lambda models: models.select(Balance))
        versions = sa.text("SELECT count(*), count(DISTINCT valid_from || '/' || account) FROM balance_history")
        counted = await ask(read_side, lambda models: tuple(models.execute(versions)[0]))
        past = await ask(read_side, lambda models: models.select(Balance), as_of=past_position)

    assert sorted_rows(rows) == sorted_rows(folded(Balance, EVENTS).values())
    assert sorted_rows(past) == sorted_rows(folded(Balance, EVENTS, past_position).values())
    assert counted == (sum(row.changes for row in rows),) * 2
