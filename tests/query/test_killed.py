"""Projecting processes that are killed: each event is in the tables exactly once all the same."""

import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from leftfold.events import Event
from leftfold.store import open_store
from tests.query.bank import Balance, Deposited, Opened, Transferred, append, ask, folded, reading, sorted_rows
from tests.query.places import place, url

__all__ = ["place", "url"]

ROOT = Path(__file__).parents[2]
EVENTS: list[Event] = [Opened(f"{n}") for n in range(50)] + [
    Transferred(f"{n % 50}", f"{n % 7}", n % 5) if n % 3 else Deposited(f"{n % 50}", n) for n in range(39_950)
]
FOLDING = """
import asyncio, sys
from leftfold.store import open_store
from tests.query.bank import Balance, reading

async def main(url):
    async with open_store(url) as store, reading(store, Balance, url=sys.argv[2], history=True) as read_side:
        while True:
            print((await read_side.status())[0].position, flush=True)

asyncio.run(main(sys.argv[1]))
"""


def fold_until_killed(log: str, url: str, after: int) -> int:
    """Run a process that folds, and kill it as soon as it has got any further; how far it said it was."""
    command = [sys.executable, "-c", FOLDING, log, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        position = next(position for line in process.stdout if (position := int(line)) > after)
        process.kill()
    return position


async def test_a_killed_process_leaves_the_tables_as_of_its_checkpoint(tmp_path: Path, url: str) -> None:
    log = f"sqlite:///{tmp_path}/bank.db"
    async with open_store(log) as store:
        await append(store, *EVENTS)
        position = 0
        for _ in range(4):
            position = fold_until_killed(log, url, position)
        assert 0 < position < len(EVENTS)

        async with reading(store, Balance, url=url, history=True) as read_side:
            await read_side.wait(Balance, len(EVENTS), 20)
            rows = await ask(read_side, lambda models: models.select(Balance))
            versions = sa.text("SELECT count(*), count(DISTINCT valid_from || '/' || account) FROM balance_history")
            counted = await ask(read_side, lambda models: tuple(models.execute(versions)[0]))
            past = await ask(read_side, lambda models: models.select(Balance), as_of=position)

    assert sorted_rows(rows) == sorted_rows(folded(Balance, EVENTS).values())
    assert sorted_rows(past) == sorted_rows(folded(Balance, EVENTS, position).values())
    assert counted == (sum(row.changes for row in rows),) * 2
