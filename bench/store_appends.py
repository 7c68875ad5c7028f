"""Appends on a condition by the store alone, in this process or in several at once."""

import asyncio
import multiprocessing
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection

from bench.bank import Account, Deposited, Opened, bank
from bench.callers import shuffled_for_ever, tasks
from bench.ours import METADATA
from leftfold import AppendCondition, CriteriaItem, EventStore, Tag, open_store
from leftfold.model.criteria import Criteria
from leftfold.model.fold import fold_of

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

    async def rate(self, callers: int, seconds: float) -> float:
        """How many appends so many tasks finish in a second."""
        return await tasks(callers, seconds, map(self._append, self._accounts))

    async def _append(self, account: str) -> None:
        condition = AppendCondition(self._criteria[account], self._positions[account])
        record = bank.registry.encode(Deposited(account, 1), METADATA)
        self._positions[account] = (await self._store.append([record], condition=condition)).last


class Processes:
    """Processes that append at the same time when they are told to."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._connections = connections

    def rate(self, callers: int, seconds: float) -> float:
        """How many appends all of them finish in a second, with so many callers in each."""
        for connection in self._connections:
            connection.send((callers, seconds))
        rates: list[float] = [connection.recv() for connection in self._connections]
        return sum(rates)


@contextmanager
def opened_processes(url: str, count: int, accounts: int) -> Generator[Processes]:
    """So many processes, each with its own store and its own accounts."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as opened:
        connections: list[Connection] = []
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, url, number, accounts), daemon=True)
            process.start()
            opened.callback(process.join)
            opened.callback(ours.send, None)
            connections.append(ours)
        for connection in connections:
            connection.recv()
        yield Processes(connections)


def _serve(connection: Connection, url: str, number: int, accounts: int) -> None:
    with asyncio.Runner() as runner:
        runner.run(_append_when_told(connection, url, [f"account-{number}-{each}" for each in range(accounts)]))


async def _append_when_told(connection: Connection, url: str, accounts: Sequence[str]) -> None:
    async with open_store(url) as store:
        appends = Appends(store, accounts)
        await appends.open()
        connection.send(None)
        while (told := await asyncio.to_thread(connection.recv)) is not None:
            connection.send(await appends.rate(*told))
