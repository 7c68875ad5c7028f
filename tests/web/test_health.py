"""The health of a live app over HTTP: what makes it fail, what does not, and the port."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any, Self
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from leftfold import App, Event, ReadModel, Tag, replace
from leftfold.errors import StoreFailed
from leftfold.store import Batch, MemoryStore
from leftfold.web import serve_health
from leftfold.web.health import PortUnavailable
from tests.accounts import Deposit, accounts_app
from tests.patience import PATIENCE


async def get(url: str) -> tuple[int, Any]:
    """The code and the JSON of an answer."""

    def read() -> tuple[int, Any]:
        try:
            with urlopen(url, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    return await asyncio.to_thread(read)


Name = Annotated[str, Tag("name")]


class Said(Event):
    name: Name
    number: int


class Inverse(ReadModel):
    name: Name
    value: float = 0.0

    def evolve(self, event: Said) -> Self:
        return replace(self, value=1 / event.number)


def inverting() -> App:
    app = App("inverting")
    app.read_model(Inverse)
    return app


class Faulty(MemoryStore):
    """A store that cannot be read while `failing`."""

    failing = False

    def read(self, *arguments: Any, **options: Any) -> AsyncIterator[Batch]:
        if self.failing:
            raise StoreFailed("the log", "the disk is gone")
        return super().read(*arguments, **options)


async def until(url: str, status: str) -> tuple[int, Any]:
    """The answer of `/health`, once it says this."""
    async with asyncio.timeout(PATIENCE):
        while True:
            code, health = await get(f"{url}/health")
            if health["status"] == status:
                return code, health


async def test_an_app_whose_work_goes_on_is_healthy() -> None:
    async with accounts_app().open("memory:") as live, serve_health(live) as url:
        await (await live.submit(Deposit("a", 1))).result(5)

        assert await get(f"{url}/health") == (200, {"status": "ok", "problems": [], "warnings": []})
        code, status = await get(f"{url}/status")

    assert code == 200
    assert status["head"] == 3
    assert [worker["running"] for worker in status["workers"]] == [True]


async def test_parked_keys_are_a_warning_and_make_it_degraded_which_is_no_reason_to_restart_it() -> None:
    app = inverting()
    async with app.open("memory:") as live, serve_health(live) as url:
        await live.store.append([app.registry.encode(Said("x", 0), b"{}"), app.registry.encode(Said("y", 4), b"{}")])
        await live.run_until_quiet()

        expected = {"status": "degraded", "problems": [], "warnings": ["Inverse: 1 keys parked"]}
        assert await get(f"{url}/health") == (200, expected)


async def test_a_worker_in_trouble_makes_it_fail_and_tells_why_until_it_goes_on() -> None:
    faulty = Faulty()
    async with accounts_app().open(faulty) as live, serve_health(live) as url:
        faulty.failing = True
        ticket = await live.submit(Deposit("a", 1))
        code, health = await until(url, "failing")

        faulty.failing = False
        await ticket.result(10)

        assert code == 503
        assert "the disk is gone" in health["problems"][0]
        assert (await until(url, "ok"))[0] == 200


async def test_a_store_that_cannot_be_asked_makes_it_fail() -> None:
    store = MemoryStore()
    async with accounts_app().open(store, work=False) as live, serve_health(live) as url:
        await store.close()

        assert (await get(f"{url}/health"))[0] == (await get(f"{url}/status"))[0] == 503


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with accounts_app().open("memory:") as live:
            with pytest.raises(PortUnavailable, match=f"port {port} of 127.0.0.1"):
                async with serve_health(live, port):
                    pass


async def test_when_it_is_closed_the_port_is_free() -> None:
    async with accounts_app().open("memory:") as live:
        async with serve_health(live) as url:
            port = int(url.rpartition(":")[2])
        async with serve_health(live, port) as again:
            assert again == url


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['uvicorn'] = None\nimport leftfold.web"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'leftfold[web]'" in ended.stderr
