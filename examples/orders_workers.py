"""The orders example as one process and as four: the same orders, the same fates.

`make demo-workers`, or `python -m examples.orders_workers [ORDERS] [--database URL]`; with the URL of a PostgreSQL
database the logs are schemas of it, else files of a temporary folder. The four are commands, processes and projections,
each a `leftfold work --only …`, and this process, which submits orders and payments and asks how they are. One worker
is killed on the way.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from examples.orders import OrdersByStanding, Pay, Place, PutInStock, orders
from examples.orders_fates import fates_in
from examples.worker_process import WorkerProcess
from leftfold import LiveApp

APP = "examples.orders:orders"
ROLES = ("commands", "processes", "projections")
ORDERS = 200
MINUTES_TO_PAY = 2 / 60  # of those who do not pay; the others have their 15
PATIENCE = 600.0  # seconds
OPEN = {"placed", "paid", "to be refunded"}


class Told(NamedTuple):
    """What came of the orders in one of the two ways."""

    way: str
    seconds: float
    fates: Mapping[str, str]
    counts: Mapping[str, int]


async def main(count: int, database: str | None) -> int:
    """Run both ways and compare them; 0 when the fates are the same."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="leftfold-orders-") as folder:
        one, four = (log_in(database, folder, name) for name in ("one", "four"))
        told = [await one_process(one, count), await four_processes(four, Path(folder), count)]
    same = told[0].fates == told[1].fates
    show_table(told, count)
    print("each order has exactly one fate, the same both ways" if same else "the fates DIFFER")
    return 0 if same else 1


def log_in(database: str | None, folder: str, name: str) -> str:
    """Return the URL of a new log."""
    if database is None:
        return f"sqlite:///{folder}/{name}.db"
    return f"{database}{'&' if '?' in database else '?'}log=orders_{name}_{int(time.time())}"


async def one_process(url: str, count: int) -> Told:
    """Everything in this process."""
    print(f"One process: {count} orders")
    async with orders.open(url) as live:
        begun = time.monotonic()
        await place(live, range(count))
        await until_ended(live, count)
        return await told_by("one process", live, begun)


async def four_processes(url: str, folder: Path, count: int) -> Told:
    """Three workers beside this process; the one that answers events is killed when half of the orders are placed."""
    async with orders.open(url, work=False) as live, workers_on(url, folder) as workers:
        begun = time.monotonic()
        await place(live, range(count // 2))
        print(f"  {count // 2} orders are submitted")
        await show_lag(workers, live)
        workers["processes"].kill()
        print(f"  kill -9: the worker of processes (process {workers['processes'].pid}) is gone")
        await place(live, range(count // 2, count))
        await until_placed(live, count)
        print(f"  {count} orders are placed, and nobody answers them:")
        await show_lag({role: each for role, each in workers.items() if role != "processes"}, live)
        workers["processes"].start()
        await asyncio.to_thread(workers["processes"].wait_until_healthy)
        print(f"  the worker of processes is back (process {workers['processes'].pid})")
        await until_ended(live, count)
        await show_lag(workers, live)
        return await told_by("four processes", live, begun)


@asynccontextmanager
async def workers_on(url: str, folder: Path) -> AsyncGenerator[Mapping[str, WorkerProcess]]:
    """Yield the three workers, once they are healthy; they are stopped in the end, whatever happens."""
    found = {role: WorkerProcess(folder / f"{role}.txt", "--app", APP, url, "--only", role) for role in ROLES}
    print("Four processes: this one, and")
    with ExitStack() as running:
        for worker in found.values():
            running.enter_context(worker)
        for role, worker in found.items():
            await asyncio.to_thread(worker.wait_until_healthy)
            print(f"  leftfold work --only {role:<12} process {worker.pid}, healthy at {worker.health_url}/health")
        yield found
        print("  stopping")
        for role, worker in found.items():
            code = await asyncio.to_thread(worker.stop)
            _, last = worker.lines()[-1].split("  ", 1)
            print(f"  {role}: exit code {code}, {last}")


async def place(live: LiveApp, numbers: Sequence[int]) -> None:
    """Submit orders and payments: one in ten is not paid, one in ten is of something that is out of stock."""
    if 0 in numbers:
        await live.submit(PutInStock("lamp", 1_000_000), key="stock")
    await asyncio.gather(*(place_one(live, number) for number in numbers))


async def place_one(live: LiveApp, number: int) -> None:
    """One order, and its payment."""
    name, kind = f"o-{number}", number % 10
    product, pays = ("unicorn" if kind == 1 else "lamp"), kind != 0
    await live.submit(Place(name, product, 40) if pays else Place(name, product, 40, MINUTES_TO_PAY))
    if pays:
        await live.submit(Pay(name, 40))


async def until_placed(live: LiveApp, count: int) -> None:
    """Wait until the read model knows of all orders."""
    head = 0
    async with asyncio.timeout(PATIENCE):
        while sum((await live.query(OrdersByStanding(), after=head, wait_timeout=PATIENCE)).values()) < count:
            head = await live.store.wait(head)


async def until_ended(live: LiveApp, count: int) -> None:
    """Wait until no order is open any more, by what the read model says."""
    head = 0
    async with asyncio.timeout(PATIENCE):
        while True:
            standing = await live.query(OrdersByStanding(), after=head, wait_timeout=PATIENCE)
            if sum(standing.values()) == count and not OPEN & standing.keys():
                return
            head = await live.store.wait(head)


async def show_lag(workers: Mapping[str, WorkerProcess], live: LiveApp) -> None:
    """Print where each worker is, as its `/status` says."""
    for role, worker in workers.items():
        status = await asyncio.to_thread(worker.status)
        where = [each["state"] for each in status["workers"] if each["running"]]
        where += [f"{each['name']} at {each['position']}, lag {each['lag']}" for each in status["read_models"]]
        print(f"    {role:<12} {'; '.join(where)}")
    print(f"    the log is at {await live.store.head()}, orders: {await live.query(OrdersByStanding())}")


async def told_by(way: str, live: LiveApp, begun: float) -> Told:
    """Return the fates by the raw log."""
    seconds = time.monotonic() - begun
    found = await fates_in(live.store)
    for order, life in found.wrong.items():
        print(f"  WRONG: {order}: {life}")
    return Told(way, seconds, {**found.ended, **found.wrong}, found.counts)


def show_table(told: Sequence[Told], count: int) -> None:
    """Print both ways side by side."""
    fates = sorted({fate for each in told for fate in each.counts})
    print("\n" + "".join(f"{name:>15}" for name in ("", "orders", "seconds", *fates)))
    for each in told:
        numbers = "".join(f"{each.counts.get(fate, 0):>15}" for fate in fates)
        print(f"{each.way:>15}{count:>15}{each.seconds:>15.1f}{numbers}")


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m examples.orders_workers")
    parser.add_argument("orders", nargs="?", type=int, default=ORDERS, help=f"how many; {ORDERS} if left out")
    parser.add_argument("--database", metavar="URL", help="a PostgreSQL database in which the logs are made")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    try:
        sys.exit(asyncio.run(main(given.orders, given.database)))
    except KeyboardInterrupt:
        print("\nstopped; no process is left behind")
        sys.exit(130)
