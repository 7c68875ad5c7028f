"""Clients of the health that send half a request, nothing, garbage or too much, or ask by a strange name."""

import asyncio
import errno
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Any

import pytest

from leftfold import App
from leftfold.store import MemoryStore
from leftfold.web import Limits, serve_health
from leftfold.web.guard import SECONDS_BETWEEN_LINES
from tests.patience import PATIENCE

HALF = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half"
WHOLE = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Client:
    """A connection to the health."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def ended(self) -> bytes:
        """What came until the server closed the connection."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._reader.read()
        except ConnectionError:
            return b""
        finally:
            self.writer.close()


async def connected(url: str, sent: bytes = b"") -> Client:
    """A client that has sent something."""
    client = Client(*await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2])))
    client.writer.write(sent)
    await client.writer.drain()
    return client


async def asked(url: str, request: bytes = WHOLE) -> tuple[int, bytes]:
    """The code and the body of an answer."""
    head, _, body = (await (await connected(url, request)).ended()).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


class Slow(MemoryStore):
    """A store that, once it is `slow`, says where it ends only when it is `free`."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self.asked, self.free = asyncio.Event(), asyncio.Event()

    async def head(self) -> int:
        if self.slow:
            self.asked.set()
            await self.free.wait()
        return await super().head()


@asynccontextmanager
async def serving(limits: Limits | None = None, store: Any = "memory:", **options: Any) -> AsyncIterator[str]:
    """The address of the health of an app without work."""
    async with (
        App("idle").open(store, work=False) as live,
        serve_health(live, limits=limits or Limits(), **options) as url,
    ):
        yield url


@contextmanager
def lines_logged() -> Iterator[list[str]]:
    """What is logged by anything at WARNING and above."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


async def test_a_connection_whose_request_does_not_come_in_time_is_cut_off() -> None:
    async with serving(Limits(request_seconds=0.05)) as url:
        clients = [await connected(url, sent) for sent in (b"", b"G", HALF, WHOLE[:-2])]

        assert [await each.ended() for each in clients] == [b""] * 4


async def test_a_request_that_comes_in_drops_is_cut_off_all_the_same() -> None:
    async with serving(Limits(request_seconds=0.1)) as url:
        client = await connected(url, WHOLE[:-2])

        async def drip() -> None:
            while True:
                client.writer.write(b"X: 1\r\n")
                await asyncio.sleep(0)

        dripping = asyncio.create_task(drip())
        assert await client.ended() == b""
        dripping.cancel()


async def test_half_sent_requests_make_room_for_whoever_asks_and_log_a_line_or_two() -> None:
    with lines_logged() as lines:
        async with serving(Limits(connections=4, request_seconds=PATIENCE)) as url:
            clients = [await connected(url, HALF) for _ in range(100)]

            assert [(await asked(url))[0] for _ in range(3)] == [200, 200, 200]
            assert [await each.ended() for each in clients[:97]] == [b""] * 97
            for each in clients[97:]:
                each.writer.write(b": 1\r\n\r\n")
            assert all([b" 200 " in await each.ended() for each in clients[97:]])

    assert SECONDS_BETWEEN_LINES >= 10
    assert lines == [
        "health: connections cut off before their request came, to make room: 1",
        "health: connections cut off before their request came, to make room: 96",
    ]


async def test_where_all_are_being_answered_the_next_one_is_refused() -> None:
    store = Slow()
    async with serving(Limits(connections=1), store) as url:
        store.slow = True
        first = await connected(url, WHOLE)
        await store.asked.wait()

        assert (await asked(url))[0] == 503
        store.free.set()
        assert b" 200 " in await first.ended()
        assert (await asked(url))[0] == 200


async def test_an_answer_that_does_not_go_in_time_is_cut_off() -> None:
    store = Slow()
    async with serving(Limits(request_seconds=PATIENCE, answer_seconds=0.05), store) as url:
        store.slow = True
        assert await (await connected(url, WHOLE)).ended() == b""
        store.free.set()


async def test_an_answer_may_take_longer_than_a_request() -> None:
    store = Slow()
    async with serving(Limits(request_seconds=0.05), store) as url:
        store.slow = True
        first = await connected(url, WHOLE)
        await store.asked.wait()

        assert await (await connected(url, HALF)).ended() == b""
        store.free.set()
        assert b" 200 " in await first.ended()


async def test_a_connection_carries_one_request() -> None:
    async with serving() as url:
        answer = await (await connected(url, WHOLE * 3)).ended()

    assert answer.count(b"HTTP/1.1 200") == 1
    assert b"\r\nconnection: close\r\n" in answer


GARBAGE = [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"\0" * 40_000, WHOLE[:-2] + b"X: " + b"x" * 40_000]


async def test_what_is_no_request_is_refused_without_a_line_for_each() -> None:
    with lines_logged() as lines:
        async with serving() as url:
            answers = [(await asked(url, each))[0] for each in GARBAGE * 2]

    assert answers == [400] * 8
    assert lines == ["health: requests refused that were not HTTP: 1", "health: requests refused that were not HTTP: 7"]


async def test_a_process_without_descriptors_left_says_so_now_and_then_and_answers_when_it_has_some_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accept, begun = socket.socket.accept, list[float]()

    def refused(self: socket.socket) -> Any:
        begun.append(monotonic())
        if begun[-1] - begun[0] < 0.2:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(self)

    with lines_logged() as lines:
        async with serving() as url:
            monkeypatch.setattr("asyncio.constants.ACCEPT_RETRY_DELAY", 0.05)
            monkeypatch.setattr(socket.socket, "accept", refused)

            assert (await asked(url))[0] == 200

    assert len(lines) < 20


def by_name(host: bytes, path: bytes = b"/status") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


KNOWN = [
    b"localhost",
    b"LOCALHOST:8080",
    b"orders.localhost:8080",
    b"127.0.0.1:8080",
    b"10.1.2.3",
    b"[::1]:8080",
    b"[fe80::1%25eth0]",
    b"orders.internal",
    b"Orders.Internal.:8080",
]
UNKNOWN = [
    b"evil.example",
    b"evil.example:8080",
    b"localhost.evil.example",
    b"127.0.0.1.evil.example",
    b"evil.example@127.0.0.1",
    b"[::1]evil.example",
    b"orders.internal.evil.example",
    b"",
    b"\xff",
]


async def test_an_address_the_machine_itself_and_names_that_were_given_are_answered() -> None:
    async with serving(hosts=["orders.internal"]) as url:
        assert {host: (await asked(url, by_name(host)))[0] for host in KNOWN} == dict.fromkeys(KNOWN, 200)


@pytest.mark.parametrize("path", [b"/health", b"/status", b"/nothing"])
async def test_another_name_is_refused_so_that_no_web_page_reads_what_it_made_lead_here(path: bytes) -> None:
    async with serving(hosts=["orders.internal"]) as url:
        answers = {host: await asked(url, by_name(host, path)) for host in UNKNOWN}

    for host, (code, body) in answers.items():
        assert code == 403
        assert f"the name {host.decode('latin-1')!r};" in json.loads(body)["error"]
        assert "--health-host" in json.loads(body)["error"]


async def test_it_listens_on_the_loopback_unless_told_otherwise_and_the_host_it_listens_on_is_a_name_of_it() -> None:
    async with serving() as url:
        assert url.startswith("http://127.0.0.1:")
    async with serving(host="localhost") as url:
        assert (await asked(url, by_name(b"localhost")))[0] == 200
