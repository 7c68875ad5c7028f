"""Orders while every worker is killed at random moments: each order has exactly one fate, as the raw log shows.

Commands, processes and projections run as processes of their own. Some orders are not paid, some are paid about when
their time is over, some are of a product that is out of stock.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from bench.endurance._killing import killed_at_random
from bench.endurance._tables import differences, rows
from examples.orders import OrdersByStanding, OrderStatus, Pay, Place, PutInStock, orders
from examples.orders_fates import Fates, fates_in
from examples.worker_process import WorkerProcess
from leftfold import EventStore, LiveApp

APP = "examples.orders:orders"
ROLES = ("commands", "processes", "projections")
TOGETHER = 20


class Load(NamedTuple):
    """How many orders, over how many seconds, and how often a worker is killed."""

    orders: int
    seconds: float
    kill_every: float
    seed: int
    patience: float = 300.0  # seconds until each order must have ended


class Outcome(NamedTuple):
    """What came of it. `problems` is empty when all is as it must be."""

    fates: Fates
    kills: Counter[str]
    seconds: float
    events: int
    problems: list[str]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.endurance orders", description=__doc__)
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="over which the orders are placed")
    parser.add_argument("--kill-every", type=float, default=1.5, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        load = Load(given.orders, given.seconds, given.kill_every, given.seed)
        outcome = asyncio.run(run(load, Path(folder)))
    killed = ", ".join(f"{name} {count} times" for name, count in sorted(outcome.kills.items()))
    print(f"{load.orders:,} orders, {outcome.events:,} events, {outcome.seconds:.1f} s; killed -9: {killed or 'none'}")
    print(", ".join(f"{count:,} {fate}" for fate, count in outcome.fates.counts.items()))
    for problem in outcome.problems:
        print("WRONG:", problem)
    print("each order has exactly one fate" if not outcome.problems else f"{len(outcome.problems)} problems")
    return 1 if outcome.problems else 0


async def run(load: Load, folder: Path) -> Outcome:
    """Place the orders, wait until each has ended, and check the log and the read model's table."""
    begun = time.monotonic()
    url = f"sqlite:///{folder}/shop.db"
    randomness = Random(load.seed)
    workers = [WorkerProcess(folder / f"{role}.txt", "--app", APP, url, "--only", role) for role in ROLES]
    async with orders.open(url, work=False) as live:
        async with killed_at_random(workers, randomness, every=load.kill_every) as killing:
            await _place(live, load, randomness)
            await killing.cease()
            await _until_each_has_ended(live.store, load)
            await live.query(OrdersByStanding(), after=await live.store.head(), wait_timeout=load.patience)
        found = await fates_in(live.store)
        problems = await problems_of(live.store, load.orders)
        events = await live.store.head()
    problems += await differences(orders, OrderStatus, url)
    told = dict(rows(url, 'SELECT "order", standing FROM order_status'))
    if told != dict(found.ended):
        problems.append("the table of OrderStatus tells of other fates than the log")
    return Outcome(found, killing.kills, time.monotonic() - begun, events, problems)


async def problems_of(store: EventStore, expected: int) -> list[str]:
    """What the raw log shows that must not be."""
    found = await fates_in(store)
    problems = [f"{order}: {life}" for order, life in found.wrong.items()]
    if len(found.ended) + len(found.wrong) != expected:
        problems.append(f"{expected:,} orders were placed, the log has {len(found.ended) + len(found.wrong):,}")
    stock = Counter[str]()
    async for batch in store.read():
        for event in batch.events:
            if event.type in ("product.stocked", "order.shipped"):
                data = msgspec.json.decode(event.data)
                stock[data["product"]] += data["pieces"] if event.type == "product.stocked" else -1
    return problems + [
        f"{-left} pieces of {product} too many were shipped" for product, left in stock.items() if left < 0
    ]


async def _place(live: LiveApp, load: Load, randomness: Random) -> None:
    """Submit orders and payments at an even pace."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await live.submit(PutInStock("lamp", load.orders * 7 // 10), key="stock")
    for first in range(0, load.orders, TOGETHER):
        numbers = range(first, min(first + TOGETHER, load.orders))
        await asyncio.gather(*(_place_one(live, number, randomness) for number in numbers))
        await asyncio.sleep(max(begun + load.seconds * numbers.stop / load.orders - loop.time(), 0))


async def _place_one(live: LiveApp, number: int, randomness: Random) -> None:
    """One order in ten is not paid, one in ten is paid about when its time is over, one in ten is out of stock."""
    order, kind = f"o-{number}", number % 10
    hurry = randomness.uniform(0.5, 2.0)  # seconds
    product, minutes = ("unicorn" if kind == 2 else "lamp"), (hurry / 60 if kind in (0, 1) else 15.0)
    await live.submit(Place(order, product, 40, minutes), key=f"place {order}")
    if kind != 0:
        delay = timedelta(seconds=hurry * randomness.uniform(0.8, 1.2)) if kind == 1 else None
        await live.submit(Pay(order, 40), key=f"pay {order}", delay=delay)


async def _until_each_has_ended(store: EventStore, load: Load) -> None:
    end = time.monotonic() + load.patience
    head = 0
    while len((await fates_in(store)).ended) < load.orders and time.monotonic() < end:
        head = await store.wait(head, 1.0)
        await asyncio.sleep(0.2)
