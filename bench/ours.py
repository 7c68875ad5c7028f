"""Leftfold as a contestant: the live bank and the event loop that it belongs to."""

import asyncio
from collections.abc import Coroutine, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from bench.bank import Deposited, Open, Opened, bank
from bench.callers import tasks
from bench.work import Work
from leftfold import Command, LiveApp, Metadata, NewEvent
from leftfold.model.metadata import encode_metadata

T = TypeVar("T")

ID = "0b54c13f8c3a4fd0a2f6f5a5e1d3a1a7"
METADATA = encode_metadata(Metadata(command=ID, command_type="Deposit", correlation=ID))


class Ours:
    """An open bank and its loop."""

    def __init__(self, runner: asyncio.Runner, live: LiveApp) -> None:
        self.live = live
        self._runner = runner

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the bank's loop."""
        return self._runner.run(work)

    def work(self, callers: int, seconds: float, commands: Iterable[Command]) -> Work:
        """Those of these commands that so many tasks execute in so many seconds."""
        return self.wait(tasks(callers, seconds, map(self.live.execute, commands)))

    def open_accounts(self, accounts: Sequence[str]) -> None:
        """Open accounts; their states are then held in memory."""
        for first in range(0, len(accounts), 1000):
            commands = [Open(account, "somebody") for account in accounts[first : first + 1000]]
            self.wait(self.live.execute_many(commands))

    def store_history(self, account: str, events: int) -> int:
        """Give an account a history behind the back of the command side, so that nothing of it is held in memory."""
        records = history(account, events)
        for first in range(0, events, 1000):
            self.wait(self.live.store.append(records[first : first + 1000]))
        return self.wait(self.live.store.head())


@contextmanager
def opened_ours(where: Path | str) -> Generator[Ours]:
    """The bank on a SQLite file, or where a URL says."""
    with asyncio.Runner() as runner:
        opening = bank.open(where if isinstance(where, str) else f"sqlite:///{where}")
        live = runner.run(opening.__aenter__())
        try:
            yield Ours(runner, live)
        finally:
            runner.run(leave(opening))


async def leave(opening: Any) -> None:
    await opening.__aexit__(None, None, None)


def history(account: str, events: int) -> list[NewEvent]:
    """The records of an account's first events."""
    later = bank.registry.encode(Deposited(account, 1), METADATA)
    return [bank.registry.encode(Opened(account, "somebody"), METADATA), *[later] * (events - 1)]
