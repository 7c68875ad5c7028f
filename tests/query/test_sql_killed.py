"""Processes that are killed while their handlers write: each event is in the tables exactly once all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from leftfold.model.message import Event
from leftfold.query import models_url
from leftfold.store import open_store
from tests.patience import PATIENCE
from tests.query.bank import Deposited, Opened, Transferred, append
from tests.query.sql_bank import (
    HANDLERS,
    expected_positions,
    expected_totals,
    ledger,
    projecting,
    rows,
    totals_of,
)

ROOT = Path(__file__).parents[2]
EVENTS: list[Event] = [Opened(f"{n}") for n in range(50)] + [
    Transferred(f"{n % 50}", f"{n % 7}", n % 5) if n % 3 else Deposited(f"{n % 50}", 14 + n) for n in range(1_950)
]
PROJECTING = """
import asyncio, sys
from itertools import count
import sqlalchemy as sa
from leftfold.query import models_url
from leftfold.store import open_store
from leftfold.store import reading as reading_the_log
from tests.query.sql_bank import HANDLERS, projecting, totals_of

reading_the_log.MAX_EVENTS_PER_BATCH = 300  # so that there are some transactions to be killed between
statements = count(1)

def stay(*_):
    if next(statements) == int(sys.argv[3]):
        print("there", flush=True)
        sys.stdin.readline()

async def main(url, handler, _):
    sa.event.listen(sa.Engine, "after_cursor_execute", stay)
    definition = totals_of(HANDLERS[int(handler)])
    async with open_store(url) as store, projecting(store, definition, url=models_url(url)) as read_side:
        await read_side.wait("account totals", await store.head())
    print("caught up", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def project_until_killed(url: str, handler: int, statements: int) -> None:
    """Run a process that projects, and kill it where it has executed so many statements."""
    command = [sys.executable, "-c", PROJECTING, url, str(handler), str(statements)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    assert said == "there\n", "it was to be killed before it had handled everything"


@pytest.mark.parametrize("handler", range(len(HANDLERS)))
async def test_a_killed_process_leaves_the_tables_as_of_its_checkpoint(tmp_path: Path, handler: int) -> None:
    url = f"sqlite:///{tmp_path}/bank.db"
    async with open_store(url) as store:
        await append(store, *EVENTS)
        for statements in (350, 3_000, 1_000):
            project_until_killed(url, handler, statements)

        async with projecting(store, totals_of(HANDLERS[handler]), url=models_url(url)) as read_side:
            found = await rows(read_side, after=len(EVENTS), timeout=PATIENCE)
            positions = [row[0] for row in await rows(read_side, ledger)]

    assert found == expected_totals(EVENTS)
    assert positions == expected_positions(EVENTS)
