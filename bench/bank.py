"""The bank that is measured, as a user of leftfold would write it."""

from typing import Annotated, Self

from leftfold import App, Command, DecisionModel, Event, Rejected, Tag, replace

AccountId = Annotated[str, Tag("account")]


class Opened(Event, wire="bench.opened"):
    account: AccountId
    owner: str


class Deposited(Event, wire="bench.deposited"):
    account: AccountId
    amount: int


class Account(DecisionModel):
    account: AccountId
    owner: str = ""
    balance: int = 0

    def evolve(self, event: Opened | Deposited) -> Self:
        match event:
            case Opened(owner=owner):
                return replace(self, owner=owner)
            case Deposited(amount=amount):
                return replace(self, balance=self.balance + amount)


class Open(Command):
    account: AccountId
    owner: str


class Deposit(Command):
    account: AccountId
    amount: int
    times: int = 1


bank = App("bench")


@bank.handles
def open_account(command: Open, account: Account) -> Opened:
    if account.owner:
        raise Rejected("the account is open already")
    return Opened(command.account, command.owner)


@bank.handles
def deposit(command: Deposit, account: Account) -> list[Deposited]:
    if not account.owner:
        raise Rejected("there is no such account")
    return [Deposited(command.account, command.amount)] * command.times
