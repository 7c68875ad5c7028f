"""The same bank for the peer, `eventsourcing`, as its own documentation writes one."""

from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError
from eventsourcing.utils import retry

ATTEMPTS = 10_000  # of threads that race for one aggregate; without a pause, as the documentation's example has it


class Account(Aggregate):
    @event("Opened")
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.balance = 0

    @event("Deposited")
    def deposit(self, amount: int) -> None:
        self.balance += amount


class Bank(Application[UUID]):
    log_section_size = 1_000  # for who follows its log; ten by default

    def open_account(self, owner: str) -> UUID:
        account = Account(owner)
        self.save(account)
        return account.id

    @retry(IntegrityError, max_attempts=ATTEMPTS)
    def deposit(self, account_id: UUID, amount: int) -> None:
        account: Account = self.repository.get(account_id)
        account.deposit(amount)
        self.save(account)


class BankWithSnapshots(Bank):
    snapshotting_intervals = {Account: 100}  # noqa: RUF012


def open_peer(path: Path, kind: type[Bank] = Bank, *, cache: bool = False) -> Bank:
    settings = {"AGGREGATE_CACHE_MAXSIZE": "20000"} if cache else {}
    return kind({**sqlite_environment(path), **settings})


def sqlite_environment(path: Path) -> dict[str, str]:
    return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}


def new_account(deposits: int) -> Account:
    """An account whose events have not been saved."""
    account = Account("somebody")
    for _ in range(deposits):
        account.deposit(1)
    return account


def save_in_parts(peer: Bank, events: int) -> UUID:
    """An account of so many events, a thousand in a save: more in one hang for ever in psycopg's pipeline mode."""
    account = new_account(0)
    for saved in range(1, events + 1):
        if saved % 1_000 == 0 or saved == events:
            peer.save(account)
        if saved < events:
            account.deposit(1)
    return account.id


def open_accounts(peer: Bank, count: int) -> list[UUID]:
    """So many accounts of one event each."""
    accounts = [new_account(0) for _ in range(count)]
    for first in range(0, count, 1000):
        peer.save(*accounts[first : first + 1000])
    return [account.id for account in accounts]
