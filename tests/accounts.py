"""A small app that many tests decide with: no read models, and its handlers tell what they were called with."""

from collections.abc import Callable
from typing import Annotated, Any, Self

from leftfold import App, Command, Context, DecisionModel, Event, Rejected, Tag, replace

AccountId = Annotated[str, Tag("account")]


class Opened(Event, wire="account.opened"):
    account: AccountId
    number: str = ""


class Deposited(Event, wire="account.deposited"):
    account: AccountId
    amount: int


class Withdrawn(Event, wire="account.withdrawn"):
    account: AccountId
    amount: int


class Transferred(Event, wire="account.transferred"):
    source: AccountId
    target: AccountId
    amount: int


class Frozen(Event, wire="account.frozen"):
    account: AccountId


class Open(Command):
    account: AccountId


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


class Freeze(Command):
    account: AccountId


class Account(DecisionModel):
    account: AccountId
    balance: int = 0
    frozen: bool = False

    def evolve(self, event: Deposited | Withdrawn | Transferred | Frozen) -> Self:
        match event:
            case Deposited(amount=amount):
                return replace(self, balance=self.balance + amount)
            case Withdrawn(amount=amount):
                return replace(self, balance=self.balance - amount)
            case Transferred(source=source, target=target, amount=amount):
                gained = amount * ((target == self.account) - (source == self.account))
                return replace(self, balance=self.balance + gained)
            case Frozen():
                return replace(self, frozen=True)


Called = Callable[..., Any]


def accounts_app(called: Called = lambda *arguments: None) -> App:
    """An app of accounts; each handler calls `called` with what it is given, before it decides."""
    app = App("accounts")

    @app.handles
    def open_account(command: Open, context: Context) -> list[Opened]:
        numbers = [str(context.new_id()), str(context.new_id())]
        called(command, context, *numbers)
        return [Opened(command.account, number) for number in numbers]

    @app.handles
    def deposit(command: Deposit, account: Account) -> Deposited:
        called(command, account)
        return Deposited(command.account, command.amount)

    @app.handles
    def withdraw(command: Withdraw, account: Account) -> Withdrawn:
        called(command, account)
        if account.balance < command.amount:
            raise Rejected("insufficient funds", balance=account.balance)
        return Withdrawn(command.account, command.amount)

    @app.handles
    def transfer(command: Transfer, source: Account, target: Account) -> Transferred:
        called(command, source, target)
        if target.frozen:
            raise Rejected("target is frozen")
        if source.balance < command.amount:
            raise Rejected("insufficient funds", balance=source.balance)
        return Transferred(command.source, command.target, command.amount)

    @app.handles
    def freeze(command: Freeze, account: Account) -> Frozen | None:
        called(command, account)
        return None if account.frozen else Frozen(command.account)

    return app


class Calls(list[Any]):
    """What handlers were called with, one tuple for each call."""

    def __call__(self, *arguments: Any) -> None:
        self.append(arguments)

    @property
    def balances(self) -> list[int]:
        """The balance of the first account of each call."""
        return [account.balance for _, account, *_ in self]
