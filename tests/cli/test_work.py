"""`leftfold work`: what it runs, what it says, how it stops, and what it refuses."""

import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.orders import OrdersByStanding, Pay, Place, PutInStock, orders
from examples.worker_process import WorkerProcess
from leftfold import LiveApp, NewEvent, open_store
from tests.cli.conftest import Run
from tests.patience import PATIENCE

APP = ("--app", "examples.orders:orders")
HANGING = """
import time
from pathlib import Path
from typing import Annotated, Self
from leftfold import App, Event, ReadModel, Tag

class Said(Event):
    name: Annotated[str, Tag("name")]

hanging = App("hanging")

@hanging.read_model
class Last(ReadModel):
    name: Annotated[str, Tag("name")]

    def evolve(self, event: Said) -> Self:
        Path("folding").touch()
        while not Path("go").exists():
            time.sleep(0.01)
        return self
"""
RATIO = """
from typing import Annotated, Self
from leftfold import App, Event, ReadModel, Tag

Name = Annotated[str, Tag("name")]

class Said(Event):
    name: Name
    number: int

ratios = App("ratios")

@ratios.read_model(version=VERSION)
class Ratio(ReadModel):
    name: Name
    value: float = 0.0

    def evolve(self, event: Said) -> Self:
        return Ratio(self.name, VERSION / event.number)
"""


@pytest.fixture
async def shop(folder: Path) -> str:
    """A log with a lamp in stock."""
    async with orders.open("sqlite:///shop.db", work=False) as live:
        await live.execute(PutInStock("lamp", 1))
    return "sqlite:///shop.db"


@pytest.fixture
async def hanging(folder: Path) -> WorkerProcess:
    """A worker that hangs in a fold until there is a file `go`."""
    Path("hanging.py").write_text(HANGING, encoding="utf-8")
    async with open_store("sqlite:///said.db") as log:
        await log.append([NewEvent("Said", b'{"name":"x"}', ("name:x",))])
    return WorkerProcess(folder / "said.txt", "--app", "hanging:hanging", "sqlite:///said.db")


def until_there(path: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)


async def test_work_does_everything_until_it_is_stopped(shop: str, folder: Path) -> None:
    with WorkerProcess(folder / "said.txt", *APP, shop) as worker:
        worker.wait_until_healthy()
        async with orders.open(shop, work=False) as live:
            await live.submit(Place("o-1", "lamp", 40))
            await live.submit(Pay("o-1", 40))
            head = 0
            while await live.query(OrdersByStanding(), after=head, wait_timeout=PATIENCE) != {"shipped": 1}:
                head = await live.store.wait(head, 60)
        code = worker.stop()

    first, *_, last = worker.lines()
    assert code == 0
    assert "  orders on sqlite:///shop.db: runs " in first
    assert "OrderStatus; health at http://127.0.0.1:" in first
    assert " stopped after " in last
    assert " 3 handled" in last


async def test_work_does_only_what_it_is_told_to(shop: str, folder: Path) -> None:
    with WorkerProcess(folder / "said.txt", *APP, shop, "--only", "commands") as worker:
        worker.wait_until_healthy()
        async with orders.open(shop, work=False) as live:
            placed = await (await live.submit(Place("o-1", "lamp", 40))).result(60)

            assert await live.store.head() == placed.position + 1  # nobody answered it
        status = worker.status()

    assert [each["running"] for each in status["workers"]] == [True, False]
    assert status["read_models"] == []


def test_the_batch_under_way_is_finished_before_it_stops(hanging: WorkerProcess, folder: Path) -> None:
    with hanging:
        until_there(folder / "folding")
        os.kill(hanging.pid, signal.SIGTERM)
        hanging.until(lambda line: "stopping after the current batch" in line)
        (folder / "go").touch()
        assert hanging.wait() == 0

    (folder / "folding").unlink()
    with hanging:
        hanging.wait_until_healthy()
        [model] = hanging.status()["read_models"]
    assert model["position"] == 1
    assert not (folder / "folding").exists()  # it was not folded again


def test_a_second_signal_stops_at_once_and_breaks_nothing(hanging: WorkerProcess, folder: Path) -> None:
    with hanging:
        until_there(folder / "folding")
        os.kill(hanging.pid, signal.SIGINT)
        hanging.until(lambda line: "a second signal exits immediately" in line)
        os.kill(hanging.pid, signal.SIGINT)
        assert hanging.wait() == 130

    (folder / "go").touch()
    with hanging:
        hanging.wait_until_healthy()
        end = time.monotonic() + PATIENCE
        while hanging.status()["read_models"][0]["position"] < 1:
            assert time.monotonic() < end
        assert hanging.stop() == 0


async def test_it_says_which_key_is_parked_and_when_a_model_is_rebuilt(folder: Path) -> None:
    async with open_store("sqlite:///said.db") as log:
        await log.append([NewEvent("Said", b'{"name":"x","number":0}', ("name:x",))])
    arguments = ("--app", "ratio:ratios", "sqlite:///said.db")
    worker = WorkerProcess(folder / "said.txt", *arguments)

    Path("ratio.py").write_text(RATIO.replace("VERSION", "1"), encoding="utf-8")
    with worker:
        worker.until(lambda line: "Ratio x is parked at position 1: ZeroDivisionError" in line)
    Path("ratio.py").write_text(RATIO.replace("VERSION", "20"), encoding="utf-8")
    with worker:
        worker.until(lambda line: "Ratio: the rebuild begins" in line)
        worker.until(lambda line: "Ratio: rebuilt up to 1 " in line)


def test_what_it_runs_is_told_by_the_models_that_are_named(run: Run, shop: str) -> None:
    ended = run("work", *APP, shop, "--models", "Nonsense")

    assert ended.code == 3
    assert "'OrderStatus'" in ended.err
    assert run("work", *APP, shop, "--only", "commands", "--models", "OrderStatus").code == 2


def test_an_app_without_anything_for_the_role_is_refused(run: Run, log: str) -> None:
    ended = run("work", "--app", "examples.bank:bank", log, "--only", "processes")

    assert ended.code == 3
    assert "the app bank has nothing to run: no processes" in ended.err


@pytest.mark.parametrize("url", ["memory:", "sqlite:///shop.db?mode=ro", "sqlite:///nowhere.db"])
def test_a_log_that_cannot_be_worked_on_is_refused(run: Run, shop: str, url: str) -> None:
    assert run("work", *APP, url).code == 3
    assert not Path("nowhere.db").exists()


def test_the_health_is_served_by_the_names_that_are_given(run: Run, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []

    @asynccontextmanager
    async def serve(live: LiveApp, port: int, host: str, *, hosts: Sequence[str]) -> AsyncIterator[str]:
        served.append((port, host, hosts))
        os.kill(os.getpid(), signal.SIGTERM)
        yield "http://there"

    monkeypatch.setattr("leftfold.web.serve_health", serve)
    ended = run("work", *APP, shop, "--health", "8080", "--health-host", "orders.internal", "--health-host", "orders")

    assert ended.code == 0
    assert served == [(8080, "127.0.0.1", ("orders.internal", "orders"))]
    assert run("work", *APP, shop, "--health-host", "orders").code == 2


def test_a_port_that_is_taken_is_refused(run: Run, shop: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("work", *APP, shop, "--health", taken.getsockname()[1])

    assert ended.code == 3
    assert "0 takes any free one" in ended.err
    assert run("work", *APP, shop, "--health", "nonsense").code == 2
    assert run("work", *APP, shop, "--health", "99999").code == 2
