"""`python -m bench.submitting`: how fast submitted commands are handled by one worker, and how soon a single one."""

import asyncio
import tempfile
from pathlib import Path
from statistics import quantiles
from time import perf_counter

from bench.callers import tasks
from leftfold import LiveApp
from tests.accounts import Deposit, accounts_app

COMMANDS, CALLERS, ENTITIES, ALONE = 20_000, 500, 1_000, 300


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/bench.db"
        await waiting(f"{url}1")
        await together(f"{url}2")
        await alone(f"{url}3")


async def waiting(url: str) -> None:
    """A worker that finds all of them in the log."""
    async with accounts_app().open(url, work=False) as live:
        await submit(live)
    async with accounts_app().open(url) as live:
        start = perf_counter()
        await until(live, 3 * COMMANDS)
        print(f"handled, all submitted before: {COMMANDS / (perf_counter() - start):,.0f} commands/s")


async def together(url: str) -> None:
    """Submitted and handled in one process."""
    async with accounts_app().open(url) as live:
        start = perf_counter()
        rate = await submit(live)
        await until(live, 3 * COMMANDS)
        both = COMMANDS / (perf_counter() - start)
        print(f"submitted by {CALLERS} callers: {rate:,.0f} commands/s; submitted and handled: {both:,.0f} commands/s")


async def alone(url: str) -> None:
    """From `submit` to the receipt, one after the other."""
    taken: list[float] = []
    async with accounts_app().open(url) as live:
        for _ in range(ALONE):
            start = perf_counter()
            await (await live.submit(Deposit("a", 1))).result()
            taken.append(1_000 * (perf_counter() - start))
    cuts = quantiles(taken, n=100)
    print(f"submit to receipt: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")


async def submit(live: LiveApp) -> float:
    return await tasks(CALLERS, 600, (live.submit(Deposit(f"a{number % ENTITIES}", 1)) for number in range(COMMANDS)))


async def until(live: LiveApp, position: int) -> None:
    head = 0
    while head < position:
        head = await live.store.wait(head)


if __name__ == "__main__":
    asyncio.run(main())
