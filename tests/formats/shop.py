"""An app of which logs, tables and snapshots are kept that older versions made: `python -m tests.formats.shop FOLDER`.

It uses as much of the language as a model may, since another Python is to find the same fingerprints. To change it is
to make the files in this folder again, by the version that they are of.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial, reduce
from pathlib import Path
from typing import Annotated, ClassVar, Optional, Self

import sqlalchemy as sa

from leftfold import (
    App,
    Command,
    DecisionModel,
    Event,
    NonKey,
    ProcessManager,
    Query,
    ReadModel,
    ReadModels,
    Tag,
    replace,
)
from leftfold.command import states

AccountId = Annotated[str, Tag("account")]
OwnerId = Annotated[str, Tag("owner")]
RATES = {"low": Decimal("0.01"), "high": Decimal("0.02")}
LIMITS: Sequence[int] = [10, 100]


class Kind(Enum):
    """What an account is for."""

    DAILY = "daily"
    SAVINGS = "savings"

    def rate(self) -> Decimal:
        return RATES["low" if self is Kind.DAILY else "high"]


@dataclass(frozen=True)
class Step:
    """One step of a reckoning."""

    factor: int = 1
    names: ClassVar[tuple[str, ...]] = ("a", "b")

    def __call__(self, amount: int) -> int:
        assert self.names, "names"
        return amount * self.factor


@lru_cache(maxsize=8)
def rounded(value: Decimal, digits: int = 2) -> Decimal:
    """A value, rounded."""
    return round(value, digits)


def scaled(amount: int, /, *, by: int = 1) -> int:
    def inner(value: int) -> int:
        return value * by

    return inner(amount)


STEPS = (Step(1), partial(scaled, by=1), lambda amount: amount + 0)


class Opened(Event, wire="shop.opened"):
    account: AccountId
    owner: OwnerId
    kind: Kind = Kind.DAILY


class Deposited(Event, wire="shop.deposited"):
    account: AccountId
    amount: int


class Thanked(Event, wire="shop.thanked"):
    account: AccountId


class Open(Command):
    account: AccountId
    owner: OwnerId


class Deposit(Command):
    account: AccountId
    amount: int


class Thank(Command):
    account: AccountId


class Account(DecisionModel):
    """What is needed to decide."""

    account: AccountId
    kind: Kind = Kind.DAILY
    balance: int = 0
    counts: tuple[int, ...] = ()

    def evolve(self, event: Opened | Deposited | Thanked) -> Self:
        match event:
            case Opened(kind=kind):
                return replace(self, kind=kind)
            case Deposited(amount=n) if (m := reduce(lambda total, step: step(total), STEPS, n)) >= 0:
                return replace(
                    self, balance=self.balance + m, counts=(*self.counts, *[c for c in LIMITS if c == m])[:3]
                )
            case _:
                return self


class Balance(ReadModel):
    account: AccountId
    owner: Annotated[OwnerId, NonKey] = ""
    kind: Optional[Kind] = None  # noqa: UP045 - another spelling of the same
    total: int = 0
    interest: Decimal = Decimal(0)
    note: str = ""

    def evolve(self, event: Opened | Deposited) -> Self:
        """Keep what was paid in."""
        match event:
            case Opened(owner=owner, kind=kind):
                return replace(self, owner=owner, kind=kind)
            case Deposited(amount=amount):
                interest = rounded(self.interest + amount * (self.kind or Kind.DAILY).rate())
                return replace(self, total=self.total + amount, interest=interest, note=f"{amount:>{4}} of {self!s:.1}")


class Latest(ReadModel):
    account: AccountId
    amount: int = 0

    def evolve(self, event: Deposited) -> Self:
        return replace(self, amount=event.amount)


class Divided(ReadModel):
    account: AccountId
    times: int = 0
    seen: list[int] = []  # noqa: RUF012 - a default of its own for each row

    def evolve(self, event: Deposited) -> Self:
        return replace(self, times=self.times + 1, seen=[*self.seen, event.amount])


class Thanks(ProcessManager):
    account: AccountId
    thanked: bool = False

    def evolve(self, event: Deposited) -> Self:
        return replace(self, thanked=event.amount > LIMITS[0])

    def react(self, event: Deposited) -> Thank | None:
        return Thank(self.account) if event.amount > LIMITS[0] else None


class Balances(Query[list[Balance]]):
    pass


shop = App("shop")
shop.read_model(Balance)
shop.read_model(history=True)(Latest)
shop.read_model(shards=2)(Divided)
shop.process(Thanks)
metadata = sa.MetaData()
lines = sa.Table("lines", metadata, sa.Column("account", sa.String), sa.Column("amount", sa.Integer))
sent: list[str] = []


@shop.projection("lines", tables=metadata)
def write_line(event: Deposited, connection: sa.Connection) -> None:
    connection.execute(sa.insert(lines).values(account=event.account, amount=scaled(event.amount)))


@shop.reactor("letters", start="from_start")
def send_letter(event: Thanked) -> None:
    sent.append(event.account)


@shop.handles
def open_account(command: Open, account: Account) -> Opened:
    return Opened(command.account, command.owner, Kind.SAVINGS)


@shop.handles
def deposit(command: Deposit, account: Account) -> Deposited:
    return Deposited(command.account, command.amount)


@shop.handles
def thank(command: Thank, account: Account) -> Thanked:
    return Thanked(command.account)


@shop.answers
def balances(query: Balances, models: ReadModels) -> list[Balance]:
    return models.select(Balance, order_by="account")


def fill(url: str, *, deposits: int = 6) -> None:
    """Write a log of three accounts, and everything that is kept beside it."""
    usual, states.LONG_HISTORY = states.LONG_HISTORY, 4  # so that a short history has a snapshot
    try:
        with shop.open_sync(url) as live:
            for account in ("a", "b", "c"):
                live.execute(Open(account, f"owner of {account}"), key=f"open {account}")
            for n in range(deposits):
                live.execute(Deposit("abc"[n % 3] if n > 4 else "a", 7 + n))
            live.run_until_quiet()
            live.run_until_quiet()
    finally:
        states.LONG_HISTORY = usual


def fingerprints() -> str:
    """What this Python makes of the models."""
    kept = [f"{each.name} {each.fingerprint()}" for each in shop.kept]
    return "\n".join([*kept, *(f"{fold.name} {fold.fingerprint()}" for fold in shop.decision_models)])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        fill(f"sqlite:///{Path(sys.argv[1]).resolve()}/shop.db")
    print(fingerprints())
