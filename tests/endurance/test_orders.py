"""Orders with workers that are killed, in small; and the checker notices what must not be."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.endurance.orders import Load, problems_of, run
from examples.orders import Cancelled, Event, Paid, Placed, Refunded, Shipped, Stocked, orders
from leftfold import EventStore
from leftfold.store import MemoryStore

LIFE: Sequence[Event] = (Stocked("lamp", 5), Placed("o-1", "lamp", 40), Paid("o-1", 40), Shipped("o-1", "lamp"))


async def log_of(*events: Event) -> EventStore:
    store = MemoryStore()
    await store.append([orders.registry.encode(event, b"{}") for event in events])
    return store


async def test_orders_whose_workers_are_killed_have_one_fate_each(tmp_path: Path) -> None:
    outcome = await run(Load(orders=60, seconds=5, kill_every=1.0, seed=1, patience=600), tmp_path)

    assert outcome.problems == []
    assert sum(outcome.fates.counts.values()) == 60
    assert {"cancelled", "refunded", "shipped"} == set(outcome.fates.counts)
    assert outcome.kills.total() > 0


async def test_an_order_with_one_fate_is_no_problem() -> None:
    assert await problems_of(await log_of(*LIFE), 1) == []


@pytest.mark.parametrize(
    "more",
    [
        (Refunded("o-1", 40),),
        (Cancelled("o-1", "late"),),
        (Cancelled("o-1", "late"), Refunded("o-1", 40)),
        (Shipped("o-1", "lamp"),),
        (Paid("o-1", 40),),
    ],
)
async def test_an_order_with_two_fates_is_noticed(more: Sequence[Event]) -> None:
    problems = await problems_of(await log_of(*LIFE, *more), 1)

    assert len(problems) == 1
    assert problems[0].startswith("o-1: order.placed, order.paid, order.shipped, ")


async def test_an_order_without_a_fate_is_noticed() -> None:
    assert len(await problems_of(await log_of(*LIFE[:3]), 1)) == 1
    assert len(await problems_of(await log_of(*LIFE), 2)) == 1


async def test_more_shipped_than_stocked_is_noticed() -> None:
    assert await problems_of(await log_of(*LIFE[1:]), 1) == ["1 pieces of lamp too many were shipped"]
