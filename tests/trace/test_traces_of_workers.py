"""A trace over four processes, one of which is killed: the whole tree, the same on SQLite and PostgreSQL."""

import asyncio
import contextlib
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from examples.orders import Fulfilment, Pay, Place, PutInStock, orders
from examples.orders_workers import workers_on
from leftfold import LiveApp, Rejected, Trace, recording
from leftfold.cli.program import program
from tests.patience import PATIENCE
from tests.postgres import DATABASE
from tests.trace.test_traces import shape_of

ORDER = "order o-1"
SHIPPED = ("order.shipped", [("process Fulfilment/o-1", "answered", [])], [])
SHIP = ("Ship", "handled", [SHIPPED], [])
PAID = ("order.paid", [("process Fulfilment/o-1", "answered", [SHIP])], [])
TIMER = ("CancelOrder", "cancelled", [], [])
PLACED = ("order.placed", [("process Fulfilment/o-1", "answered", [TIMER])], [])
WHOLE = [("Place", "handled", [PLACED], []), ("Pay", "handled", [PAID], []), ("Pay", "rejected", [], [])]


async def ordered(url: str, folder: Path) -> Trace:
    """Place and pay an order while the worker that answers events is killed and comes back."""
    async with orders.open(url, work=False) as live, workers_on(url, folder) as workers:
        await (await live.submit(PutInStock("lamp", 9))).result(PATIENCE)
        with recording(correlation=ORDER):
            await (await live.submit(Place("o-1", "lamp", 40))).result(PATIENCE)
            workers["processes"].kill()
            await (await live.submit(Pay("o-1", 40))).result(PATIENCE)
            with contextlib.suppress(Rejected):
                await (await live.submit(Pay("o-1", 40))).result(PATIENCE)
        workers["processes"].start()
        await ended(live)
        return await live.trace(ORDER)


async def ended(live: LiveApp) -> None:
    """Wait until the process has answered everything."""
    head = 0
    async with asyncio.timeout(PATIENCE):
        while not (await live.process(Fulfilment, "o-1")).progress.done:
            head = await live.store.wait(head)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_trace_over_four_processes_is_whole_although_one_was_killed(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/orders.db"
    if backend == "postgresql":
        url = request.getfixturevalue("postgres").url(DATABASE, log="orders_traced")

    trace = asyncio.run(ordered(url, tmp_path))
    shown = CliRunner().invoke(program, ["trace", "--app", "examples.orders:orders", url, ORDER, "--json"])

    assert shape_of(trace) == WHOLE
    assert trace.commands[2].problem == "nothing to pay"
    assert shape_of(msgspec.json.decode(shown.stdout, type=Trace)) == WHOLE
