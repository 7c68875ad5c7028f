"""`python -m bench.sharding`: one read model, folded whole and in shards, by one process and by two.

The processes are there, and share the shards, before the events come. The time goes from the first append of 100,000
events until a third process sees all of them folded.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, Self

from bench.bank import AccountId, Deposited, Opened
from leftfold import App, LiveApp, Query, ReadModel, ReadModels, replace
from leftfold.follow.workers import WorkerRole
from leftfold.model.message import Event
from leftfold.store import NewEvent
from leftfold_torture.postgres_server import PostgresServer

ROOT = Path(__file__).parents[1]
EVENTS, ACCOUNTS, AT_ONCE = 100_000, 10_000, 4_000
DATABASE = "bench"
SECONDS = 120.0
ONLY_PROJECTIONS: tuple[WorkerRole, ...] = ("projections",)


class Case(NamedTuple):
    """How a model is split, and over how many processes."""

    shards: int
    processes: int


CASES = (Case(1, 1), Case(2, 1), Case(2, 2), Case(4, 2))


class Balance(ReadModel):
    account: AccountId
    owner: str = ""
    amount: int = 0

    def evolve(self, event: Opened | Deposited) -> Self:
        match event:
            case Opened(owner=owner):
                return replace(self, owner=owner)
            case Deposited(amount=amount):
                return replace(self, amount=self.amount + amount)


class Amount(Query[int]):
    account: str


def app_with(shards: int) -> App:
    """The app whose one read model is in so many shards."""
    app = App("bench sharding")
    app.read_model(shards=shards)(Balance)

    @app.answers
    def amount(query: Amount, models: ReadModels) -> int:  # pyright: ignore[reportUnusedFunction]
        found = models.get(Balance, query.account)
        return found.amount if found else 0

    return app


async def measure(log: str, models: str, case: Case) -> float:
    """Events a second."""
    app = app_with(case.shards)
    async with app.open(log, models=models, work=False) as live:
        with workers(log, models, case):
            await shared(live, case)
            begun = perf_counter()
            for start in range(0, EVENTS, AT_ONCE):
                await live.store.append([record_of(app, number) for number in range(start, start + AT_ONCE)])
            await live.query(Amount("a1"), after=EVENTS, wait_timeout=SECONDS)
            return EVENTS / (perf_counter() - begun)


@contextmanager
def workers(log: str, models: str, case: Case) -> Generator[None]:
    """Processes that fold until they are told to stop."""
    command = [sys.executable, "-m", "bench.sharding", "--fold", str(case.shards), log, models]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT) for _ in range(case.processes)]
    try:
        yield
    finally:
        for process in processes:
            process.communicate(timeout=SECONDS)


async def shared(live: LiveApp, case: Case) -> None:
    """Return once every process holds its part."""
    holders = list[str]()
    async with asyncio.timeout(SECONDS):
        while len(holders) < case.shards or len(set(holders)) < case.processes:
            await asyncio.sleep(0.1)
            holders = [entry.holder for entry in await live.leases()]


def record_of(app: App, number: int) -> NewEvent:
    """Accounts of ten events each, their events spread over the log."""
    account = f"a{number % ACCOUNTS}"
    event: Event = Opened(account, "ann") if number < ACCOUNTS else Deposited(account, 1)
    return app.registry.encode(event, b"{}")


async def fold(shards: int, log: str, models: str) -> None:
    """Fold until the standard input ends."""
    async with app_with(shards).open(log, models=models, work=ONLY_PROJECTIONS):
        await asyncio.to_thread(sys.stdin.read)


def measured(rounds: int) -> Iterator[tuple[str, Case, list[float]]]:
    """What each database makes of each case, its rounds in turn with those of the others."""
    with ExitStack() as opened:
        directory = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        server = opened.enter_context(PostgresServer())
        server.create(DATABASE)
        found: dict[tuple[str, Case], list[float]] = {}
        numbers = count()
        for _ in range(rounds):
            for name, case in ((name, case) for name in ("SQLite", "PostgreSQL") for case in CASES):
                number = next(numbers)
                file = f"sqlite:///{directory}/models-{number}.db"
                models = file if name == "SQLite" else server.url(DATABASE, schema=f"bench_{number}")
                rate = asyncio.run(measure(f"sqlite:///{directory}/log-{number}.db", models, case))
                found.setdefault((name, case), []).append(rate)
        yield from ((name, case, rates) for (name, case), rates in found.items())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.sharding", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fold", nargs=3, metavar=("SHARDS", "LOG", "MODELS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.fold:
        asyncio.run(fold(int(options.fold[0]), *options.fold[1:]))
        return
    for name, case, rates in measured(options.rounds):
        middle = sorted(rates)[len(rates) // 2]
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        print(f"{name:10}  {case.shards} shards, {case.processes} processes  {middle:>8,.0f} events/s  ({spread})")


if __name__ == "__main__":
    main()
