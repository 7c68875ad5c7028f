"""What each choice of consistency costs: the latency of one call on an app that does nothing else."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from bench.bank import Account, Deposit, Open, deposit, open_account
from bench.figure import LEFTFOLD, PEER
from bench.latency import Operation
from bench.ours import leave
from bench.peer_projection_runner import opened_runner
from bench.projecting import Balance
from leftfold import App, Query, ReadModels, Receipt

T = TypeVar("T")

ACCOUNTS = 10_000
ACCOUNT = "account-0"
IN_MEMORY = f"{PEER}, its log in memory"
READ_YOUR_WRITES = "execute, then query(after=receipt)"
EVENTUAL = "query"

app = App("bench consistency")
app.handles(open_account)
app.handles(deposit)
app.read_model(Balance)


class BalanceOf(Query[int]):
    account: str


class KeptBalanceOf(Query[int]):
    account: str


@app.answers
def balance_of(query: BalanceOf, models: ReadModels) -> int:
    found = models.get(Balance, query.account)
    return found.amount if found else 0


@app.answers(cache=True)
def kept_balance_of(query: KeptBalanceOf, models: ReadModels) -> int:
    found = models.get(Balance, query.account)
    return found.amount if found else 0


class Ours:
    """The open app, its loop, and a watch."""

    def __init__(self, runner: asyncio.Runner, live: Any) -> None:
        self.live = live
        self._runner = runner
        self.watch = live.watch(BalanceOf(ACCOUNT))

    def operations(self) -> list[Operation]:
        """Each way to write and to read."""
        command = Deposit(ACCOUNT, 1)
        live = self.live
        return [
            self._timed("execute", lambda: live.execute(command)),
            self._timed(EVENTUAL, lambda: live.query(BalanceOf(ACCOUNT))),
            self._timed(READ_YOUR_WRITES, self.read_your_write, target=10.0),
            self._timed("execute(wait=[Balance])", lambda: live.execute(command, wait=[Balance])),
            self._timed("execute, until watch answers", self.write_and_watch, self.watch_once),
            self._timed("query, its answer cached", lambda: live.query(KeptBalanceOf(ACCOUNT)), self.keep),
            self._timed(
                "query, its cached answer out of date", lambda: live.query(KeptBalanceOf(ACCOUNT)), self.change
            ),
            self._timed("state (strong)", lambda: live.state(Account, ACCOUNT)),
            self._timed("submit, until its receipt", self.submit),
        ]

    def _timed(
        self,
        title: str,
        call: Callable[[], Coroutine[Any, Any, object]],
        prepare: Callable[[], Coroutine[Any, Any, object]] | None = None,
        *,
        target: float | None = None,
    ) -> Operation:
        before = (lambda: None) if prepare is None else lambda: self.wait(prepare())
        return Operation(title, LEFTFOLD, lambda: self.wait(call()), before, target)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    async def read_your_write(self) -> int:
        receipt: Receipt = await self.live.execute(Deposit(ACCOUNT, 1))
        found: int = await self.live.query(BalanceOf(ACCOUNT), after=receipt)
        return found

    async def watch_once(self) -> None:
        """Bring the watch level, so that nothing but the next write makes it answer."""
        await self.change()
        await anext(self.watch)

    async def write_and_watch(self) -> None:
        await self.live.execute(Deposit(ACCOUNT, 1))
        await anext(self.watch)

    async def keep(self) -> None:
        await self.live.query(KeptBalanceOf(ACCOUNT))

    async def change(self) -> None:
        await self.live.execute(Deposit(ACCOUNT, 1), wait=[Balance])

    async def submit(self) -> None:
        await (await self.live.submit(Deposit(ACCOUNT, 1))).result()


@contextmanager
def opened(directory: Path) -> Generator[Sequence[Operation]]:
    """Both contestants with as many accounts."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        opening = app.open(f"sqlite:///{directory / 'consistency.db'}")
        live = runner.run(opening.__aenter__())
        stack.callback(lambda: runner.run(leave(opening)))
        accounts = [Open(f"account-{number}", "somebody") for number in range(ACCOUNTS)]
        for first in range(0, ACCOUNTS, 1000):
            runner.run(live.execute_many(accounts[first : first + 1000], wait=[Balance], wait_timeout=60))
        peer = stack.enter_context(opened_runner(directory / "view.db", ACCOUNTS))
        yield [
            *Ours(runner, live).operations(),
            Operation(READ_YOUR_WRITES, IN_MEMORY, peer.read_your_write),
            Operation(EVENTUAL, IN_MEMORY, peer.balance),
        ]
