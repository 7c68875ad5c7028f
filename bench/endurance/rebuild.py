"""A rebuild with a changed fold, while one process appends and another queries without a pause.

The reported diff and the table afterwards are compared with a count in plain Python.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.endurance import _ledger, _ledger_next
from bench.endurance._changes import Row, batches, recount
from bench.endurance._tables import rows
from examples.worker_process import WorkerProcess
from leftfold import App

NOW, NEXT = "bench.endurance._ledger:ledger", "bench.endurance._ledger_next:ledger"
TALLY = ("--only", "projections", "--models", "Tally")


class Load(NamedTuple):
    """How many events the model has, over how many accounts, and how many a second come in meanwhile."""

    events: int
    accounts: int
    rate: int
    patience: float = 900.0


class Outcome(NamedTuple):
    """What came of it. `problems` is empty when all is as it must be."""

    rebuilt: Mapping[str, Any]
    megabytes: float
    appended: int
    appended_rate: float
    queries: Mapping[str, Any]
    problems: list[str]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.endurance rebuild", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=1_000, help="events that are appended a second meanwhile")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(run(Load(given.events, given.accounts, given.rate), Path(folder)))
    rebuilt, queries = outcome.rebuilt, outcome.queries
    rate = rebuilt["position"] / rebuilt["seconds"]
    print(f"{rebuilt['position']:,} events rebuilt in {rebuilt['seconds']:.1f} s: {rate:,.0f} events/s")
    print(f"peak memory of the rebuilding process: {outcome.megabytes:,.0f} MB")
    print(f"appended meanwhile: {outcome.appended:,} events, {outcome.appended_rate:,.0f}/s")
    print(f"queries meanwhile: {queries['answered']:,}, the longest took {1_000 * queries['longest']:.0f} ms")
    print("diff: " + ", ".join(f"{rebuilt['differences'][kind]:,} {kind}" for kind in ("added", "removed", "changed")))
    for problem in outcome.problems:
        print("WRONG:", problem)
    print(
        "diff and table equal a count of the raw log, no query failed" if not outcome.problems else "not as it must be"
    )
    return 1 if outcome.problems else 0


async def run(load: Load, folder: Path) -> Outcome:
    """Load and fold, rebuild under load, and compare."""
    url = f"sqlite:///{folder}/ledger.db"
    async with _ledger.ledger.open(url, work=False) as live:
        for batch in batches(0, load.events, load.accounts):
            await live.store.append(batch)
    with WorkerProcess(folder / "now.txt", "--app", NOW, url, *TALLY):
        await _until_folded(_ledger.ledger, _ledger.Counted(), url, load)
        appending = ["_appending", url, str(load.events), str(load.rate), str(load.accounts)]
        with _program(*appending) as appender, _program("_querying", url) as querier:
            assert querier.stdout is not None
            querier.stdout.readline()
            rebuilt, megabytes = await asyncio.to_thread(_rebuild, url)
            appended, seconds = _end(appender).split()
            queries = json.loads(_end(querier))
    with WorkerProcess(folder / "next.txt", "--app", NEXT, url, *TALLY):
        await _until_folded(_ledger_next.ledger, _ledger_next.Counted(), url, load)
    async with _ledger_next.ledger.open(url, work=False) as live:
        before = await recount(live.store, rebuilt["position"], version=1)
        after = await recount(live.store, rebuilt["position"], version=2)
        expected = await recount(live.store, version=2)
    problems = [*_problems_of_diff(rebuilt["differences"], before, after), *_problems_of_queries(queries)]
    if {
        account: tuple(row) for account, *row in rows(url, "SELECT account, events, total, mix FROM tally")
    } != expected:
        problems.append("the table that was swapped in does not equal a count of the log")
    return Outcome(rebuilt, megabytes, int(appended), int(appended) / float(seconds), queries, problems)


async def _until_folded(app: App, query: Any, url: str, load: Load) -> None:
    async with app.open(url, work=False) as live:
        await live.query(query, after=await live.store.head(), wait_timeout=load.patience)


def _rebuild(url: str) -> tuple[Mapping[str, Any], float]:
    """What `leftfold rebuild` reports, and its peak of memory in MB."""
    command = [sys.executable, "-m", "leftfold", "rebuild", "--app", NEXT, url, "Tally", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the rebuild ended with exit code {process.returncode}")
    return json.loads(said), usage.ru_maxrss / 1_024


@contextmanager
def _program(name: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", f"bench.endurance.{name}", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _end(process: subprocess.Popen[str]) -> str:
    """Close a program's input; what it says at its end."""
    said, _ = process.communicate(timeout=600)
    return said


def _problems_of_diff(told: Mapping[str, int], before: Mapping[str, Row], after: Mapping[str, Row]) -> list[str]:
    expected = {
        "added": len(after.keys() - before.keys()),
        "removed": len(before.keys() - after.keys()),
        "changed": sum(before[account] != after[account] for account in before.keys() & after.keys()),
    }
    return [f"{told[kind]} rows {kind} instead of {count}" for kind, count in expected.items() if told[kind] != count]


def _problems_of_queries(queries: Mapping[str, Any]) -> list[str]:
    problems = [f"{count} queries failed with {error}" for error, count in queries["failures"].items()]
    return problems if queries["answered"] else [*problems, "no query was answered"]
