"""A bank: accounts that are opened, used and closed, and transfers between two of them.

Run it with `python -m examples.bank`.
"""

import asyncio
from typing import Annotated, Literal, Self

from leftfold import (
    App,
    Command,
    DecisionModel,
    Event,
    Query,
    ReadModel,
    ReadModels,
    Rejected,
    Tag,
    recording,
    replace,
)

AccountId = Annotated[str, Tag("account")]


# --- what can happen: amounts are in cents


class Opened(Event, wire="account.opened"):
    account: AccountId
    owner: str


class Deposited(Event, wire="account.deposited"):
    account: AccountId
    amount: int


class Withdrawn(Event, wire="account.withdrawn"):
    account: AccountId
    amount: int


class Transferred(Event, wire="account.transferred"):
    source: AccountId  # one event, two accounts: it carries both tags
    target: AccountId
    amount: int


class Closed(Event, wire="account.closed"):
    account: AccountId


# --- what can be asked for


class Open(Command):
    account: AccountId
    owner: str


class Deposit(Command):
    account: AccountId
    amount: int


class Withdraw(Command):
    account: AccountId
    amount: int


class Transfer(Command):
    source: AccountId
    target: AccountId
    amount: int


class Close(Command):
    account: AccountId


# --- how it is decided


class Account(DecisionModel):
    account: AccountId
    status: Literal["unknown", "open", "closed"] = "unknown"
    balance: int = 0

    def evolve(self, event: Opened | Deposited | Withdrawn | Transferred | Closed) -> Self:
        match event:
            case Opened():
                return replace(self, status="open")
            case Deposited(amount=amount):
                return replace(self, balance=self.balance + amount)
            case Withdrawn(amount=amount):
                return replace(self, balance=self.balance - amount)
            case Transferred(source=source, amount=amount):
                return replace(self, balance=self.balance + (-amount if source == self.account else amount))
            case Closed():
                return replace(self, status="closed")


bank = App("bank")


@bank.handles
def open_account(command: Open, account: Account) -> Opened:
    if account.status != "unknown":
        raise Rejected("account exists", status=account.status)
    return Opened(command.account, command.owner)


@bank.handles
def deposit(command: Deposit, account: Account) -> Deposited:
    check_amount(command.amount)
    check_open(account)
    return Deposited(command.account, command.amount)


@bank.handles
def withdraw(command: Withdraw, account: Account) -> Withdrawn:
    check_amount(command.amount)
    check_open(account)
    check_funds(account, command.amount)
    return Withdrawn(command.account, command.amount)


@bank.handles
def transfer(command: Transfer, source: Account, target: Account) -> Transferred:
    check_amount(command.amount)
    if command.source == command.target:
        raise Rejected("same account")
    check_open(source)
    check_open(target)
    check_funds(source, command.amount)
    return Transferred(command.source, command.target, command.amount)


@bank.handles
def close(command: Close, account: Account) -> Closed | None:
    if account.status == "closed":
        return None  # nothing has to happen
    check_open(account)
    if account.balance:
        raise Rejected("account is not empty", balance=account.balance)
    return Closed(command.account)


def check_amount(amount: int) -> None:
    if amount <= 0:
        raise Rejected("amount must be positive", amount=amount)


def check_open(account: Account) -> None:
    if account.status != "open":
        raise Rejected("account is not open", account=account.account, status=account.status)


def check_funds(account: Account, amount: int) -> None:
    if account.balance < amount:
        raise Rejected("insufficient funds", balance=account.balance)


# --- what is kept for questions


@bank.read_model(history=True, indexes=[("-amount", "account")])
class Balance(ReadModel):
    account: AccountId
    owner: str = ""
    amount: int = 0

    def evolve(self, event: Opened | Deposited | Withdrawn | Transferred | Closed) -> Self | None:
        match event:
            case Opened(owner=owner):
                return replace(self, owner=owner)
            case Deposited(amount=amount):
                return replace(self, amount=self.amount + amount)
            case Withdrawn(amount=amount):
                return replace(self, amount=self.amount - amount)
            case Transferred(source=source, amount=amount):
                return replace(self, amount=self.amount + (-amount if source == self.account else amount))
            case Closed():
                return None  # the row goes; its history stays


class Richest(Query[list[Balance]]):
    limit: int = 10


class BalanceOf(Query[Balance | None]):
    account: AccountId


@bank.answers
def richest(query: Richest, models: ReadModels) -> list[Balance]:
    return models.select(Balance, order_by=["-amount", "account"], limit=query.limit)


@bank.answers
def balance_of(query: BalanceOf, models: ReadModels) -> Balance | None:
    return models.get(Balance, query.account)


# --- a short tour


async def main(log: str = "memory:") -> None:
    async with bank.open(log) as live:
        with recording(actor="clerk", reason="new customers"):
            await live.execute_many([Open("a-1", "Ann"), Open("a-2", "Bob"), Deposit("a-1", 100_00)])

        with recording(actor="ann", reason="rent"):
            receipt = await live.execute(Transfer("a-1", "a-2", 40_00), key="rent-january")
            again = await live.execute(Transfer("a-1", "a-2", 40_00), key="rent-january")
        print(f"transferred at position {receipt.position}; a retry is recognised: {again.duplicate}")

        try:
            await live.execute(Withdraw("a-1", 75_00))
        except Rejected as rejected:
            print(f"rejected: {rejected.reason}, {rejected.details}")

        print("now:        ", *await live.query(Richest(), after=receipt))
        print("before that:", *await live.query(Richest(), as_of=receipt.position - 1))
        print("the account:", await live.state(Account, "a-1"))

        print("how Bob's account came about:")
        for step in await live.explain(Account, "a-2"):
            print(f"  {step.position}  {step.event}  by {step.actor}, {step.reason}: {step.before} -> {step.after}")


if __name__ == "__main__":
    asyncio.run(main())
