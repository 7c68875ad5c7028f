"""Read models and a free-form projection whose workers are killed every second: each event is in once.

The tables are compared with a clean rebuild, row by row, and with a count in plain Python.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from bench.endurance._changes import batches, recount
from bench.endurance._killing import killed_at_random
from bench.endurance._ledger import Counted, Entered, Stepped, Steps, Tally, ledger
from bench.endurance._tables import differences, rows
from examples.worker_process import WorkerProcess
from leftfold import EventStore, open_store

APP = "bench.endurance._ledger:ledger"


class Load(NamedTuple):
    """How many events are appended over how many seconds, and how often one of the workers is killed."""

    events: int
    seconds: float
    workers: int
    kill_every: float
    seed: int
    accounts: int = 1_000
    patience: float = 300.0  # seconds for what is left to be folded


class Outcome(NamedTuple):
    """What came of it. `problems` is empty when all is as it must be."""

    kills: Counter[str]
    seconds: float
    problems: list[str]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.endurance exactly_once", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="over which they are appended")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        load = Load(given.events, given.seconds, given.workers, given.kill_every, given.seed)
        outcome = asyncio.run(run(load, Path(folder)))
    killed = sum(outcome.kills.values())
    print(f"{load.events:,} events, {load.workers} workers, killed {killed} times with -9; {outcome.seconds:.1f} s")
    for problem in outcome.problems:
        print("WRONG:", problem)
    print("the tables equal a clean rebuild and a count of the raw log" if not outcome.problems else "not exactly once")
    return 1 if outcome.problems else 0


async def run(load: Load, folder: Path) -> Outcome:
    """Append while workers are killed, let the rest be folded, and check the tables."""
    begun = time.monotonic()
    url = f"sqlite:///{folder}/ledger.db"
    arguments = ("--app", APP, url, "--only", "projections")
    workers = [WorkerProcess(folder / f"worker-{number}.txt", *arguments) for number in range(load.workers)]
    async with ledger.open(url, work=False) as live:
        async with killed_at_random(workers, Random(load.seed), every=load.kill_every) as killing:
            await _append(live.store, load)
            await killing.cease()
            head = await live.store.head()
            for query in (Counted(), Stepped(), Entered()):
                await live.query(query, after=head, wait_timeout=load.patience)
        expected = await recount(live.store)
    problems = [each for model in (Tally, Steps, "entries") for each in await differences(ledger, model, url)]
    told = {account: tuple(row) for account, *row in rows(url, "SELECT account, events, total, mix FROM tally")}
    if told != expected:
        wrong = [account for account in {*told, *expected} if told.get(account) != expected.get(account)]
        problems.append(f"Tally differs from the raw log in {len(wrong)} accounts, like {sorted(wrong)[:3]}")
    [(versions, positions)] = rows(url, "SELECT count(*), count(DISTINCT valid_from) FROM steps_history")
    if not versions == positions == load.events:
        problems.append(f"Steps has {versions:,} versions at {positions:,} positions for {load.events:,} events")
    entered = dict(rows(url, "SELECT position, account || ' ' || kind FROM entries"))
    if entered != await _listed(url):
        problems.append(f"entries has {len(entered):,} rows, which are not the {load.events:,} events of the log")
    return Outcome(killing.kills, time.monotonic() - begun, problems)


async def _listed(url: str) -> dict[int, str]:
    """What a projection with a row for each event must have."""
    async with open_store(url) as store:
        return {
            event.position: f"{msgspec.json.decode(event.data)['account']} {event.type}"
            async for batch in store.read()
            for event in batch.events
        }


async def _append(store: EventStore, load: Load) -> None:
    """Append at an even pace."""
    loop = asyncio.get_running_loop()
    begun, done = loop.time(), 0
    for batch in batches(0, load.events, load.accounts):
        await store.append(batch)
        done += len(batch)
        await asyncio.sleep(max(begun + load.seconds * done / load.events - loop.time(), 0))
