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
    Transferred(f"{n % 50}", f"{n % 7}", n % 5) if n % 3 else Deposited(f"{n % 50}", 14 + n) for n in range(5_950)
]
PROJECTING = """
import asyncio, sys
from itertools import count
import sqlalchemy as sa
from leftfold.query import models_url
from leftfold.store import open_store
from tests.query.sql_bank import HANDLERS, projecting, totals_of

statements = count(1)

def tell(*_):
    number = next(statements)
    if number % 100 == 0:
        print(number, flush=True)

async def main(url, handler):
    sa.event.listen(sa.Engine, "after_cursor_execute", tell)
    definition = totals_of(HANDLERS[int(handler)])
    async with open_store(url) as store, projecting(store, definition, url=models_url(url)) as read_side:
        await read_side.wait("account totals", await store.head())
    print("caught up", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def project_until_killed(url: str, handler: int, statements: int) -> None:
    """Run a process that projects, and kill it when it has executed so many statements."""
    command = [sys.executable, "-c", PROJECTING, url, str(handler)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            assert line != "caught up\n", "it was to be killed before it had handled everything"
            if int(line) >= statements:
                break
        process.kill()


@pytest.mark.parametrize("handler", range(len(HANDLERS)))
async def test_a_killed_process_leaves_the_tables_as_of_its_checkpoint(tmp_path: Path, handler: int) -> None:
    url = f"sqlite:///{tmp_path}/bank.db"
    async with open_store(url) as store:
        await append(store, *EVENTS)
        for statements in (700, 9_000, 3_000):
            project_until_killed(url, handler, statements)

        async with projecting(store, totals_of(HANDLERS[handler]), url=models_url(url)) as read_side:
            found = await rows(read_side, after=len(EVENTS), timeout=PATIENCE)
            positions = [row[0] for row in await rows(read_side, ledger)]

    assert found == expected_totals(EVENTS)
    assert positions == expected_positions(EVENTS)
