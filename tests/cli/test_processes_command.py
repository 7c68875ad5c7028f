"""`leftfold processes`: instances, the history of one, and what is refused."""

import pytest

from examples.orders import Pay, Place, PutInStock, orders
from tests.cli.conftest import Run

ORDERS = ("--app", "examples.orders:orders")


@pytest.fixture
async def shop(folder: object) -> str:
    """One order that was shipped, one that waits for its payment."""
    async with orders.open("sqlite:///shop.db", work=False) as live:
        await live.execute(PutInStock("lamp", 1))
        await live.execute(Place("o-1", "lamp", 40))
        await live.execute(Place("o-2", "lamp", 40))
        await live.execute(Pay("o-1", 40))
        await live.run_until_quiet()
    return "sqlite:///shop.db"


def listed(run: Run, shop: str, *more: str) -> list[tuple[str, str, int]]:
    rows = run("processes", *ORDERS, shop, *more, "--json").objects
    return [(row["instance"], row["standing"], row["commands"]) for row in rows]


def test_processes_lists_instances(run: Run, shop: str) -> None:
    expected = [("Fulfilment/o-1", "done", 2), ("Fulfilment/o-2", "running", 1)]

    assert listed(run, shop) == listed(run, shop, "Fulfilment") == expected
    assert [line.split()[:2] for line in run("processes", *ORDERS, shop).lines[2:4]] == [
        ["Fulfilment/o-1", "done"],
        ["Fulfilment/o-2", "running"],
    ]


def test_processes_shows_the_history_of_one(run: Run, shop: str) -> None:
    ended = run("processes", *ORDERS, shop, "Fulfilment", "o-1")

    words = [line.split()[1] for line in ended.lines if line[0].isdigit()]
    assert words == ["Placed", "Paid", "Shipped"]
    assert ended.lines[-1] == "done"
    [instance] = run("processes", *ORDERS, shop, "Fulfilment", "o-1", "--json").objects
    assert instance["state"] == {"order": "o-1", "product": "lamp"}


def test_what_is_not_parked_is_not_retried_and_an_unknown_process_is_told(run: Run, shop: str) -> None:
    assert "is running" in run("retry", *ORDERS, shop, "Fulfilment", "o-2").err
    assert "'Fulfilment'" in run("processes", *ORDERS, shop, "Nonsense").err
    assert run("retry", *ORDERS, shop).code == 2


def test_an_instance_is_cancelled_with_a_reason(run: Run, shop: str) -> None:
    cancel = ("cancel", *ORDERS, shop, "Fulfilment", "o-2")
    assert run(*cancel).code == 2

    ended = run(*cancel, "--reason", "shipped by hand", "--actor", "ann")

    assert (ended.code, ended.out) == (0, "process Fulfilment o-2: cancelled\n")
    assert ("Fulfilment/o-2", "cancelled", 1) in listed(run, shop)
    assert run("processes", *ORDERS, shop, "Fulfilment", "o-2").lines[-1] == "cancelled"
    [event] = run("events", shop, "--type", "leftfold.process.cancelled", "--json").objects
    assert event["metadata"] == {"reason": "shipped by hand", "actor": "ann"}
    assert "is cancelled" in run(*cancel, "--reason", "again").err
