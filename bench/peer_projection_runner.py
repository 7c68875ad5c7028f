"""The peer's read your writes, as its documentation has it: a `ProjectionRunner`, and `wait` for a notification.

A runner needs subscriptions, which the peer's SQLite recorder does not have: its events are kept in memory instead,
its view in SQLite. So its write costs no sync at all.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from eventsourcing.projection import ProjectionRunner

from bench.peer import Bank, open_accounts
from bench.peer_projection import BalanceProjection, Balances

BALANCE = "SELECT amount FROM balance WHERE account = ?"


class BankInMemory(Bank):
    """Its deposit tells the notification id that is to be waited for."""

    def deposit_and_tell(self, account_id: UUID, amount: int) -> int:
        account = self.repository.get(account_id)
        account.deposit(amount)
        return self.save(account)[-1].notification.id


class Runner:
    """A running projection of accounts."""

    def __init__(self, runner: "ProjectionRunner[BankInMemory, Balances]", accounts: list[UUID]) -> None:
        self._runner = runner
        self._account = accounts[0]

    def deposit(self) -> int:
        return self._runner.app.deposit_and_tell(self._account, 1)

    def balance(self) -> int:
        view = self._runner.projection.view
        with view.datastore.transaction(commit=False) as cursor:
            cursor.execute(BALANCE, (self._account.hex,))
            return int(cursor.fetchone()[0])

    def read_your_write(self) -> int:
        self._runner.wait(self.deposit(), timeout=10)
        return self.balance()


@contextmanager
def opened_runner(path: Path, accounts: int) -> Generator[Runner]:
    settings = {
        "BALANCEPROJECTION_PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "BALANCEPROJECTION_SQLITE_DBNAME": str(path),
    }
    with ProjectionRunner(
        application_class=BankInMemory, projection_class=BalanceProjection, view_class=Balances, env=settings
    ) as runner:
        ids = open_accounts(runner.app, accounts)
        runner.wait(accounts, timeout=60)
        yield Runner(runner, ids)
