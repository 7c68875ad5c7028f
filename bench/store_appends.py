"""Appends on a condition by the store alone, in this process or in several at once, and commands in several."""

import asyncio
import multiprocessing
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from itertools import count
from multiprocessing.connection import Connection
from random import Random

from bench.bank import Account, Deposit, Deposited, Open, Opened, bank
from bench.callers import shuffled_for_ever, tasks
from bench.ours import METADATA
from bench.work import Work, together
from leftfold import AppendCondition, CriteriaItem, EventStore, Tag, open_store
from leftfold.model.criteria import Criteria
from leftfold.model.fold import fold_of

WorkOf = Callable[[int, float], Awaitable[Work]]
"""What so many tasks finish in so many seconds."""

OpenedWork = Callable[[str, Sequence[str]], AbstractAsyncContextManager[WorkOf]]
"""What a process does with the log at a URL and with accounts of its own."""

TYPES = frozenset(event.wire for event in fold_of(Account).events)


class Appends:
    """One event after the other of some accounts, each on the condition that nothing came since its last one."""

    def __init__(self, store: EventStore, accounts: Sequence[str]) -> None:
        self._store = store
        self._positions = dict.fromkeys(accounts, 0)
        self._accounts = shuffled_for_ever(accounts)
        self._criteria = {account: Criteria(CriteriaItem(TYPES, [Tag("account")(account)])) for account in accounts}

    async def open(self) -> None:
        """The first event of each."""
        records = [bank.registry.encode(Opened(account, "somebody"), METADATA) for account in self._positions]
        for first in range(0, len(records), 1000):
            await self._store.append(records[first : first + 1000])
        self._positions = dict.fromkeys(self._positions, await self._store.head())

    async def work(self, callers: int, seconds: float) -> Work:
        """The appends that so many tasks finish."""
        return await tasks(callers, seconds, map(self._append, self._accounts))

    async def _append(self, account: str) -> None:
        condition = AppendCondition(self._criteria[account], self._positions[account])
        record = bank.registry.encode(Deposited(account, 1), METADATA)
        self._positions[account] = (await self._store.append([record], condition=condition)).last


@asynccontextmanager
async def opened_appends(url: str, accounts: Sequence[str]) -> AsyncGenerator[WorkOf]:
    """Appends by a store of its own."""
    async with open_store(url) as store:
        appends = Appends(store, accounts)
        await appends.open()
        yield appends.work


@asynccontextmanager
async def opened_commands(url: str, accounts: Sequence[str]) -> AsyncGenerator[WorkOf]:
    """Commands by an app of its own, on accounts whose states it holds."""
    choose = Random(1).choice
    async with bank.open(url, work=False) as live:
        for first in range(0, len(accounts), 1000):
            await live.execute_many([Open(account, "somebody") for account in accounts[first : first + 1000]])
        commands = (live.execute(Deposit(choose(accounts), 1)) for _ in count())
        yield lambda callers, seconds: tasks(callers, seconds, commands)


class Processes:
    """Processes that work at the same time when they are told to."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._connections = connections

    def work(self, callers: int, seconds: float) -> Work:
        """What all of them finish, with so many callers in each."""
        for connection in self._connections:
            connection.send((callers, seconds))
        return together([connection.recv() for connection in self._connections])


@contextmanager
def opened_processes(url: str, processes: int, accounts: int, opened_work: OpenedWork) -> Generator[Processes]:
    """So many processes, each with its own accounts."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as opened:
        connections: list[Connection] = []
        for number in range(processes):
            ours, theirs = context.Pipe()
            names = [f"account-{number}-{each}" for each in range(accounts)]
            process = context.Process(target=_serve, args=(theirs, url, names, opened_work), daemon=True)
            process.start()
            opened.callback(process.join)
            opened.callback(ours.send, None)
            connections.append(ours)
        for connection in connections:
            connection.recv()
        yield Processes(connections)


def _serve(connection: Connection, url: str, accounts: Sequence[str], opened_work: OpenedWork) -> None:
    asyncio.run(_work_when_told(connection, url, accounts, opened_work))


async def _work_when_told(connection: Connection, url: str, accounts: Sequence[str], opened_work: OpenedWork) -> None:
    async with opened_work(url, accounts) as work:
        connection.send(None)
        while (told := await asyncio.to_thread(connection.recv)) is not None:
            connection.send(await work(*told))
