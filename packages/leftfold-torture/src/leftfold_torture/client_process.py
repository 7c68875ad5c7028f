"""A client in a process of its own: told what to do by lines on its input, it answers each with the same line.

It ends when its input does.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from leftfold.errors import StoreError
from leftfold.live import LiveApp
from leftfold.store.contract import EventStore
from leftfold.store.open import open_store
from leftfold_torture.clients import PAUSE_AFTER_TROUBLE, Calls, Client, Habits
from leftfold_torture.clocks import SteppedClock
from leftfold_torture.counting import counting
from leftfold_torture.holding import Holding
from leftfold_torture.record import Journal
from leftfold_torture.workload import Workload


class Setting(msgspec.Struct):
    """What a client process has to know. `behind`: its subscriptions begin so far behind the head; None is at 0."""

    name: str
    url: str
    journal: str
    seed: int
    habits: Habits
    first: int = 0
    behind: int | None = None
    clock: str | None = None


async def run() -> None:
    """Work as the first line of the input says, until the input ends.

    Nothing comes as an argument: other users of the machine see the arguments of a process, and a URL may have a
    password.
    """
    lines = _lines()
    setting = msgspec.json.decode(await anext(lines), type=Setting)
    clock = SteppedClock(Path(setting.clock)) if setting.clock else None
    async with await _opened(setting.url, clock) as store, AsyncExitStack() as stack:
        head = await _head(store)
        live = await _live(store, stack)
        await _work(setting, Calls(setting.name, store, live, Journal(Path(setting.journal))), head, lines)


async def _work(setting: Setting, calls: Calls, head: int, lines: AsyncIterator[str]) -> None:
    calls.known = 0 if setting.behind is None else head
    client = Client(calls, Workload(setting.seed, setting.name, setting.first), setting.habits)
    client.start(max(0, calls.known - (setting.behind or 0)))
    holding = Holding(setting.url, calls.store)
    holding.start()
    async for line in lines:
        await _obey(client, holding, line.split())
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


async def _obey(client: Client, holding: Holding, words: list[str]) -> None:
    match words:
        case ["begin"]:
            pass  # it has: this line is read by a client that works
        case ["stop"]:
            await client.stop()
        case ["reach", head, patience]:
            await client.reach(int(head), float(patience))
        case ["attack"]:
            client.attack()
        case ["relent"]:
            await client.relent()
        case ["end"]:
            await client.end()
            await holding.end()
        case _:
            raise AssertionError(f"a client process cannot {words}")


async def _opened(url: str, clock: SteppedClock | None) -> EventStore:
    """The store; a server that is down just now is waited for."""
    while True:
        try:
            return open_store(url, clock=clock)
        except StoreError:
            await asyncio.sleep(PAUSE_AFTER_TROUBLE)


async def _head(store: EventStore) -> int:
    while True:
        try:
            return await store.head()
        except StoreError:
            await asyncio.sleep(PAUSE_AFTER_TROUBLE)


async def _live(store: EventStore, stack: AsyncExitStack) -> LiveApp:
    while True:
        try:
            return await stack.enter_async_context(counting.open(store, work=False))
        except StoreError:
            await asyncio.sleep(PAUSE_AFTER_TROUBLE)


async def _lines() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()


def main() -> None:
    """Run the client that its input describes."""
    asyncio.run(run())
